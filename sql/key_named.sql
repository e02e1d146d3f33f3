-- Key triggers are made for updates that name a key; a key that changes unnamed is seen all the same
CREATE SCHEMA dg_named AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_named TO PUBLIC;
SET search_path = dg_named;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
-- what was recorded since the last time
\set seen 'SELECT coalesce(string_agg(concat_ws('' '', operation, table_name, rows), '', ''), ''nothing'') FROM dg_test.news()'
-- which updates a key trigger is made for
CREATE FUNCTION made_for(regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat(replace(tgname, '00_delete_guard_', ''), ': ', coalesce((
               SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = tgrelid AND attnum = ANY (tgattr)), 'every update')),
           '; ' ORDER BY tgname)
    FROM pg_trigger WHERE tgrelid = $1 AND tgname IN ('00_delete_guard_key', '00_delete_guard_key_own') $$;
-- the row's key moves when its note changes
CREATE FUNCTION rekey() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.note IS DISTINCT FROM OLD.note THEN
        NEW.id := OLD.id + 1000;
    END IF;
    RETURN NEW;
END $$;
CREATE TABLE arch (note text, id int PRIMARY KEY, code text UNIQUE, n int);
CREATE TABLE part (note text, id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10000);
CREATE TABLE part_2 (n int UNIQUE, id int NOT NULL, note text);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (10000) TO (20000);
CREATE TABLE base (id int PRIMARY KEY, note text);
CREATE TABLE derived (PRIMARY KEY (id)) INHERITS (base);
CREATE TABLE soft (code text, n int);
CREATE TABLE to_part_2 (n int REFERENCES part_2 (n));
SELECT delete_guard.protect(t, 'log') FROM unnest(ARRAY['arch', 'part', 'base']::regclass[]) AS t \g /dev/null
SELECT delete_guard.declare_reference('soft', '{code}', 'arch', '{code}') \g /dev/null
INSERT INTO arch SELECT 'n', i, 'c' || i, i FROM generate_series(1, 60) AS i;
INSERT INTO part SELECT 'n', i, i FROM generate_series(1, 20) AS i UNION ALL SELECT 'n', i, i FROM generate_series(10001, 10020) AS i;
INSERT INTO base SELECT i, 'n' FROM generate_series(1, 20) AS i;
INSERT INTO derived SELECT i, 'n' FROM generate_series(101, 120) AS i;
SELECT t, made_for(t) FROM unnest('{arch,part,part_1,part_2,base,derived}'::regclass[]) AS t;

-- Every statement that names a key, in every way
UPDATE arch SET note = 'x', n = n + 100, id = 101 WHERE id = 1;
:seen;
UPDATE arch SET (code, note) = (SELECT 'c102', 'x') WHERE id = 2;
:seen;
UPDATE arch SET id = DEFAULT WHERE id = 3;  -- fails
INSERT INTO arch VALUES ('n', 4) ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.note, code = 'c104';
:seen;
INSERT INTO arch VALUES ('n', 5, 'c105', 1), ('m', 61, 'c61', 2) ON CONFLICT (id) DO UPDATE SET code = EXCLUDED.code;
:seen;
MERGE INTO arch AS t USING (VALUES (7, 'a'), (8, 'b'), (62, 'c')) AS v(i, w) ON id = i
    WHEN MATCHED AND w = 'a' THEN UPDATE SET note = 'merged' WHEN MATCHED THEN UPDATE SET id = 108 WHEN NOT MATCHED THEN INSERT VALUES ('m', i);
