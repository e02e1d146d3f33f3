-- The audit log: who, what, when; who may read it; what a rollback leaves
CREATE SCHEMA dg_audit AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_audit TO PUBLIC;
SET search_path = dg_audit;
CALL dg_test.here();
SET client_min_messages = warning;
\set VERBOSITY terse
SET ROLE regress_dg_owner;
CREATE TABLE arch (id int PRIMARY KEY, name text);
CREATE TABLE dist (arch_id int);
SELECT delete_guard.protect('arch');
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
INSERT INTO arch SELECT i, 'arch' || i FROM generate_series(1, 60) AS i;
INSERT INTO dist SELECT i FROM generate_series(1, 60, 2) AS i;
GRANT ALL ON ALL TABLES IN SCHEMA dg_audit TO regress_dg_alice;
RESET ROLE;

-- Every column of an event, allowed and refused
SET application_name = 'regress_dg_app';
SET delete_guard.claimed_user = 'Äva "the" claimed';
SET ROLE regress_dg_alice;
DELETE FROM arch WHERE id = 2;
DELETE FROM arch WHERE id = 1;  -- fails
RESET ROLE;
CREATE VIEW dg_audit.mine AS SELECT * FROM delete_guard.audit_log l WHERE event_id > (SELECT event_id FROM dg_test.mark) AND outcome <> 'done' ORDER BY event_id;
\x on
SELECT operation, outcome, table_id = 'arch'::regclass AS table_id, table_name, row_count,
       person = session_user AS person, person_id::regrole::text = session_user AS person_id,
       session_role = session_user AS session_role, active_role, claimed_user, client_addr IS NOT DISTINCT FROM inet_client_addr() AS client_addr,
       application_name, backend_pid = pg_backend_pid() AS backend_pid,
       backend_start = (SELECT a.backend_start FROM pg_stat_activity a WHERE pid = pg_backend_pid()) AS backend_start,
       occurred_at BETWEEN now() - interval '10 min' AND clock_timestamp() AS occurred_at,
       transaction_id IS NOT NULL AS transaction_id, statement, request_id IS NOT NULL AS request_id, approved_by,
       blast_radius, repeats, reason, details
FROM mine;
\x off
SELECT row_number, r.table_name, effect, key, old_row FROM delete_guard.audit_rows r JOIN mine USING (event_id) ORDER BY event_id, row_number;
RESET delete_guard.claimed_user;
RESET application_name;
CALL dg_test.here();

-- The transaction's number is the one of the delete
BEGIN;
DELETE FROM arch WHERE id = 4;
SELECT transaction_id = pg_current_xact_id() AS same FROM mine;
COMMIT;
-- the record is there in the same transaction, for whoever sees the delete
BEGIN;
DELETE FROM arch WHERE id = 6;
SELECT outcome, row_count FROM mine WHERE statement LIKE '%= 6;';
ROLLBACK;
-- nothing of a rolled-back allowed delete remains
SELECT outcome, row_count FROM mine WHERE statement LIKE '%= 6;';
SELECT count(*) FROM delete_guard.event_rows r WHERE NOT EXISTS (SELECT FROM delete_guard.event e WHERE e.event_id = r.event_id);
-- savepoints: only what was kept
BEGIN;
DELETE FROM arch WHERE id = 8;
SAVEPOINT a;
DELETE FROM arch WHERE id = 10;
SAVEPOINT b;
DELETE FROM arch WHERE id = 12;
RELEASE b;
ROLLBACK TO a;
DELETE FROM arch WHERE id = 14;
SAVEPOINT c;
DELETE FROM arch WHERE id = 3;  -- fails
ROLLBACK TO c;
DELETE FROM arch WHERE id = 16;
COMMIT;
SELECT outcome, row_count, statement FROM mine WHERE statement ~ '= (8|10|12|14|16|3);';
-- of a rolled-back transaction, refused attempts remain
BEGIN;
DELETE FROM arch WHERE id = 18;
SAVEPOINT a;
DELETE FROM arch WHERE id = 5;  -- fails
ROLLBACK;
SELECT outcome, row_count, statement FROM mine WHERE statement ~ '= (18|5);';
-- a subtransaction by exception
DO $$
BEGIN
    BEGIN
        DELETE FROM dg_audit.arch WHERE id = 20;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    DELETE FROM dg_audit.arch WHERE id = 22;
