-- Inheritance: a protected table is protected with its children
CREATE SCHEMA dg_inherit AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_inherit TO PUBLIC;
SET search_path = dg_inherit;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE base (id int PRIMARY KEY, note text);
CREATE TABLE derived (extra text, PRIMARY KEY (id)) INHERITS (base);
CREATE TABLE mixin (tag text);
-- other order of columns, no key of its own
CREATE TABLE grandchild () INHERITS (mixin, derived);
CREATE TABLE soft (id int);
SELECT delete_guard.protect('base');
SELECT delete_guard.declare_reference('soft', '{id}', 'base');
INSERT INTO base VALUES (1, 'b'), (2, 'b'), (9, 'b');
INSERT INTO derived VALUES (11, 'd', 'x'), (12, 'd', 'x'), (19, 'd', 'x');
INSERT INTO grandchild (id, note, tag) VALUES (21, 'g', 't'), (22, 'g', 't'), (29, 'g', 't'), (23, 'g', 't'), (24, 'g', 't');
INSERT INTO soft VALUES (1), (11), (21), (9), (19), (29), (23);
GRANT ALL ON ALL TABLES IN SCHEMA dg_inherit TO regress_dg_alice;
SET ROLE regress_dg_alice;
DELETE FROM base WHERE id = 1;  -- fails
DELETE FROM base WHERE id = 11;  -- fails
DELETE FROM base WHERE id = 21;  -- fails
DELETE FROM ONLY base WHERE id = 9;  -- fails
DELETE FROM derived WHERE id = 19;  -- fails
DELETE FROM grandchild WHERE id = 29;  -- fails
DELETE FROM ONLY base WHERE id = 21;
UPDATE base SET id = 123 WHERE id = 23;  -- fails
UPDATE base SET note = 'n';
DELETE FROM base WHERE id IN (2, 12, 22);
UPDATE grandchild SET id = 124 WHERE id = 24;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
BEGIN;
DELETE FROM base WHERE id = 124;
SELECT table_name, key, old_row FROM dg_test.images('dg_inherit.base');
ROLLBACK;
-- TRUNCATE, with and without ONLY
TRUNCATE base;  -- fails
TRUNCATE ONLY base;  -- fails
TRUNCATE grandchild;  -- fails
DELETE FROM soft;
TRUNCATE ONLY derived;
TRUNCATE base;
SELECT operation, outcome, table_name, rows, images FROM dg_test.news() WHERE outcome <> 'blocked';
-- referencing tables with children: a declared reference holds for their rows, too
SET ROLE regress_dg_owner;
CREATE TABLE soft_child () INHERITS (soft);
INSERT INTO base VALUES (31), (32);
INSERT INTO soft_child VALUES (31);
DELETE FROM base WHERE id = 31;  -- fails
DELETE FROM base WHERE id = 32;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
-- replica role
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM base WHERE id = 31;  -- fails
RESET session_replication_role;
SET ROLE regress_dg_owner;
SELECT delete_guard.unprotect('base');
SELECT count(*) AS triggers_left FROM pg_trigger WHERE tgname LIKE '00\_delete\_guard%';
SELECT delete_guard.forget_reference('soft_id');
RESET ROLE;
CALL dg_test.release('dg_inherit');
DROP SCHEMA dg_inherit CASCADE;
