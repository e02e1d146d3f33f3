-- The view metrics: events are counted by operation, outcome and table, whether
-- they have been added to the totals yet or not; who may read it
CREATE SCHEMA "Dg metrics" AUTHORIZATION regress_dg_owner;
GRANT ALL ON SCHEMA "Dg metrics" TO PUBLIC;
SET search_path = "Dg metrics";
CALL dg_test.here();
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE ROLE regress_dg_monitor IN ROLE pg_monitor;
SET ROLE regress_dg_owner;
CREATE TABLE arch (id int PRIMARY KEY);
CREATE TABLE assoc (arch_id int);
INSERT INTO arch SELECT generate_series(1, 20);
INSERT INTO assoc SELECT generate_series(1, 10);
GRANT ALL ON arch, assoc TO regress_dg_alice;
SELECT delete_guard.protect('arch');
SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
RESET ROLE;
CREATE VIEW by_outcome AS
    SELECT labels ->> 'operation' AS operation, labels ->> 'outcome' AS outcome,
           sum(value) FILTER (WHERE name = 'events_total') AS events,
           sum(value) FILTER (WHERE name = 'event_rows_total') AS rows,
           bool_and(value BETWEEN 0 AND 3600) FILTER (WHERE name = 'last_event_age_seconds') AS recent
      FROM delete_guard.metrics WHERE labels ->> 'table' = '"Dg metrics".arch' GROUP BY 1, 2;
ALTER VIEW by_outcome OWNER TO regress_dg_monitor;

-- Zeros for what has not happened yet; reading needs no write
BEGIN READ ONLY;
SET LOCAL ROLE regress_dg_monitor;
SELECT * FROM by_outcome ORDER BY 1, 2;
COMMIT;

-- Deletes that go through, one that is rolled back, some that are refused
SET ROLE regress_dg_alice;
DELETE FROM arch WHERE id IN (18, 19);
BEGIN;
DELETE FROM arch WHERE id = 17;
ROLLBACK;
DELETE FROM arch WHERE id IN (1, 2, 3);  -- fails
DELETE FROM arch WHERE id IN (1, 2, 3);  -- fails, and is a repeat
UPDATE arch SET id = 100 WHERE id = 4;   -- fails
DELETE FROM arch WHERE id = 20;
SET ROLE regress_dg_monitor;
SELECT * FROM by_outcome WHERE events > 0 ORDER BY 1, 2;

-- What concerns no table
SELECT name, kind, value > 0 AS positive FROM delete_guard.metrics
 WHERE labels = '{}' AND name NOT IN ('attempts_not_stored_total', 'events_not_counted', 'recorder_failures_total') ORDER BY name;
SELECT name, kind, labels, value > 0 AS positive FROM delete_guard.metrics WHERE name = 'protected_tables' AND labels ->> 'mode' = 'block';
SELECT name, labels, count(*) FROM delete_guard.metrics GROUP BY name, labels HAVING count(*) > 1;
SELECT DISTINCT name, kind FROM delete_guard.metrics WHERE name ~ '_total$' <> (kind = 'counter');

-- Not for everybody
SET ROLE regress_dg_alice;
SELECT * FROM delete_guard.metrics;               -- fails
SELECT delete_guard._count_on();                  -- fails
SELECT * FROM delete_guard._recorder_counters();  -- fails
SELECT * FROM delete_guard.event_total;           -- fails
RESET ROLE;

SELECT delete_guard.unprotect('arch');
SELECT delete_guard.forget_reference('assoc_arch_id');
DROP SCHEMA "Dg metrics" CASCADE;
DROP ROLE regress_dg_monitor;
