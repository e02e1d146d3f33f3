-- What a preview shows of tables that the caller may not read, or not all of, and of names that are hostile
SELECT current_user AS super \gset
CREATE SCHEMA dg_preview_rights AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_preview_rights TO PUBLIC;
SET search_path = dg_preview_rights;
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\pset format unaligned
\set VERBOSITY default
\set SHOW_CONTEXT never

-- the error of a declared condition shows a value only to those who may read the table
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (id int PRIMARY KEY, p int, secret text);
INSERT INTO p VALUES (1), (2);
INSERT INTO c VALUES (1, 1, 'topsecret'), (2, 2, '1');
SELECT delete_guard.declare_reference('c', '{p}', 'p', condition => 'secret::int > 0');
GRANT SELECT, DELETE ON p TO regress_dg_alice;
SELECT count(*) FROM delete_guard.preview_delete('p', 'id = 1');  -- fails, as it is the owner with the value
SET ROLE regress_dg_alice;
SELECT count(*) FROM delete_guard.preview_delete('p', 'id = 1');  -- fails without it
SELECT table_name, effect, rows, sample_keys FROM delete_guard.preview_delete('p', 'id = 2');
SET ROLE regress_dg_owner;
SELECT delete_guard.protect('p');
SET ROLE regress_dg_alice;
DELETE FROM p WHERE id = 1;  -- fails without it
SET ROLE regress_dg_owner;
GRANT SELECT ON c TO regress_dg_alice;
SET ROLE regress_dg_alice;
DELETE FROM p WHERE id = 1;  -- fails with it
SET ROLE regress_dg_owner;
SELECT delete_guard.unprotect('p');
SELECT delete_guard.forget_reference('c_p');

-- whoever may read a partitioned table may read what is in its partitions, by way of it
CREATE TABLE pp (id int PRIMARY KEY, up int REFERENCES pp ON DELETE CASCADE, hidden text) PARTITION BY RANGE (id);
CREATE TABLE pp_gap (hidden text, gap int, up int, id int NOT NULL);
ALTER TABLE pp_gap DROP gap;
ALTER TABLE pp ATTACH PARTITION pp_gap FOR VALUES FROM (0) TO (10);
INSERT INTO pp VALUES (1, NULL, 'x'), (2, 1, 'y');
GRANT DELETE ON pp TO regress_dg_alice;
GRANT SELECT (tableoid, ctid, id) ON pp TO regress_dg_alice;
GRANT SELECT ON pp TO regress_dg_bob;
GRANT DELETE ON pp, pp_gap TO regress_dg_bob;
SET ROLE regress_dg_alice;
SELECT table_name, rows, sample_keys FROM delete_guard.preview_delete('pp', 'id = 1');
SET ROLE regress_dg_bob;
SELECT table_name, rows, sample_keys FROM delete_guard.preview_delete('pp', 'id = 1');
-- not by way of the partition itself
SELECT table_name, rows FROM delete_guard.preview_delete('pp_gap');  -- fails
-- nor with row security on the way
SET ROLE regress_dg_owner;
ALTER TABLE pp ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON pp USING (true);
SET ROLE regress_dg_bob;
SELECT table_name, rows, sample_keys FROM delete_guard.preview_delete('pp', 'id = 1');
-- a row without a key is shown whole to whoever may read every column
SET ROLE regress_dg_owner;
CREATE TABLE keyless (p int REFERENCES p ON DELETE CASCADE, note text);
INSERT INTO keyless VALUES (1, 'n');
GRANT SELECT (p) ON keyless TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT table_name, sample_keys FROM delete_guard.preview_delete('p', 'id = 1') WHERE depth = 1;
SET ROLE regress_dg_owner;
GRANT SELECT (note) ON keyless TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT table_name, sample_keys FROM delete_guard.preview_delete('p', 'id = 1') WHERE depth = 1;

-- whoever may delete, and not read, may not ask: DELETE tells him less
SET ROLE regress_dg_owner;
CREATE TABLE blind (id int PRIMARY KEY);
GRANT DELETE ON blind TO regress_dg_alice;
SET ROLE regress_dg_alice;
SELECT count(*) FROM delete_guard.preview_delete('blind');  -- fails

-- names come out safe in every format
SET ROLE regress_dg_owner;
CREATE TABLE u (id int PRIMARY KEY);
CREATE TABLE U&"`<b>x</b>&#35;\\\000a\000d\001b[31m\007fy" ("a<b" int REFERENCES u);
INSERT INTO u VALUES (1);
INSERT INTO U&"`<b>x</b>&#35;\\\000a\000d\001b[31m\007fy" VALUES (1);
SELECT x FROM delete_guard.explain_delete('u') AS x WHERE x ~ 'x</b>';
SELECT count(*) FROM delete_guard.explain_delete('u') AS x WHERE x ~ '[[:cntrl:]]';
SELECT x FROM delete_guard.explain_delete('u', format => 'mermaid') AS x WHERE x ~ 'n1';
SELECT x FROM delete_guard.explain_delete('u', format => 'dot') AS x WHERE x ~ 'n1';
SELECT count(*) FROM delete_guard.explain_delete('u', format => 'dot') AS x WHERE x ~ '[[:cntrl:]]';
SELECT x::jsonb #>> '{tree,below,0,table}' ~ '\n\r\x1b' AS as_it_is FROM delete_guard.explain_delete('u', format => 'json') AS x;

RESET ROLE;
\pset format aligned
DROP SCHEMA dg_preview_rights CASCADE;
