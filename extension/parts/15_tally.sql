/*
 * Running totals, for the view metrics; see src/tally.c.  Purging events takes
 * nothing away from them.
 */
CREATE TABLE delete_guard.event_total (
    operation  text NOT NULL,
    outcome    text NOT NULL,
    table_name text NOT NULL,
    events     bigint NOT NULL,
    row_count  numeric NOT NULL,
    last_at    timestamptz NOT NULL,
    PRIMARY KEY (operation, outcome, table_name)
) USING heap WITH (fillfactor = 50);
COMMENT ON TABLE delete_guard.event_total IS
    'events of the audit log, counted up to the mark in tally; table_name is empty where none is concerned';

/* kind: folded, pending */
CREATE TABLE delete_guard.tally (
    kind    text PRIMARY KEY,
    upto    bigint NOT NULL,
    horizon xid8
) USING heap WITH (fillfactor = 50);
COMMENT ON TABLE delete_guard.tally IS
    'up to which event_id events are in event_total (folded), and up to which they can be once no transaction below horizon runs (pending)';

CREATE TABLE delete_guard.recorder_total (
    name    text PRIMARY KEY,
    earlier bigint NOT NULL,
    since   timestamptz NOT NULL,
    lately  bigint NOT NULL
) USING heap;
COMMENT ON TABLE delete_guard.recorder_total IS
    'counters of the recorder: sum before the shared memory of now, when that began, and the value then kept last';

/* the xids of another cluster mean nothing */
SELECT pg_catalog.pg_extension_config_dump('delete_guard.event_total', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.tally', 'WHERE kind = ''folded''');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.recorder_total', '');

/* requests that can still be approved are few among those that were made */
CREATE INDEX request_expires ON delete_guard.request (expires_at);
