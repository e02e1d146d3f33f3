#!/usr/bin/env bash
#
# Measure delete_guard beside its contenders, on a throw-away server with fsync
# on.  Contenders of a section take turns; bench/report.pl prints medians and ratios.
#
#   make bench                 all sections, each within the time that LIMITS gives it
#   make bench DOC=1           and put tables and plots into doc/performance.md
#   make bench FULL=1          also 10,000,000 rows; 20 GB of disk
#   make bench-quick           some sections with less of all; status 1 if a ratio is beyond its bound
#   ONLY="bulk single"         these sections; the results of the others stay as they are
#   RESUME=1                   only sections that OUT has no results of
#   RUNS=3                     fewer repeats (and ROWS, GROWTH, MEMORY: see below)
#
# Sections: bulk noindex crossover single other refused growth memory instructions pgaudit.
# Results go to bench/results (OUT=...): raw/SECTION.csv, raw/runs.txt, results.csv,
# results.md, *.svg.  A section's results are replaced when it is through.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=bench/lib.sh
. bench/lib.sh

QUICK=${QUICK:-}
FULL=${FULL:-}
DOC=${DOC:-}
RESUME=${RESUME:-}
OUT=${OUT:-$PWD/bench/results${QUICK:+-quick}}
NOINDEX_ROWS=20000
if [ -n "$QUICK" ]; then
    defaults=(3 50000 2000 1000 2 'bulk noindex single other refused')
    LIMITS=${LIMITS:-bulk=25 noindex=20 single=30 other=20 refused=25}
else
    defaults=(5 200000 4000 2000 4 'bulk noindex crossover single other refused growth memory instructions pgaudit')
    LIMITS=${LIMITS:-bulk=200 noindex=120 crossover=40 single=200 other=80 refused=200 pgaudit=40}
fi
# Seconds after which a section begins no further round, once it has had 3
RUNS=${RUNS:-${defaults[0]}}
ROWS=${ROWS:-${defaults[1]}}
PGBENCH_SYNC=${PGBENCH_SYNC:-${defaults[2]}}        # transactions a client
PGBENCH_ASYNC=${PGBENCH_ASYNC:-${defaults[3]}}
SINGLE_RUNS=${SINGLE_RUNS:-$((${QUICK:+1} + 0 ? RUNS : RUNS * 2))}
SECONDS_EACH=${SECONDS_EACH:-${defaults[4]}}
REFUSED=${REFUSED:-$((1000 * SECONDS_EACH))}           # refused statements a client
ONLY=${ONLY:-${defaults[5]}}
GROWTH=${GROWTH:-1000 10000 100000 1000000${FULL:+ 10000000}}
MEMORY=${MEMORY:-1000 10000 100000 1000000 5000000${FULL:+ 10000000}}

available() { [ -n "$(sql -c "SELECT 1 FROM pg_available_extensions WHERE name = '$1'")" ]; }

# As root on Debian, install a peer or a tool that is missing; else do without.
try_install() {
    local package=$1 file=$2
    [ -e "$file" ] && return
    [ "$(id -u)" = 0 ] && [ -z "$QUICK" ] &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-upgrade "$package" \
            </dev/null >/dev/null 2>&1
    [ -e "$file" ] || say "skipped: $package is not installed and could not be"
}

install_peers() {
    local version libdir sharedir
    version=$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    libdir=$("$PG_CONFIG" --pkglibdir)
    sharedir=$("$PG_CONFIG" --sharedir)
    try_install "postgresql-$version-tablelog" "$sharedir/extension/table_log.control"
    try_install "postgresql-$version-periods" "$sharedir/extension/periods.control"
    try_install "postgresql-$version-pgaudit" "$libdir/pgaudit.so"
    try_install gnuplot-nox /usr/bin/gnuplot
    try_install valgrind /usr/bin/valgrind
}


print_settings() {
    sql -c "SELECT version()" -c "SELECT name || ' = ' || current_setting(name) FROM pg_settings WHERE name IN
        ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'shared_buffers', 'work_mem', 'hash_mem_multiplier',
         'max_wal_size', 'checkpoint_timeout', 'autovacuum', 'jit', 'wal_sync_method') ORDER BY name"
    say "cores: $(nproc)" "memory: $(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo)" \
        "processor: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
        "file system: $(stat -f -c %T "$SCRATCH")" "a write of 8 kB, flushed: $(flush_us) µs" "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
}

