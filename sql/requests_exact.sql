-- An approval is for exactly what was approved: these rows, with no more
-- hanging on them than was seen, in this statement, and then it is over
CREATE SCHEMA dg_exact AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_exact TO PUBLIC;
SELECT current_user AS super \gset
CALL dg_test.here();
\set VERBOSITY terse
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_exact;
CREATE TABLE arch (id int PRIMARY KEY);
CREATE TABLE dist (arch_id int);
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE to_parts (part_id int);
CREATE INDEX ON to_parts (part_id);
SELECT delete_guard.protect('arch');
SELECT delete_guard.protect('parts');
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
SELECT delete_guard.declare_reference('to_parts', '{part_id}', 'parts');
INSERT INTO arch SELECT generate_series(1, 20);
INSERT INTO dist SELECT i FROM generate_series(1, 20) AS i, generate_series(1, 10);
INSERT INTO parts SELECT generate_series(1, 999);
INSERT INTO to_parts SELECT generate_series(1, 999);
GRANT ALL ON ALL TABLES IN SCHEMA dg_exact TO regress_dg_alice, regress_dg_bob;
SELECT delete_guard.add_approver('regress_dg_bob', t) FROM unnest('{arch,parts}'::regclass[]) AS t;

-- What hangs on the rows may not grow, in however many pieces they go
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_exact.arch', 'id IN (1, 2)') AS r,
       delete_guard.request_delete('dg_exact.parts', 'id IN (1, 2)') AS r2 \gset
\c - regress_dg_bob
SELECT approvals, blast_radius #> '{0,rows}' AS hang FROM delete_guard.approve(:r);
SELECT approvals, blast_radius #> '{0,rows}' AS hang FROM delete_guard.approve(:r2);
INSERT INTO dg_exact.dist SELECT i FROM generate_series(1, 2) AS i, generate_series(1, 10);
INSERT INTO dg_exact.to_parts VALUES (1), (2);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', format('%s,%s', :r, :r2), true) <> '' AS set;
SELECT split_part(dg_test.says('DELETE FROM dg_exact.arch WHERE id IN (1, 2)'), E'\n', 2);
SELECT split_part(dg_test.says('DELETE FROM dg_exact.parts WHERE id IN (1, 2)'), E'\n', 2);
-- the first piece is as large as all was
SAVEPOINT s;
DELETE FROM dg_exact.arch WHERE id = 1;
DELETE FROM dg_exact.parts WHERE id = 1;
SAVEPOINT t;
DELETE FROM dg_exact.arch WHERE id = 2;  -- fails
ROLLBACK TO t;
DELETE FROM dg_exact.parts WHERE id = 2;  -- fails
-- what was rolled back does not count
ROLLBACK TO s;
DELETE FROM dg_exact.arch WHERE id = 2;
DELETE FROM dg_exact.parts WHERE id = 2;
-- what a subtransaction used counts after it
RELEASE s;
DELETE FROM dg_exact.arch WHERE id = 1;  -- fails
ROLLBACK;
SELECT count(*) FROM dg_exact.arch WHERE id IN (1, 2);
SELECT count(*) FROM dg_exact.parts WHERE id IN (1, 2);
-- it was refused, so that there are requests for what hangs on the rows now
SELECT DISTINCT table_name, row_count, blast_radius #> '{0,rows}' AS hang FROM delete_guard.pending_requests WHERE request_id > :r2 ORDER BY 1, 2;
-- nor by rows that the statement itself re-points
SELECT delete_guard.request_delete('dg_exact.arch', 'id = 3') AS r \gset
\c - regress_dg_bob
SELECT approvals, blast_radius #> '{0,rows}' AS hang FROM delete_guard.approve(:r);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
WITH u AS (UPDATE dg_exact.dist SET arch_id = 3 WHERE arch_id = 4) DELETE FROM dg_exact.arch WHERE id = 3;  -- fails
ROLLBACK;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
WITH i AS (INSERT INTO dg_exact.dist VALUES (3)) DELETE FROM dg_exact.arch WHERE id = 3;  -- fails
ROLLBACK;
-- rows that it merely touches are not more
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
WITH u AS (UPDATE dg_exact.dist SET arch_id = arch_id WHERE arch_id IN (3, 4)) DELETE FROM dg_exact.arch WHERE id = 3;
ROLLBACK;
SELECT state FROM delete_guard.request_history WHERE request_id = :r;

-- A statement that uses an approval row by row keeps one sum, whatever the
-- number of rows: what it leaves in memory does not grow with them
SELECT delete_guard.request_delete('dg_exact.parts', 'id > 100') AS r \gset
\c - regress_dg_bob
SELECT approvals, blast_radius #> '{0,rows}' AS hang FROM delete_guard.approve(:r);
\c - :super
GRANT pg_read_all_stats TO regress_dg_alice;
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_exact.parts WHERE id > 990;
SELECT sum(used_bytes) AS before FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext' \gset
DELETE FROM dg_exact.parts WHERE id > 590;
SELECT sum(used_bytes) - :before < 400 * 8 AS bounded FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext';
COMMIT;
SELECT count(*) FROM dg_exact.parts WHERE id > 590;
\c - :super
REVOKE pg_read_all_stats FROM regress_dg_alice;

