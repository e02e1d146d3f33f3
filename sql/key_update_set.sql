-- UPDATE of several keys of a plain table: one verdict, one message, one request, one event.
-- Each \c is another login
SELECT current_user AS super \gset
CREATE SCHEMA dg_set AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_set TO PUBLIC;
SET search_path = dg_set;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
CREATE TABLE arch (id int PRIMARY KEY, name text UNIQUE, note text);
CREATE TABLE soft (arch_id int);
CREATE TABLE soft_name (arch text);
SELECT delete_guard.protect('arch');
SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');
SELECT delete_guard.declare_reference('soft_name', '{arch}', 'arch', '{name}');
INSERT INTO arch SELECT i, 'arch' || i FROM generate_series(1, 20) AS i;
INSERT INTO soft VALUES (1), (2), (2), (9);
INSERT INTO soft_name VALUES ('arch3'), ('arch4'), ('arch9');
GRANT ALL ON ALL TABLES IN SCHEMA dg_set TO regress_dg_alice;
GRANT SELECT ON arch TO regress_dg_bob;
SELECT delete_guard.add_approver('regress_dg_bob', 'arch');
\c - regress_dg_alice
SET search_path = dg_set;
\set VERBOSITY terse
-- the verdict speaks of the rows whose keys change, and of all of them
UPDATE arch SET id = CASE WHEN id <= 5 THEN id + 100 ELSE id END, note = 'n';  -- fails
-- each row counts with the references that its own change leaves behind: arch3 keeps its name
UPDATE arch SET id = CASE WHEN id = 3 THEN 103 ELSE id END, name = CASE WHEN id = 1 THEN 'other' ELSE name END WHERE id IN (1, 3);
UPDATE arch SET id = CASE WHEN id = 103 THEN 3 ELSE id END, name = CASE WHEN id = 1 THEN 'arch1' ELSE name END WHERE id IN (1, 103);
SELECT dg_test.says($$UPDATE arch SET id = CASE WHEN id = 2 THEN 102 ELSE id END, name = CASE WHEN id = 4 THEN 'other' ELSE name END WHERE id IN (2, 4)$$);  -- fails
SELECT operation, outcome, rows, images, hangs FROM dg_test.news();

-- the request of a refused statement is for all its rows that need one, and used at once
\c - regress_dg_bob
\set VERBOSITY terse
SELECT row_count, keys, approvals_needed FROM delete_guard.pending_requests WHERE table_name = 'dg_set.arch' ORDER BY request_id;
SELECT count(delete_guard.approve(request_id)) FROM (SELECT request_id FROM delete_guard.pending_requests WHERE table_name = 'dg_set.arch' ORDER BY request_id OFFSET 0) r;
SELECT string_agg(request_id::text, ',' ORDER BY request_id) AS requests FROM delete_guard.request_history WHERE state = 'approved' AND table_name = 'dg_set.arch' \gset
\c - regress_dg_alice
SET search_path = dg_set;
\set VERBOSITY terse
BEGIN;
SET LOCAL delete_guard.approval = :'requests';
-- not with another new key than was asked for
UPDATE arch SET id = CASE WHEN id = 2 THEN 999 ELSE id END, name = CASE WHEN id = 4 THEN 'other' ELSE name END WHERE id IN (2, 4);  -- fails
ROLLBACK;
BEGIN;
SET LOCAL delete_guard.approval = :'requests';
UPDATE arch SET id = CASE WHEN id = 2 THEN 102 ELSE id END, name = CASE WHEN id = 4 THEN 'other' ELSE name END WHERE id IN (2, 4);
COMMIT;
SELECT id, name FROM arch WHERE name = 'other' OR id > 100 ORDER BY id;
SELECT operation, outcome, rows, images, hangs FROM dg_test.news();
SELECT key, old_row FROM dg_test.images('dg_set.arch');

