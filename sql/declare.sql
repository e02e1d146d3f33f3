-- declare_reference() and forget_reference(): associations without a foreign key
CREATE SCHEMA dg_declare AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_declare TO PUBLIC;
SET search_path = dg_declare;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
CREATE TABLE architectures (id int PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, big bigint UNIQUE, small int2 UNIQUE,
    nullable int UNIQUE, plain int);
CREATE TABLE pairs (a int, b text, PRIMARY KEY (a, b), x int, y int, UNIQUE (x, y));
INSERT INTO architectures SELECT i, 'arch' || i, i, i, i, i FROM generate_series(1, 40) AS i;
INSERT INTO pairs SELECT i, 'b' || i, 10 * i, 100 * i FROM generate_series(1, 10) AS i;
SELECT delete_guard.protect('architectures');
SELECT delete_guard.protect('pairs');

CREATE TABLE architectures_distributions (id int PRIMARY KEY, distribution_id int, architecture_id int);
CREATE TABLE download_repositories (id int PRIMARY KEY, arch text, arch_v varchar(20), arch_c char(8));
CREATE TABLE numbers (i2 int2, i4 int, i8 bigint, n numeric, t text);
CREATE TABLE pair_refs (q int, p text, y int, x int);
CREATE TABLE comments (id int PRIMARY KEY, commentable_type varchar NOT NULL, commentable_id int);

-- the key is the primary key unless columns are given; the name tells what it is
SELECT delete_guard.declare_reference('architectures_distributions', '{architecture_id}', 'architectures');
SELECT delete_guard.declare_reference('download_repositories', '{arch}', 'architectures', '{name}');
SELECT delete_guard.declare_reference('download_repositories', '{arch_v}', 'architectures', '{name}');
SELECT delete_guard.declare_reference('numbers', '{i8}', 'architectures');
SELECT delete_guard.declare_reference('numbers', '{i2}', 'architectures', '{big}');
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', '{small}');
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', '{nullable}');
SELECT delete_guard.declare_reference('pair_refs', '{q,p}', 'pairs');
SELECT delete_guard.declare_reference('pair_refs', '{y,x}', 'pairs', '{y,x}');
-- polymorphic: the condition is about the referencing row
SELECT delete_guard.declare_reference('comments', '{commentable_id}', 'architectures', condition => 'commentable_type = ''Architecture''');
SELECT delete_guard.declare_reference('comments', '{commentable_id}', 'pairs', '{x}', 'commentable_type = ''Pair''');  -- fails: x is not unique
\echo :LAST_ERROR_SQLSTATE
SELECT name, kind, referencing, referencing_columns, referenced_columns, on_delete, on_update, condition, index
FROM delete_guard.references_to('architectures') ORDER BY name COLLATE "C";
SELECT name, kind, referencing, referencing_columns, referenced_columns, on_delete, on_update, condition, index
FROM delete_guard.references_to('pairs') ORDER BY name COLLATE "C";
-- an index is used as soon as it is there, a partial one only if the condition implies it
CREATE INDEX comments_partial ON comments (commentable_id) WHERE commentable_type = 'Project';
SELECT index FROM delete_guard.references_to('architectures') WHERE referencing = 'comments'::regclass;
CREATE INDEX comments_fitting ON comments (commentable_id) WHERE commentable_type = 'Architecture';
SELECT index FROM delete_guard.references_to('architectures') WHERE referencing = 'comments'::regclass;
CREATE INDEX dist_other ON architectures_distributions (distribution_id, architecture_id);
CREATE INDEX dist_expression ON architectures_distributions ((architecture_id + 0));
CREATE INDEX dist_brin ON architectures_distributions USING brin (architecture_id);
CREATE INDEX dist_partial ON architectures_distributions (architecture_id) WHERE distribution_id IS NULL;
SELECT index FROM delete_guard.references_to('architectures') WHERE referencing = 'architectures_distributions'::regclass;
CREATE INDEX dist_hash ON architectures_distributions USING hash (architecture_id);
SELECT index IS NOT NULL AS index FROM delete_guard.references_to('architectures') WHERE referencing = 'architectures_distributions'::regclass;
DROP INDEX dist_hash;
CREATE INDEX dist_good ON architectures_distributions (architecture_id, distribution_id);
SELECT index FROM delete_guard.references_to('architectures') WHERE referencing = 'architectures_distributions'::regclass;
CREATE INDEX numbers_i8 ON numbers (i8);
CREATE INDEX pair_refs_p ON pair_refs (p DESC, q);
SELECT name, index FROM delete_guard.references_to('pairs') ORDER BY name COLLATE "C";

