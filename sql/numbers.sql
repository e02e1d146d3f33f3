-- Sequences of delete_guard that were set back, as superusers and members of
-- pg_write_all_data can (route 159): health() tells, nothing is overwritten or lost
SET client_min_messages = warning;
CREATE ROLE regress_dg_writer LOGIN IN ROLE pg_write_all_data;
GRANT USAGE ON SCHEMA delete_guard TO regress_dg_writer;
CREATE SCHEMA dg_numbers;
GRANT ALL ON SCHEMA dg_numbers TO PUBLIC;
SET search_path = dg_numbers;
CREATE TABLE logged (id int PRIMARY KEY);
CREATE TABLE blocked (id int PRIMARY KEY);
CREATE TABLE refers (id int REFERENCES blocked);
INSERT INTO logged SELECT generate_series(1, 20);
INSERT INTO blocked SELECT generate_series(1, 20);
INSERT INTO refers SELECT id FROM blocked;
GRANT ALL ON ALL TABLES IN SCHEMA dg_numbers TO regress_dg_alice, regress_dg_bob;
SELECT delete_guard.protect('logged', 'log');
SELECT delete_guard.protect('blocked');
SELECT delete_guard.add_approver('regress_dg_bob', 'blocked');
SELECT current_user AS super \gset
CREATE VIEW found AS SELECT severity, subject, regexp_replace(problem, '\d+', 'N', 'g') AS problem, regexp_replace(remedy, '\d+', 'N') AS remedy
    FROM delete_guard.health() WHERE subject LIKE 'sequence %' ORDER BY 2;
-- all rows of an own table, to see that none was changed
CREATE FUNCTION digest(OUT events text, OUT requests text, OUT decisions text) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT md5(string_agg(to_jsonb(e)::text, ',' ORDER BY event_id)) FROM delete_guard.event e WHERE event_id <= (SELECT m.event_id FROM dg_test.mark m)),
           (SELECT md5(string_agg(to_jsonb(r)::text, ',' ORDER BY request_id)) FROM delete_guard.request r WHERE event_id <= (SELECT m.event_id FROM dg_test.mark m)),
           (SELECT md5(string_agg(to_jsonb(d)::text, ',' ORDER BY decision_id)) FROM delete_guard.decision d WHERE event_id <= (SELECT m.event_id FROM dg_test.mark m)) $$;
-- some of each are there
\c - regress_dg_alice
SET search_path = dg_numbers;
\set VERBOSITY sqlstate
DELETE FROM blocked WHERE id = 1;  -- fails
DELETE FROM logged WHERE id = 1;
SELECT max(request_id) AS r FROM delete_guard.request_history \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - :super
SET search_path = dg_numbers;
\set VERBOSITY sqlstate
CALL dg_test.here();
SELECT * FROM found;
SELECT * FROM digest() \gset
-- who may write all data sets them back
\c - regress_dg_writer
SELECT setval('delete_guard.event_id', 1), setval('delete_guard.request_id', 1, false), setval('delete_guard.decision_id', 1, false), setval('delete_guard.use_count', 1, false);
\c - :super
SET search_path = dg_numbers;
SELECT severity, subject, problem, remedy FROM found;
-- use_count means nothing then: the own tables stay closed, to its owner too
INSERT INTO delete_guard.origin VALUES (1);  -- fails
\c - regress_dg_alice
SET search_path = dg_numbers;
\set VERBOSITY sqlstate
DELETE FROM blocked WHERE id = 2;  -- fails
DELETE FROM blocked WHERE id = 3;  -- fails
DELETE FROM logged WHERE id = 2;
DELETE FROM logged WHERE id = 3;
SELECT delete_guard.request_delete('blocked', 'id = 4') > :r AS further;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM refers WHERE id = 1;
DELETE FROM blocked WHERE id = 1;
ROLLBACK;
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r + 1);
\c - :super
SET search_path = dg_numbers;
\set VERBOSITY sqlstate
SELECT operation, outcome, table_name, request FROM dg_test.news();
SELECT count(*) FROM delete_guard.audit_rows r JOIN delete_guard.audit_log l USING (event_id) WHERE l.table_name LIKE 'dg\_numbers.%';
-- set back under a session at work
CALL dg_test.here();
SELECT * FROM digest() \gset
DELETE FROM logged WHERE id = 4;
SELECT last_value - 1 AS back FROM delete_guard.event_id \gset
SELECT setval('delete_guard.event_id', :back) = :back AS back;
DELETE FROM logged WHERE id = 5;
SELECT operation, outcome, row_count FROM delete_guard.audit_log WHERE event_id > :back ORDER BY event_id;
SELECT (SELECT d.events FROM digest() d) = :'events' AS events, (SELECT d.requests FROM digest() d) = :'requests' AS requests, (SELECT d.decisions FROM digest() d) = :'decisions' AS decisions;
SELECT * FROM found;
-- mended by what health() says; also when set so far ahead that numbers run out
SELECT setval('delete_guard.event_id', 9223372036854775807) > 0 AS ahead;
DELETE FROM logged WHERE id = 6;  -- fails
SELECT * FROM found;
DO $$ BEGIN EXECUTE (SELECT h.remedy FROM delete_guard.health() h WHERE h.subject = 'sequence delete_guard.event_id'); END $$;
DELETE FROM logged WHERE id = 6;
SELECT * FROM found;
CALL dg_test.release('dg_numbers');
SET client_min_messages = warning;
DROP SCHEMA dg_numbers CASCADE;
DROP OWNED BY regress_dg_writer;
DROP ROLE regress_dg_writer;
