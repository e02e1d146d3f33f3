-- What a removal takes along is stored under its event before it is gone
CREATE SCHEMA dg_capture AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_capture TO PUBLIC;
SET search_path = dg_capture;
CALL dg_test.here();
-- all rows of the events since here(), and how their parts are described
CREATE FUNCTION rows_stored(OUT event int, OUT operation text, OUT table_name text, OUT effect text, OUT key jsonb, OUT old_row jsonb)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT dense_rank() OVER (ORDER BY l.event_id), l.operation, r.table_name, r.effect, r.key, r.old_row
    FROM delete_guard.audit_log l LEFT JOIN delete_guard.audit_rows r USING (event_id)
    WHERE l.event_id > (SELECT m.event_id FROM dg_test.mark m) AND l.outcome <> 'done'
    ORDER BY l.event_id, r.table_name COLLATE "C", r.effect, r.key::text COLLATE "C", r.old_row::text COLLATE "C";
$$;
CREATE FUNCTION parts_stored(OUT event int, OUT "table" text, OUT effect text, OUT depth text, OUT reference text,
    OUT set text, OUT set_to text, OUT details text)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT dense_rank() OVER (ORDER BY e.event_id), p ->> 'table', p ->> 'effect', p ->> 'depth', p ->> 'reference',
           p ->> 'set', p ->> 'set_to', regexp_replace(e.details::text, '\[[0-9]+\]', '[N]')
    FROM delete_guard.event e LEFT JOIN LATERAL jsonb_array_elements(e.parts) WITH ORDINALITY AS a(p, n) ON true
    WHERE e.event_id > (SELECT m.event_id FROM dg_test.mark m) AND e.outcome <> 'done' ORDER BY e.event_id, n;
