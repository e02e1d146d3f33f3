-- Break-glass: one person alone, with a grant, a reason and an alert
SELECT current_user AS super \gset
SET client_min_messages = warning;
CREATE ROLE regress_dg_oncall;
CREATE ROLE regress_dg_dave LOGIN SUPERUSER;
CREATE SCHEMA dg_glass AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_glass TO PUBLIC;
SET search_path = dg_glass;
CREATE TABLE arch (id int PRIMARY KEY);
CREATE TABLE dist (arch_id int);
INSERT INTO arch VALUES (1), (2), (3), (4);
INSERT INTO dist VALUES (1), (2), (3), (4);
ALTER TABLE arch OWNER TO regress_dg_owner;
ALTER TABLE dist OWNER TO regress_dg_owner;
GRANT ALL ON arch, dist TO PUBLIC;
SELECT delete_guard.protect('arch', approvals => 2);
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
BEGIN;
SELECT delete_guard.add_approver(r, 'arch') FROM unnest('{regress_dg_bob,regress_dg_carol}'::name[]) AS r;
COMMIT;
SELECT coalesce(max(event_id), 0) AS here FROM delete_guard.audit_log \gset

-- nobody may, unless it was granted: not its owner, not a superuser
\c - regress_dg_alice
\set VERBOSITY terse
DELETE FROM dg_glass.arch WHERE id = 1;  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
SELECT delete_guard.break_glass(:r, 'fire');  -- fails
\echo :LAST_ERROR_SQLSTATE
\c - regress_dg_dave
\set VERBOSITY terse
SELECT delete_guard.break_glass(:r, 'fire');  -- fails
\echo :LAST_ERROR_SQLSTATE
\c - :super
\set VERBOSITY terse
SELECT delete_guard.break_glass(:r, 'fire');  -- fails
-- nor through a function of somebody who may, nor for PUBLIC
GRANT EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) TO regress_dg_oncall, PUBLIC;
GRANT regress_dg_oncall TO regress_dg_owner;
CREATE FUNCTION dg_glass.help(bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$SELECT delete_guard.break_glass($1, 'help')$$;
ALTER FUNCTION dg_glass.help(bigint) OWNER TO regress_dg_owner;
\c - regress_dg_alice
\set VERBOSITY terse
SELECT dg_glass.help(:r);  -- fails
SELECT delete_guard.break_glass(:r, 'fire');  -- fails
\c - :super
REVOKE EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) FROM PUBLIC;
GRANT regress_dg_oncall TO regress_dg_alice;

-- a member of a role that it was granted to: with a reason, for a request that is open
\c - regress_dg_alice
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT delete_guard.break_glass(:r, NULL);  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.break_glass(:r, E' \n');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.break_glass(NULL, 'fire');  -- fails
SELECT delete_guard.break_glass(123456789, 'fire');  -- fails
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_alice
SET client_min_messages = warning;
SELECT delete_guard.break_glass(:r, 'the release hangs, nobody answers');
SELECT state, approvals, decided_by, comments FROM delete_guard.request_history WHERE request_id = :r;
-- for exactly these rows, in this state
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
\set VERBOSITY sqlstate
DELETE FROM dg_glass.arch WHERE id = 2;  -- fails
ROLLBACK;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_glass.arch WHERE id = 1;
COMMIT;
SELECT count(*) FROM dg_glass.arch WHERE id = 1;
-- once
INSERT INTO dg_glass.arch VALUES (1);
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_glass.arch WHERE id = 1;  -- fails
ROLLBACK;
SELECT delete_guard.break_glass(:r, 'again');  -- fails
-- not if more hangs on the rows by now
DELETE FROM dg_glass.arch WHERE id = 3;  -- fails
SELECT max(request_id) AS r3 FROM delete_guard.pending_requests \gset
SELECT delete_guard.break_glass(:r3, 'again');
INSERT INTO dg_glass.dist VALUES (3);
BEGIN;
SELECT set_config('delete_guard.approval', :'r3', true) = :'r3' AS set;
DELETE FROM dg_glass.arch WHERE id = 3;  -- fails
ROLLBACK;
-- not if the rows have changed, nor when it was denied
DELETE FROM dg_glass.arch WHERE id = 4;  -- fails
SELECT max(request_id) AS r4 FROM delete_guard.pending_requests \gset
\c - regress_dg_bob
SELECT delete_guard.deny(:r4, 'no');
\c - regress_dg_alice
\set VERBOSITY sqlstate
SELECT delete_guard.break_glass(:r4, 'still');  -- fails
\set VERBOSITY terse

-- a change of settings as well
\c - regress_dg_owner
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT delete_guard.unprotect('dg_glass.arch');  -- fails
SELECT max(request_id) AS u FROM delete_guard.pending_requests WHERE operation = 'unprotect' \gset
SELECT delete_guard.break_glass(:u, 'maintenance at night');
BEGIN;
SELECT set_config('delete_guard.approval', :'u', true) = :'u' AS set;
SELECT delete_guard.unprotect('dg_glass.arch');
COMMIT;
TABLE delete_guard.protected_tables;

-- its own outcome; who was passed over; the event of what was done with it
\c - :super
SELECT operation, outcome, table_name, row_count, person, approved_by, reason, details
FROM delete_guard.audit_log WHERE event_id > :here AND outcome = 'break_glass' ORDER BY event_id;
SELECT delete_guard.remove_approver(role_name, table_id) IS NOT NULL AS removed FROM delete_guard.approver;
SELECT delete_guard.forget_reference(name) IS NOT NULL AS forgotten FROM delete_guard.declared_reference;
SET client_min_messages = warning;
DROP OWNED BY regress_dg_oncall;
DROP ROLE regress_dg_oncall, regress_dg_dave;
DROP SCHEMA dg_glass CASCADE;
SELECT proacl FROM pg_proc WHERE proname = 'break_glass';
