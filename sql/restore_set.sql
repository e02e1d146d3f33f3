-- restore() of columns that were set to NULL or to a default: the row is found as
-- the event has left it, whatever was set in it, and by nothing that runs code of
-- somebody else.
SET client_min_messages = warning;
CREATE ROLE regress_mallory;
CREATE SCHEMA restore_set;
GRANT ALL ON SCHEMA restore_set TO regress_mallory;
SET search_path = restore_set;
CREATE FUNCTION back(name text, dry_run boolean DEFAULT false) RETURNS TABLE (table_name text, key jsonb, action text, note text)
    LANGUAGE sql AS $$
    SELECT table_name, key, action, note FROM delete_guard.restore(
        (SELECT max(event_id) FROM delete_guard.audit_log WHERE operation = 'delete' AND audit_log.table_name = 'restore_set.' || name),
        'error', dry_run)
$$;

-- the column that is set belongs to the key
CREATE TABLE p (id int PRIMARY KEY);
INSERT INTO p VALUES (0), (1), (2);
CREATE TABLE c (p_id int DEFAULT 0 REFERENCES p ON DELETE SET DEFAULT, n int, PRIMARY KEY (p_id, n));
INSERT INTO c VALUES (1, 1), (1, 2), (2, 3);
SELECT delete_guard.protect('p', 'log');
DELETE FROM p WHERE id = 1;
TABLE c ORDER BY n;
SELECT * FROM back('p', true);
SELECT * FROM back('p');
TABLE c ORDER BY n;
DROP TABLE c;

-- two references set columns of one row, with a key and without one
CREATE TABLE two (note text PRIMARY KEY, a int REFERENCES p ON DELETE SET NULL, b int DEFAULT 0 REFERENCES p ON DELETE SET DEFAULT);
CREATE TABLE keyless (note text, a int REFERENCES p ON DELETE SET NULL, b int REFERENCES p ON DELETE SET NULL);
INSERT INTO two VALUES ('x', 1, 1), ('y', 1, 2), ('z', 2, 1);
INSERT INTO keyless VALUES ('x', 1, 1), ('x', 1, 2), ('x', 2, 1), ('x', 1, 1), ('x', 2, 2);
CREATE TABLE key_set (a int DEFAULT 0 REFERENCES p ON DELETE SET DEFAULT, n int, b int REFERENCES p ON DELETE SET NULL, PRIMARY KEY (a, n));
INSERT INTO key_set VALUES (1, 1, 1), (1, 2, 2), (2, 3, 1);
DELETE FROM p WHERE id = 1;
TABLE keyless ORDER BY 1, 2, 3;
SELECT action, count(*) FROM back('p', true) GROUP BY action ORDER BY action;
SELECT action, count(*) FROM back('p') GROUP BY action ORDER BY action;
TABLE two ORDER BY note;
TABLE keyless ORDER BY 1, 2, 3;
TABLE key_set ORDER BY n;
-- one of both has another value meanwhile: only that one is left
DELETE FROM p WHERE id = 1;
UPDATE two SET a = 2 WHERE note = 'x';
SELECT * FROM back('p') WHERE action = 'leave';
TABLE two ORDER BY note;
DROP TABLE two, keyless, key_set;

-- two references share a column
CREATE TABLE m_p (tenant int, id int, PRIMARY KEY (tenant, id));
INSERT INTO m_p VALUES (1, 1), (1, 2);
CREATE TABLE m_c (id int PRIMARY KEY, tenant int, a int, b int,
    FOREIGN KEY (tenant, a) REFERENCES m_p ON DELETE SET NULL, FOREIGN KEY (tenant, b) REFERENCES m_p ON DELETE SET NULL (b));
INSERT INTO m_c VALUES (1, 1, 1, 2), (2, 1, 2, 1);
SELECT delete_guard.protect('m_p', 'log');
DELETE FROM m_p;
TABLE m_c ORDER BY id;
SELECT action, count(*) FROM back('m_p') GROUP BY action ORDER BY action;
TABLE m_c ORDER BY id;
DROP TABLE m_c, m_p;

