-- Tables that come to lie below a protected one by any way, and with whatever
-- triggers, are guarded at once (route 57); types that keys are made of (route 52)
SET client_min_messages = warning;
SELECT current_user AS super \gset
CREATE SCHEMA dg_structure AUTHORIZATION regress_dg_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_dg_owner', current_database()); END $$;
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_structure;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE pt (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES FROM (0) TO (100);
CREATE TABLE c (p_id int);
INSERT INTO c SELECT generate_series(0, 900, 100);
SELECT delete_guard.protect('p', scope => 'all'), delete_guard.protect('pt'), delete_guard.declare_reference('c', '{p_id}', 'pt') \g /dev/null
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION armed(regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat(replace(tgname, '00_delete_guard_', ''), CASE WHEN tgenabled <> (CASE WHEN tgname LIKE '%unnamed' THEN 'R' ELSE 'A' END)::"char" THEN ' NOT AS IT SHOULD' END,
                             CASE WHEN tgfoid::regproc::text !~ '^delete_guard' THEN ' OTHER' END), ', ' ORDER BY tgname COLLATE "C")
    FROM pg_trigger WHERE tgrelid = $1 AND tgname LIKE '00\_delete\_guard%' $$;

-- what CREATE SCHEMA makes in it has no event of its own
CREATE SCHEMA dg_structure_made
    CREATE TABLE ch () INHERITS (dg_structure.p)
    CREATE TABLE pt_2 PARTITION OF dg_structure.pt FOR VALUES FROM (100) TO (200);
SELECT armed('dg_structure_made.ch'), armed('dg_structure_made.pt_2');
INSERT INTO dg_structure_made.ch VALUES (1, 'x');
INSERT INTO pt VALUES (100, 'x');
DELETE FROM dg_structure_made.ch;  -- fails
TRUNCATE dg_structure_made.pt_2;  -- fails

-- triggers under our names that were there beforehand: another function, our own
-- that is off, a condition that never holds
CREATE TABLE pt_3 (id int PRIMARY KEY, v text);
CREATE TRIGGER "00_delete_guard_truncate" BEFORE TRUNCATE ON pt_3 EXECUTE FUNCTION noop();
ALTER TABLE pt ATTACH PARTITION pt_3 FOR VALUES FROM (200) TO (300);
INSERT INTO pt VALUES (200, 'x');
TRUNCATE pt_3;  -- fails
SELECT armed('pt_3');
CREATE TABLE pt_4 (id int PRIMARY KEY, v text);
CREATE TRIGGER "00_delete_guard_truncate" BEFORE TRUNCATE ON pt_4 EXECUTE FUNCTION delete_guard._guard_truncate();
ALTER TABLE pt_4 DISABLE TRIGGER USER;
ALTER TABLE pt ATTACH PARTITION pt_4 FOR VALUES FROM (300) TO (400);
INSERT INTO pt VALUES (300, 'x');
TRUNCATE pt_4;  -- fails
SELECT armed('pt_4');
CREATE TABLE ch2 (id int PRIMARY KEY, code text UNIQUE);
CREATE TRIGGER "00_delete_guard_delete" AFTER DELETE ON ch2 FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TRIGGER "00_delete_guard_key" AFTER UPDATE ON ch2 FOR EACH ROW WHEN (false) EXECUTE FUNCTION delete_guard._guard_rows();
CREATE TRIGGER "00_delete_guard_end_update" AFTER UPDATE ON ch2 FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_end();
ALTER TABLE ch2 INHERIT p;
INSERT INTO ch2 VALUES (5, 'five');
DELETE FROM p WHERE id = 5;  -- fails
UPDATE p SET id = 6 WHERE id = 5;  -- fails
SELECT armed('ch2');
-- below it, too
CREATE TABLE pt_5 (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE pt_5_1 PARTITION OF pt_5 FOR VALUES FROM (400) TO (450);
CREATE TRIGGER "00_delete_guard_truncate" BEFORE TRUNCATE ON pt_5_1 EXECUTE FUNCTION noop();
ALTER TABLE pt ATTACH PARTITION pt_5 FOR VALUES FROM (400) TO (500);
INSERT INTO pt VALUES (400, 'x');
TRUNCATE pt_5;  -- fails
-- one that fires under a name that ours must have is in the way of ATTACH
CREATE TABLE pt_6 (id int PRIMARY KEY, v text);
CREATE TRIGGER "00_delete_guard_delete" AFTER DELETE ON pt_6 FOR EACH ROW EXECUTE FUNCTION noop();
ALTER TABLE pt ATTACH PARTITION pt_6 FOR VALUES FROM (500) TO (600);  -- fails

-- protected by itself before, in mode log: what it comes to lie below is stronger
CREATE TABLE pt_7 (id int PRIMARY KEY, v text);
SELECT delete_guard.protect('pt_7', 'log') \g /dev/null
ALTER TABLE pt ATTACH PARTITION pt_7 FOR VALUES FROM (600) TO (700);
INSERT INTO pt VALUES (600, 'x');
DELETE FROM pt WHERE id = 600;  -- fails
TRUNCATE pt_7;  -- fails
SELECT dg_test.ddl('DROP TABLE pt_7'), dg_test.ddl('ALTER TABLE pt DETACH PARTITION pt_7');
-- in mode block below one in mode log: stays so; then both in block: the wider scope, the larger number, of the nearest
CREATE TABLE lg (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE lg_1 (id int PRIMARY KEY, v text);
SELECT delete_guard.protect('lg', 'log'), delete_guard.protect('lg_1', 'block', 'all', 3) \g /dev/null
ALTER TABLE lg ATTACH PARTITION lg_1 FOR VALUES FROM (0) TO (10);
INSERT INTO lg VALUES (1, 'x');
DELETE FROM lg WHERE id = 1;  -- fails
SELECT delete_guard.protect('lg', 'block', 'referenced', 2) \g /dev/null
DELETE FROM lg WHERE id = 1;  -- fails
SELECT table_name, approvals_needed FROM delete_guard.pending_requests WHERE table_name LIKE 'dg_structure.lg%' ORDER BY request_id;

-- foreign tables cannot come to lie below: what becomes of their rows is not seen
\c - :super
SET search_path = dg_structure;
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE FOREIGN DATA WRAPPER dg_structure_fdw;
CREATE SERVER dg_structure_server FOREIGN DATA WRAPPER dg_structure_fdw;
CREATE FOREIGN TABLE dg_structure.fc () INHERITS (p) SERVER dg_structure_server;  -- fails
CREATE FOREIGN TABLE dg_structure.fc (id int NOT NULL, code text) SERVER dg_structure_server;
ALTER FOREIGN TABLE fc INHERIT p;  -- fails
DROP FOREIGN DATA WRAPPER dg_structure_fdw CASCADE;
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_structure;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse

-- our functions for event triggers are for events of their own
\c - :super
\set VERBOSITY default
CREATE EVENT TRIGGER dg_structure_e ON table_rewrite EXECUTE FUNCTION delete_guard._ddl_start();
CREATE TABLE dg_structure.rewritten (id int);
ALTER TABLE dg_structure.rewritten ALTER id TYPE bigint;  -- fails
DROP EVENT TRIGGER dg_structure_e;
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_structure;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse

-- a composite type that a key is made of loses no part
CREATE DOMAIN part AS int;
CREATE TYPE ct AS (a int, b part, unused int);
CREATE TYPE outer_ct AS (c ct[], n int);
CREATE DOMAIN ct_domain AS ct;
CREATE TABLE row_type (a int, b int);
CREATE TABLE k (id ct PRIMARY KEY);
CREATE TABLE k2 (id outer_ct UNIQUE NOT NULL, d ct_domain UNIQUE NOT NULL);
CREATE TABLE k3 (id row_type PRIMARY KEY);
CREATE TABLE kr (k_id ct REFERENCES k);
INSERT INTO k VALUES ('(1,2,)'), ('(1,3,)');
SELECT delete_guard.protect(t) FROM unnest(ARRAY['k', 'k2', 'k3']::regclass[]) AS t \g /dev/null
SELECT dg_test.ddl(s) FROM unnest(ARRAY['ALTER TYPE ct DROP ATTRIBUTE b', 'ALTER TYPE ct DROP ATTRIBUTE unused CASCADE', 'ALTER TYPE outer_ct DROP ATTRIBUTE n',
    'ALTER TABLE row_type DROP COLUMN b', 'ALTER TYPE ct RENAME ATTRIBUTE a TO z', 'ALTER TYPE ct DROP ATTRIBUTE IF EXISTS nothing', 'DROP DOMAIN part', 'DROP DOMAIN part CASCADE']) AS s;

-- a key that goes by CASCADE with a type that the referencing column has, too
CREATE DOMAIN shared AS int;
CREATE TABLE k4 (id int PRIMARY KEY, a shared UNIQUE);
CREATE TABLE r4 (a shared REFERENCES k4 (a), note text);
CREATE DOMAIN shared_soft AS int;
CREATE TABLE k5 (id int PRIMARY KEY, a shared_soft UNIQUE, spare shared_soft);
CREATE TABLE r5 (a shared_soft, note text);
SELECT delete_guard.protect('k4'), delete_guard.protect('k5'), delete_guard.declare_reference('r5', '{a}', 'k5', '{a}') \g /dev/null
SELECT dg_test.ddl(s) FROM unnest(ARRAY['DROP DOMAIN shared CASCADE', 'DROP DOMAIN shared_soft CASCADE', 'ALTER TABLE k5 DROP COLUMN spare']) AS s;

-- protected by itself and put below another: its own approvers stay the ones who decide
CREATE TABLE own (id int PRIMARY KEY, v text);
CREATE TABLE above (id int PRIMARY KEY, v text);
SELECT delete_guard.protect('own', 'block', 'all'), delete_guard.add_approver('regress_dg_bob', 'own') \g /dev/null
SELECT delete_guard.protect('above', approvals => 2) \g /dev/null
ALTER TABLE own INHERIT above;
SELECT delete_guard.add_approver('regress_dg_carol', 'above') \g /dev/null
INSERT INTO own VALUES (1, 'x');
DELETE FROM above;  -- fails
SELECT dg_test.ddl('DROP TABLE own');
SELECT table_name, operation, approvals_needed FROM delete_guard.pending_requests WHERE table_name IN ('dg_structure.own', 'dg_structure.above') ORDER BY request_id;

-- a table that refers by declaration, or has an approver, and is dropped
CREATE TABLE gone (id int PRIMARY KEY, p_id int);
SELECT delete_guard.declare_reference('gone', '{p_id}', 'p'), delete_guard.protect('gone', 'log'), delete_guard.add_approver('regress_dg_bob', 'gone') \g /dev/null
SELECT dg_test.last_event() AS mark \gset
DROP TABLE gone;
SELECT name FROM delete_guard.references_to('p');
\c - :super
SET client_min_messages = warning;
SELECT operation, outcome, table_name, details - 'dropped_table' AS details FROM delete_guard.audit_log WHERE event_id > :mark ORDER BY event_id;
CALL dg_test.release('dg_structure');
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_dg_owner', current_database()); END $$;
DROP SCHEMA dg_structure, dg_structure_made CASCADE;
