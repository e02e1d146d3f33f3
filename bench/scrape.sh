#!/usr/bin/env bash
#
# What one scrape of delete_guard.metrics costs on a long audit log. Fills the log of a
# throw-away server with EVENTS events (10,000,000), has the recorder add them to the
# totals, and reads the view: with all of them in the totals, with 10,000 that are not, and
# with TABLES protected tables (100). "Scrape" is what prometheus-postgres-exporter does: the
# queries of examples/monitoring/queries.yaml, one after the other.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh
EVENTS=${EVENTS:-10000000}
TABLES=${TABLES:-100}

sql() { (cd / && as_user psql -XAtq -v ON_ERROR_STOP=1 -d postgres "$@"); }

# Events from one number to another, as large as those of single-row deletes.
fill() {
    sql >/dev/null <<-SQL
	ALTER TABLE delete_guard.event DISABLE TRIGGER ALL;
	INSERT INTO delete_guard.event (event_id, occurred_at, operation, outcome, table_id, table_name, row_count, person, person_id,
	    session_role, active_role, application_name, backend_pid, backend_start, statement, blast_radius, parts, repeats)
	SELECT i, now() - make_interval(secs => ($EVENTS - i) * 2), 'delete', (array['logged', 'logged', 'logged', 'blocked', 'approved'])[1 + i % 5],
	    16400, 'public.t' || i % 20, 1 + i % 7, 'alice', 10, 'alice', 'alice', 'app', 4711, now(),
	    'DELETE FROM public.t' || i % 20 || ' WHERE id = ' || i, '[]',
	    '[{"key": ["id"], "table": "public.t", "effect": "delete", "columns": {"id": [1, "integer"]}, "table_id": 16400}]', 0
	FROM generate_series($1, $2) i;
	SELECT setval('delete_guard.event_id', $2);
	ANALYZE delete_guard.event;
	SQL
}

backlog() { sql -c "SELECT value FROM delete_guard.metrics WHERE name = 'events_not_counted'" | tail -n 1; }

# The exporter's queries, as one script.
queries() { awk '/^  query: \|/ {q = 1; next} q && /^    / {print; next} q {q = 0; print ";"}' examples/monitoring/queries.yaml; }

# The least of 200 times is what it costs on a machine that does nothing else.
scrape() {
    local what
    for what in view scrape; do
        rm -f "$SCRATCH"/pgbench_log*
        (cd "$SCRATCH" && as_user pgbench -n -t 200 -l -f "$SCRATCH/$what.sql" postgres) >/dev/null 2>"$SCRATCH/pgbench.log"
        cut -d ' ' -f 3 "$SCRATCH"/pgbench_log* | sort -n |
            awk -v t="$1: per $what" '{v[NR] = $1 / 1000} END {printf "%s %.1f ms at least, %.1f ms in the median\n", t, v[1], v[int(NR / 2) + 1]}'
    done
}

PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files found"
make_scratch
make_tree
build_and_install
start_server -A trust <<<"fsync = off"
sql -c 'CREATE EXTENSION delete_guard' >/dev/null
say "SELECT * FROM delete_guard.metrics;" | as_user tee "$SCRATCH/view.sql" >/dev/null
queries | as_user tee "$SCRATCH/scrape.sql" >/dev/null
scrape "empty log"
fill 1 "$EVENTS"
say "$EVENTS events, $(sql -c "SELECT pg_size_pretty(pg_total_relation_size('delete_guard.event'))")"
while [ "$(backlog)" -gt 10000 ]; do sleep 1; done
scrape "all but $(backlog) in the totals"
last=$(sql -c 'SELECT last_value FROM delete_guard.event_id')
fill $((last + 1)) $((last + 10000 - $(backlog)))
scrape "all but $(backlog) in the totals"
sql >/dev/null <<-SQL
	SET client_min_messages = warning;
	DO \$\$ BEGIN FOR i IN 1 .. $TABLES LOOP
	    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i);
	    EXECUTE format('CREATE TABLE r%s (t int REFERENCES t%s)', i, i);
	    PERFORM delete_guard.protect(format('t%s', i)::regclass);
	END LOOP; END \$\$;
	SQL
scrape "$TABLES protected tables, all but $(backlog) in the totals"
