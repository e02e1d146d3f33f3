/*
 * Trigger functions.  Everybody may execute them, as PostgreSQL checks that
 * when a partition is made and the triggers are cloned to it; on a table that
 * is not protected they do nothing.
 */
CREATE FUNCTION delete_guard._guard_rows() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_guard_rows';
COMMENT ON FUNCTION delete_guard._guard_rows() IS
    'statement guard: rows of a protected table were deleted, or their keys changed';

CREATE FUNCTION delete_guard._note_key_change(relation oid, before tid, after tid) RETURNS boolean
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_note_key_change';
COMMENT ON FUNCTION delete_guard._note_key_change(oid, tid, tid) IS
    'statement guard: notes a row whose key an UPDATE changes; always true';

CREATE FUNCTION delete_guard._guard_end() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_guard_end';
COMMENT ON FUNCTION delete_guard._guard_end() IS
    'statement guard: a statement on a table whose rows came one by one is over';

CREATE FUNCTION delete_guard._guard_truncate() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_guard_truncate';
COMMENT ON FUNCTION delete_guard._guard_truncate() IS
    'statement guard: a protected table is about to be truncated';

CREATE FUNCTION delete_guard._library_version() RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'delete_guard_library_version';
COMMENT ON FUNCTION delete_guard._library_version() IS
    'version of the loaded library';
