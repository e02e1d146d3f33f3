-- find_orphans(): rows that refer to nothing, per reference
SELECT current_user AS super \gset
CREATE SCHEMA dg_orphans AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_orphans TO PUBLIC;
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_orphans;
CREATE VIEW found AS
    SELECT * FROM delete_guard.find_orphans()
    WHERE (SELECT relnamespace FROM pg_class WHERE oid = referencing) = 'dg_orphans'::regnamespace;
GRANT SELECT ON found TO PUBLIC;

-- Declared, with conditions; nothing is found where nothing is missing
CREATE TABLE arch (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE dist (id int PRIMARY KEY, arch_id bigint);
CREATE TABLE dl (id int PRIMARY KEY, arch varchar(20));
CREATE TABLE note (id int PRIMARY KEY, about text, about_id int);
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
SELECT delete_guard.declare_reference('dl', '{arch}', 'arch', '{name}');
SELECT delete_guard.declare_reference('note', '{about_id}', 'arch', condition => $$about = 'arch'$$);
INSERT INTO arch SELECT i, 'a' || i FROM generate_series(1, 20) AS i;
INSERT INTO dist SELECT i, i % 20 + 1 FROM generate_series(1, 100) AS i;
INSERT INTO dist VALUES (101, NULL);
INSERT INTO dl SELECT i, 'a' || i FROM generate_series(1, 20) AS i;
INSERT INTO note SELECT i, 'arch', i FROM generate_series(1, 20) AS i;
INSERT INTO note VALUES (21, 'dist', 1000), (22, NULL, 1000), (23, 'arch', NULL);
SELECT count(*) FROM found;
DELETE FROM arch WHERE id > 15 OR id = 1;
SELECT reference, kind, referencing, referencing_columns, referenced, referenced_columns, condition, orphans, missing_keys, sample_keys FROM found;
-- the query that comes along lists them
SELECT query FROM found WHERE reference = 'note_about_id'
\gset
:query ORDER BY id;
-- no more than ten keys are shown
DELETE FROM arch;
SELECT reference, orphans, missing_keys, jsonb_array_length(sample_keys) AS shown FROM found;
-- from one side, from the other, from none
SELECT reference FROM delete_guard.find_orphans('dl');
SELECT count(*) FROM delete_guard.find_orphans('arch');
SELECT count(*) FROM delete_guard.find_orphans('found'::regclass);
SELECT delete_guard.find_orphans(0);  -- fails
-- what this transaction did counts, and what it took back does not
BEGIN;
INSERT INTO arch SELECT i, 'a' || i FROM generate_series(1, 20) AS i;
SELECT count(*) FROM found;
ROLLBACK;
SELECT count(*) FROM found;
SELECT delete_guard.forget_reference(name) FROM delete_guard.references_to('arch') ORDER BY name;
DROP TABLE arch, dist, dl, note CASCADE;

-- Foreign keys: NOT VALID; broken under replica role; several columns; MATCH FULL; of a table on itself
CREATE TABLE pk (a int, b text, PRIMARY KEY (a, b));
CREATE TABLE fk (id int PRIMARY KEY, a int, b text, up int);
INSERT INTO pk VALUES (1, 'x'), (2, 'y');
INSERT INTO fk VALUES (1, 1, 'x', 1), (2, 2, 'x', 1), (3, 2, NULL, 9), (4, NULL, NULL, NULL), (5, 2, 'x', NULL);
ALTER TABLE fk ADD CONSTRAINT simple FOREIGN KEY (a, b) REFERENCES pk NOT VALID;
ALTER TABLE fk ADD CONSTRAINT self FOREIGN KEY (up) REFERENCES fk NOT VALID;
SELECT reference, kind, orphans, missing_keys, sample_keys FROM found;
ALTER TABLE fk DROP CONSTRAINT simple;
ALTER TABLE fk ADD CONSTRAINT full_match FOREIGN KEY (a, b) REFERENCES pk MATCH FULL NOT VALID;
SELECT reference, orphans, missing_keys, sample_keys FROM found;
SELECT query FROM found WHERE reference = 'full_match'
\gset
:query ORDER BY id;
DROP TABLE fk, pk;
\c - :super
SET search_path = dg_orphans;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (parent_id int REFERENCES parent);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1), (1), (2);
SET session_replication_role = replica;
DELETE FROM parent WHERE id = 1;
RESET session_replication_role;
SELECT convalidated FROM pg_constraint WHERE conrelid = 'child'::regclass;
SELECT orphans, sample_keys FROM delete_guard.find_orphans('child');
DROP TABLE parent, child;

