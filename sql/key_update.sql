-- UPDATE of a key that something refers to is the same loss as a delete
CREATE SCHEMA dg_update AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_update TO PUBLIC;
SET search_path = dg_update;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
CREATE TABLE arch (id int PRIMARY KEY, name text UNIQUE, n numeric UNIQUE, note text);
CREATE TABLE soft (arch_id int);
CREATE TABLE soft_name (arch text);
CREATE TABLE soft_n (n numeric);
CREATE TABLE fk_none (arch_id int REFERENCES arch);
CREATE TABLE fk_cascade (arch_id int REFERENCES arch ON UPDATE CASCADE);
CREATE TABLE fk_null (arch_id int REFERENCES arch ON UPDATE SET NULL);
CREATE TABLE fk_default (arch_id int DEFAULT 0 REFERENCES arch ON UPDATE SET DEFAULT);
SELECT delete_guard.protect('arch');
SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');
SELECT delete_guard.declare_reference('soft_name', '{arch}', 'arch', '{name}');
SELECT delete_guard.declare_reference('soft_n', '{n}', 'arch', '{n}');
INSERT INTO arch SELECT i, 'arch' || i, i + 0.5 FROM generate_series(0, 60) AS i;
INSERT INTO soft VALUES (1), (11), (12), (13), (14), (15), (16), (17), (18);
INSERT INTO soft_name VALUES ('arch2'), ('arch21');
INSERT INTO soft_n VALUES (3.5), (30.50);
INSERT INTO fk_none VALUES (4);
INSERT INTO fk_cascade VALUES (5), (25);
INSERT INTO fk_null VALUES (6);
INSERT INTO fk_default VALUES (7);
GRANT ALL ON ALL TABLES IN SCHEMA dg_update TO regress_dg_alice;
SET ROLE regress_dg_alice;
\set VERBOSITY terse
UPDATE arch SET id = 101 WHERE id = 1;  -- fails
UPDATE arch SET name = 'other' WHERE id = 2;  -- fails
UPDATE arch SET n = 103 WHERE id = 3;  -- fails
UPDATE arch SET id = 104 WHERE id = 4;  -- fails
UPDATE arch SET id = 106 WHERE id = 6;  -- fails
UPDATE arch SET id = 107 WHERE id = 7;  -- fails
-- ON UPDATE CASCADE follows: nothing is lost, but it is recorded
UPDATE arch SET id = 105 WHERE id = 5;
SELECT arch_id FROM fk_cascade ORDER BY 1;
-- so is the change of a key that nothing refers to
UPDATE arch SET id = 108 WHERE id = 8;
-- a key becomes NULL
UPDATE arch SET name = NULL WHERE id = 21;  -- fails
SELECT * FROM dg_test.news();
SELECT key, old_row FROM dg_test.images('dg_update.arch');

-- No change of a key: nothing to say, nothing recorded
UPDATE arch SET note = 'x' WHERE id IN (1, 2, 3, 4);
UPDATE arch SET id = id, name = name, n = n WHERE id IN (1, 2, 3, 4);
UPDATE arch SET id = 1, note = note || 'y' WHERE id = 1;
-- the same key in another spelling is the same key
UPDATE arch SET n = 30.500 WHERE id = 30;
SELECT n FROM arch WHERE id = 30;
-- a key that nothing refers to by this column, of a row that is referred to by another
UPDATE arch SET n = 111 WHERE id = 11;
SELECT operation, outcome, rows, images, hangs FROM dg_test.news();

-- Routes
UPDATE arch SET id = 112 FROM soft WHERE id = arch_id AND id = 12;  -- fails
WITH u AS (UPDATE arch SET id = 113 WHERE id = 13 RETURNING id) SELECT * FROM u;  -- fails
WITH d AS (DELETE FROM soft WHERE arch_id = 14) UPDATE arch SET id = 114 WHERE id = 14;  -- fails
WITH d AS (UPDATE soft SET arch_id = 114 WHERE arch_id = 14) UPDATE arch SET id = 114 WHERE id = 14;  -- fails
MERGE INTO arch USING (VALUES (15)) AS v(i) ON id = i WHEN MATCHED THEN UPDATE SET id = 115;  -- fails
INSERT INTO arch VALUES (16) ON CONFLICT (id) DO UPDATE SET id = 116;  -- fails
INSERT INTO arch VALUES (20) ON CONFLICT (id) DO UPDATE SET id = 120;
-- a BEFORE trigger changes the key though SET lists another column
SET ROLE regress_dg_owner;
CREATE FUNCTION rekey() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := OLD.id + 100; RETURN NEW; END $$;
CREATE TRIGGER zz_rekey BEFORE UPDATE OF note ON arch FOR EACH ROW EXECUTE FUNCTION rekey();
UPDATE arch SET note = 'z' WHERE id = 17;  -- fails
UPDATE arch SET note = 'z' WHERE id = 19;
DROP TRIGGER zz_rekey ON arch;
-- several rows, one of them referred to
UPDATE arch SET id = id + 1000 WHERE id IN (18, 22, 23);  -- fails
SELECT array_agg(id ORDER BY id) FROM arch WHERE id IN (18, 22, 23, 119, 120);
UPDATE arch SET id = id + 1000 WHERE id IN (22, 23);
SELECT operation, outcome, rows, images, hangs FROM dg_test.news();

