-- What a delete would do: told beforehand, to whoever may delete, and nothing is changed
SELECT current_user AS super \gset
CREATE SCHEMA dg_preview AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_preview TO PUBLIC;
SET search_path = dg_preview;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
\pset format unaligned
CREATE TABLE top (id int PRIMARY KEY, name text);
CREATE TABLE gone (id int PRIMARY KEY, top_id int REFERENCES top ON DELETE CASCADE);
CREATE TABLE deeper (id int PRIMARY KEY, gone_id int REFERENCES gone ON DELETE CASCADE, top_id int REFERENCES top ON DELETE CASCADE);
CREATE TABLE nulled (id int PRIMARY KEY, gone_id int REFERENCES gone ON DELETE SET NULL);
CREATE TABLE stuck (id int PRIMARY KEY, gone_id int NOT NULL REFERENCES gone ON DELETE SET NULL);
CREATE TABLE defaulted (id int PRIMARY KEY, top_id int DEFAULT 9 REFERENCES top ON DELETE SET DEFAULT);
CREATE TABLE barred (id int PRIMARY KEY, gone_id int REFERENCES gone);
CREATE TABLE later (id int PRIMARY KEY, gone_id int REFERENCES gone DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE soft (id int PRIMARY KEY, kind text, of_id int);
CREATE TABLE "odd ""name" ("a b" int REFERENCES top);
INSERT INTO top SELECT i, 'n' || i FROM generate_series(1, 9) AS i;
INSERT INTO gone VALUES (11, 1), (12, 1), (13, 2);
INSERT INTO deeper VALUES (21, 11, 1), (22, 12, NULL), (23, NULL, 1), (24, 13, 3);
INSERT INTO nulled VALUES (31, 11), (32, 13);
INSERT INTO defaulted VALUES (41, 1);
INSERT INTO soft VALUES (51, 'top', 1), (52, 'top', 1), (53, 'other', 1);
INSERT INTO "odd ""name" VALUES (4);
SELECT delete_guard.declare_reference('soft', '{of_id}', 'top', condition => $$kind = 'top'$$);
GRANT SELECT, DELETE ON top TO regress_dg_alice;
GRANT SELECT ON nulled TO regress_dg_alice;
GRANT SELECT (id) ON soft TO regress_dg_alice;

-- nothing protected yet; the owner sees every key
SELECT * FROM delete_guard.preview_delete('top', 'id = 1');
SELECT * FROM delete_guard.preview_delete('top', 'id = 9', samples => 0);
SELECT delete_guard.explain_delete('top', 'id = 1');
SELECT delete_guard.explain_delete('top', 'id = 1', 'dot');
SELECT delete_guard.explain_delete('top', 'id = 1', 'mermaid');
SELECT jsonb_path_query(x::jsonb, '$.tree.below[*]') - 'below' FROM delete_guard.explain_delete('top', 'id = 1', 'json') AS x;
SELECT x::jsonb - 'tree' FROM delete_guard.explain_delete('top', 'id = 1', 'json') AS x;
-- names are quoted as each format wants it
SELECT x FROM delete_guard.explain_delete('top', 'id = 4', 'dot') AS x WHERE x LIKE '%n1 %';
SELECT x FROM delete_guard.explain_delete('top', 'id = 4', 'mermaid') AS x WHERE x LIKE '%n1%';
SELECT x::jsonb #>> '{tree,below,0,table}' FROM delete_guard.explain_delete('top', 'id = 4', 'json') AS x;
-- every row, none, and what is no condition
SELECT count(*), sum(rows) FILTER (WHERE depth = 0) AS top FROM delete_guard.preview_delete('top');
SELECT * FROM delete_guard.preview_delete('top', 'false');
SELECT * FROM delete_guard.preview_delete('top', 'true); DELETE FROM top; --');  -- fails
SELECT * FROM delete_guard.preview_delete('top', 'name');  -- fails
SELECT * FROM delete_guard.preview_delete('top', 'id = 1', -1);  -- fails
SELECT delete_guard.explain_delete('top', 'id = 1', 'xml');  -- fails
SELECT * FROM delete_guard.preview_delete(NULL);  -- fails
-- what PostgreSQL would refuse, and what is gone by then
INSERT INTO barred VALUES (61, 11);
INSERT INTO later VALUES (71, 12);
INSERT INTO stuck VALUES (81, 12);
ALTER TABLE barred ADD top_id int REFERENCES top ON DELETE CASCADE;
SELECT table_name, effect, rows, postgres FROM delete_guard.preview_delete('top', 'id = 1') WHERE postgres IS NOT NULL;
DELETE FROM top WHERE id = 1;  -- fails
UPDATE barred SET top_id = 1;
SELECT table_name, effect, rows, postgres FROM delete_guard.preview_delete('top', 'id = 1') WHERE table_name LIKE '%barred';
DELETE FROM later;
DELETE FROM stuck;
SELECT count(postgres) FROM delete_guard.preview_delete('top', 'id = 1') WHERE postgres NOT LIKE '%default%';

-- the verdict of the guard, by mode and scope; also of what goes along
SELECT delete_guard.protect('top', 'log');
SELECT depth, table_name, guard FROM delete_guard.preview_delete('top', 'id IN (1, 8)') WHERE guard IS NOT NULL;
SELECT delete_guard.protect('top');
SELECT delete_guard.protect('gone', 'log');
SELECT delete_guard.protect('deeper', scope => 'all');
SELECT depth, table_name, guard FROM delete_guard.preview_delete('top', 'id IN (1, 8)') WHERE guard IS NOT NULL;
SELECT depth, table_name, guard FROM delete_guard.preview_delete('top', 'id = 8') WHERE guard IS NOT NULL;
SELECT delete_guard.protect('top', scope => 'all');
SELECT depth, table_name, guard FROM delete_guard.preview_delete('top', 'id = 8') WHERE guard IS NOT NULL;
SELECT delete_guard.protect('top', 'log');
SELECT unnest(array_agg(x ORDER BY n)) FROM delete_guard.explain_delete('top', 'id = 1') WITH ORDINALITY AS e(x, n) WHERE x ~ '^(Total|delete_guard|PostgreSQL)';
-- enforcement and preview agree
DELETE FROM top WHERE id = 1;  -- fails

-- alice may delete and read top; of other tables she sees numbers, and keys only where she may read them
SET ROLE regress_dg_alice;
SELECT depth, table_name, effect, rows, sample_keys FROM delete_guard.preview_delete('top', 'id = 1');
SELECT * FROM delete_guard.preview_delete('gone', 'true');  -- fails
SELECT * FROM delete_guard.preview_delete('top', 'id IN (SELECT gone_id FROM deeper)');  -- fails
-- row security: what she does not see she does not delete; what hangs on it she does not name
SET ROLE regress_dg_owner;
ALTER TABLE nulled ENABLE ROW LEVEL SECURITY;
ALTER TABLE top ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON top USING (id < 3);
SET ROLE regress_dg_alice;
SELECT depth, table_name, rows, sample_keys FROM delete_guard.preview_delete('top', 'id IN (1, 7)') WHERE table_name ~ 'top|nulled';
-- a key is not shown for bob, who may approve but not delete; carol may do neither
RESET ROLE;
SELECT delete_guard.add_approver('regress_dg_bob', 'top');
\c - regress_dg_bob
SET search_path = dg_preview;
\set VERBOSITY terse
SELECT * FROM delete_guard.preview_delete('top');  -- fails: may not read it
\c - regress_dg_carol
SET search_path = dg_preview;
\set VERBOSITY terse
SELECT * FROM delete_guard.preview_delete('top');  -- fails
\c - :super
SET search_path = dg_preview;
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
ALTER TABLE top DISABLE ROW LEVEL SECURITY;

-- an approval in force: the preview says so, and uses nothing
SELECT delete_guard.unprotect('deeper');
SELECT delete_guard.protect('top');
RESET ROLE;
GRANT SELECT ON top TO regress_dg_bob;
\c - regress_dg_alice
SET search_path = dg_preview;
SELECT delete_guard.request_delete('top', 'id = 1', 'preview') AS request \gset
\c - regress_dg_bob
SET search_path = dg_preview;
SELECT depth, table_name, effect, rows, sample_keys FROM delete_guard.preview_delete('top', 'id = 1');
SELECT approvals FROM delete_guard.approve(:request);
\c - regress_dg_alice
SET search_path = dg_preview;
SELECT regexp_replace(guard, '[0-9]+$', 'N') AS guard FROM delete_guard.preview_delete('top', 'id = 1') WHERE guard IS NOT NULL;
BEGIN;
SET LOCAL delete_guard.approval = :request;
SELECT depth, table_name, regexp_replace(guard, '[0-9]+$', 'N') AS guard FROM delete_guard.preview_delete('top', 'id = 1') WHERE guard IS NOT NULL;
SELECT depth, table_name, regexp_replace(guard, 'equest [0-9]+', 'equest N') AS guard FROM delete_guard.preview_delete('top', 'id < 3') WHERE guard IS NOT NULL;
DELETE FROM top WHERE id = 1;
ROLLBACK;
-- read only, and no lock on rows or but ACCESS SHARE on tables
BEGIN READ ONLY;
SELECT count(*) FROM delete_guard.preview_delete('top');
SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation';
COMMIT;
-- bounded: rows to start from, rows followed, whichever they are
SET delete_guard.preview_limit = 2;
SELECT path, effect, rows FROM delete_guard.preview_delete('top', 'id < 5') WHERE depth = 0 OR effect = 'cut';
\c - regress_dg_owner
SET search_path = dg_preview;
CREATE TABLE one (id int PRIMARY KEY);
CREATE TABLE three (id int PRIMARY KEY, one_id int REFERENCES one ON DELETE CASCADE);
CREATE TABLE each_one (three_id int REFERENCES three ON DELETE CASCADE);
INSERT INTO one VALUES (1);
INSERT INTO three VALUES (1, 1), (2, 1), (3, 1);
INSERT INTO each_one VALUES (1), (2), (3);
SET delete_guard.preview_limit = 2;
SELECT depth, path, effect, rows FROM delete_guard.preview_delete('one');
SELECT regexp_replace(x, '  {.*', '') FROM delete_guard.explain_delete('one') AS x;
RESET delete_guard.preview_limit;
SELECT * FROM delete_guard.preview_delete('pg_stats');  -- fails
\c - :super
SET search_path = dg_preview;

-- partitions, inheritance, self-reference: the line says from where
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\pset format unaligned
CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE node_1 PARTITION OF node FOR VALUES FROM (0) TO (3);
CREATE TABLE node_2 PARTITION OF node FOR VALUES FROM (3) TO (9);
INSERT INTO node VALUES (1, NULL), (2, 1), (3, 1), (4, 2), (5, 4), (6, 6), (7, NULL);
UPDATE node SET parent = 5 WHERE id = 1;
SELECT depth, path, rows, sample_keys FROM delete_guard.preview_delete('node', 'id IN (1, 6)');
SELECT delete_guard.explain_delete('node', 'id = 4');
CREATE TABLE kin (id int PRIMARY KEY);
CREATE TABLE kin_child () INHERITS (kin);
CREATE TABLE kin_ref (kin_id int REFERENCES kin ON DELETE CASCADE);
INSERT INTO kin VALUES (1);
INSERT INTO kin_child VALUES (2);
INSERT INTO kin_ref VALUES (1);
SELECT depth, path, effect, rows, sample_keys FROM delete_guard.preview_delete('kin');

RESET ROLE;
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_preview.top')$$);
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_preview.gone')$$);
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', 'dg_preview.top')$$);
SELECT dg_test.alone($$SELECT delete_guard.forget_reference('soft_of_id')$$);
\pset format aligned
DROP SCHEMA dg_preview CASCADE;
