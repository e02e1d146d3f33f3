-- A small event holds its images itself, a large one in tuples of event_rows;
-- both tell the same
CREATE SCHEMA dg_inline AUTHORIZATION regress_dg_owner;
GRANT CREATE ON DATABASE :DBNAME TO regress_dg_owner;
SET search_path = dg_inline;
SET client_min_messages = warning;
CALL dg_test.here();
CREATE VIEW events AS SELECT * FROM delete_guard.event
    WHERE operation IN ('delete', 'key change') AND event_id > (SELECT event_id FROM dg_test.mark);
CREATE VIEW rows AS SELECT * FROM delete_guard.audit_rows WHERE event_id IN (SELECT event_id FROM events);
SET ROLE regress_dg_owner;
SELECT setseed(0.5);
CREATE TABLE one_by_one (id bigint PRIMARY KEY, name text, n numeric, ok boolean, at timestamptz, doc jsonb);
CREATE TABLE all_at_once (LIKE one_by_one INCLUDING ALL);
CREATE TABLE before_delete (LIKE one_by_one INCLUDING ALL);
INSERT INTO before_delete
    SELECT i, CASE WHEN random() < 0.1 THEN NULL ELSE repeat(chr(97 + (random() * 25)::int), (random() ^ 4 * 3000)::int) END,
           CASE WHEN random() < 0.5 THEN (random() * 1e6)::numeric END, random() < 0.5, now() - random() * interval '1000 days',
           CASE WHEN random() < 0.7 THEN jsonb_build_object('k', repeat('v', (random() * 200)::int), 'n', random()) END
    FROM generate_series(1, 300) AS i;
-- rows whose images just fit, and just do not
INSERT INTO before_delete SELECT 1000 + i, repeat('x', 400 + i) FROM generate_series(1, 600, 3) AS i;
INSERT INTO one_by_one TABLE before_delete;
INSERT INTO all_at_once TABLE before_delete;
SELECT delete_guard.protect('one_by_one', 'log'), delete_guard.protect('all_at_once', 'log');

DO $$
DECLARE
    r bigint;
BEGIN
    FOR r IN SELECT id FROM before_delete ORDER BY random() LOOP
        DELETE FROM one_by_one WHERE id = r;
    END LOOP;
END
$$;
DELETE FROM all_at_once;

RESET ROLE;
-- one event a row and one of all; of the small ones, some stand in the event and some do not
SELECT table_name, count(*) AS events, sum(row_count) AS rows, count(images) > 0 AS some_inline, count(images) < count(*) AS some_packed
FROM events GROUP BY table_name ORDER BY table_name;
-- nothing stands twice, nothing is missing
SELECT count(*) FROM events e WHERE (images IS NOT NULL) = EXISTS (SELECT FROM delete_guard.event_rows r WHERE r.event_id = e.event_id);
SELECT table_name, effect, count(*), count(DISTINCT key), min(row_number), max(row_number), count(old_row)
FROM rows GROUP BY table_name, effect ORDER BY table_name;
-- both have the same rows, exactly
SELECT count(*) FROM (
    (SELECT key, old_row FROM rows WHERE table_name = 'dg_inline.one_by_one'
     EXCEPT ALL SELECT key, old_row FROM rows WHERE table_name = 'dg_inline.all_at_once')
    UNION ALL
    (SELECT key, old_row FROM rows WHERE table_name = 'dg_inline.all_at_once'
     EXCEPT ALL SELECT key, old_row FROM rows WHERE table_name = 'dg_inline.one_by_one')) AS differ;
-- and they are what to_jsonb makes of them
SELECT count(*) AS rows, count(*) FILTER (WHERE (r.old_row ->> 'at')::timestamptz IS DISTINCT FROM b.at OR r.old_row - 'at' <> to_jsonb(b) - 'at') AS differ
FROM rows r JOIN before_delete b ON b.id = (r.key ->> 'id')::bigint;
-- one event by its number
SELECT count(*) AS wrong FROM events e WHERE table_name = 'dg_inline.one_by_one'
    AND (SELECT array_agg(r.key ->> 'id') FROM rows r WHERE r.event_id = e.event_id) IS DISTINCT FROM
        (SELECT array_agg(b.id::text) FROM before_delete b JOIN rows r ON r.event_id = e.event_id AND b.id = (r.key ->> 'id')::bigint);

-- and both can be put back
SELECT count(*) > 0 AS put_back FROM events, delete_guard.restore(event_id);
SELECT count(*) FROM ((TABLE before_delete EXCEPT ALL TABLE one_by_one) UNION ALL (TABLE one_by_one EXCEPT ALL TABLE before_delete)) AS differ;
SELECT count(*) FROM ((TABLE before_delete EXCEPT ALL TABLE all_at_once) UNION ALL (TABLE all_at_once EXCEPT ALL TABLE before_delete)) AS differ;

-- several parts, or changed keys, never stand in the event
SET ROLE regress_dg_owner;
CREATE TABLE child (id int PRIMARY KEY, ref bigint REFERENCES one_by_one ON DELETE CASCADE);
INSERT INTO child VALUES (1, 1001);
DELETE FROM one_by_one WHERE id = 1001;
UPDATE one_by_one SET id = 5000 WHERE id = 1004;
RESET ROLE;
SELECT operation, images IS NULL AS apart, jsonb_array_length(parts) AS parts
FROM events ORDER BY event_id DESC LIMIT 2;
SELECT r.row_number, r.table_name, r.effect, r.key FROM rows r JOIN
    (SELECT event_id FROM events ORDER BY event_id DESC LIMIT 2) AS e USING (event_id)
ORDER BY r.event_id, r.table_name;

-- the description of a table follows it, and so does what makes the images
SET ROLE regress_dg_owner;
ALTER TABLE one_by_one RENAME COLUMN name TO title;
ALTER TABLE one_by_one DROP COLUMN n, ADD COLUMN m int DEFAULT 7;
DELETE FROM one_by_one WHERE id = 1007;
ALTER TABLE one_by_one ALTER COLUMN m TYPE text;
UPDATE one_by_one SET m = 'seven' WHERE id = 1010;
DELETE FROM one_by_one WHERE id = 1010;
ALTER TABLE one_by_one RENAME TO renamed;
DELETE FROM renamed WHERE id = 1013;
CREATE SCHEMA dg_elsewhere;
ALTER TABLE renamed SET SCHEMA dg_elsewhere;
DELETE FROM dg_elsewhere.renamed WHERE id = 1016;
ALTER SCHEMA dg_elsewhere RENAME TO dg_other;
DELETE FROM dg_other.renamed WHERE id = 1019;
RESET ROLE;
SELECT e.table_name, r.table_name AS of_part, r.old_row - '{title,at}'::text[] AS old_row, length(r.old_row ->> 'title') AS title
FROM events e JOIN rows r USING (event_id)
WHERE e.event_id > (SELECT max(event_id) FROM events WHERE operation = 'key change')
ORDER BY e.event_id;

SELECT delete_guard.unprotect('dg_other.renamed'), delete_guard.unprotect('all_at_once');
DROP VIEW rows, events;
DROP SCHEMA dg_other, dg_inline CASCADE;
REVOKE CREATE ON DATABASE :DBNAME FROM regress_dg_owner;
