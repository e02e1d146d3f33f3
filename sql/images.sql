-- Row images are exact: deleted, read from the audit log, put back by
-- Routes: 147
-- INSERT ... SELECT, and the same to the last bit
CREATE SCHEMA dg_images AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_images TO PUBLIC;
SET search_path = dg_images;
SET client_min_messages = warning;
\set VERBOSITY terse
-- Check one table: delete all rows, put them back from the images by each type's
-- input function, compare with what was there. Values that are apart are left out.
CREATE FUNCTION check_images(tab regclass, OUT rows bigint, OUT images bigint, OUT back bigint, OUT differences bigint)
LANGUAGE plpgsql AS $$
DECLARE
    cols text; vals text; ev bigint;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
           string_agg(CASE WHEN typname = 'jsonb' THEN format('nullif(old_row -> %L, ''null'')', attname)
                           ELSE format('(old_row ->> %L)::%s', attname, format_type(atttypid, atttypmod)) END, ', ' ORDER BY attnum)
      INTO cols, vals
    FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid
    WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('CREATE TEMP TABLE before_delete AS TABLE %s', tab);
    EXECUTE format('DELETE FROM %s', tab);
    GET DIAGNOSTICS rows = ROW_COUNT;
    SELECT max(event_id) INTO ev FROM delete_guard.audit_log;
    SELECT count(old_row) INTO images FROM delete_guard.audit_rows WHERE event_id = ev;
    -- as restoring does: under the settings that images are made with
    SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL intervalstyle = 'postgres';
    SET LOCAL timezone = 'UTC';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL bytea_output = 'hex';
    SET LOCAL lc_monetary = 'C';
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM delete_guard.audit_rows WHERE event_id = %s ORDER BY row_number',
                   tab, cols, vals, ev);
    GET DIAGNOSTICS back = ROW_COUNT;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM before_delete b FULL JOIN %s t ON (b.*) OPERATOR(pg_catalog.*=) (t.*) WHERE b.id IS NULL OR t.id IS NULL) d', tab)
        INTO differences;
    DROP TABLE before_delete;
END $$;

