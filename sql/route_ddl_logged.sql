-- In log mode the same DDL goes through, each command leaves one event, and the
-- tables are armed after it
CREATE SCHEMA dg_logged AUTHORIZATION regress_dg_owner;
CREATE SCHEMA dg_logged_other AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_logged TO PUBLIC;
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
SET search_path = dg_logged;
\pset format unaligned
\pset tuples_only on
CREATE DOMAIN number AS int;
CREATE TABLE arch (id number PRIMARY KEY, name text NOT NULL UNIQUE, note text, spare int UNIQUE);
CREATE TABLE pkg (id int PRIMARY KEY, arch_id int CONSTRAINT pkg_arch REFERENCES arch, name text CONSTRAINT pkg_name REFERENCES arch (name));
CREATE TABLE part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (20) TO (30);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
CREATE TABLE by_index (id int NOT NULL);
CREATE UNIQUE INDEX by_index_key ON by_index (id);
SELECT delete_guard.protect(t, 'log') FROM unnest(ARRAY['arch', 'part', 'parent', 'by_index']::regclass[]) AS t \g /dev/null
INSERT INTO arch VALUES (1, 'i586'), (2, 'x86_64'), (3, 'arm');
INSERT INTO pkg VALUES (1, 1, 'i586');
INSERT INTO part VALUES (1), (11), (21);
CREATE VIEW armed AS
    SELECT count(*) || ' triggers, not as they should fire: '
           || count(*) FILTER (WHERE tgenabled <> (CASE WHEN tgname LIKE '%unnamed' THEN 'R' ELSE 'A' END)::"char")
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = 'dg_logged'::regnamespace AND tgname LIKE '00\_delete\_guard%';
TABLE armed;

-- route 50
SELECT dg_test.ddl('DROP TABLE arch CASCADE');
SELECT dg_test.ddl('DROP SCHEMA dg_logged CASCADE');
-- route 51: the key trigger names the column, and makes way
SELECT dg_test.ddl('ALTER TABLE arch DROP COLUMN id CASCADE');
SELECT dg_test.ddl('ALTER TABLE arch DROP COLUMN name CASCADE');
SELECT dg_test.ddl('ALTER TABLE arch DROP CONSTRAINT arch_pkey CASCADE');
SELECT dg_test.ddl('DROP INDEX by_index_key');
\set VERBOSITY terse
DROP INDEX CONCURRENTLY by_index_key;  -- fails
-- route 52
SELECT dg_test.ddl('DROP DOMAIN number CASCADE');
-- route 53
SELECT dg_test.ddl('ALTER TABLE arch ALTER id TYPE bigint');
SELECT dg_test.ddl('ALTER TABLE arch ALTER name TYPE varchar(20), ALTER id TYPE int USING id + 0');
-- route 54
SELECT dg_test.ddl('ALTER TABLE by_index SET UNLOGGED');
-- route 55
SELECT dg_test.ddl('ALTER TABLE part DETACH PARTITION part_1');
SELECT dg_test.ddl('ALTER TABLE child NO INHERIT parent');
-- route 56
SELECT dg_test.ddl('DROP TABLE part_1');
-- routes 58 to 65
SELECT dg_test.ddl('ALTER TABLE arch DISABLE TRIGGER USER');
SELECT dg_test.ddl('ALTER TABLE arch ENABLE TRIGGER "00_delete_guard_key"');
SELECT dg_test.ddl('DROP TRIGGER "00_delete_guard_key" ON arch');
SELECT dg_test.ddl('ALTER TRIGGER "00_delete_guard_delete" ON arch RENAME TO zz');
SELECT dg_test.ddl('ALTER TRIGGER "00_delete_guard_delete" ON arch DEPENDS ON EXTENSION plpgsql');
-- routes 69 and 72
SELECT dg_test.ddl('CREATE RULE r AS ON DELETE TO arch DO INSTEAD NOTHING');
SELECT dg_test.ddl('ALTER TABLE pkg DROP CONSTRAINT pkg_arch');
-- several commands are several events
SELECT dg_test.ddl('ALTER TABLE pkg DROP CONSTRAINT pkg_arch; ALTER TABLE arch DISABLE TRIGGER USER; ALTER TABLE arch DISABLE TRIGGER USER');
TABLE armed;

