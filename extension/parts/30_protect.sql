/* Tables, references, approvers */
CREATE FUNCTION delete_guard.protect(
    "table" regclass, mode text DEFAULT 'block', scope text DEFAULT 'referenced',
    approvals integer DEFAULT 1) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_protect';
COMMENT ON FUNCTION delete_guard.protect(regclass, text, text, integer) IS
    'protect a table: mode log or block, scope referenced or all; again: change the settings';

CREATE FUNCTION delete_guard.unprotect("table" regclass) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_unprotect';
COMMENT ON FUNCTION delete_guard.unprotect(regclass) IS
    'end the protection of a table';

CREATE FUNCTION delete_guard.declare_reference(
    referencing regclass, referencing_columns name[], referenced regclass,
    referenced_columns name[] DEFAULT NULL, condition text DEFAULT NULL) RETURNS text
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_declare_reference';
COMMENT ON FUNCTION delete_guard.declare_reference(regclass, name[], regclass, name[], text) IS
    'declare an association that has no foreign key; returns its name';

CREATE FUNCTION delete_guard.forget_reference(name text) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_forget_reference';
COMMENT ON FUNCTION delete_guard.forget_reference(text) IS
    'take back a declared reference';

CREATE FUNCTION delete_guard.references_to(
    "table" regclass, OUT name text, OUT kind text, OUT referencing regclass,
    OUT referencing_columns name[], OUT referenced_columns name[],
    OUT on_delete text, OUT on_update text, OUT condition text, OUT index regclass)
    RETURNS SETOF record STABLE
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_references_to';
COMMENT ON FUNCTION delete_guard.references_to(regclass) IS
    'every reference to a table: kind, columns, what a delete does, index used (NULL: none)';

CREATE FUNCTION delete_guard.add_approver(role name, "table" regclass DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_add_approver';
COMMENT ON FUNCTION delete_guard.add_approver(name, regclass) IS
    'let a role approve requests about a table, or about every table';

CREATE FUNCTION delete_guard.remove_approver(role name, "table" regclass DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_remove_approver';
COMMENT ON FUNCTION delete_guard.remove_approver(name, regclass) IS
    'no longer let a role approve requests about a table, or about every table';

CREATE VIEW delete_guard.protected_tables AS
    SELECT table_id, mode, scope, approvals, protected_by, protected_at
    FROM delete_guard.protected_table;
COMMENT ON VIEW delete_guard.protected_tables IS
    'tables under protection and their settings';
