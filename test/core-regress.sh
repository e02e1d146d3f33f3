#!/usr/bin/env bash
#
# PostgreSQL's own regression suite, in a database with the extension and a
# protected table in it and in one without, compared: `make check-core`.
#
# Needs the sources of the server's version: PG_SOURCE names their directory;
# else they are fetched from the archive that this machine's packages are from,
# with a list of sources of its own (nothing of the machine's is changed), and if
# that cannot be done the check says skipped. Whatever fails in both runs is not ours (a suite does not
# fit another minor version in every place). Prints TAP lines, and what differs.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files found"
major=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')

skip() { say "ok - PostgreSQL's own regression suite # SKIP $*"; exit 0; }

# Lines "deb-src" for the archives that this machine's packages are from.
source_lines() {
    local key=/usr/share/keyrings/debian-archive-keyring.gpg
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v key="$([ -f $key ] && say "[signed-by=$key] ")" '/debian\.org/ && $3 == "main" && !seen[$1 $2]++ {print "deb-src", key $1, $2, $3}'
}

# apt-get or apt-cache with directories of its own, so that nothing of the machine's changes.
own() {
    local command=$1
    shift
    "$command" -q -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::sourcelist="$SCRATCH/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$SCRATCH/apt/state" -o Dir::Cache="$SCRATCH/apt/cache" \
        -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none "$@"
}

# Fetch one of the versions that the archives list, the newest that they have.
fetch_sources() {
    local version
    own apt-get update || return 1
    for version in $(own apt-cache showsrc --only-source "postgresql-$major" | sed -n 's/^Version: //p' | sort -Vur); do
        own apt-get source "postgresql-$major=$version" && return 0
    done
    return 1
}

# Print the directory of the sources.
find_sources() {
    if [ -n "${PG_SOURCE:-}" ]; then
        say "$PG_SOURCE"
        return
    fi
    command -v dpkg-source >/dev/null || { say "dpkg-dev is not installed" >"$SCRATCH/source.log"; return 1; }
    mkdir -p "$SCRATCH/source" "$SCRATCH/apt/state/lists/partial" "$SCRATCH/apt/cache/archives/partial"
    source_lines >"$SCRATCH/apt/sources.list"
    (cd "$SCRATCH/source" && fetch_sources) >"$SCRATCH/source.log" 2>&1 </dev/null || return 1
    find "$SCRATCH/source" -mindepth 1 -maxdepth 1 -type d | head -n 1
}

# A copy of the suite, with its library built. One test more comes first in the
# schedule of the run with the extension: it protects a table.
prepare_suite() {
    mkdir "$SCRATCH/suite"
    tar -C "$1/src/test/regress" -cf - . | tar -C "$SCRATCH/suite" --no-same-owner -xf -
    gcc -shared -fPIC -O1 -w -I"$("$PG_CONFIG" --includedir-server)" -I"$1/src/include" \
        -o "$SCRATCH/suite/regress.so" "$SCRATCH/suite/regress.c" >"$SCRATCH/suite.log" 2>&1 || return 1
    cat >"$SCRATCH/suite/sql/dg_protect.sql" <<-'SQL'
	CREATE SCHEMA dg_core;
	CREATE TABLE dg_core.guarded (id int PRIMARY KEY);
	CREATE TABLE dg_core.refers (guarded_id int REFERENCES dg_core.guarded);
	SET client_min_messages = warning;
	SELECT delete_guard.protect('dg_core.guarded') IS NULL AS protected;
	SQL
    touch "$SCRATCH/suite/expected/dg_protect.out"
    { say 'test: dg_protect'; cat "$SCRATCH/suite/parallel_schedule"; } >"$SCRATCH/suite/schedule_with"
    cp "$SCRATCH/suite/parallel_schedule" "$SCRATCH/suite/schedule_without"
    [ "$(id -u)" != 0 ] || chown -R "$RUN_USER" "$SCRATCH/suite"
}