-- Kept: a dropped key column, and what goes on with the rest
SELECT dg_test.ddl('ALTER TABLE arch ALTER id TYPE bigint', true);
SELECT dg_test.ddl('ALTER TABLE arch DROP COLUMN name CASCADE', true);
SELECT dg_test.ddl('ALTER TABLE arch DROP COLUMN spare', true);
TABLE armed;
DELETE FROM arch WHERE id = 2;
UPDATE arch SET id = 33 WHERE id = 3;
SELECT dg_test.ddl('ALTER TABLE arch DROP CONSTRAINT arch_pkey CASCADE', true);
SELECT dg_test.ddl('ALTER TABLE arch DROP COLUMN id', true);
TABLE armed;
DELETE FROM arch;
RESET ROLE;
SELECT operation, outcome, table_name, row_count FROM delete_guard.audit_log WHERE table_id = 'arch'::regclass AND operation NOT IN ('ddl', 'protect') ORDER BY event_id;
SELECT key, old_row FROM delete_guard.audit_rows r JOIN delete_guard.audit_log l USING (event_id)
WHERE table_id = 'arch'::regclass AND effect IN ('delete', 'key change') ORDER BY event_id, row_number;
SET ROLE regress_dg_owner;
-- a partition that was detached has lost our triggers, also one that was CONCURRENTLY
SELECT dg_test.ddl('ALTER TABLE part DETACH PARTITION part_1', true);
SELECT dg_test.last_event() AS mark \gset
ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY;
SELECT dg_test.ddl_events(:mark);
DELETE FROM part_1;
TRUNCATE part_2;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('part_1'::regclass, 'part_2'::regclass);
-- a child that went its own way too
SELECT dg_test.ddl('ALTER TABLE child NO INHERIT parent', true);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'child'::regclass;
TABLE armed;
-- a table that was dropped is no longer registered, nor are references to it and its approvers
RESET ROLE;
SELECT delete_guard.protect('dg_logged.pkg', 'log') \g /dev/null
CREATE TABLE dg_logged.soft (pkg_id int);
SELECT delete_guard.declare_reference('dg_logged.soft', '{pkg_id}', 'dg_logged.pkg') \g /dev/null
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_logged.pkg') \g /dev/null
SELECT dg_test.ddl('DROP TABLE dg_logged.pkg, dg_logged.soft', true);
SELECT (SELECT count(*) FROM delete_guard.protected_table WHERE table_id::oid NOT IN (SELECT oid FROM pg_class)),
       (SELECT count(*) FROM delete_guard.declared_reference WHERE referenced::oid NOT IN (SELECT oid FROM pg_class)),
       (SELECT count(*) FROM delete_guard.approver WHERE table_id::oid <> 0 AND table_id::oid NOT IN (SELECT oid FROM pg_class));
-- route 72: a reference that goes with the column or table that refers leaves an event
CREATE TABLE dg_logged.wanted (id int PRIMARY KEY);
CREATE TABLE dg_logged.wants (wanted_id int, note text, by_fk int REFERENCES dg_logged.wanted, again int REFERENCES dg_logged.wanted);
SELECT delete_guard.protect('dg_logged.wanted') \g /dev/null
SELECT delete_guard.declare_reference('dg_logged.wants', '{wanted_id}', 'dg_logged.wanted') \g /dev/null
SELECT dg_test.last_event() AS since \gset
ALTER TABLE dg_logged.wants DROP COLUMN note;
ALTER TABLE dg_logged.wants DROP COLUMN wanted_id;
ALTER TABLE dg_logged.wants DROP COLUMN by_fk;
ALTER TABLE dg_logged.wants DROP CONSTRAINT wants_again_fkey;  -- fails
DROP TABLE dg_logged.wants;
SELECT outcome, table_name, details ->> 'lost_reference', regexp_replace(details ->> 'action', 'digest [0-9a-f]+', 'digest')
  FROM delete_guard.event WHERE event_id > :since ORDER BY event_id;
CALL dg_test.release('dg_logged');
DROP SCHEMA dg_logged, dg_logged_other CASCADE;
