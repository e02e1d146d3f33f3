/* Requests and decisions */
CREATE FUNCTION delete_guard.request_delete(
    "table" regclass, condition text, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_request_delete';
COMMENT ON FUNCTION delete_guard.request_delete(regclass, text, text) IS
    'ask for an approval to delete the rows that meet a condition; returns the number of the request';

CREATE FUNCTION delete_guard.approve(
    request bigint, comment text DEFAULT NULL,
    OUT request_id bigint, OUT approvals integer, OUT approvals_needed integer,
    OUT usable_until timestamptz, OUT blast_radius jsonb) RETURNS record
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_approve';
COMMENT ON FUNCTION delete_guard.approve(bigint, text) IS
    'approve a request of another person; returns what hangs on its rows now';

CREATE FUNCTION delete_guard.deny(request bigint, comment text DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_deny';
COMMENT ON FUNCTION delete_guard.deny(bigint, text) IS
    'deny a request of another person, which ends it';

CREATE FUNCTION delete_guard.cancel(request bigint) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_cancel';
COMMENT ON FUNCTION delete_guard.cancel(bigint) IS
    'withdraw an own request';

CREATE FUNCTION delete_guard.break_glass(request bigint, reason text) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_break_glass';
COMMENT ON FUNCTION delete_guard.break_glass(bigint, text) IS
    'let a request be used without further approvals, in an emergency; for roles that EXECUTE was granted to';

CREATE FUNCTION delete_guard.request_change(
    "table" regclass, action text, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_request_change';
COMMENT ON FUNCTION delete_guard.request_change(regclass, text, text) IS
    'ask for an approval to run exactly this command; returns the number of the request';

CREATE FUNCTION delete_guard.purge(older_than interval) RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_purge';
COMMENT ON FUNCTION delete_guard.purge(interval) IS
    'remove events and settled requests that are older; returns how many events';

CREATE FUNCTION delete_guard._may_see_request(requester oid, table_id oid) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'delete_guard_may_see_request';
COMMENT ON FUNCTION delete_guard._may_see_request(oid, oid) IS
    'may the current person see a request by this role about this table?';

CREATE FUNCTION delete_guard._may_read_keys(table_id oid) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'delete_guard_may_read_keys';
COMMENT ON FUNCTION delete_guard._may_read_keys(oid) IS
    'may the current role see key values of this table?';

CREATE FUNCTION delete_guard._request_radius(request bigint) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'delete_guard_request_radius';
COMMENT ON FUNCTION delete_guard._request_radius(bigint) IS
    'what hangs on the rows of a request now';

/* every request, with what became of it */
CREATE VIEW delete_guard.request_history WITH (security_barrier) AS
    SELECT r.request_id, r.requested_by, r.requested_at, r.expires_at, r.operation,
           r.table_name,
           CASE WHEN delete_guard._may_read_keys(r.table_id::oid) THEN r.keys END AS keys,
           r.row_count, r.blast_radius, r.reason,
           CASE WHEN d.used_at IS NOT NULL THEN 'used'
                WHEN d.denied THEN 'denied'
                WHEN d.cancelled THEN 'cancelled'
                WHEN (d.approvals >= n.approvals OR d.broken) AND d.valid_until > clock_timestamp() THEN 'approved'
                WHEN d.approvals >= n.approvals OR d.broken OR r.expires_at <= clock_timestamp() THEN 'expired'
                ELSE 'pending' END AS state,
           d.approvals,
           CASE WHEN d.used_at IS NOT NULL OR d.denied OR d.cancelled THEN r.approvals_needed ELSE n.approvals END AS approvals_needed,
           d.decided_by, d.comments,
           d.decided_at, d.valid_until AS usable_until, d.used_at, r.event_id, r.action,
           CASE WHEN delete_guard._may_read_keys(r.table_id::oid) THEN r.new_keys END AS new_keys
    FROM delete_guard.request r JOIN delete_guard._approvals_needed n USING (request_id),
         LATERAL (SELECT count(*) FILTER (WHERE kind = 'approve' AND decision_id IN (
                             SELECT c.decision_id FROM delete_guard._counted_decision c
                             WHERE c.request_id = r.request_id))::integer AS approvals,
                         bool_or(kind = 'break_glass') IS TRUE AS broken,
                         bool_or(kind = 'deny') IS TRUE AS denied,
                         bool_or(kind = 'cancel') IS TRUE AS cancelled,
                         max(decided_at) FILTER (WHERE kind = 'use') AS used_at,
                         max(decided_at) FILTER (WHERE kind <> 'use') AS decided_at,
                         max(valid_until) AS valid_until,
                         array_agg(person_name ORDER BY decision_id) FILTER (WHERE kind <> 'use') AS decided_by,
                         array_agg(comment ORDER BY decision_id) FILTER (WHERE comment IS NOT NULL) AS comments
                  FROM delete_guard.decision WHERE decision.request_id = r.request_id) d
    WHERE delete_guard._may_see_request(r.requester, r.table_id::oid);
COMMENT ON VIEW delete_guard.request_history IS
    'every request that the current person may see, and what became of it';

CREATE VIEW delete_guard.pending_requests WITH (security_barrier) AS
    SELECT h.request_id, h.requested_by, h.requested_at, h.expires_at, h.operation,
           h.table_name, h.keys, h.row_count,
           delete_guard._request_radius(h.request_id) AS blast_radius,
           h.reason, h.approvals, h.approvals_needed, h.action, h.new_keys
    FROM delete_guard.request_history h
    WHERE h.state = 'pending';
COMMENT ON VIEW delete_guard.pending_requests IS
    'requests that wait for an approval, with what hangs on their rows now';
