-- DDL that would take a referenced key away, or our triggers, is refused in
-- block mode, in every spelling, and names the change that it would be
CREATE SCHEMA dg_refused AUTHORIZATION regress_dg_owner;
CREATE SCHEMA dg_refused_other AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_refused TO PUBLIC;
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
SET search_path = dg_refused;
\pset format unaligned
\pset tuples_only on
CREATE DOMAIN number AS int;
CREATE DOMAIN dg_refused_other.label AS text;
CREATE FUNCTION dg_refused_other.plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1000';
CREATE TABLE arch (id number PRIMARY KEY, name dg_refused_other.label NOT NULL UNIQUE, note text, spare int UNIQUE);
CREATE TABLE pkg (id int PRIMARY KEY, arch_id int CONSTRAINT pkg_arch REFERENCES arch, name text CONSTRAINT pkg_name REFERENCES arch (name));
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE part_1_1 PARTITION OF part_1 FOR VALUES FROM (0) TO (5);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
CREATE TABLE above (id int, v int);
CREATE TABLE below (PRIMARY KEY (id)) INHERITS (above);
CREATE TABLE by_index (id int NOT NULL);
CREATE UNIQUE INDEX by_index_key ON by_index (id);
CREATE TYPE form AS (id int, v text);
CREATE TABLE typed OF form (PRIMARY KEY (id));
CREATE TABLE soft (arch_id int);
SELECT delete_guard.protect(t) FROM unnest(ARRAY['arch', 'part', 'parent', 'below', 'by_index', 'typed']::regclass[]) AS t \g /dev/null
SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch') \g /dev/null

-- route 50: DROP TABLE, by CASCADE, among others; its schema; its owner's objects
SELECT dg_test.ddl('DROP TABLE arch');
SELECT dg_test.ddl('DROP TABLE IF EXISTS other, dg_refused.arch CASCADE');
SELECT dg_test.ddl('DROP TABLE other, arch');
SELECT dg_test.ddl('DROP TABLE above CASCADE');
SELECT dg_test.ddl('DROP SCHEMA dg_refused CASCADE');
SELECT dg_test.ddl('DROP OWNED BY regress_dg_owner CASCADE');
SELECT dg_test.ddl('DROP OWNED BY CURRENT_USER CASCADE');
-- route 51: key columns and key constraints
SELECT dg_test.ddl('ALTER TABLE arch DROP COLUMN id CASCADE');
SELECT dg_test.ddl('ALTER TABLE arch DROP name CASCADE, DROP note');
SELECT dg_test.ddl('ALTER TABLE IF EXISTS ONLY arch DROP CONSTRAINT arch_pkey CASCADE');
SELECT dg_test.ddl('ALTER TABLE arch DROP CONSTRAINT arch_name_key CASCADE');
SELECT dg_test.ddl('DROP INDEX by_index_key');
SELECT dg_test.ddl('ALTER TABLE by_index ALTER id DROP NOT NULL');
SELECT dg_test.ddl('ALTER TABLE above DROP COLUMN id CASCADE');
SELECT dg_test.ddl('ALTER TYPE form DROP ATTRIBUTE id CASCADE');
SELECT dg_test.ddl('ALTER TABLE part DROP CONSTRAINT part_pkey CASCADE');
\set VERBOSITY terse
DROP INDEX CONCURRENTLY by_index_key;  -- fails
-- route 52: the key's type or domain, from another schema too
SELECT dg_test.ddl('DROP DOMAIN number CASCADE');
SELECT dg_test.ddl('DROP TYPE number CASCADE');
SELECT dg_test.ddl('DROP SCHEMA dg_refused_other CASCADE');
SELECT dg_test.ddl('DROP TYPE form CASCADE');
-- route 53: the type of a key column
SELECT dg_test.ddl('ALTER TABLE arch ALTER id TYPE bigint');
SELECT dg_test.ddl('ALTER TABLE arch ALTER id SET DATA TYPE int USING dg_refused_other.plus(id), ADD x int');
SELECT dg_test.ddl('ALTER TABLE arch ALTER name TYPE varchar(10) COLLATE "C"');
SELECT dg_test.ddl('ALTER TABLE above ALTER id TYPE bigint');
SELECT dg_test.ddl('ALTER TYPE form ALTER ATTRIBUTE id TYPE bigint CASCADE');
-- route 54, route 44: SET UNLOGGED, another access method
SELECT dg_test.ddl('ALTER TABLE arch SET UNLOGGED');
SELECT dg_test.ddl('ALTER TABLE by_index SET UNLOGGED');
SELECT dg_test.ddl('ALTER TABLE arch SET ACCESS METHOD heap');
SELECT dg_test.ddl('ALTER TABLE part_2 SET UNLOGGED');
-- route 55: DETACH, also CONCURRENTLY; NO INHERIT
SELECT dg_test.ddl('ALTER TABLE part DETACH PARTITION part_2');
SELECT dg_test.ddl('ALTER TABLE part DETACH PARTITION part_1');
SELECT dg_test.ddl('ALTER TABLE part_1 DETACH PARTITION part_1_1');
SELECT dg_test.ddl('ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY');
-- the hint names what can be approved, and no request is opened
\set VERBOSITY default
\set SHOW_CONTEXT never
ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY;  -- fails
SELECT delete_guard.request_change('part', 'ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY');  -- fails
\set VERBOSITY terse
SELECT dg_test.ddl('ALTER TABLE part DETACH PARTITION part_2 FINALIZE');
SELECT dg_test.ddl('ALTER TABLE child NO INHERIT parent');
-- route 56: DROP of a partition or a child
SELECT dg_test.ddl('DROP TABLE part_2');
SELECT dg_test.ddl('DROP TABLE part_1 CASCADE');
SELECT dg_test.ddl('DROP TABLE part_1_1');
SELECT dg_test.ddl('DROP TABLE child');
-- route 58: DISABLE TRIGGER, by name, USER, ALL, behind another subcommand
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER "00_delete_guard_delete"');
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER "00_delete_guard_key"');
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER "00_delete_guard_truncate"');
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER "00_delete_guard_key_unnamed"');
SELECT dg_test.ddl('ALTER TABLE arch ADD x int, DISABLE TRIGGER USER');
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER ALL');
-- route 59: ENABLE REPLICA, plain ENABLE (no longer ALWAYS)
SELECT dg_test.ddl('ALTER TABLE arch ENABLE REPLICA TRIGGER "00_delete_guard_delete"');
SELECT dg_test.ddl('ALTER TABLE arch ENABLE TRIGGER "00_delete_guard_delete"');
SELECT dg_test.ddl('ALTER TABLE arch ENABLE TRIGGER USER');
SELECT dg_test.ddl('ALTER TABLE arch ENABLE TRIGGER ALL');
-- route 60: disable, delete, enable again, with the error caught
DO $$
BEGIN
    BEGIN
        ALTER TABLE dg_refused.arch DISABLE TRIGGER USER;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING 'refused';
    END;
    RAISE WARNING '% triggers of ours are not as they were',
        (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'dg_refused.arch'::regclass AND tgname LIKE '00%'
         AND tgenabled <> (CASE WHEN tgname LIKE '%unnamed' THEN 'R' ELSE 'A' END)::"char");
