-- protect() and unprotect(): settings, what they tell, clear errors
-- Routes: 24, 38
CREATE SCHEMA dg_protect AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_protect TO PUBLIC;
SET search_path = dg_protect;
SET ROLE regress_dg_owner;
CREATE TABLE architectures (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE lonely (id int PRIMARY KEY);
CREATE TABLE repository_architectures (id int PRIMARY KEY, repository_id int,
    architecture_id int NOT NULL REFERENCES architectures, UNIQUE (repository_id, architecture_id));
CREATE TABLE flags (id int PRIMARY KEY, architecture_id int REFERENCES architectures ON DELETE CASCADE);
CREATE INDEX ON flags (architecture_id);
CREATE TABLE architectures_distributions (distribution_id int, architecture_id int);
CREATE TABLE "A Name" ("Id" int, architecture_id bigint, "idArch" int);

-- Notices: references, those without index, columns that look like references,
-- nobody to approve
SELECT delete_guard.protect('architectures');
SELECT table_id, mode, scope, approvals, protected_by = session_user AS by_login, protected_at > now() - interval '1 h' AS lately
FROM delete_guard.protected_tables;
-- no references: says so; mode log needs no approver
SELECT delete_guard.protect('lonely', 'log');
SELECT delete_guard.unprotect('lonely');
-- again: changes the settings, one row stays
SET client_min_messages = warning;
SELECT delete_guard.protect('architectures', mode => 'log', scope => 'all', approvals => 2);
SELECT table_id, mode, scope, approvals FROM delete_guard.protected_tables;
SELECT delete_guard.protect('architectures', 'block', 'referenced', 100);
SELECT table_id, mode, scope, approvals FROM delete_guard.protected_tables;
-- NULL stands for the default
SELECT delete_guard.protect('architectures', NULL, NULL, NULL);
SELECT table_id, mode, scope, approvals FROM delete_guard.protected_tables;
-- rolled back: as before
BEGIN;
SELECT delete_guard.unprotect('architectures');
TABLE delete_guard.protected_tables;
ROLLBACK;
SELECT table_id, mode, scope, approvals FROM delete_guard.protected_tables;
RESET client_min_messages;
RESET ROLE;
-- each change is an event
SELECT operation, outcome, table_name, person = session_user AS by_login, active_role, details
FROM delete_guard.audit_log WHERE table_name LIKE 'dg\_protect.%' ORDER BY event_id;
SET ROLE regress_dg_owner;

-- Settings that are none
SELECT delete_guard.protect('architectures', 'Block');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('architectures', '');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('architectures', 'log', 'some');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('architectures', approvals => 0);  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('architectures', approvals => -1);  -- fails
SELECT delete_guard.protect('architectures', approvals => 101);  -- fails
SELECT delete_guard.protect(NULL);  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.unprotect(NULL);  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect(0);  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('no_such_table');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.unprotect('lonely');  -- fails
\echo :LAST_ERROR_SQLSTATE
-- nothing of this changed anything
SELECT table_id, mode, scope, approvals FROM delete_guard.protected_tables;

-- Kinds of relation that cannot be protected
CREATE VIEW a_view AS SELECT * FROM lonely;
SELECT delete_guard.protect('a_view');  -- fails
\echo :LAST_ERROR_SQLSTATE
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM lonely;
SELECT delete_guard.protect('a_matview');  -- fails
CREATE SEQUENCE a_sequence;
SELECT delete_guard.protect('a_sequence');  -- fails
SELECT delete_guard.protect('lonely_pkey');  -- fails
CREATE TYPE a_type AS (a int);
SELECT delete_guard.protect('a_type');  -- fails
CREATE TEMP TABLE a_temp (id int PRIMARY KEY);
SELECT delete_guard.protect('a_temp');  -- fails
\echo :LAST_ERROR_SQLSTATE
CREATE UNLOGGED TABLE an_unlogged (id int PRIMARY KEY);
SELECT delete_guard.protect('an_unlogged');  -- fails
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE no_key (id int, code int UNIQUE, name text);
SELECT delete_guard.protect('no_key');  -- fails
\echo :LAST_ERROR_SQLSTATE
-- a partial one is no key, nor one on an expression, nor one over NULLs
CREATE UNIQUE INDEX ON no_key (id) WHERE id > 0;
CREATE UNIQUE INDEX ON no_key (lower(name));
SELECT delete_guard.protect('no_key');  -- fails
-- a unique key over NOT NULL columns is
ALTER TABLE no_key ALTER code SET NOT NULL;
SET client_min_messages = warning;
SELECT delete_guard.protect('no_key');
SELECT delete_guard.unprotect('no_key');
RESET client_min_messages;
RESET ROLE;
SELECT delete_guard.protect('pg_class');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('information_schema.sql_features');  -- fails
SELECT delete_guard.protect('delete_guard.event');  -- fails
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY sqlstate
SELECT delete_guard.protect(reltoastrelid) FROM pg_class WHERE oid = 'architectures'::regclass;  -- fails
\set VERBOSITY default
-- foreign tables, also as a partition
CREATE FOREIGN DATA WRAPPER regress_dg_fdw;
CREATE SERVER regress_dg_server FOREIGN DATA WRAPPER regress_dg_fdw;
CREATE FOREIGN TABLE a_foreign (id int) SERVER regress_dg_server;
SELECT delete_guard.protect('a_foreign');  -- fails
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE with_foreign (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE with_foreign_1 PARTITION OF with_foreign FOR VALUES IN (1) SERVER regress_dg_server;
SELECT delete_guard.protect('with_foreign');  -- fails
\echo :LAST_ERROR_SQLSTATE
DROP FOREIGN DATA WRAPPER regress_dg_fdw CASCADE;
-- an inheritance child counts with its parent
CREATE TABLE parent (id int PRIMARY KEY);
CREATE UNLOGGED TABLE child () INHERITS (parent);
SELECT delete_guard.protect('parent');  -- fails
DROP TABLE child;

-- Partitions are protected through the root, and only there
SET ROLE regress_dg_owner;
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
SET client_min_messages = warning;
SELECT delete_guard.protect('parts');
SELECT delete_guard.protect('parts_1');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.unprotect('parts_1');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.unprotect('parts');
-- a partition alone can be protected
SELECT delete_guard.protect('parts_1');
-- then the root takes it over
SELECT delete_guard.protect('parts');
SELECT table_id FROM delete_guard.protected_tables ORDER BY table_id::text;
SELECT delete_guard.unprotect('parts');
SELECT table_id FROM delete_guard.protected_tables ORDER BY table_id::text;
-- and the partition alone is still protected
CREATE TABLE to_parts (id int CONSTRAINT to_parts_fk REFERENCES parts_1);
INSERT INTO parts VALUES (1), (2);
INSERT INTO to_parts VALUES (1);
\set VERBOSITY terse
DELETE FROM parts_1 WHERE id = 1;  -- fails
TRUNCATE parts_1, to_parts;  -- fails
\set VERBOSITY default
DELETE FROM parts_1 WHERE id = 2;
SELECT delete_guard.unprotect('parts_1');

-- Only the owner, and members of the owning role
SET ROLE regress_dg_alice;
SELECT delete_guard.protect('lonely');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.unprotect('architectures');  -- fails
\echo :LAST_ERROR_SQLSTATE
SELECT delete_guard.protect('architectures', 'log');  -- fails
RESET ROLE;
GRANT ALL ON lonely, architectures TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT delete_guard.protect('lonely');  -- fails
RESET ROLE;
GRANT regress_dg_owner TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT delete_guard.protect('lonely');
SELECT delete_guard.unprotect('lonely');
RESET ROLE;
REVOKE regress_dg_owner FROM regress_dg_alice;
RESET client_min_messages;

-- Unprotected again: as if nothing had been
SET ROLE regress_dg_owner;
INSERT INTO architectures VALUES (1, 'i586');
INSERT INTO flags VALUES (1, 1);
SELECT delete_guard.unprotect('architectures');
TABLE delete_guard.protected_tables;
SELECT count(*) AS triggers_left FROM pg_trigger
WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'dg_protect'::regnamespace) AND NOT tgisinternal;
DELETE FROM architectures;
SELECT count(*) FROM flags;
RESET ROLE;
SELECT count(*) AS deletes_recorded FROM delete_guard.audit_log WHERE table_name = 'dg_protect.architectures' AND operation = 'delete';

-- Settings can also be given by name of a table that needs quotes
SET ROLE regress_dg_owner;
ALTER TABLE "A Name" ADD PRIMARY KEY ("Id");
SELECT delete_guard.protect('"A Name"', 'log');
SELECT delete_guard.unprotect('"A Name"');
RESET ROLE;
SET client_min_messages = warning;
CALL dg_test.release('dg_protect');
DROP SCHEMA dg_protect CASCADE;
