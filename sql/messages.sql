-- What refusals say, word by word; numbers of requests are masked
CREATE SCHEMA dg_msg AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_msg TO PUBLIC;
SELECT current_user AS super \gset
SET client_min_messages = warning;
SET search_path = dg_msg;
SET ROLE regress_dg_owner;
\pset format unaligned
\pset tuples_only on
CREATE TABLE architectures (id int PRIMARY KEY, name varchar(255) UNIQUE);
CREATE TABLE distributions (id int PRIMARY KEY, name text);
CREATE TABLE repositories (id int PRIMARY KEY);
-- associations: two columns that refer, few others
CREATE TABLE architectures_distributions (id int PRIMARY KEY, distribution_id int, architecture_id int, created_at timestamptz);
CREATE TABLE repository_architectures (id int PRIMARY KEY, repository_id int REFERENCES repositories, architecture_id int REFERENCES architectures, "position" int);
-- no associations: one column that refers; more of its own
CREATE TABLE flags (id int PRIMARY KEY, flag text, architecture_id int REFERENCES architectures ON DELETE SET NULL);
CREATE TABLE packages (id int PRIMARY KEY, project_id int, architecture_id int DEFAULT 0 REFERENCES architectures ON DELETE SET DEFAULT, a text, b text, c text, d text);
CREATE TABLE jobs (id int PRIMARY KEY, arch varchar, architecture_id int REFERENCES architectures ON DELETE CASCADE ON UPDATE CASCADE);
SELECT delete_guard.protect('architectures');
SELECT delete_guard.declare_reference('architectures_distributions', '{architecture_id}', 'architectures');
SELECT delete_guard.declare_reference('jobs', '{arch}', 'architectures', '{name}');
INSERT INTO architectures SELECT i, 'a' || i FROM generate_series(0, 40) AS i;
INSERT INTO repositories SELECT i FROM generate_series(1, 20) AS i;
INSERT INTO architectures_distributions (id, distribution_id, architecture_id) VALUES (1, 1, 5), (2, 2, 5), (3, 1, 6);
INSERT INTO repository_architectures SELECT i, i, 5 FROM generate_series(1, 14) AS i;
INSERT INTO flags VALUES (1, 'f', 7), (2, 'f', 5);
INSERT INTO packages (id, architecture_id) VALUES (1, 8);
INSERT INTO jobs VALUES (1, 'a9', NULL), (2, NULL, 10), (3, NULL, 10);

