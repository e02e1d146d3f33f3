-- Two persons: requests, approvals, their use.  Each \c is another login
CREATE SCHEMA dg_ap AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_ap TO PUBLIC;
SET client_min_messages = warning;
SELECT current_user AS super \gset
CALL dg_test.here();
\set VERBOSITY sqlstate
\c - regress_dg_owner
SET client_min_messages = warning;
CREATE TABLE dg_ap.arch (id int PRIMARY KEY, name text);
CREATE TABLE dg_ap.dist (arch_id int);
CREATE TABLE dg_ap.sub (id int PRIMARY KEY, arch_id int REFERENCES dg_ap.arch ON DELETE CASCADE);
CREATE TABLE dg_ap.other (id int PRIMARY KEY);
SELECT delete_guard.protect('dg_ap.arch');
SELECT delete_guard.protect('dg_ap.other', scope => 'all');
SELECT delete_guard.declare_reference('dg_ap.dist', '{arch_id}', 'dg_ap.arch');
INSERT INTO dg_ap.arch SELECT i, 'arch' || i FROM generate_series(1, 100) AS i;
INSERT INTO dg_ap.dist SELECT i FROM generate_series(1, 100) AS i;
INSERT INTO dg_ap.other SELECT i FROM generate_series(1, 20) AS i;
GRANT ALL ON ALL TABLES IN SCHEMA dg_ap TO regress_dg_alice, regress_dg_bob, regress_dg_carol;
-- the owner names approvers of the table, not of all tables; a role must be able to log in
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_ap.arch');
SELECT delete_guard.add_approver('regress_dg_bob');  -- fails
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_ap.dist');  -- fails: not protected
SELECT delete_guard.add_approver('regress_dg_no_such', 'dg_ap.arch');  -- fails
SELECT delete_guard.add_approver('pg_monitor', 'dg_ap.arch');  -- fails
SELECT delete_guard.add_approver(NULL, 'dg_ap.arch');  -- fails
SELECT delete_guard.remove_approver('regress_dg_carol', 'dg_ap.arch');  -- fails
SELECT delete_guard.remove_approver('regress_dg_carol');  -- fails
-- twice is once
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_ap.arch');
\c - regress_dg_alice
SELECT delete_guard.add_approver('regress_dg_alice', 'dg_ap.arch');  -- fails
\c - :super
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_carol')$$);
SELECT role, table_id::regclass FROM delete_guard.approver ORDER BY role::text;

-- The whole way: refused, approved, used once
\c - regress_dg_alice
DELETE FROM dg_ap.arch WHERE id = 1;  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
SELECT requested_by, operation, table_name, keys, row_count, blast_radius, reason, approvals, approvals_needed,
       expires_at - requested_at AS lifetime FROM delete_guard.pending_requests;
-- not yet approved
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 1');
ROLLBACK;
-- not by oneself
SELECT delete_guard.approve(:r);  -- fails
SELECT delete_guard.deny(:r);  -- fails
\c - regress_dg_bob
SELECT request_id = :r AS same, requested_by, operation, table_name, keys, row_count, blast_radius FROM delete_guard.pending_requests;
SELECT delete_guard.cancel(:r);  -- fails
SELECT request_id = :r AS same, approvals, approvals_needed, usable_until - now() BETWEEN interval '14 min' AND interval '16 min' AS usable, blast_radius
FROM delete_guard.approve(:r, 'checked with the release team');
SELECT delete_guard.approve(:r);  -- fails: once per person
-- the approver cannot use it
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 1;  -- fails
ROLLBACK;
\c - regress_dg_alice
SELECT state, approvals, approvals_needed, decided_by, comments, used_at IS NULL AS unused FROM delete_guard.request_history WHERE request_id = :r;
-- without the flag it is as before
DELETE FROM dg_ap.arch WHERE id = 1;  -- fails
-- other rows, more rows, a subset; another table; another operation
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 2');
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id IN (1, 2)');
SELECT dg_test.says('UPDATE dg_ap.arch SET id = 101 WHERE id = 1');
SELECT dg_test.says('DELETE FROM dg_ap.other WHERE id = 1');
ROLLBACK;
-- rolled back means not used; in a savepoint, too
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 1;
ROLLBACK;
SELECT state FROM delete_guard.request_history WHERE request_id = :r;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SAVEPOINT a;
DELETE FROM dg_ap.arch WHERE id = 1;
ROLLBACK TO a;
DELETE FROM dg_ap.arch WHERE id = 1;
-- put back and deleted once more is more than was approved
SAVEPOINT b;
INSERT INTO dg_ap.arch VALUES (1, 'arch1');
DELETE FROM dg_ap.arch WHERE id = 1;  -- fails
ROLLBACK TO b;
COMMIT;
SELECT state, approvals, used_at IS NOT NULL AS used FROM delete_guard.request_history WHERE request_id = :r;
SELECT count(*) FROM dg_ap.arch WHERE id = 1;
-- used twice
INSERT INTO dg_ap.arch VALUES (1, 'arch1');
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 1');
ROLLBACK;
\c - regress_dg_bob
SELECT delete_guard.approve(:r);  -- fails
SELECT delete_guard.deny(:r);  -- fails
\c - :super
SELECT operation, outcome, person, row_count, request_id = :r AS request, approved_by, reason FROM delete_guard.audit_log WHERE request_id = :r ORDER BY event_id;