-- Built-in types at their edges
CREATE TABLE numbers (id int PRIMARY KEY, i2 int2, i8 bigint, n numeric, n2 numeric(10, 3), f4 real, f8 double precision, m money, o oid, b bit(5), vb varbit, bo bool);
SELECT delete_guard.protect('numbers', 'log');
INSERT INTO numbers VALUES
    (1, -32768, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', 4294967295, B'10101', B'', true),
    (2, 32767, 9223372036854775807, 'Infinity', -1234567.891, 'Infinity', '-Infinity', '92233720368547758.07', 0, B'00000', B'1', false),
    (3, 0, 0, '-Infinity', 0.000, '-0', '-0', '0.01', 1, NULL, NULL, NULL),
    (4, NULL, NULL, 1.00000000000000000000, 1.5, 0.1, 0.1, NULL, NULL, B'11111', repeat('10', 500)::varbit, NULL),
    (5, NULL, NULL, -0.000, NULL, 3.4028235e38, 1.7976931348623157e308, NULL, NULL, NULL, NULL, NULL),
    (6, NULL, NULL, (10::numeric ^ 1000) + 1, NULL, 1.1754944e-38, 2.2250738585072014e-308, NULL, NULL, NULL, NULL, NULL),
    (7, NULL, NULL, ('0.' || repeat('0', 900) || '1')::numeric, NULL, 1e-45, 5e-324, NULL, NULL, NULL, NULL, NULL),
    (8, NULL, NULL, repeat('9', 5000)::numeric, NULL, 0.1234567890123456, 0.1234567890123456, NULL, NULL, NULL, NULL, NULL),
    (-2147483648, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (2147483647, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL);
SELECT * FROM check_images('numbers');

CREATE TABLE times (id int PRIMARY KEY, d date, t time, t3 time(3), ttz timetz, ts timestamp, ts0 timestamp(0), tstz timestamptz, i interval, im interval year to month);
SELECT delete_guard.protect('times', 'log');
INSERT INTO times VALUES
    (1, 'infinity', '24:00:00', '23:59:59.999', '24:00:00+15:59:59', 'infinity', 'infinity', 'infinity', '178000000 years', '178000000 years'),
    (2, '-infinity', '00:00', '00:00', '00:00-15:59:59', '-infinity', '-infinity', '-infinity', '-178000000 years', '-1 month'),
    (3, '4714-11-24 BC', '12:34:56.789012', '12:34:56.789', '12:34:56.789012+02', '4714-11-24 00:00:00 BC', '2000-02-29', '4714-11-24 00:00:00+00 BC', '-1 year +2 mons -3 days +04:05:06.789', NULL),
    (4, '5874897-12-31', '00:00:00.000001', NULL, '01:02:03+05:30', '294276-12-31 23:59:59.999999', NULL, '294276-12-31 23:59:59.999999+00', '00:00:00.000001', NULL),
    (5, '2000-02-29', NULL, NULL, '01:02:03.4-00:01', '1999-12-31 23:59:59.999999', NULL, '2023-06-20 12:32:00+02', '-178000000 years -11 mons', NULL),
    (6, '0001-01-01 BC', NULL, NULL, NULL, '0001-12-31 BC', NULL, '0044-03-15 12:00 BC', '1 day -24:00', NULL),
    (7, NULL, NULL, NULL, NULL, NULL, NULL, '2023-10-29 02:30:00+01', '-00:00:01', NULL),
    (8, NULL, NULL, NULL, NULL, NULL, NULL, '2023-10-29 02:30:00+02', '2147483647 days -9223372036854.775807 s', NULL);
SELECT * FROM check_images('times');

CREATE TABLE texts (id int PRIMARY KEY, t text, v varchar(30), c char(10), n name, ic "char", by bytea, u uuid, x xml, j json, jb jsonb, tsv tsvector, tsq tsquery);
SELECT delete_guard.protect('texts', 'log');
INSERT INTO texts VALUES
    (1, '', '', '', '', 'a', '', '00000000-0000-0000-0000-000000000000', '', '{}', '{}', '', ''),
    (2, 'äöü €𝄞', 'NULL', 'null', repeat('n', 63), '"', '\x00ff5c27', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '<a b="c">d</a>', ' { "a" : 1, "a" : 2 } ', '{"a": [1, 2.50, "x", null, true], "": {}}', 'a:1A b:2,3 ''it''''s''', 'a & !b:*A <-> c'),
    (3, E'\n\t\r\b\f\\"''/', ' lead', 'trail  ', 'x', '\', NULL, NULL, '<!-- c -->', '"\u0000"', '"text"', NULL, NULL),
    (4, E'\x01\x1f\x7f', 'trail ', ' ', NULL, ' ', ('\x' || repeat('00', 3000))::bytea, NULL, NULL, '[1e400]', '1e400', NULL, NULL),
    (5, 'null', '{}', '[]', 'true', '0', NULL, NULL, NULL, 'null', '[null]', NULL, NULL),
    (6, repeat('ä', 200000), NULL, NULL, NULL, NULL, decode(repeat('ab', 100000), 'hex'), NULL, NULL, ('"' || repeat('x', 100000) || '"')::json, to_jsonb(repeat('y', 100000)), NULL, NULL),
    (7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM check_images('texts');

CREATE TABLE places (id int PRIMARY KEY, p point, l line, s lseg, bx box, pa path, pg polygon, ci circle, ip inet, ci2 cidr, ma macaddr, m8 macaddr8, lsn pg_lsn, snap pg_snapshot, x8 xid8, xi xid, cm cid, ti tid);
SELECT delete_guard.protect('places', 'log');
INSERT INTO places VALUES
    (1, '(-0,NaN)', '{0.1,-1,5e-324}', '[(0.1,0.2),(1e300,Infinity)]', '(1,2),(0,-0)', '[(0,0),(1,1)]', '((0,0),(1,1),(0.3,0.7))', '<(0.1,0.2),3>', '::ffff:1.2.3.4/128', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '18446744073709551615', '4294967295', '4294967295', '(4294967295,65535)'),
    (2, NULL, NULL, NULL, NULL, '((0,0),(1,1))', NULL, NULL, '192.168.100.128/25', '::/0', NULL, NULL, '0/0', NULL, '0', NULL, NULL, NULL);
SELECT * FROM check_images('places');

CREATE TABLE ranges (id int PRIMARY KEY, i4 int4range, n numrange, ts tsrange, tz tstzrange, d daterange, i8 int8range, m4 int4multirange, mn nummultirange, mt tstzmultirange);
SELECT delete_guard.protect('ranges', 'log');
INSERT INTO ranges VALUES
    (1, 'empty', '(,)', '(,2020-01-01)', '["2020-01-01 00:00+00",infinity)', '[-infinity,infinity]', '[-9223372036854775808,9223372036854775807)', '{}', '{[1.0,2.00),(3,)}', '{["2020-01-01 00:00+02","2020-01-02 00:00+02")}'),
    (2, '[1,2]', '(1.10,1.100]', '["2020-01-01 12:00:00.000001",]', '(,)', 'empty', NULL, '{[1,3),[5,7)}', '{}', NULL);
SELECT * FROM check_images('ranges');

CREATE TABLE arrays (id int PRIMARY KEY, a int[], b text[], c numeric[][], d timestamptz[], e jsonb[], f float8[], g bytea[], h int4range[], v int2vector, o oidvector);
SELECT delete_guard.protect('arrays', 'log');
INSERT INTO arrays VALUES
    (1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '', ''),
    (2, '[0:1]={1,2}', ARRAY['', 'NULL', NULL, ' a ', '"', '\', '{}', ','], '[-1:0][5:6]={{1.0,2.00},{NULL,NaN}}', ARRAY['2020-01-01 00:00+02', 'infinity']::timestamptz[],
     ARRAY['null', '{"a": 1}', '"\""']::jsonb[], '{-0,NaN,0.1,Infinity}', ARRAY['\x00', '\x5c22']::bytea[], '{"[1,2)",empty}', '1 2', '3 4'),
    (3, ARRAY[NULL]::int[], NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM check_images('arrays');

-- Types that users make: enum, domain, composite, range, of each other
CREATE TYPE mood AS ENUM ('sad', 'O''Hara "x"', '');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN jdom AS jsonb;
CREATE DOMAIN tdom AS timestamptz;
CREATE TYPE pair AS (a int, "B c" text, t timestamptz);
CREATE TYPE nested AS (p pair, l pair[], m mood);
CREATE DOMAIN pairdom AS pair;
CREATE TYPE frange AS RANGE (subtype = float8);
CREATE TABLE own (id int PRIMARY KEY, m mood, ms mood[], d posint, j jdom, td tdom, p pair, n nested, pd pairdom, fr frange, fm fmultirange, td2 tdom[]);
SELECT delete_guard.protect('own', 'log');
INSERT INTO own VALUES
    (1, 'sad', '{"O''Hara \"x\"",""}', 1, '{"a": [1]}', '2023-06-20 12:32+02', ROW(1, 'x,"(y)', '2020-01-01 00:00+05'), ROW(ROW(NULL, '', NULL), ARRAY[ROW(1, NULL, 'infinity')]::pair[], ''), ROW(3, ' ', NULL), '[-0,0.1]', '{[0.1,0.2)}', '{"2020-01-01 00:00+05"}'),
    (2, '', '{}', NULL, '5', NULL, ROW(NULL, NULL, NULL), NULL, NULL, 'empty', '{}', '{}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM check_images('own');

-- Hostile settings of the session make no difference
SET datestyle = 'German, DMY';
SET intervalstyle = 'sql_standard';
SET timezone = 'Asia/Kathmandu';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET quote_all_identifiers = on;
SET xmlbinary = 'hex';
SET xmloption = 'document';
SELECT * FROM check_images('numbers');
RESET ALL;
SET search_path = dg_images;
SET client_min_messages = warning;
SET datestyle = 'German, DMY';
SET intervalstyle = 'sql_standard';
SET timezone = 'Asia/Kathmandu';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET quote_all_identifiers = on;
SELECT * FROM check_images('times');
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'iso_8601';
SELECT * FROM check_images('texts');
SELECT * FROM check_images('places');
SELECT * FROM check_images('ranges');
SELECT * FROM check_images('arrays');
SELECT * FROM check_images('own');
-- and they are as they were after the delete
DELETE FROM times WHERE id = 5;
SHOW datestyle;
SHOW intervalstyle;
SHOW extra_float_digits;
RESET ALL;
SET search_path = dg_images;
SET client_min_messages = warning;
SELECT old_row FROM delete_guard.audit_rows ORDER BY event_id DESC LIMIT 1;

-- How it reads
CREATE TABLE looks (id int PRIMARY KEY, t text, n numeric, b bool, f float8, ts timestamptz, d date, by bytea, j jsonb, js json, a int[], i interval);
SELECT delete_guard.protect('looks', 'log');
INSERT INTO looks VALUES (1, 'x "y"', 1.50, true, 0.1, '2023-06-20 12:32:00+02', '2023-06-20', '\xff00', '{"k": [1]}', '{"k": 1,  "k": 2}', '{1,2}', '1 day 02:00');
DELETE FROM looks;
SELECT jsonb_pretty(old_row) FROM dg_test.images('dg_images.looks');

-- jsonb null is not SQL NULL: it is kept apart
CREATE TABLE jnull (id int PRIMARY KEY, j jsonb);
SELECT delete_guard.protect('jnull', 'log');
INSERT INTO jnull VALUES (1, 'null'), (2, NULL), (3, '{"a": null}');
DELETE FROM jnull;
SELECT key, old_row FROM dg_test.images('dg_images.jnull');
SELECT count(*) FROM delete_guard.event_rows WHERE apart IS NOT NULL AND event_id = (SELECT max(event_id) FROM delete_guard.audit_log);

-- Dropped columns, generated columns, defaults that came later
CREATE TABLE dropped (a text, id int PRIMARY KEY, b text, g int GENERATED ALWAYS AS (id * 2) STORED, i int GENERATED ALWAYS AS IDENTITY);
INSERT INTO dropped (a, id, b) VALUES ('a', 1, 'b');
ALTER TABLE dropped DROP a;
ALTER TABLE dropped ADD late text DEFAULT 'later';
SELECT delete_guard.protect('dropped', 'log');
INSERT INTO dropped (id, b) VALUES (2, 'b2');
ALTER TABLE dropped ADD later int DEFAULT 7;
SELECT * FROM check_images('dropped');
DELETE FROM dropped;
SELECT old_row FROM dg_test.images('dg_images.dropped');
-- 300 columns
DO $$
BEGIN
    EXECUTE (SELECT format('CREATE TABLE wide (id int PRIMARY KEY, %s)', string_agg(format('c%s %s', i, (ARRAY['int', 'text', 'numeric'])[1 + i % 3]), ', ' ORDER BY i)) FROM generate_series(1, 299) AS i);
    EXECUTE (SELECT format('INSERT INTO wide VALUES (1, %s)', string_agg(CASE WHEN i % 7 = 0 THEN 'NULL' ELSE quote_literal(i) END, ', ' ORDER BY i)) FROM generate_series(1, 299) AS i);
END $$;
SELECT delete_guard.protect('wide', 'log');
SELECT * FROM check_images('wide');
-- large values, compressed and stored out of line, in several rows
CREATE TABLE toasted (id int PRIMARY KEY, t text, u text, j jsonb);
ALTER TABLE toasted ALTER u SET STORAGE EXTERNAL;
SELECT delete_guard.protect('toasted', 'log');
INSERT INTO toasted SELECT i, repeat(i || 'ab', 400000), (SELECT string_agg(md5(i || '.' || k), '') FROM generate_series(1, 5000) AS k),
    (SELECT jsonb_object_agg(k, md5(k::text)) FROM generate_series(1, 2000) AS k) FROM generate_series(1, 5) AS i;
SELECT * FROM check_images('toasted');
-- names of columns that need care
CREATE TABLE names (id int PRIMARY KEY, "A" text, "a b" text, "quote""d" text, "ä" text, "key" text, "\" text, "012345678901234567890123456789012345678901234567890123456789012" text);
SELECT delete_guard.protect('names', 'log');
INSERT INTO names VALUES (1, '1', '2', '3', '4', '5', '6', '7');
SELECT * FROM check_images('names');

-- Nothing that a user defines runs: a cast from an enum to json (route 142), one of a domain, an operator
CREATE TYPE evil AS ENUM ('e1');
CREATE FUNCTION evil_json(evil) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'cast ran as %', current_user; RETURN '"forged"'; END $$;
CREATE CAST (evil AS json) WITH FUNCTION evil_json(evil);
CREATE FUNCTION evil_jsonb(evil) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'cast ran as %', current_user; RETURN '"forged"'; END $$;
CREATE CAST (evil AS jsonb) WITH FUNCTION evil_jsonb(evil);
CREATE FUNCTION evil_text(evil) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'cast ran as %', current_user; RETURN 'forged'; END $$;
CREATE CAST (evil AS text) WITH FUNCTION evil_text(evil);
CREATE FUNCTION evil_eq(evil, evil) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'operator ran as %', current_user; RETURN false; END $$;
CREATE OPERATOR = (leftarg = evil, rightarg = evil, function = evil_eq);
CREATE TABLE of_evil (id int PRIMARY KEY, e evil, k evil UNIQUE);
CREATE TABLE to_evil (e evil REFERENCES of_evil (k));
SELECT delete_guard.protect('of_evil');
INSERT INTO of_evil VALUES (1, 'e1', NULL), (2, 'e1', 'e1');
INSERT INTO to_evil VALUES ('e1');
DELETE FROM of_evil WHERE id = 1;
SELECT old_row FROM dg_test.images('dg_images.of_evil');
DELETE FROM of_evil WHERE id = 2;  -- fails
UPDATE of_evil SET k = NULL WHERE id = 2;  -- fails
UPDATE of_evil SET e = NULL WHERE id = 2;

-- What the rows of an event were, also after their columns changed
CREATE TABLE changed (id int PRIMARY KEY, a text, b int);
SELECT delete_guard.protect('changed', 'log');
INSERT INTO changed VALUES (1, 'a', 2);
DELETE FROM changed;
ALTER TABLE changed RENAME a TO c;
ALTER TABLE changed DROP b;
SELECT key, old_row FROM dg_test.images('dg_images.changed');

SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
CALL dg_test.release('dg_images');
DROP SCHEMA dg_images CASCADE;
