-- restore() where the table is not what it was: columns, names, partitions, triggers
CREATE SCHEMA dg_changed AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA dg_changed TO PUBLIC;
GRANT SELECT ON delete_guard.audit_log, delete_guard.audit_rows TO regress_dg_owner;
SET ROLE regress_dg_owner;
SET search_path = dg_changed;
SET client_min_messages = warning;

-- Columns: followed by number when renamed, whatever has their name now; dropped ones are told; added ones
-- take their default; others of another type are read again
CREATE TABLE t (gone_before int, id int PRIMARY KEY, a text, b text, c int, d int, e jsonb, f text, g int);
ALTER TABLE t DROP gone_before;
SELECT delete_guard.protect('t', 'log');
INSERT INTO t VALUES (1, 'a', 'b', 3, 4, '{"k": "v"}', '{"x": [1, 2]}', 7), (2, 'a2', NULL, NULL, NULL, '"s"', '"\u00e4"', 8), (3, 'a3', 'b3', 3, 4, 'null', NULL, 9);
DELETE FROM t;
ALTER TABLE t RENAME a TO swap;
ALTER TABLE t RENAME b TO a;
ALTER TABLE t RENAME swap TO b;
ALTER TABLE t DROP c;
ALTER TABLE t ADD c int DEFAULT 30;
ALTER TABLE t ADD late timestamptz NOT NULL DEFAULT '2020-01-01 00:00:00+00';
ALTER TABLE t ALTER d TYPE numeric(6, 2);
ALTER TABLE t ALTER e TYPE text USING e::text;
ALTER TABLE t ALTER f TYPE jsonb USING f::jsonb;
ALTER TABLE t RENAME TO renamed;
CREATE TABLE t (id int PRIMARY KEY, a text);   -- a decoy
SELECT * FROM delete_guard.restore(dg_test.event('dg_changed.t'));
SELECT id, a, b, c, d, e, f, g, extract(year FROM late) AS late FROM renamed ORDER BY id;
TABLE t;
DROP TABLE t;
-- a value that the present type cannot read: the error says which
INSERT INTO renamed (id, b) VALUES (10, 'not a number');
DELETE FROM renamed WHERE id = 10;
ALTER TABLE renamed ALTER b TYPE int USING NULL;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_changed.renamed'))$$);  -- fails
-- a column that must have a value, and has none
DELETE FROM renamed WHERE id = 3;
ALTER TABLE renamed ALTER b TYPE text, ADD must text;
UPDATE renamed SET must = 'x';
ALTER TABLE renamed ALTER must SET NOT NULL;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_changed.renamed'))$$);  -- fails
-- the key column was dropped and made again: rows come back without it
ALTER TABLE renamed DROP must;
ALTER TABLE renamed DROP id CASCADE, ADD id serial PRIMARY KEY;
SELECT * FROM delete_guard.restore(dg_test.event('dg_changed.renamed'));
SELECT id, a, b, d FROM renamed ORDER BY id;
-- made generated since; was generated then
CREATE TABLE gen (id int PRIMARY KEY, x int, was int GENERATED ALWAYS AS (x + 1) STORED, becomes int);
SELECT delete_guard.protect('gen', 'log');
INSERT INTO gen VALUES (1, 10, DEFAULT, 5);
DELETE FROM gen;
ALTER TABLE gen ALTER was DROP EXPRESSION;
ALTER TABLE gen DROP becomes;
ALTER TABLE gen ADD becomes int GENERATED ALWAYS AS (x + 2) STORED;
SELECT action, note FROM delete_guard.restore(dg_test.event('dg_changed.gen'));
TABLE gen;

-- Made again under the same name: by name
CREATE TABLE again (x text, id int PRIMARY KEY, y text);
SELECT delete_guard.protect('again', 'log');
INSERT INTO again VALUES ('x', 1, 'y');
DELETE FROM again;
SELECT delete_guard.unprotect('again');
DROP TABLE again;
CREATE TABLE again (id bigint PRIMARY KEY, y text, z text DEFAULT 'z');
SELECT * FROM delete_guard.restore(dg_test.event('dg_changed.again'));
TABLE again;

