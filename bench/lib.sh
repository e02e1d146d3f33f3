# shellcheck shell=bash
#
# Functions for measuring; bench/run.sh sources this after scripts/lib.sh.
#
#   $RAW       one line per measurement: measure, contender, size, run (0 is the
#              warm-up, which does not count), wall ms, CPU ms, WAL bytes, value

sql() { as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$DB" "$@"; }

# measure contender size run wall cpu wal value
record() { (IFS=,; say "$*") >>"$RAW"; }

# What it takes here to write 8 kB over what is in a file and flush it, in microseconds: the
# median of 5 times 100, as a write-ahead log is written
flush_us() {
    local file=$SCRATCH/flush i
    dd if=/dev/zero of="$file" bs=8k count=100 conv=fsync 2>/dev/null
    for i in 1 2 3 4 5; do
        LC_ALL=C dd if=/dev/zero of="$file" bs=8k count=100 conv=notrunc oflag=dsync 2>&1 |
            awk -F, '/copied/ { sub(" s$", "", $3); printf "%.0f\n", $3 * 10000 }'
    done | sort -n | sed -n 3p
    rm -f "$file"
}

section() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

# A database with the contenders' functions; dropped with everything in it by drop_database.
make_database() {
    DB=postgres
    sql -c "CREATE DATABASE $1"
    DB=$1
    sql -f bench/contenders.sql >/dev/null
}
drop_database() { local name=$DB; DB=postgres; sql -c "DROP DATABASE $name WITH (FORCE)"; }

# contender rows kept
make_contender() {
    sql >/dev/null 2>&1 <<SQL || die "could not make contender $1"
SELECT bench.make('$1', $2, $3);
VACUUM ANALYZE t_$1;
SQL
}

# Fill up again what a measured statement has deleted: contender rows. Pages are
# touched here after the checkpoint, so that no page image is part of the measurement.
refill() {
    sql >/dev/null <<SQL || die "could not fill contender $1"
SELECT bench.clear('$1');
VACUUM t_$1;
CHECKPOINT;
SET session_replication_role = replica;
SELECT bench.fill('$1', 0, $2);
VACUUM ANALYZE t_$1;
SQL
}

# Run one statement in one transaction, after another that warms the caches:
# measure contender size run warm-up statement
measure_statement() {
    local out
    out=$(as_user psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -d "$DB" <<SQL
${BEFORE:-}
$5;
SELECT pg_current_wal_insert_lsn() AS lsn, clock_timestamp() AS start, bench.cpu_ms() AS cpu \\gset
BEGIN; $6; COMMIT;
SELECT round((extract(epoch FROM clock_timestamp() - :'start') * 1000)::numeric, 3),
       round(bench.cpu_ms() - :cpu, 3), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'lsn');
SQL
    ) || die "contender $2 failed"
    # shellcheck disable=SC2086
    record "$1" "$2" "$3" "$4" ${out##*$'\n'} ''
}

# The statement that deletes what a condition names: contender condition
statement() { sql -c "SELECT bench.statement('$1', '$2')"; }

# Delete all rows with an id above 0: measure contender size run
measure_bulk() {
    measure_statement "$@" "$(statement "$2" 'id = 0')" "$(statement "$2" 'id > 0')"
}

# One statement for each contender in turn, and again: measure size runs contenders...
bulk_rounds() {
    local measure=$1 size=$2 runs=$3 run c rows
    shift 3
    for run in $(seq 0 "$runs"); do
        more_rounds "$run" || break
        for c in "$@"; do
            rows=$size
            case $measure in
            noindex*) rows=$NOINDEX_ROWS ;;
            esac
            [ "$c" != noindex_fk ] || rows=$((rows / 100))
            refill "$c" "$rows"
            measure_bulk "$measure" "$c" "$size" "$run"
        done
    done
}

# CPU time of all processes of the server that have ended, in ticks; those of clients are waited for.
reaped_ticks() {
    local postmaster
    postmaster=$(head -n 1 "$DATA/postmaster.pid")
    while [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")" -gt 1 ]; do sleep 0.02; done
    cut -d ' ' -f 16,17 "/proc/$postmaster/stat" | tr ' ' '+'
}

# Run pgbench: measure contender size run script clients further arguments...
# Records wall time and CPU time per transaction, and transactions per second.
measure_pgbench() {
    local measure=$1 contender=$2 size=$3 run=$4 script=$5 clients=$6 before lsn ticks tps done_ wal
    shift 6
    lsn=$(sql -c 'SELECT pg_current_wal_insert_lsn()')
    before=$(($(reaped_ticks)))
    as_user pgbench -n -d "$DB" -c "$clients" -j "$clients" -f "$script" "$@" >"$SCRATCH/pgbench.log" 2>&1 ||
        { tail -n 5 "$SCRATCH/pgbench.log"; die "pgbench failed for $contender"; }
    ticks=$(($(reaped_ticks) - before))
    tps=$(awk '/^tps/ { print $3 }' "$SCRATCH/pgbench.log")
    done_=$(awk '/^number of transactions actually processed/ { sub("/.*", "", $6); print $6 }' "$SCRATCH/pgbench.log")
    wal=$(sql -c "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn')")
    record "$measure" "$contender" "$size" "$run" \
        "$(awk -v t="$tps" -v c="$clients" 'BEGIN { printf "%.4f", 1000 * c / t }')" \
        "$(awk -v t="$ticks" -v n="$done_" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.4f", 1000 * t / hz / n }')" \
        "$(awk -v w="$wal" -v n="$done_" 'BEGIN { printf "%.0f", w / n }')" "$tps"
}

# Highest anonymous memory (kB) of a process while it lives, looked at every 2 ms.
peak_memory() {
    perl -e '
        my ($pid, $peak) = ($ARGV[0], 0);
        while (open my $f, "<", "/proc/$pid/status") {
            while (<$f>) { $peak = $1 if /^RssAnon:\s+(\d+)/ && $1 > $peak }
            close $f;
            select undef, undef, undef, 0.002;
        }
        print "$peak\n"' "$1"
}