END $$;
SELECT array_agg(id ORDER BY id) FROM arch WHERE id IN (18, 20, 22);
SELECT outcome, row_count, old_row FROM mine JOIN delete_guard.audit_rows USING (event_id) WHERE statement LIKE 'DO%';
-- several statements in one: each is an event, in order
CALL dg_test.here();
BEGIN;
DELETE FROM arch WHERE id = 24\; DELETE FROM arch WHERE id IN (26, 28)\; UPDATE arch SET id = 130 WHERE id = 30;
COMMIT;
SELECT operation, row_count, statement FROM mine;
-- repeats of an attempt are counted
CALL dg_test.here();
DO $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        BEGIN
            DELETE FROM dg_audit.arch WHERE id = 7;
        EXCEPTION WHEN restrict_violation THEN NULL;
        END;
    END LOOP;
END $$;
SELECT outcome, repeats, request_id IS NOT NULL AS request FROM mine;
-- whoever makes it more than a hundred times is slowed down, and all are counted
DO $$
DECLARE
    begun timestamptz := clock_timestamp();
BEGIN
    FOR i IN 1 .. 144 LOOP
        BEGIN
            DELETE FROM dg_audit.arch WHERE id = 7;
        EXCEPTION WHEN restrict_violation THEN NULL;
        END;
    END LOOP;
    IF clock_timestamp() < begun + interval '2 s' THEN
        RAISE EXCEPTION 'attempts were not slowed down';
    END IF;
END $$;
SELECT outcome, repeats, request_id IS NOT NULL AS request FROM mine;
-- one by somebody else or of other rows is another one
DELETE FROM arch WHERE id IN (7, 9);  -- fails
SELECT current_user AS super \gset
\c - regress_dg_alice
\set VERBOSITY terse
DELETE FROM dg_audit.arch WHERE id = 7;  -- fails
\c - :super
SET search_path = dg_audit;
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT outcome, repeats, row_count, person = 'regress_dg_alice' AS alice FROM mine;

-- Person, session and current role: SET ROLE, SET SESSION AUTHORIZATION, SECURITY DEFINER
CALL dg_test.here();
GRANT regress_dg_owner TO regress_dg_alice;
SET ROLE regress_dg_owner;
CREATE FUNCTION definer(int) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM dg_audit.arch WHERE id = $1';
\c - regress_dg_alice
\set VERBOSITY terse
DELETE FROM dg_audit.arch WHERE id = 32;
SELECT dg_audit.definer(34);
SELECT dg_audit.definer(11);  -- fails
SET ROLE regress_dg_owner;
DELETE FROM dg_audit.arch WHERE id = 36;
SET delete_guard.claimed_user = 'regress_dg_bob';
DELETE FROM dg_audit.arch WHERE id = 38;
\c - :super
SET search_path = dg_audit;
SET client_min_messages = warning;
\set VERBOSITY terse
SET SESSION AUTHORIZATION regress_dg_owner;
DELETE FROM dg_audit.arch WHERE id = 40;
DELETE FROM dg_audit.arch WHERE id = 13;  -- fails
RESET SESSION AUTHORIZATION;
SELECT outcome, CASE person WHEN current_user THEN 'super' ELSE person END AS person, session_role, active_role, claimed_user FROM mine;
REVOKE regress_dg_owner FROM regress_dg_alice;

-- The statement as the client sent it: comments, functions, long ones cut
CALL dg_test.here();
/* a comment */ DELETE FROM arch -- another
    WHERE id = 42;
SELECT definer(44);
DELETE FROM arch WHERE id = 46 AND repeat('xä', 6000) <> '';
SELECT format('DELETE FROM arch WHERE id = 48 AND %L <> %L', repeat('ä', 6000), '') AS long \gset
:long;
SELECT CASE WHEN octet_length(statement) > 1000 THEN left(statement, 40) || ' ...' ELSE statement END AS statement,
       octet_length(statement) > 8192 AS too_long FROM mine;

-- Images of many rows, in order
CREATE TABLE many (id int PRIMARY KEY, payload text);
INSERT INTO many SELECT i, repeat('x', 100) || i FROM generate_series(1, 5000) AS i;
SELECT delete_guard.protect('many');
DELETE FROM many;
SELECT row_count, details FROM delete_guard.audit_log WHERE table_name = 'dg_audit.many' AND operation = 'delete';
SELECT count(*), min(row_number), max(row_number), count(DISTINCT row_number), count(DISTINCT key),
       bool_and(old_row = jsonb_build_object('id', row_number, 'payload', repeat('x', 100) || row_number)) AS exact