# Run the suite: with or without.
run_suite() {
    local options=()
    [ "$1" = without ] || options=(--load-extension=delete_guard)
    mkdir -p "$SCRATCH/out_$1"
    [ "$(id -u)" != 0 ] || chown "$RUN_USER" "$SCRATCH/out_$1"
    (cd "$SCRATCH/suite" && as_user "$(dirname "$("$BIN/pg_config" --pgxs)")/../../src/test/regress/pg_regress" \
        --bindir="$BIN" --dlpath="$SCRATCH/suite" --inputdir="$SCRATCH/suite" \
        --outputdir="$SCRATCH/out_$1" --schedule="$SCRATCH/suite/schedule_$1" --max-connections=10 \
        --dbname=regression "${options[@]}") >"$SCRATCH/run_$1.log" 2>&1 || true
    as_user psql -qX -d postgres -c 'DROP DATABASE IF EXISTS regression WITH (FORCE)' >/dev/null 2>&1 || true
}

# Names of the tests that a run has gone through.
tests_of() { find "$SCRATCH/out_$1/results" -name '*.out' -printf '%f\n' | sort; }

# Output of one test, without what differs from run to run by itself.
masked() { sed -E 's/[0-9]+\.[0-9]+ ms/N ms/g; s#out_with(out)?/#out/#g; s/(OID|oid|relation|type) [0-9]{5,}/\1 N/g; s/RI_ConstraintTrigger_([ac])_[0-9]+/RI_ConstraintTrigger_\1_N/g; s/pg_toast_[0-9]+/pg_toast_N/g' "$1"; }

# The same, without what is explained: event_trigger lists all event triggers of
# the database, and ours are among them (which changes the table's form too).
explained() {
    if [ "$2" = event_trigger.out ]; then
        masked "$1" | grep -v 'delete_guard_' | sed -E 's/ +/ /g; s/-+/-/g; s/^\([0-9]+ rows\)$/(N rows)/'
    else
        masked "$1"
    fi
}

compare() {
    local test same=0 differ=0
    for test in $(tests_of without); do
        if diff <(explained "$SCRATCH/out_without/results/$test" "$test") <(explained "$SCRATCH/out_with/results/$test" "$test") >"$SCRATCH/diff" 2>&1; then
            same=$((same + 1))
        else
            differ=$((differ + 1))
            say "# ${test%.out}:"
            sed 's/^/#   /' "$SCRATCH/diff" | awk 'NR <= 40'
        fi
    done
    say "# $same tests with the same output, $differ with another"
    say "# without: $(grep -cE '^(not ok|.*\.\.\. FAILED)' "$SCRATCH/run_without.log" || true) failed; with: $(grep -E '^(not ok|.*\.\.\. FAILED)' "$SCRATCH/run_with.log" | grep -vc dg_protect || true) failed"
    [ "$same" -gt 100 ] && [ "$differ" = 0 ]
}

make_scratch
SOURCES=$(find_sources) && [ -n "$SOURCES" ] || skip "the sources of PostgreSQL $major could not be fetched: $(tail -n 1 "$SCRATCH/source.log")"
make_tree
build_and_install
prepare_suite "$SOURCES" || skip "the suite's library could not be built"
start_server <<-CONF
	fsync = off
	max_prepared_transactions = 2
	log_min_messages = error
CONF
run_suite without
run_suite with
if compare; then
    say "ok - PostgreSQL's own regression suite: the same with the extension"
else
    tail -n 30 "$SCRATCH"/run_*.log | sed 's/^/# /'
    say "not ok - PostgreSQL's own regression suite: the same with the extension"
    exit 1
fi
if grep -nE 'PANIC:|TRAP:|was terminated by signal' "$SCRATCH/server.log"; then
    say "not ok - the server did not crash"
    exit 1
fi
say "ok - the server did not crash"
