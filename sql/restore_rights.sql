-- Who may restore, and whose rights apply while rows are put back
CREATE SCHEMA dg_rr AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_rr TO PUBLIC;
SET search_path = dg_rr;
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
CREATE TABLE t (id int PRIMARY KEY, a text, b text DEFAULT 'default');
SELECT delete_guard.protect('t', 'log');
INSERT INTO t VALUES (1, 'a', 'b'), (2, 'a2', 'b2');
DELETE FROM t WHERE id = 1;
RESET ROLE;

-- Reading the audit log and INSERT, both; a dry run too
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.t'))$$);  -- fails
SELECT dg_test.says_event($$SELECT delete_guard.restore(-5)$$);  -- fails
RESET ROLE;
GRANT SELECT ON delete_guard.audit_rows TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.t'))$$);  -- fails
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.t'), dry_run => true)$$);  -- fails
RESET ROLE;
GRANT INSERT (id, a) ON t TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.t'))$$);  -- fails
RESET ROLE;
GRANT INSERT (b) ON t TO regress_dg_alice;
SET ROLE regress_dg_alice;
-- INSERT on the columns is enough; nothing of the table can be read with that
SELECT action FROM delete_guard.restore(dg_test.event('dg_rr.t'));
SELECT count(*) FROM t;  -- fails
RESET ROLE;
-- a changed key: UPDATE and SELECT on the key
UPDATE t SET id = 10 WHERE id = 1;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.t'))$$);  -- fails
RESET ROLE;
GRANT SELECT (id), UPDATE (a) ON t TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.t'))$$);  -- fails
RESET ROLE;
GRANT UPDATE (id) ON t TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT key, action FROM delete_guard.restore(dg_test.event('dg_rr.t'));
RESET ROLE;
TABLE t ORDER BY id;

-- Row security is the caller's: what he could not insert he cannot restore, what he cannot see he cannot update
SET ROLE regress_dg_owner;
CREATE TABLE rls (id int PRIMARY KEY, who name);
SELECT delete_guard.protect('rls', 'log');
INSERT INTO rls VALUES (1, 'regress_dg_alice'), (2, 'regress_dg_bob');
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rls USING (who = current_user);
GRANT ALL ON rls TO regress_dg_alice;
DELETE FROM rls WHERE id = 1;
SELECT dg_test.event('dg_rr.rls') AS one \gset
DELETE FROM rls WHERE id = 2;
SELECT dg_test.event('dg_rr.rls') AS two \gset
INSERT INTO rls VALUES (3, 'regress_dg_bob');
UPDATE rls SET id = 30;
SELECT dg_test.event('dg_rr.rls') AS three \gset
RESET ROLE;
SET ROLE regress_dg_alice;
SELECT action FROM delete_guard.restore(:one);
SELECT dg_test.says_event('SELECT delete_guard.restore(' || :two || ')');  -- fails
SELECT key, action, note FROM delete_guard.restore(:three);
RESET ROLE;
SELECT * FROM rls ORDER BY id;