-- request_delete: asked for without trying
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id IN (3, 4)', 'no longer supported') AS r \gset
SELECT operation, keys, row_count, reason, approvals_needed FROM delete_guard.pending_requests WHERE request_id = :r;
-- the condition is the caller's SQL, with the caller's rights; at least one row
SELECT delete_guard.request_delete('dg_ap.arch', 'id = -1');  -- fails
SELECT delete_guard.request_delete('dg_ap.arch', 'no_such = 1');  -- fails
SELECT delete_guard.request_delete('dg_ap.arch', 'true); DELETE FROM dg_ap.arch; SELECT (true');  -- fails
SELECT delete_guard.request_delete('dg_ap.arch', 'id IN (DELETE FROM dg_ap.arch RETURNING id)');  -- fails
SELECT delete_guard.request_delete('dg_ap.dist', 'true');  -- fails: not protected
SELECT delete_guard.request_delete(NULL, 'true');  -- fails
SELECT delete_guard.approve(NULL);  -- fails
SELECT delete_guard.approve(0);  -- fails
SELECT delete_guard.approve(9223372036854775807);  -- fails
SELECT delete_guard.deny(-1);  -- fails
SELECT delete_guard.cancel(NULL);  -- fails
\c - regress_dg_bob
SELECT approvals, approvals_needed FROM delete_guard.approve(:r);
-- part of what was approved, then the rest: one transaction
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 3;
DELETE FROM dg_ap.arch WHERE id = 4;
COMMIT;
SELECT state FROM delete_guard.request_history WHERE request_id = :r;
-- part of it in one, the rest in another: used up
SELECT delete_guard.request_delete('dg_ap.arch', 'id IN (5, 6)') AS r \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 5;
COMMIT;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 6;  -- fails
ROLLBACK;

-- Denied, cancelled
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 7') AS r \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
SELECT delete_guard.deny(:r, 'second thoughts');
SELECT delete_guard.approve(:r);  -- fails
\c - regress_dg_alice
SELECT state, decided_by, comments FROM delete_guard.request_history WHERE request_id = :r;
SELECT delete_guard.cancel(:r);  -- fails
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 7');
ROLLBACK;
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 8') AS r \gset
SELECT delete_guard.cancel(:r);
SELECT state FROM delete_guard.request_history WHERE request_id = :r;
SELECT delete_guard.cancel(:r);  -- fails
\c - regress_dg_bob
SELECT delete_guard.approve(:r);  -- fails

-- What changed after the approval: the row, more references, fewer references
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 9') AS r9, delete_guard.request_delete('dg_ap.arch', 'id = 10') AS r10,
       delete_guard.request_delete('dg_ap.arch', 'id = 11') AS r11, delete_guard.request_delete('dg_ap.arch', 'id = 12') AS r12 \gset
\c - regress_dg_bob
SELECT count(delete_guard.approve(r)) FROM unnest(ARRAY[:r9, :r10, :r11]) AS r;
UPDATE dg_ap.arch SET name = 'new' WHERE id = 9;
INSERT INTO dg_ap.sub VALUES (10, 10);
DELETE FROM dg_ap.dist WHERE arch_id = 11;
-- before the approval: it has to be asked for again
UPDATE dg_ap.arch SET name = 'new' WHERE id = 12;
SELECT delete_guard.approve(:r12);  -- fails
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', format('%s,%s, %s', :r9, :r10, :r11), true) <> '' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 9');
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 10');
DELETE FROM dg_ap.arch WHERE id = 11;
COMMIT;
-- a change that was undone is none
UPDATE dg_ap.arch SET name = 'arch9' WHERE id = 9;
DELETE FROM dg_ap.sub WHERE id = 10;
BEGIN;
SELECT set_config('delete_guard.approval', format('%s,%s', :r9, :r10), true) <> '' AS set;
DELETE FROM dg_ap.arch WHERE id IN (9, 10);
COMMIT;
SELECT state FROM delete_guard.request_history WHERE request_id IN (:r9, :r10, :r11) ORDER BY request_id;

