-- restore() brings back what a removal took along: cascades, columns set to NULL or to their default
CREATE SCHEMA dg_rc AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_rc TO PUBLIC;
GRANT SELECT ON delete_guard.audit_log, delete_guard.audit_rows TO regress_dg_alice;
SET search_path = dg_rc;
SET client_min_messages = warning;
SET ROLE regress_dg_owner;
-- references in a circle, to itself, twice to one table, from a table without a key, from partitions
CREATE TABLE p (id int PRIMARY KEY, boss int REFERENCES p ON DELETE CASCADE, c_id int);
CREATE TABLE c (id int PRIMARY KEY, p_id int REFERENCES p ON DELETE CASCADE, v text);
ALTER TABLE p ADD FOREIGN KEY (c_id) REFERENCES c;
CREATE TABLE n (id int PRIMARY KEY, one int REFERENCES p ON DELETE SET NULL, two int REFERENCES p ON DELETE SET NULL, v text);
CREATE TABLE d (id int PRIMARY KEY, p_id int DEFAULT 9 REFERENCES p ON DELETE SET DEFAULT);
CREATE TABLE nokey (p_id int REFERENCES p ON DELETE SET NULL, v text);
CREATE TABLE nokey_c (p_id int REFERENCES p ON DELETE CASCADE, v text);
CREATE TABLE pt (id int, region text, p_id int REFERENCES p ON DELETE SET NULL, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE pt_a PARTITION OF pt FOR VALUES IN ('a');
CREATE TABLE pt_b PARTITION OF pt FOR VALUES IN ('b');
CREATE TABLE two (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE two_n (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES two ON DELETE SET NULL (b));
INSERT INTO p VALUES (9, NULL, NULL), (1, NULL, NULL), (2, 1, NULL), (3, 2, NULL);
INSERT INTO c VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 9, 'd');
UPDATE p SET c_id = id WHERE id IN (1, 3);
INSERT INTO n VALUES (1, 1, 2, 'n1'), (2, 3, 9, 'n2'), (3, 9, 9, 'n3');
INSERT INTO d VALUES (1, 1), (2, 9), (3, 3);
INSERT INTO nokey VALUES (1, 'x'), (1, 'x'), (2, 'y'), (9, 'z'), (NULL, 'x');
INSERT INTO nokey_c VALUES (1, 'x'), (1, 'x'), (9, 'z');
INSERT INTO pt VALUES (1, 'a', 1), (2, 'b', 3), (3, 'b', 9);
INSERT INTO two VALUES (1, 1), (1, 2);
INSERT INTO two_n VALUES (1, 1, 1), (2, 1, 2);
GRANT ALL ON ALL TABLES IN SCHEMA dg_rc TO regress_dg_alice;
-- everything in these tables, as one text
CREATE FUNCTION contents() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = dg_rc, pg_temp AS $$
    SELECT string_agg(r, E'\n' ORDER BY r COLLATE "C") FROM (
        SELECT 'p' || p FROM p UNION ALL SELECT 'c' || c FROM c UNION ALL SELECT 'n' || n FROM n UNION ALL SELECT 'd' || d FROM d
        UNION ALL SELECT 'nokey' || nokey FROM nokey UNION ALL SELECT 'nokey_c' || nokey_c FROM nokey_c
        UNION ALL SELECT 'pt' || pt FROM pt UNION ALL SELECT 'two' || two FROM two UNION ALL SELECT 'two_n' || two_n FROM two_n) x (r) $$;
CREATE TABLE before AS SELECT contents() AS t;
GRANT SELECT ON before TO PUBLIC;
SELECT delete_guard.protect('p', 'log');
SELECT delete_guard.protect('two', 'log');

SET ROLE regress_dg_alice;
DELETE FROM p WHERE id = 1;
SELECT min(event_id) AS event FROM delete_guard.audit_log WHERE table_name = 'dg_rc.p' AND operation = 'delete' \gset
SELECT t = contents() AS same FROM before;
SELECT table_name, effect, key, action FROM delete_guard.restore(:event, dry_run => true) ORDER BY table_name COLLATE "C", effect, key::text COLLATE "C";
-- rows that a cascade took from the table itself are an event of their own, which says where they are
SELECT dg_test.says_event('SELECT delete_guard.restore(dg_test.event(''dg_rc.p''))');  -- fails
SELECT table_name, effect, key, action, note FROM delete_guard.restore(:event) ORDER BY table_name COLLATE "C", effect, key::text COLLATE "C";
SELECT t = contents() AS same FROM before;
-- a second time: keys are taken, what has no key counts as there, what was set is not NULL any more
SELECT dg_test.says_event('SELECT delete_guard.restore(' || :event || ')');  -- fails
SELECT DISTINCT table_name, action, regexp_replace(note, 'event \d+', 'event N') AS note FROM delete_guard.restore(:event, 'skip') ORDER BY 1, 2;
SELECT t = contents() AS same FROM before;

-- SET NULL of one column of two; of a row that has another value by now nothing is put back, nor of one that is gone
DELETE FROM two WHERE a = 1;
SELECT * FROM two_n ORDER BY id;
INSERT INTO two VALUES (1, 7);
UPDATE two_n SET b = 7 WHERE id = 1;
SELECT table_name, effect, key, action, note FROM delete_guard.restore(dg_test.event('dg_rc.two'));
SELECT * FROM two_n ORDER BY id;
UPDATE two_n SET b = 1 WHERE id = 1;
DELETE FROM two WHERE b = 7;
SELECT t = contents() AS same FROM before;

-- rights on every table concerned
RESET ROLE;
REVOKE UPDATE ON two_n FROM regress_dg_alice;
SET ROLE regress_dg_alice;
DELETE FROM two WHERE b = 2;
SELECT dg_test.says_event('SELECT delete_guard.restore(dg_test.event(''dg_rc.two''))');  -- fails
SELECT * FROM two ORDER BY b;
RESET ROLE;
GRANT UPDATE (b) ON two_n TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT action FROM delete_guard.restore(dg_test.event('dg_rc.two'));
-- a row that somebody put in the way of a cascaded one
DELETE FROM p WHERE id = 3;
RESET ROLE;
INSERT INTO c VALUES (3, 9, 'in the way');
SET ROLE regress_dg_alice;
SELECT dg_test.says_event('SELECT delete_guard.restore(dg_test.event(''dg_rc.p''))');  -- fails
RESET ROLE;
UPDATE c SET id = 30 WHERE v = 'in the way';
DELETE FROM c WHERE id = 30;
SET ROLE regress_dg_alice;
SELECT table_name, action, note FROM delete_guard.restore(dg_test.event('dg_rc.p')) ORDER BY 1, 2;
SELECT t = contents() AS same FROM before;
-- TRUNCATE CASCADE takes tables along
RESET ROLE;
TRUNCATE two CASCADE;
SET ROLE regress_dg_alice;
SELECT table_name, effect, key, action FROM delete_guard.restore(dg_test.event('dg_rc.two')) ORDER BY table_name COLLATE "C", key::text COLLATE "C";
SELECT t = contents() AS same FROM before;
-- a cascaded table that is gone: told, and with skip the others come back
DELETE FROM p WHERE id = 1;
SELECT max(event_id) AS event FROM delete_guard.audit_log WHERE table_name = 'dg_rc.p' AND operation = 'delete' AND details IS NULL \gset
RESET ROLE;
DROP TABLE nokey_c;
SET ROLE regress_dg_alice;
SELECT dg_test.says_event('SELECT delete_guard.restore(' || :event || ')');  -- fails
SELECT table_name, action, note, count(*) FROM delete_guard.restore(:event, 'skip') GROUP BY 1, 2, 3 ORDER BY 1, 2;
RESET ROLE;

-- ON UPDATE SET NULL: the key and the columns
SET ROLE regress_dg_owner;
CREATE TABLE u (id int PRIMARY KEY);
CREATE TABLE u_n (id int PRIMARY KEY, u_id int REFERENCES u ON UPDATE SET NULL);
INSERT INTO u VALUES (1), (2);
INSERT INTO u_n VALUES (1, 1), (2, 2);
GRANT ALL ON u, u_n TO regress_dg_alice;
SELECT delete_guard.protect('u', 'log');
SET ROLE regress_dg_alice;
UPDATE u SET id = id + 10;
SELECT table_name, effect, key, action FROM delete_guard.restore(dg_test.event('dg_rc.u'));
SELECT * FROM u ORDER BY 1;
SELECT * FROM u_n ORDER BY 1;
RESET ROLE;

SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
REVOKE SELECT ON delete_guard.audit_log, delete_guard.audit_rows FROM regress_dg_alice;
DROP SCHEMA dg_rc CASCADE;