-- Partitions and children
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_orphans;
CREATE TABLE proot (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF proot FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF proot FOR VALUES FROM (10) TO (20);
CREATE TABLE froot (proot_id int, soft_id int) PARTITION BY RANGE (proot_id);
CREATE TABLE f1 PARTITION OF froot FOR VALUES FROM (0) TO (10);
CREATE TABLE f2 PARTITION OF froot FOR VALUES FROM (10) TO (20);
INSERT INTO proot VALUES (1), (11);
INSERT INTO froot VALUES (1, 1), (11, 11);
ALTER TABLE froot ADD FOREIGN KEY (proot_id) REFERENCES proot;
SELECT delete_guard.declare_reference('froot', '{soft_id}', 'proot');
INSERT INTO froot VALUES (1, 7), (11, 17);
SELECT reference, referencing, referenced, orphans, sample_keys FROM found;
-- asked for a partition, the answer is that of the whole
SELECT reference, referencing, orphans FROM delete_guard.find_orphans('f2');
SELECT reference, referencing, orphans FROM delete_guard.find_orphans('p1');
DROP TABLE froot, proot;
SELECT delete_guard.forget_reference('froot_soft_id');  -- fails: gone with its table
CREATE TABLE base (id int PRIMARY KEY);
CREATE TABLE derived () INHERITS (base);
CREATE TABLE hard (base_id int);
CREATE TABLE soft (base_id int);
CREATE TABLE softer () INHERITS (soft);
INSERT INTO base VALUES (1);
INSERT INTO derived VALUES (2);
INSERT INTO hard VALUES (1), (2);
INSERT INTO soft VALUES (1), (2);
INSERT INTO softer VALUES (2), (3);
ALTER TABLE hard ADD FOREIGN KEY (base_id) REFERENCES base NOT VALID;
SELECT delete_guard.declare_reference('soft', '{base_id}', 'base');
SELECT reference, kind, orphans, sample_keys FROM found;
SELECT delete_guard.forget_reference('soft_base_id');
DROP TABLE hard, softer, soft, derived, base;

-- Kinds of columns: enum, array, domain, char(n), another collation, another spelling
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE DOMAIN code AS char(4);
CREATE TABLE k (e colour UNIQUE, a int[] UNIQUE, c char(4) UNIQUE, n numeric UNIQUE, t text COLLATE "C" UNIQUE, j jsonb UNIQUE, id int PRIMARY KEY);
CREATE TABLE r (e colour, a int[], c code, n int, t varchar(10), j jsonb);
INSERT INTO k VALUES ('red', '{1,2}', 'ab', 1.0, 'x', '{"a": 1}', 1);
INSERT INTO r VALUES ('red', '{1,2}', 'ab', 1, 'x', '{"a": 1.0}'), ('blue', '{2,1}', 'b', 2, 'X', '{"a": 2}');
DO $$
DECLARE
    c name;
BEGIN
    FOREACH c IN ARRAY '{e,a,c,n,t,j}'::name[] LOOP
        PERFORM delete_guard.declare_reference('r', ARRAY[c], 'k', ARRAY[c]);
    END LOOP;
END $$;
SELECT reference, orphans, sample_keys FROM found ORDER BY reference COLLATE "C";
SELECT delete_guard.forget_reference(name) FROM delete_guard.references_to('k') ORDER BY name;
DROP TABLE k, r;

-- Rights: who may read neither and owns neither is told nothing but that
CREATE TABLE mine (id int PRIMARY KEY);
CREATE TABLE theirs (mine_id int, other int);
GRANT SELECT (mine_id) ON theirs TO regress_dg_alice;
INSERT INTO theirs VALUES (1, 1), (1, 2), (2, 1);
SELECT delete_guard.declare_reference('theirs', '{mine_id}', 'mine');
\c - regress_dg_alice
SELECT reference, orphans, missing_keys, sample_keys FROM dg_orphans.found;
\c - regress_dg_bob
SELECT * FROM dg_orphans.found \gx
-- two owners: neither need be able to read the other's table; conditions run as the owner of the one
\c - :super
SET client_min_messages = warning;
SET search_path = dg_orphans;
ALTER TABLE mine OWNER TO regress_dg_bob;
ALTER TABLE theirs OWNER TO regress_dg_carol;
SELECT delete_guard.forget_reference('theirs_mine_id');
CREATE FUNCTION says_who(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> 'regress_dg_carol' THEN
        RAISE EXCEPTION 'run as %', current_user;
    END IF;
    RETURN $1 = 1;
END $$;
SELECT delete_guard.declare_reference('theirs', '{mine_id}', 'mine', condition => 'says_who(other)');
INSERT INTO theirs SELECT i, i % 2 FROM generate_series(1, 5000) AS i;
INSERT INTO mine SELECT generate_series(2, 5000, 2);
INSERT INTO mine SELECT generate_series(101, 4999, 2);
CREATE INDEX ON mine (id) WHERE id > 0;
SELECT reference, orphans, missing_keys, sample_keys FROM found;
SELECT has_table_privilege('regress_dg_bob', 'theirs', 'SELECT') OR has_table_privilege('regress_dg_carol', 'mine', 'SELECT') AS may;
-- owning one side tells how many, not which
\c - regress_dg_bob
SELECT reference, orphans, missing_keys, sample_keys FROM dg_orphans.found;
\c - regress_dg_carol
SELECT reference, orphans, missing_keys, sample_keys FROM dg_orphans.found;
-- an owner without the right to read his table: not known, and not passed over
\c - :super
SET search_path = dg_orphans;
REVOKE SELECT ON mine FROM regress_dg_bob;
SELECT reference, orphans, sample_keys FROM found;
GRANT SELECT ON mine TO regress_dg_bob;
-- nothing is changed: it runs in a read-only transaction, and sees what is committed now in any
BEGIN TRANSACTION READ ONLY ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM found;
ROLLBACK;
SELECT delete_guard.forget_reference('theirs_mine_id');
-- columns of different collations are compared by that of the referenced one
RESET ROLE;
CREATE TABLE by_c (t text COLLATE "C" PRIMARY KEY);
CREATE TABLE by_posix (t text COLLATE "POSIX" REFERENCES by_c);
INSERT INTO by_c VALUES ('a');
SET session_replication_role = replica;
INSERT INTO by_posix VALUES ('a'), ('b');
RESET session_replication_role;
SELECT reference, orphans, sample_keys FROM delete_guard.find_orphans('by_posix');
SET client_min_messages = warning;
CALL dg_test.release('dg_orphans');
DROP SCHEMA dg_orphans CASCADE;