-- Two approvals, from two persons
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 12') AS before \gset
\c - regress_dg_bob
SELECT approvals, approvals_needed FROM delete_guard.approve(:before);
\c - regress_dg_owner
SET client_min_messages = warning;
SELECT delete_guard.protect('dg_ap.arch', approvals => 2);
-- what was asked for, and approved, while one was enough needs two now
\c - regress_dg_alice
SELECT state, approvals, approvals_needed FROM delete_guard.request_history WHERE request_id = :before;
BEGIN;
SELECT set_config('delete_guard.approval', :'before', true) = :'before' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 12');
ROLLBACK;
\c - regress_dg_carol
SELECT approvals, approvals_needed FROM delete_guard.approve(:before);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'before', true) = :'before' AS set;
DELETE FROM dg_ap.arch WHERE id = 12;
COMMIT;
SELECT state, approvals, approvals_needed, decided_by FROM delete_guard.request_history WHERE request_id = :before;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 13') AS r \gset
\c - regress_dg_bob
SELECT approvals, approvals_needed FROM delete_guard.approve(:r);
SELECT delete_guard.approve(:r);  -- fails
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 13');
ROLLBACK;
SELECT state, approvals, approvals_needed FROM delete_guard.request_history WHERE request_id = :r;
\c - regress_dg_carol
SELECT approvals, approvals_needed FROM delete_guard.approve(:r, 'me too');
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 13;
COMMIT;
SELECT state, approvals, decided_by, comments FROM delete_guard.request_history WHERE request_id = :r;
\c - :super
SELECT approved_by FROM delete_guard.audit_log WHERE request_id = :r AND outcome = 'approved';
\c - regress_dg_owner
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT delete_guard.protect('dg_ap.arch')$$);

-- Who is no approver: not the owner, not a superuser, nobody by SET ROLE or SECURITY DEFINER
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 14') AS r \gset
\c - regress_dg_owner
SELECT delete_guard.approve(:r);  -- fails
\c - :super
SELECT delete_guard.approve(:r);  -- fails
SET SESSION AUTHORIZATION regress_dg_bob;
SELECT delete_guard.approve(:r);  -- fails
RESET SESSION AUTHORIZATION;
SET ROLE regress_dg_bob;
SELECT delete_guard.approve(:r);  -- fails
RESET ROLE;
GRANT regress_dg_bob TO regress_dg_alice;
CREATE FUNCTION dg_ap.approve(bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT delete_guard.approve($1)';
ALTER FUNCTION dg_ap.approve(bigint) OWNER TO regress_dg_bob;
\c - regress_dg_alice
SET ROLE regress_dg_bob;
SELECT delete_guard.approve(:r);  -- fails
RESET ROLE;
SELECT dg_ap.approve(:r);  -- fails
\c - :super
REVOKE regress_dg_bob FROM regress_dg_alice;
-- a request made under SET ROLE is the person's; the approver cannot ask and grant
\c - regress_dg_bob
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 15') AS r15 \gset
SELECT delete_guard.approve(:r15);  -- fails
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:r15);
-- approved, used by another person
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r15', true) = :'r15' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 15');
ROLLBACK;
-- used by the person under another role
\c - :super
GRANT regress_dg_alice TO regress_dg_bob;
\c - regress_dg_bob
SET ROLE regress_dg_alice;
BEGIN;
SELECT set_config('delete_guard.approval', :'r15', true) = :'r15' AS set;
DELETE FROM dg_ap.arch WHERE id = 15;
COMMIT;
SELECT count(*) FROM dg_ap.arch WHERE id = 15;
\c - :super
REVOKE regress_dg_alice FROM regress_dg_bob;
SELECT person, active_role, approved_by FROM delete_guard.audit_log WHERE request_id = :r15 AND outcome = 'approved';