-- Each of them holds a row
INSERT INTO architectures_distributions VALUES (1, 1, 1), (2, NULL, 2), (3, 3, NULL);
INSERT INTO download_repositories VALUES (1, 'arch3', NULL, 'arch20'), (2, NULL, 'arch4', NULL);
INSERT INTO numbers (i8) VALUES (5), (4294967296 + 6);
INSERT INTO numbers (i2) VALUES (7), (NULL);
INSERT INTO numbers (i4) VALUES (8), (70000);
INSERT INTO numbers (n, t) VALUES (30, '30');
INSERT INTO pair_refs VALUES (1, 'b1', 300, 30), (2, 'b3', 500, 40), (NULL, 'b6', 600, NULL);
INSERT INTO comments VALUES (1, 'Architecture', 9), (2, 'Project', 10), (3, 'architecture', 11), (4, 'Architecture', NULL);
GRANT ALL ON ALL TABLES IN SCHEMA dg_declare TO regress_dg_alice;
SET ROLE regress_dg_alice;
\set VERBOSITY terse
DELETE FROM architectures WHERE id = 1;  -- fails
DELETE FROM architectures WHERE id = 2;  -- fails
DELETE FROM architectures WHERE id = 3;  -- fails
DELETE FROM architectures WHERE id = 4;  -- fails
DELETE FROM architectures WHERE id = 5;  -- fails
DELETE FROM architectures WHERE id = 7;  -- fails
DELETE FROM architectures WHERE id = 8;  -- fails
DELETE FROM architectures WHERE id = 9;  -- fails
-- 6, 10, 11 are referred to by nothing: other numbers, other conditions
DELETE FROM architectures WHERE id IN (6, 10, 11, 20, 30);
DELETE FROM pairs WHERE a = 1;  -- fails
DELETE FROM pairs WHERE a = 3;  -- fails
DELETE FROM pairs WHERE a IN (2, 4, 5, 6);
SELECT * FROM dg_test.news();

-- Another condition, another reference
SET ROLE regress_dg_owner;
SELECT delete_guard.declare_reference('comments', '{commentable_id}', 'architectures', '{id}', 'commentable_type = ''Project'' AND id < 100');
INSERT INTO comments VALUES (12, 'Project', 12), (113, 'Project', 13);
DELETE FROM architectures WHERE id = 12;  -- fails
DELETE FROM architectures WHERE id = 13;
SELECT name, condition FROM delete_guard.references_to('architectures') WHERE condition IS NOT NULL ORDER BY name COLLATE "C";