-- What an approved delete cascades to is covered within that statement, as
-- part of that request, and is recorded as such
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_exact;
CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE CASCADE);
CREATE TABLE d (b_id int);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN coalesce(current_setting('dg_exact.keep', true), '') = 'on' THEN NULL ELSE OLD END;
END $$;
CREATE TRIGGER keep BEFORE DELETE ON b FOR EACH ROW EXECUTE FUNCTION keep();
SELECT delete_guard.protect('a');
SELECT delete_guard.protect('b');
SELECT delete_guard.declare_reference('d', '{b_id}', 'b');
INSERT INTO a VALUES (1), (2);
INSERT INTO b VALUES (10, 1), (20, 2);
INSERT INTO d VALUES (10), (10), (20), (20);
GRANT ALL ON ALL TABLES IN SCHEMA dg_exact TO regress_dg_alice, regress_dg_bob;
SELECT delete_guard.add_approver('regress_dg_bob', t) FROM unnest('{a,b}'::regclass[]) AS t;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_exact.a', 'id = 1') AS r, delete_guard.request_delete('dg_exact.a', 'id = 2') AS r2 \gset
\c - regress_dg_bob
SELECT approvals, blast_radius #> '{0,rows}' AS b, blast_radius #> '{1,rows}' AS d FROM delete_guard.approve(:r);
SELECT approvals FROM delete_guard.approve(:r2);
CALL dg_test.here();
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SET LOCAL dg_exact.keep = 'on';
DELETE FROM dg_exact.a WHERE id = 1;
SELECT * FROM dg_exact.b WHERE id = 10;
-- the cascade left the row: the approval of what it hung on is no approval of it
SET LOCAL dg_exact.keep = 'off';
SAVEPOINT s;
DELETE FROM dg_exact.b WHERE id = 10;  -- fails
ROLLBACK TO s;
INSERT INTO dg_exact.d SELECT 10 FROM generate_series(1, 100);
DELETE FROM dg_exact.b WHERE id = 10;  -- fails
ROLLBACK;
CALL dg_test.here();
BEGIN;
SELECT set_config('delete_guard.approval', :'r2', true) = :'r2' AS set;
DELETE FROM dg_exact.a WHERE id = 2;
COMMIT;
SELECT * FROM dg_test.news();
\c - :super
SELECT table_name, outcome, request_id = :r2 AS of_request, approved_by FROM delete_guard.audit_log
WHERE table_name IN ('dg_exact.a', 'dg_exact.b') AND row_count IS NOT NULL AND outcome <> 'blocked' ORDER BY event_id;
-- a block that fails and is caught within the cascade takes nothing of it away
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_exact;
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
CREATE TABLE once (id int PRIMARY KEY);
CREATE FUNCTION note_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dg_exact.once VALUES (1);
    RETURN NULL;
EXCEPTION WHEN unique_violation THEN
    RETURN NULL;
END $$;
CREATE TRIGGER note_once AFTER DELETE ON tree FOR EACH ROW EXECUTE FUNCTION note_once();
SELECT delete_guard.protect('tree');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3);
INSERT INTO once VALUES (1);
GRANT ALL ON ALL TABLES IN SCHEMA dg_exact TO regress_dg_alice;
SELECT delete_guard.add_approver('regress_dg_bob', 'tree');
\c - regress_dg_alice
DELETE FROM dg_exact.tree WHERE id = 1;  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_exact.tree WHERE id = 1;
COMMIT;
SELECT count(*) FROM dg_exact.tree;

-- Approvals that no longer fit lead on: the refused attempt asks anew, and the
-- same approvers can approve that
\c - regress_dg_owner
SET client_min_messages = warning;
SELECT delete_guard.protect('dg_exact.arch', approvals => 2);
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_carol', 'dg_exact.arch')$$);
\c - regress_dg_alice
DELETE FROM dg_exact.arch WHERE id = 5;  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:r);
\c - :super
INSERT INTO dg_exact.dist VALUES (5);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_exact.arch WHERE id = 5');
ROLLBACK;
SELECT max(request_id) AS r2, max(request_id) <> :r AS another FROM delete_guard.pending_requests \gset
SELECT :'another' AS another;
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r2);
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:r2);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r2', true) = :'r2' AS set;
DELETE FROM dg_exact.arch WHERE id = 5;
COMMIT;
SELECT count(*) FROM dg_exact.arch WHERE id = 5;

