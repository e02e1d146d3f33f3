-- Every route by which a row of a protected table can be deleted
CREATE SCHEMA dg_routes AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_routes TO PUBLIC;
SET search_path = dg_routes;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
CREATE TABLE arch (id int PRIMARY KEY, name text);
CREATE TABLE dist (arch_id int);
SELECT delete_guard.protect('arch');
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
INSERT INTO arch SELECT i, 'arch' || i FROM generate_series(1, 150) AS i;
-- odd rows are referred to, even ones are not
INSERT INTO dist SELECT id FROM arch WHERE id % 2 = 1;
GRANT ALL ON ALL TABLES IN SCHEMA dg_routes TO regress_dg_alice;
SET ROLE regress_dg_alice;
\set VERBOSITY terse

-- plain, USING, RETURNING
DELETE FROM arch WHERE id = 1;  -- fails
DELETE FROM arch USING dist WHERE arch.id = dist.arch_id AND dist.arch_id = 3;  -- fails
DELETE FROM arch WHERE id = 5 RETURNING *;  -- fails
DELETE FROM arch WHERE id = 2 RETURNING *;
-- many rows, one of them referred to: none goes, nothing is recorded as gone
DELETE FROM arch WHERE id IN (4, 6, 7, 8);  -- fails
SELECT count(*) FROM arch WHERE id IN (4, 6, 7, 8);
-- no row, no event
DELETE FROM arch WHERE false;
SELECT * FROM dg_test.news();

-- in a CTE, with a main query that does something else
WITH gone AS (DELETE FROM arch WHERE id = 9 RETURNING id) SELECT count(*) FROM gone;  -- fails
WITH gone AS (DELETE FROM arch WHERE id = 10 RETURNING id) SELECT count(*) FROM gone;
-- in a CTE that removes the references in the same statement, whichever runs first
WITH a AS (DELETE FROM dist WHERE arch_id = 11 RETURNING *) DELETE FROM arch WHERE id = 11;  -- fails
WITH a AS (DELETE FROM dist WHERE arch_id = 13 RETURNING *) DELETE FROM arch USING a WHERE id = a.arch_id;  -- fails
WITH a AS (DELETE FROM arch WHERE id = 15 RETURNING *) DELETE FROM dist USING a WHERE arch_id = a.id;  -- fails
WITH a AS (UPDATE dist SET arch_id = NULL WHERE arch_id = 17 RETURNING *) DELETE FROM arch WHERE id = 17;  -- fails
SELECT count(*) FROM dist WHERE arch_id IN (11, 13, 15, 17);
-- in two statements they may go: references first
BEGIN;
DELETE FROM dist WHERE arch_id = 19;
DELETE FROM arch WHERE id = 19;
COMMIT;
-- CREATE TABLE AS and SELECT INTO cannot delete, INSERT ... WITH can
WITH a AS (DELETE FROM arch WHERE id = 21 RETURNING id) INSERT INTO dist SELECT id FROM a;  -- fails
SELECT * FROM dg_test.news();

-- MERGE
MERGE INTO arch USING (VALUES (23), (24)) AS v(i) ON id = i WHEN MATCHED THEN DELETE;  -- fails
MERGE INTO arch USING (VALUES (24), (26)) AS v(i) ON id = i WHEN MATCHED THEN DELETE;
-- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM arch WHERE id IN (25, 28) ORDER BY id DESC FOR UPDATE;
FETCH c;
DELETE FROM arch WHERE CURRENT OF c;
FETCH c;
SAVEPOINT s;
DELETE FROM arch WHERE CURRENT OF c;  -- fails
ROLLBACK TO s;
COMMIT;
-- views: automatic, INSTEAD OF, rule; with another table's rule
CREATE VIEW arch_view AS SELECT id FROM arch;
DELETE FROM arch_view WHERE id = 27;  -- fails
DELETE FROM arch_view WHERE id = 30;
CREATE VIEW arch_instead AS SELECT id, count(*) FROM arch GROUP BY id;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM dg_routes.arch WHERE id = OLD.id; RETURN OLD; END $$;
CREATE TRIGGER instead INSTEAD OF DELETE ON arch_instead FOR EACH ROW EXECUTE FUNCTION instead();
DELETE FROM arch_instead WHERE id = 29;  -- fails
DELETE FROM arch_instead WHERE id = 32;
CREATE TABLE ruled (id int);
INSERT INTO ruled VALUES (31), (34);
CREATE RULE r AS ON DELETE TO ruled DO ALSO DELETE FROM arch WHERE id = OLD.id;
DELETE FROM ruled WHERE id = 31;  -- fails
DELETE FROM ruled WHERE id = 34;
SELECT * FROM ruled;
SELECT * FROM dg_test.news();