-- Swap: the foreign key stays valid and points to another row
CREATE TABLE swapped_u (id int PRIMARY KEY, code int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE to_swapped (code int);
INSERT INTO swapped_u VALUES (1, 1), (2, 2);
INSERT INTO to_swapped VALUES (1);
SELECT delete_guard.protect('swapped_u');
SELECT delete_guard.declare_reference('to_swapped', '{code}', 'swapped_u', '{code}');
UPDATE swapped_u SET code = 3 - code;  -- fails
TABLE swapped_u;
CREATE TABLE swap (id int PRIMARY KEY, code int);
CREATE UNIQUE INDEX ON swap (code);
CREATE TABLE to_swap (code int REFERENCES swap (code) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO swap VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO to_swap VALUES (1), (2);
SELECT delete_guard.protect('swap');
BEGIN;
UPDATE swap SET code = -1 WHERE id = 1;  -- fails
ROLLBACK;
BEGIN;
UPDATE swap SET code = 4 WHERE id = 3;
UPDATE swap SET code = 3 WHERE id = 2;  -- fails
ROLLBACK;
SELECT * FROM swap ORDER BY id;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- Composite keys: a change of either column
CREATE TABLE pair (a int, b int, c text, PRIMARY KEY (a, b));
CREATE TABLE to_pair (x int, y int, FOREIGN KEY (y, x) REFERENCES pair (b, a));
SELECT delete_guard.protect('pair');
INSERT INTO pair VALUES (1, 1), (2, 2), (3, 3), (4, 4);
INSERT INTO to_pair VALUES (1, 1), (2, 2), (NULL, 3);
UPDATE pair SET a = 9 WHERE a = 1;  -- fails
UPDATE pair SET b = 9 WHERE a = 2;  -- fails
UPDATE pair SET a = 9 WHERE a = 3;
UPDATE pair SET c = 'c';
-- a self-reference: the whole tree re-keyed in one statement
CREATE TABLE tree (id int PRIMARY KEY, parent int);
SELECT delete_guard.protect('tree');
SELECT delete_guard.declare_reference('tree', '{parent}', 'tree');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 3), (4, NULL), (5, 4);
UPDATE tree SET id = id + 10 WHERE id = 1;  -- fails
UPDATE tree SET id = id + 10, parent = parent + 10 WHERE id IN (1, 2);
UPDATE tree SET id = 13, parent = 13 WHERE id = 3;
UPDATE tree SET parent = NULL WHERE id = 5;
UPDATE tree SET id = 14 WHERE id = 4;
SELECT * FROM tree ORDER BY id;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- scope all guards deletes and changes of keys alike
SELECT delete_guard.protect('tree', scope => 'all');
UPDATE tree SET id = 114 WHERE id = 14;  -- fails
UPDATE tree SET parent = NULL WHERE id = 12;
-- mode log records
SELECT delete_guard.protect('tree', 'log');
UPDATE tree SET id = 100, parent = 1 WHERE id = 11;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
SELECT key, old_row FROM dg_test.images('dg_update.tree');
-- replica role
RESET ROLE;
SET session_replication_role = replica;
UPDATE swap SET code = 5 WHERE id = 1;  -- fails
RESET session_replication_role;
-- a reference found after the table was protected, to a key that had no index then
SET ROLE regress_dg_owner;
ALTER TABLE pair ADD d int;
UPDATE pair SET d = a;
CREATE UNIQUE INDEX ON pair (d);
CREATE TABLE to_d (d int);
INSERT INTO to_d VALUES (4);
SELECT delete_guard.declare_reference('to_d', '{d}', 'pair', '{d}');
UPDATE pair SET d = 44 WHERE d = 4;  -- fails
CREATE TABLE fk_d (d int REFERENCES pair (d) ON UPDATE SET NULL);
SELECT delete_guard.forget_reference('to_d_d');
INSERT INTO fk_d VALUES (2);
UPDATE pair SET d = 22 WHERE d = 2;  -- fails
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
RESET ROLE;
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SELECT count(delete_guard.forget_reference(name)) FROM unnest('{arch,tree,swap,swapped_u}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared';
CALL dg_test.release('dg_update');
DROP SCHEMA dg_update CASCADE;