FROM delete_guard.audit_rows r JOIN delete_guard.audit_log l USING (event_id) WHERE l.table_name = 'dg_audit.many';
-- of a refused attempt the keys, up to 1000
SELECT delete_guard.protect('many', scope => 'all');
INSERT INTO many SELECT i FROM generate_series(1, 3000) AS i;
DELETE FROM many;  -- fails
SELECT effect, count(*), count(DISTINCT key), count(old_row)
FROM delete_guard.audit_rows r JOIN delete_guard.audit_log l USING (event_id)
WHERE l.table_name = 'dg_audit.many' AND l.outcome = 'blocked' GROUP BY effect;
-- more than a request can name: refused all the same, without a request
INSERT INTO many SELECT i FROM generate_series(3001, 10001) AS i;
DELETE FROM many;  -- fails
SELECT row_count, request_id IS NOT NULL AS request FROM delete_guard.audit_log WHERE table_name = 'dg_audit.many' AND outcome = 'blocked' ORDER BY event_id;

-- Who may read it: nobody without a grant; who may write it: nobody
CREATE FUNCTION tries(who regrole, verb text) RETURNS TABLE (relation regclass, allowed boolean) LANGUAGE sql AS $$
    SELECT c.oid::regclass, has_table_privilege(who, c.oid, verb) FROM pg_class c
    WHERE relnamespace = 'delete_guard'::regnamespace AND relkind IN ('r', 'v') $$;
SELECT DISTINCT v, allowed FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS v,
    unnest(ARRAY['regress_dg_alice', 'regress_dg_owner']::regrole[]) AS w, tries(w, v) ORDER BY 1;
SET ROLE regress_dg_owner;
SELECT count(*) FROM delete_guard.audit_log;  -- fails
SELECT count(*) FROM delete_guard.audit_rows;  -- fails
SELECT count(*) FROM delete_guard.event;  -- fails
INSERT INTO delete_guard.event SELECT;  -- fails
UPDATE delete_guard.event SET person = 'x';  -- fails
DELETE FROM delete_guard.event;  -- fails
TRUNCATE delete_guard.event_rows;  -- fails
DELETE FROM delete_guard.audit_log;  -- fails
SELECT nextval('delete_guard.event_id');  -- fails
DROP TABLE delete_guard.event;  -- fails
ALTER TABLE delete_guard.event ADD x int;  -- fails
-- the trigger functions cannot be called, nor put on another table
SELECT delete_guard._guard_rows();  -- fails
CREATE TABLE forged (id int PRIMARY KEY);
INSERT INTO forged VALUES (1);
DO $$
BEGIN
    PERFORM dg_test.says('CREATE TRIGGER f AFTER DELETE ON dg_audit.forged FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows()');
    PERFORM dg_test.says('DELETE FROM dg_audit.forged');
END $$;
RESET ROLE;
SELECT count(*) FROM delete_guard.audit_log WHERE table_name LIKE '%forged';
GRANT SELECT ON delete_guard.audit_log TO regress_dg_bob;
SET ROLE regress_dg_bob;
SELECT count(*) > 0 AS reads FROM delete_guard.audit_log;
SELECT count(*) FROM delete_guard.audit_rows;  -- fails
DELETE FROM delete_guard.audit_log;  -- fails
RESET ROLE;
REVOKE SELECT ON delete_guard.audit_log FROM regress_dg_bob;

-- The name of the table is the one it had
ALTER TABLE arch RENAME TO renamed;
SELECT DISTINCT table_name FROM delete_guard.audit_log WHERE table_id = 'renamed'::regclass AND operation <> 'ddl';
SELECT table_name, outcome, details FROM delete_guard.audit_log WHERE table_id = 'renamed'::regclass AND operation = 'ddl';
DELETE FROM renamed WHERE id = 50;
SELECT count(DISTINCT table_name) FROM delete_guard.audit_log WHERE table_id = 'renamed'::regclass;

SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SELECT delete_guard.forget_reference('dist_arch_id');
CALL dg_test.release('dg_audit');
DROP SCHEMA dg_audit CASCADE;
