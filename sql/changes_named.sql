-- What a change means beyond its text: parts of a protected table in a schema or
-- of a role, functions of an expression and of the condition of a reference
CREATE SCHEMA dg_named AUTHORIZATION regress_dg_owner;
CREATE SCHEMA dg_named_1 AUTHORIZATION regress_dg_owner;
CREATE SCHEMA dg_named_2 AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_named TO PUBLIC;
SELECT current_user AS super \gset
CALL dg_test.here();
\set VERBOSITY terse
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_named;
\pset format unaligned
\pset tuples_only on
CREATE TABLE pt (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE dg_named_1.pt_1 PARTITION OF pt FOR VALUES FROM (0) TO (100);
CREATE TABLE dg_named_2.pt_2 PARTITION OF pt FOR VALUES FROM (100) TO (200);
CREATE TABLE q (id int PRIMARY KEY, code int UNIQUE);
CREATE TABLE to_q (code int REFERENCES q (code));
CREATE DOMAIN d AS int;
CREATE TABLE k (id int PRIMARY KEY, a d UNIQUE);
CREATE TABLE to_k (r int CONSTRAINT to_k_r REFERENCES k (a));
CREATE TABLE note (about_id int, kind text);
INSERT INTO pt VALUES (1), (101);
INSERT INTO q VALUES (1, 1);
INSERT INTO note VALUES (1, 'Q');
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION is_q(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT $1 = 'Q'$$;
CREATE FUNCTION is_same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR === (leftarg = text, rightarg = text, function = is_same);
CREATE FUNCTION other(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT delete_guard.protect(t) FROM unnest('{pt,q,k}'::regclass[]) AS t;
SELECT delete_guard.declare_reference('note', '{about_id}', 'q', condition => $$is_q(kind)$$);
SELECT delete_guard.declare_reference('note', '{about_id}', 'k', condition => $$kind === 'Q'$$);
SELECT delete_guard.add_approver('regress_dg_bob', t) FROM unnest('{pt,q,k}'::regclass[]) AS t;

-- A schema that another part of the table has come into is another change
SELECT delete_guard.request_change('pt', 'DROP SCHEMA dg_named_1 CASCADE') AS schema,
       delete_guard.request_change('pt', 'DROP OWNED BY regress_dg_owner CASCADE') AS owned,
       delete_guard.request_change('q', 'ALTER TABLE q ALTER COLUMN id TYPE bigint USING f(id)') AS using \gset
\c - regress_dg_bob
\pset format unaligned
\pset tuples_only on
SELECT approvals FROM unnest(ARRAY[:schema, :owned, :using]) AS r, delete_guard.approve(r);
\c - regress_dg_owner
\set VERBOSITY terse
SET client_min_messages = warning;
SET search_path = dg_named;
\pset format unaligned
\pset tuples_only on
ALTER TABLE dg_named_2.pt_2 SET SCHEMA dg_named_1;
CREATE TABLE dg_named_2.pt_3 PARTITION OF pt FOR VALUES FROM (200) TO (300);
CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1000';
BEGIN;
SELECT set_config('delete_guard.approval', concat_ws(',', :schema, :owned, :using), true) <> '' AS set;
SELECT dg_test.says('DROP SCHEMA dg_named_1 CASCADE') LIKE '%is for another object of that name%' AS why;
SELECT dg_test.says('DROP OWNED BY regress_dg_owner CASCADE') LIKE '%is for another object of that name%' AS why;
SELECT dg_test.says('ALTER TABLE q ALTER COLUMN id TYPE bigint USING f(id)') LIKE '%is for another object of that name%' AS why;
COMMIT;
SELECT count(*) FROM pt;
ALTER TABLE dg_named_1.pt_2 SET SCHEMA dg_named_2;
BEGIN;
SELECT set_config('delete_guard.approval', :'schema', true) <> '' AS set;
SELECT dg_test.says('DROP SCHEMA dg_named_1 CASCADE');
ROLLBACK;

-- What a condition calls
SELECT dg_test.says('DELETE FROM q') LIKE '%other rows still refer%' AS refused;
SELECT s, dg_test.ddl(s) FROM unnest(ARRAY[
    'CREATE OR REPLACE FUNCTION is_q(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT false''',
    'ALTER FUNCTION is_q(text) RESET ALL', 'COMMENT ON FUNCTION is_q(text) IS ''x''',
    'CREATE OR REPLACE FUNCTION is_same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT false''',
    'CREATE FUNCTION dg_named.is_q(name) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT false''',
    'CREATE OR REPLACE FUNCTION other(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT false''',
    'CREATE OPERATOR ==== (leftarg = text, rightarg = text, function = is_same)']) AS s;
-- another in its place: without it nothing can be deleted
BEGIN;
DROP OPERATOR === (text, text);
ALTER FUNCTION is_q(text) RENAME TO was_q;
SAVEPOINT s;
DELETE FROM q;  -- fails
ROLLBACK TO s;
CREATE FUNCTION unrelated(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
SELECT s, dg_test.ddl(s) FROM unnest(ARRAY[
    'ALTER FUNCTION other(text) RENAME TO is_q',
    'CREATE FUNCTION is_q(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT false''',
    'CREATE OPERATOR === (leftarg = text, rightarg = text, function = starts_with)']) AS s;
ROLLBACK;
-- as approved; a session that knows the old one sees the new one at once
CREATE OR REPLACE FUNCTION is_q(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';  -- fails
SELECT max(request_id) AS replace FROM delete_guard.pending_requests WHERE table_name = 'dg_named.q' AND operation = 'ddl' \gset
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:replace);
\c - regress_dg_owner
\set VERBOSITY terse
SET client_min_messages = warning;
\pset format unaligned
\pset tuples_only on
SET search_path = dg_named;
SELECT dg_test.says('DELETE FROM q') LIKE '%other rows still refer%' AS refused;
BEGIN;
SELECT set_config('delete_guard.approval', :'replace', true) <> '' AS set;
CREATE OR REPLACE FUNCTION is_q(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
COMMIT;
DELETE FROM q;
SELECT count(*) FROM q;

-- The text of a DROP names what it drops, whatever has gone by then
SELECT dg_test.ddl('DROP DOMAIN dg_named.d CASCADE');
\c - :super
SET client_min_messages = warning;
CALL dg_test.release('dg_named');
DROP SCHEMA dg_named, dg_named_1, dg_named_2 CASCADE;
SELECT dg_test.alone($$SELECT count(delete_guard.remove_approver(role_name, table_id)) FROM delete_guard.approver$$);