-- Approvers that change: named after the request, removed after the approval, renamed, made anew
\c - regress_dg_owner
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_owner', 'dg_ap.arch')$$);
SELECT delete_guard.approve(:r);  -- fails: named too late
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_owner', 'dg_ap.arch')$$);
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - :super
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', 'dg_ap.arch')$$);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 14');
ROLLBACK;
\c - :super
-- named again: the approval from before does not come back to life
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_bob', 'dg_ap.arch')$$);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 14;  -- fails
ROLLBACK;
\c - :super
CREATE ROLE regress_dg_dave LOGIN;
CREATE ROLE regress_dg_erin LOGIN;
GRANT ALL ON ALL TABLES IN SCHEMA dg_ap TO regress_dg_dave;
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_dave', 'dg_ap.arch')$$);
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_erin', 'dg_ap.arch')$$);
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 16') AS r16, delete_guard.request_delete('dg_ap.arch', 'id = 17') AS r17 \gset
\c - regress_dg_dave
SELECT approvals FROM delete_guard.approve(:r16);
\c - :super
ALTER ROLE regress_dg_dave RENAME TO regress_dg_dora;
\c - regress_dg_dora
SELECT delete_guard.approve(:r17);  -- fails
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r16', true) = :'r16' AS set;
DELETE FROM dg_ap.arch WHERE id = 16;  -- fails
ROLLBACK;
\c - :super
DROP ROLE regress_dg_erin;
CREATE ROLE regress_dg_erin LOGIN;
\c - regress_dg_erin
SELECT delete_guard.approve(:r17);  -- fails
\c - :super
ALTER ROLE regress_dg_dora RENAME TO regress_dg_dave;
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_dave', 'dg_ap.arch')$$);
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_erin', 'dg_ap.arch')$$);
DROP OWNED BY regress_dg_dave;
DROP ROLE regress_dg_dave, regress_dg_erin;

-- The flag: cleared when the transaction ends, and from nowhere but the session
\c - regress_dg_alice
SELECT delete_guard._library_version() <> '' AS loaded;
SET delete_guard.approval = 17;
SELECT current_setting('delete_guard.approval') = '' AS cleared;
BEGIN;
SET delete_guard.approval = '17, 18';
SELECT current_setting('delete_guard.approval') AS here;
COMMIT;
SELECT current_setting('delete_guard.approval') = '' AS cleared;
BEGIN;
SET delete_guard.approval = 17;
ROLLBACK;
SELECT current_setting('delete_guard.approval') = '' AS cleared;
\set VERBOSITY default
SET delete_guard.approval = 'all';  -- fails
SET delete_guard.approval = -1;  -- fails
SET delete_guard.approval = '1;2';  -- fails
\set VERBOSITY sqlstate
-- numbers that name nothing, or are no numbers of requests
BEGIN;
SET LOCAL delete_guard.approval = '99999999999999999999999999, 0, 00000, , ,';
DELETE FROM dg_ap.arch WHERE id = 18;  -- fails
ROLLBACK;
\c - :super
ALTER ROLE regress_dg_alice SET delete_guard.approval = '1';  -- fails, or has no effect
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET delete_guard.approval = %L', current_database(), '1'); EXCEPTION WHEN OTHERS THEN NULL; END $$;
\c - regress_dg_alice
SELECT delete_guard._library_version() <> '' AS loaded;
SELECT coalesce(current_setting('delete_guard.approval', true), '') = '' AS none;
\c - :super
ALTER ROLE regress_dg_alice RESET ALL;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET delete_guard.approval', current_database()); EXCEPTION WHEN OTHERS THEN NULL; END $$;
-- by a function's SET clause it names an approval, but only the requester's own and for exactly its rows
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 19') AS r \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
\c - regress_dg_bob
SELECT format('CREATE FUNCTION dg_ap.trojan() RETURNS void LANGUAGE sql SET delete_guard.approval = %L AS %L', :'r', 'DELETE FROM dg_ap.arch WHERE id IN (19, 20)') AS f \gset
:f;  -- fails
SELECT delete_guard._library_version() <> '' AS loaded;
:f;  -- fails
\c - :super
-- as if it had been made without the event triggers
CREATE FUNCTION dg_ap.trojan() RETURNS void LANGUAGE sql AS 'DELETE FROM dg_ap.arch WHERE id IN (19, 20)';
UPDATE pg_proc SET proconfig = ARRAY['delete_guard.approval=' || :'r'] WHERE oid = 'dg_ap.trojan'::regproc;
\c - regress_dg_bob
SELECT dg_ap.trojan();  -- fails
\c - regress_dg_alice
SELECT dg_ap.trojan();  -- fails
-- a SET of an earlier transaction does not count, even if the library was not loaded then
\c - regress_dg_alice
SELECT set_config('delete_guard.approval', :'r', false) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 19;  -- fails
SELECT count(*) FROM dg_ap.arch WHERE id = 19;