$$;
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE top (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE gone (id int PRIMARY KEY, top_id int REFERENCES top ON DELETE CASCADE, note text);
CREATE TABLE deeper (id int PRIMARY KEY, gone_id int REFERENCES gone ON DELETE CASCADE, top_id int REFERENCES top ON DELETE CASCADE);
CREATE TABLE nulled (id int PRIMARY KEY, top_id int REFERENCES top ON DELETE SET NULL, other text DEFAULT 'kept');
CREATE TABLE defaulted (a int, b int, top_id int DEFAULT 7 REFERENCES top ON DELETE SET DEFAULT, PRIMARY KEY (a, b));
CREATE TABLE keyless (top_id int REFERENCES top ON DELETE SET NULL, other text);
-- the key that is set to NULL is one that others refer to, in turn
CREATE TABLE between (id int PRIMARY KEY, top_id int UNIQUE REFERENCES top ON DELETE SET NULL);
CREATE TABLE follower (id int PRIMARY KEY, ref int REFERENCES between (top_id) ON UPDATE CASCADE);
CREATE TABLE unrelated (id int PRIMARY KEY, top_id int);
GRANT ALL ON ALL TABLES IN SCHEMA dg_capture TO regress_dg_alice;
INSERT INTO top SELECT i, 'c' || i FROM generate_series(1, 9) AS i;
INSERT INTO gone VALUES (11, 1, 'x'), (12, 1, 'y'), (13, 2, 'z');
INSERT INTO deeper VALUES (21, 11, 1), (22, 12, 3), (23, 13, 3), (24, NULL, 1);
INSERT INTO nulled VALUES (31, 1), (32, 2);
INSERT INTO defaulted VALUES (1, 1, 1), (1, 2, 2);
INSERT INTO keyless VALUES (1, 'k1'), (2, 'k2');
INSERT INTO between VALUES (41, 1), (42, 2);
INSERT INTO follower VALUES (51, 1), (52, 2);
INSERT INTO unrelated VALUES (61, 1);
SELECT delete_guard.protect('top', 'log');
SELECT delete_guard.declare_reference('unrelated', '{top_id}', 'top');
SET ROLE regress_dg_alice;
DELETE FROM top WHERE id = 1;
SELECT * FROM rows_stored();
SELECT * FROM parts_stored();
SELECT * FROM deeper ORDER BY 1;
SELECT * FROM nulled ORDER BY 1;
SELECT * FROM follower ORDER BY 1;
CALL dg_test.here();
-- rolled back: nothing stays; nothing refers to it: one part
BEGIN;
DELETE FROM top WHERE id = 2;
ROLLBACK;
DELETE FROM top WHERE id = 9;
SELECT * FROM rows_stored();
SELECT * FROM parts_stored();
CALL dg_test.here();

-- A change of key: what ON UPDATE sets is stored; what follows is not lost
SET ROLE regress_dg_owner;
CREATE TABLE by_code (id int PRIMARY KEY, code text REFERENCES top (code) ON UPDATE SET NULL);
CREATE TABLE following (id int PRIMARY KEY, code text REFERENCES top (code) ON UPDATE CASCADE);
INSERT INTO by_code VALUES (1, 'c3'), (2, 'c4');
INSERT INTO following VALUES (1, 'c3');
GRANT ALL ON ALL TABLES IN SCHEMA dg_capture TO regress_dg_alice;
SET ROLE regress_dg_alice;
UPDATE top SET code = 'new' WHERE id = 3;
SELECT * FROM rows_stored();
SELECT * FROM parts_stored();
TABLE following;
CALL dg_test.here();

-- Another protected table on the way: its event says where its rows are
SET ROLE regress_dg_owner;
SELECT delete_guard.protect('gone', 'log');
SELECT delete_guard.protect('deeper', 'log');
SET ROLE regress_dg_alice;
DELETE FROM top WHERE id = 2;
SELECT * FROM rows_stored();
SELECT * FROM parts_stored();
CALL dg_test.here();
-- some of its rows in the same statement, some by the cascade
INSERT INTO gone VALUES (14, 6, 'by cascade'), (15, NULL, 'directly');
WITH direct AS (DELETE FROM gone WHERE id = 15) DELETE FROM top WHERE id = 6;
SELECT * FROM rows_stored();
SELECT * FROM parts_stored();
CALL dg_test.here();

-- The limit holds for all of it
RESET ROLE;
SET delete_guard.capture_limit = 3;
SET ROLE regress_dg_alice;
INSERT INTO nulled SELECT 300 + i, 5 FROM generate_series(1, 5) AS i;
DELETE FROM top WHERE id = 5;
SELECT table_name, effect, count(old_row) FROM rows_stored() GROUP BY 1, 2 ORDER BY 1, 2;
SELECT DISTINCT details FROM parts_stored();
CALL dg_test.here();
RESET ROLE;
RESET delete_guard.capture_limit;

-- Partitions on both sides, a self-reference, a cycle: each row once
SET ROLE regress_dg_owner;
CREATE TABLE root (id int PRIMARY KEY, parent int REFERENCES root ON DELETE CASCADE, loop int) PARTITION BY RANGE (id);
CREATE TABLE root_1 PARTITION OF root FOR VALUES FROM (0) TO (100);
CREATE TABLE root_2 (loop int, parent int, id int NOT NULL);
ALTER TABLE root ATTACH PARTITION root_2 FOR VALUES FROM (100) TO (200);
CREATE TABLE ring (id int PRIMARY KEY, root_id int REFERENCES root ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE ring_0 PARTITION OF ring FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE ring_1 PARTITION OF ring FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE root ADD FOREIGN KEY (loop) REFERENCES ring ON DELETE CASCADE;
SELECT delete_guard.protect('root', 'log');
INSERT INTO root VALUES (1, NULL, NULL), (2, 1, NULL), (101, 2, NULL), (102, 101, NULL), (3, NULL, NULL);
INSERT INTO ring SELECT i, 101 FROM generate_series(1, 6) AS i;
UPDATE root SET loop = 4 WHERE id = 3;
GRANT ALL ON ALL TABLES IN SCHEMA dg_capture TO regress_dg_alice;
SET ROLE regress_dg_alice;
DELETE FROM root WHERE id IN (1, 2);
SELECT operation, regexp_replace(table_name, 'ring_[01]', 'ring_N') AS table_name, effect, key, old_row
FROM rows_stored() ORDER BY event, 2, 3, key::text COLLATE "C";
SELECT count(*) FROM root;
CALL dg_test.here();

-- TRUNCATE: the tables that it empties, with every row, each once
SET ROLE regress_dg_owner;
CREATE TABLE p1 (id int PRIMARY KEY);
CREATE TABLE p2 (id int PRIMARY KEY);
CREATE TABLE p1_p2 (p1_id int REFERENCES p1, p2_id int REFERENCES p2);
CREATE TABLE own (id int PRIMARY KEY, p1_id int REFERENCES p1);
SELECT delete_guard.protect('p1', 'log');
SELECT delete_guard.protect('p2', 'log');
SELECT delete_guard.protect('own', 'log');
INSERT INTO p1 VALUES (1);
INSERT INTO p2 VALUES (1);
INSERT INTO p1_p2 VALUES (1, 1), (NULL, NULL), (NULL, 1);
INSERT INTO own VALUES (1, NULL);
GRANT ALL ON ALL TABLES IN SCHEMA dg_capture TO regress_dg_alice;
SET ROLE regress_dg_alice;
TRUNCATE p1, p2 CASCADE;
SELECT * FROM rows_stored();
CALL dg_test.here();

-- Foreign keys do not act for a replica: nothing is taken along
RESET ROLE;
INSERT INTO nulled VALUES (399, 8);
SET session_replication_role = replica;
DELETE FROM top WHERE id = 8;
RESET session_replication_role;
SELECT table_name, effect, old_row FROM rows_stored();
CALL dg_test.here();
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SELECT delete_guard.forget_reference('unrelated_top_id');
RESET ROLE;
DROP SCHEMA dg_capture CASCADE;