section_bulk() {
    local c contenders=(plain audited guarded_alone guarded fk fk_guarded)
    if [ -z "$QUICK" ]; then
        contenders+=(statement_trigger row_trigger check_trigger row_trigger_checks)
        for c in table_log periods; do
            if available "$c"; then contenders+=("$c"); else say "skipped: $c is not installed"; fi
        done
    fi
    make_database bulk
    [[ " ${contenders[*]} " != *" table_log "* ]] || sql -c "CREATE EXTENSION table_log" >/dev/null
    [[ " ${contenders[*]} " != *" periods "* ]] || sql -c "CREATE EXTENSION periods CASCADE" >/dev/null 2>&1
    for c in "${contenders[@]}"; do make_contender "$c" -1 $((ROWS / 2)); done
    bulk_rounds bulk "$ROWS" "$RUNS" "${contenders[@]}"
    drop_database
}

section_noindex() {
    local kept
    for kept in 20000 200000; do
        make_database noindex
        for c in noindex_antijoin noindex_guarded; do make_contender "$c" -1 "$kept"; done
        bulk_rounds noindex "$kept" "$RUNS" noindex_antijoin noindex_guarded
        if [ -z "$QUICK" ]; then
            # a hundredth of the rows; report.pl multiplies by a hundred
            make_contender noindex_fk -1 "$kept"
            bulk_rounds noindex "$kept" 1 noindex_fk
        fi
        drop_database
    done
}

section_single() {
    local c run start each=$((2 * PGBENCH_SYNC + 2 * PGBENCH_ASYNC)) contenders=(fk fk_guarded) turn
    [ -n "$QUICK" ] || contenders+=(plain audited guarded statement_trigger row_trigger_checks)
    make_database single
    if [ -z "$QUICK" ] && available table_log; then
        sql -c "CREATE EXTENSION table_log"
        contenders+=(table_log)
    fi
    for c in "${contenders[@]}"; do
        make_contender "$c" $((each * (SINGLE_RUNS + 1) + 1)) $((ROWS / 2))
        { printf '\\set n :n + 1\n\\set id :n * 2 + :client_id + :start\n'; say "$(statement "$c" 'id = :id');"; } \
            >"$SCRATCH/single-$c.pgb"
    done
    for run in $(seq 0 "$SINGLE_RUNS"); do
        more_rounds "$run" || break
        start=$((run * each - 1))
        turn=("${contenders[@]}")
        # the neighbours change places, so that neither has what the other leaves behind
        [ $((run % 2)) = 0 ] || turn=(fk_guarded fk "${contenders[@]:2}")
        record "flush_$part" disk 8192 "$run" '' '' '' "$(flush_us)"
        for c in "${turn[@]}"; do
            measure_pgbench single_sync "$c" 2 "$run" "$SCRATCH/single-$c.pgb" 2 -M prepared \
                -t "$PGBENCH_SYNC" -D n=0 -D start=$start
            PGOPTIONS='-c synchronous_commit=off' measure_pgbench single_async "$c" 2 "$run" "$SCRATCH/single-$c.pgb" 2 \
                -M prepared -t "$PGBENCH_ASYNC" -D n=0 -D start=$((start + 2 * PGBENCH_SYNC))
        done
    done
    drop_database
}