END $$;
-- route 61: on one leaf
SELECT dg_test.ddl('ALTER TABLE part_2 DISABLE TRIGGER "00_delete_guard_delete"');
SELECT dg_test.ddl('ALTER TABLE part_1_1 DISABLE TRIGGER USER');
SELECT dg_test.ddl('ALTER TABLE ONLY part DISABLE TRIGGER USER');
SELECT dg_test.ddl('ALTER TABLE child DISABLE TRIGGER "00_delete_guard_truncate"');
-- route 63: DROP TRIGGER
SELECT dg_test.ddl('DROP TRIGGER "00_delete_guard_delete" ON arch');
SELECT dg_test.ddl('DROP TRIGGER IF EXISTS "00_delete_guard_key" ON dg_refused.arch CASCADE');
SELECT dg_test.ddl('DROP TRIGGER "00_delete_guard_truncate" ON part_2');
SELECT dg_test.ddl('DROP TRIGGER "00_delete_guard_delete" ON part');
SELECT dg_test.ddl('DROP TRIGGER "00_delete_guard_delete" ON part_2');
-- route 64: rename, replace
SELECT dg_test.ddl('ALTER TRIGGER "00_delete_guard_delete" ON arch RENAME TO zz');
SELECT dg_test.ddl('ALTER TRIGGER "00_delete_guard_delete" ON part RENAME TO zz');
SELECT dg_test.ddl('CREATE OR REPLACE TRIGGER "00_delete_guard_key" AFTER UPDATE ON arch FOR EACH ROW WHEN (false) EXECUTE FUNCTION delete_guard._guard_rows()');
SELECT dg_test.ddl('CREATE OR REPLACE TRIGGER "00_delete_guard_truncate" BEFORE TRUNCATE ON arch EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()');
SELECT dg_test.ddl('CREATE OR REPLACE TRIGGER "00_delete_guard_truncate" BEFORE TRUNCATE ON part_2 EXECUTE FUNCTION delete_guard._guard_end()');
SELECT dg_test.ddl('CREATE TRIGGER "00_delete_guard_end_delete" AFTER DELETE ON arch EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()');
-- route 65: hung on another extension
SELECT dg_test.ddl('ALTER TRIGGER "00_delete_guard_delete" ON arch DEPENDS ON EXTENSION plpgsql');
-- route 69: rules
SELECT dg_test.ddl(r) FROM unnest(ARRAY[
    'CREATE RULE r AS ON DELETE TO arch DO INSTEAD NOTHING',
    'CREATE OR REPLACE RULE r AS ON DELETE TO arch DO INSTEAD UPDATE arch SET id = id + 1 WHERE id = OLD.id',
    'CREATE RULE r AS ON UPDATE TO part_2 DO ALSO SELECT 1',
    'CREATE RULE r AS ON INSERT TO child WHERE NEW.id > 0 DO INSTEAD NOTHING']) AS r;