-- PREPARE TRANSACTION is refused after a use, and fine without
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 19;
PREPARE TRANSACTION 'regress_dg';  -- fails
SELECT state FROM delete_guard.request_history WHERE request_id = :r;
SELECT count(*) FROM dg_ap.arch WHERE id = 19;
BEGIN;
DELETE FROM dg_ap.dist WHERE arch_id = 19;
DELETE FROM dg_ap.arch WHERE id = 19;
PREPARE TRANSACTION 'regress_dg';
COMMIT PREPARED 'regress_dg';
SELECT count(*) FROM dg_ap.arch WHERE id = 19;
\c - :super
SELECT operation, outcome, row_count FROM delete_guard.audit_log WHERE table_name = 'dg_ap.arch' AND row_count IS NOT NULL ORDER BY event_id DESC LIMIT 1;

-- Lifetimes: a request that nobody approved in time, an approval that nobody used in time
SELECT delete_guard._library_version() <> '' AS loaded;
SET delete_guard.approval_lifetime = 0;  -- fails
\c - regress_dg_alice
SELECT delete_guard._library_version() <> '' AS loaded;
SET delete_guard.request_lifetime = 100000;  -- fails
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 21') AS r21 \gset
\c - :super
ALTER ROLE regress_dg_alice SET delete_guard.request_lifetime = 1;
ALTER ROLE regress_dg_bob SET delete_guard.approval_lifetime = 1;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 22') AS r22 \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r21);
SELECT pg_sleep(1.1);
SELECT delete_guard.approve(:r22);  -- fails
SELECT state FROM delete_guard.request_history WHERE request_id IN (:r21, :r22) ORDER BY request_id;
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', format('%s,%s', :r21, :r22), true) <> '' AS set;
SELECT dg_test.says('DELETE FROM dg_ap.arch WHERE id = 21');
ROLLBACK;
\c - :super
ALTER ROLE regress_dg_alice RESET ALL;
ALTER ROLE regress_dg_bob RESET ALL;

-- scope all, TRUNCATE and change of key by approval
\c - regress_dg_alice
DELETE FROM dg_ap.other WHERE id IN (1, 2);  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
SELECT operation, table_name, keys, blast_radius FROM delete_guard.pending_requests WHERE request_id = :r;
UPDATE dg_ap.arch SET id = 123 WHERE id = 23;  -- fails
SELECT max(request_id) AS r2 FROM delete_guard.pending_requests \gset
SELECT operation, table_name, keys, row_count FROM delete_guard.pending_requests WHERE request_id = :r2;
TRUNCATE dg_ap.other;  -- fails
SELECT max(request_id) AS r3 FROM delete_guard.pending_requests \gset
SELECT operation, table_name, row_count FROM delete_guard.pending_requests WHERE request_id = :r3;
-- the same attempt finds its own request again
UPDATE dg_ap.arch SET id = 123 WHERE id = 23;  -- fails
SELECT count(*), max(request_id) = :r3 AS none_new FROM delete_guard.pending_requests WHERE request_id >= :r;
\c - regress_dg_bob
SELECT delete_guard.approve(:r);  -- fails: approves for arch alone
SELECT approvals FROM delete_guard.approve(:r2);
\c - regress_dg_carol
SELECT approvals FROM delete_guard.approve(:r);
SELECT approvals FROM delete_guard.approve(:r3);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', format('%s,%s', :r, :r2), true) <> '' AS set;
-- to another key than the one that was approved
SELECT split_part(dg_test.says('UPDATE dg_ap.arch SET id = 124 WHERE id = 23'), E'\n', 2);
SELECT split_part(dg_test.says('DELETE FROM dg_ap.arch WHERE id = 23'), E'\n', 2);
UPDATE dg_ap.arch SET id = 123 WHERE id = 23;
DELETE FROM dg_ap.other WHERE id = 1;
DELETE FROM dg_ap.other WHERE id = 2;
-- rows that came meanwhile are not in the approval of the TRUNCATE: here two less
COMMIT;
BEGIN;
SELECT set_config('delete_guard.approval', :'r3', true) <> '' AS set;
INSERT INTO dg_ap.other VALUES (99);
SAVEPOINT s;
TRUNCATE dg_ap.other;  -- fails
ROLLBACK TO s;
DELETE FROM dg_ap.other WHERE id > 3;  -- fails: another operation
ROLLBACK TO s;
ROLLBACK;
BEGIN;
SELECT set_config('delete_guard.approval', :'r3', true) <> '' AS set;
TRUNCATE dg_ap.other;
COMMIT;
SELECT count(*) FROM dg_ap.other;
SELECT state FROM delete_guard.request_history WHERE request_id IN (:r, :r2, :r3) ORDER BY request_id;
\c - :super
SELECT operation, outcome, table_name, row_count, person, approved_by FROM delete_guard.audit_log WHERE outcome = 'approved' AND request_id >= :r ORDER BY event_id;

