/* DDL on protected tables, and what it changes on them */
CREATE FUNCTION delete_guard._ddl_start() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_ddl_start';
COMMENT ON FUNCTION delete_guard._ddl_start() IS
    'event trigger: DDL that would disarm a protected table needs an approval';

CREATE FUNCTION delete_guard._ddl_drop() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_ddl_drop';
COMMENT ON FUNCTION delete_guard._ddl_drop() IS
    'event trigger: tables that were dropped are no longer registered';

CREATE FUNCTION delete_guard._ddl_end() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_ddl_end';
COMMENT ON FUNCTION delete_guard._ddl_end() IS
    'event trigger: arms new partitions, inheritance children and keys of protected tables';

CREATE EVENT TRIGGER delete_guard_ddl_start ON ddl_command_start
    EXECUTE FUNCTION delete_guard._ddl_start();
ALTER EVENT TRIGGER delete_guard_ddl_start ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER delete_guard_ddl_start IS
    'DDL that would disarm a protected table needs an approval';

CREATE EVENT TRIGGER delete_guard_ddl_drop ON sql_drop
    EXECUTE FUNCTION delete_guard._ddl_drop();
ALTER EVENT TRIGGER delete_guard_ddl_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER delete_guard_ddl_drop IS
    'tables that were dropped are no longer registered';

CREATE EVENT TRIGGER delete_guard_ddl_end ON ddl_command_end
    EXECUTE FUNCTION delete_guard._ddl_end();
ALTER EVENT TRIGGER delete_guard_ddl_end ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER delete_guard_ddl_end IS
    'arms new partitions, inheritance children and keys of protected tables';
