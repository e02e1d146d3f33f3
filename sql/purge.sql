-- purge(): old events and settled requests go, with an approval; what is open stays
SELECT current_user AS super, current_database() AS db \gset
SET client_min_messages = warning;
CREATE ROLE regress_dg_dave LOGIN;
-- in a database of its own, as it concerns everything
CREATE DATABASE regress_dg_purge TEMPLATE template0;
\c regress_dg_purge
SET client_min_messages = warning;
CREATE EXTENSION delete_guard;
CREATE SCHEMA dg_purge AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_purge TO PUBLIC;
SET search_path = dg_purge;
CREATE TABLE arch (id int PRIMARY KEY);
INSERT INTO arch SELECT generate_series(1, 20);
GRANT ALL ON arch TO PUBLIC;
-- nothing in block mode: free, for whoever may
SELECT delete_guard.protect('arch', 'log');
DELETE FROM arch WHERE id > 10;
SELECT delete_guard.purge('1 day');
SELECT delete_guard.purge('0') > 0 AS some;
SELECT operation, outcome, table_name FROM delete_guard.audit_log;
SELECT count(*) FROM delete_guard.audit_rows;
SELECT count(*) FROM delete_guard.request_history;
\set VERBOSITY terse
SELECT delete_guard.purge(NULL);  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.purge('-1 day');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.purge('infinity and beyond');  -- fails

-- requests in every state, and then an approval for it
SELECT delete_guard.protect('arch', 'block', 'all');
SELECT delete_guard.add_approver('regress_dg_bob');
\c - regress_dg_alice
SELECT array_agg(delete_guard.request_delete('dg_purge.arch', 'id = ' || i) ORDER BY i) AS ids FROM generate_series(1, 6) AS i \gset
SELECT (:'ids'::bigint[])[1] AS pending, (:'ids'::bigint[])[2] AS denied, (:'ids'::bigint[])[3] AS cancelled,
       (:'ids'::bigint[])[4] AS used, (:'ids'::bigint[])[5] AS approved \gset
SELECT delete_guard.cancel(:cancelled);
\c - regress_dg_bob
SELECT delete_guard.deny(:denied, 'no');
SELECT request_id = :used AS used FROM delete_guard.approve(:used);
SELECT request_id = :approved AS approved FROM delete_guard.approve(:approved);
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'used', true) = :'used' AS set;
DELETE FROM dg_purge.arch WHERE id = 4;
COMMIT;
\c - :super
SET client_min_messages = warning;
-- time to be approved is over for the last: made under a short lifetime
SET delete_guard.request_lifetime = 1;
SELECT delete_guard.request_delete('dg_purge.arch', 'id = 7') AS expired \gset
DO $$BEGIN WHILE EXISTS (SELECT FROM delete_guard.request_history WHERE state = 'pending' AND expires_at < requested_at + interval '2 s') LOOP PERFORM pg_sleep(0.05); END LOOP; END$$;
RESET delete_guard.request_lifetime;
SELECT delete_guard.purge(interval '0');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT request_id AS p FROM delete_guard.pending_requests WHERE operation = 'purge' \gset
GRANT EXECUTE ON FUNCTION delete_guard.purge(interval) TO regress_dg_dave;
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:p);
\c - :super
BEGIN;
SELECT set_config('delete_guard.approval', :'p', true) = :'p' AS set;
SELECT delete_guard.purge('0') > 5 AS many;
COMMIT;
-- left: what is open, with its events; and the event of the purge
SELECT CASE request_id WHEN :pending THEN 'pending' WHEN :approved THEN 'approved' WHEN :p THEN 'purge' ELSE 'another' END AS which, state
FROM delete_guard.request_history ORDER BY request_id;
SELECT operation, outcome, person, approved_by, request_id IS NOT NULL AS request,
       (SELECT jsonb_object_agg(key, CASE WHEN key IN ('events', 'rows', 'decisions') THEN to_jsonb(value::text::int > 0) ELSE value END) FROM jsonb_each(details)) AS details
FROM delete_guard.audit_log ORDER BY event_id;
SELECT count(*) FROM delete_guard.audit_rows r WHERE NOT EXISTS (SELECT FROM delete_guard.audit_log l WHERE l.event_id = r.event_id);
SELECT count(*) FROM delete_guard.decision d WHERE NOT EXISTS (SELECT FROM delete_guard.request r WHERE r.request_id = d.request_id);
-- the approved one can still be used; an attempt whose event is gone is stored anew
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'approved', true) = :'approved' AS set;
DELETE FROM dg_purge.arch WHERE id = 5;
COMMIT;
-- one who was granted it needs an approval too
\c - regress_dg_dave
\set VERBOSITY terse
SELECT delete_guard.purge('1 year');  -- fails
SELECT delete_guard.request_change(NULL, $$SELECT delete_guard.purge('1 year')$$) > 0 AS asked;
\c - :super
SET client_min_messages = warning;
\c :db
DROP DATABASE regress_dg_purge WITH (FORCE);
DROP ROLE regress_dg_dave;
