-- An approval of a change is for the objects that its names meant when it was
-- asked for, not for others that bear these names later
CREATE SCHEMA dg_names AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_names TO PUBLIC;
CREATE ROLE regress_dg_named LOGIN;
CREATE ROLE regress_dg_renamed LOGIN;
SELECT current_user AS super \gset
CALL dg_test.here();
\set VERBOSITY terse
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_names;
CREATE TABLE pt (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES FROM (0) TO (100);
CREATE TABLE pt_2 PARTITION OF pt FOR VALUES FROM (100) TO (200);
CREATE TABLE to_pt (pt_id int);
CREATE TABLE q (id int PRIMARY KEY, a int CONSTRAINT q_a UNIQUE, b int CONSTRAINT q_b UNIQUE);
CREATE TABLE to_q (a int REFERENCES q (a), b int REFERENCES q (b));
INSERT INTO pt VALUES (101);
INSERT INTO to_pt VALUES (101);
INSERT INTO q VALUES (1, 1, 1);
INSERT INTO to_q VALUES (1, 1);
SELECT delete_guard.protect(t) FROM unnest('{pt,q}'::regclass[]) AS t;
SELECT delete_guard.declare_reference('to_pt', '{pt_id}', 'pt');
SELECT delete_guard.add_approver('regress_dg_bob', t) FROM unnest('{pt,q}'::regclass[]) AS t;
SELECT delete_guard.request_change('pt', 'DROP TABLE pt_1') AS drop,
       delete_guard.request_change('pt', 'ALTER TABLE pt DETACH PARTITION pt_1') AS detach,
       delete_guard.request_change('q', 'ALTER TABLE q DROP COLUMN a CASCADE') AS column,
       delete_guard.request_change('q', 'ALTER TABLE q DROP CONSTRAINT q_a CASCADE') AS constraint,
       delete_guard.request_change('q', $$SELECT delete_guard.add_approver('regress_dg_named', 'q')$$) AS approver \gset
\c - regress_dg_bob
SELECT approvals FROM unnest(ARRAY[:drop, :detach, :column, :constraint, :approver]) AS r, delete_guard.approve(r);

-- The names change hands
\c - :super
ALTER ROLE regress_dg_named RENAME TO regress_dg_was_named;
ALTER ROLE regress_dg_renamed RENAME TO regress_dg_named;
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_names;
ALTER TABLE pt_1 RENAME TO pt_x;
ALTER TABLE pt_2 RENAME TO pt_1;
ALTER TABLE q RENAME a TO x;
ALTER TABLE q RENAME b TO a;
ALTER TABLE q RENAME CONSTRAINT q_a TO q_x;
ALTER TABLE q RENAME CONSTRAINT q_b TO q_a;
BEGIN;
SELECT set_config('delete_guard.approval', concat_ws(',', :drop, :detach, :column, :constraint, :approver), true) <> '' AS set;
SAVEPOINT s;
SELECT dg_test.says('DROP TABLE pt_1') AS error \gset
SELECT :'error' LIKE '%is for another object of that name%' AS why;
SELECT dg_test.says('ALTER TABLE pt DETACH PARTITION pt_1') LIKE '%is for another object of that name%' AS why;
SELECT dg_test.says('ALTER TABLE q DROP COLUMN a CASCADE') LIKE '%is for another object of that name%' AS why;
SELECT dg_test.says('ALTER TABLE q DROP CONSTRAINT q_a') LIKE '%is for another change%' AS why;
SELECT dg_test.says('ALTER TABLE q DROP CONSTRAINT q_a CASCADE') LIKE '%is for another object of that name%' AS why;
SELECT dg_test.says($$SELECT delete_guard.add_approver('regress_dg_named', 'q')$$) LIKE '%is for another object of that name%' AS why;
COMMIT;
SELECT count(*) FROM pt;
SELECT count(*) FROM to_q JOIN q ON q.a = to_q.b AND q.x = to_q.a;
-- each was refused, and has a request of its own
SELECT count(DISTINCT request_id) FROM delete_guard.pending_requests WHERE request_id > :approver AND table_name LIKE 'dg_names.%';

-- The names are back: so are the approvals
ALTER TABLE pt_1 RENAME TO pt_2;
ALTER TABLE pt_x RENAME TO pt_1;
ALTER TABLE q RENAME a TO b;
ALTER TABLE q RENAME x TO a;
ALTER TABLE q RENAME CONSTRAINT q_a TO q_b;
ALTER TABLE q RENAME CONSTRAINT q_x TO q_a;
BEGIN;
SELECT set_config('delete_guard.approval', concat_ws(',', :drop, :column), true) <> '' AS set;
DROP TABLE pt_1;
ALTER TABLE q DROP COLUMN a CASCADE;
COMMIT;
SELECT attname FROM pg_attribute WHERE attrelid = 'q'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT request_id - :drop AS request, state FROM delete_guard.request_history
 WHERE request_id BETWEEN :drop AND :approver ORDER BY 1;

\c - :super
SET client_min_messages = warning;
CALL dg_test.release('dg_names');
DROP SCHEMA dg_names CASCADE;
SELECT dg_test.alone($$SELECT count(delete_guard.remove_approver(role_name, table_id)) FROM delete_guard.approver$$);
DROP ROLE regress_dg_named, regress_dg_was_named;
CALL dg_test.here();
