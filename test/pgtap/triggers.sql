-- The triggers of a protected table: names, always enabled, before those of
-- foreign keys; gone after unprotect().
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

CREATE TABLE plain (id int PRIMARY KEY, parent int REFERENCES plain ON DELETE CASCADE, name text UNIQUE);
CREATE TABLE pkg (plain_id int REFERENCES plain);
CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE part_1a PARTITION OF part_1 FOR VALUES FROM (0) TO (5);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
CREATE TABLE other (id int PRIMARY KEY);

CREATE TEMP VIEW guards AS
    SELECT t.tgrelid::regclass AS rel, t.tgname, t.tgenabled, t.tgtype, t.tgoldtable, t.tgfoid::regproc::text COLLATE "C" AS function,
           t.tgtype & 1 <> 0 AS row, t.tgtype & 2 <> 0 AS before, t.tgtype & 8 <> 0 AS del, t.tgtype & 16 <> 0 AS upd, t.tgtype & 32 <> 0 AS trunc
      FROM pg_trigger t
     WHERE t.tgfoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'delete_guard'::regnamespace AND proname <> '_guard_own');

SELECT is_empty('SELECT FROM guards', 'no table has a guard before protect()');
SELECT delete_guard.protect(t) FROM unnest('{plain,part,parent}'::regclass[]) t;

SELECT set_eq($$SELECT tgname FROM guards WHERE rel = 'plain'::regclass$$,
    ARRAY['00_delete_guard_delete', '00_delete_guard_key', '00_delete_guard_truncate', '00_delete_guard_key_unnamed']::name[],
    'plain table: names of the triggers');
SELECT set_eq(format($$SELECT tgname FROM guards WHERE rel = %L::regclass$$, t),
    ARRAY['00_delete_guard_delete', '00_delete_guard_key', '00_delete_guard_key_unnamed', '00_delete_guard_truncate', '00_delete_guard_end_update', '00_delete_guard_end_delete']::name[],
    t || ': names of the triggers')
FROM unnest('{part,part_1,part_1a,part_2,parent,child}'::text[]) t;
SELECT is_empty($$SELECT rel, tgname FROM guards WHERE tgenabled <> 'A' AND tgname <> '00_delete_guard_key_unnamed'$$,
    'every trigger but one is ENABLE ALWAYS');
SELECT is_empty($$SELECT rel, tgname FROM guards WHERE tgenabled <> 'R' AND tgname = '00_delete_guard_key_unnamed'$$,
    'which fires in replica role');
SELECT is_empty($$SELECT rel, tgname FROM guards WHERE rel = 'other'::regclass OR rel = 'pkg'::regclass$$, 'other tables have none');
SELECT results_eq(
    $$SELECT tgname::text COLLATE "C", function, row, before, del, upd, trunc FROM guards WHERE rel = 'plain'::regclass ORDER BY tgname$$,
    $$SELECT n COLLATE "C", f COLLATE "C", a, b, c, d, e FROM (VALUES ('00_delete_guard_delete', 'delete_guard._guard_rows', true, false, true, false, false),
             ('00_delete_guard_key', 'delete_guard._guard_rows', true, false, false, true, false),
             ('00_delete_guard_key_unnamed', 'delete_guard._guard_rows', true, false, false, true, false),
             ('00_delete_guard_truncate', 'delete_guard._guard_truncate', false, true, false, false, true)) AS x(n, f, a, b, c, d, e)$$,
    'plain table: when they fire');
SELECT is((SELECT count(*) FROM guards WHERE tgoldtable IS NOT NULL), 1::bigint, 'the plain table alone has a transition table');
SELECT set_eq($$SELECT rel::text, guards.tgname, ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = rel AND attnum = ANY (t.tgattr) ORDER BY 1) AS columns
      FROM guards JOIN pg_trigger t ON t.tgrelid = rel AND t.tgname = guards.tgname WHERE cardinality(t.tgattr) > 0$$,
    $$SELECT rel, '00_delete_guard_key'::name AS trigger, CASE rel WHEN 'plain' THEN '{id,name}' ELSE '{id}' END::name[] AS columns
      FROM unnest('{plain,part,part_1,part_1a,part_2,parent,child}'::text[]) AS rel$$,
    'the key triggers are for updates that name a key');
CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER quiet BEFORE UPDATE ON part_1a FOR EACH ROW EXECUTE FUNCTION quiet();
SELECT is_empty($$SELECT FROM guards JOIN pg_trigger t ON t.tgrelid = rel AND t.tgname = guards.tgname
      WHERE cardinality(t.tgattr) > 0 AND rel::text LIKE 'part%' AND rel <> 'parent'::regclass$$,
    'for every update, where one table of the hierarchy has a trigger that may change a key');
DROP TRIGGER quiet ON part_1a;
SELECT is(
    (SELECT array_agg(CASE WHEN tgname LIKE '00\_delete\_guard%' THEN 'guard' ELSE 'key' END ORDER BY tgname COLLATE "C")
       FROM pg_trigger WHERE tgrelid = 'plain'::regclass AND tgtype & 1 <> 0 AND tgtype & 8 <> 0),
    ARRAY['guard', 'key', 'key'], 'it fires before the triggers of foreign keys');
SELECT is_empty($$SELECT FROM pg_trigger t JOIN guards g ON g.rel = t.tgrelid AND g.tgname = t.tgname WHERE t.tgisinternal$$, 'they are ordinary triggers');

-- Partitions that come later, and again.
CREATE TABLE part_1b PARTITION OF part_1 FOR VALUES FROM (5) TO (10);
SELECT ok(EXISTS (SELECT FROM guards WHERE rel = 'part_1b'::regclass AND tgname = '00_delete_guard_delete' AND tgenabled = 'A')
    AND EXISTS (SELECT FROM guards WHERE rel = 'part_1b'::regclass AND tgname = '00_delete_guard_key' AND tgenabled = 'A'),
    'a new partition has the row triggers at once');
SELECT delete_guard.protect('part', 'log');
SELECT set_eq($$SELECT tgname FROM guards WHERE rel = 'part_1b'::regclass$$,
    ARRAY['00_delete_guard_delete', '00_delete_guard_key', '00_delete_guard_key_unnamed', '00_delete_guard_truncate', '00_delete_guard_end_update', '00_delete_guard_end_delete']::name[],
    'protect() again completes it');
SELECT delete_guard.protect('plain', 'log');
SELECT is((SELECT count(*) FROM guards WHERE rel = 'plain'::regclass), 4::bigint, 'protect() again doubles nothing');

SELECT delete_guard.unprotect(t) FROM unnest('{plain,part,parent}'::regclass[]) t;
SELECT is_empty('SELECT rel, tgname FROM guards', 'no table has a guard after unprotect()');
SELECT is_empty('SELECT FROM delete_guard.protected_tables', 'nor is it listed');

SELECT * FROM finish();
ROLLBACK;
