-- Nothing that a table's owner can define runs with anybody else's rights, and
-- Routes: 141, 142, 143
-- nobody reads through the guard what he may not read himself
CREATE SCHEMA dg_rights;
GRANT ALL ON SCHEMA dg_rights TO PUBLIC;
SELECT current_user AS super \gset
-- spy(role) notes whether it runs as that role.  A constant argument to an
-- immutable function: whoever plans an expression with it runs it.
-- (Sequences: what they count survives a rollback.)
CREATE SEQUENCE dg_rights.as_expected;
CREATE SEQUENCE dg_rights.as_another;
GRANT ALL ON ALL SEQUENCES IN SCHEMA dg_rights TO PUBLIC;
CREATE FUNCTION dg_rights.spy(role text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM nextval(CASE current_user WHEN role THEN 'dg_rights.as_expected' ELSE 'dg_rights.as_another' END::regclass);
    RETURN true;
END $$;
-- What the spies saw since the last call
CREATE FUNCTION dg_rights.spied(OUT as_expected boolean, OUT as_another boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT a.is_called, b.is_called INTO as_expected, as_another FROM dg_rights.as_expected a, dg_rights.as_another b;
    PERFORM setval('dg_rights.as_expected', 1, false), setval('dg_rights.as_another', 1, false);
END $$;
\set VERBOSITY terse

-- The condition of a request is one expression over the rows of that table
CREATE TABLE dg_rights.secret (token text PRIMARY KEY);
INSERT INTO dg_rights.secret VALUES ('s3cr3t');
CREATE VIEW dg_rights.no_storage AS SELECT 1 AS id;
\c - regress_dg_owner
SET client_min_messages = warning;
CREATE TABLE dg_rights.asked (id int PRIMARY KEY);
INSERT INTO dg_rights.asked VALUES (1), (2);
SELECT delete_guard.protect('dg_rights.asked', scope => 'all');
GRANT SELECT, DELETE ON dg_rights.asked TO regress_dg_alice;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_rights.asked', $$false) UNION ALL (SELECT c.oid, '(0,1)'::tid FROM pg_class c WHERE relname = 'secret'$$);  -- fails
SELECT delete_guard.request_delete('dg_rights.asked', $$false) UNION ALL (SELECT c.oid, '(0,1)'::tid FROM pg_class c WHERE relname = 'no_storage'$$);  -- fails
SELECT delete_guard.request_delete('dg_rights.asked', $$false UNION ALL SELECT tableoid, ctid FROM dg_rights.asked$$);  -- fails
SELECT delete_guard.request_delete('dg_rights.asked', $$true) -- $$);  -- fails
SELECT delete_guard.request_delete('dg_rights.asked', $$EXISTS (SELECT FROM dg_rights.secret WHERE token LIKE 's3%')$$);  -- fails
SELECT delete_guard.request_delete('dg_rights.asked', 'id = 2') IS NOT NULL AS asked;
SELECT table_name, keys FROM delete_guard.request_history WHERE table_name LIKE 'dg\_rights.%';

-- Predicates and expressions of indexes: of a protected table, of tables that
-- refer to it and belong to somebody else, of tables further down.  All rows
-- and indexes are made by the owners, so that only the guard can run a spy later
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_rights;
CREATE TABLE top (id int PRIMARY KEY, code int);
CREATE UNIQUE INDEX ON top (code) WHERE dg_rights.spy('regress_dg_owner');
CREATE INDEX ON top ((dg_rights.spy('regress_dg_owner')));
GRANT REFERENCES ON top TO regress_dg_carol;
\c - regress_dg_carol
SET search_path = dg_rights;
CREATE TABLE mid (id int PRIMARY KEY, top_id int REFERENCES top ON DELETE CASCADE);
CREATE INDEX ON mid (top_id) WHERE dg_rights.spy('regress_dg_carol');
GRANT REFERENCES ON mid TO regress_dg_bob;
\c - regress_dg_bob
SET search_path = dg_rights;
CREATE TABLE low (mid_id int REFERENCES mid ON DELETE CASCADE);
CREATE INDEX ON low (mid_id) WHERE dg_rights.spy('regress_dg_bob');
\c - regress_dg_owner
SET client_min_messages = warning;
SELECT as_another FROM dg_rights.spied();
-- to protect a table is the first look at it
SELECT delete_guard.protect('dg_rights.top');
SELECT * FROM dg_rights.spied();
INSERT INTO dg_rights.top VALUES (1, 1), (2, 2), (3, 3);
GRANT SELECT, DELETE ON dg_rights.top TO regress_dg_alice;
\c - :super
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_rights.top');
\c - regress_dg_carol
INSERT INTO dg_rights.mid VALUES (11, 1), (12, 2);
\c - regress_dg_bob
INSERT INTO dg_rights.low VALUES (11), (12);
SELECT as_another FROM dg_rights.spied();
-- somebody deletes.  (PostgreSQL itself plans a DELETE with the rights of who
-- deletes, so the indexes of the table itself are away meanwhile.)
\c - regress_dg_owner
DROP INDEX dg_rights.top_code_idx, dg_rights.top_spy_idx;
SELECT as_another FROM dg_rights.spied();
\c - regress_dg_alice
DELETE FROM dg_rights.top WHERE id = 1;  -- fails
SELECT * FROM dg_rights.spied();
DELETE FROM dg_rights.top WHERE id = 3;
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
SELECT as_another FROM dg_rights.spied();
\c - regress_dg_owner
CREATE UNIQUE INDEX ON dg_rights.top (code) WHERE dg_rights.spy('regress_dg_owner');
CREATE INDEX ON dg_rights.top ((dg_rights.spy('regress_dg_owner')));
SELECT as_another FROM dg_rights.spied();
-- a superuser looks, the approver approves
\c - :super
SELECT keys, blast_radius FROM delete_guard.pending_requests WHERE request_id = :r;
SELECT * FROM dg_rights.spied();
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
SELECT * FROM dg_rights.spied();
-- a superuser protects another's table, or declares a reference to it
\c - :super
SET client_min_messages = warning;
SELECT delete_guard.protect('dg_rights.mid', 'log');
SELECT * FROM dg_rights.spied();
\c - :super
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_rights.mid')$$);
SELECT delete_guard.declare_reference('dg_rights.low', '{mid_id}', 'dg_rights.top');
SELECT count(*) FROM delete_guard.references_to('dg_rights.top');
SELECT dg_test.alone($$SELECT delete_guard.forget_reference('low_mid_id')$$);
SELECT as_another FROM dg_rights.spied();

-- The condition of a declared reference, also if a function in it was replaced
-- afterwards by one that is inlined
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_rights;
CREATE FUNCTION counts(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE TABLE cond (id int PRIMARY KEY);
CREATE TABLE cond_ref (cond_id int);
SELECT delete_guard.declare_reference('cond_ref', '{cond_id}', 'cond', condition => 'dg_rights.counts(cond_id)');
INSERT INTO cond VALUES (1), (2);
INSERT INTO cond_ref VALUES (1);
GRANT SELECT, DELETE ON cond TO regress_dg_alice;
CREATE OR REPLACE FUNCTION counts(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT $1 > 0 AND dg_rights.spy('regress_dg_owner')$$;
SELECT delete_guard.protect('cond');
SELECT as_another FROM spied();
\c - regress_dg_alice
DELETE FROM dg_rights.cond WHERE id = 1;  -- fails
SELECT * FROM dg_rights.spied();
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
\c - :super
SELECT keys, blast_radius FROM delete_guard.pending_requests WHERE request_id = :r;
SELECT * FROM dg_rights.spied();
-- one that its owner may not run any more is not run as somebody who may: the
-- attempt fails, and the rows stay
\c - regress_dg_owner
REVOKE EXECUTE ON FUNCTION dg_rights.counts(int) FROM PUBLIC, regress_dg_owner;
GRANT EXECUTE ON FUNCTION dg_rights.counts(int) TO regress_dg_alice;
\c - regress_dg_alice
DELETE FROM dg_rights.cond WHERE id = 1;  -- fails
SELECT * FROM dg_rights.spied();
\c - :super
SELECT (blast_radius -> 0) ? 'error' AS error FROM delete_guard.pending_requests WHERE request_id = :r;
SELECT * FROM dg_rights.spied();
SELECT count(*) FROM dg_rights.cond;

-- A key of a domain: its check runs when a row is stored, and when a key is
-- read back from a request as the table's owner at most
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_rights;
CREATE DOMAIN checked AS int CHECK (dg_rights.spy('regress_dg_owner'));
CREATE TYPE holder AS (c checked);
CREATE TABLE dom (id checked PRIMARY KEY);
CREATE TABLE dom_ref (id int);
CREATE TABLE comp (h holder PRIMARY KEY);
CREATE TABLE comp_ref (h holder);
INSERT INTO dom VALUES (1), (2);
INSERT INTO dom_ref VALUES (1);
INSERT INTO comp VALUES (ROW(1)), (ROW(2));
INSERT INTO comp_ref VALUES (ROW(1));
SELECT delete_guard.protect('dom');
SELECT delete_guard.protect('comp');
SELECT delete_guard.declare_reference('dom_ref', '{id}', 'dom');
SELECT delete_guard.declare_reference('comp_ref', '{h}', 'comp');
GRANT SELECT, DELETE ON dom, comp TO regress_dg_alice;
SELECT delete_guard.add_approver('regress_dg_bob', 'dom');
SELECT delete_guard.add_approver('regress_dg_bob', 'comp');
SELECT as_another FROM dg_rights.spied();
\c - regress_dg_alice
DELETE FROM dg_rights.dom WHERE id <> 2;  -- fails
SELECT max(request_id) AS r FROM delete_guard.pending_requests \gset
DELETE FROM dg_rights.comp WHERE (h).c <> 2;  -- fails
SELECT max(request_id) AS r2 FROM delete_guard.pending_requests \gset
SELECT as_another FROM dg_rights.spied();
\c - :super
SELECT keys, blast_radius #>> '{0,rows}' AS hang FROM delete_guard.pending_requests WHERE request_id IN (:r, :r2) ORDER BY request_id;
SELECT as_another FROM dg_rights.spied();
\c - regress_dg_bob
SELECT approvals FROM delete_guard.approve(:r);
SELECT approvals FROM delete_guard.approve(:r2);
SELECT as_another FROM dg_rights.spied();
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', format('%s,%s', :r, :r2), true) <> '' AS set;
DELETE FROM dg_rights.dom WHERE id <> 2;
DELETE FROM dg_rights.comp WHERE (h).c <> 2;
COMMIT;
SELECT as_another FROM dg_rights.spied();
SELECT state FROM delete_guard.request_history WHERE request_id IN (:r, :r2);

-- Tables that their owner lacks rights on are armed all the same: partitions of
-- another owner, a schema that he may not use, a table that he revoked his own rights on
\c - :super
SET client_min_messages = warning;
SET search_path = dg_rights;
CREATE SCHEMA dg_rights_closed;
CREATE TABLE dg_rights_closed.shut (id int PRIMARY KEY);
ALTER TABLE dg_rights_closed.shut OWNER TO regress_dg_owner;
REVOKE ALL ON dg_rights_closed.shut FROM regress_dg_owner;
CREATE TABLE mixed (id int PRIMARY KEY) PARTITION BY RANGE (id);
ALTER TABLE mixed OWNER TO regress_dg_owner;
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (0) TO (100);
CREATE TABLE mixed_2 PARTITION OF mixed FOR VALUES FROM (100) TO (200);
ALTER TABLE mixed_2 OWNER TO regress_dg_carol;
CREATE TABLE to_mixed (id int);
INSERT INTO mixed VALUES (1), (101);
INSERT INTO to_mixed VALUES (1), (101);
INSERT INTO dg_rights_closed.shut VALUES (1);
SELECT delete_guard.protect(t) FROM unnest('{mixed,dg_rights_closed.shut}'::regclass[]) AS t;
SELECT delete_guard.declare_reference('to_mixed', '{id}', 'mixed');
ALTER TABLE mixed ADD COLUMN x int, ADD UNIQUE (id, x);
CREATE TABLE mixed_3 PARTITION OF mixed FOR VALUES FROM (200) TO (300);
CALL dg_test.here();
DELETE FROM mixed WHERE id = 1;  -- fails
DELETE FROM mixed_2;  -- fails
UPDATE mixed SET id = 102 WHERE id = 101;  -- fails
TRUNCATE mixed_3;
DELETE FROM dg_rights_closed.shut;
SELECT operation, outcome, table_name, rows FROM dg_test.news();
SELECT count(*) FROM pg_trigger WHERE tgname LIKE '00\_delete\_guard%' AND tgrelid IN ('mixed_2'::regclass, 'mixed_3'::regclass) AND tgenabled = 'A';

\c - :super
SET client_min_messages = warning;
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', table_id) FROM delete_guard.approver$$);
SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) FROM unnest('{dg_rights.cond,dg_rights.dom,dg_rights.comp}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared'$$);
SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
CALL dg_test.release('dg_rights');
CALL dg_test.release('dg_rights_closed');
DROP SCHEMA dg_rights, dg_rights_closed CASCADE;
