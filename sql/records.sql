-- A record is kept for every row that goes, once, and for every attempt
CREATE SCHEMA dg_records AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_records TO PUBLIC;
SET search_path = dg_records;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse

-- Rows that went outside a savepoint stay recorded when it is rolled back,
-- whatever was deleted within it.  (The statement names the root, so that the
-- protected partition is told of its end by nobody.)
CREATE TABLE pt (id int PRIMARY KEY, code text) PARTITION BY RANGE (id);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES FROM (0) TO (100);
INSERT INTO pt SELECT i, 'c' || i FROM generate_series(1, 20) AS i;
SELECT delete_guard.protect('pt_1');
BEGIN;
DELETE FROM pt WHERE id = 1;
SAVEPOINT s;
DELETE FROM pt_1 WHERE id = 2;
ROLLBACK TO s;
COMMIT;
SELECT operation, outcome, table_name, rows, images FROM dg_test.news();
SELECT key FROM dg_test.images('dg_records.pt_1');
BEGIN;
DELETE FROM pt WHERE id IN (3, 4);
DO $$
BEGIN
    DELETE FROM dg_records.pt WHERE id = 5;
    DELETE FROM dg_records.pt_1 WHERE id = 6;
    RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
    DELETE FROM dg_records.pt WHERE id = 7;
END $$;
DELETE FROM pt WHERE id = 8;
COMMIT;
SELECT id FROM pt ORDER BY id LIMIT 4;
SELECT operation, outcome, table_name, sum(rows) AS rows, sum(images) AS images FROM dg_test.news() GROUP BY 1, 2, 3;
BEGIN;
SAVEPOINT a;
DELETE FROM pt WHERE id = 9;
SAVEPOINT b;
DELETE FROM pt WHERE id = 10;
RELEASE b;
SAVEPOINT c;
DELETE FROM pt_1 WHERE id = 11;
ROLLBACK TO c;
RELEASE a;
DELETE FROM pt WHERE id = 12;
COMMIT;
SELECT array_agg(id ORDER BY id) FROM pt;
SELECT sum(rows) AS rows, sum(images) AS images FROM dg_test.news();
-- and what is rolled back as a whole is not recorded
BEGIN;
SAVEPOINT a;
DELETE FROM pt WHERE id = 13;
SAVEPOINT b;
DELETE FROM pt_1 WHERE id = 14;
RELEASE b;
ROLLBACK TO a;
COMMIT;
SELECT count(*) FROM dg_test.news();

-- A trigger of the owner's own with the guard's function records nothing twice:
-- on a plain table, on a partition; for the row, at the end, deferred
CREATE TABLE plain (id int PRIMARY KEY);
SELECT delete_guard.protect('plain', 'log');
INSERT INTO plain SELECT generate_series(1, 6);
CREATE TRIGGER zz AFTER DELETE OR UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
CREATE TRIGGER zz_end AFTER DELETE OR UPDATE ON plain FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_end();
CREATE CONSTRAINT TRIGGER zz_late AFTER DELETE OR UPDATE ON plain DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
CREATE TRIGGER zz AFTER DELETE OR UPDATE ON pt_1 FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
CREATE CONSTRAINT TRIGGER zz_late AFTER DELETE OR UPDATE ON pt_1 DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
DELETE FROM plain WHERE id <= 3;
UPDATE plain SET id = 60 WHERE id = 6;
DELETE FROM pt_1 WHERE id IN (13, 14);
DELETE FROM pt WHERE id = 15;
SELECT operation, outcome, table_name, rows, images FROM dg_test.news();

-- An attempt is recorded also if its keys are larger than what one jsonb value
-- may hold
CREATE TABLE large (k text PRIMARY KEY);
SELECT delete_guard.protect('large', scope => 'all');
INSERT INTO large SELECT repeat('x', 150000) || i FROM generate_series(1, 2000) AS i;
DELETE FROM large;  -- fails
SELECT count(*) FROM large;
SELECT operation, outcome, rows, request FROM dg_test.news();

SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
RESET ROLE;
CALL dg_test.release('dg_records');
DROP SCHEMA dg_records CASCADE;
