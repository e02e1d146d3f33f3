-- The guard itself: no DDL on it while tables are protected in block mode
CREATE SCHEMA dg_self;
SET client_min_messages = warning;
SET search_path = dg_self;
\pset format unaligned
\pset tuples_only on
CREATE TABLE arch (id int PRIMARY KEY);
SELECT delete_guard.protect('arch') \g /dev/null
SELECT regexp_replace(s, '\n.*', ''), dg_test.ddl(s) FROM unnest(ARRAY[
    -- routes 81, 82, 83: the extension, its schema, its functions, by CASCADE
    'DROP EXTENSION delete_guard', 'DROP EXTENSION IF EXISTS delete_guard CASCADE', 'DROP SCHEMA delete_guard CASCADE',
    'DROP SCHEMA dg_self, delete_guard CASCADE', 'DROP FUNCTION delete_guard._guard_rows() CASCADE',
    'DROP EVENT TRIGGER delete_guard_ddl_start', 'DROP TABLE delete_guard.event CASCADE', 'DROP VIEW delete_guard.protected_tables',
    -- route 84: members
    'ALTER EXTENSION delete_guard DROP FUNCTION delete_guard._guard_rows()', 'ALTER EXTENSION delete_guard DROP EVENT TRIGGER delete_guard_ddl_end',
    'ALTER EXTENSION delete_guard ADD TABLE dg_self.arch', 'ALTER FUNCTION delete_guard._ddl_start() STRICT', 'ALTER FUNCTION delete_guard._guard_rows() RENAME TO x',
    'ALTER FUNCTION delete_guard._guard_rows() SET SCHEMA public', 'ALTER SCHEMA delete_guard RENAME TO x', 'ALTER SCHEMA delete_guard OWNER TO regress_dg_alice',
    'CREATE OR REPLACE FUNCTION delete_guard._guard_rows() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''',
    -- route 85: event triggers, in a session that has the library
    'ALTER EVENT TRIGGER delete_guard_ddl_start DISABLE', 'ALTER EVENT TRIGGER delete_guard_ddl_end ENABLE', 'ALTER EVENT TRIGGER delete_guard_ddl_drop RENAME TO x',
    'ALTER EVENT TRIGGER delete_guard_ddl_drop ENABLE ALWAYS',
    -- routes 159 and 160: own tables
    'ALTER TABLE delete_guard.event ADD x int', 'ALTER TABLE delete_guard.event DISABLE TRIGGER ALL', 'ALTER TABLE delete_guard.decision SET UNLOGGED',
    'CREATE RULE r AS ON INSERT TO delete_guard.event DO INSTEAD NOTHING', 'CREATE INDEX ON delete_guard.event (person)',
    'CREATE TRIGGER t BEFORE INSERT ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'ALTER TABLE delete_guard.event RENAME TO x', 'ALTER TABLE delete_guard.event SET SCHEMA public', 'CREATE POLICY p ON delete_guard.event USING (false)',
    'ALTER SEQUENCE delete_guard.event_id RESTART', 'DROP INDEX delete_guard.attempt_fingerprint', 'DROP INDEX IF EXISTS delete_guard.event_pkey, delete_guard.decision_request CASCADE',
    'ALTER INDEX delete_guard.request_fingerprint RENAME TO x', 'ALTER INDEX delete_guard.request_fingerprint SET (fillfactor = 50)',
    'CREATE TABLE child () INHERITS (delete_guard.decision)', 'CREATE SCHEMA dg_child CREATE TABLE child () INHERITS (delete_guard.approver)',
    -- what puts back what the extension has made is free
    'ALTER TABLE delete_guard.event ENABLE ALWAYS TRIGGER delete_guard_own_row', 'ALTER TABLE delete_guard.event ENABLE ALWAYS TRIGGER delete_guard_own_row, DISABLE TRIGGER delete_guard_own_statement',
    'ALTER TABLE delete_guard.event ENABLE TRIGGER delete_guard_own_row',
    'CREATE OR REPLACE TRIGGER delete_guard_own_row BEFORE INSERT OR UPDATE OR DELETE ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_own()',
    'CREATE OR REPLACE TRIGGER delete_guard_own_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON delete_guard.approver FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_own()',
    'CREATE OR REPLACE TRIGGER delete_guard_own_row BEFORE INSERT OR UPDATE OR DELETE ON delete_guard.event FOR EACH ROW WHEN (false) EXECUTE FUNCTION delete_guard._guard_own()',
    'CREATE OR REPLACE TRIGGER delete_guard_own_row BEFORE INSERT OR UPDATE ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_own()',
    'CREATE OR REPLACE FUNCTION delete_guard._guard_rows() RETURNS trigger LANGUAGE c AS ''$libdir/delete_guard'', ''delete_guard_guard_rows''',
    'CREATE OR REPLACE FUNCTION delete_guard._guard_rows() RETURNS trigger LANGUAGE c AS ''$libdir/delete_guard'', ''delete_guard_guard_end''',
    'CREATE OR REPLACE FUNCTION delete_guard._guard_rows() RETURNS trigger LANGUAGE c SECURITY DEFINER AS ''$libdir/delete_guard'', ''delete_guard_guard_rows''',
    'ALTER TABLE delete_guard.event OWNER TO regress_dg_alice', format('ALTER TABLE delete_guard.event OWNER TO %I', current_user),
    'ALTER EXTENSION delete_guard ADD FUNCTION delete_guard._guard_rows()',
    -- what is for the administrator to do
    'GRANT SELECT ON delete_guard.audit_log TO regress_dg_bob', 'ALTER EXTENSION delete_guard UPDATE',
    'ANALYZE delete_guard.event', 'REINDEX TABLE delete_guard.event', 'COMMENT ON TABLE delete_guard.event IS ''x''']) AS s;
