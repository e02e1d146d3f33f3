/*
 * The own tables are written by this library only.  For each statement, and for
 * each row on account of logical replication; fired under any
 * session_replication_role.
 */
CREATE FUNCTION delete_guard._guard_own() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_guard_own';
COMMENT ON FUNCTION delete_guard._guard_own() IS
    'refuses whoever writes to the tables of delete_guard, but for its own functions and a restore';

DO $$
DECLARE
    t name;
BEGIN
    FOR t IN SELECT relname FROM pg_catalog.pg_class
             WHERE relnamespace = 'delete_guard'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('CREATE TRIGGER delete_guard_own_statement
                        BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON delete_guard.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_own()', t);
        EXECUTE format('CREATE TRIGGER delete_guard_own_row
                        BEFORE INSERT OR UPDATE OR DELETE ON delete_guard.%I
                        FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_own()', t);
        EXECUTE format('ALTER TABLE delete_guard.%I
                        ENABLE ALWAYS TRIGGER delete_guard_own_statement,
                        ENABLE ALWAYS TRIGGER delete_guard_own_row', t);
    END LOOP;
END $$;
