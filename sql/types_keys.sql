-- Keys of all types, and names that need quotes
-- Routes: 37
CREATE SCHEMA "dg Types" AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA "dg Types" TO PUBLIC;
SET search_path = "dg Types";
CALL dg_test.here();
SET ROLE regress_dg_owner;
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TYPE mood AS ENUM ('low', 'mid', 'high');
CREATE TYPE pos AS (x int, y text);
CREATE DOMAIN code AS text CHECK (VALUE <> 'no');
CREATE DOMAIN num AS int;
CREATE TYPE frange AS RANGE (subtype = float8);
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
-- For a type: a table with that key, a foreign key and a declared reference, an index or none.
-- The first value is referred to by a foreign key, the second is declared, the third is free.
CREATE FUNCTION try_key(type text, v1 text, v2 text, v3 text, same_as_v2 text DEFAULT NULL, index boolean DEFAULT false)
RETURNS TABLE (case_ text, says text) LANGUAGE plpgsql AS $$
DECLARE
    s text;
BEGIN
    EXECUTE format('CREATE TABLE main (k %s PRIMARY KEY, note text)', type);
    EXECUTE format('CREATE TABLE by_fk (k %s REFERENCES main)', type);
    EXECUTE format('CREATE TABLE by_word (k %s)', type);
    IF index THEN
        CREATE INDEX ON by_fk (k);
        CREATE INDEX ON by_word (k);
    END IF;
    EXECUTE 'INSERT INTO main VALUES ($1::' || type || '), ($2::' || type || '), ($3::' || type || ')' USING v1, v2, v3;
    EXECUTE 'INSERT INTO by_fk VALUES ($1::' || type || ')' USING v1;
    EXECUTE 'INSERT INTO by_word VALUES ($1::' || type || '), (NULL)' USING coalesce(same_as_v2, v2);
    PERFORM delete_guard.protect('main');
    PERFORM delete_guard.declare_reference('by_word', '{k}', 'main');
    FOR case_, s IN VALUES ('foreign key', v1), ('declared', v2), ('free', v3) LOOP
        says := dg_test.says(format('DELETE FROM main WHERE k = %L::%s', s, type));
        says := CASE WHEN says = 'ok' THEN 'ok' ELSE split_part(says, E'\nHINT', 1) END;
        RETURN NEXT;
    END LOOP;
    case_ := 'image';
    SELECT old_row ->> 'k' INTO says FROM dg_test.images('"dg Types".main');
    RETURN NEXT;
    case_ := 'other spelling';
    says := split_part(dg_test.says(format('UPDATE main SET k = %L::%s WHERE k = %L::%s', coalesce(same_as_v2, v2), type, v2, type)), E'\n', 1);
    RETURN NEXT;
    case_ := 'changed';
    says := split_part(dg_test.says(format('UPDATE main SET k = %L::%s WHERE k = %L::%s', v3, type, v2, type)), E'\n', 1);
    RETURN NEXT;
    PERFORM delete_guard.unprotect('main');
    PERFORM delete_guard.forget_reference('by_word_k');
    DROP TABLE main, by_fk, by_word;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT * FROM try_key('int', '1', '2', '3');