-- What users define runs with no more rights than its author has: constraints of domains, expressions and operators
-- of indexes as the owner of the table; triggers as whoever restores, like in any INSERT of his
SET ROLE regress_dg_owner;
CREATE TABLE ran (what text, who name);
GRANT INSERT ON ran TO PUBLIC;
CREATE FUNCTION tell(what text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN INSERT INTO dg_rr.ran VALUES (what, current_user); RETURN true; END $$;
CREATE FUNCTION folded(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('dg.tell', true) = 'on' THEN PERFORM dg_rr.tell('expression'); END IF;
    RETURN lower(t);
END $$;
CREATE DOMAIN dom AS text CHECK (current_setting('dg.tell', true) IS DISTINCT FROM 'on' OR dg_rr.tell('domain'));
CREATE TYPE comp AS (d dom);
CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM dg_rr.tell('trigger'); RETURN NEW; END $$;
CREATE TABLE evil (id int PRIMARY KEY, d dom, c comp, t text, o int DEFAULT (dg_rr.tell('default'))::int);
CREATE UNIQUE INDEX ON evil (folded(t));
CREATE TRIGGER tells BEFORE INSERT ON evil FOR EACH ROW EXECUTE FUNCTION tells();
SELECT delete_guard.protect('evil', 'log');
INSERT INTO evil VALUES (1, 'd', ROW('c'), 'T', 1);
RESET ROLE;
TRUNCATE ran;
DELETE FROM evil;
ALTER TABLE evil DROP o;
SET ROLE regress_dg_owner;
ALTER TABLE evil ADD p int DEFAULT (dg_rr.tell('default'))::int;
RESET ROLE;
TRUNCATE ran;
-- a dry run by a superuser runs nothing as the superuser
SET dg.tell = 'on';
SELECT key, action FROM delete_guard.restore(dg_test.event('dg_rr.evil'), dry_run => true);
RESET dg.tell;
SELECT what, who = 'regress_dg_owner' AS as_owner, count(*) > 0 AS ran FROM ran GROUP BY 1, 2 ORDER BY 1, 2;
TRUNCATE ran;
-- nor does it let what it runs out of its cage
SET ROLE regress_dg_owner;
CREATE OR REPLACE FUNCTION tell(what text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE TEMP TABLE escaped (a int)';
    RETURN true;
END $$;
RESET ROLE;
SET dg.tell = 'on';
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.evil'), dry_run => true)$$);  -- fails
RESET dg.tell;
SET ROLE regress_dg_owner;
CREATE OR REPLACE FUNCTION tell(what text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN INSERT INTO dg_rr.ran VALUES (what, current_user); RETURN true; END $$;
RESET ROLE;
-- for real: the trigger and the default as whoever restores
GRANT INSERT ON evil TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT key, action FROM delete_guard.restore(dg_test.event('dg_rr.evil'));
RESET ROLE;
SELECT what, who FROM ran ORDER BY 1, 2;

-- A sequence of somebody else's is not moved by naming it in a default
CREATE SEQUENCE not_yours;
SET ROLE regress_dg_owner;
CREATE TABLE thief (id bigint PRIMARY KEY DEFAULT nextval('not_yours'));
SELECT delete_guard.protect('thief', 'log');
INSERT INTO thief VALUES (1000000);
DELETE FROM thief;
RESET ROLE;
GRANT INSERT ON thief TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT key, action, note FROM delete_guard.restore(dg_test.event('dg_rr.thief'));
RESET ROLE;
SELECT last_value, is_called FROM not_yours;

-- An operator or function in the caller's search_path is not taken for the system's
CREATE SCHEMA dg_path;
GRANT ALL ON SCHEMA dg_path TO PUBLIC;
SET ROLE regress_dg_bob;
CREATE FUNCTION dg_path.forged(int, int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'ran as %', current_user; RETURN true; END $$;
CREATE OPERATOR dg_path.= (leftarg = int, rightarg = int, function = dg_path.forged);
CREATE FUNCTION dg_path.forged8(bigint, bigint) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'ran as %', current_user; RETURN true; END $$;
CREATE OPERATOR dg_path.= (leftarg = bigint, rightarg = bigint, function = dg_path.forged8);
CREATE OPERATOR dg_path.<> (leftarg = bigint, rightarg = bigint, function = dg_path.forged8);
CREATE FUNCTION dg_path.count() RETURNS bigint LANGUAGE sql AS 'SELECT 5::bigint';
RESET ROLE;
UPDATE t SET id = 7 WHERE id = 2;
SET search_path = dg_path, pg_catalog, dg_rr;
SELECT key, action FROM delete_guard.restore(dg_test.event('dg_rr.t'));
SELECT key, action FROM delete_guard.restore(dg_test.event('dg_rr.rls'), 'skip', dry_run => true);
SET search_path = dg_rr;
TABLE t ORDER BY id;

-- Own tables: nobody restores into them what was never there, and nothing was deleted from them
SELECT count(*) FROM delete_guard.audit_log WHERE operation = 'restore' AND table_name LIKE 'delete_guard.%';

-- Two owners, neither of whom restores: each table's values are read as its owner, rows are put back as the caller
RESET ROLE;
CREATE TABLE ran_as (what text, as_role name);
GRANT INSERT ON ran_as TO PUBLIC;
SET ROLE regress_dg_carol;
CREATE FUNCTION checked(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dg_rr.ran_as VALUES ('check', current_user);
    RETURN $1 > 0;
END $$;
CREATE DOMAIN positive AS int CHECK (dg_rr.checked(VALUE));
RESET ROLE;
SET ROLE regress_dg_owner;
CREATE TABLE upper_t (id int PRIMARY KEY, note text);
GRANT REFERENCES ON upper_t TO regress_dg_carol;
SELECT delete_guard.protect('upper_t', 'log');
RESET ROLE;
SET ROLE regress_dg_carol;
CREATE TABLE lower_t (id int PRIMARY KEY, upper_id int REFERENCES upper_t ON DELETE CASCADE, n positive);
CREATE TABLE nulled_t (id int PRIMARY KEY, upper_id int REFERENCES upper_t ON DELETE SET NULL);
CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO dg_rr.ran_as VALUES ('trigger', current_user); RETURN NEW; END $$;
CREATE TRIGGER put BEFORE INSERT ON lower_t FOR EACH ROW EXECUTE FUNCTION put();
RESET ROLE;
INSERT INTO upper_t VALUES (1, 'one'), (2, 'two');
INSERT INTO lower_t VALUES (11, 1, 5), (12, 1, 6), (13, 2, 7);
INSERT INTO nulled_t VALUES (21, 1), (22, 2);
TRUNCATE ran_as;
GRANT DELETE, SELECT ON upper_t TO regress_dg_alice;
SET ROLE regress_dg_alice;
DELETE FROM upper_t WHERE id = 1;
RESET ROLE;
SELECT table_name, effect, key, old_row FROM delete_guard.audit_rows WHERE event_id = dg_test.event('dg_rr.upper_t') ORDER BY table_name, key;
SELECT DISTINCT * FROM ran_as;
TRUNCATE ran_as;
GRANT INSERT ON upper_t TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.upper_t'))$$);  -- fails
RESET ROLE;
GRANT INSERT ON lower_t TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_rr.upper_t'))$$);  -- fails
RESET ROLE;
GRANT SELECT, UPDATE ON nulled_t TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT table_name, key, action FROM delete_guard.restore(dg_test.event('dg_rr.upper_t')) ORDER BY 1, 2;
RESET ROLE;
SELECT DISTINCT * FROM ran_as ORDER BY 1, 2;
SELECT * FROM upper_t ORDER BY id;
SELECT * FROM lower_t ORDER BY id;
SELECT * FROM nulled_t ORDER BY id;
SELECT dg_test.alone($$SELECT delete_guard.unprotect('dg_rr.upper_t')$$);

SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
REVOKE SELECT ON delete_guard.audit_rows FROM regress_dg_alice;
DROP SCHEMA dg_rr, dg_path CASCADE;
