/* Numbers for a monitoring system */
CREATE FUNCTION delete_guard._count_on() RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_count_on';
COMMENT ON FUNCTION delete_guard._count_on() IS
    'how many event numbers are not in the totals yet; if many, has the recorder count them';

CREATE FUNCTION delete_guard._recorder_counters(
    OUT name text, OUT since timestamptz, OUT value bigint) RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_recorder_counters';
COMMENT ON FUNCTION delete_guard._recorder_counters() IS
    'what was counted for this database since the server started';

CREATE FUNCTION delete_guard._enforced() RETURNS boolean
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'delete_guard_enforced';
COMMENT ON FUNCTION delete_guard._enforced() IS
    'is delete_guard.enforce on?';

/*
 * The recorder is woken first, if there is much to count.
 *
 * Events: the totals, and the events beyond the mark.  The upper bound is there
 * for the planner, which would otherwise expect a third of the table.  A series
 * that begins with its first event has no increase to be seen, so protected
 * tables begin with zeros.
 */
CREATE VIEW delete_guard.metrics (name, kind, labels, value) AS
    SELECT 'events_not_counted', 'gauge', '{}'::jsonb, delete_guard._count_on()
    UNION ALL
    SELECT v.name, v.kind,
           jsonb_build_object('operation', e.operation, 'outcome', e.outcome, 'table', e.table_name),
           v.value
    FROM (SELECT t.operation, t.outcome, t.table_name, sum(t.events) AS events,
                 sum(t.row_count) AS row_count, max(t.last_at) AS last_at
          FROM (SELECT operation, outcome, table_name, events, row_count, last_at
                FROM delete_guard.event_total
                UNION ALL
                SELECT operation, outcome, coalesce(table_name, ''), 1, row_count, occurred_at
                FROM delete_guard.event
                WHERE event_id > coalesce((SELECT upto FROM delete_guard.tally WHERE kind = 'folded'), 0)
                      AND event_id <= 9223372036854775807
                UNION ALL
                SELECT 'delete', o.outcome, format('%I.%I', n.nspname, c.relname), 0, 0, NULL
                FROM delete_guard.protected_table p
                     JOIN pg_class c ON c.oid = p.table_id
                     JOIN pg_namespace n ON n.oid = c.relnamespace,
                     unnest('{logged,blocked,approved,break_glass,not_enforced}'::text[]) AS o(outcome)) t
          GROUP BY 1, 2, 3) e,
         LATERAL (VALUES ('events_total', 'counter', e.events),
                         ('event_rows_total', 'counter', coalesce(e.row_count, 0)),
                         ('last_event_age_seconds', 'gauge', round(extract(epoch FROM clock_timestamp() - e.last_at), 3))) AS v(name, kind, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    SELECT v.name, 'gauge', '{}', v.value
    FROM (SELECT count(*) AS n, min(requested_at) AS oldest
          FROM delete_guard.request_history
          WHERE state = 'pending' AND expires_at > now()) r,
         LATERAL (VALUES ('pending_requests', r.n),
                         ('oldest_pending_request_seconds',
                          round(coalesce(extract(epoch FROM clock_timestamp() - r.oldest), 0), 3))) AS v(name, value)
    UNION ALL
    SELECT v.metric, 'counter', '{}',
           coalesce(t.earlier + CASE WHEN t.since = c.since THEN 0 ELSE t.lately END, 0) + c.value
    FROM delete_guard._recorder_counters() c
         JOIN (VALUES ('repeats', 'repeated_attempts_total'), ('not_stored', 'attempts_not_stored_total'),
                      ('starts', 'recorder_starts_total'), ('failures', 'recorder_failures_total')) AS v(name, metric)
         USING (name)
         LEFT JOIN delete_guard.recorder_total t USING (name)
    UNION ALL
    SELECT 'protected_tables', 'gauge', jsonb_build_object('mode', m.mode), count(p.mode)
    FROM unnest('{block,log}'::text[]) AS m(mode) LEFT JOIN delete_guard.protected_table p USING (mode)
    GROUP BY m.mode
    UNION ALL
    SELECT 'health_problems', 'gauge', jsonb_build_object('severity', s.severity), count(h.severity)
    FROM unnest('{error,warning,info}'::text[]) AS s(severity) LEFT JOIN delete_guard.health() h USING (severity)
    GROUP BY s.severity
    UNION ALL
    SELECT 'enforce', 'gauge', '{}', delete_guard._enforced()::integer;
COMMENT ON VIEW delete_guard.metrics IS
    'counters and gauges for a monitoring system; counters survive restarts and purging';
