-- Settings that would weaken the guard need a second person too (route 94)
SELECT current_user AS super \gset
SET client_min_messages = warning;
CREATE ROLE regress_dg_dave LOGIN SUPERUSER;
CREATE SCHEMA dg_set_guard AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_set_guard TO PUBLIC;
SELECT coalesce(max(event_id), 0) AS here FROM delete_guard.audit_log \gset
\set VERBOSITY terse
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_set_guard;
CREATE TABLE arch (id int PRIMARY KEY);
CREATE TABLE dist (arch_id int);
CREATE TABLE quiet (id int PRIMARY KEY);
-- Without an approver, and in mode log, everything is free
SELECT delete_guard.protect('arch', 'block', 'all', 3);
SELECT delete_guard.protect('arch', 'log');
SELECT delete_guard.unprotect('arch');
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
SELECT delete_guard.protect('quiet', 'log');
SELECT delete_guard.add_approver('regress_dg_bob', 'quiet');
SELECT delete_guard.add_approver('regress_dg_carol', 'quiet');
SELECT delete_guard.remove_approver('regress_dg_carol', 'quiet');
SELECT delete_guard.protect('arch', 'block', 'all', 2);
-- the first approvers of a table are named together, in one transaction
BEGIN;
SELECT delete_guard.add_approver('regress_dg_bob', 'arch');
SAVEPOINT s;
SELECT delete_guard.add_approver('regress_dg_alice', 'arch');
ROLLBACK TO s;
SELECT delete_guard.add_approver('regress_dg_carol', 'arch');
COMMIT;
-- one who is an approver already is no change
SELECT delete_guard.add_approver('regress_dg_carol', 'arch');
-- stronger is free, and a further reference
SELECT delete_guard.protect('arch', 'block', 'all', 2);
SELECT delete_guard.protect('arch', 'block', 'all', 3);
SELECT delete_guard.declare_reference('quiet', '{id}', 'arch');

-- From now on it takes somebody else: the owner, alone
SELECT delete_guard.unprotect('arch');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('arch', 'log', 'all', 3);  -- fails
SELECT delete_guard.protect('arch', 'block', 'referenced', 3);  -- fails
SELECT delete_guard.protect('arch', 'block', 'all', 2);  -- fails
SELECT delete_guard.forget_reference('dist_arch_id');  -- fails
SELECT delete_guard.add_approver('regress_dg_owner', 'arch');  -- fails
SELECT delete_guard.remove_approver('regress_dg_bob', 'arch');  -- fails
-- another table of the owner's is no concern of theirs
SELECT delete_guard.add_approver('regress_dg_carol', 'quiet');
SELECT delete_guard.unprotect('quiet');
-- one who could not do it anyway opens no request
\c - regress_dg_alice
SELECT delete_guard.unprotect('dg_set_guard.arch');  -- fails
SELECT delete_guard.add_approver('regress_dg_alice');  -- fails
SELECT delete_guard.purge('1 day');  -- fails
-- superusers, also in the name of others, within functions and as a replica
\c - regress_dg_dave
SET client_min_messages = warning;
SET search_path = dg_set_guard;
\set VERBOSITY terse
SELECT delete_guard.unprotect('arch');  -- fails
SELECT delete_guard.add_approver('regress_dg_dave');  -- fails: concerns all tables
SELECT delete_guard.remove_approver('regress_dg_bob', 'arch');  -- fails
SELECT delete_guard.purge('1 day');  -- fails
SET SESSION AUTHORIZATION regress_dg_owner;
SELECT delete_guard.unprotect('arch');  -- fails
RESET SESSION AUTHORIZATION;
SET session_replication_role = replica;
SELECT delete_guard.unprotect('arch');  -- fails
RESET session_replication_role;
DO $$BEGIN PERFORM delete_guard.unprotect('arch'); END$$;  -- fails
DO $$BEGIN PERFORM delete_guard.unprotect('arch'); EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'refused'; END$$;
-- nothing has changed; one request for each attempt, whose action says it all
SELECT mode, scope, approvals FROM delete_guard.protected_tables WHERE table_id = 'arch'::regclass;
SELECT role, table_id FROM delete_guard.approver ORDER BY role::text;
SELECT requested_by, operation, table_name, action, keys, row_count, blast_radius, approvals_needed
FROM delete_guard.pending_requests WHERE table_name LIKE 'dg\_set\_guard.%' OR table_name IS NULL ORDER BY request_id;
SELECT operation, outcome, table_name, person, request_id IS NOT NULL AS request, repeats, details
FROM delete_guard.audit_log WHERE event_id > :here AND outcome <> 'done' ORDER BY event_id;