:seen;
CREATE VIEW renamed AS SELECT n AS note, id AS number, note AS id FROM arch WHERE id > 0 WITH CHECK OPTION;
CREATE VIEW twice AS SELECT number AS key, note FROM renamed;
UPDATE renamed SET number = 109 WHERE number = 9;
:seen;
UPDATE renamed SET id = 'i', note = 7 WHERE number = 10;
:seen;
UPDATE twice SET key = 111 WHERE key = 11;
:seen;
CREATE VIEW by_rule AS SELECT id, note FROM arch;
CREATE RULE upd AS ON UPDATE TO by_rule DO INSTEAD UPDATE arch SET id = OLD.id + 100 WHERE id = OLD.id;
UPDATE by_rule SET note = 'only' WHERE id = 12;
:seen;
CREATE VIEW by_trigger AS SELECT id, note FROM arch;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE arch SET id = OLD.id + 100 WHERE id = OLD.id; RETURN NEW; END $$;
CREATE TRIGGER upd INSTEAD OF UPDATE ON by_trigger FOR EACH ROW EXECUTE FUNCTION instead();
UPDATE by_trigger SET note = 'only' WHERE id = 13;
:seen;
PREPARE p (int) AS UPDATE arch SET id = $1 + 100 WHERE id = $1;
EXECUTE p (14);
:seen;
DO $$ DECLARE c CURSOR FOR SELECT * FROM arch WHERE id = 15 FOR UPDATE; r record; BEGIN OPEN c; FETCH c INTO r; UPDATE arch SET id = 115 WHERE CURRENT OF c; END $$;
:seen;
WITH u AS (UPDATE arch SET id = 116 WHERE id = 16 RETURNING note), v AS (UPDATE arch SET note = u.note FROM u WHERE id = 17 RETURNING 1) TABLE v;
:seen;
CREATE TABLE follower (arch_id int PRIMARY KEY REFERENCES arch ON UPDATE CASCADE, note text);
SELECT delete_guard.protect('follower', 'log') \g /dev/null
INSERT INTO follower VALUES (18), (19);
BEGIN;
UPDATE arch SET id = 118 WHERE id = 18;
UPDATE follower SET note = 'x';
COMMIT;
:seen;
-- partitions, by the root and the leaf, moving and not; a leaf's own key; inheritance children
UPDATE part SET id = 101 WHERE id = 1;
:seen;
UPDATE part_1 SET id = 102 WHERE id = 2;
:seen;
UPDATE part SET id = 10101 WHERE id = 3;
:seen;
UPDATE part SET n = 20001 WHERE id = 10001;
:seen;
UPDATE part_2 SET n = 20002, id = 10102 WHERE id = 10002;
:seen;
INSERT INTO part VALUES ('n', 10003, 1) ON CONFLICT (id) DO UPDATE SET n = 20003;
:seen;
MERGE INTO part USING (VALUES (4), (10004)) AS v(i) ON id = i WHEN MATCHED THEN UPDATE SET n = 30000 + i;
:seen;
UPDATE base SET id = id + 200 WHERE id IN (1, 101);
:seen;
-- and what names none
UPDATE arch SET note = 'y', n = 0;
UPDATE part SET note = 'y';
UPDATE part_1 SET n = n + 1;
UPDATE base SET note = 'y';
UPDATE derived SET note = 'y';
INSERT INTO arch VALUES ('n', 20) ON CONFLICT (id) DO UPDATE SET note = 'z';
UPDATE arch SET id = id, code = code;
:seen;

