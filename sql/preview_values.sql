-- What a preview says of values that columns would be set to, and of long chains
CREATE SCHEMA dg_preview_values AUTHORIZATION regress_dg_owner;
SET search_path = dg_preview_values;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\pset format unaligned
\set VERBOSITY terse

-- SET DEFAULT with a default of the column's domain
CREATE DOMAIN one AS int DEFAULT 1;
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE e (id int PRIMARY KEY, p one NOT NULL REFERENCES p ON DELETE SET DEFAULT);
INSERT INTO p VALUES (1), (2), (3);
INSERT INTO e VALUES (1, 2);
SELECT table_name, effect, rows, postgres FROM delete_guard.preview_delete('p', 'id = 2') WHERE depth = 1;
SELECT delete_guard.protect('p', 'log');
DELETE FROM p WHERE id = 2;
SELECT * FROM e;
RESET ROLE;
SELECT table_name, effect, key, action, note FROM delete_guard.restore((SELECT max(event_id) FROM delete_guard.audit_log));
SELECT * FROM e;
SET ROLE regress_dg_owner;
DROP TABLE e;
-- with the default of the partitioned table, whatever that of the partition is
CREATE TABLE e (id int PRIMARY KEY, p int NOT NULL DEFAULT 1 REFERENCES p ON DELETE SET DEFAULT) PARTITION BY RANGE (id);
CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM (0) TO (10);
ALTER TABLE e_1 ALTER p DROP DEFAULT;
INSERT INTO e VALUES (1, 2);
SELECT table_name, effect, rows, postgres FROM delete_guard.preview_delete('p', 'id = 2') WHERE depth = 1;
DROP TABLE e;
-- without any
CREATE TABLE e (id int PRIMARY KEY, p int NOT NULL REFERENCES p ON DELETE SET DEFAULT);
INSERT INTO e VALUES (1, 2);
SELECT table_name, effect, rows, postgres FROM delete_guard.preview_delete('p', 'id = 2') WHERE depth = 1;
DELETE FROM p WHERE id = 2;  -- fails
DROP TABLE e;
-- SET NULL of a domain that takes none, and of one based on it
CREATE DOMAIN never AS int NOT NULL;
CREATE DOMAIN never_either AS never;
CREATE TABLE n (id int PRIMARY KEY, p never_either REFERENCES p ON DELETE SET NULL);
INSERT INTO n VALUES (1, 2);
SELECT table_name, effect, rows, postgres FROM delete_guard.preview_delete('p', 'id = 2') WHERE depth = 1;
DELETE FROM p WHERE id = 2;  -- fails
DROP TABLE n;
SELECT delete_guard.unprotect('p');

-- the bound of levels is no setting, and says so
CREATE TABLE chain (id int PRIMARY KEY, up int REFERENCES chain ON DELETE CASCADE);
INSERT INTO chain SELECT i, nullif(i - 1, 0) FROM generate_series(1, 1003) AS i;
CREATE INDEX ON chain (up);
SELECT max(depth), max(path) FILTER (WHERE effect = 'cut') AS cut FROM delete_guard.preview_delete('chain', 'id = 1', 0);
SELECT max(depth), max(path) FILTER (WHERE effect = 'cut') AS cut FROM delete_guard.preview_delete('chain', 'id = 4', 0);
SELECT x FROM delete_guard.explain_delete('chain', 'id = 1') AS x WHERE x ~ '^Stopped';
SET delete_guard.preview_limit = 10;
SELECT max(depth), max(path) FILTER (WHERE effect = 'cut') AS cut FROM delete_guard.preview_delete('chain', 'id = 1', 0);
RESET delete_guard.preview_limit;

RESET ROLE;
\pset format aligned
DROP SCHEMA dg_preview_values CASCADE;
