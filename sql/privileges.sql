-- What the guard sees does not depend on who deletes; what is shown does
CREATE SCHEMA dg_priv AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_priv TO PUBLIC;
SELECT current_user AS super \gset
CALL dg_test.here();
\set VERBOSITY terse
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_priv;
CREATE TABLE arch (id int PRIMARY KEY, secret text);
CREATE TABLE dist (arch_id int, hidden bool DEFAULT true);
CREATE TABLE fk (arch_id int REFERENCES arch ON DELETE CASCADE, hidden bool DEFAULT true);
SELECT delete_guard.protect('arch');
SELECT delete_guard.declare_reference('dist', '{arch_id}', 'arch');
INSERT INTO arch SELECT i, 's' || i FROM generate_series(1, 40) AS i;
INSERT INTO dist SELECT i FROM generate_series(1, 40, 2) AS i;
INSERT INTO fk SELECT i FROM generate_series(2, 40, 4) AS i;
-- alice may delete, read nothing else
GRANT DELETE, TRUNCATE ON arch TO regress_dg_alice;
GRANT SELECT (id), UPDATE ON arch TO regress_dg_alice;
-- no SELECT on the key: bob
GRANT DELETE ON arch TO regress_dg_bob;
GRANT SELECT (secret) ON arch TO regress_dg_bob;
GRANT USAGE ON SCHEMA dg_priv TO regress_dg_alice, regress_dg_bob;

-- The deleter needs no rights on the referencing tables; row security there hides nothing from the guard
ALTER TABLE dist ENABLE ROW LEVEL SECURITY;
ALTER TABLE dist FORCE ROW LEVEL SECURITY;
CREATE POLICY none ON dist USING (false);
ALTER TABLE fk ENABLE ROW LEVEL SECURITY;
ALTER TABLE fk FORCE ROW LEVEL SECURITY;
CREATE POLICY none ON fk USING (false);
SELECT count(*) FROM dist;
DELETE FROM arch WHERE id = 1;  -- fails
DELETE FROM arch WHERE id = 2;  -- fails
\c - regress_dg_alice
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE id = 3'), E'\nHINT', 1);
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE id = 6'), E'\nHINT', 1);
DELETE FROM dg_priv.arch WHERE id = 4;
SELECT split_part(dg_test.says('UPDATE dg_priv.arch SET id = 105 WHERE id = 5'), E'\nHINT', 1);
-- Key values are shown to who may read the key: alice by column; bob not, also with other columns readable
\c - regress_dg_bob
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE secret = ''s7'''), E'\nHINT', 1);
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE secret IN (''s9'', ''s11'')'), E'\nHINT', 1);
-- his own request does not show him the keys either, nor does request_delete
SELECT keys, row_count FROM delete_guard.pending_requests WHERE table_name = 'dg_priv.arch' ORDER BY request_id;
-- asking takes SELECT
SELECT delete_guard.request_delete('dg_priv.arch', 'secret = ''s13''');  -- fails
\c - regress_dg_carol
SELECT delete_guard.request_delete('dg_priv.arch', 'true');  -- fails
SELECT delete_guard.request_delete('dg_priv.arch', 'false');  -- fails
SELECT name, referencing FROM delete_guard.references_to('dg_priv.arch') ORDER BY name;
-- row security in force on the protected table: no key values, for the owner under FORCE neither
\c - :super
ALTER TABLE dg_priv.arch ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON dg_priv.arch USING (true);
\c - regress_dg_alice
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE id = 15'), E'\nHINT', 1);
\c - regress_dg_owner
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE id = 17'), E'\nHINT', 1);
ALTER TABLE dg_priv.arch FORCE ROW LEVEL SECURITY;
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE id = 19'), E'\nHINT', 1);
-- policies decide which rows a statement touches, and request_delete names no others
DROP POLICY all_rows ON dg_priv.arch;
CREATE POLICY some_rows ON dg_priv.arch USING (id > 20);
DELETE FROM dg_priv.arch WHERE id = 8;
SELECT delete_guard.request_delete('dg_priv.arch', 'id = 21 OR id = 1') IS NOT NULL AS asked;
SELECT row_count, keys FROM delete_guard.pending_requests ORDER BY request_id DESC LIMIT 1;
\c - regress_dg_alice
DELETE FROM dg_priv.arch WHERE id = 8;
SET client_min_messages = warning;
-- TRUNCATE is not subject to policies
SELECT split_part(dg_test.says('TRUNCATE dg_priv.arch CASCADE'), E'\n', 1);
\c - :super
ALTER TABLE dg_priv.arch DISABLE ROW LEVEL SECURITY;
ALTER TABLE dg_priv.arch NO FORCE ROW LEVEL SECURITY;
GRANT TRUNCATE ON dg_priv.fk TO regress_dg_alice;
\c - regress_dg_alice
SET client_min_messages = warning;
SELECT split_part(dg_test.says('TRUNCATE dg_priv.arch CASCADE'), E'\nDETAIL', 1);

-- No rights on the schema of the referencing table, none on functions of the guard: still guarded
\c - :super
CREATE SCHEMA dg_priv_closed;
CREATE TABLE dg_priv_closed.refs (arch_id int);
INSERT INTO dg_priv_closed.refs VALUES (8);
ALTER TABLE dg_priv_closed.refs OWNER TO regress_dg_owner;
SET client_min_messages = warning;
SELECT delete_guard.declare_reference('dg_priv_closed.refs', '{arch_id}', 'dg_priv.arch', condition => 'arch_id > 0');
REVOKE USAGE ON SCHEMA delete_guard FROM PUBLIC;
\c - regress_dg_alice
SELECT split_part(dg_test.says('DELETE FROM dg_priv.arch WHERE id = 8'), E'\nHINT', 1);
DELETE FROM dg_priv.arch WHERE id = 12;
\c - :super
GRANT USAGE ON SCHEMA delete_guard TO PUBLIC;
-- what went
SELECT operation, outcome, rows, images FROM dg_test.news() WHERE outcome <> 'blocked';
-- a table owner's operator on an own type is not run
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_priv;
CREATE TYPE own AS (x int);
CREATE FUNCTION spy(own, own) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'operator ran as %', current_user; RETURN false; END $$;
SET search_path = dg_priv, pg_catalog;
CREATE OPERATOR = (leftarg = own, rightarg = own, function = spy);
CREATE TABLE of_own (k own PRIMARY KEY);
CREATE TABLE to_own (k own REFERENCES of_own);
SELECT delete_guard.protect('of_own');
INSERT INTO of_own VALUES (ROW(1)), (ROW(2));
INSERT INTO to_own VALUES (ROW(1));
SELECT split_part(dg_test.says('DELETE FROM dg_priv.of_own WHERE (k).x = 1'), E'\nHINT', 1);
DELETE FROM of_own WHERE (k).x = 2;
SELECT delete_guard.unprotect('of_own');
SELECT delete_guard.unprotect('arch');
SELECT count(delete_guard.forget_reference(name)) FROM unnest(ARRAY['dist_arch_id', 'refs_arch_id']) AS name;
\c - :super
SET client_min_messages = warning;
CALL dg_test.release('dg_priv');
CALL dg_test.release('dg_priv_closed');
DROP SCHEMA dg_priv, dg_priv_closed CASCADE;
