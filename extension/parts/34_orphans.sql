/* Rows that refer to nothing */
CREATE FUNCTION delete_guard.find_orphans(
    "table" regclass DEFAULT NULL,
    OUT reference text, OUT kind text, OUT referencing regclass, OUT referencing_columns name[],
    OUT referenced regclass, OUT referenced_columns name[], OUT condition text,
    OUT orphans bigint, OUT missing_keys bigint, OUT sample_keys jsonb, OUT query text)
    RETURNS SETOF record VOLATILE
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_find_orphans';
COMMENT ON FUNCTION delete_guard.find_orphans(regclass) IS
    'rows that refer to nothing, per reference: how many, which keys are missing, and the query that lists them';