# What is not guarded: insert, update of other columns, select
section_other() {
    local c run rows=$((ROWS / 2))
    make_database other
    for c in plain guarded; do
        make_contender "$c" -1 $((ROWS / 2))
        refill "$c" "$rows"
        say '\set id random(1, 100000)' "SELECT name FROM t_$c WHERE id = :id;" >"$SCRATCH/select-$c.pgb"
        say '\set id random(1, 100000)' "UPDATE t_$c SET name = 'new' WHERE id = :id;" >"$SCRATCH/update-$c.pgb"
        say "INSERT INTO t_$c (id, name) VALUES ((random() * 1e15)::bigint + 1000000000, 'x');" >"$SCRATCH/insert-$c.pgb"
    done
    for run in $(seq 0 "$RUNS"); do
        more_rounds "$run" || break
        for c in plain guarded; do
            sql -c "VACUUM t_$c" -c CHECKPOINT
            measure_statement other_insert "$c" "$rows" "$run" "SELECT bench.fill('$c', 10000000, 10000000)" \
                "SELECT bench.fill('$c', 20000000, 20000000 + $rows)"
            measure_statement other_update "$c" "$rows" "$run" "UPDATE t_$c SET name = 'x' WHERE id = 0" \
                "UPDATE t_$c SET name = 'new name' WHERE id BETWEEN 20000000 AND 20000000 + $rows"
            sql -c "SET session_replication_role = replica" -c "DELETE FROM t_$c WHERE id >= 10000000" >/dev/null
        done
        for c in plain guarded; do
            for what in insert update select; do
                PGOPTIONS='-c synchronous_commit=off' measure_pgbench "other_one_$what" "$c" 1 "$run" \
                    "$SCRATCH/$what-$c.pgb" 1 -M prepared -t "$PGBENCH_ASYNC"
            done
        done
    done
    drop_database
}

