-- TRUNCATE of a protected table, also by CASCADE
CREATE SCHEMA dg_truncate AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_truncate TO PUBLIC;
SET search_path = dg_truncate;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE top (id int PRIMARY KEY);
CREATE TABLE main (id int PRIMARY KEY, top_id int REFERENCES top, note text);
CREATE TABLE sub (id int PRIMARY KEY, main_id int REFERENCES main ON DELETE CASCADE);
CREATE TABLE soft (main_id int);
CREATE TABLE free (id int PRIMARY KEY, v text);
SELECT delete_guard.protect('main');
SELECT delete_guard.protect('free');
SELECT delete_guard.declare_reference('soft', '{main_id}', 'main');
INSERT INTO top VALUES (1), (2);
INSERT INTO main VALUES (1, 1, 'a'), (2, 2, 'b'), (3, NULL, 'c');
INSERT INTO sub VALUES (1, 1), (2, 1);
INSERT INTO soft VALUES (2);
INSERT INTO free SELECT i, 'v' || i FROM generate_series(1, 5) AS i;
GRANT ALL ON ALL TABLES IN SCHEMA dg_truncate TO regress_dg_alice;
SET ROLE regress_dg_alice;
TRUNCATE main;  -- fails
TRUNCATE main CASCADE;  -- fails
SELECT * FROM dg_test.news();
-- of another table, CASCADE reaches the protected one
TRUNCATE top CASCADE;  -- fails
TRUNCATE top, main, sub;  -- fails
TRUNCATE sub, main;  -- fails
TRUNCATE free, main CASCADE;  -- fails
SELECT (SELECT count(*) FROM top) AS top, (SELECT count(*) FROM main) AS main, (SELECT count(*) FROM sub) AS sub,
       (SELECT count(*) FROM free) AS free;
-- in a function, by dynamic SQL, restart
DO $$ BEGIN EXECUTE 'TRUNCATE dg_truncate.main RESTART IDENTITY CASCADE'; END $$;  -- fails
-- replica role
RESET ROLE;
SET session_replication_role = replica;
TRUNCATE main CASCADE;  -- fails
RESET session_replication_role;
-- the same attempt again is counted
SELECT sum(repeats + 1) AS attempts, bool_and(outcome = 'blocked') AS all_blocked, max(row_count)
FROM delete_guard.audit_log WHERE table_name = 'dg_truncate.main' AND operation = 'truncate';
SET ROLE regress_dg_alice;
-- nothing refers to its rows: goes, with an image of each
TRUNCATE free;
SELECT * FROM dg_test.news();
SELECT * FROM dg_test.images('dg_truncate.free');
-- an empty table: nothing is lost, nothing recorded
TRUNCATE free;
SELECT * FROM dg_test.news();
-- rolled back
INSERT INTO free VALUES (1, 'v');
BEGIN;
TRUNCATE free;
ROLLBACK;
SELECT count(*) FROM free;
SELECT * FROM dg_test.news();
-- a table that others refer to without any row doing so: CASCADE empties those as well
DELETE FROM sub;
DELETE FROM soft;
TRUNCATE main;  -- fails
TRUNCATE main CASCADE;
SELECT * FROM dg_test.news();
SELECT key, old_row FROM dg_test.images('dg_truncate.main');
-- a table that refers to itself is emptied as a whole
SET ROLE regress_dg_owner;
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree);
SELECT delete_guard.protect('tree');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 3);
TRUNCATE tree;
SELECT * FROM dg_test.news();
-- each partition is judged on its own
CREATE TABLE pt (id int PRIMARY KEY, parent int REFERENCES pt) PARTITION BY RANGE (id);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES FROM (0) TO (10);
CREATE TABLE pt_2 PARTITION OF pt FOR VALUES FROM (10) TO (20);
SELECT delete_guard.protect('pt');
INSERT INTO pt VALUES (1, NULL), (11, 1), (2, NULL);
TRUNCATE pt_1 CASCADE;  -- fails
TRUNCATE pt_2 CASCADE;  -- fails

-- capture_limit: images up to it, and the event says so
RESET ROLE;
SET delete_guard.capture_limit = 3;
INSERT INTO free SELECT i, 'w' || i FROM generate_series(11, 20) AS i;
TRUNCATE free;
SELECT row_count, details FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1;
SELECT count(*) FROM dg_test.images('dg_truncate.free');
INSERT INTO free SELECT i, 'w' || i FROM generate_series(11, 20) AS i;
DELETE FROM free WHERE id < 14;
SELECT row_count, details FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1;
DELETE FROM free WHERE id < 18;
SELECT row_count, details FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1;
SET delete_guard.capture_limit = 0;
DELETE FROM free;
SELECT row_count, details FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1;
SELECT count(*) FROM dg_test.images('dg_truncate.free');
RESET delete_guard.capture_limit;
-- not for everybody
SET ROLE regress_dg_alice;
SET delete_guard.capture_limit = 0;  -- fails
RESET ROLE;
-- mode log and scope all
SET ROLE regress_dg_owner;
CALL dg_test.here();
SELECT delete_guard.protect('main', 'log');
INSERT INTO main VALUES (1);
INSERT INTO soft VALUES (1);
INSERT INTO sub VALUES (1, 1);
TRUNCATE main CASCADE;
SELECT delete_guard.protect('free', scope => 'all');
INSERT INTO free VALUES (1), (2);
TRUNCATE free;  -- fails
SELECT * FROM dg_test.news();
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
TRUNCATE free;
SELECT * FROM dg_test.news();
SELECT delete_guard.forget_reference('soft_main_id');
RESET ROLE;
CALL dg_test.release('dg_truncate');
DROP SCHEMA dg_truncate CASCADE;