-- A BEFORE trigger changes what the statement does not name: from the next statement on, by whatever command it came
BEGIN;
CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
SELECT made_for('arch');
UPDATE arch SET note = 'moves' WHERE id = 21;
COMMIT;
:seen;
UPDATE arch SET note = 'moves' WHERE id IN (22, 23);
:seen;
-- its list of columns, when it fires and whether it is enabled say nothing about what it changes
DROP TRIGGER t ON arch;
SELECT delete_guard.protect('arch', 'log') \g /dev/null
SELECT made_for('arch');
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF note ON arch FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION rekey();
ALTER TABLE arch DISABLE TRIGGER t;
SELECT made_for('arch');
SELECT delete_guard.protect('arch', 'log') \g /dev/null
ALTER TABLE arch ENABLE TRIGGER t;
UPDATE arch SET note = 'moves too' WHERE id = 24;
:seen;
DROP TRIGGER t ON arch;
-- other triggers change nothing: none of these is BEFORE UPDATE of a row
SELECT delete_guard.protect('arch', 'log') \g /dev/null
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER a AFTER UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER b BEFORE UPDATE ON arch FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE TRIGGER c BEFORE INSERT OR DELETE ON arch FOR EACH ROW EXECUTE FUNCTION pass();
CREATE CONSTRAINT TRIGGER d AFTER UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT made_for('arch');
-- until one is replaced
CREATE OR REPLACE TRIGGER a BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
SELECT made_for('arch');
UPDATE arch SET note = 'replaced' WHERE id = 25;
:seen;
DROP TRIGGER a ON arch;
SELECT delete_guard.protect('arch', 'log') \g /dev/null
-- by somebody who may only make triggers
GRANT TRIGGER ON arch TO regress_dg_alice;
SET ROLE regress_dg_alice;
CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
SET ROLE regress_dg_owner;
SELECT made_for('arch');
UPDATE arch SET note = 'by alice' WHERE id = 26;
:seen;
DROP TRIGGER t ON arch;
-- in a savepoint that is rolled back, and not
SELECT delete_guard.protect('arch', 'log') \g /dev/null
BEGIN;
SAVEPOINT s;
CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
ROLLBACK TO s;
SELECT made_for('arch');
CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
UPDATE arch SET note = 'savepoint' WHERE id = 27;
COMMIT;
:seen;
-- within a function, which the same statement goes on after
DROP TRIGGER t ON arch;
SELECT delete_guard.protect('arch', 'log') \g /dev/null
DO $$ BEGIN
    UPDATE arch SET note = 'before' WHERE id = 28;
    CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
    UPDATE arch SET note = 'after' WHERE id = 28;
END $$;
:seen;
DROP TRIGGER t ON arch;
SELECT delete_guard.protect('arch', 'log') \g /dev/null

-- Partitions: one trigger in the hierarchy, and none has a list
CREATE TRIGGER t BEFORE UPDATE ON part_1 FOR EACH ROW EXECUTE FUNCTION rekey();
SELECT t, made_for(t) FROM unnest('{part,part_1,part_2}'::regclass[]) AS t;
UPDATE part SET note = 'leaf' WHERE id IN (5, 10005);
UPDATE part_1 SET note = 'leaf' WHERE id = 6;
:seen;
DROP TRIGGER t ON part_1;
SELECT delete_guard.protect('part', 'log') \g /dev/null
SELECT t, made_for(t) FROM unnest('{part,part_1,part_2}'::regclass[]) AS t;
CREATE TRIGGER t BEFORE UPDATE ON part FOR EACH ROW EXECUTE FUNCTION rekey();
UPDATE part_1 SET note = 'root' WHERE id = 7;
UPDATE part SET note = 'root' WHERE id = 10007;
:seen;
CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (20000) TO (30000);
SELECT made_for('part_3');
INSERT INTO part_3 VALUES ('n', 20001);
UPDATE part_3 SET note = 'new';
:seen;
DROP TRIGGER t ON part;
DROP TABLE part_3;
SELECT delete_guard.protect('part', 'log') \g /dev/null
-- it comes with a table that is attached, below it or inside a new schema
CREATE TABLE comes (note text, id int NOT NULL, n int);
CREATE TRIGGER t BEFORE UPDATE ON comes FOR EACH ROW EXECUTE FUNCTION rekey();
INSERT INTO comes VALUES ('n', 30001), ('n', 30002);
ALTER TABLE part ATTACH PARTITION comes FOR VALUES FROM (30000) TO (40000);
SELECT t, made_for(t) FROM unnest('{part,part_1,part_2,comes}'::regclass[]) AS t;
UPDATE part SET note = 'comes' WHERE id = 30001;
UPDATE comes SET note = 'comes' WHERE id = 30002;
:seen;
ALTER TABLE part DETACH PARTITION comes;
SELECT delete_guard.protect('part', 'log') \g /dev/null
CREATE TABLE below (note text, id int NOT NULL, n int) PARTITION BY RANGE (id);
ALTER TABLE below ATTACH PARTITION comes FOR VALUES FROM (30000) TO (40000);
ALTER TABLE part ATTACH PARTITION below FOR VALUES FROM (30000) TO (50000);
SELECT t, made_for(t) FROM unnest('{part,part_1,below,comes}'::regclass[]) AS t;
UPDATE below SET note = 'deeper' WHERE id = 31001;
:seen;
ALTER TABLE part DETACH PARTITION below;
SELECT delete_guard.protect('part', 'log') \g /dev/null
RESET ROLE;
CREATE SCHEMA dg_named_new AUTHORIZATION regress_dg_owner
    CREATE TABLE part_4 PARTITION OF dg_named.part FOR VALUES FROM (50000) TO (60000)
    CREATE TRIGGER t BEFORE UPDATE ON part_4 FOR EACH ROW EXECUTE FUNCTION dg_named.rekey();