-- route 72: a foreign key that refers to a protected table, by name and by CASCADE
SELECT dg_test.ddl('ALTER TABLE pkg DROP CONSTRAINT pkg_arch');
SELECT dg_test.ddl('ALTER TABLE pkg ADD x int, DROP CONSTRAINT IF EXISTS pkg_name');
-- in a function, in DO, by EXECUTE, under the replica role
RESET ROLE;
SET session_replication_role = replica;
SELECT dg_test.ddl('ALTER TABLE dg_refused.arch DISABLE TRIGGER USER');
SELECT dg_test.ddl('DROP TABLE dg_refused.arch CASCADE');
SELECT dg_test.ddl('DROP SCHEMA dg_refused_other CASCADE');
RESET session_replication_role;
-- route 62: superusers
SELECT dg_test.ddl('ALTER TABLE dg_refused.arch DISABLE TRIGGER ALL');
SELECT dg_test.ddl('ALTER TABLE dg_refused.part_2 DISABLE TRIGGER ALL');
SELECT dg_test.ddl('DROP SCHEMA dg_refused CASCADE');
-- a name that only fits by search_path is the same change
SET search_path = dg_refused;
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER ALL');
RESET search_path;
-- whoever may not run a command is told so by PostgreSQL, and leaves no attempt
SELECT dg_test.last_event() AS mark \gset
SET ROLE regress_dg_alice;
SELECT dg_test.ddl(s) FROM unnest(ARRAY[
    'DROP TABLE dg_refused.arch', 'ALTER TABLE dg_refused.arch DISABLE TRIGGER ALL', 'ALTER TABLE dg_refused.arch DROP id',
    'DROP SCHEMA dg_refused CASCADE', 'CREATE RULE r AS ON DELETE TO dg_refused.arch DO INSTEAD NOTHING',
    'DROP TRIGGER "00_delete_guard_delete" ON dg_refused.arch', 'ALTER TABLE dg_refused.part DETACH PARTITION dg_refused.part_2',
    'CREATE OR REPLACE TRIGGER "00_delete_guard_truncate" BEFORE TRUNCATE ON dg_refused.arch EXECUTE FUNCTION delete_guard._guard_truncate()',
    'DROP EXTENSION delete_guard', 'DROP TABLE dg_refused.no_such', 'ALTER TABLE dg_refused.arch DISABLE TRIGGER no_such']) AS s;
RESET ROLE;
SELECT dg_test.last_event() = :mark AS no_attempt;
SELECT dg_test.ddl(s) FROM unnest(ARRAY['DROP TABLE dg_refused.no_such', 'ALTER TABLE dg_refused.arch DROP no_such',
    'ALTER TABLE dg_refused.arch DROP CONSTRAINT no_such', 'ALTER TABLE dg_refused.arch DISABLE TRIGGER no_such',
    'DROP TRIGGER no_such ON dg_refused.arch', 'ALTER TABLE no_such.arch DISABLE TRIGGER ALL', 'DROP TABLE IF EXISTS dg_refused.no_such CASCADE',
    'ALTER TABLE IF EXISTS dg_refused.no_such DROP x', 'DROP SCHEMA IF EXISTS no_such CASCADE', 'ALTER TABLE x.y.z DISABLE TRIGGER ALL']) AS s;
-- nothing has changed
SELECT count(*), count(*) FILTER (WHERE tgenabled = (CASE WHEN tgname LIKE '%unnamed' THEN 'R' ELSE 'A' END)::"char") AS as_they_should FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = 'dg_refused'::regnamespace AND tgname LIKE '00\_delete\_guard%';
CALL dg_test.release('dg_refused');
DROP SCHEMA dg_refused, dg_refused_other CASCADE;
