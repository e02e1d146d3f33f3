-- DDL on tables that are not protected: the same results with a protected table in
-- the database as without one, and nothing recorded
CREATE SCHEMA dg_elsewhere AUTHORIZATION regress_dg_owner;
GRANT USAGE, CREATE ON SCHEMA dg_elsewhere TO PUBLIC;
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
SET search_path = dg_elsewhere;
\pset format unaligned
\pset tuples_only on
CREATE TABLE statements (n int PRIMARY KEY, statement text);
INSERT INTO statements SELECT ordinality, s FROM unnest(ARRAY[
    'CREATE DOMAIN w.d AS int CHECK (VALUE > 0)', 'CREATE TYPE w.e AS ENUM (''a'', ''b'')', 'CREATE TYPE w.c AS (id int, v text)',
    'CREATE TABLE w.t (id w.d PRIMARY KEY, name text NOT NULL UNIQUE, e w.e, v int)', 'CREATE TABLE w.r (id int REFERENCES w.t, name text REFERENCES w.t (name) ON DELETE CASCADE)',
    'INSERT INTO w.t SELECT i, ''n'' || i FROM generate_series(1, 5) i', 'INSERT INTO w.r VALUES (1, ''n1'')', 'CREATE TABLE w.of OF w.c (PRIMARY KEY (id))',
    'ALTER TYPE w.c ALTER ATTRIBUTE v TYPE varchar CASCADE', 'ALTER TYPE w.c ADD ATTRIBUTE more int CASCADE', 'ALTER TYPE w.e ADD VALUE ''c''', 'ALTER TYPE w.e RENAME VALUE ''a'' TO ''z''',
    'ALTER TABLE w.t ADD x int DEFAULT 1, ADD y text', 'ALTER TABLE w.t ALTER id TYPE bigint', 'ALTER TABLE w.t ALTER name TYPE varchar(30) USING upper(name)', 'ALTER TABLE w.t ALTER x SET NOT NULL, ALTER x SET DEFAULT 4',
    'ALTER TABLE w.t DROP CONSTRAINT t_name_key', 'ALTER TABLE w.t DROP CONSTRAINT t_name_key CASCADE', 'ALTER TABLE w.t DROP COLUMN name CASCADE', 'ALTER TABLE w.t DISABLE TRIGGER ALL', 'ALTER TABLE w.t DISABLE TRIGGER USER',
    'ALTER TABLE w.r DROP CONSTRAINT r_id_fkey', 'ALTER TABLE w.t SET UNLOGGED', 'ALTER TABLE w.t SET LOGGED', 'ALTER TABLE w.t SET ACCESS METHOD heap', 'ALTER TABLE w.t ENABLE ROW LEVEL SECURITY', 'CREATE POLICY p ON w.t USING (true)',
    'CREATE RULE q AS ON DELETE TO w.t DO INSTEAD NOTHING', 'DELETE FROM w.t', 'DROP RULE q ON w.t', 'CREATE VIEW w.v AS SELECT * FROM w.t', 'CREATE OR REPLACE VIEW w.v AS SELECT * FROM w.t WHERE id > 0', 'DROP TABLE w.t', 'DROP VIEW w.v',
    'CREATE FUNCTION w.f() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''', 'CREATE TRIGGER g BEFORE UPDATE ON w.t FOR EACH ROW EXECUTE FUNCTION w.f()', 'CREATE OR REPLACE TRIGGER g BEFORE INSERT ON w.t FOR EACH ROW EXECUTE FUNCTION w.f()',
    'ALTER TRIGGER g ON w.t RENAME TO h', 'ALTER TABLE w.t DISABLE TRIGGER h', 'ALTER TABLE w.t ENABLE REPLICA TRIGGER h', 'ALTER TRIGGER h ON w.t DEPENDS ON EXTENSION plpgsql', 'DROP TRIGGER h ON w.t', 'DROP FUNCTION w.f() CASCADE',
    'CREATE TRIGGER "00_delete_guard_key" AFTER UPDATE ON w.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'DROP TRIGGER "00_delete_guard_key" ON w.t',
    'CREATE TABLE w.p (id int PRIMARY KEY, v int) PARTITION BY RANGE (id)', 'CREATE TABLE w.p1 PARTITION OF w.p FOR VALUES FROM (0) TO (10)', 'CREATE TABLE w.p2 (id int NOT NULL, v int)', 'ALTER TABLE w.p ATTACH PARTITION w.p2 FOR VALUES FROM (10) TO (20)',
    'CREATE TABLE w.rp (id int REFERENCES w.p)', 'ALTER TABLE w.p DETACH PARTITION w.p1', 'DROP TABLE w.p2', 'TRUNCATE w.p CASCADE', 'CREATE INDEX ON w.p (v)', 'ALTER TABLE w.p ALTER v TYPE bigint', 'DROP TABLE w.p', 'DROP TABLE w.p CASCADE',
    'CREATE TABLE w.a (id int, x int)', 'CREATE TABLE w.b () INHERITS (w.a)', 'ALTER TABLE w.b NO INHERIT w.a', 'ALTER TABLE w.b INHERIT w.a', 'ALTER TABLE w.a ALTER id TYPE bigint', 'ALTER TABLE w.a DROP x', 'DROP TABLE w.a CASCADE',
    'CREATE UNIQUE INDEX u ON w.t (id, x)', 'ALTER INDEX w.u RENAME TO u2', 'DROP INDEX w.u2', 'ALTER TABLE w.t RENAME TO t2', 'ALTER TABLE w.t2 RENAME COLUMN v TO vv', 'ALTER TABLE w.t2 RENAME CONSTRAINT t_pkey TO k', 'CREATE SCHEMA w2', 'CREATE SEQUENCE w.s OWNED BY w.t2.x',
    'ALTER SEQUENCE w.s RESTART', 'DROP SEQUENCE w.s', 'CREATE MATERIALIZED VIEW w.m AS SELECT 1 AS one', 'REFRESH MATERIALIZED VIEW w.m', 'DROP MATERIALIZED VIEW w.m', 'CREATE TABLE w.cta AS SELECT 1 AS one', 'SELECT 1 AS one INTO w.si',
    'CREATE TEMP TABLE tmp (id int PRIMARY KEY)', 'ALTER TABLE tmp DROP id', 'DROP TABLE tmp', 'COMMENT ON TABLE w.t2 IS ''x''', 'GRANT SELECT ON w.t2 TO PUBLIC', 'ALTER DEFAULT PRIVILEGES IN SCHEMA w GRANT SELECT ON TABLES TO PUBLIC', 'CREATE STATISTICS w.st ON id, x FROM w.t2',
    'DROP STATISTICS w.st', 'CREATE AGGREGATE w.agg (int) (SFUNC = int4pl, STYPE = int)', 'DROP AGGREGATE w.agg (int)', 'CREATE COLLATION w.co FROM "C"', 'DROP COLLATION w.co', 'CREATE CAST (w.c AS text) WITH INOUT', 'DROP CAST (w.c AS text)', 'CREATE OPERATOR w.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
    'DROP OPERATOR w.=== (int, int)', 'CREATE TEXT SEARCH CONFIGURATION w.ts (COPY = simple)', 'DROP TEXT SEARCH CONFIGURATION w.ts', 'REINDEX TABLE w.t2', 'CLUSTER w.t2 USING k', 'ANALYZE w.t2', 'LOCK TABLE w.t2', 'DO ''BEGIN CREATE TABLE w.indo (id int); DROP TABLE w.indo; END''',
    'CREATE SCHEMA w.x', 'DROP TYPE w.e', 'DROP DOMAIN w.d CASCADE', 'DROP TYPE w.e CASCADE', 'DROP TABLE nowhere.t', 'DROP TABLE IF EXISTS nowhere.t', 'ALTER TABLE w.none ADD x int', 'DROP SCHEMA w', 'DROP SCHEMA w CASCADE', 'DROP OWNED BY regress_dg_carol', 'DISCARD PLANS']) WITH ORDINALITY AS u(s, ordinality);
