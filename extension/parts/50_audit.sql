/* The audit log, to read */
CREATE VIEW delete_guard.audit_log AS
    SELECT event_id, occurred_at, operation, outcome, table_id, table_name, row_count,
           person::name AS person, session_role::name AS session_role, active_role::name AS active_role, claimed_user, client_addr, application_name,
           backend_pid, backend_start, transaction_id, statement, request_id, approved_by,
           blast_radius, repeats, reason, authenticated_name, person_id, details
    FROM delete_guard.event;
COMMENT ON VIEW delete_guard.audit_log IS
    'one row per statement and protected table, or per step taken on a request or a setting';

CREATE VIEW delete_guard.audit_rows AS
    SELECT r.event_id,
           r.first_row + x.position - 1 AS row_number,
           p.part ->> 'table' AS table_name,
           p.part ->> 'effect' AS effect,
           CASE WHEN r.images IS NULL THEN x.element
                ELSE (SELECT jsonb_object_agg(k, x.element -> k)
                      FROM jsonb_array_elements_text(p.part -> 'key') AS k) END AS key,
           CASE WHEN r.images IS NOT NULL THEN x.element END AS old_row
    FROM (SELECT event_id, part, first_row, keys, images FROM delete_guard.event_rows
          UNION ALL
          SELECT event_id, 0::int2, 1, NULL, images FROM delete_guard.event WHERE images IS NOT NULL) r
         JOIN delete_guard.event e USING (event_id),
         LATERAL (SELECT e.parts -> r.part::integer AS part) p,
         LATERAL jsonb_array_elements(coalesce(r.images, r.keys))
             WITH ORDINALITY AS x(element, position);
COMMENT ON VIEW delete_guard.audit_rows IS
    'the rows of each event: key and old row as jsonb';
