/*
 * Own tables.
 *
 * Rules.  Rows are only ever added, by C code; the one exception is
 * event.repeats, which the recorder counts up.  Objects are referred to by
 * regclass and regrole, which pg_dump writes as names and pg_upgrade keeps; an
 * OID in a record of the past (event.table_id) is a plain oid and is never
 * used to find a table again.  No table is readable or writable by PUBLIC.
 */

/* fails if somebody has made a schema of this name: it would not be ours */
CREATE SCHEMA delete_guard;
COMMENT ON SCHEMA delete_guard IS
    'guard for rows that other rows refer to: functions, views and the audit log';

/* one row, which no dump takes along: see event.parts */
CREATE TABLE delete_guard.origin (
    origin bigint NOT NULL
) USING heap;
COMMENT ON TABLE delete_guard.origin IS
    'a number made when the extension was created: tells records of this database from restored ones';
INSERT INTO delete_guard.origin
    SELECT ('x' || translate(substr(pg_catalog.gen_random_uuid()::text, 1, 13), '-', ''))::bit(48)::bigint;

CREATE TABLE delete_guard.protected_table (
    table_id     regclass PRIMARY KEY,
    mode         text NOT NULL CHECK (mode IN ('log', 'block')),
    scope        text NOT NULL CHECK (scope IN ('referenced', 'all')),
    approvals    integer NOT NULL CHECK (approvals BETWEEN 1 AND 100),
    protected_by name NOT NULL,
    protected_at timestamptz NOT NULL
) USING heap;
COMMENT ON TABLE delete_guard.protected_table IS
    'tables under protection and their settings';

/*
 * Columns stand here by name and by number.  The numbers lead as long as the
 * OID beside them is the table's own (so a renamed column is followed and a
 * decoy with the old name is not); after a dump and restore the OID differs
 * and the names lead.
 */
CREATE TABLE delete_guard.declared_reference (
    name                text PRIMARY KEY,
    referencing         regclass NOT NULL,
    referencing_columns name[] NOT NULL,
    referencing_attnums int2[] NOT NULL,
    referencing_oid     oid NOT NULL,
    referenced          regclass NOT NULL,
    referenced_columns  name[] NOT NULL,
    referenced_attnums  int2[] NOT NULL,
    referenced_oid      oid NOT NULL,
    condition           text,
    declared_by         name NOT NULL,
    declared_at         timestamptz NOT NULL
) USING heap;
COMMENT ON TABLE delete_guard.declared_reference IS
    'associations without a foreign key, as declared';

/* table_id 0 ("-") stands for every table */
CREATE TABLE delete_guard.approver (
    role      regrole NOT NULL,
    role_name name NOT NULL,
    table_id  regclass NOT NULL,
    added_by  name NOT NULL,
    added_at  timestamptz NOT NULL,
    PRIMARY KEY (role, table_id)
) USING heap;
COMMENT ON TABLE delete_guard.approver IS
    'roles that may approve, for one table or for all';

CREATE SEQUENCE delete_guard.use_count AS bigint;
COMMENT ON SEQUENCE delete_guard.use_count IS
    'counts sessions that have written events; not dumped, so a restore begins with an unused one';

CREATE SEQUENCE delete_guard.event_id AS bigint;

CREATE TABLE delete_guard.event (
    event_id           bigint PRIMARY KEY,
    occurred_at        timestamptz NOT NULL,
    operation          text NOT NULL,
    outcome            text NOT NULL,
    table_id           oid,
    table_name         text,
    row_count          bigint,
    person             text,
    person_id          oid,
    authenticated_name text,
    session_role       text,
    active_role        text,
    claimed_user       text,
    client_addr        inet,
    application_name   text,
    backend_pid        integer,
    backend_start      timestamptz,
    transaction_id     xid8,
    statement          text,
    request_id         bigint,
    approved_by        text,
    reason             text,
    blast_radius       jsonb,
    parts              jsonb,
    details            jsonb,
    repeats            integer NOT NULL,
    images             jsonb
) USING heap;
COMMENT ON TABLE delete_guard.event IS
    'the audit log: one row per statement and protected table, or per step taken on a request or a setting';
COMMENT ON COLUMN delete_guard.event.parts IS
    'array; one element per table and effect whose rows are in event_rows: table_id, origin (of the database whose OIDs and column numbers these are), table, effect, key (column names), columns (name to number and type, as of then); depth of rows that went along; reference, set and defaults of columns that were changed';
COMMENT ON COLUMN delete_guard.event.images IS
    'row images of part 0, if they are small and no others belong to the event; there are none in event_rows then';
COMMENT ON COLUMN delete_guard.event.repeats IS
    'how often the same attempt was made again within a minute of occurred_at';

/*
 * Row images that do not stand with the event itself (event.images), several rows to a tuple: images (or, for a refused attempt,
 * keys) is a jsonb array, first_row the number of its first element.  Of changed
 * keys, both: images are the old rows, keys the new values of the key columns,
 * null where they are not known.  What jsonb cannot hold is in apart, and then
 * the tuple holds one row.
 */
CREATE TABLE delete_guard.event_rows (
    event_id  bigint NOT NULL,
    part      int2 NOT NULL,
    first_row bigint NOT NULL,
    keys      jsonb,
    images    jsonb,
    apart     bytea,
    PRIMARY KEY (event_id, part, first_row)
) USING heap;
COMMENT ON TABLE delete_guard.event_rows IS
    'row images and keys of events, packed';