-- a table without a key, with columns that are called as the statement's own
CREATE TABLE names (dg_i text, dg_r int, dg_w0 int, n int, dg_e int REFERENCES p ON DELETE SET NULL, new_1 int REFERENCES p ON DELETE SET NULL);
INSERT INTO names VALUES ('x', 1, 2, 3, 1, 1);
DELETE FROM p WHERE id = 1;
SELECT action, note FROM back('p') ORDER BY action;
TABLE names;
DROP TABLE names;

-- rows that differ in what a setting does not print
CREATE TABLE floats (f float8, p_id int REFERENCES p ON DELETE SET NULL);
INSERT INTO floats VALUES (1.0000000000001, 2), (1, 1);
DELETE FROM p WHERE id IN (1, 2);
SET extra_float_digits = -10;
SELECT action FROM back('p');
RESET extra_float_digits;
SELECT f, p_id FROM floats ORDER BY f;
DROP TABLE floats;

-- a row without a key that a trigger has kept out is not taken for restored
CREATE TABLE kept (a text, p_id int REFERENCES p ON DELETE CASCADE);
INSERT INTO kept VALUES ('x', 1), ('y', 1);
DELETE FROM p WHERE id = 1;
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION no();
SELECT table_name, action, note FROM delete_guard.restore((SELECT max(event_id) FROM delete_guard.audit_log WHERE operation = 'delete'), 'skip');
DROP TRIGGER t ON kept;
SELECT table_name, action, note FROM delete_guard.restore((SELECT max(event_id) FROM delete_guard.audit_log WHERE operation = 'delete'), 'skip');
SELECT count(*) FROM delete_guard.restore((SELECT max(event_id) FROM delete_guard.audit_log WHERE operation = 'delete'), 'skip') WHERE note LIKE 'no key tells the row from others, and event % has restored it';
TABLE kept ORDER BY a;
DROP TABLE kept;

-- a default that the column has from its domain
CREATE DOMAIN dd AS int DEFAULT 0;
CREATE TABLE by_domain (id int PRIMARY KEY, p_id dd NOT NULL REFERENCES p ON DELETE SET DEFAULT);
INSERT INTO by_domain VALUES (1, 1);
DELETE FROM p WHERE id = 1;
TABLE by_domain;
SELECT * FROM back('p');
TABLE by_domain;
DROP TABLE by_domain;

-- a table that computes all of its columns
CREATE TABLE computed (k int GENERATED ALWAYS AS (7) STORED PRIMARY KEY);
INSERT INTO computed DEFAULT VALUES;
SELECT delete_guard.protect('computed', 'log');
DELETE FROM computed;
SELECT * FROM back('computed');
SELECT delete_guard.unprotect('computed');
DROP TABLE computed;
SELECT delete_guard.restore(1, 'error', NULL);

-- SET NULL of a column that has a default
CREATE TABLE nulled (id int PRIMARY KEY, p_id int DEFAULT 0 REFERENCES p ON DELETE SET NULL);
INSERT INTO nulled VALUES (1, 1);
DELETE FROM p WHERE id = 1;
SELECT * FROM back('p') WHERE action <> 'note';
TABLE nulled;
DROP TABLE nulled;

-- of a partitioned table the default of the whole is set, not that of a partition
CREATE TABLE parts (id int PRIMARY KEY, p_id int DEFAULT 0 REFERENCES p ON DELETE SET DEFAULT) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
ALTER TABLE parts_1 ALTER p_id SET DEFAULT 2;
INSERT INTO parts VALUES (1, 1), (2, 2);
DELETE FROM p WHERE id = 1;
TABLE parts ORDER BY id;
SELECT * FROM back('p') WHERE action <> 'note';
TABLE parts ORDER BY id;