-- Approved: exactly that, by that person, once
SELECT request_id AS r FROM delete_guard.pending_requests WHERE table_name = 'dg_set_guard.arch' AND operation = 'unprotect' AND requested_by = 'regress_dg_dave' \gset
SELECT request_id AS fewer FROM delete_guard.pending_requests WHERE action LIKE '%block%all%2%' \gset
\set VERBOSITY sqlstate
SELECT delete_guard.approve(:r);  -- fails: same person
\c - regress_dg_bob
\set VERBOSITY terse
SELECT approvals, approvals_needed, blast_radius FROM delete_guard.approve(:r);
SELECT approvals FROM delete_guard.approve(:fewer);
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:r);
SELECT approvals FROM delete_guard.approve(:fewer);
\c - regress_dg_dave
SET search_path = dg_set_guard;
SET client_min_messages = warning;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says($$SELECT delete_guard.unprotect('arch')$$);  -- two of three
ROLLBACK;
-- a third, whom it takes three to name: they do it the other way round
\c - regress_dg_owner
SET search_path = dg_set_guard;
BEGIN;
SELECT set_config('delete_guard.approval', :'fewer', true) = :'fewer' AS set;
SELECT dg_test.says($$SELECT delete_guard.protect('arch', 'block', 'all', 2)$$);
ROLLBACK;
SELECT dg_test.alone($$SELECT delete_guard.protect('arch', 'block', 'all', 2)$$);
-- an approval of three steps is not one of another step, nor of another person
SELECT delete_guard.request_change('arch', $$SELECT delete_guard.forget_reference('dist_arch_id')$$, 'no longer used') AS f,
       delete_guard.request_change('arch', $$SELECT delete_guard.protect("table" => 'arch', mode => 'log')$$) AS l \gset
SELECT action, reason, approvals_needed FROM delete_guard.pending_requests WHERE request_id IN (:f, :l) ORDER BY request_id <> :f;
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:f);
SELECT approvals FROM delete_guard.approve(:l);
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:f);
SELECT approvals FROM delete_guard.approve(:l);
\c - regress_dg_dave
SET search_path = dg_set_guard;
SET client_min_messages = warning;
BEGIN;
SELECT set_config('delete_guard.approval', :'f', true) = :'f' AS set;
SELECT dg_test.says($$SELECT delete_guard.forget_reference('dist_arch_id')$$);
ROLLBACK;
\c - regress_dg_owner
SET search_path = dg_set_guard;
SET client_min_messages = warning;
BEGIN;
SELECT set_config('delete_guard.approval', :'f', true) = :'f' AS set;
SELECT dg_test.says($$SELECT delete_guard.forget_reference('quiet_id')$$);
-- a savepoint that is rolled back has not used it
SAVEPOINT s;
SELECT delete_guard.forget_reference('dist_arch_id');
ROLLBACK TO s;
SELECT delete_guard.forget_reference('dist_arch_id');
COMMIT;
SELECT name FROM delete_guard.references_to('arch');
BEGIN;
SELECT set_config('delete_guard.approval', :'f', true) = :'f' AS set;
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
\set VERBOSITY terse
SELECT delete_guard.forget_reference('dist_arch_id');  -- fails: used
ROLLBACK;
-- the other one: table and settings as approved, and nothing weaker
BEGIN;
SELECT set_config('delete_guard.approval', :'l', true) = :'l' AS set;
SELECT dg_test.says($$SELECT delete_guard.protect('arch', 'log', 'all')$$);
SELECT delete_guard.protect('arch', mode => 'log');
COMMIT;
SELECT mode, scope, approvals FROM delete_guard.protected_tables WHERE table_id = 'arch'::regclass;
\c - :super
SELECT operation, outcome, table_name, person, approved_by, details FROM delete_guard.audit_log
WHERE event_id > :here AND outcome IN ('approved', 'requested') ORDER BY event_id;
-- the request for a table in block mode is of no use when it has come to ask for more
\c - regress_dg_owner
SET search_path = dg_set_guard;
SET client_min_messages = warning;
SELECT delete_guard.protect('arch', 'block');
SELECT delete_guard.request_change('arch', $$SELECT delete_guard.unprotect('dg_set_guard.arch')$$) AS u \gset
\c - regress_dg_bob
SELECT approvals, approvals_needed FROM delete_guard.approve(:u);
\c - regress_dg_owner
SET search_path = dg_set_guard;
SET client_min_messages = warning;
SELECT delete_guard.protect('arch', 'block', approvals => 2);
BEGIN;
SELECT set_config('delete_guard.approval', :'u', true) = :'u' AS set;
SELECT dg_test.says($$SELECT delete_guard.unprotect('arch')$$);
ROLLBACK;