-- no approver yet
SELECT dg_test.says('DELETE FROM architectures WHERE id = 6');
RESET ROLE;
SELECT delete_guard.add_approver('regress_dg_bob', 'dg_msg.architectures');
SET ROLE regress_dg_owner;
-- one row, several references; the incident
SELECT dg_test.says('DELETE FROM architectures WHERE id = 5');
-- effects: set null, set default, cascade, another column
SELECT dg_test.says('DELETE FROM architectures WHERE id = 7');
SELECT dg_test.says('DELETE FROM architectures WHERE id = 8');
SELECT dg_test.says('DELETE FROM architectures WHERE id = 9');
SELECT dg_test.says('DELETE FROM architectures WHERE id = 10');
-- several rows, more than are shown, and some that nothing refers to
SELECT dg_test.says('DELETE FROM architectures WHERE id IN (5, 6)');
SELECT dg_test.says('DELETE FROM architectures WHERE id IN (7, 8, 9, 10)');
SELECT dg_test.says('DELETE FROM architectures WHERE id BETWEEN 5 AND 12');
-- a change of key, TRUNCATE
SELECT dg_test.says('UPDATE architectures SET id = 105 WHERE id = 5');
SELECT dg_test.says('UPDATE architectures SET name = ''x'' WHERE id = 9');
SELECT dg_test.says('TRUNCATE architectures CASCADE');
-- scope all: nothing refers to it
SELECT delete_guard.protect('architectures', scope => 'all');
SELECT dg_test.says('DELETE FROM architectures WHERE id = 20');
SELECT dg_test.says('DELETE FROM architectures WHERE id IN (20, 5)');
SELECT dg_test.says('DELETE FROM architectures WHERE id IN (20, 21, 22, 23, 24)');
SELECT dg_test.alone($$SELECT delete_guard.protect('architectures')$$);
-- a composite key, text as it is
CREATE TABLE composite (a text, b int, PRIMARY KEY (a, b));
CREATE TABLE to_composite (b int, a text, FOREIGN KEY (b, a) REFERENCES composite (b, a));
SELECT delete_guard.protect('composite');
INSERT INTO composite VALUES ('x, (y)', 1), (E'new\nline', 2);
INSERT INTO to_composite VALUES (1, 'x, (y)'), (2, E'new\nline');
SELECT dg_test.says('DELETE FROM composite WHERE b = 1');
SELECT dg_test.says('DELETE FROM composite WHERE b = 2');
-- a very long key
CREATE TABLE long (k text PRIMARY KEY);
CREATE TABLE to_long (k text REFERENCES long);
SELECT delete_guard.protect('long');
INSERT INTO long VALUES (repeat('k', 2000));
INSERT INTO to_long SELECT k FROM long;
SELECT length(dg_test.says('DELETE FROM long')) < 5000 AS bounded;
-- What the functions on requests say
SELECT delete_guard.protect('architectures', approvals => 2);
RESET ROLE;
GRANT ALL ON ALL TABLES IN SCHEMA dg_msg TO regress_dg_alice, regress_dg_bob, regress_dg_carol;
\c - regress_dg_alice
SELECT delete_guard.request_delete('dg_msg.architectures', 'id = 5') AS r \gset
SELECT dg_test.says(format('SELECT delete_guard.approve(%s)', :r));
SELECT dg_test.says(format('SELECT delete_guard.deny(%s)', :r));
SELECT dg_test.says('SELECT delete_guard.approve(0)');
SELECT dg_test.says('SELECT delete_guard.request_delete(''dg_msg.architectures'', ''id = -5'')');
SELECT dg_test.says('SELECT delete_guard.request_delete(''dg_msg.architectures'', ''id'')');
SELECT dg_test.says('SELECT delete_guard.request_delete(''dg_msg.distributions'', ''true'')');
SELECT dg_test.says('SELECT delete_guard.add_approver(''regress_dg_alice'')');
SELECT dg_test.says('SELECT delete_guard.add_approver(''regress_dg_alice'', ''dg_msg.architectures'')');
\c - regress_dg_carol
SELECT dg_test.says(format('SELECT delete_guard.approve(%s)', :r));
SELECT dg_test.says(format('SELECT delete_guard.cancel(%s)', :r));
\c - regress_dg_bob
SELECT approvals, approvals_needed FROM delete_guard.approve(:r);
SELECT dg_test.says(format('SELECT delete_guard.approve(%s)', :r));
\c - regress_dg_alice
BEGIN;
SELECT set_config('delete_guard.approval', :'r', true) = :'r';
SELECT dg_test.says('DELETE FROM dg_msg.architectures WHERE id = 5');
-- a number that names no request
SELECT set_config('delete_guard.approval', '999999999', true);
SELECT regexp_replace(dg_test.says('DELETE FROM dg_msg.architectures WHERE id = 5'), '999999999', 'M');
ROLLBACK;
SELECT delete_guard.cancel(:r);
SELECT dg_test.says(format('SELECT delete_guard.cancel(%s)', :r));
\c - :super
SET client_min_messages = warning;
SET search_path = dg_msg;
SELECT dg_test.says('SELECT delete_guard.add_approver(''pg_monitor'')');
SELECT dg_test.says('SELECT delete_guard.remove_approver(''regress_dg_carol'')');
SELECT dg_test.says('SELECT delete_guard.remove_approver(''regress_dg_carol'', ''architectures'')');
SELECT dg_test.alone($$SELECT delete_guard.remove_approver('regress_dg_bob', 'architectures')$$);
SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) FROM delete_guard.references_to('architectures') WHERE kind = 'declared'$$);
CALL dg_test.release('dg_msg');
DROP SCHEMA dg_msg CASCADE;
