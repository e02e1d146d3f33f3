-- References: foreign keys are found as they are, others are declared
CREATE SCHEMA dg_references AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_references TO PUBLIC;
SET search_path = dg_references;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse

-- Foreign keys, each kind once.  Key columns stand in another order than in the
-- primary key, and in the referencing table
CREATE TABLE main (b int, filler text, a int, code text UNIQUE, n numeric UNIQUE, PRIMARY KEY (a, b));
CREATE TABLE fk_order (y int, x int, CONSTRAINT fk_order_fk FOREIGN KEY (y, x) REFERENCES main (b, a));
CREATE TABLE fk_same (x int, y int, CONSTRAINT fk_same_fk FOREIGN KEY (x, y) REFERENCES main ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE fk_full (x int, y int, CONSTRAINT fk_full_fk FOREIGN KEY (x, y) REFERENCES main MATCH FULL ON DELETE SET NULL ON UPDATE SET DEFAULT);
CREATE TABLE fk_code (code text, CONSTRAINT fk_code_fk FOREIGN KEY (code) REFERENCES main (code) ON DELETE SET DEFAULT);
CREATE INDEX ON fk_code (code);
CREATE TABLE fk_valid (x int, y int);
INSERT INTO fk_valid VALUES (77, 77);
ALTER TABLE fk_valid ADD CONSTRAINT fk_valid_fk FOREIGN KEY (x, y) REFERENCES main NOT VALID;
CREATE TABLE fk_numeric (n numeric, CONSTRAINT fk_numeric_fk FOREIGN KEY (n) REFERENCES main (n) DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE main ADD pa int, ADD pb int, ADD CONSTRAINT fk_self FOREIGN KEY (pa, pb) REFERENCES main ON DELETE RESTRICT;
-- foreign keys that two columns of one table hold
CREATE TABLE fk_two (x1 int, y1 int, x2 int, y2 int,
    CONSTRAINT fk_two_1 FOREIGN KEY (x1, y1) REFERENCES main, CONSTRAINT fk_two_2 FOREIGN KEY (x2, y2) REFERENCES main);
CREATE INDEX ON fk_two (y1, x1);
CREATE INDEX ON fk_two (x2);
SELECT delete_guard.protect('main');
SELECT name, kind, referencing, referencing_columns, referenced_columns, on_delete, on_update, condition, index
FROM delete_guard.references_to('main') ORDER BY name COLLATE "C";

INSERT INTO main SELECT 10 * i, 'x', i, 'c' || i, i + 0.50 FROM generate_series(1, 20) AS i;
GRANT ALL ON ALL TABLES IN SCHEMA dg_references TO regress_dg_alice;
SET ROLE regress_dg_alice;
INSERT INTO fk_order VALUES (10, 1);
INSERT INTO fk_same VALUES (2, 20);
INSERT INTO fk_full VALUES (3, 30);
INSERT INTO fk_code VALUES ('c4');
INSERT INTO fk_valid VALUES (5, 50);
INSERT INTO fk_numeric VALUES (6.5);
UPDATE main SET pa = 7, pb = 70 WHERE a = 8;
INSERT INTO fk_two VALUES (9, 90, 10, 100);
-- a NULL in any column is no reference (MATCH SIMPLE)
INSERT INTO fk_order VALUES (NULL, 11), (120, NULL), (NULL, NULL);
INSERT INTO fk_full VALUES (NULL, NULL);
INSERT INTO fk_two VALUES (13, NULL, NULL, 140);
-- the same numbers the other way around are other rows
INSERT INTO main VALUES (1, 'swapped', 10), (2, 'swapped', 20);
DELETE FROM main WHERE (a, b) = (1, 10);  -- fails
DELETE FROM main WHERE (a, b) = (2, 20);  -- fails
DELETE FROM main WHERE (a, b) = (3, 30);  -- fails
DELETE FROM main WHERE (a, b) = (4, 40);  -- fails
DELETE FROM main WHERE (a, b) = (5, 50);  -- fails
DELETE FROM main WHERE (a, b) = (6, 60);  -- fails
DELETE FROM main WHERE (a, b) = (7, 70);  -- fails
DELETE FROM main WHERE (a, b) = (9, 90);  -- fails
DELETE FROM main WHERE (a, b) = (10, 100);  -- fails
DELETE FROM main WHERE a IN (8, 11, 12, 13, 14) OR filler = 'swapped';
SELECT array_agg(a ORDER BY a, b) FROM main;
-- now nothing refers to row 7
DELETE FROM main WHERE a = 7;
SELECT * FROM dg_test.news();
RESET ROLE;
SET ROLE regress_dg_owner;

-- A foreign key added or dropped later counts from then on
CREATE TABLE later (x int, y int);
INSERT INTO later VALUES (15, 150);
ALTER TABLE later ADD CONSTRAINT later_fk FOREIGN KEY (x, y) REFERENCES main ON DELETE CASCADE;
DELETE FROM main WHERE a = 15;  -- fails
ALTER TABLE later DROP CONSTRAINT later_fk;  -- fails
SELECT delete_guard.protect('main', 'log') \g /dev/null
ALTER TABLE later DROP CONSTRAINT later_fk;
SELECT delete_guard.protect('main') \g /dev/null
DELETE FROM main WHERE a = 15;
-- columns renamed
CREATE TABLE renamed (x int, y int, FOREIGN KEY (x, y) REFERENCES main);
INSERT INTO renamed VALUES (16, 160);
ALTER TABLE renamed RENAME x TO z;
ALTER TABLE renamed ADD x int;
ALTER TABLE main RENAME a TO aa;
ALTER TABLE main ADD a int DEFAULT 0;
DELETE FROM main WHERE aa = 16;  -- fails
ALTER TABLE main DROP a;
ALTER TABLE main RENAME aa TO a;
-- a dropped column before the referencing ones
ALTER TABLE renamed DROP x;
ALTER TABLE renamed ADD w int;
DELETE FROM main WHERE a = 16;  -- fails
DELETE FROM main WHERE a IN (17, 18);
SELECT * FROM dg_test.news();

-- From and onto partitioned tables
CREATE TABLE target (id int, r int, PRIMARY KEY (r, id)) PARTITION BY RANGE (r);
CREATE TABLE target_1 PARTITION OF target FOR VALUES FROM (0) TO (10);
CREATE TABLE target_2 (r int NOT NULL, junk text, id int NOT NULL);
ALTER TABLE target_2 DROP junk;
ALTER TABLE target ATTACH PARTITION target_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE source (tid int, tr int, k int, CONSTRAINT source_fk FOREIGN KEY (tid, tr) REFERENCES target (id, r)) PARTITION BY LIST (k);
CREATE TABLE source_1 PARTITION OF source FOR VALUES IN (1);
CREATE TABLE source_2 (k int, gone int, tr int, tid int);
ALTER TABLE source_2 DROP gone;
ALTER TABLE source ATTACH PARTITION source_2 FOR VALUES IN (2);
CREATE INDEX ON source (tid, tr);
-- a reference to one partition alone
ALTER TABLE target_2 ADD CONSTRAINT target_2_id UNIQUE (id);
CREATE TABLE to_leaf (id int CONSTRAINT to_leaf_fk REFERENCES target_2 (id));
SELECT delete_guard.protect('target');
SELECT name, kind, referencing, referencing_columns, referenced_columns, index IS NOT NULL AS index
FROM delete_guard.references_to('target') ORDER BY name COLLATE "C";
SELECT name, kind, referencing, referencing_columns, referenced_columns, index IS NOT NULL AS index
FROM delete_guard.references_to('target_2') ORDER BY name COLLATE "C";
INSERT INTO target SELECT i, i FROM generate_series(1, 19) AS i;
INSERT INTO source VALUES (1, 1, 1), (2, 2, 2), (11, 11, 1), (12, 12, 2);
INSERT INTO to_leaf VALUES (13);
DELETE FROM target WHERE id = 1;  -- fails
DELETE FROM target WHERE id = 2;  -- fails
DELETE FROM target WHERE id = 11;  -- fails
DELETE FROM target WHERE id = 12;  -- fails
DELETE FROM target WHERE id = 13;  -- fails
DELETE FROM target_2 WHERE id = 13;  -- fails
DELETE FROM target WHERE id NOT IN (1, 2, 11, 12, 13);
SELECT array_agg(id ORDER BY id) FROM target;
SELECT * FROM dg_test.news();

-- Inheritance: references to a parent are to its own rows, declared ones to all
CREATE TABLE par (id int PRIMARY KEY);
CREATE TABLE chi (PRIMARY KEY (id)) INHERITS (par);
CREATE TABLE to_par (id int CONSTRAINT to_par_fk REFERENCES par);
CREATE TABLE to_chi (id int CONSTRAINT to_chi_fk REFERENCES chi);
CREATE TABLE soft (id int);
-- a referencing table's children hold rows that a foreign key does not see
CREATE TABLE to_par_child () INHERITS (to_par);
SELECT delete_guard.protect('par');
SELECT delete_guard.declare_reference('soft', '{id}', 'par');
SELECT name, kind, referencing FROM delete_guard.references_to('par') ORDER BY name COLLATE "C";
SELECT name, kind, referencing FROM delete_guard.references_to('chi') ORDER BY name COLLATE "C";
INSERT INTO par VALUES (1), (2), (3), (4);
INSERT INTO chi VALUES (1), (12), (13), (14);
INSERT INTO to_par VALUES (1);
INSERT INTO to_par_child VALUES (4);
INSERT INTO to_chi VALUES (12);
INSERT INTO soft VALUES (2), (13);
DELETE FROM ONLY par WHERE id = 1;  -- fails
DELETE FROM chi WHERE id = 1;
DELETE FROM par WHERE id = 12;  -- fails
DELETE FROM par WHERE id = 2;  -- fails
DELETE FROM par WHERE id = 13;  -- fails
DELETE FROM par WHERE id IN (3, 4, 14);
SELECT tableoid::regclass, id FROM par ORDER BY id;
SELECT delete_guard.forget_reference('soft_id');
DELETE FROM par WHERE id = 13;
SELECT * FROM dg_test.news();

SELECT delete_guard.unprotect('main');
SELECT delete_guard.unprotect('target');
SELECT delete_guard.unprotect('par');
RESET ROLE;
CALL dg_test.release('dg_references');
DROP SCHEMA dg_references CASCADE;