-- and nothing that its owner has written is run by others
ALTER TABLE parts_1 OWNER TO regress_mallory;
SET ROLE regress_mallory;
CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'evil runs as %', current_user;
    RETURN 0;
END $$;
ALTER TABLE parts_1 ALTER p_id SET DEFAULT evil();
RESET ROLE;
DELETE FROM p WHERE id = 1;
SELECT * FROM back('p', true);
SELECT * FROM back('p') WHERE action <> 'note';
-- likewise of a table that has another owner since
CREATE TABLE handed (id int PRIMARY KEY, p_id int DEFAULT 0 REFERENCES p ON DELETE SET DEFAULT);
INSERT INTO handed VALUES (1, 1);
GRANT REFERENCES ON p TO regress_mallory;
GRANT SELECT ON p TO regress_mallory;
ALTER TABLE handed OWNER TO regress_mallory;
SET ROLE regress_mallory;
CREATE FUNCTION steady() RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'steady runs as %', current_user;
    RETURN 0;
END $$;
ALTER TABLE handed ALTER p_id SET DEFAULT steady();
RESET ROLE;
\set VERBOSITY terse
DELETE FROM p WHERE id = 1;
ALTER TABLE handed OWNER TO CURRENT_USER;
ALTER TABLE handed ALTER p_id SET DEFAULT 0;
SELECT * FROM back('p', true) WHERE table_name LIKE '%handed';
SELECT * FROM back('p') WHERE table_name LIKE '%handed';
TABLE handed;
-- a default that is no constant is what the table's default is now; one that is another each time is not known
ALTER TABLE handed ALTER p_id SET DEFAULT (current_setting('server_version_num')::int * 0);
DELETE FROM p WHERE id = 1;
SELECT * FROM back('p') WHERE table_name LIKE '%handed';
CREATE SEQUENCE seq MINVALUE 0;
SELECT setval('seq', 0, false);
ALTER TABLE handed ALTER p_id SET DEFAULT nextval('seq');
DELETE FROM p WHERE id = 1;
SELECT * FROM back('p') WHERE table_name LIKE '%handed';
TABLE handed;
DROP TABLE handed, parts;

-- rules on UPDATE
CREATE TABLE ruled (id int PRIMARY KEY, p_id int REFERENCES p ON DELETE SET NULL);
INSERT INTO ruled VALUES (1, 1), (2, 2);
DELETE FROM p WHERE id = 1;
CREATE RULE also AS ON UPDATE TO ruled DO ALSO NOTIFY ruled;
SELECT * FROM back('p') WHERE table_name LIKE '%ruled';
TABLE ruled ORDER BY id;
DROP RULE also ON ruled;
DELETE FROM p WHERE id = 1;
CREATE RULE instead AS ON UPDATE TO ruled DO INSTEAD NOTHING;
SELECT * FROM back('p') WHERE table_name LIKE '%ruled';
DROP RULE instead ON ruled;
DROP TABLE ruled;

-- very many tables
DO $$
BEGIN
    FOR i IN 1 .. 110 LOOP
        EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, p_id int DEFAULT 0 REFERENCES p ON DELETE SET %s)',
            i, CASE i % 2 WHEN 0 THEN 'NULL' ELSE 'DEFAULT' END);
        EXECUTE format('INSERT INTO many_%s VALUES (1, 1), (2, 1)', i);
    END LOOP;
END $$;
DELETE FROM p WHERE id = 1;
SELECT action, count(*) FROM back('p') GROUP BY action ORDER BY action;
DO $$
DECLARE
    n int;
BEGIN
    FOR i IN 1 .. 110 LOOP
        EXECUTE format('SELECT count(*) FROM many_%s WHERE p_id = 1', i) INTO n;
        ASSERT n = 2, format('many_%s has %s rows', i, n);
    END LOOP;
END $$;
SET client_min_messages = error;
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SET search_path = public;
DROP SCHEMA restore_set CASCADE;
DROP ROLE regress_mallory;
