-- DROP EXTENSION: not with tables protected, and then nothing is left
-- Routes: 93
SET client_min_messages = warning;
TABLE delete_guard.protected_tables;
SELECT count(*) FROM delete_guard.declared_reference;
SELECT count(*) FROM delete_guard.approver;
DROP SCHEMA dg_test CASCADE;
CREATE SCHEMA dg_uninstall;
CREATE TABLE dg_uninstall.guarded (id int PRIMARY KEY, parent int REFERENCES dg_uninstall.guarded);
CREATE TABLE dg_uninstall.parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE dg_uninstall.parts_1 PARTITION OF dg_uninstall.parts FOR VALUES FROM (0) TO (10);
INSERT INTO dg_uninstall.guarded VALUES (1, NULL), (2, 1);
INSERT INTO dg_uninstall.parts VALUES (1);
SELECT delete_guard.protect('dg_uninstall.guarded', 'log');
SELECT delete_guard.protect('dg_uninstall.parts', 'log');
\set VERBOSITY sqlstate
DROP EXTENSION delete_guard;  -- fails
DROP SCHEMA delete_guard;  -- fails
\set VERBOSITY default
SELECT count(*) FROM delete_guard.protected_tables;
SELECT delete_guard.unprotect('dg_uninstall.guarded');
SELECT delete_guard.unprotect('dg_uninstall.parts');
DROP EXTENSION delete_guard;
-- nothing left: no object, no trigger, no dependency
SELECT count(*) FROM pg_namespace WHERE nspname = 'delete_guard';
SELECT count(*) FROM pg_proc WHERE prosrc LIKE 'delete\_guard\_%';
SELECT count(*) FROM pg_trigger WHERE tgname LIKE '00\_delete\_guard%';
SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE '%delete\_guard%';
-- tables that were protected work as before
DELETE FROM dg_uninstall.guarded WHERE id = 2;
UPDATE dg_uninstall.guarded SET id = 3;
TRUNCATE dg_uninstall.guarded, dg_uninstall.parts;
-- it can be installed again, and starts empty
CREATE EXTENSION delete_guard;
SELECT count(*) FROM delete_guard.audit_log;
SELECT delete_guard.protect('dg_uninstall.guarded', 'log');
INSERT INTO dg_uninstall.guarded VALUES (1);
DELETE FROM dg_uninstall.guarded;
SELECT operation, outcome, table_name, row_count FROM delete_guard.audit_log ORDER BY event_id;
SELECT delete_guard.unprotect('dg_uninstall.guarded');
-- a schema that somebody else made beforehand is not taken over
DROP EXTENSION delete_guard;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_dg_alice', current_database()); END $$;
SET ROLE regress_dg_alice;
CREATE SCHEMA delete_guard;
RESET ROLE;
DO $$
BEGIN
    CREATE EXTENSION delete_guard;
    RAISE WARNING 'installed';
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'refused';
END $$;
DROP SCHEMA delete_guard;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_dg_alice', current_database()); END $$;
DROP SCHEMA dg_uninstall CASCADE;
DROP ROLE regress_dg_alice;
DROP ROLE regress_dg_bob;
DROP ROLE regress_dg_carol;
DROP ROLE regress_dg_owner;