SET ROLE regress_dg_owner;
SELECT t, made_for(t) FROM unnest('{part,part_1,dg_named_new.part_4}'::regclass[]) AS t;
INSERT INTO part VALUES ('n', 50001);
UPDATE part SET note = 'new schema' WHERE id = 50001;
:seen;
-- inheritance children
CREATE TRIGGER t BEFORE UPDATE ON derived FOR EACH ROW EXECUTE FUNCTION rekey();
SELECT t, made_for(t) FROM unnest('{base,derived}'::regclass[]) AS t;
UPDATE base SET note = 'child' WHERE id IN (2, 102);
UPDATE derived SET note = 'child' WHERE id = 103;
:seen;
DROP TRIGGER t ON derived;
SELECT delete_guard.protect('base', 'log') \g /dev/null
CREATE TABLE joins (id int PRIMARY KEY, note text);
CREATE TRIGGER t BEFORE UPDATE ON joins FOR EACH ROW EXECUTE FUNCTION rekey();
INSERT INTO joins VALUES (301, 'n');
ALTER TABLE joins INHERIT base;
SELECT t, made_for(t) FROM unnest('{base,derived,joins}'::regclass[]) AS t;
UPDATE base SET note = 'joins' WHERE id = 301;
:seen;

-- A generated key changes with the columns that it is made from
CREATE TABLE made (id int PRIMARY KEY, first text, double text GENERATED ALWAYS AS (first || first) STORED UNIQUE);
SELECT delete_guard.protect('made', 'log') \g /dev/null
SELECT delete_guard.declare_reference('soft', '{code}', 'made', '{double}') \g /dev/null
SELECT made_for('made');
INSERT INTO made VALUES (1, 'a');
UPDATE made SET first = 'b';
:seen;

-- The list follows the keys
CREATE TABLE keys (a int PRIMARY KEY, b int NOT NULL, c int, d int, note text);
CREATE UNIQUE INDEX ON keys (d);
SELECT delete_guard.protect('keys', 'log') \g /dev/null
SELECT made_for('keys');
INSERT INTO keys SELECT i, i, i, i FROM generate_series(1, 9) AS i;
UPDATE keys SET b = 11, c = 11 WHERE a = 1;
:seen;
ALTER TABLE keys ADD UNIQUE (b);
SELECT made_for('keys');
CREATE TABLE to_keys (b int REFERENCES keys (b), n int);
UPDATE keys SET b = 12 WHERE a = 2;
:seen;
CREATE UNIQUE INDEX ON keys (c);
SELECT delete_guard.declare_reference('to_keys', '{n}', 'keys', '{c}') \g /dev/null
SELECT delete_guard.declare_reference('to_keys', '{n}', 'keys', '{d}') \g /dev/null
SELECT made_for('keys');
UPDATE keys SET c = 13 WHERE a = 3;
UPDATE keys SET d = 14 WHERE a = 4;
:seen;
ALTER TABLE keys ADD e int UNIQUE, ADD f int GENERATED ALWAYS AS (b * 2) STORED UNIQUE;
SELECT made_for('keys');
CREATE TABLE to_e_f (e int REFERENCES keys (e), f int REFERENCES keys (f));
UPDATE keys SET e = 5 WHERE a = 5;
:seen;
DROP TABLE to_e_f;
ALTER TABLE keys DROP f;
ALTER TABLE keys RENAME e TO ee;
SELECT delete_guard.protect('keys', 'log') \g /dev/null
SELECT made_for('keys');
CREATE TABLE to_ee (ee bigint REFERENCES keys (ee));
ALTER TABLE keys ALTER ee TYPE bigint;
SELECT made_for('keys');
UPDATE keys SET ee = 6 WHERE a = 6;
:seen;
ALTER TABLE keys DROP ee CASCADE;
SELECT made_for('keys');

