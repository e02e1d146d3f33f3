-- Partitioned tables: protected through the root, in every partition
CREATE SCHEMA dg_parts AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_parts TO PUBLIC;
SET search_path = dg_parts;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
-- two levels; one leaf has its columns in another order, with a gap
CREATE TABLE p (id int, region text, note text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu') PARTITION BY RANGE (id);
CREATE TABLE p_eu_1 PARTITION OF p_eu FOR VALUES FROM (0) TO (100);
CREATE TABLE p_eu_2 (note text, gap int, region text NOT NULL, id int NOT NULL);
ALTER TABLE p_eu_2 DROP gap;
ALTER TABLE p_eu ATTACH PARTITION p_eu_2 FOR VALUES FROM (100) TO (200);
CREATE TABLE p_us PARTITION OF p FOR VALUES IN ('us');
CREATE TABLE p_rest PARTITION OF p DEFAULT;
CREATE TABLE ref (id int, region text);
SELECT delete_guard.protect('p');
SELECT delete_guard.declare_reference('ref', '{id,region}', 'p');
INSERT INTO p SELECT i, r, r || i FROM generate_series(1, 199, 9) AS i, unnest(ARRAY['eu', 'us', 'xx']) AS r;
INSERT INTO ref VALUES (1, 'eu'), (100, 'eu'), (10, 'us'), (19, 'xx'), (109, 'eu'), (28, 'eu'), (37, 'eu'), (118, 'eu');
GRANT ALL ON ALL TABLES IN SCHEMA dg_parts TO regress_dg_alice;
SET ROLE regress_dg_alice;
-- by root, by a level between, by leaf, ONLY
DELETE FROM p WHERE id = 1 AND region = 'eu';  -- fails
DELETE FROM p_eu WHERE id = 100;  -- fails
DELETE FROM p_us WHERE id = 10;  -- fails
DELETE FROM ONLY p_rest WHERE id = 19;  -- fails
DELETE FROM ONLY p WHERE id = 19;
DELETE FROM p WHERE id = 1;  -- fails
SELECT count(*) FROM p WHERE id = 1;
DELETE FROM p_eu_2 WHERE id = 109;  -- fails
-- what nothing refers to: one statement, one event, all leaves
DELETE FROM p WHERE id IN (46, 127);
DELETE FROM p_eu_2 WHERE id = 136;
SELECT * FROM dg_test.news();
SELECT * FROM dg_test.images('dg_parts.p');
BEGIN;
DELETE FROM p WHERE id IN (55, 145) AND region = 'eu';
SELECT table_name, key, old_row FROM dg_test.images('dg_parts.p');
SAVEPOINT s;
DELETE FROM p WHERE id = 64;
ROLLBACK TO s;
DELETE FROM p WHERE id = 73 AND region = 'us';
COMMIT;
SELECT * FROM dg_test.news();

-- A row that moves to another partition is not deleted; its key changes, if that holds the partition key
SET ROLE regress_dg_owner;
CREATE TABLE m (k text, r int, note text, PRIMARY KEY (k, r)) PARTITION BY RANGE (r);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (10);
CREATE TABLE m_2 (note text, r int NOT NULL, k text NOT NULL);
ALTER TABLE m ATTACH PARTITION m_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE to_m (k text, r int);
SELECT delete_guard.protect('m');
SELECT delete_guard.declare_reference('to_m', '{k,r}', 'm');
INSERT INTO m VALUES ('a', 1), ('b', 1), ('c', 11);
INSERT INTO to_m VALUES ('a', 1);
UPDATE m SET r = 12 WHERE k = 'a';  -- fails
UPDATE m SET r = 12 WHERE k = 'b';
SELECT tableoid::regclass, k, r FROM m ORDER BY k;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
SELECT key, old_row FROM dg_test.images('dg_parts.m');
-- a key that does not hold the partition key: unique in each leaf
CREATE TABLE n (id int NOT NULL, r int, note text) PARTITION BY RANGE (r);
CREATE TABLE n_1 PARTITION OF n FOR VALUES FROM (0) TO (10);
CREATE TABLE n_2 (note text, r int, id int NOT NULL);
ALTER TABLE n ATTACH PARTITION n_2 FOR VALUES FROM (10) TO (20);
SELECT delete_guard.protect('n');  -- fails
-- equal keys in another spelling
CREATE TABLE num (n numeric PRIMARY KEY, note text) PARTITION BY RANGE (n);
CREATE TABLE num_1 PARTITION OF num FOR VALUES FROM (0) TO (10);
CREATE TABLE to_num (n numeric);
SELECT delete_guard.protect('num');
SELECT delete_guard.declare_reference('to_num', '{n}', 'num');
INSERT INTO num VALUES (1.0), (2.0);
INSERT INTO to_num VALUES (1);
UPDATE num SET n = 1.00 WHERE n = 1;
UPDATE num SET n = 3 WHERE n = 1;  -- fails
UPDATE num SET n = 4 WHERE n = 2;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- A move that a foreign key follows
CREATE TABLE acct (id int, state text, PRIMARY KEY (id, state)) PARTITION BY LIST (state);
CREATE TABLE acct_open PARTITION OF acct FOR VALUES IN ('open');
CREATE TABLE acct_done PARTITION OF acct FOR VALUES IN ('done');
CREATE TABLE acct_ref (id int, state text, FOREIGN KEY (id, state) REFERENCES acct ON UPDATE CASCADE);
SELECT delete_guard.protect('acct');
INSERT INTO acct VALUES (1, 'open'), (2, 'open');
INSERT INTO acct_ref VALUES (1, 'open');
UPDATE acct SET state = 'done' WHERE id = 2;
UPDATE acct SET state = 'done' WHERE id = 1;
TABLE acct_ref;
SELECT tableoid::regclass, * FROM acct ORDER BY id;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- Keys changed in place
SET ROLE regress_dg_alice;
UPDATE p SET id = 29 WHERE id = 28 AND region = 'eu';  -- fails
UPDATE p_eu_1 SET id = 38 WHERE id = 37;  -- fails
UPDATE p SET id = 119 WHERE id = 118 AND region = 'eu';  -- fails
UPDATE p SET id = 83 WHERE id = 82 AND region = 'eu';
UPDATE p SET note = note || 'x' WHERE id IN (28, 37, 118);
-- movement between leaves with a change of key
UPDATE p SET id = 150 WHERE id = 91 AND region = 'eu';
UPDATE p SET id = 151 WHERE id = 28 AND region = 'eu';  -- fails
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- TRUNCATE of the root, of a level between, of a leaf
TRUNCATE p_us;  -- fails
TRUNCATE p_eu_1;  -- fails
TRUNCATE p_eu;  -- fails
TRUNCATE p;  -- fails
SELECT count(*) FROM ref r JOIN p USING (id, region);
SELECT outcome FROM dg_test.news() WHERE operation = 'truncate';

-- A partition that is attached or created afterwards: its rows are guarded for deletes at once
SET ROLE regress_dg_owner;
CREATE TABLE p_asia PARTITION OF p FOR VALUES IN ('asia');
CREATE TABLE p_africa (region text NOT NULL, id int NOT NULL, note text);
INSERT INTO p_africa VALUES ('africa', 1), ('africa', 2);
ALTER TABLE p ATTACH PARTITION p_africa FOR VALUES IN ('africa');
INSERT INTO p VALUES (1, 'asia'), (2, 'asia');
INSERT INTO ref VALUES (1, 'asia'), (1, 'africa');
DELETE FROM p WHERE region = 'asia' AND id = 1;  -- fails
DELETE FROM p_africa WHERE id = 1;  -- fails
DELETE FROM p WHERE id = 2 AND region IN ('asia', 'africa');
UPDATE p_africa SET id = 3 WHERE id = 1;  -- fails
-- protect() again arms them for TRUNCATE
SELECT delete_guard.protect('p');
TRUNCATE p_africa;  -- fails
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
-- a reference to a column of one leaf alone, changed there
CREATE UNIQUE INDEX p_us_note ON p_us (note);
CREATE TABLE to_p_us (note text REFERENCES p_us (note) ON UPDATE CASCADE ON DELETE CASCADE);
CREATE TABLE to_p_us_null (note text REFERENCES p_us (note) ON UPDATE SET NULL);
INSERT INTO to_p_us VALUES ('us1');
INSERT INTO to_p_us_null VALUES ('us19');
DELETE FROM p WHERE note = 'us1';  -- fails
UPDATE p SET note = 'new' WHERE note = 'us19';  -- fails
SELECT * FROM to_p_us_null;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
DELETE FROM to_p_us_null;
-- replica role, on leaves, too
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM p_us WHERE id = 10;  -- fails
TRUNCATE p_us CASCADE;  -- fails
RESET session_replication_role;
-- all triggers are there, on root and leaves, and fire always
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
WHERE tgrelid IN ('p'::regclass, 'p_eu'::regclass, 'p_eu_2'::regclass) AND NOT tgisinternal ORDER BY tgrelid::regclass::text COLLATE "C", tgname;

-- self-references across partitions
SET ROLE regress_dg_owner;
CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES t) PARTITION BY RANGE (id);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20);
SELECT delete_guard.protect('t');
INSERT INTO t VALUES (1, NULL), (11, 1), (2, 11), (3, 3), (5, 15), (15, 5);
DELETE FROM t WHERE id = 1;  -- fails
DELETE FROM t WHERE id IN (1, 11, 2);
DELETE FROM t WHERE id = 3;
DELETE FROM t WHERE id IN (5, 15);
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- unprotected: nothing left on any of them
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SELECT count(*) AS triggers_left FROM pg_trigger WHERE tgname LIKE '00\_delete\_guard%';
DELETE FROM p WHERE region = 'us';
SELECT count(delete_guard.forget_reference(name)) FROM unnest('{p,m,num}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared';
RESET ROLE;
CALL dg_test.release('dg_parts');
DROP SCHEMA dg_parts CASCADE;