-- functions, DO, prepared statements, EXECUTE, COPY, EXPLAIN ANALYZE
CREATE FUNCTION sql_delete(int) RETURNS void LANGUAGE sql AS 'DELETE FROM dg_routes.arch WHERE id = $1';
CREATE FUNCTION atomic_delete(int) RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM dg_routes.arch WHERE id = $1; END;
CREATE FUNCTION pl_delete(int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM dg_routes.arch WHERE id = $1; END $$;
CREATE FUNCTION dynamic_delete(int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DELETE FROM %s WHERE id = %s', 'dg_routes.arch', $1); END $$;
SELECT sql_delete(33);  -- fails
SELECT atomic_delete(35);  -- fails
SELECT pl_delete(37);  -- fails
SELECT dynamic_delete(39);  -- fails
SELECT sql_delete(36), atomic_delete(38), pl_delete(40), dynamic_delete(42);
PREPARE p AS DELETE FROM arch WHERE id = $1;
EXECUTE p(41);  -- fails
EXECUTE p(44);
-- also once the plan is generic, and after the reference came or went
SET plan_cache_mode = force_generic_plan;
INSERT INTO dist VALUES (46);
EXECUTE p(46);  -- fails
DELETE FROM dist WHERE arch_id = 46;
EXECUTE p(46);
RESET plan_cache_mode;
COPY (DELETE FROM arch WHERE id = 43 RETURNING *) TO STDOUT;  -- fails
COPY (DELETE FROM arch WHERE id = 48 RETURNING *) TO STDOUT;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM arch WHERE id = 45;  -- fails
DO $$ BEGIN EXECUTE 'EXPLAIN DELETE FROM dg_routes.arch WHERE id = 45'; END $$;
SELECT count(*) FROM arch WHERE id = 45;
-- an exception that is swallowed: the row stays, and the record too
DO $$
BEGIN
    DELETE FROM dg_routes.arch WHERE id = 47;
EXCEPTION WHEN restrict_violation THEN
    NULL;
END $$;
SELECT count(*) FROM arch WHERE id = 47;
-- a trigger of somebody else
CREATE TABLE driver (id int);
CREATE FUNCTION drive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM dg_routes.arch WHERE id = OLD.id; RETURN OLD; END $$;
CREATE TRIGGER drive AFTER DELETE ON driver FOR EACH ROW EXECUTE FUNCTION drive();
INSERT INTO driver VALUES (49), (50);
DELETE FROM driver WHERE id = 49;  -- fails
DELETE FROM driver WHERE id = 50;
SELECT * FROM dg_test.news();

-- another trigger on the protected table that cancels: no delete, no event
SET ROLE regress_dg_owner;
CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id IN (51, 52) THEN RETURN NULL; END IF; RETURN OLD; END $$;
CREATE TRIGGER "000_cancel" BEFORE DELETE ON arch FOR EACH ROW EXECUTE FUNCTION cancel();
DELETE FROM arch WHERE id IN (51, 52);
SELECT count(*) FROM arch WHERE id IN (51, 52);
-- one that removes the references first, before or after
CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM dg_routes.dist WHERE arch_id = OLD.id; RETURN OLD; END $$;
CREATE TRIGGER "000_clear" BEFORE DELETE ON arch FOR EACH ROW WHEN (OLD.id = 53) EXECUTE FUNCTION clear();
DELETE FROM arch WHERE id = 53;  -- fails
CREATE TRIGGER "000_clear_after" AFTER DELETE ON arch FOR EACH ROW WHEN (OLD.id = 55) EXECUTE FUNCTION clear();
DELETE FROM arch WHERE id = 55;  -- fails
SELECT count(*) FROM dist WHERE arch_id IN (53, 55);
DROP TRIGGER "000_cancel" ON arch;
DROP TRIGGER "000_clear" ON arch;
DROP TRIGGER "000_clear_after" ON arch;
SELECT * FROM dg_test.news();

-- Cascades into the protected table
CREATE TABLE vendor (id int PRIMARY KEY);
CREATE TABLE board (id int PRIMARY KEY, vendor_id int REFERENCES vendor ON DELETE CASCADE);
CREATE TABLE slot (id int PRIMARY KEY, board_id int REFERENCES board ON DELETE CASCADE);
CREATE INDEX ON board (vendor_id);
SELECT delete_guard.protect('board');
INSERT INTO vendor VALUES (1), (2), (3);
INSERT INTO board VALUES (11, 1), (21, 2), (22, 2), (31, 3);
INSERT INTO slot VALUES (111, 11), (221, 22);
DELETE FROM vendor WHERE id = 1;  -- fails
DELETE FROM vendor;  -- fails
DELETE FROM vendor WHERE id = 3;
SELECT count(*) FROM vendor;
SELECT count(*) FROM board;
-- diamond: a sibling's cascade removes the references first, in either order of constraints
CREATE TABLE a_top (id int PRIMARY KEY);
CREATE TABLE m_mid (id int PRIMARY KEY, top_id int REFERENCES a_top ON DELETE CASCADE);
CREATE TABLE z_leaf (id int, top_id int REFERENCES a_top ON DELETE CASCADE, mid_id int REFERENCES m_mid ON DELETE CASCADE);
SELECT delete_guard.protect('m_mid');
INSERT INTO a_top VALUES (1);
INSERT INTO m_mid VALUES (1, 1);
INSERT INTO z_leaf VALUES (1, 1, 1);
DELETE FROM a_top;  -- fails
CREATE TABLE a_top2 (id int PRIMARY KEY);
CREATE TABLE m_mid2 (id int PRIMARY KEY, top_id int);
CREATE TABLE z_leaf2 (id int, top_id int REFERENCES a_top2 ON DELETE CASCADE, mid_id int REFERENCES m_mid2 ON DELETE CASCADE);
ALTER TABLE m_mid2 ADD FOREIGN KEY (top_id) REFERENCES a_top2 ON DELETE CASCADE;
SELECT delete_guard.protect('m_mid2');
INSERT INTO a_top2 VALUES (1);
INSERT INTO m_mid2 VALUES (1, 1);
INSERT INTO z_leaf2 VALUES (1, 1, 1);
DELETE FROM a_top2;  -- fails
SELECT (SELECT count(*) FROM z_leaf) AS leaf, (SELECT count(*) FROM z_leaf2) AS leaf2;
SELECT * FROM dg_test.news();
-- cycles, deferred
CREATE TABLE egg (id int PRIMARY KEY, hen int);
CREATE TABLE hen (id int PRIMARY KEY, egg int REFERENCES egg ON DELETE CASCADE);
ALTER TABLE egg ADD CONSTRAINT egg_hen FOREIGN KEY (hen) REFERENCES hen ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO egg VALUES (1, 1);
INSERT INTO hen VALUES (1, 1);
INSERT INTO egg VALUES (2, 2), (3, NULL);
INSERT INTO hen VALUES (2, NULL);
COMMIT;
SELECT delete_guard.protect('egg');
SELECT delete_guard.protect('hen');
DELETE FROM egg WHERE id = 1;  -- fails
DELETE FROM hen WHERE id = 2;  -- fails
DELETE FROM egg WHERE id IN (2, 3);
DELETE FROM hen WHERE id = 2;
SELECT * FROM dg_test.news();

-- A table that refers to itself
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE, label text);
CREATE TABLE tree_plain (id int PRIMARY KEY, parent int REFERENCES tree_plain);
CREATE TABLE on_tree (tree_id int REFERENCES tree);
SELECT delete_guard.protect('tree');
SELECT delete_guard.protect('tree_plain');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 1), (4, 2), (10, 10), (20, NULL), (21, 20), (30, NULL), (31, 30), (40, 41), (41, 40);
INSERT INTO tree_plain SELECT id, parent FROM tree;
INSERT INTO on_tree VALUES (31);
DELETE FROM tree WHERE id = 1;  -- fails
DELETE FROM tree WHERE id IN (1, 2);  -- fails
-- a whole subtree in one statement is one act; a row that points at itself is its own subtree
DELETE FROM tree WHERE id IN (1, 2, 3, 4);
DELETE FROM tree WHERE id = 10;
DELETE FROM tree WHERE id IN (40, 41);
DELETE FROM tree_plain WHERE id IN (4, 3, 2, 1);
DELETE FROM tree_plain WHERE id = 10;
DELETE FROM tree_plain WHERE id = 40;  -- fails
DELETE FROM tree_plain WHERE id IN (40, 41);
-- but not if something from elsewhere hangs on it
DELETE FROM tree WHERE id IN (30, 31);  -- fails
-- leaf by leaf is fine, too
DELETE FROM tree WHERE id = 21;
DELETE FROM tree WHERE id = 20;
SELECT array_agg(id ORDER BY id) FROM tree;
SELECT * FROM dg_test.news();