recorder_pid() { sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'delete_guard recorder' AND datname = current_database()"; }
stored_attempts() {
    sql -c "SELECT count(*) + coalesce(sum(repeats), 0) FROM delete_guard.audit_log WHERE outcome = 'blocked'"
}

# A script that is refused, for pgbench, which does not go on after an error: table, expression
# of the id.  As of a statement that fails, nothing is committed, and so nothing flushed for it.
refused_script() {
    printf '\\set n :n + 1\n\\set id :n * :clients + :client_id + :start\n'
    printf 'DO $x$ BEGIN BEGIN DELETE FROM %s WHERE id = %s; ' "$1" "$2"
    say "EXCEPTION WHEN integrity_constraint_violation THEN NULL; END; ROLLBACK; END \$x\$;"
}

# Refused statements as users send them, by psql, each of another row: contender table clients run start.
# Records the attempts per second of all clients together, from start to end of psql.
measure_refused() {
    local client began ended
    for client in $(seq "$3"); do
        seq -f "DELETE FROM $2 WHERE id = %.0f;" $(($5 + client)) "$3" $(($5 + $3 * REFUSED)) >"$SCRATCH/refused-$client.sql"
    done
    began=$EPOCHREALTIME
    for client in $(seq "$3"); do
        as_user psql -X -q -d "$DB" -f "$SCRATCH/refused-$client.sql" >"$SCRATCH/refused-$client.log" 2>&1 &
    done
    wait
    ended=$EPOCHREALTIME
    [ "$(cat "$SCRATCH"/refused-[0-9]*.log | grep -cE 'ERROR: +(cannot delete from protected|update or delete on) table')" = $(($3 * REFUSED)) ] ||
        die "not all statements were refused: $(head -n 3 "$SCRATCH/refused-1.log")"
    rm "$SCRATCH"/refused-[0-9]*
    record refused "$1" "$3" "$4" "$(awk -v b="$began" -v e="$ended" -v n=$REFUSED 'BEGIN { printf "%.4f", 1000 * (e - b) / n }')" '' '' \
        "$(awk -v b="$began" -v e="$ended" -v n=$(($3 * REFUSED)) 'BEGIN { printf "%.1f", n / (e - b) }')"
}

section_refused() {
    local run clients before last start=0 most=$((SECONDS_EACH * 500000 / flush))
    # fewer where a flush takes long (run_section has measured it), and no more than there are rows
    [ "$REFUSED" -le "$most" ] || REFUSED=$most
    most=$((100000 / (RUNS + 1)))
    [ "$REFUSED" -le "$most" ] || REFUSED=$most
    make_database refused
    sql -c "SET client_min_messages = warning" -c "SELECT bench.make_refused(300000)" -c "VACUUM ANALYZE" >/dev/null
    sync    # else the kernel writes what was just made beside the flushes that are measured
    refused_script refused :id >"$SCRATCH/refused.pgb"
    refused_script refused 1 >"$SCRATCH/flood-guarded.pgb"
    refused_script refused_fk 1 >"$SCRATCH/flood-fk.pgb"
    say 'INSERT INTO committed DEFAULT VALUES;' >"$SCRATCH/flood-commit.pgb"
    say '\set id random(1, 1000)' 'UPDATE traffic SET n = n + 1 WHERE id = :id;' >"$SCRATCH/traffic.pgb"
    for run in $(seq 0 "$RUNS"); do
        more_rounds "$run" || break
        for clients in 1 2; do
            before=$(stored_attempts)
            last=$(sql -c 'SELECT coalesce(max(event_id), 0) FROM delete_guard.event')
            record "flush_$part" disk 8192 "$run.$clients" '' '' '' "$(flush_us)"
            measure_refused guarded refused "$clients" "$run" $start
            record refused_stored guarded "$clients" "$run" '' '' '' $(($(stored_attempts) - before - clients * REFUSED))
            # what the recorder committed together has one xmin
            record refused_batch guarded "$clients" "$run" '' '' '' \
                "$(sql -c "SELECT round(count(*)::numeric / greatest(count(DISTINCT xmin::text), 1), 3) FROM delete_guard.event WHERE event_id > $last")"
            start=$((start + clients * REFUSED))
            measure_refused fk refused_fk "$clients" "$run" 0
        done
        [ -n "$QUICK" ] || flood_round "$run"
    done
    [ -n "$QUICK" ] || many_sessions $start
    drop_database
}

# Ordinary updates of one client, alone and beside another client that does one thing as
# often as it can: the same attempt that the guard refuses, one that a foreign key refuses
# (which takes CPU, but nothing is stored), or the commit of a row (which takes flushes).
# "apart": the two sides have a core each, so what is left is not CPU time.
flood_round() {
    local run=$1 beside where places=(together)
    [ "$(nproc)" -lt 2 ] || places+=(apart)
    for where in "${places[@]}"; do
        for beside in alone guarded fk commit; do
            flood_measure "$run" "$beside" "$where"
        done
    done
}

# run beside where
flood_measure() {
    local log=$SCRATCH/flood.log name=$2
    [ "$3" = together ] || name=$2_apart
    if [ "$2" != alone ]; then
        PGAPPNAME=flood as_user pgbench -n -d "$DB" -c 1 -T $((SECONDS_EACH + 1)) -D n=0 -D clients=1 -D start=0 \
            -f "$SCRATCH/flood-$2.pgb" >"$log" 2>&1 &
        wait_for_client flood
        [ "$3" = together ] || { sleep 0.2; pin 1 "application_name = 'flood' OR backend_type = 'delete_guard recorder'"; }
    fi
    PGAPPNAME=traffic as_user pgbench -n -d "$DB" -M prepared -c 1 -T $((SECONDS_EACH - 1)) -f "$SCRATCH/traffic.pgb" \
        >"$SCRATCH/traffic.log" 2>&1 &
    wait_for_client traffic
    [ "$3" = together ] || pin 0 "application_name = 'traffic'"
    wait
    pin "0-$(($(nproc) - 1))" "backend_type = 'delete_guard recorder'"
    record flood_traffic "$name" 1 "$1" '' '' '' "$(awk '/^tps/ { print $3 }' "$SCRATCH/traffic.log")"
    [ "$2" = alone ] || record flood_done "$name" 1 "$1" '' '' '' "$(awk '/^tps/ { print $3 }' "$log")"
}

# Wait until a client of this name is connected, or has been: name
wait_for_client() {
    until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = '$1'")" -gt 0 ] || [ -z "$(jobs -r)" ]; do :; done
}

# Bind processes of the server, and clients of the same name, to cores: cores condition
pin() {
    local pid
    for pid in $(sql -c "SELECT pid FROM pg_stat_activity WHERE $2"); do taskset -pc "$1" "$pid" >/dev/null 2>&1 || true; done
}

