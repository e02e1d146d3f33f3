-- restore(): which rows cannot go back as their key is taken, by whatever index.
SET client_min_messages = warning;
CREATE SCHEMA restore_taken;
SET search_path = restore_taken;
CREATE FUNCTION last_event() RETURNS bigint LANGUAGE sql AS 'SELECT max(event_id) FROM delete_guard.audit_log WHERE operation <> ''restore''';

-- unique indexes and exclusion constraints that only some partitions have
CREATE TABLE part (id int, region text, code text, at int4range, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu') PARTITION BY RANGE (id);
CREATE TABLE part_eu_1 PARTITION OF part_eu FOR VALUES FROM (0) TO (100);
-- columns in another order
CREATE TABLE part_eu_2 (at int4range, code text, region text NOT NULL, id int NOT NULL);
ALTER TABLE part_eu ATTACH PARTITION part_eu_2 FOR VALUES FROM (100) TO (200);
CREATE TABLE part_other PARTITION OF part DEFAULT;
CREATE UNIQUE INDEX ON part_eu (upper(code), id, region);
CREATE UNIQUE INDEX ON part_eu_2 (code) WHERE code <> 'none';
ALTER TABLE part_other ADD EXCLUDE USING gist (at WITH &&);
INSERT INTO part VALUES (1, 'eu', 'a', '[1,2]'), (101, 'eu', 'b', '[1,2]'), (102, 'eu', 'c', '[1,2]'), (103, 'eu', 'none', '[1,2]'),
    (1, 'us', 'b', '[1,2]'), (2, 'us', 'b', '[3,4]'), (3, 'af', 'x', '[5,6]');
SELECT delete_guard.protect('part', 'log');
DELETE FROM part;
INSERT INTO part VALUES (110, 'eu', 'b', NULL), (111, 'eu', 'none', NULL), (50, 'eu', 'c', NULL), (9, 'us', NULL, '[2,3]');
SELECT key, action, note FROM delete_guard.restore(last_event(), 'skip', true) ORDER BY key;
DO $$
DECLARE
    state text;
    named text;
BEGIN
    PERFORM delete_guard.restore(last_event());
EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, named = PG_EXCEPTION_DETAIL;
    RAISE WARNING '%: %', state, named;
END $$;
SELECT key, action, note FROM delete_guard.restore(last_event(), 'skip') ORDER BY key;
SELECT tableoid::regclass, id, region, code, at FROM part ORDER BY id, region;
DROP TABLE part;

-- keys that were shifted go back, each as the one before it has made room
CREATE TABLE shifted (id int PRIMARY KEY, t text);
CREATE TABLE refers (id int);
INSERT INTO shifted VALUES (2, 'a'), (3, 'b'), (4, 'c');
SELECT delete_guard.protect('shifted', 'log');
SELECT delete_guard.declare_reference('refers', '{id}', 'shifted');
UPDATE shifted SET id = id - 1;
SELECT key, action, note FROM delete_guard.restore(last_event(), 'error', true);
SELECT key, action, note FROM delete_guard.restore(last_event());
TABLE shifted ORDER BY id;
-- a key that a row which is not of them has is taken
DELETE FROM shifted;
INSERT INTO shifted VALUES (2, 'a'), (3, 'b'), (4, 'c');
UPDATE shifted SET id = id - 1;
INSERT INTO shifted VALUES (4, 'new');
SELECT key, action, note FROM delete_guard.restore(last_event(), 'error', true);
SELECT key, action, note FROM delete_guard.restore(last_event(), 'skip');
TABLE shifted ORDER BY id;
DROP TABLE shifted;
SET client_min_messages = error;
SELECT count(delete_guard.forget_reference(name)) FROM delete_guard.declared_reference;
SET search_path = public;
DROP SCHEMA restore_taken CASCADE;
