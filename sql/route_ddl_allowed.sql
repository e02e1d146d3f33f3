-- DDL that stays possible on protected tables: allowed and armed, or allowed and
-- recorded
CREATE SCHEMA dg_allowed AUTHORIZATION regress_dg_owner;
CREATE SCHEMA dg_allowed_to AUTHORIZATION regress_dg_owner;
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
SET search_path = dg_allowed;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE TABLE arch (id int PRIMARY KEY, name text NOT NULL UNIQUE, note text, spare int UNIQUE, gone int);
CREATE TABLE pkg (id int PRIMARY KEY, arch_id int CONSTRAINT pkg_arch REFERENCES arch);
CREATE TABLE part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE loose (id int PRIMARY KEY, v int);
CREATE TABLE parent (id int NOT NULL, v int);
CREATE TABLE root (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
SELECT delete_guard.protect(t) FROM unnest(ARRAY['arch', 'part', 'loose']::regclass[]) AS t \g /dev/null
INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 9) AS i;
INSERT INTO pkg VALUES (1, 1);
CREATE FUNCTION armed(regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat(replace(tgname, '00_delete_guard_', ''), CASE WHEN tgoldtable IS NOT NULL THEN ' (set)' END,
                             CASE WHEN tgparentid <> 0 THEN ' (clone)' END, CASE WHEN tgenabled <> (CASE WHEN tgname LIKE '%unnamed' THEN 'R' ELSE 'A' END)::"char" THEN ' NOT AS IT SHOULD' END), ', ' ORDER BY tgname)
    FROM pg_trigger WHERE tgrelid = $1 AND tgname LIKE '00\_delete\_guard%' $$;

-- route 66: RENAME in every spelling and SET SCHEMA, followed and recorded
SELECT dg_test.ddl(s, true) FROM unnest(ARRAY[
    'ALTER TABLE arch RENAME TO arch2', 'ALTER INDEX arch2 RENAME TO arch3', 'ALTER INDEX arch3 RENAME TO arch',
    'ALTER TABLE arch RENAME name TO label', 'ALTER TABLE arch RENAME CONSTRAINT arch_pkey TO arch_key',
    'ALTER TABLE part_1 RENAME TO part_one', 'ALTER TABLE part_one RENAME TO part_1',
    'ALTER TABLE arch SET SCHEMA dg_allowed_to']) AS s;
RESET ROLE;
SELECT dg_test.ddl('ALTER SCHEMA dg_allowed_to RENAME TO dg_allowed_two', true);
SET ROLE regress_dg_owner;
SELECT dg_test.ddl('ALTER TABLE dg_allowed_two.arch SET SCHEMA dg_allowed', true);
DELETE FROM arch WHERE id = 1;  -- fails
-- route 67: a swap is recorded; the new table is another one, and not protected
BEGIN;
ALTER TABLE arch RENAME TO arch_old;
CREATE TABLE arch (LIKE arch_old INCLUDING ALL);
INSERT INTO arch TABLE arch_old;
DELETE FROM arch;
SELECT table_id FROM delete_guard.protected_tables WHERE table_id IN ('arch'::regclass, 'arch_old'::regclass);
ROLLBACK;
-- route 68: OWNER, recorded, the guard goes on
RESET ROLE;
GRANT ALL ON SCHEMA dg_allowed TO regress_dg_carol;
SELECT dg_test.ddl('ALTER TABLE arch OWNER TO regress_dg_carol', true);
SET ROLE regress_dg_carol;
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER ALL');
SELECT dg_test.ddl('DROP TABLE arch CASCADE');
RESET ROLE;
REASSIGN OWNED BY regress_dg_carol TO regress_dg_owner;
SET ROLE regress_dg_owner;
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER ALL');
-- route 73: row security, recorded
SELECT dg_test.ddl(s) FROM unnest(ARRAY['ALTER TABLE arch ENABLE ROW LEVEL SECURITY', 'ALTER TABLE arch FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY']) AS s;

-- route 74: ordinary DDL, no event and nothing lost; that a foreign key went with what
-- referred is recorded
SELECT dg_test.ddl(s, true) FROM unnest(ARRAY[
    'ALTER TABLE arch ADD extra int DEFAULT 7, ADD more text', 'ALTER TABLE arch ALTER extra TYPE bigint, ALTER more SET STORAGE EXTERNAL',
    'ALTER TABLE arch ALTER extra SET NOT NULL', 'ALTER TABLE arch ADD CONSTRAINT positive CHECK (id > 0) NOT VALID', 'ALTER TABLE arch VALIDATE CONSTRAINT positive',
    'ALTER TABLE arch DROP CONSTRAINT positive, DROP COLUMN gone', 'CREATE INDEX arch_note ON arch (note)', 'DROP INDEX arch_note', 'ANALYZE arch', 'REINDEX TABLE arch',
    'CLUSTER arch USING arch_key', 'ALTER TABLE arch SET (fillfactor = 70), ALTER id SET STATISTICS 10, CLUSTER ON arch_key', 'ALTER TABLE arch REPLICA IDENTITY FULL',
    'CREATE STATISTICS arch_st ON id, extra FROM arch', 'COMMENT ON TABLE arch IS $c$x$c$', 'GRANT SELECT ON arch TO PUBLIC', 'CREATE VIEW v AS SELECT * FROM arch', 'DROP VIEW v',
    'CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'ALTER TABLE arch DISABLE TRIGGER t', 'ALTER TABLE arch ENABLE TRIGGER t',
    'ALTER TRIGGER t ON arch RENAME TO tt', 'DROP TRIGGER tt ON arch', 'ALTER TABLE arch ENABLE ALWAYS TRIGGER "00_delete_guard_delete"',
    'CREATE POLICY p ON arch USING (true)', 'DROP POLICY p ON arch', 'ALTER TABLE pkg ADD CONSTRAINT again FOREIGN KEY (arch_id) REFERENCES arch', 'ALTER TABLE pkg ALTER arch_id TYPE bigint',
    'ALTER TABLE pkg ALTER CONSTRAINT again DEFERRABLE', 'DROP TABLE pkg', 'CREATE TABLE pkg (id int PRIMARY KEY, arch_id int REFERENCES arch)', 'ALTER TABLE pkg DROP arch_id']) AS s;
