-- Each row that refers counts once: not twice because there are two versions of
-- it, and not less because the same statement changed it, or how keys compare
CREATE SCHEMA dg_counting AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_counting TO PUBLIC;
SELECT current_user AS super \gset
CALL dg_test.here();
\set VERBOSITY terse
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_counting;

-- A tree: only rows that the statement deletes are its own; one whose reference
-- it takes away by UPDATE has been referring
CREATE TABLE tree (id int PRIMARY KEY, parent int);
SELECT delete_guard.protect('tree');
SELECT delete_guard.declare_reference('tree', '{parent}', 'tree');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 4), (5, NULL), (6, 5);
WITH u AS (UPDATE tree SET parent = NULL WHERE parent = 1) DELETE FROM tree WHERE id = 1;  -- fails
WITH u AS (UPDATE tree SET parent = 5 WHERE parent = 1) DELETE FROM tree WHERE id = 1;  -- fails
WITH u AS (UPDATE tree SET id = 12 WHERE id = 2) DELETE FROM tree WHERE id = 1;  -- fails
WITH d AS (DELETE FROM tree WHERE id = 6) DELETE FROM tree WHERE id = 5;
WITH d AS (DELETE FROM tree WHERE id IN (2, 3)) DELETE FROM tree WHERE id = 1;
SELECT * FROM tree;
SELECT outcome, rows, images, hangs FROM dg_test.news();

-- A trigger touches the referring rows before: still two
CREATE TABLE main (id int PRIMARY KEY);
CREATE TABLE refs (main_id int, note text);
CREATE INDEX ON refs (main_id);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dg_counting.refs SET note = 'seen' WHERE main_id = OLD.id;
    UPDATE dg_counting.refs SET note = 'seen again' WHERE main_id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER touch BEFORE DELETE ON main FOR EACH ROW EXECUTE FUNCTION touch();
SELECT delete_guard.protect('main');
SELECT delete_guard.declare_reference('refs', '{main_id}', 'main');
INSERT INTO main VALUES (1), (2), (3);
INSERT INTO refs VALUES (1), (1), (2), (2);
SELECT delete_guard.add_approver('regress_dg_bob', 'main');
GRANT ALL ON ALL TABLES IN SCHEMA dg_counting TO regress_dg_alice;
\c - regress_dg_alice
SET search_path = dg_counting;
SELECT split_part(dg_test.says('DELETE FROM main WHERE id = 1'), E'\n', 2);
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
-- so what was approved can be done
\c - regress_dg_bob
SELECT approvals, blast_radius #> '{0,rows}' AS hang FROM delete_guard.approve(:r);
\c - regress_dg_alice
SET search_path = dg_counting;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM main WHERE id = 1;
COMMIT;
SELECT * FROM main ORDER BY id;
-- without an index, many rows at once
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_counting;
DROP INDEX refs_main_id_idx;
DROP TRIGGER touch ON main;
INSERT INTO main SELECT generate_series(11, 40);
INSERT INTO refs SELECT generate_series(11, 40);
CALL dg_test.here();
DELETE FROM main WHERE id > 10;  -- fails
WITH u AS (UPDATE refs SET main_id = main_id + 1 WHERE main_id > 10) DELETE FROM main WHERE id > 10;  -- fails
WITH d AS (DELETE FROM refs WHERE main_id > 10) DELETE FROM main WHERE id > 10;  -- fails
SELECT outcome, rows, hangs FROM dg_test.news();