-- Keys of every kind are seen before they hurt: expressions, predicates, NULLS NOT DISTINCT, exclusion, deferrable
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE kinds (id int PRIMARY KEY, ex text, pr text, nn int, r int4range, df int, cc text, a int, b int, "odd ""name" int,
    UNIQUE NULLS NOT DISTINCT (nn), EXCLUDE USING gist (r WITH &&), UNIQUE (df) DEFERRABLE INITIALLY DEFERRED, UNIQUE (a, b));
CREATE UNIQUE INDEX ON kinds (lower(ex), (length(ex)));
CREATE UNIQUE INDEX ON kinds (pr) WHERE pr LIKE 'x%';
CREATE UNIQUE INDEX ON kinds (cc COLLATE nocase);
CREATE UNIQUE INDEX ON kinds ("odd ""name") INCLUDE (id);
SELECT delete_guard.protect('kinds', 'log');
INSERT INTO kinds VALUES (1, 'Ex', 'xp', NULL, '[1,5)', 1, 'Case', 1, NULL, 1);
DELETE FROM kinds;
CREATE FUNCTION conflict(VARIADIC cols text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n text;
BEGIN
    DELETE FROM kinds;
    EXECUTE format('INSERT INTO kinds (id, nn, %s) VALUES (2, 2, %s)', cols[1], cols[2]);
    SELECT string_agg(action || ': ' || coalesce(note, '-'), '; ') INTO n FROM delete_guard.restore((SELECT min(event_id) FROM delete_guard.audit_log WHERE table_name = 'dg_changed.kinds' AND operation = 'delete'), dry_run => true);
    RETURN n;
END $$;
SELECT conflict('ex', $$'EX'$$), conflict('ex', $$'EX2'$$), conflict('pr', $$'xp'$$), conflict('r', $$'[4,9)'$$), conflict('r', $$'[5,9)'$$) \gx
SELECT conflict('df', '1'), conflict('cc', $$'cASE'$$), conflict('a', '1'), conflict('"odd ""name"', '1'), conflict('pr', $$'other'$$) \gx
DELETE FROM kinds;
INSERT INTO kinds (id) VALUES (2);
SELECT action, note FROM delete_guard.restore((SELECT min(event_id) FROM delete_guard.audit_log WHERE table_name = 'dg_changed.kinds' AND operation = 'delete'), dry_run => true);

-- Partitions: by routing, wherever rows belong now
CREATE TABLE part (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu (v text, id int NOT NULL, region text NOT NULL);
ALTER TABLE part ATTACH PARTITION part_eu FOR VALUES IN ('eu');
CREATE TABLE part_us PARTITION OF part FOR VALUES IN ('us') PARTITION BY RANGE (id);
CREATE TABLE part_us_1 PARTITION OF part_us FOR VALUES FROM (0) TO (100);
SELECT delete_guard.protect('part', 'log');
INSERT INTO part SELECT i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, 'v' || i FROM generate_series(1, 6) AS i;
DELETE FROM part;
SELECT * FROM delete_guard.restore(dg_test.event('dg_changed.part'));
SELECT tableoid::regclass, id, region, v FROM part ORDER BY id;
-- deleted from a leaf; the leaf is gone, and another one takes its rows
DELETE FROM part_us_1;
SELECT delete_guard.unprotect('part');
DROP TABLE part_us_1;
CREATE TABLE part_us_a PARTITION OF part_us FOR VALUES FROM (0) TO (3);
CREATE TABLE part_us_b PARTITION OF part_us FOR VALUES FROM (3) TO (100);
SELECT * FROM delete_guard.restore(dg_test.event('dg_changed.part'));
SELECT tableoid::regclass, id, region, v FROM part ORDER BY id;
-- no partition takes them: the server's own word
SELECT delete_guard.protect('part', 'log');
DELETE FROM part WHERE id IN (1, 3, 5);
DROP TABLE part_us_b;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_changed.part'))$$);  -- fails
-- a partitioned table whose key was changed; and one moved by that, of which the new key is not known
UPDATE part SET id = id + 100 WHERE region = 'eu';
SELECT key, action, note FROM delete_guard.restore(dg_test.event('dg_changed.part'));
UPDATE part SET region = 'us', id = 1 WHERE id = 2;
SELECT key, action, note FROM delete_guard.restore(dg_test.event('dg_changed.part'));
SELECT id, region FROM part ORDER BY 1;

-- Inheritance: each row to the table that it was in
CREATE TABLE parent (id int PRIMARY KEY, p text);
CREATE TABLE child (c text) INHERITS (parent);
ALTER TABLE child ADD PRIMARY KEY (id);
SELECT delete_guard.protect('parent', 'log');
INSERT INTO parent VALUES (1, 'p1'), (2, 'p2');
INSERT INTO child VALUES (1, 'c1', 'c'), (3, 'c3', 'c');
DELETE FROM parent;
SELECT * FROM delete_guard.restore(dg_test.event('dg_changed.parent'));
SELECT tableoid::regclass, * FROM parent ORDER BY 1, 2;
TABLE child;

-- Triggers fire as for any INSERT, and rows that they keep out are told
CREATE TABLE trg (id int PRIMARY KEY, v text);
CREATE TABLE trg_log (who name, path text, style text, id int);
CREATE FUNCTION trg_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dg_changed.trg_log VALUES (current_user, current_setting('search_path'), current_setting('DateStyle'), NEW.id);
    IF NEW.v = 'out' THEN RETURN NULL; END IF;
    NEW.v := NEW.v || '!';
    RETURN NEW;
END $$;
CREATE TRIGGER trg_before BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_before();
SELECT delete_guard.protect('trg', 'log');
INSERT INTO trg VALUES (1, 'a'), (2, 'b');
DELETE FROM trg WHERE id = 1;
TRUNCATE trg_log;
SET datestyle = 'German';
SELECT action, note FROM delete_guard.restore(dg_test.event('dg_changed.trg'));
RESET datestyle;
TABLE trg;
TABLE trg_log;
ALTER TABLE trg DISABLE TRIGGER trg_before;
INSERT INTO trg VALUES (3, 'out'), (4, 'in');
DELETE FROM trg WHERE id > 2;
ALTER TABLE trg ENABLE TRIGGER trg_before;
SELECT dg_test.says_event($$SELECT delete_guard.restore(dg_test.event('dg_changed.trg'))$$);  -- fails
SELECT key, action, note FROM delete_guard.restore(dg_test.event('dg_changed.trg'), 'skip');
TABLE trg;
-- rules too
CREATE TABLE ruled (id int PRIMARY KEY);
CREATE TABLE ruled_log (id int);
SELECT delete_guard.protect('ruled', 'log');
INSERT INTO ruled VALUES (1), (2);
DELETE FROM ruled;
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO ruled_log VALUES (NEW.id);
SELECT key, action, note FROM delete_guard.restore(dg_test.event('dg_changed.ruled'));
TABLE ruled;
TABLE ruled_log;

-- A deferrable foreign key is looked at when it is due
CREATE TABLE def_p (id int PRIMARY KEY);
CREATE TABLE def_c (id int PRIMARY KEY, p int REFERENCES def_p DEFERRABLE INITIALLY DEFERRED);
SELECT delete_guard.protect('def_c', 'log');
INSERT INTO def_p VALUES (1);
INSERT INTO def_c VALUES (1, 1);
DELETE FROM def_c;
DELETE FROM def_p;
BEGIN;
SELECT action FROM delete_guard.restore(dg_test.event('dg_changed.def_c'));
INSERT INTO def_p VALUES (1);
COMMIT;
TABLE def_c;

-- values that may have become others are told: another type, names of objects
CREATE TABLE named ();
CREATE TABLE retyped (id int PRIMARY KEY, a timestamp, n numeric, r regclass, rs regtype[], t text);
INSERT INTO retyped VALUES (1, '2020-07-01 10:00', 7, 'named', '{integer}', 'x');
SELECT delete_guard.protect('retyped', 'log');
DELETE FROM retyped;
ALTER TABLE retyped ALTER a TYPE timestamptz, ALTER n TYPE int;
ALTER TABLE named RENAME TO named_before;
CREATE TABLE named ();
SELECT action, note FROM delete_guard.restore(dg_test.event('dg_changed.retyped'), dry_run => true);
SELECT action, note FROM delete_guard.restore(dg_test.event('dg_changed.retyped'));
SELECT id, a AT TIME ZONE 'UTC' AS a, n, r, rs, t FROM retyped;

RESET ROLE;
SELECT count(delete_guard.unprotect(table_id)) FROM delete_guard.protected_tables;
REVOKE SELECT ON delete_guard.audit_log, delete_guard.audit_rows FROM regress_dg_owner;
DROP SCHEMA dg_changed CASCADE;