CREATE SEQUENCE delete_guard.request_id AS bigint;

CREATE TABLE delete_guard.request (
    request_id       bigint PRIMARY KEY,
    event_id         bigint,
    requested_at     timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    requester        oid NOT NULL,
    requested_by     name NOT NULL,
    requester_authn  text,
    operation        text NOT NULL,
    table_id         regclass NOT NULL,
    table_name       text,
    key_columns      name[],
    keys             jsonb,
    new_keys         jsonb,
    row_count        bigint,
    digests          bytea,
    fingerprint      bytea NOT NULL,
    blast_radius     jsonb,
    reason           text,
    action           text,
    approvals_needed integer NOT NULL
) USING heap;
CREATE INDEX request_fingerprint ON delete_guard.request (fingerprint);
COMMENT ON TABLE delete_guard.request IS
    'what somebody asked to have approved: the removal of rows, or a change (action)';
COMMENT ON COLUMN delete_guard.request.new_keys IS
    'of a change of keys: what each of the keys is to become, in the same order';
COMMENT ON COLUMN delete_guard.request.digests IS
    'sorted 32-byte entries, one per row: 16 bytes of SHA-256 of the key, 16 bytes of SHA-256 of the row image; of a change, SHA-256 over the numbers of the objects that its names mean';
COMMENT ON COLUMN delete_guard.request.fingerprint IS
    'SHA-256 over requester, operation, table and digests or action: equal for the same attempt made again';
COMMENT ON COLUMN delete_guard.request.action IS
    'text of the command, for a request about DDL or settings';
COMMENT ON COLUMN delete_guard.request.table_id IS
    'the protected table; 0 ("-") for a change that concerns all of them';

CREATE SEQUENCE delete_guard.decision_id AS bigint;

/* kind: approve, deny, cancel, use, break_glass */
CREATE TABLE delete_guard.decision (
    decision_id    bigint PRIMARY KEY,
    request_id     bigint NOT NULL,
    kind           text NOT NULL,
    person         oid NOT NULL,
    person_name    name NOT NULL,
    person_authn   text,
    decided_at     timestamptz NOT NULL,
    valid_until    timestamptz,
    comment        text,
    blast_radius   jsonb,
    transaction_id xid8,
    event_id       bigint
) USING heap;
CREATE INDEX decision_request ON delete_guard.decision (request_id);
COMMENT ON TABLE delete_guard.decision IS
    'what became of a request: each approval, denial, cancellation and use';

/* attempts refused lately, to count repeats instead of storing them; not dumped */
CREATE TABLE delete_guard.attempt (
    fingerprint bytea NOT NULL,
    event_id    bigint NOT NULL,
    request_id  bigint,
    occurred_at timestamptz NOT NULL
) USING heap;
CREATE INDEX attempt_fingerprint ON delete_guard.attempt (fingerprint);
COMMENT ON TABLE delete_guard.attempt IS
    'which event holds which refused attempt, so that a repeat within a minute is counted on it';

/*
 * Who may approve what.  for_table NULL stands for every table and every
 * change; 0 for changes that concern all tables, which somebody who is an
 * approver for each table in block mode may approve too.
 */
CREATE VIEW delete_guard._approver_for AS
    SELECT role::oid AS role, role_name, nullif(table_id::oid, 0) AS for_table, added_at
    FROM delete_guard.approver
    UNION ALL
    SELECT a.role::oid, a.role_name, 0, max(a.added_at)
    FROM delete_guard.approver a
    WHERE NOT EXISTS (SELECT FROM delete_guard.protected_table t
                      WHERE t.mode = 'block' AND NOT EXISTS (
                          SELECT FROM delete_guard.approver b
                          WHERE b.role = a.role AND b.role_name = a.role_name
                                AND b.table_id::oid IN (0, t.table_id::oid)))
    GROUP BY a.role, a.role_name;
COMMENT ON VIEW delete_guard._approver_for IS
    'roles that may approve, and for which table';

/* a table may have come to ask for more approvals since */
CREATE VIEW delete_guard._approvals_needed AS
    SELECT r.request_id,
           greatest(r.approvals_needed,
                    (SELECT max(t.approvals) FROM delete_guard.protected_table t
                     WHERE t.mode = 'block' AND (r.table_id::oid = 0 OR t.table_id = r.table_id))) AS approvals
    FROM delete_guard.request r;
COMMENT ON VIEW delete_guard._approvals_needed IS
    'how many approvals a request that is open needs: as many as when it was made, and as its table asks for now';

/* the approvals of somebody who is no longer an approver do not count */
CREATE VIEW delete_guard._counted_decision AS
    SELECT d.*
    FROM delete_guard.decision d JOIN delete_guard.request r USING (request_id)
    WHERE d.kind = 'break_glass'
          OR (d.kind = 'approve' AND EXISTS (
              SELECT FROM delete_guard._approver_for p
              WHERE p.role = d.person AND p.role_name = d.person_name
                    AND p.role_name = pg_get_userbyid(d.person)
                    AND p.added_at <= d.decided_at
                    AND (p.for_table IS NULL OR p.for_table = r.table_id::oid)));
COMMENT ON VIEW delete_guard._counted_decision IS
    'decisions by which a request can be used';

SELECT pg_catalog.pg_extension_config_dump('delete_guard.protected_table', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.declared_reference', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.approver', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.event', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.event_rows', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.request', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.decision', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.event_id', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.request_id', '');
SELECT pg_catalog.pg_extension_config_dump('delete_guard.decision_id', '');
