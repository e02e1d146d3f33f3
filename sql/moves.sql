-- A row counts as moved only if it is the same row, with all that others refer
-- to, and still in the protected table; else its key is gone
CREATE SCHEMA dg_moves AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_moves TO PUBLIC;
SET search_path = dg_moves;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse

-- Deleted and inserted again under the same primary key, while another key that
-- is referred to is not: by a CTE, by triggers, by MERGE
CREATE TABLE q (id int, region text, code text, PRIMARY KEY (id, region), UNIQUE (code, region)) PARTITION BY LIST (region);
CREATE TABLE q_a PARTITION OF q FOR VALUES IN ('a');
CREATE TABLE q_b PARTITION OF q FOR VALUES IN ('b');
CREATE TABLE to_q (code text, region text);
SELECT delete_guard.protect('q');
SELECT delete_guard.declare_reference('to_q', '{code,region}', 'q', '{code,region}');
INSERT INTO q SELECT i, 'a', 'x' || i FROM generate_series(1, 6) AS i;
INSERT INTO to_q SELECT 'x' || i, 'a' FROM generate_series(1, 5) AS i;
WITH d AS (DELETE FROM q WHERE id = 1 RETURNING *) INSERT INTO q SELECT id, region, 'gone' FROM d;  -- fails
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dg_moves.q VALUES (OLD.id, OLD.region, 'gone' || OLD.id);
    RETURN OLD;
END $$;
CREATE TRIGGER "000_again" AFTER DELETE ON q_a FOR EACH ROW EXECUTE FUNCTION again();
DELETE FROM q WHERE id = 2;  -- fails
DROP TRIGGER "000_again" ON q_a;
UPDATE q SET region = 'b' WHERE id = 3;  -- fails
UPDATE q SET region = 'b', code = 'y' WHERE id = 4;  -- fails
MERGE INTO q USING (VALUES (5)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET region = 'b';  -- fails
UPDATE q SET region = 'b' WHERE id = 6;
SELECT to_q.* FROM to_q WHERE NOT EXISTS (SELECT FROM q WHERE (q.code, q.region) = (to_q.code, to_q.region));
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- A partition with a primary key of its own, narrower than the key of the
-- table: another row with that key in another partition is another row
CREATE TABLE w (id int NOT NULL, region text NOT NULL, UNIQUE (id, region)) PARTITION BY LIST (region);
CREATE TABLE w_a PARTITION OF w FOR VALUES IN ('a');
CREATE TABLE w_b PARTITION OF w FOR VALUES IN ('b');
ALTER TABLE w_a ADD PRIMARY KEY (id);
ALTER TABLE w_b ADD PRIMARY KEY (id);
CREATE TABLE to_w (id int, region text);
SELECT delete_guard.protect('w');
SELECT delete_guard.declare_reference('to_w', '{id,region}', 'w', '{id,region}');
INSERT INTO w VALUES (1, 'a'), (1, 'b'), (2, 'a'), (2, 'b'), (3, 'a');
INSERT INTO to_w VALUES (1, 'a'), (3, 'a');
DELETE FROM w WHERE id = 1 AND region = 'a';  -- fails
DELETE FROM w_a WHERE id = 1;  -- fails
DELETE FROM w WHERE id = 2 AND region = 'a';
UPDATE w SET region = 'b' WHERE id = 3;  -- fails
SELECT * FROM w ORDER BY id, region;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();

-- One partition is protected: a row that leaves it for another is gone from it
CREATE TABLE v (id int NOT NULL, region text NOT NULL, UNIQUE (id, region)) PARTITION BY LIST (region);
CREATE TABLE v_a PARTITION OF v FOR VALUES IN ('a');
CREATE TABLE v_b PARTITION OF v FOR VALUES IN ('b');
ALTER TABLE v_a ADD PRIMARY KEY (id);
ALTER TABLE v_b ADD PRIMARY KEY (id);
CREATE TABLE to_v_a (id int);
SELECT delete_guard.protect('v_a');
SELECT delete_guard.declare_reference('to_v_a', '{id}', 'v_a');
INSERT INTO v VALUES (1, 'a'), (2, 'a'), (2, 'b'), (3, 'a'), (4, 'b');
INSERT INTO to_v_a VALUES (1), (2);
UPDATE v SET region = 'b' WHERE id = 1;  -- fails
UPDATE v SET region = 'b', id = 77 WHERE id = 2 AND region = 'a';  -- fails
WITH d AS (DELETE FROM v WHERE id = 1 RETURNING id) INSERT INTO v SELECT id, 'b' FROM d;  -- fails
UPDATE v SET region = 'b' WHERE id = 3;
-- into it, and within the unprotected one: nothing of it is lost
UPDATE v SET region = 'a' WHERE id = 4;
UPDATE v_b SET id = 5 WHERE id = 2;
SELECT tableoid::regclass, id FROM v ORDER BY id, region;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news();
SELECT key, old_row FROM dg_test.images('dg_moves.v_a');

SELECT count(delete_guard.forget_reference(name)) FROM unnest('{q,w,v_a}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared';
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
RESET ROLE;
CALL dg_test.release('dg_moves');
DROP SCHEMA dg_moves CASCADE;
