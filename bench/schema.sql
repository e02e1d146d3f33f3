-- Tables for the measurements: the same rows for each contender.
CREATE EXTENSION delete_guard;
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text,
                    ok boolean, at timestamptz DEFAULT now(), doc jsonb);
INSERT INTO plain (name, ok, doc)
    SELECT 'name ' || i, i % 2 = 0, jsonb_build_object('a', i, 'b', 'x' || i)
    FROM generate_series(1, 200000) AS i;
CREATE TABLE audited (LIKE plain INCLUDING ALL);
CREATE TABLE guarded (LIKE plain INCLUDING ALL);
CREATE TABLE guarded_no_references (LIKE plain INCLUDING ALL);
INSERT INTO audited OVERRIDING SYSTEM VALUE SELECT * FROM plain;
INSERT INTO guarded OVERRIDING SYSTEM VALUE SELECT * FROM plain;
INSERT INTO guarded_no_references OVERRIDING SYSTEM VALUE SELECT * FROM plain;
CREATE TABLE audit (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), image jsonb);

-- three referencing tables; none of their rows refers to a row that is there
CREATE TABLE r1 (id bigint PRIMARY KEY, ref bigint);
CREATE TABLE r2 (LIKE r1 INCLUDING ALL);
CREATE TABLE r3 (LIKE r1 INCLUDING ALL);
INSERT INTO r1 SELECT i, -i FROM generate_series(1, 100000) AS i;
INSERT INTO r2 SELECT * FROM r1;
INSERT INTO r3 SELECT * FROM r1;
CREATE INDEX ON r1 (ref);
CREATE INDEX ON r2 (ref);
CREATE INDEX ON r3 (ref);
SELECT delete_guard.protect('guarded', 'log');
SELECT delete_guard.protect('guarded_no_references', 'log');
SELECT delete_guard.declare_reference('r1', '{ref}', 'guarded');
SELECT delete_guard.declare_reference('r2', '{ref}', 'guarded');
SELECT delete_guard.declare_reference('r3', '{ref}', 'guarded');

-- for refused attempts: each client tries rows of its own
CREATE TABLE refused (id int PRIMARY KEY);
CREATE TABLE refused_child (id int PRIMARY KEY, refused_id int);
INSERT INTO refused SELECT generate_series(1, 100000);
INSERT INTO refused_child SELECT i, i FROM generate_series(1, 100000) AS i;
CREATE INDEX ON refused_child (refused_id);
SELECT delete_guard.protect('refused');
SELECT delete_guard.declare_reference('refused_child', '{refused_id}', 'refused');
VACUUM ANALYZE;
