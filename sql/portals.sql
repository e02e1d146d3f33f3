-- Prepared statements, generic plans, and portals that are read in pieces, as
-- drivers use them
CREATE SCHEMA dg_portals AUTHORIZATION regress_dg_owner;
SET search_path = dg_portals;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE arch (id int PRIMARY KEY, name text);
CREATE TABLE repo (id int PRIMARY KEY, arch_id int);
CREATE INDEX ON repo (arch_id);
INSERT INTO arch SELECT i, 'name ' || i FROM generate_series(1, 400) AS i;
INSERT INTO repo SELECT i, i FROM generate_series(1, 400) AS i WHERE i % 2 = 0;
SET plan_cache_mode = force_generic_plan;
-- planned and used before the table is protected
PREPARE del(int) AS DELETE FROM arch WHERE id = $1;
PREPARE del_all(int[]) AS DELETE FROM arch WHERE id = ANY ($1) RETURNING id;
PREPARE rekey(int, int) AS UPDATE arch SET id = $2 WHERE id = $1;
EXECUTE del(1);
EXECUTE del(2);
EXECUTE del_all('{3,4}');
EXECUTE rekey(5, 1005);
SELECT delete_guard.protect('arch');
EXECUTE del(7);
EXECUTE del(8);
SELECT delete_guard.declare_reference('repo', '{arch_id}', 'arch') IS NOT NULL AS declared;
EXECUTE del(9);
EXECUTE del(10);  -- fails
EXECUTE del_all('{11,13}');
EXECUTE del_all('{15,16}');  -- fails
EXECUTE rekey(17, 1017);
EXECUTE rekey(18, 1018);  -- fails
-- many times: caches are warm, and each is looked at
DO $$
DECLARE
    refused int := 0;
    gone int := 0;
BEGIN
    FOR i IN 101 .. 160 LOOP
        BEGIN
            DELETE FROM arch WHERE id = i;
            gone := gone + 1;
        EXCEPTION WHEN restrict_violation THEN
            refused := refused + 1;
        END;
    END LOOP;
    RAISE WARNING '% gone, % refused', gone, refused;
END $$;
-- what it refers to comes and goes between two uses of the same plan
INSERT INTO repo VALUES (1001, 201);
EXECUTE del(201);  -- fails
DELETE FROM repo WHERE id = 1001;
EXECUTE del(201);

-- a portal: all rows are removed when the first is fetched, and the guard has looked at all
CREATE FUNCTION first_of(condition text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN EXECUTE 'DELETE FROM dg_portals.arch WHERE ' || condition || ' RETURNING id' LOOP
        RETURN r.id;
    END LOOP;
END $$;
SELECT first_of('id BETWEEN 301 AND 399 AND id % 2 = 1');
SELECT count(*) FROM arch WHERE id BETWEEN 301 AND 399 AND id % 2 = 1;
SELECT first_of('id BETWEEN 302 AND 399');  -- fails
SELECT count(*) FROM arch WHERE id BETWEEN 302 AND 399;
\set FETCH_COUNT 10
SELECT count(*) FROM (SELECT first_of('id = 203')) AS x;
\unset FETCH_COUNT
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM arch WHERE id IN (205, 206) ORDER BY id FOR UPDATE;
FETCH c;
DELETE FROM arch WHERE CURRENT OF c;
FETCH c;
SAVEPOINT s;
DELETE FROM arch WHERE CURRENT OF c;  -- fails
ROLLBACK TO s;
COMMIT;
RESET ROLE;
-- one event for each statement that removed or changed something, with its rows
SELECT l.operation, l.outcome, count(*) AS events, sum(l.row_count) AS rows,
       sum((SELECT count(*) FROM delete_guard.audit_rows r WHERE r.event_id = l.event_id)) AS stored
FROM delete_guard.audit_log l WHERE l.event_id > (SELECT event_id FROM dg_test.mark) AND l.operation IN ('delete', 'key change')
GROUP BY l.operation, l.outcome ORDER BY l.operation, l.outcome;
SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) > 0 AS forgotten FROM delete_guard.declared_reference$$);
SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
DROP SCHEMA dg_portals CASCADE;
CALL dg_test.here();