-- What cannot be asked for
\set VERBOSITY terse
SELECT delete_guard.request_change('arch', 'please');  -- fails: syntax
SELECT delete_guard.request_change('arch', 'SELECT 1');  -- fails
SELECT delete_guard.request_change('arch', '');  -- fails
SELECT delete_guard.request_change('arch', NULL);  -- fails
SELECT delete_guard.request_change('arch', 'SELECT unprotect(''arch'')');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.unprotect(''arch'') FROM arch');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.unprotect(''arch''); SELECT delete_guard.unprotect(''arch'')');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.unprotect(now())');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.unprotect()');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.unprotect(''arch'', 2)');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.unprotect(''quiet'')');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.protect(''arch'', ''loud'')');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.forget_reference(''none'')');  -- fails
SELECT delete_guard.request_change('arch', 'SELECT delete_guard.add_approver(''regress_dg_no_such'', ''arch'')');  -- fails
SELECT delete_guard.request_change(NULL, 'SELECT delete_guard.purge(''1 day'')');  -- fails: no right
SELECT delete_guard.request_change('quiet', 'SELECT delete_guard.unprotect(''quiet'')');  -- fails: needs none
\c - regress_dg_alice
\set VERBOSITY terse
SELECT delete_guard.request_change('dg_set_guard.arch', 'SELECT delete_guard.unprotect(''dg_set_guard.arch'')');  -- fails

-- What concerns all tables: an approver for all, or for each table in block mode
\c - :super
SET client_min_messages = warning;
SELECT delete_guard.request_change(NULL, 'SELECT delete_guard.purge(older_than => ''24:00:00''::interval)') AS p \gset
SELECT action, table_name, approvals_needed FROM delete_guard.pending_requests WHERE request_id = :p;
CREATE TABLE dg_set_guard.other (id int PRIMARY KEY);
SELECT delete_guard.protect('dg_set_guard.other');
\c - regress_dg_bob
\set VERBOSITY sqlstate
SELECT approvals FROM delete_guard.approve(:p);  -- fails: not for the other table
\c - :super
SET client_min_messages = warning;
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_set_guard.other');
SELECT delete_guard.request_change(NULL, 'SELECT delete_guard.purge(''1 day'')') AS p \gset
\c - regress_dg_bob
\set VERBOSITY terse
SELECT approvals, approvals_needed FROM delete_guard.approve(:p);
\c - :super
SET client_min_messages = warning;
SELECT dg_test.alone('SELECT delete_guard.unprotect(table_id) FROM delete_guard.protected_tables');
-- No approver is left: the hints and health() name the way that is
SELECT delete_guard.remove_approver(role_name, table_id) IS NOT NULL AS removed FROM delete_guard.approver;
CREATE ROLE regress_dg_leaver LOGIN;
CREATE TABLE dg_set_guard.orphaned (id int PRIMARY KEY);
SELECT delete_guard.protect('dg_set_guard.orphaned');
SELECT delete_guard.add_approver('regress_dg_leaver', 'dg_set_guard.orphaned');
DROP ROLE regress_dg_leaver;
SELECT dg_test.says($$SELECT delete_guard.add_approver('regress_dg_bob', 'dg_set_guard.orphaned')$$) LIKE '%No approver is left who can log in; somebody who was granted EXECUTE on delete_guard.break_glass() can%' AS said;
SELECT count(*) FROM delete_guard.health() WHERE remedy LIKE 'GRANT EXECUTE ON FUNCTION delete_guard.break_glass(%) TO "somebody"; run SELECT delete_guard.%_approver(%';
GRANT EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) TO CURRENT_USER;
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
SELECT delete_guard.break_glass(:r, 'no approver is left');
REVOKE EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) FROM CURRENT_USER;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_set_guard.orphaned');
COMMIT;
SELECT subject ~ 'leaver' AS leaver, remedy FROM delete_guard.health() WHERE remedy LIKE '%_approver(%' ORDER BY 1;
SELECT dg_test.alone('SELECT delete_guard.unprotect(table_id) FROM delete_guard.protected_tables');
SELECT delete_guard.remove_approver(role_name, table_id) IS NOT NULL AS removed FROM delete_guard.approver;
SELECT delete_guard.forget_reference(name) IS NOT NULL AS forgotten FROM delete_guard.declared_reference;
TABLE delete_guard.protected_tables;
DROP SCHEMA dg_set_guard CASCADE;
DROP ROLE regress_dg_dave;