VACUUM FULL delete_guard.event;
-- a trigger of an own table that is missing or faulty may be made again, as it was: it fires always
BEGIN;
UPDATE pg_trigger SET tgenabled = 'O' WHERE tgrelid = 'delete_guard.event'::regclass AND tgname = 'delete_guard_own_row';
UPDATE pg_trigger SET tgnargs = 1, tgargs = 'x\000' WHERE tgrelid = 'delete_guard.approver'::regclass AND tgname = 'delete_guard_own_statement';
SELECT s, dg_test.ddl(s) FROM unnest(ARRAY[
    'CREATE OR REPLACE TRIGGER delete_guard_own_row BEFORE INSERT OR UPDATE OR DELETE ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_own(''x'')',
    'CREATE OR REPLACE TRIGGER delete_guard_own_row BEFORE INSERT OR UPDATE OR DELETE ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_own()']) AS s;
CREATE OR REPLACE TRIGGER delete_guard_own_row BEFORE INSERT OR UPDATE OR DELETE ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_own();
CREATE OR REPLACE TRIGGER delete_guard_own_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON delete_guard.approver FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_own();
SELECT tgrelid::regclass, tgname, tgenabled, tgnargs FROM pg_trigger
WHERE tgrelid IN ('delete_guard.event'::regclass, 'delete_guard.approver'::regclass) AND NOT tgisinternal ORDER BY 1, 2;
ROLLBACK;
SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'delete\_guard\_ddl\_%' AND evtenabled = 'A';
SELECT count(delete_guard.cancel(request_id)) > 0 FROM delete_guard.pending_requests WHERE operation = 'ddl' AND table_name IS NULL;
CALL dg_test.release('dg_self');
-- with no table protected all of this is free again
ALTER EVENT TRIGGER delete_guard_ddl_start DISABLE;
ALTER EVENT TRIGGER delete_guard_ddl_start ENABLE ALWAYS;
ALTER FUNCTION delete_guard._ddl_start() COST 1;
-- but no children of own tables: their rows would be read as ours
CREATE TABLE child () INHERITS (delete_guard.decision);  -- fails
CREATE TABLE child (LIKE delete_guard.decision);
ALTER TABLE child INHERIT delete_guard.decision;  -- fails
DROP SCHEMA dg_self CASCADE;
