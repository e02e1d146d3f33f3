-- The own tables: nobody writes to them but functions of delete_guard (F33, routes 127 and 159)
SELECT current_user AS super \gset
CREATE ROLE regress_dg_writer LOGIN;
GRANT pg_write_all_data, pg_read_all_data TO regress_dg_writer;
SET client_min_messages = warning;
CREATE SCHEMA dg_own;
CREATE TABLE dg_own.t (id int PRIMARY KEY);
SELECT delete_guard.protect('dg_own.t');
DELETE FROM dg_own.t;
-- every one of them has both triggers, which fire always
SELECT c.relname FROM pg_class c
WHERE relnamespace = 'delete_guard'::regnamespace AND relkind = 'r'
  AND (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgenabled = 'A'
       AND tgfoid = 'delete_guard._guard_own'::regproc) <> 2;
SELECT coalesce(max(event_id), 0) AS here FROM delete_guard.audit_log \gset
\set VERBOSITY terse

-- the owner, a superuser: UPDATE, DELETE, TRUNCATE, MERGE, forged rows, COPY, also without rows
UPDATE delete_guard.event SET person = 'nobody' WHERE event_id = 1;  -- fails
DELETE FROM delete_guard.event;  -- fails
DELETE FROM delete_guard.event_rows WHERE false;  -- fails
TRUNCATE delete_guard.event;  -- fails
TRUNCATE delete_guard.decision, delete_guard.request CASCADE;  -- fails
INSERT INTO delete_guard.approver VALUES ('regress_dg_bob', 'regress_dg_bob', 0, 'forged', now());  -- fails
INSERT INTO delete_guard.decision (decision_id, request_id, kind, person, person_name, decided_at)
    SELECT 1, 1, 'approve', oid, rolname, now() FROM pg_roles LIMIT 1;  -- fails
UPDATE delete_guard.protected_table SET mode = 'log';  -- fails
COPY delete_guard.attempt FROM stdin;  -- fails
\.
MERGE INTO delete_guard.approver USING (SELECT) AS x ON true WHEN MATCHED THEN DELETE;  -- fails
WITH gone AS (DELETE FROM delete_guard.request RETURNING 1) SELECT count(*) FROM gone;  -- fails
INSERT INTO delete_guard.protected_table VALUES ('dg_own.t', 'log', 'all', 1, 'forged', now())
    ON CONFLICT (table_id) DO UPDATE SET mode = 'log';  -- fails
\echo :LAST_ERROR_SQLSTATE
-- route 80: session_replication_role
SET session_replication_role = replica;
DELETE FROM delete_guard.approver;  -- fails
TRUNCATE delete_guard.approver;  -- fails
RESET session_replication_role;
-- within a function of the owner, with and without SECURITY DEFINER; deferred by a trigger of one's own
CREATE FUNCTION dg_own.forge() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM delete_guard.event';
SELECT dg_own.forge();  -- fails
CREATE FUNCTION dg_own.forge_by_trigger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM delete_guard.event;
    RETURN NULL;
END $$;
CREATE TRIGGER later AFTER DELETE ON dg_own.t EXECUTE FUNCTION dg_own.forge_by_trigger();
DELETE FROM dg_own.t;  -- fails
DROP TRIGGER later ON dg_own.t;
-- the setting that would stop refusing is not for a session
SET delete_guard.enforce = off;  -- fails
ALTER ROLE regress_dg_writer SET delete_guard.enforce = off;  -- fails

-- a role that may write everywhere, with no grant on these tables
\c - regress_dg_writer
\set VERBOSITY terse
DELETE FROM delete_guard.event;  -- fails
UPDATE delete_guard.request SET approvals_needed = 0;  -- fails
INSERT INTO delete_guard.approver VALUES ('regress_dg_writer', 'regress_dg_writer', 0, 'forged', now());  -- fails
TRUNCATE delete_guard.event;  -- fails: no such right
\c - :super
-- nothing has changed, and each attempt is recorded; those that held a lock against the recorder are in the server log
SELECT count(*) FROM delete_guard.approver;
SELECT mode FROM delete_guard.protected_tables WHERE table_id = 'dg_own.t'::regclass;
SELECT operation, outcome, table_name, person = :'super' AS super, repeats, statement
FROM delete_guard.audit_log WHERE event_id > :here ORDER BY event_id;

-- the trigger function elsewhere does nothing
CREATE TABLE dg_own.other (id int);
GRANT EXECUTE ON FUNCTION delete_guard._guard_own() TO regress_dg_alice;
CREATE TRIGGER o BEFORE DELETE ON dg_own.other EXECUTE FUNCTION delete_guard._guard_own();
DELETE FROM dg_own.other;
CREATE TRIGGER p AFTER DELETE ON dg_own.other EXECUTE FUNCTION delete_guard._guard_own();
DELETE FROM dg_own.other;  -- fails
REVOKE EXECUTE ON FUNCTION delete_guard._guard_own() FROM regress_dg_alice;

SET client_min_messages = warning;
SELECT delete_guard.unprotect('dg_own.t');
DROP SCHEMA dg_own CASCADE;
DROP ROLE regress_dg_writer;
