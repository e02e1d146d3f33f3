/* Associations that nobody declared */

/* referenced 0 ("-") stands for every table */
CREATE TABLE delete_guard.ignored_suggestion (
    referencing         regclass NOT NULL,
    referencing_columns name[] NOT NULL,
    referenced          regclass NOT NULL,
    reason              text,
    ignored_by          name NOT NULL,
    ignored_at          timestamptz NOT NULL,
    PRIMARY KEY (referencing, referencing_columns, referenced)
) USING heap;
COMMENT ON TABLE delete_guard.ignored_suggestion IS
    'columns that look like references and are none';
SELECT pg_catalog.pg_extension_config_dump('delete_guard.ignored_suggestion', '');

CREATE VIEW delete_guard.ignored_suggestions AS
    SELECT referencing, referencing_columns,
           CASE WHEN referenced::oid <> 0 THEN referenced END AS referenced,
           reason, ignored_by, ignored_at
    FROM delete_guard.ignored_suggestion;
COMMENT ON VIEW delete_guard.ignored_suggestions IS
    'columns that suggest_references() does not name, and why';

CREATE FUNCTION delete_guard.suggest_references(
    "table" regclass DEFAULT NULL, min_score numeric DEFAULT 0.5,
    OUT score numeric, OUT referencing regclass, OUT referencing_columns name[],
    OUT referenced regclass, OUT referenced_columns name[], OUT condition text,
    OUT evidence text, OUT declaration text)
    RETURNS SETOF record STABLE
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_suggest_references';
COMMENT ON FUNCTION delete_guard.suggest_references(regclass, numeric) IS
    'columns that look like references and are neither foreign keys nor declared, each with the call that declares it';

CREATE FUNCTION delete_guard.ignore_suggestion(
    referencing regclass, referencing_columns name[], referenced regclass DEFAULT NULL,
    reason text DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_ignore_suggestion';
COMMENT ON FUNCTION delete_guard.ignore_suggestion(regclass, name[], regclass, text) IS
    'no longer suggest that these columns refer to a table, or to any';

CREATE FUNCTION delete_guard.unignore_suggestion(
    referencing regclass, referencing_columns name[], referenced regclass DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_unignore_suggestion';
COMMENT ON FUNCTION delete_guard.unignore_suggestion(regclass, name[], regclass) IS
    'take back ignore_suggestion';