-- Two rows of a parent and a child table with the same key are two rows
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_exact;
CREATE TABLE base (id int PRIMARY KEY, note text);
CREATE TABLE derived (PRIMARY KEY (id)) INHERITS (base);
CREATE TABLE to_base (id int);
SELECT delete_guard.protect('base');
SELECT delete_guard.declare_reference('to_base', '{id}', 'base');
SELECT delete_guard.add_approver('regress_dg_bob', 'base');
INSERT INTO base VALUES (1, 'parent'), (2, 'parent');
INSERT INTO derived VALUES (1, 'child'), (2, 'child');
INSERT INTO to_base VALUES (1), (2);
GRANT ALL ON base, to_base TO regress_dg_alice;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_exact.base', 'id = 1') AS r \gset
SELECT keys, row_count, blast_radius #> '{0,rows}' AS hang FROM delete_guard.pending_requests WHERE request_id = :r;
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SAVEPOINT s;
DELETE FROM dg_exact.base WHERE note = 'child';  -- fails
ROLLBACK TO s;
DELETE FROM dg_exact.base WHERE id = 1;
COMMIT;
SELECT tableoid::regclass, * FROM dg_exact.base ORDER BY 1;

-- one of two rows with the same key
\c - regress_dg_owner
SET client_min_messages = warning;
INSERT INTO dg_exact.base VALUES (5, 'parent');
INSERT INTO dg_exact.derived VALUES (5, 'child');
INSERT INTO dg_exact.to_base VALUES (5);
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_exact.base', $$id = 5 AND note = 'child'$$) AS r \gset
SELECT blast_radius #> '{0,rows}' AS hang FROM delete_guard.pending_requests WHERE request_id = :r;
\c - regress_dg_bob
SELECT approvals, blast_radius #> '{0,rows}' AS hang FROM delete_guard.approve(:r);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SAVEPOINT s;
DELETE FROM dg_exact.base WHERE note = 'parent' AND id = 5;  -- fails
ROLLBACK TO s;
DELETE FROM dg_exact.base WHERE note = 'child' AND id = 5;
COMMIT;
SELECT tableoid::regclass, * FROM dg_exact.base WHERE id = 5;
SELECT state FROM delete_guard.request_history WHERE request_id = :r;

-- Of a change of keys the approver sees what the keys are to become
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_exact;
CREATE TABLE coded (id int PRIMARY KEY, code text UNIQUE, note text);
CREATE TABLE to_coded (code text REFERENCES coded (code) ON UPDATE SET NULL);
INSERT INTO coded VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO to_coded VALUES ('one'), ('two');
SELECT delete_guard.protect('coded');
SELECT delete_guard.add_approver('regress_dg_bob', 'coded');
GRANT ALL ON coded, to_coded TO regress_dg_alice;
GRANT SELECT ON coded TO regress_dg_bob;
\c - regress_dg_alice
UPDATE dg_exact.coded SET code = upper(code), note = 'x';  -- fails
\c - regress_dg_bob
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
SELECT operation, keys, new_keys, row_count FROM delete_guard.pending_requests WHERE request_id = :r;
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_owner
REVOKE SELECT ON dg_exact.coded FROM regress_dg_bob;
\c - regress_dg_bob
SELECT keys, new_keys, state FROM delete_guard.request_history WHERE request_id = :r;
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SAVEPOINT s;
UPDATE dg_exact.coded SET code = upper(code) || '!', note = 'x';  -- fails
ROLLBACK TO s;
UPDATE dg_exact.coded SET code = upper(code), note = 'x';
COMMIT;
SELECT * FROM dg_exact.coded ORDER BY id;

-- A table that cannot be looked at any more does not hide the other requests
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_exact;
CREATE TABLE broken (id text PRIMARY KEY);
CREATE TABLE to_broken (id text);
SELECT delete_guard.protect('broken');
SELECT delete_guard.declare_reference('to_broken', '{id}', 'broken');
INSERT INTO broken VALUES ('1');
INSERT INTO to_broken VALUES ('1');
SELECT delete_guard.add_approver('regress_dg_bob', 'broken');
GRANT ALL ON ALL TABLES IN SCHEMA dg_exact TO regress_dg_alice, regress_dg_bob;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_exact.broken', 'true') AS r, delete_guard.request_delete('dg_exact.arch', 'id = 6') AS r2 \gset
\c - regress_dg_owner
ALTER TABLE dg_exact.to_broken ALTER id TYPE int USING 1;
\c - regress_dg_bob
SELECT table_name, keys, CASE WHEN (blast_radius -> 0) ? 'error' THEN 'error' ELSE blast_radius #>> '{0,rows}' END AS hang
FROM delete_guard.pending_requests WHERE request_id IN (:r, :r2) ORDER BY request_id;
SELECT delete_guard.approve(:r);  -- fails
SELECT approvals FROM delete_guard.approve(:r2);
\c - regress_dg_alice
DELETE FROM dg_exact.broken;  -- fails
SELECT count(*) FROM dg_exact.broken;

\c - :super
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT count(delete_guard.remove_approver(role_name, table_id)) FROM delete_guard.approver$$);
SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) > 0 AS forgotten FROM delete_guard.declared_reference$$);
SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
CALL dg_test.release('dg_exact');
DROP SCHEMA dg_exact CASCADE;
CALL dg_test.here();
