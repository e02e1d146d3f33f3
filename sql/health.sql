-- health(): what is wrong with the guard itself, each with the command that mends it.  Each finding is caused
-- here, mostly by editing catalogs, then seen, and then mended by running what health() says.
SELECT current_user AS super \gset
CREATE SCHEMA dg_health;
SET search_path = dg_health;
SET client_min_messages = warning;
-- what is not of this file (the server's authentication, its library) is left out
CREATE TABLE before AS SELECT * FROM delete_guard.health();
CREATE VIEW health AS
    SELECT severity, regexp_replace(subject, 'OID \d+', 'OID N') AS subject, regexp_replace(problem, 'OID \d+', 'OID N') AS problem, remedy
    FROM delete_guard.health() AS h
    WHERE NOT EXISTS (SELECT FROM before b WHERE (b.subject, b.problem) = (h.subject, h.problem));
CREATE VIEW found AS SELECT severity, subject, problem FROM health;
CREATE ROLE regress_dg_dora LOGIN;
CREATE TABLE plain (id int PRIMARY KEY, name varchar(20) UNIQUE, j json);
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 (id int PRIMARY KEY, serial int UNIQUE);
ALTER TABLE parts ADD serial int;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE base (id int PRIMARY KEY);
CREATE TABLE derived (id2 int UNIQUE) INHERITS (base);
CREATE DOMAIN code AS char(4);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE kinds (id code PRIMARY KEY, e numeric(4,1) UNIQUE, a int[] UNIQUE, c cidr UNIQUE, r int4range UNIQUE, p pair UNIQUE);
CREATE TABLE soft (plain_id int, plain_name text);
CREATE INDEX ON soft (plain_id);
SELECT delete_guard.protect('plain', 'log');
SELECT delete_guard.protect('parts', 'log');
SELECT delete_guard.protect('base', 'log', 'all');
SELECT delete_guard.protect('kinds', 'log');
SELECT delete_guard.declare_reference('soft', '{plain_id}', 'plain');
SELECT delete_guard.add_approver('regress_dg_bob');
SELECT delete_guard.add_approver('regress_dg_carol');
-- takes an entry of the catalog away, whatever guards it
CREATE PROCEDURE remove_trigger(of regclass, called name) LANGUAGE sql AS $$
    WITH t AS (DELETE FROM pg_trigger WHERE tgrelid = of AND tgname = called RETURNING oid)
    DELETE FROM pg_depend d USING t WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid;
$$;
-- healthy
SELECT * FROM found;

-- Triggers of protected tables: off, not ALWAYS, gone, of another kind, with another condition
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'plain'::regclass AND tgname = '00_delete_guard_delete';
UPDATE pg_trigger SET tgenabled = 'O' WHERE tgrelid = 'parts_1'::regclass AND tgname = '00_delete_guard_truncate';
UPDATE pg_trigger SET tgenabled = 'R' WHERE tgrelid = 'parts_2'::regclass AND tgname = '00_delete_guard_key';
UPDATE pg_trigger SET tgname = '00_renamed' WHERE tgrelid = 'base'::regclass AND tgname = '00_delete_guard_end_delete';
UPDATE pg_trigger SET tgfoid = 'suppress_redundant_updates_trigger'::regproc WHERE tgrelid = 'derived'::regclass AND tgname = '00_delete_guard_delete';
SELECT subject, problem, remedy FROM health;
SELECT remedy FROM health \gexec
SELECT * FROM found;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'base'::regclass AND tgname LIKE '00%' ORDER BY tgname COLLATE "C";
CALL remove_trigger('base', '00_renamed');
-- a condition that is never true, one that leaves out a column, a column list, a trigger that lost its condition
UPDATE pg_trigger t SET tgqual = k.tgqual FROM pg_trigger k
 WHERE t.tgrelid = 'plain'::regclass AND t.tgname = '00_delete_guard_key' AND k.tgrelid = 'parts_1'::regclass AND k.tgname = '00_delete_guard_key';
UPDATE pg_trigger SET tgattr = '1' WHERE tgrelid = 'kinds'::regclass AND tgname = '00_delete_guard_key';
UPDATE pg_trigger SET tgqual = NULL WHERE tgrelid = 'base'::regclass AND tgname = '00_delete_guard_key';
SELECT * FROM found;
SELECT remedy FROM health \gexec
SELECT * FROM found;
CREATE TABLE decoy (LIKE plain);
CREATE TRIGGER never AFTER UPDATE ON decoy FOR EACH ROW
    WHEN ((OLD.id IS DISTINCT FROM NEW.id OR OLD.name IS DISTINCT FROM NEW.name) AND NEW.id IS NULL)
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
UPDATE pg_trigger SET tgqual = (SELECT tgqual FROM pg_trigger WHERE tgname = 'never')
 WHERE tgrelid = 'plain'::regclass AND tgname = '00_delete_guard_key';
SELECT * FROM found;
SELECT remedy FROM health \gexec
SELECT * FROM found;
DROP TABLE decoy;
-- the key of a partition alone
UPDATE pg_trigger SET tgname = 'elsewhere' WHERE tgrelid = 'parts_2'::regclass AND tgname = '00_delete_guard_key_own';
SELECT * FROM found;
SELECT remedy FROM health \gexec
CALL remove_trigger('parts_2', 'elsewhere');
-- the catalog denies that there are triggers; a table that does not survive a crash
UPDATE pg_class SET relhastriggers = false WHERE oid = 'kinds'::regclass;
SELECT * FROM found;
SELECT remedy FROM health \gexec
SELECT * FROM found;
-- a rule instead; a foreign key's trigger before the guard's
CREATE RULE nothing AS ON DELETE TO parts_1 DO INSTEAD NOTHING;
CREATE TABLE hard (plain_id int REFERENCES plain);
CREATE INDEX ON hard (plain_id);
UPDATE pg_trigger SET tgname = '00_a' WHERE tgrelid = 'plain'::regclass AND tgname LIKE 'RI_ConstraintTrigger_a%' AND tgtype & 8 = 8;
SELECT * FROM found;
SELECT regexp_replace(remedy, '_a_\d+', '_a_N') AS remedy FROM health;
\set ECHO errors
SELECT remedy FROM health \gexec
\set ECHO all
SELECT * FROM found;
DROP TABLE hard;

-- Event triggers
UPDATE pg_event_trigger SET evtenabled = 'O' WHERE evtname = 'delete_guard_ddl_end';
SELECT * FROM health;
SELECT remedy FROM health \gexec
UPDATE pg_event_trigger SET evtenabled = 'D' WHERE evtname = 'delete_guard_ddl_end';
SELECT * FROM found;
SELECT remedy FROM health \gexec
BEGIN;
DELETE FROM pg_event_trigger WHERE evtname = 'delete_guard_ddl_end';
SELECT * FROM health;
ROLLBACK;
SELECT * FROM found;
-- that are there, and for other commands or events; made again by hand
BEGIN;
UPDATE pg_event_trigger SET evttags = '{COMMENT}' WHERE evtname = 'delete_guard_ddl_start';
UPDATE pg_event_trigger SET evtevent = 'table_rewrite', evtenabled = 'D' WHERE evtname = 'delete_guard_ddl_end';
DELETE FROM pg_depend WHERE classid = 'pg_event_trigger'::regclass AND objid = (SELECT oid FROM pg_event_trigger WHERE evtname = 'delete_guard_ddl_drop') AND deptype = 'e';
SELECT * FROM health;
SELECT remedy FROM health \gexec
SELECT * FROM found;
SELECT evtname, evtevent, evtenabled, evttags FROM pg_event_trigger WHERE evtname LIKE 'delete\_guard\_%' ORDER BY 1;
ROLLBACK;

-- The extension's own functions, tables and schema
BEGIN;
UPDATE pg_proc SET prosrc = 'delete_guard_library_version' WHERE oid = 'delete_guard._guard_rows()'::regprocedure;
UPDATE pg_proc SET prosecdef = true WHERE oid = 'delete_guard.approve(bigint, text)'::regprocedure;
DELETE FROM pg_depend WHERE objid = 'delete_guard._guard_end()'::regprocedure AND deptype = 'e';
SELECT * FROM health;
ROLLBACK;
BEGIN;
UPDATE pg_class SET relowner = 'regress_dg_dora'::regrole WHERE oid = 'delete_guard.approver'::regclass;
-- (MAINTAIN is there from 17 on)
SELECT severity, subject, replace(replace(problem, quote_ident(:'super'), 'the owner'), 'MAINTAIN, ', '') AS problem,
       replace(replace(remedy, quote_ident(:'super'), 'the owner'), 'MAINTAIN, ', '') AS remedy FROM health;
\set ECHO errors
SELECT remedy FROM health \gexec
\set ECHO all
SELECT * FROM found;
ROLLBACK;
GRANT INSERT, SELECT ON delete_guard.approver TO regress_dg_dora;
GRANT USAGE ON SEQUENCE delete_guard.event_id TO PUBLIC;
GRANT CREATE ON SCHEMA delete_guard TO regress_dg_dora;
SELECT * FROM health;
SELECT remedy FROM health \gexec
SELECT * FROM found;
REVOKE SELECT ON delete_guard.approver FROM regress_dg_dora;
BEGIN;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER forget BEFORE INSERT ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE RULE forget AS ON INSERT TO delete_guard.decision DO INSTEAD NOTHING;
SELECT * FROM health;
ROLLBACK;

BEGIN;
UPDATE pg_trigger SET tgenabled = 'O' WHERE tgrelid = 'delete_guard.event'::regclass AND tgname = 'delete_guard_own_row';
CALL remove_trigger('delete_guard.approver', 'delete_guard_own_statement');
SELECT * FROM health;
SELECT remedy FROM health \gexec
SELECT * FROM found;
ROLLBACK;

-- triggers of another definition; no member, a child; no index; owners; columns
BEGIN;
UPDATE pg_trigger SET tgtype = tgtype & ~8 WHERE tgrelid = 'delete_guard.event'::regclass AND tgname = 'delete_guard_own_statement';
UPDATE pg_trigger SET tgattr = '1' WHERE tgrelid = 'delete_guard.decision'::regclass AND tgname = 'delete_guard_own_row';
DELETE FROM pg_depend d WHERE deptype = 'e' AND (objid = 'delete_guard.request'::regclass OR objid IN (SELECT unnest(ARRAY[oid, typarray]) FROM pg_type WHERE typrelid = 'delete_guard.request'::regclass));
CREATE TABLE child (LIKE delete_guard.decision INCLUDING ALL);
INSERT INTO pg_inherits (inhrelid, inhparent, inhseqno, inhdetachpending) VALUES ('child'::regclass, 'delete_guard.decision'::regclass, 1, false);
UPDATE pg_class SET relname = 'elsewhere' WHERE oid = 'delete_guard.attempt_fingerprint'::regclass;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'delete_guard.decision_request'::regclass;
UPDATE pg_proc SET proowner = 'regress_dg_dora'::regrole WHERE oid = 'delete_guard.unprotect(regclass)'::regprocedure;
UPDATE pg_namespace SET nspowner = 'regress_dg_dora'::regrole WHERE nspname = 'delete_guard';
GRANT INSERT (role), UPDATE (role, table_id) ON delete_guard.approver TO regress_dg_dora;
SELECT severity, subject, problem, replace(remedy, quote_ident(:'super'), 'the owner') AS remedy FROM health;
\set ECHO errors
SELECT remedy FROM health WHERE subject NOT LIKE 'index%' AND problem NOT LIKE 'has a child%' \gexec
\set ECHO all
SELECT * FROM found;
ROLLBACK;
-- the owner of the tables is what is wrong
BEGIN;
UPDATE pg_class SET relowner = 'regress_dg_dora'::regrole WHERE oid = 'delete_guard.event'::regclass;
SELECT severity, subject, replace(problem, quote_ident(:'super'), 'the owner') AS problem FROM health WHERE problem LIKE 'belongs%';
ROLLBACK;
-- triggers that no registered table accounts for
BEGIN;
CALL dg_test.own_triggers('delete_guard.protected_table', 'D');
DELETE FROM delete_guard.protected_table WHERE table_id = 'parts'::regclass;
CALL dg_test.own_triggers('delete_guard.protected_table', 'A');
SELECT * FROM health;
SELECT delete_guard.protect('parts', 'log');
SELECT * FROM found;
ROLLBACK;

-- Approvers
SELECT delete_guard.add_approver('regress_dg_dora');
ALTER ROLE regress_dg_dora NOLOGIN;
SELECT * FROM health;
SELECT remedy FROM health \gexec
ALTER ROLE regress_dg_dora VALID UNTIL '2020-01-01';
SELECT * FROM health;
SELECT remedy FROM health \gexec
ALTER ROLE regress_dg_dora RENAME TO regress_dg_dorothy;
SELECT * FROM health;
SELECT remedy FROM health \gexec
SELECT delete_guard.add_approver('regress_dg_dorothy', 'base');
DROP ROLE regress_dg_dorothy;
SELECT * FROM health;
SELECT remedy FROM health \gexec
SELECT * FROM found;
BEGIN;
SELECT delete_guard.remove_approver('regress_dg_carol'), delete_guard.remove_approver('regress_dg_bob');
SELECT delete_guard.protect('plain');
SELECT * FROM health;
SELECT delete_guard.add_approver('regress_dg_bob', 'plain');
SELECT * FROM found;
SELECT delete_guard.protect('plain', approvals => 2);
SELECT * FROM found;
ROLLBACK;
BEGIN;
SELECT delete_guard.protect('plain');
SELECT * FROM found;
ROLLBACK;
-- settings of a role, of all roles and of the database
ALTER ROLE ALL SET session_replication_role = replica;
SELECT * FROM health;
SELECT remedy FROM health \gexec
ALTER ROLE regress_dg_alice SET session_replication_role = 'REPLICA';
SELECT * FROM health;
SELECT remedy FROM health \gexec
SELECT * FROM found;

-- References: no index, not valid, of what is gone, not to be followed
SELECT delete_guard.declare_reference('soft', '{plain_name}', 'plain', '{name}');
CREATE TABLE hard ("Plain id" int);
INSERT INTO hard VALUES (1);
ALTER TABLE hard ADD CONSTRAINT "not yet" FOREIGN KEY ("Plain id") REFERENCES plain NOT VALID;
SELECT * FROM health;
DELETE FROM hard;
SELECT remedy FROM health \gexec
SELECT * FROM found;
DROP TABLE hard;
BEGIN;
UPDATE pg_attribute SET attisdropped = true, atttypid = 0, attname = '........pg.dropped.2........'
 WHERE attrelid = 'soft'::regclass AND attname = 'plain_name';
SELECT * FROM health WHERE subject LIKE 'declared%';
SELECT remedy FROM health WHERE subject LIKE 'declared%' \gexec
SELECT * FROM found;
ROLLBACK;
CREATE FUNCTION even(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 = 0';
CREATE TABLE odd (base_id int);
CREATE INDEX ON odd (base_id);
SELECT delete_guard.declare_reference('odd', '{base_id}', 'base', condition => 'even(base_id)');
DROP FUNCTION even(int);
SELECT * FROM health;
SELECT remedy FROM health WHERE subject LIKE 'declared%' \gexec
SELECT * FROM found;

-- Tables that were dropped (by editing catalogs, or while the guard's own triggers were off)
CREATE TABLE gone (id int PRIMARY KEY);
CREATE TABLE gone_too (plain_id int);
BEGIN;
SELECT delete_guard.protect('gone', 'log');
SELECT delete_guard.add_approver('regress_dg_bob', 'gone');
SELECT delete_guard.declare_reference('gone_too', '{plain_id}', 'plain');
WITH c AS (DELETE FROM pg_class WHERE relname IN ('gone', 'gone_too') AND relnamespace = 'dg_health'::regnamespace RETURNING oid)
DELETE FROM pg_attribute a USING c WHERE a.attrelid = c.oid;
SELECT severity, subject, problem, regexp_replace(remedy, '\d{3,}', 'N') AS remedy FROM health;
\set ECHO errors
SELECT remedy FROM health \gexec
\set ECHO all
SELECT * FROM found;
ROLLBACK;

-- For the owner of the extension, and whom he lets
\c - regress_dg_alice
SELECT * FROM delete_guard.health();  -- fails
\c - :super
SET search_path = dg_health;
SET client_min_messages = warning;
GRANT pg_monitor TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT count(*) >= 0 AS may FROM delete_guard.health();
RESET ROLE;
REVOKE pg_monitor FROM regress_dg_alice;
-- in a read-only transaction too
BEGIN READ ONLY;
SELECT * FROM found;
ROLLBACK;
SELECT delete_guard.forget_reference('soft_plain_id'), delete_guard.forget_reference('soft_plain_name');
SELECT delete_guard.unprotect(t) FROM unnest('{plain,parts,base,kinds}'::regclass[]) AS t;
SELECT delete_guard.remove_approver('regress_dg_carol'), delete_guard.remove_approver('regress_dg_bob');
DROP SCHEMA dg_health CASCADE;