-- session_replication_role = replica does not switch the guard off
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM arch WHERE id = 57;  -- fails
DELETE FROM tree WHERE id = 30;  -- fails
DELETE FROM arch WHERE id = 58;
RESET session_replication_role;
-- superusers are guarded like everybody
DELETE FROM arch WHERE id = 59;  -- fails
SELECT * FROM dg_test.news();

-- mode log: all goes, all is recorded, with what hung on it
SET ROLE regress_dg_owner;
SELECT delete_guard.protect('arch', 'log');
SELECT delete_guard.protect('tree', 'log');
DELETE FROM arch WHERE id IN (61, 62, 63);
DELETE FROM on_tree;
DELETE FROM tree WHERE id = 30;
SELECT * FROM dg_test.news();
SELECT * FROM dg_test.images('dg_routes.arch');
SELECT * FROM dg_test.images('dg_routes.tree');
-- scope all: what nothing refers to is held back as well
SELECT delete_guard.protect('arch', scope => 'all');
DELETE FROM arch WHERE id = 64;  -- fails
DELETE FROM arch WHERE id IN (65, 66);  -- fails
DELETE FROM arch WHERE false;
SELECT * FROM dg_test.news();

RESET ROLE;
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SELECT delete_guard.forget_reference('dist_arch_id');
CALL dg_test.release('dg_routes');
DROP SCHEMA dg_routes CASCADE;