-- Routes whose rows come one by one find the same: a cascade, a MERGE, ON CONFLICT, a function
\c - regress_dg_alice
SET search_path = dg_set;
\set VERBOSITY terse
MERGE INTO arch USING (VALUES (1), (5)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET id = id + 200;  -- fails
INSERT INTO arch VALUES (1), (6) ON CONFLICT (id) DO UPDATE SET id = arch.id + 200;  -- fails
DO $$BEGIN UPDATE arch SET id = id + 200 WHERE id IN (1, 7); EXCEPTION WHEN restrict_violation THEN RAISE WARNING 'refused'; END$$;
\c - :super
SET search_path = dg_set;
SET client_min_messages = warning;
\set VERBOSITY terse
SET ROLE regress_dg_owner;
CREATE TABLE part_of (arch_id int PRIMARY KEY REFERENCES arch ON UPDATE CASCADE, n int);
INSERT INTO part_of SELECT i, i FROM generate_series(11, 14) AS i;
CREATE TABLE leans (on_part int);
INSERT INTO leans VALUES (12);
SELECT delete_guard.protect('part_of');
SELECT delete_guard.declare_reference('leans', '{on_part}', 'part_of');
GRANT ALL ON part_of TO regress_dg_alice;
SET ROLE regress_dg_alice;
UPDATE arch SET id = id + 100 WHERE id BETWEEN 11 AND 14;  -- fails
UPDATE arch SET id = id + 100 WHERE id IN (11, 13, 14);
SELECT arch_id FROM part_of ORDER BY 1;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- Everybody may call what notes a row, and nothing follows from it: rows that were not
-- updated as noted, or not at all, are judged one by one
UPDATE arch SET note = 'z' WHERE id IN (1, 9);
SELECT ctid AS place FROM arch WHERE id = 9 \gset
SELECT ctid AS other_place FROM arch WHERE id = 15 \gset
SELECT delete_guard._note_key_change('arch'::regclass, '(0,1)', '(0,1)');
SELECT delete_guard._note_key_change('soft'::regclass, '(7,7)', '(0,1)');
SELECT delete_guard._note_key_change(0, '(0,0)', '(0,0)');
WITH forged AS MATERIALIZED (SELECT delete_guard._note_key_change('arch'::regclass, ctid, ctid) FROM arch)
UPDATE arch SET id = 900 + id FROM (SELECT count(*) FROM forged) AS f WHERE id IN (9, 15);  -- fails
WITH forged AS MATERIALIZED (SELECT delete_guard._note_key_change('arch'::regclass, (:'place')::tid, (:'other_place')::tid))
UPDATE arch SET id = 900 + id FROM (SELECT count(*) FROM forged) AS f WHERE id = 9;  -- fails
UPDATE arch SET id = 900 + id WHERE delete_guard._note_key_change(tableoid, ctid, '(1,1)') AND id IN (9, 15);  -- fails
UPDATE arch SET id = 900 + id WHERE delete_guard._note_key_change(tableoid, '(1,1)', ctid) AND id = 15;
SELECT count(*) FROM arch WHERE id = 9;
-- places that are none are not read, and a row noted twice is not recorded twice
SELECT pg_relation_size('arch') AS size \gset
UPDATE arch SET id = 917 WHERE id = 17 RETURNING delete_guard._note_key_change('arch'::regclass, '(4294967295,1)', '(0,1)'),
    delete_guard._note_key_change('arch'::regclass, '(7,1)', '(0,1)'), delete_guard._note_key_change('arch'::regclass, '(0,0)', '(0,0)');
UPDATE arch SET id = 918 WHERE id = 18 RETURNING delete_guard._note_key_change('arch'::regclass, (:'place')::tid, ctid);
BEGIN;
SELECT ctid AS first_place FROM arch WHERE id = 19 \gset
UPDATE arch SET id = 919 WHERE id = 19 RETURNING ctid AS then_place \gset
UPDATE arch SET id = 920 WHERE id = 20 RETURNING delete_guard._note_key_change('arch'::regclass, (:'first_place')::tid, (:'then_place')::tid);
COMMIT;
SELECT pg_relation_size('arch') = :size AS same_size;
SELECT operation, outcome, rows, images, hangs FROM dg_test.news();

-- Many rows, in a subtransaction too
RESET ROLE;
INSERT INTO arch SELECT i, 'm' || i FROM generate_series(1001, 6000) AS i;
BEGIN;
UPDATE arch SET id = -id WHERE id > 1000;
SAVEPOINT s;
UPDATE arch SET id = -id WHERE id < -1000;
ROLLBACK TO s;
UPDATE arch SET id = id - 10000 WHERE id < -1000;
COMMIT;
SELECT count(*), min(id), max(id) FROM arch WHERE name LIKE 'm%';
SELECT operation, outcome, rows, images, hangs FROM dg_test.news();

SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) FROM unnest('{arch,part_of}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared'$$);
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', 'arch')$$);
CALL dg_test.release('dg_set');
DROP SCHEMA dg_set CASCADE;