# 50 sessions are refused at once: lost attempts, and the memory of the recorder
many_sessions() {
    local before pid
    before=$(stored_attempts)
    as_user pgbench -n -d "$DB" -c 50 -j 2 -t 40 -D n=0 -D clients=50 -D start="$1" -f "$SCRATCH/refused.pgb" >"$SCRATCH/pgbench.log" 2>&1
    pid=$(recorder_pid)
    record sessions_50 guarded 50 1 '' '' '' "$(awk '/^tps/ { print $3 }' "$SCRATCH/pgbench.log")"
    record sessions_50_lost guarded 50 1 '' '' '' $((before + 2000 - $(stored_attempts)))
    record sessions_50_recorder_kb guarded 50 1 '' '' '' "$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status")"
}

# The same work by index probes and by one scan, over the number of keys
section_crossover() {
    local c run keys first=1
    make_database crossover
    for c in index_guarded noindex_guarded; do make_contender "$c" 60000 100000; done
    for run in 0 1 2 3; do
        for keys in 1 2 3 4 8 16 64 256 1024 4096 8192; do
            for c in index_guarded noindex_guarded; do
                measure_statement crossover "$c" "$keys" "$run" "$(statement "$c" "id = $first")" \
                    "$(statement "$c" "id > $first AND id <= $first + $keys")"
            done
            first=$((first + keys + 1))
        done
    done
    drop_database
}

# How time and memory grow. Each size has a database of its own, which bounds the disk.
section_growth() {
    local size contenders runs
    for size in $GROWTH; do
        contenders=(plain audited guarded statement_trigger)
        runs=3
        [ "$size" -lt 1000000 ] || runs=0
        [ "$size" -gt 1000000 ] || contenders+=(fk row_trigger_checks)
        make_database growth
        for c in "${contenders[@]}"; do make_contender "$c" -1 $((size / 2 < 100000 ? size / 2 : 100000)); done
        bulk_rounds growth "$size" $runs "${contenders[@]}"
        drop_database

        contenders=(noindex_antijoin noindex_guarded)
        make_database growth
        for c in "${contenders[@]}"; do make_contender "$c" -1 "$size"; done
        bulk_rounds noindex_growth "$size" $runs "${contenders[@]}"
        drop_database
    done
}

section_memory() {
    local size c
    for size in $MEMORY; do
        for c in plain guarded audited statement_trigger; do
            make_database memory
            make_contender "$c" -1 1000
            refill "$c" "$size"
            measure_memory "$c" "$size"
            drop_database
        done
    done
}

measure_memory() {
    local statement
    statement=$(statement "$1" 'id > 0')
    rm -f "$SCRATCH/pid"
    as_user psql -X -q -A -t -d "$DB" >/dev/null <<SQL &
\\o $SCRATCH/pid
SELECT pg_backend_pid();
\\o
$statement;
SELECT pg_sleep(0.1);
SQL
    until [ -s "$SCRATCH/pid" ]; do :; done
    record memory "$1" "$2" 1 '' '' '' "$(peak_memory "$(cat "$SCRATCH/pid")")"
    wait
}

# Instructions of the executor for one statement, counted by valgrind in single-user
# mode, for which the server is stopped.  Of each kind of statement 100 warm the caches
# and 200 are counted, each lot in a transaction that is rolled back; valgrind takes the
# count at every rollback.
INSTRUCTION_KINDS='select insert delete_none delete update'
section_instructions() {
    local c kind counts
    if ! command -v valgrind >/dev/null; then
        say "skipped: valgrind is not installed"
        return
    fi
    make_database instructions
    for c in plain guarded fk fk_guarded; do make_contender "$c" 2000 1000; done
    stop_server fast
    for c in plain guarded fk fk_guarded; do
        mapfile -t counts < <(count_instructions "$c")
        for kind in $INSTRUCTION_KINDS; do
            record instructions "$c" "$kind" 1 '' '' '' $((counts[1] / 200))
            counts=("${counts[@]:2}")
        done
    done
    restart_server
    drop_database
}

# Two numbers for each kind of statement, of the warm-up and of what counts
count_instructions() {
    local kind
    rm -f "$SCRATCH"/callgrind.out*
    for kind in $INSTRUCTION_KINDS; do
        counted_statements "$1" "$kind" 1 100
        counted_statements "$1" "$kind" 101 300
    done | (cd / && as_user valgrind --tool=callgrind --callgrind-out-file="$SCRATCH/callgrind.out" \
        --toggle-collect=PortalRun --dump-after=UserAbortTransactionBlock \
        "$BIN/postgres" --single -D "$DATA" "$DB" >"$SCRATCH/valgrind.log" 2>&1)
    for kind in $(seq 1 10); do sed -n 's/^totals: //p' "$SCRATCH/callgrind.out.$kind"; done
}