-- An approval covers what cascades to other protected tables
\c - regress_dg_owner
SET client_min_messages = warning;
SELECT delete_guard.protect('dg_ap.sub', scope => 'all');
INSERT INTO dg_ap.sub VALUES (31, 30), (32, 30), (33, 33);
\c - regress_dg_alice
DELETE FROM dg_ap.arch WHERE id = 30;  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
\c - regress_dg_bob
SELECT approvals, blast_radius FROM delete_guard.approve(:r);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.sub WHERE id = 33;  -- fails
ROLLBACK;
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r' AS set;
DELETE FROM dg_ap.arch WHERE id = 30;
COMMIT;
SELECT * FROM dg_ap.sub ORDER BY id;

-- Who sees requests: the requester, approvers, the owner, monitoring; keys only who may read the table
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_ap.arch', 'id = 40') AS r \gset
\c - :super
REVOKE ALL ON dg_ap.arch FROM regress_dg_carol;
CREATE ROLE regress_dg_dave LOGIN;
\c - regress_dg_bob
SELECT keys, blast_radius IS NOT NULL AS radius FROM delete_guard.pending_requests WHERE request_id = :r;
\c - regress_dg_carol
SELECT keys, blast_radius IS NOT NULL AS radius FROM delete_guard.pending_requests WHERE request_id = :r;
SELECT keys, state FROM delete_guard.request_history WHERE request_id = :r;
\c - regress_dg_owner
SELECT keys FROM delete_guard.pending_requests WHERE request_id = :r;
\c - regress_dg_dave
SELECT count(*) FROM delete_guard.pending_requests;
SELECT count(*) FROM delete_guard.request_history;
SELECT delete_guard._request_radius(:r) IS NULL AS hidden;
SELECT delete_guard._may_see_request('regress_dg_dave'::regrole, 0) AS own, delete_guard._may_see_request('regress_dg_alice'::regrole, 0) AS others;
SELECT count(*) FROM delete_guard.request;  -- fails
SELECT count(*) FROM delete_guard.decision;  -- fails
INSERT INTO delete_guard.decision (request_id, kind) VALUES (:r, 'approve');  -- fails
UPDATE delete_guard.request_history SET requested_by = 'x';  -- fails
\c - :super
GRANT pg_monitor TO regress_dg_dave;
\c - regress_dg_dave
SELECT count(*) > 0 AS sees, count(keys) AS keys FROM delete_guard.request_history;
\c - :super
REVOKE pg_monitor FROM regress_dg_dave;
DROP ROLE regress_dg_dave;
-- row security in force hides keys as well
ALTER TABLE dg_ap.arch ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON dg_ap.arch USING (true);
\c - regress_dg_bob
SELECT keys FROM delete_guard.pending_requests WHERE request_id = :r;
\c - :super
ALTER TABLE dg_ap.arch DISABLE ROW LEVEL SECURITY;

-- approvers of a table can be removed when it is protected no more; requests outlive their table
\c - regress_dg_owner
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT delete_guard.add_approver('regress_dg_bob', 'dg_ap.other')$$);
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', 'dg_ap.arch')$$);
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_ap.arch')$$);
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_ap.sub')$$);
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_ap.other')$$);
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', 'dg_ap.other')$$);
SELECT dg_test.alone($$SELECT delete_guard.forget_reference('dist_arch_id')$$);
\c - :super
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_carol')$$);
SELECT count(*) FROM delete_guard.approver;
CALL dg_test.release('dg_ap');
DROP SCHEMA dg_ap CASCADE;
\c - regress_dg_alice
SELECT count(*) > 0 AS kept FROM delete_guard.request_history WHERE request_id = :r;
SELECT count(*) >= 0 AS works FROM delete_guard.pending_requests;
\c - :super