SELECT * FROM try_key('bigint', '9223372036854775807', '-1', '0', index => true);
SELECT * FROM try_key('int2', '-32768', '1', '2');
SELECT * FROM try_key('numeric', 'NaN', '1.0', '0.1', '1.000');
SELECT * FROM try_key('numeric', 'Infinity', '1.0', '0.1', '1.000', true);
SELECT * FROM try_key('float8', '-0', 'NaN', '0.1', 'NaN');
SELECT * FROM try_key('float8', '0', '1e308', '5e-324', index => true);
SELECT * FROM try_key('text', '', 'ä "q" ''s''', 'x');
SELECT * FROM try_key('varchar(10)', 'a', 'b ', 'c', index => true);
SELECT * FROM try_key('char(5)', 'a', 'b', 'c', 'b  ');
SELECT * FROM try_key('name', 'a', 'b', 'c', index => true);
SELECT * FROM try_key('"char"', 'a', 'b', 'c');
SELECT * FROM try_key('bytea', '\x', '\x00ff', '\x01', index => true);
SELECT * FROM try_key('uuid', '00000000-0000-0000-0000-000000000001', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '00000000-0000-0000-0000-000000000003', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true);
SELECT * FROM try_key('uuid', '00000000-0000-0000-0000-000000000001', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '00000000-0000-0000-0000-000000000003', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
SELECT * FROM try_key('date', 'infinity', '2023-06-20', '-infinity');
SET datestyle = ISO;
SET lc_monetary = 'C';
SET timezone = UTC;
SELECT * FROM try_key('timestamptz', '2023-06-20 12:32:00+00', '2023-06-20 12:43:00+00', 'infinity', '2023-06-20 14:43:00+02', true);
SELECT * FROM try_key('interval', '1 day', '1 mon', '1 us', '30 days');
SELECT * FROM try_key('interval', '1 day', '1 mon', '1 us', '30 days', true);
RESET timezone;
SELECT * FROM try_key('inet', '10.0.0.0/8', '::1', '10.0.0.1');
SELECT * FROM try_key('macaddr', '08:00:2b:01:02:03', '08:00:2b:01:02:04', '08:00:2b:01:02:05', index => true);
SELECT * FROM try_key('bit(3)', '101', '000', '111');
SELECT * FROM try_key('money', '1', '2', '3');
SELECT * FROM try_key('pg_lsn', '11111111/22222222', 'FFFFFFFF/FFFFFFFF', '12345678/9ABCDEF0');
SELECT * FROM try_key('oid', '0', '4294967295', '1');
SELECT * FROM try_key('jsonb', '{"a": 1}', '[1, 2]', '"x"', '[1,2.0]');
SELECT * FROM try_key('tsvector', 'a', 'b:1', 'c');
-- enum, domains, composite, range, multirange, arrays
SELECT * FROM try_key('mood', 'low', 'mid', 'high');
SELECT * FROM try_key('mood', 'low', 'mid', 'high', index => true);
SELECT * FROM try_key('code', 'a', 'b', 'c', index => true);
SELECT * FROM try_key('num', '1', '2', '3');
SELECT * FROM try_key('pos', '(1,a)', '(2,)', '(3,"x,y")', index => true);
SELECT * FROM try_key('pos', '(1,a)', '(2,)', '(3,"x,y")');
SELECT * FROM try_key('int4range', '[1,2]', 'empty', '(,)', '(5,5)');
SELECT * FROM try_key('frange', '[1,2]', 'empty', '(,)', index => true);
SELECT * FROM try_key('int4multirange', '{[1,2]}', '{}', '{(,)}');
SELECT * FROM try_key('int[]', '{}', '{1,NULL}', '[0:1]={1,2}', index => true);
SELECT * FROM try_key('text[]', '{}', '{a,"b c"}', '{x}');
-- text under a collation that takes A and a for equal
SELECT * FROM try_key('text COLLATE nocase', 'a', 'B', 'c', 'b');
SELECT * FROM try_key('text COLLATE nocase', 'a', 'B', 'c', 'b', true);
-- a key of user type with another type's reference: domain to base type, base type to domain
\pset tuples_only off
\pset format aligned
CREATE TABLE dom (k code PRIMARY KEY, n num UNIQUE);
CREATE TABLE to_dom (k text REFERENCES dom, n bigint REFERENCES dom (n));
CREATE TABLE to_dom2 (k varchar, n int2);
SELECT delete_guard.protect('dom');
SELECT delete_guard.declare_reference('to_dom2', '{k}', 'dom');
SELECT delete_guard.declare_reference('to_dom2', '{n}', 'dom', '{n}');
INSERT INTO dom SELECT 'd' || i, i FROM generate_series(1, 5) AS i;
INSERT INTO to_dom VALUES ('d1', 2);
INSERT INTO to_dom2 VALUES ('d3', 4);
DELETE FROM dom WHERE n = 1;  -- fails
DELETE FROM dom WHERE n = 2;  -- fails
DELETE FROM dom WHERE n = 3;  -- fails
DELETE FROM dom WHERE n = 4;  -- fails
DELETE FROM dom WHERE n = 5;

-- Names: mixed case, quotes, 63 bytes
CREATE TABLE "Mixed Case ""q""" ("Id" int PRIMARY KEY, "na.me" text UNIQUE);
CREATE TABLE "012345678901234567890123456789012345678901234567890123456789012"
    ("a12345678901234567890123456789012345678901234567890123456789012" int CONSTRAINT "c12345678901234567890123456789012345678901234567890123456789012" REFERENCES "Mixed Case ""q""",
     "b'\" text);
SELECT delete_guard.protect('"Mixed Case ""q"""');
SELECT delete_guard.declare_reference('"012345678901234567890123456789012345678901234567890123456789012"', ARRAY['b''\'], '"Mixed Case ""q"""', '{na.me}', '"b''\" <> ''x''');
SELECT delete_guard.declare_reference('"012345678901234567890123456789012345678901234567890123456789012"', '{a12345678901234567890123456789012345678901234567890123456789012}', '"Mixed Case ""q"""');
\pset format unaligned
SELECT name, referencing, referencing_columns, referenced_columns, condition FROM delete_guard.references_to('"Mixed Case ""q"""') ORDER BY name COLLATE "C";
INSERT INTO "Mixed Case ""q""" VALUES (1, 'n1'), (2, 'n2'), (3, 'n3');
INSERT INTO "012345678901234567890123456789012345678901234567890123456789012" VALUES (1, NULL), (NULL, 'n2'), (NULL, 'x');
SELECT dg_test.says('DELETE FROM "Mixed Case ""q""" WHERE "Id" = 1');
SELECT dg_test.says('DELETE FROM "Mixed Case ""q""" WHERE "Id" = 2');
DELETE FROM "Mixed Case ""q""" WHERE "Id" = 3;
SELECT operation, outcome, table_name, rows, hangs FROM dg_test.news() WHERE table_name LIKE '%Mixed%';
SELECT * FROM dg_test.images('"dg Types"."Mixed Case ""q"""');
\pset format aligned
-- composite keys of mixed types, in a referencing table with other types
CREATE TABLE combo (a text, b numeric, c mood, PRIMARY KEY (c, a, b));
CREATE TABLE to_combo (b int, a varchar, c mood);
SELECT delete_guard.protect('combo');
SELECT delete_guard.declare_reference('to_combo', '{c,a}', 'combo', '{c,a}');  -- fails
SELECT delete_guard.declare_reference('to_combo', '{a,b,c}', 'combo', '{a,b,c}');
INSERT INTO combo VALUES ('x', 1.00, 'low'), ('x', 1.00, 'mid'), ('x', 1.01, 'low'), ('y', 1, 'low');
INSERT INTO to_combo VALUES (1, 'x', 'low');
DELETE FROM combo WHERE a = 'x' AND c = 'low' AND b = 1;  -- fails
DELETE FROM combo WHERE NOT (a = 'x' AND c = 'low' AND b = 1);
TABLE combo;
-- a key with INCLUDE columns, one that is not the primary key, a table without one
CREATE TABLE inc (id int, v text, PRIMARY KEY (id) INCLUDE (v));
CREATE TABLE ukey (v text, u int NOT NULL UNIQUE, w int NOT NULL UNIQUE);
CREATE TABLE to_ukey (u int, w int);
SELECT delete_guard.protect('inc', scope => 'all');
SELECT delete_guard.protect('ukey');
SELECT delete_guard.declare_reference('to_ukey', '{w}', 'ukey', '{w}');
INSERT INTO inc VALUES (1, 'x');
INSERT INTO ukey VALUES ('x', 1, 11), ('y', 2, 12);
INSERT INTO to_ukey VALUES (2, 11);
DELETE FROM inc;  -- fails
UPDATE inc SET v = 'y';
DELETE FROM ukey WHERE u = 1;  -- fails
DELETE FROM ukey WHERE u = 2;
SELECT operation, outcome, table_name, rows, images, hangs FROM dg_test.news() WHERE table_name ~ 'inc|ukey|combo|dom';
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
SELECT count(delete_guard.forget_reference(name)) FROM unnest('{dom,combo,ukey,"\"Mixed Case \"\"q\"\"\""}'::regclass[]) AS t, delete_guard.references_to(t) WHERE kind = 'declared';
RESET ROLE;
CALL dg_test.release('"dg Types"');
DROP SCHEMA "dg Types" CASCADE;