CREATE FUNCTION run(schema text) RETURNS TABLE (n int, result text) LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    EXECUTE format('CREATE SCHEMA %I', schema);
    FOR r IN SELECT * FROM statements ORDER BY statements.n LOOP
        n := r.n;
        result := replace(regexp_replace(dg_test.ddl(regexp_replace(r.statement, '\mw(2?)\M', schema || '\1', 'g'), true), 'Trigger_a_\d+', 'Trigger_a_N'), schema, 'w');
        RETURN NEXT;
    END LOOP;
END $$;
RESET ROLE;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_dg_owner', current_database()); END $$;
SET ROLE regress_dg_owner;
SELECT count(*) FROM delete_guard.protected_tables;
CREATE TABLE without AS SELECT * FROM run('dg_w');
DROP SCHEMA dg_w2 CASCADE;
CREATE TABLE guarded (id int PRIMARY KEY);
CREATE TABLE to_guarded (id int REFERENCES guarded);
SELECT delete_guard.protect('guarded') \g /dev/null
SELECT dg_test.last_event() AS mark \gset
CREATE TABLE with_one AS SELECT * FROM run('dg_w');
SELECT dg_test.last_event() = :mark AS nothing_recorded;
SELECT s.statement, a.result, b.result FROM statements s JOIN without a USING (n) JOIN with_one b USING (n) WHERE a.result <> b.result;
SELECT count(*), count(*) FILTER (WHERE result = 'ok') AS went_through FROM with_one;
DROP SCHEMA dg_w2 CASCADE;
RESET ROLE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_dg_owner', current_database()); END $$;
CALL dg_test.release('dg_elsewhere');
DROP SCHEMA dg_elsewhere CASCADE;