-- Keys that are equal under a collation that takes a and A for the same, and a
-- referring column of another type: by one key or by many, with an index or none
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE words (w text COLLATE nocase PRIMARY KEY);
CREATE TABLE to_words_name (w name);
CREATE TABLE to_words_text (w text COLLATE nocase);
CREATE TABLE to_words_varchar (w varchar(20) COLLATE nocase);
CREATE TABLE to_words_exact (w text COLLATE "C");
SELECT delete_guard.protect('words');
SELECT delete_guard.declare_reference('to_words_name', '{w}', 'words');
SELECT delete_guard.declare_reference('to_words_text', '{w}', 'words');
SELECT delete_guard.declare_reference('to_words_varchar', '{w}', 'words');
SELECT delete_guard.declare_reference('to_words_exact', '{w}', 'words');
INSERT INTO words SELECT 'word' || i FROM generate_series(1, 40) AS i;
CALL dg_test.here();
INSERT INTO to_words_name VALUES ('WORD1');
DELETE FROM words WHERE w = 'word1';  -- fails
DELETE FROM words;  -- fails
DELETE FROM to_words_name;
INSERT INTO to_words_text VALUES ('Word2');
DELETE FROM words WHERE w = 'word2';  -- fails
DELETE FROM words;  -- fails
DELETE FROM to_words_text;
INSERT INTO to_words_varchar VALUES ('wOrd3');
DELETE FROM words WHERE w = 'word3';  -- fails
DELETE FROM words;  -- fails
DELETE FROM to_words_varchar;
INSERT INTO to_words_exact VALUES ('woRD4');
DELETE FROM words WHERE w = 'word4';  -- fails
DELETE FROM words;  -- fails
DELETE FROM to_words_exact;
SELECT outcome, rows, hangs FROM dg_test.news();
DELETE FROM words;
SELECT outcome, rows, hangs FROM dg_test.news();

-- Cascades of several parents remove rows by as many commands: those of one
-- statement are one act, those that stay still refer
CREATE TABLE makers (id int PRIMARY KEY);
CREATE TABLE assemblies (id int PRIMARY KEY, part_of int, maker int REFERENCES makers ON DELETE CASCADE);
CREATE TABLE assemblies_listed (LIKE assemblies, PRIMARY KEY (id), FOREIGN KEY (maker) REFERENCES makers ON DELETE CASCADE)
    PARTITION BY LIST (id);
CREATE TABLE assemblies_odd PARTITION OF assemblies_listed FOR VALUES IN (1, 3);
CREATE TABLE assemblies_even PARTITION OF assemblies_listed FOR VALUES IN (2, 4);
SELECT delete_guard.protect('assemblies');
SELECT delete_guard.declare_reference('assemblies', '{part_of}', 'assemblies');
INSERT INTO makers VALUES (1), (2), (3);
INSERT INTO assemblies VALUES (1, NULL, 1), (2, 1, 2), (3, NULL, 3), (4, 3, NULL);
CALL dg_test.here();
DELETE FROM makers WHERE id = 1;  -- fails
DELETE FROM makers;  -- fails
BEGIN;
DELETE FROM makers WHERE id IN (1, 2);
SELECT id FROM assemblies ORDER BY id;
ROLLBACK;
SELECT delete_guard.protect('assemblies_listed');
SELECT delete_guard.declare_reference('assemblies_listed', '{part_of}', 'assemblies_listed');
INSERT INTO assemblies_listed SELECT * FROM assemblies;
UPDATE assemblies SET maker = NULL, part_of = NULL;
DELETE FROM makers WHERE id = 1;  -- fails
DELETE FROM makers;  -- fails
BEGIN;
DELETE FROM makers WHERE id IN (1, 2);
SELECT id FROM assemblies_listed ORDER BY id;
ROLLBACK;
-- a trigger that removes what refers is the same act; one that takes the
-- reference away is not
CREATE FUNCTION whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM dg_counting.assemblies WHERE part_of = OLD.id;
    RETURN OLD;
END $$;
CREATE FUNCTION loose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dg_counting.assemblies SET part_of = NULL WHERE part_of = OLD.id;
    RETURN OLD;
END $$;
UPDATE assemblies SET part_of = id - 1 WHERE id IN (2, 4);
CREATE TRIGGER whole BEFORE DELETE ON assemblies FOR EACH ROW EXECUTE FUNCTION whole();
DELETE FROM assemblies WHERE id = 1;
SELECT id FROM assemblies ORDER BY id;
DROP TRIGGER whole ON assemblies;
CREATE TRIGGER loose BEFORE DELETE ON assemblies FOR EACH ROW EXECUTE FUNCTION loose();
DELETE FROM assemblies WHERE id = 3;  -- fails
SELECT id FROM assemblies ORDER BY id;
SELECT outcome, rows, images, hangs FROM dg_test.news();

\c - :super
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT count(delete_guard.remove_approver(role_name, table_id)) FROM delete_guard.approver$$);
SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) > 0 AS forgotten FROM delete_guard.declared_reference$$);
SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
CALL dg_test.release('dg_counting');
DROP SCHEMA dg_counting CASCADE;
CALL dg_test.here();