VACUUM FULL arch;
VACUUM (ANALYZE) arch;
CREATE UNIQUE INDEX CONCURRENTLY arch_extra ON arch (extra, id);
DROP INDEX CONCURRENTLY arch_extra;
REINDEX TABLE CONCURRENTLY arch;
SELECT armed('arch');
-- a unique key that is not the key and that nothing refers to: the key trigger lets it go, and watches what is left
SELECT pg_get_triggerdef(oid) LIKE '%spare%' FROM pg_trigger WHERE tgrelid = 'arch'::regclass AND tgname = '00_delete_guard_key';
SELECT dg_test.ddl(s, true) FROM unnest(ARRAY['ALTER TABLE arch ALTER spare TYPE bigint', 'ALTER TABLE arch ADD UNIQUE (note)', 'ALTER TABLE arch DROP spare', 'ALTER TABLE arch DROP note CASCADE']) AS s;
SELECT armed('arch'), pg_get_triggerdef(oid) ~ 'spare|note[^_]' FROM pg_trigger WHERE tgrelid = 'arch'::regclass AND tgname = '00_delete_guard_key';
DELETE FROM arch WHERE id = 2;

-- of two unique indexes over one key either may go, but not both; the primary key stays
CREATE TABLE twice (id int NOT NULL UNIQUE);
CREATE UNIQUE INDEX twice_2 ON twice (id);
CREATE UNIQUE INDEX twice_3 ON twice (id) WHERE id > 0;
SELECT delete_guard.protect('twice') \g /dev/null
SELECT dg_test.ddl(s) FROM unnest(ARRAY['DROP INDEX twice_2', 'ALTER TABLE twice DROP CONSTRAINT twice_id_key', 'DROP INDEX twice_3',
    'ALTER TABLE twice DROP CONSTRAINT twice_id_key, ADD UNIQUE USING INDEX twice_2']) AS s;
CREATE UNIQUE INDEX twice_4 ON twice (id);
SELECT dg_test.ddl('DROP INDEX twice_2, twice_4');
DROP INDEX CONCURRENTLY twice_4;
DROP INDEX twice_2;
SELECT dg_test.ddl(s) FROM unnest(ARRAY['ALTER TABLE twice DROP CONSTRAINT twice_id_key', 'ALTER TABLE twice ADD UNIQUE (id), DROP CONSTRAINT twice_id_key']) AS s;

-- route 57: new and attached leaves are armed
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE part_2_1 PARTITION OF part_2 FOR VALUES FROM (10) TO (15);
CREATE TABLE part_3 (id int PRIMARY KEY, v int);
ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (20) TO (30);
SELECT t, armed(t) FROM unnest(ARRAY['part', 'part_1', 'part_2', 'part_2_1', 'part_3']::regclass[]) AS t;
-- a protected plain table that becomes a child or a partition has its triggers swapped, and back
SELECT armed('loose');
ALTER TABLE loose INHERIT parent;
SELECT armed('loose');
ALTER TABLE loose NO INHERIT parent;
SELECT armed('loose');
ALTER TABLE root ATTACH PARTITION loose FOR VALUES FROM (0) TO (10);
SELECT armed('loose');
INSERT INTO root VALUES (1);
CREATE TABLE to_root (id int REFERENCES root);
INSERT INTO to_root VALUES (1);
SELECT delete_guard.declare_reference('to_root', '{id}', 'loose') \g /dev/null
DELETE FROM root;  -- fails
ALTER TABLE to_root DROP CONSTRAINT to_root_id_fkey;  -- fails
SELECT delete_guard.protect('loose', 'log') \g /dev/null
ALTER TABLE to_root DROP CONSTRAINT to_root_id_fkey;
SELECT delete_guard.protect('loose') \g /dev/null
ALTER TABLE root DETACH PARTITION loose;
SELECT armed('loose');
DELETE FROM loose;  -- fails
-- into a protected one
ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (0) TO (10);  -- fails
SELECT armed('loose');
ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (90) TO (99);  -- fails
ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (30) TO (100);  -- fails
DELETE FROM to_root;
DELETE FROM loose;
ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (90) TO (99);
SELECT armed('loose');
-- a temporary child goes as it came
CREATE TEMP TABLE short () INHERITS (parent);
DROP TABLE short;
CALL dg_test.release('dg_allowed');
RESET ROLE;
DROP SCHEMA dg_allowed, dg_allowed_two CASCADE;
