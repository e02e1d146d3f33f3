-- Whichever way referring rows are found (index on all columns, on some, of another
-- type or method, one filtered scan, one hash and one scan), their number is what a
-- plain join counts: on random data, for few keys and for many
CREATE SCHEMA dg_paths;
SET client_min_messages = warning;
SET search_path = dg_paths;
SELECT setseed(0.25) IS NOT NULL AS seeded;
CREATE TABLE parent (a int, b text, n numeric NOT NULL, PRIMARY KEY (a, b), UNIQUE (n));
INSERT INTO parent SELECT i, 'b' || i % 7, i / 4.0 FROM generate_series(1, 3000) AS i;
SELECT delete_guard.protect('parent', 'log');

-- the same rows in each: some refer, some almost, some have a NULL
CREATE TABLE no_index (a int, b text, n numeric);
INSERT INTO no_index
    SELECT CASE WHEN random() < 0.9 THEN (random() * 3300)::int END, 'b' || (random() * 7)::int, (random() * 3000)::int / 4.00
    FROM generate_series(1, 9000);
CREATE TABLE both_columns AS TABLE no_index;
CREATE INDEX ON both_columns (b, a);
CREATE TABLE first_column AS TABLE no_index;
CREATE INDEX ON first_column (a);
CREATE INDEX ON first_column (n);
CREATE TABLE hash_index AS TABLE no_index;
CREATE INDEX ON hash_index USING hash (a);
CREATE INDEX ON hash_index USING hash (n);
CREATE TABLE other_types AS SELECT a::bigint, b::varchar(9), n FROM no_index;
CREATE INDEX ON other_types (a);
CREATE TABLE other_types_no_index AS SELECT a::smallint, b::varchar(9), n FROM no_index;
CREATE TABLE half_is_partition (a int, b text, n numeric) PARTITION BY RANGE (a);
CREATE TABLE low PARTITION OF half_is_partition FOR VALUES FROM (MINVALUE) TO (1500);
CREATE TABLE rest PARTITION OF half_is_partition DEFAULT;
CREATE INDEX ON low (a, b);
INSERT INTO half_is_partition TABLE no_index;
CREATE TABLE conditional AS SELECT *, a % 2 = 0 AS counts FROM no_index;
SELECT count(delete_guard.declare_reference(c::regclass, '{a,b}', 'parent'))
    FROM unnest('{no_index,both_columns,first_column,hash_index,other_types,other_types_no_index,half_is_partition}'::text[]) AS c;
SELECT count(delete_guard.declare_reference(c::regclass, '{n}', 'parent', '{n}'))
    FROM unnest('{no_index,first_column,hash_index}'::text[]) AS c;
SELECT delete_guard.declare_reference('conditional', '{a,b}', 'parent', condition => 'counts') IS NOT NULL AS declared;

-- What a DELETE found, against a join for each; the DELETE is undone
CREATE FUNCTION differences(condition text) RETURNS TABLE (keys bigint, referring boolean, different bigint) LANGUAGE plpgsql AS $$
DECLARE
    radius jsonb;
    expected jsonb := '[]';
    ref record;
    found bigint;
BEGIN
    FOR ref IN SELECT r.referencing AS c, array_to_string(r.referencing_columns, ', ') AS columns FROM delete_guard.references_to('parent') AS r LOOP
        EXECUTE format('SELECT count(*) FROM %s AS c JOIN parent AS p USING (%s) WHERE %s %s', ref.c, ref.columns,
                       regexp_replace(condition, '\mk\M', 'p.a', 'g'),
                       CASE WHEN ref.c::text = 'conditional' THEN 'AND counts' ELSE '' END) INTO found;
        expected := expected || jsonb_build_object('c', ref.c::regclass, 'columns', ref.columns, 'rows', found);
    END LOOP;
    BEGIN
        EXECUTE format('DELETE FROM parent AS p WHERE %s', regexp_replace(condition, '\mk\M', 'p.a', 'g'));
        GET DIAGNOSTICS keys = ROW_COUNT;
        SELECT blast_radius FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1 INTO radius;
        RAISE SQLSTATE 'DG001';
    EXCEPTION WHEN SQLSTATE 'DG001' THEN NULL;
    END;
    SELECT bool_or(rows > 0), count(*) FILTER (WHERE rows IS DISTINCT FROM coalesce(
            (SELECT sum(g.rows) FROM jsonb_to_recordset(radius) AS g("table" regclass, columns text, rows bigint)
             WHERE g."table" = e.c AND g.columns = e.columns), 0))
        FROM jsonb_to_recordset(expected) AS e(c regclass, columns text, rows bigint) INTO referring, different;
    RETURN NEXT;
END
$$;
SELECT count(*) AS trials, sum(different) AS different, min(keys), max(keys), bool_and(referring) AS all_refer FROM (
    SELECT (differences(format('k BETWEEN %s AND %s', x, x + wide - 1))).*
    FROM unnest('{20,40,999,2000}'::int[]) AS x, unnest('{7,20,499,500,501,999}'::int[]) AS wide) AS t;
SELECT count(*) AS trials, sum(different) AS different, min(keys), max(keys), bool_or(referring) AS some_refer FROM (
    SELECT (differences(format('k IN (%s, %s, %s)', x, CASE WHEN x % 2 = 0 THEN x ELSE x * 3 END, CASE WHEN x % 3 = 0 THEN x ELSE x * 2 END))).*
    FROM generate_series(11, 900, 37) AS x) AS t;
SELECT * FROM differences('k > 0');
-- more keys than a hash may hold: lot after lot
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT * FROM differences('k > 0');
SELECT * FROM differences('k BETWEEN 300 AND 2298');
RESET work_mem;
RESET hash_mem_multiplier;

SELECT dg_test.alone($$SELECT count(delete_guard.forget_reference(name)) > 0 AS forgotten FROM delete_guard.declared_reference$$);
SELECT dg_test.alone($$SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables$$);
DROP SCHEMA dg_paths CASCADE;
CALL dg_test.here();