-- A condition means what it meant when it was declared, whatever the search_path is
CREATE FUNCTION is_live(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 = 'live' $$;
CREATE TABLE leases (id int, state text);
SELECT delete_guard.declare_reference('leases', '{id}', 'architectures', condition => 'is_live(state) AND length(state) > 0');
INSERT INTO leases VALUES (14, 'live'), (15, 'dead');
INSERT INTO architectures_distributions VALUES (31, 31, 31);
INSERT INTO comments VALUES (32, 'Architecture', 32);
INSERT INTO download_repositories VALUES (33, 'arch33');
RESET ROLE;
CREATE SCHEMA dg_hostile;
GRANT ALL ON SCHEMA dg_hostile TO regress_dg_alice;
SET ROLE regress_dg_alice;
CREATE FUNCTION dg_hostile.is_live(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
CREATE FUNCTION dg_hostile.length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
CREATE FUNCTION dg_hostile.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR dg_hostile.= (leftarg = text, rightarg = text, function = dg_hostile.never);
CREATE FUNCTION dg_hostile.never(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR dg_hostile.= (leftarg = int, rightarg = int, function = dg_hostile.never);
CREATE TEMP TABLE architectures_distributions (id int, architecture_id int);
SET search_path = dg_hostile, pg_temp, pg_catalog;
DELETE FROM dg_declare.architectures WHERE id OPERATOR(pg_catalog.=) 14;  -- fails
DELETE FROM dg_declare.architectures WHERE id OPERATOR(pg_catalog.=) 15;
DELETE FROM dg_declare.architectures WHERE id OPERATOR(pg_catalog.=) 31;  -- fails
DELETE FROM dg_declare.architectures WHERE id OPERATOR(pg_catalog.=) 32;  -- fails
DELETE FROM dg_declare.architectures WHERE id OPERATOR(pg_catalog.=) 33;  -- fails
SELECT operation, outcome, rows, hangs FROM dg_test.news();
RESET ROLE;
DROP TABLE pg_temp.architectures_distributions;
SET search_path = dg_declare;
SET client_min_messages = error;
DROP SCHEMA dg_hostile CASCADE;
SET client_min_messages = warning;

-- A condition runs as the owner of the referencing table, restricted, whoever deletes
SET ROLE regress_dg_owner;
CREATE FUNCTION tell(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN current_user = 'regress_dg_owner'; END $$;
CREATE TABLE telling (id int);
INSERT INTO telling VALUES (16), (29);
SELECT delete_guard.declare_reference('telling', '{id}', 'architectures', condition => 'tell(id)');
SET ROLE regress_dg_alice;
DELETE FROM architectures WHERE id = 16;  -- fails
RESET ROLE;
DELETE FROM architectures WHERE id = 29;  -- fails
SET ROLE regress_dg_owner;
-- it must not depend on anything but the row
CREATE FUNCTION moody(int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN true; END $$;
SELECT delete_guard.declare_reference('telling', '{id}', 'architectures', condition => 'moody(id)');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('telling', '{id}', 'architectures', condition => 'now() > ''2020-01-01''');  -- fails
-- one that raises an error lets nothing go
CREATE TABLE erring (id int);
INSERT INTO erring VALUES (17);
SELECT delete_guard.declare_reference('erring', '{id}', 'architectures', condition => '1 / (id - 17) > 0');
DELETE FROM architectures WHERE id = 17;  -- fails
DELETE FROM architectures WHERE id = 18;
SELECT delete_guard.forget_reference('erring_id');
-- NULL is not true
CREATE TABLE maybe (id int, ok boolean);
INSERT INTO maybe VALUES (19, NULL), (21, true);
SELECT delete_guard.declare_reference('maybe', '{id}', 'architectures', condition => 'ok');
DELETE FROM architectures WHERE id = 19;
DELETE FROM architectures WHERE id = 21;  -- fails

-- Columns are followed when they are renamed, decoys are not
ALTER TABLE maybe RENAME id TO arch_id;
ALTER TABLE maybe ADD id int;
INSERT INTO maybe (arch_id, id, ok) VALUES (22, 23, true), (25, NULL, true), (26, NULL, true);
DELETE FROM architectures WHERE id = 22;  -- fails
DELETE FROM architectures WHERE id = 23;
ALTER TABLE maybe RENAME TO perhaps;
DELETE FROM architectures WHERE id = 25;  -- fails
-- a renamed column of a condition lets nothing go
ALTER TABLE perhaps RENAME ok TO fine;
SELECT dg_test.says('DELETE FROM architectures WHERE id = 26') <> 'ok' AS refused;
ALTER TABLE perhaps RENAME fine TO ok;
SELECT * FROM dg_test.news();

-- Errors
SELECT delete_guard.declare_reference('architectures_distributions', '{architecture_id}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('architectures_distributions', '{no_such}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('architectures_distributions', '{architecture_id}', 'architectures', '{no_such}');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('architectures_distributions', '{ctid}', 'architectures');  -- fails
SELECT delete_guard.declare_reference('architectures_distributions', '{NULL}', 'architectures');  -- fails
SELECT delete_guard.declare_reference('architectures_distributions', '{}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('pair_refs', '{q}', 'pairs');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('pair_refs', '{q,q}', 'pairs');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', '{plain}');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{t}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', '{name}');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference(NULL, '{i4}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', NULL, 'architectures');  -- fails
SELECT delete_guard.declare_reference('numbers', '{i4}', NULL);  -- fails
CREATE VIEW a_view AS SELECT * FROM numbers;
SELECT delete_guard.declare_reference('a_view', '{i4}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'a_view', '{i4}');  -- fails
CREATE TEMP TABLE a_temp (id int PRIMARY KEY);
SELECT delete_guard.declare_reference('a_temp', '{id}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
-- conditions that are none
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'no_such = 1');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'i4');  -- fails
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY sqlstate
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'i4 > (SELECT 1)');  -- fails
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'count(*) > 1');  -- fails
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'row_number() OVER () > 1');  -- fails
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'generate_series(1, 2) > 1');  -- fails
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'i4 > $1');  -- fails
\set VERBOSITY terse
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => '');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'true) OR (true');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'true; DROP TABLE numbers');  -- fails
SELECT delete_guard.declare_reference('numbers', '{i4}', 'architectures', condition => 'true FROM numbers');  -- fails
SELECT delete_guard.forget_reference('no_such');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.forget_reference(NULL);  -- fails
\echo :LAST_ERROR_SQLSTATE
-- a system table; who does not own both tables
RESET ROLE;
SELECT delete_guard.declare_reference('pg_class', '{oid}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
GRANT CREATE ON SCHEMA dg_declare TO regress_dg_alice;
SET ROLE regress_dg_alice;
CREATE TABLE of_alice (id int);
SELECT delete_guard.declare_reference('of_alice', '{id}', 'architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.declare_reference('numbers', '{i4}', 'of_alice', '{id}');  -- fails
SELECT delete_guard.forget_reference('numbers_i8');  -- fails
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

-- Forgotten: no longer a reference
SET ROLE regress_dg_owner;
SELECT delete_guard.forget_reference('numbers_i8');
DELETE FROM architectures WHERE id = 5;
SELECT count(*) FROM delete_guard.references_to('architectures') WHERE name = 'numbers_i8';
-- and can be declared again; rolled back it is not
BEGIN;
SELECT delete_guard.declare_reference('numbers', '{i8}', 'architectures');
INSERT INTO numbers (i8) VALUES (24);
SAVEPOINT s;
DELETE FROM architectures WHERE id = 24;  -- fails
ROLLBACK;
DELETE FROM architectures WHERE id = 24;
-- a table that is gone leaves nothing behind that would be in the way
DROP TABLE leases;
DELETE FROM architectures WHERE id = 14;
SELECT delete_guard.forget_reference('leases_id');  -- fails

-- A declared reference to a table that is not protected is kept for the time when it is
CREATE TABLE unguarded (id int PRIMARY KEY);
INSERT INTO unguarded VALUES (1), (2);
CREATE TABLE to_unguarded (id int);
INSERT INTO to_unguarded VALUES (1), (2);
SELECT delete_guard.declare_reference('to_unguarded', '{id}', 'unguarded');
DELETE FROM unguarded WHERE id = 1;
SELECT delete_guard.protect('unguarded');
DELETE FROM unguarded WHERE id = 2;  -- fails
-- on itself, with a condition
CREATE TABLE tree (id int PRIMARY KEY, parent int, kind text);
INSERT INTO tree VALUES (1, NULL, 'a'), (2, 1, 'a'), (3, 1, 'b'), (4, 3, 'b');
SELECT delete_guard.declare_reference('tree', '{parent}', 'tree', condition => 'kind = ''a''');
SELECT delete_guard.protect('tree');
DELETE FROM tree WHERE id = 3;
DELETE FROM tree WHERE id = 1;  -- fails
DELETE FROM tree WHERE id IN (1, 2);
SELECT * FROM tree;
-- a condition in a partition and an inheritance child whose columns stand in another order
CREATE TABLE region (id int PRIMARY KEY);
INSERT INTO region SELECT generate_series(1, 4);
CREATE TABLE place (region_id int, a text, b text, g int) PARTITION BY LIST (g);
CREATE TABLE place_1 (gone int, a text, b text, region_id int, g int);
ALTER TABLE place_1 DROP COLUMN gone;
ALTER TABLE place ATTACH PARTITION place_1 FOR VALUES IN (1);
INSERT INTO place VALUES (1, 'x', 'y', 1), (2, 'y', 'x', 1);
CREATE TABLE spot (region_id int, kind text);
CREATE TABLE spot_1 (kind text, more int, region_id int);
ALTER TABLE spot_1 INHERIT spot;
INSERT INTO spot_1 VALUES ('y', 7, 3), ('x', 8, 4);
SELECT delete_guard.protect('region');
SELECT delete_guard.declare_reference('place', '{region_id}', 'region', condition => 'b = ''y''');
SELECT delete_guard.declare_reference('spot', '{region_id}', 'region', condition => 'kind = ''y''');
DELETE FROM region WHERE id = 1;  -- fails
DELETE FROM region WHERE id = 3;  -- fails
DELETE FROM region WHERE id IN (2, 4);
-- an index made in the transaction that updated its table is used like any other
CREATE TABLE spot_2 (region_id int) WITH (autovacuum_enabled = off);
INSERT INTO spot_2 SELECT i FROM generate_series(10, 100) AS i;
BEGIN;
UPDATE spot_2 SET region_id = region_id + 1;
CREATE INDEX spot_2_region_id ON spot_2 (region_id);
COMMIT;
SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'spot_2_region_id'::regclass;
SELECT delete_guard.declare_reference('spot_2', '{region_id}', 'region');
SELECT name, index FROM delete_guard.references_to('region') ORDER BY 1;
INSERT INTO region VALUES (11);
DELETE FROM region WHERE id = 11;  -- fails
SELECT operation, outcome, table_name, rows, hangs FROM dg_test.news();

SELECT delete_guard.unprotect(table_id) FROM delete_guard.protected_tables;
SELECT count(delete_guard.forget_reference(name)) FROM unnest('{architectures,pairs,unguarded,tree,region}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared';
RESET ROLE;
CALL dg_test.release('dg_declare');
DROP SCHEMA dg_declare CASCADE;
SELECT count(*) FROM delete_guard.declared_reference;
