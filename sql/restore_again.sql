-- restore(): rows that no key tells from others, restored more than once, and found by their text.
SET client_min_messages = warning;
CREATE SCHEMA restore_again;
SET search_path = restore_again;
CREATE TABLE noted (event bigint);
CREATE FUNCTION note() RETURNS void LANGUAGE sql AS
    'TRUNCATE noted; INSERT INTO noted SELECT max(event_id) FROM delete_guard.audit_log WHERE operation <> ''restore''';
-- the lines about one table; the numbers of events are N
CREATE FUNCTION again(tab text) RETURNS TABLE (row_key jsonb, action text, note text) LANGUAGE sql AS $$
    SELECT r.key, r.action, regexp_replace(r.note, 'event \d+', 'event N') FROM noted, delete_guard.restore(event, 'skip') r
    WHERE r.table_name = 'restore_again.' || tab ORDER BY r.key::text, r.action $$;
CREATE FUNCTION stay_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE p (id int PRIMARY KEY);
INSERT INTO p VALUES (1), (2), (3);
SELECT delete_guard.protect('p', 'log');

-- unique indexes that let a row come twice: NULL in the key, predicate, exclusion constraint
CREATE TABLE nullable (a text, u int UNIQUE, p int REFERENCES p ON DELETE CASCADE);
CREATE TABLE partial (a text, u int, p int REFERENCES p ON DELETE CASCADE);
CREATE UNIQUE INDEX ON partial (u) WHERE u > 1;
CREATE TABLE excluded (a text, r int4range, p int REFERENCES p ON DELETE CASCADE, EXCLUDE USING gist (r WITH &&));
CREATE TABLE nulls (a text, u int UNIQUE NULLS NOT DISTINCT, p int REFERENCES p ON DELETE CASCADE);
INSERT INTO nullable VALUES ('x', NULL, 1), ('x', NULL, 1), ('y', 5, 1);
INSERT INTO partial VALUES ('x', 1, 1), ('y', 2, 1);
INSERT INTO excluded VALUES ('x', 'empty', 1), ('y', '[1,2]', 1);
INSERT INTO nulls VALUES ('x', NULL, 1);
DELETE FROM p WHERE id = 1;
SELECT note();
SELECT * FROM again('nullable');
-- what a key tells is looked up, and may come again
DELETE FROM nullable WHERE u = 5;
SELECT * FROM again('nullable');
SELECT * FROM again('partial');
SELECT * FROM again('excluded');
SELECT * FROM again('nulls');
SELECT * FROM nullable ORDER BY a;
SELECT * FROM partial ORDER BY a;
SELECT * FROM excluded ORDER BY a;
SELECT * FROM nulls;
DROP TABLE nullable, partial, excluded, nulls;

-- only what was put back counts as restored
CREATE TABLE kept_out (a text, p int REFERENCES p ON DELETE CASCADE);
CREATE TABLE some_out (a text, p int REFERENCES p ON DELETE CASCADE);
CREATE TABLE missing (a text, p int REFERENCES p ON DELETE CASCADE);
INSERT INTO kept_out VALUES ('x', 2), ('y', 2);
INSERT INTO some_out VALUES ('x', 2), ('y', 2);
INSERT INTO missing VALUES ('x', 2), ('y', 2);
DELETE FROM p WHERE id = 2;
SELECT note();
CREATE TRIGGER t BEFORE INSERT ON kept_out FOR EACH ROW EXECUTE FUNCTION stay_out();
CREATE TRIGGER t BEFORE INSERT ON some_out FOR EACH ROW WHEN (new.a = 'x') EXECUTE FUNCTION stay_out();
DROP TABLE missing;
SELECT * FROM again('kept_out');
SELECT * FROM kept_out;
DROP TRIGGER t ON kept_out;
DROP TRIGGER t ON some_out;
CREATE TABLE missing (a text, p int REFERENCES p ON DELETE CASCADE);
SELECT * FROM again('kept_out');
SELECT * FROM again('kept_out');
SELECT * FROM again('some_out');
SELECT * FROM again('missing');
SELECT * FROM kept_out ORDER BY a;
SELECT * FROM some_out ORDER BY a;
SELECT * FROM missing ORDER BY a;
DROP TABLE kept_out, some_out, missing;

-- settings of the caller do not make rows alike
CREATE TABLE alike (f float8, p int REFERENCES p ON DELETE SET NULL);
CREATE TABLE alike_at (at timestamptz, p int REFERENCES p ON DELETE SET NULL);
INSERT INTO p VALUES (1), (2) ON CONFLICT DO NOTHING;
INSERT INTO alike VALUES (1, 2), (1.0000000000001, 3);
INSERT INTO alike_at VALUES ('2014-10-25 22:30:00+00', 2), ('2014-10-25 21:30:00+00', 3);
DELETE FROM p WHERE id IN (2, 3);
SELECT note();
SET extra_float_digits = -10;
SET timezone = 'Europe/Moscow';
SET datestyle = 'SQL';
SELECT action FROM again('alike');
SHOW extra_float_digits;
SHOW datestyle;
RESET extra_float_digits;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT * FROM alike ORDER BY f;
SELECT * FROM alike_at ORDER BY at;
DROP TABLE alike, alike_at;

SET client_min_messages = error;
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SET search_path = public;
DROP SCHEMA restore_again CASCADE;
