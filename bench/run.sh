#!/usr/bin/env bash
#
# A first measurement, on a throw-away server with fsync on: a DELETE of 200,000
# rows that nothing refers to, by each contender in turn, and attempts that are
# refused. Prints medians and ratios; RUNS=5 by default.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

RUNS=${RUNS:-5}
SECONDS_EACH=${SECONDS_EACH:-5}
PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files was found"
make_scratch
make_tree
build_and_install
start_server <<'CONF'
shared_buffers = 1GB
max_wal_size = 16GB
jit = off
autovacuum = off
CONF

sql() { as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

say "$(sql -c 'SELECT version()')" "loading ..."
sql -f bench/schema.sql >/dev/null 2>&1

# name of a contender -> its statement
contenders=(plain audited guarded guarded_no_references)
statement() {
    case $1 in
    audited) say 'WITH d AS (DELETE FROM audited RETURNING *) INSERT INTO audit (image) SELECT to_jsonb(d) FROM d;' ;;
    *) say "DELETE FROM $1;" ;;
    esac
}
for run in $(seq 0 "$RUNS"); do
    for c in "${contenders[@]}"; do
        { say "CHECKPOINT; SELECT pg_backend_pid() AS pid \\gset" \
              "SELECT pg_current_wal_insert_lsn() AS before, clock_timestamp() AS start \\gset" \
              "SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint AS cpu \\gset" \
              "BEGIN; $(statement "$c") COMMIT;" \
              "SELECT extract(epoch FROM clock_timestamp() - :'start') * 1000, (split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint - :cpu) / 1e6, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'before');" \
              "TRUNCATE audit;" "BEGIN; SET LOCAL session_replication_role = replica;" \
              "INSERT INTO $c OVERRIDING SYSTEM VALUE SELECT i, 'name ' || i, i % 2 = 0, now(), jsonb_build_object('a', i, 'b', 'x' || i) FROM generate_series(1, 200000) AS i; COMMIT;" \
              "VACUUM $c;"
        } | sql -F ' ' | tail -n 1 >>"$SCRATCH/$c.$((run > 0))"
    done
done

printf '\n%-24s %10s %10s %12s %14s %14s\n' "DELETE of 200,000 rows" "wall ms" "cpu ms" "WAL bytes" "cpu x audited" "WAL x audited"
base_cpu=$(awk '{ print $2 }' "$SCRATCH/audited.1" | median)
base_wal=$(awk '{ print $3 }' "$SCRATCH/audited.1" | median)
for c in "${contenders[@]}"; do
    wall=$(awk '{ print $1 }' "$SCRATCH/$c.1" | median)
    cpu=$(awk '{ print $2 }' "$SCRATCH/$c.1" | median)
    wal=$(awk '{ print $3 }' "$SCRATCH/$c.1" | median)
    awk -v c="$c" -v wall="$wall" -v cpu="$cpu" -v wal="$wal" -v bc="$base_cpu" -v bw="$base_wal" \
        'BEGIN { printf "%-24s %10.0f %10.0f %12d %14.2f %14.2f\n", c, wall, cpu, wal, cpu / bc, wal / bw }'
done

# refused attempts: every one of another row, so that none is a counted repeat
cat >"$SCRATCH/refused.pgb" <<'PGB'
\set id random(1, 100000)
DO $$ BEGIN DELETE FROM refused WHERE id = :id; EXCEPTION WHEN restrict_violation THEN NULL; END $$;
PGB
printf '\n%-24s %10s %12s\n' "refused attempts" "per second" "ms each"
for clients in 1 2; do
    as_user pgbench -n -d postgres -f "$SCRATCH/refused.pgb" -c "$clients" -j "$clients" -T "$SECONDS_EACH" 2>/dev/null |
        awk -v n="$clients" '/^latency average/ { ms = $4 } /^tps/ { tps = $3 } END { printf "%-24s %10.0f %12.3f\n", n " client(s)", tps, ms }'
done
say "" "stored: $(sql -c "SELECT count(*) + coalesce(sum(repeats), 0) FROM delete_guard.audit_log WHERE outcome = 'blocked'") attempts"