-- In replica role somebody may change rows without a word about columns.  Here the
-- key trigger asks for another column than the one that is named.
CREATE TABLE strict (id int PRIMARY KEY, note text);
INSERT INTO strict VALUES (1), (2);
SELECT delete_guard.protect('strict', 'block', 'all') \g /dev/null
RESET ROLE;
SET session_replication_role = replica;
UPDATE pg_trigger SET tgattr = '2' WHERE tgrelid = 'strict'::regclass AND tgname = '00_delete_guard_key';
UPDATE strict SET note = 'other';
UPDATE strict SET id = id WHERE id = 2;
UPDATE strict SET id = 11 WHERE id = 1;  -- fails
:seen;
UPDATE pg_trigger SET tgattr = '4' WHERE tgrelid = 'arch'::regclass AND tgname = '00_delete_guard_key';
UPDATE arch SET id = id + 900 WHERE id IN (40, 41);
:seen;
UPDATE part SET note = 'other';
UPDATE pg_trigger SET tgattr = '3' WHERE tgname = '00_delete_guard_key' AND tgrelid IN ('part'::regclass, 'part_2'::regclass);
UPDATE part SET id = id + 900 WHERE id IN (10008, 10009);
UPDATE part SET note = 'other again';
:seen;
-- once, where it has judged the row
SELECT delete_guard.protect(t, 'log') FROM unnest(ARRAY['arch', 'part']::regclass[]) AS t \g /dev/null
UPDATE arch SET id = id + 900 WHERE id IN (42, 43);
UPDATE part SET n = n + 50000 WHERE id IN (10010, 10011);
UPDATE arch SET code = NULL WHERE id = 44;
:seen;
-- what was judged before a savepoint was rolled back is not what comes after it
BEGIN;
SAVEPOINT s;
UPDATE arch SET id = 945 WHERE id = 45;
ROLLBACK TO s;
UPDATE pg_trigger SET tgattr = '4' WHERE tgrelid = 'arch'::regclass AND tgname = '00_delete_guard_key';
UPDATE arch SET id = 945 WHERE id = 45;
COMMIT;
:seen;
RESET session_replication_role;
SET ROLE regress_dg_owner;
SELECT delete_guard.protect('arch', 'log') \g /dev/null

-- Without event triggers: the transaction that makes such a trigger cannot commit
RESET ROLE;
SELECT made_for('arch');
UPDATE pg_event_trigger SET evtenabled = 'D' WHERE evtname LIKE 'delete\_guard\_ddl\_%';
BEGIN;
CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
COMMIT;  -- fails
BEGIN;
CREATE TRIGGER t BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
SELECT delete_guard.protect('arch', 'log') \g /dev/null
COMMIT;
UPDATE pg_event_trigger SET evtenabled = 'A' WHERE evtname LIKE 'delete\_guard\_ddl\_%';
SELECT made_for('arch');
-- and health() tells, of what nobody saw
SELECT count(*) FROM delete_guard.health() WHERE subject = 'table dg_named.arch';
UPDATE pg_trigger SET tgattr = '2 3' WHERE tgrelid = 'arch'::regclass AND tgname = '00_delete_guard_key';
SELECT severity, problem, remedy FROM delete_guard.health() WHERE subject = 'table dg_named.arch';
SELECT remedy FROM delete_guard.health() WHERE subject = 'table dg_named.arch' \gexec
SELECT count(*) FROM delete_guard.health() WHERE subject = 'table dg_named.arch';
UPDATE arch SET note = 'mended' WHERE id = 50;
:seen;

RESET ROLE;
SELECT count(delete_guard.forget_reference(name)) FROM unnest('{arch,made,keys}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared';
CALL dg_test.release('dg_named');
DROP SCHEMA dg_named, dg_named_new CASCADE;
