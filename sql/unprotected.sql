-- Tables that are not protected feel nothing: DDL and DML as ever, nothing recorded
CREATE SCHEMA dg_beeswax AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_beeswax TO PUBLIC;
SET search_path = dg_beeswax;
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
CREATE TABLE guarded (id int PRIMARY KEY);
CREATE TABLE to_guarded (id int REFERENCES guarded);
SELECT delete_guard.protect('guarded');
INSERT INTO guarded VALUES (1), (2);
RESET ROLE;
SELECT max(event_id) AS mark FROM delete_guard.event \gset
SELECT count(*) AS requests FROM delete_guard.request \gset
SET ROLE regress_dg_owner;
-- a table of the same kind
CREATE TABLE plain (id int PRIMARY KEY, note text);
CREATE TABLE ref (id int REFERENCES plain ON DELETE CASCADE ON UPDATE SET NULL);
INSERT INTO plain SELECT i, 'x' FROM generate_series(1, 100) AS i;
INSERT INTO ref SELECT i FROM generate_series(1, 50) AS i;
DELETE FROM plain WHERE id <= 10;
UPDATE plain SET id = id + 1000 WHERE id <= 20;
MERGE INTO plain USING (VALUES (30)) AS v(i) ON id = i WHEN MATCHED THEN DELETE;
TRUNCATE plain CASCADE;
ALTER TABLE plain ADD x int, DROP note;
ALTER TABLE plain ALTER id TYPE bigint;
ALTER TABLE plain DROP CONSTRAINT plain_pkey CASCADE;
ALTER TABLE plain RENAME TO plainer;
DROP TABLE plainer, ref;
-- partitions, inheritance
CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1), (11);
UPDATE parts SET id = 12 WHERE id = 1;
UPDATE parts SET id = 13 WHERE id = 11;
DELETE FROM parts;
ALTER TABLE parts DETACH PARTITION parts_1;
TRUNCATE parts;
DROP TABLE parts, parts_1;
CREATE TABLE p (id int);
CREATE TABLE c () INHERITS (p);
INSERT INTO c VALUES (1);
DELETE FROM p;
DROP TABLE p CASCADE;
-- temporary, unlogged, without key
CREATE TEMP TABLE t (id int);
INSERT INTO t VALUES (1);
DELETE FROM t;
CREATE UNLOGGED TABLE u (id int);
INSERT INTO u VALUES (1);
DELETE FROM u;
-- referencing tables of a protected one are free; that a foreign key went with
-- its table is the one event
INSERT INTO to_guarded VALUES (1), (2);
DELETE FROM to_guarded WHERE id = 2;
UPDATE to_guarded SET id = 2;
TRUNCATE to_guarded;
DROP TABLE to_guarded;
-- and so is what the protected table gets that is no delete and no change of key
INSERT INTO guarded VALUES (3), (4) ON CONFLICT DO NOTHING;
ALTER TABLE guarded ADD note text;
UPDATE guarded SET note = 'x';
UPDATE guarded SET id = id;
CREATE INDEX ON guarded (note);
ALTER TABLE guarded ALTER note SET DEFAULT 'd', ADD CHECK (note <> 'bad');
ALTER TABLE guarded DROP note;
CREATE VIEW v AS SELECT * FROM guarded;
ANALYZE guarded;
COMMENT ON TABLE guarded IS 'x';
GRANT SELECT ON guarded TO regress_dg_bob;
VACUUM guarded;
VACUUM FULL guarded;
CLUSTER guarded USING guarded_pkey;
REINDEX TABLE guarded;
BEGIN;
LOCK TABLE guarded;
COMMIT;
SELECT count(*) FROM guarded;
-- roles, databases of others
RESET ROLE;
ALTER ROLE regress_dg_bob SET work_mem = '1MB';
ALTER ROLE regress_dg_bob RESET ALL;
SELECT count(*) AS events FROM delete_guard.event WHERE event_id > :mark;
SELECT count(*) - :requests AS requests FROM delete_guard.request;
-- no triggers but on the protected table
SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '00\_delete\_guard%';
-- a delete in the protected table still counts, after all that
SET ROLE regress_dg_owner;
DELETE FROM guarded WHERE id = 1;
RESET ROLE;
SELECT operation, outcome, table_name, row_count FROM delete_guard.event WHERE event_id > :mark;
SELECT delete_guard.unprotect('guarded');
CALL dg_test.release('dg_beeswax');
DROP SCHEMA dg_beeswax CASCADE;
