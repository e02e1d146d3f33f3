/* What DDL changes on protected tables is armed again */
CREATE FUNCTION delete_guard._ddl_end() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_ddl_end';
COMMENT ON FUNCTION delete_guard._ddl_end() IS
    'event trigger: arms new partitions, inheritance children and keys of protected tables';

CREATE EVENT TRIGGER delete_guard_ddl_end ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE INDEX', 'CREATE TABLE AS')
    EXECUTE FUNCTION delete_guard._ddl_end();
ALTER EVENT TRIGGER delete_guard_ddl_end ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER delete_guard_ddl_end IS
    'arms new partitions, inheritance children and keys of protected tables';
