-- Ordinary DDL on partitions of protected tables is as free as without the guard
CREATE SCHEMA dg_part_ddl AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_part_ddl TO PUBLIC;
SET search_path = dg_part_ddl;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
-- How many guard triggers a relation has
CREATE FUNCTION armed(rel regclass, OUT triggers bigint, OUT as_should boolean) LANGUAGE sql AS $$
    SELECT count(*), bool_and(tgenabled = (CASE WHEN tgname LIKE '%unnamed' THEN 'R' ELSE 'A' END)::"char") FROM pg_trigger WHERE tgrelid = rel AND tgname LIKE '00\_delete\_guard%';
$$;

-- A new partition while another has rows waiting for a deferred check, or is
-- being read: only the new one is touched, and it is guarded at once
CREATE TABLE color (id int PRIMARY KEY);
CREATE TABLE item (id int PRIMARY KEY, color_id int REFERENCES color DEFERRABLE INITIALLY DEFERRED) PARTITION BY RANGE (id);
CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (0) TO (100);
CREATE TABLE to_item (item_id int);
SELECT delete_guard.protect('item');
SELECT delete_guard.declare_reference('to_item', '{item_id}', 'item');
INSERT INTO color VALUES (1);
INSERT INTO to_item VALUES (101), (201), (301);
BEGIN;
INSERT INTO item VALUES (60, 1);
CREATE TABLE item_2 PARTITION OF item FOR VALUES FROM (100) TO (200);
COMMIT;
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM dg_part_ddl.item_1 LOOP
        EXECUTE 'CREATE TABLE dg_part_ddl.item_3 PARTITION OF dg_part_ddl.item FOR VALUES FROM (200) TO (300)';
        EXIT;
    END LOOP;
END $$;
CREATE TABLE item_4 (id int NOT NULL, color_id int);
BEGIN;
INSERT INTO item VALUES (61, 1);
ALTER TABLE item ATTACH PARTITION item_4 FOR VALUES FROM (300) TO (400);
COMMIT;
SELECT t, (armed(t)).* FROM unnest('{item_1,item_2,item_3,item_4}'::regclass[]) AS t;
INSERT INTO item VALUES (101), (102), (201), (202), (301), (302);
DELETE FROM item WHERE id = 101;  -- fails
DELETE FROM item_3 WHERE id = 201;  -- fails
TRUNCATE item_4;  -- fails
DELETE FROM item WHERE id % 100 = 2;
SELECT array_agg(id ORDER BY id) FROM item;
SELECT operation, outcome, table_name, rows, images FROM dg_test.news();
-- it takes no lock on its sisters that writers would wait for
BEGIN;
CREATE TABLE item_5 PARTITION OF item FOR VALUES FROM (400) TO (500);
SELECT relation::regclass, mode FROM pg_locks
WHERE relation IN ('item_1'::regclass, 'item_2'::regclass) AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
ROLLBACK;

-- Partitions that are protected by themselves, then with their table: when one
-- is released, the table's protection stays; when the table is, the other one's
CREATE TABLE zone (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE zone_1 PARTITION OF zone FOR VALUES FROM (0) TO (10);
CREATE TABLE zone_2 PARTITION OF zone FOR VALUES FROM (10) TO (20);
SELECT delete_guard.protect('zone_1', 'log');
SELECT delete_guard.protect('zone_2', scope => 'all');
SELECT delete_guard.protect('zone', scope => 'all');
INSERT INTO zone VALUES (1), (2), (11);
SELECT delete_guard.unprotect('zone_1');
SELECT table_id::regclass, mode FROM delete_guard.protected_tables WHERE table_id = ANY ('{zone,zone_1,zone_2}'::regclass[]) ORDER BY 1;
SELECT t, (armed(t)).* FROM unnest('{zone,zone_1,zone_2}'::regclass[]) AS t;
DELETE FROM zone WHERE id = 1;  -- fails
DELETE FROM zone_1 WHERE id = 1;  -- fails
UPDATE zone SET id = 3 WHERE id = 1;  -- fails
TRUNCATE zone_1;  -- fails
SELECT delete_guard.unprotect('zone');
SELECT table_id::regclass, mode FROM delete_guard.protected_tables WHERE table_id = ANY ('{zone,zone_1,zone_2}'::regclass[]);
SELECT t, (armed(t)).* FROM unnest('{zone,zone_1,zone_2}'::regclass[]) AS t;
DELETE FROM zone WHERE id = 1;
DELETE FROM zone WHERE id = 11;  -- fails
TRUNCATE zone_2;  -- fails
SELECT array_agg(id ORDER BY id) FROM zone;
SELECT operation, outcome, table_name, rows, images FROM dg_test.news();

SELECT delete_guard.forget_reference('to_item_item_id');
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
RESET ROLE;
CALL dg_test.release('dg_part_ddl');
DROP SCHEMA dg_part_ddl CASCADE;