# contender kind first last
counted_statements() {
    local i
    say "BEGIN;"
    for i in $(seq "$3" "$4"); do
        case $2 in
        select) say "SELECT name FROM t_$1 WHERE id = $i;" ;;
        insert) say "INSERT INTO t_$1 (id, name) VALUES ($((3000 + i)), 'x');" ;;
        update) say "UPDATE t_$1 SET name = 'y' WHERE id = $i;" ;;
        delete_none) say "DELETE FROM t_$1 WHERE id = 5000000 + $i;" ;;
        delete) say "DELETE FROM t_$1 WHERE id = $i;" ;;
        esac
    done
    say "ROLLBACK;"
}

restart_server() { (cd "$SCRATCH" && as_user pg_ctl -D "$DATA" -l "$SCRATCH/server.log" -w -s -t 60 start); }

# pgaudit must be preloaded, so it is measured on the server started again, beside plain.
section_pgaudit() {
    if [ ! -e "$("$PG_CONFIG" --pkglibdir)/pgaudit.so" ]; then
        say "skipped: pgaudit is not installed"
        return
    fi
    sql -c "ALTER SYSTEM SET shared_preload_libraries = pgaudit" -c "ALTER SYSTEM SET log_destination = stderr"
    stop_server fast
    restart_server
    make_database pgaudit
    sql -c "CREATE EXTENSION pgaudit"
    make_contender plain -1 $((ROWS / 2))
    for run in $(seq 0 "$RUNS"); do
        refill plain "$ROWS"
        measure_bulk pgaudit plain "$ROWS" "$run"
        refill plain "$ROWS"
        BEFORE="SET pgaudit.log = 'write';" measure_bulk pgaudit plain "$ROWS" "$run.audited"
    done
    sed -i 's/^\(pgaudit\),plain,\([0-9]*\),\([0-9]*\)\.audited,/\1,pgaudit,\2,\3,/' "$RAW"
    drop_database
}

# Which round may begin, in the section at hand: run
more_rounds() {
    local limit=${LIMITS##*"$part="}
    [ "$1" -le 3 ] || [ "$limit" = "$LIMITS" ] || [ $((SECONDS - section_began)) -lt "${limit%% *}" ]
}

# Measure a section; its results replace those of an earlier run when it is through.
run_section() {
    local flush
    part=$1
    section "$part"
    section_began=$SECONDS
    flush=$(flush_us)
    RAW=$OUT/raw/$part.new
    : >"$RAW"
    "section_$part"
    mv "$RAW" "$OUT/raw/$part.csv"
    say "$part|$(date -u '+%Y-%m-%d %H:%M')|$(git rev-parse --short HEAD 2>/dev/null || true)|$((SECONDS - section_began))|$flush|$(flush_us)|$(cut -d ' ' -f 1 /proc/loadavg)" \
        >"$OUT/raw/$part.run"
}

scripts/prerequisites.sh bench
PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files was found"
mkdir -p "$OUT/raw"
install_peers
make_scratch
make_tree
build_and_install
DB=postgres
start_server <<'CONF'
shared_buffers = 1GB
max_wal_size = 8GB
checkpoint_timeout = 1h
jit = off
autovacuum = off
CONF
print_settings | tee "$OUT/settings.txt"
for part in $ONLY; do
    [ -z "$RESUME" ] || [ ! -e "$OUT/raw/$part.csv" ] || continue
    run_section "$part"
done
say "" "all sections: $SECONDS s"
status=0
perl bench/report.pl ${QUICK:+--bounds} ${DOC:+--doc} "$OUT" || status=$?
[ -n "$QUICK" ] || ! command -v gnuplot >/dev/null || (cd "$OUT" && gnuplot "$OLDPWD/bench/plots.gp")
[ -z "$DOC" ] || cp "$OUT"/*.svg "$OUT/results.csv" doc/performance/
[ "$status" = 0 ]
