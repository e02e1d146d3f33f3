#!/usr/bin/env bash
#
# Run every test on a throw-away server: `make check`. The last line printed is
# "N passed, N failed" (and ", N skipped" if there are any); the exit status is
# 0 only if nothing failed.
#
# Environment: PG_CONFIG, COPT, KEEP, and
#   ONLY      kinds to run, of: style layers headers regress isolation pgtap tap doc examples alert
#   REGRESS   names of regress tests to run instead of all
#   COVERAGE  print the share of executed lines per source file
#   VALGRIND  run the server under valgrind; a report naming our library fails

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

KINDS=${ONLY:-style layers headers regress isolation pgtap tap doc examples alert}
declare -A PASSED FAILED SKIPPED
RAN=()

scripts/prerequisites.sh check
PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files found"

wanted() { [[ " $KINDS " == *" $1 "* ]]; }

# Print at most 400 lines of a log.
show() { [ ! -s "$1" ] || { say "---- ${1#"$SCRATCH"/}"; head -n 400 "$1"; say "----"; }; }

# Add up the results in a log that holds TAP lines or pg_regress 15 lines.
# Arguments: kind, log, exit status of the tool.
count() {
    local kind=$1 log=$2 status=$3 ok not skip
    skip=$(grep -cE '^ok ([0-9]|-).*# *SKIP|skipped: ' "$log" || true)
    ok=$(grep -E '^ok ([0-9]|-)|^(test|    ) .*\.\.\. ok\b' "$log" | grep -cviE '# *SKIP' || true)
    not=$(grep -E '^not ok ([0-9]|-)|^(test|    ) .*\.\.\. (failed|FAILED)' "$log" | grep -cvE '# *TODO' || true)
    [ "$status" = 0 ] || [ "$not" -gt 0 ] || not=1
    PASSED[$kind]=$ok FAILED[$kind]=$not SKIPPED[$kind]=$skip
    RAN+=("$kind")
    say "$kind: $ok passed, $not failed$([ "$skip" = 0 ] || say ", $skip skipped")"
}

# Run one kind of test: kind, then the command. Its output goes to a log, which
# is shown if it failed.
run_kind() {
    local kind=$1 status=0 log=$SCRATCH/$1.log
    shift
    [ "$kind" = no-crash ] || wanted "$kind" || return 0
    (cd "$SCRATCH/build" && "$@") >"$log" 2>&1 </dev/null || status=$?
    count "$kind" "$log" "$status"
    [ "${FAILED[$kind]}" = 0 ] || show_failure "$kind"
}

show_failure() {
    local build=$SCRATCH/build
    case $1 in
        regress)   show "$build/regression.diffs" ;;
        isolation) show "$build/output_iso/regression.diffs" ;;
        tap)       for f in "$build"/tmp_check/log/regress_log_*; do
                       grep -qE '^\[?[0-9:.() ]*s?\]? *not ok|died|timed out' "$f" 2>/dev/null && tail -n 100 "$f"
                   done || true ;;
    esac
    grep -vE '^ok\b' "$SCRATCH/$1.log" | awk 'NR <= 400'
}

# pgTAP files run each in a database of its own, with both extensions in it.
run_pgtap() {
    local file db status=0
    as_user psql -qX -d template1 -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION delete_guard'
    for file in test/pgtap/*.sql; do
        [ -e "$file" ] || return 0
        db=pgtap_$(basename "$file" .sql)
        as_user createdb "$db"
        as_user pg_prove --verbose -d "$db" "$file" || status=1
        as_user dropdb --force "$db"
    done
    as_user psql -qX -d template1 -c 'DROP EXTENSION delete_guard' -c 'DROP EXTENSION pgtap'
    return $status
}

# A server in beta has no pgtap package yet: take the SQL files of the newest one.
borrow_pgtap() {
    local package dir sharedir
    sharedir=$("$BIN/pg_config" --sharedir)/extension
    [ ! -f "$sharedir/pgtap.control" ] || return 0
    package=$(apt-cache search --names-only '^postgresql-[0-9]+-pgtap$' 2>/dev/null | cut -d' ' -f1 | sort -Vr | head -n 1)
    [ -n "$package" ] || return 1
    dir=$SCRATCH/pgtap
    mkdir "$dir"
    (cd "$dir" && apt-get -q download "$package" && dpkg -x ./*.deb .) >"$dir/log" 2>&1 || return 1
    cp "$dir"/usr/share/postgresql/*/extension/pgtap* "$sharedir/"
    say "pgtap: taken from $package"
}

# Perl tests: each starts servers of its own. Without test files there is nothing to do.
run_tap() {
    compgen -G 'test/t/*.pl' >/dev/null || return 0
    in_build installcheck REGRESS= ISOLATION= PROVE_FLAGS=--verbose
}

run_regress() {
    in_build installcheck ISOLATION= TAP_TESTS= ${REGRESS:+REGRESS="$REGRESS"}
}

run_isolation() {
    compgen -G 'test/specs/*.spec' >/dev/null || return 0
    in_build installcheck REGRESS= TAP_TESTS=
}

# A hook: prints TAP lines; the server is reached by the usual environment.
run_doc() {
    [ ! -x test/doc-examples.sh ] || as_user test/doc-examples.sh
}

# No test of the shared server may crash it.
check_server_log() {
    if grep -nE 'PANIC:|TRAP:|was terminated by signal' "$SCRATCH/server.log"; then
        say "not ok - the server did not crash"
        return 1
    fi
    say "ok - the server did not crash"
}

# Put the server under valgrind by a wrapper around the program "postgres".
wrap_in_valgrind() {
    mv "$BIN/postgres" "$BIN/postgres.bin"
    cat >"$BIN/postgres" <<-WRAPPER
	#!/bin/sh
	case "\$*" in *--boot*|*--single*|*-V*|*--version*|*--describe*|*--check*) exec "$BIN/postgres.bin" "\$@";; esac
	exec valgrind -q --trace-children=yes --fullpath-after= --error-markers=BEGIN,END --log-file="$SCRATCH/valgrind.%p" "$BIN/postgres.bin" "\$@"
	WRAPPER
    chmod 755 "$BIN/postgres"
}

# Pages that go to disk with unset padding are core's own; a report about them does not count.
report_valgrind() {
    local bad
    bad=$(cat "$SCRATCH"/valgrind.[0-9]* 2>/dev/null | awk '
        /BEGIN/         {t = ""; ours = core = 0}
        /Syscall param/ {core = 1}
        /build\/src\/|delete_guard\.so/ {ours = 1}
                        {t = t $0 "\n"}
        /END/ && ours && !core {print t}')
    say "$bad" | head -n 400
    if [ -z "$bad" ]; then say "ok - valgrind"; else say "not ok - valgrind"; fi
}

report_coverage() {
    stop_server fast
    (cd "$SCRATCH/build" && as_user gcov -n -o src src/*.c) 2>/dev/null |
        awk -F"[':%]" '/^File .src/ {f = $2} /^Lines/ && f {printf "%-28s %6.1f %%\n", f, $2; f = ""}'
}

# The failed tests by name, close to the end, where a cut log still shows them.
list_failed() {
    local kind
    for kind in "${RAN[@]}"; do
        [ "${FAILED[$kind]}" = 0 ] ||
            awk -v kind="$kind" '/^t\/.*\.pl \.\./ {file = $1 " "}
                /^not ok|\.\.\. (failed|FAILED)|^ *# *(died|Tests were run)|Dubious|timed out/ {
                    if (++n <= 40) print "failed: " kind ": " file substr($0, 1, 200)}' "$SCRATCH/$kind.log"
    done
}

summary() {
    local kind p=0 f=0 s=0
    say ""
    list_failed
    printf '%-10s %7s %7s %8s\n' kind passed failed skipped
    for kind in "${RAN[@]}"; do
        printf '%-10s %7d %7d %8d\n' "$kind" "${PASSED[$kind]}" "${FAILED[$kind]}" "${SKIPPED[$kind]}"
        p=$((p + PASSED[$kind])) f=$((f + FAILED[$kind])) s=$((s + SKIPPED[$kind]))
    done
    if [ "$s" = 0 ]; then say "$p passed, $f failed"; else say "$p passed, $f failed, $s skipped"; fi
    [ "$f" = 0 ]
}

# Leave logs and results where the user can read them.
keep_logs() {
    rm -rf check-logs
    mkdir check-logs
    cp -r "$SCRATCH"/*.log "$SCRATCH"/build/{regression.diffs,results,output_iso,tmp_check/log} check-logs/ 2>/dev/null || true
    say "logs: check-logs/"
}

make_scratch
make_tree
say "PostgreSQL: $("$BIN/pg_config" --version)"
build_and_install
[ -z "${VALGRIND:-}" ] || wrap_in_valgrind
start_server -A trust <<-CONF
	fsync = off
	max_prepared_transactions = 10
	log_line_prefix = '%m [%p] %q%u@%d '
	CONF

run_kind style test/style.sh
run_kind layers as_user test/layers.sh
run_kind headers as_user env PG_CONFIG="$BIN/pg_config" test/headers.sh
run_kind regress run_regress
run_kind isolation run_isolation
if wanted pgtap && borrow_pgtap; then
    run_kind pgtap run_pgtap
elif wanted pgtap; then
    say "skipped: pgtap is not installed" >"$SCRATCH/pgtap.log"
    count pgtap "$SCRATCH/pgtap.log" 0
fi
run_kind tap run_tap
run_kind doc run_doc
run_kind examples as_user test/examples.sh
run_kind alert as_user test/alert.sh
[ ! -f "$SCRATCH/alert.log" ] || grep -E '^# .* seconds from attempt to webhook' "$SCRATCH/alert.log" || true
if [ -n "${VALGRIND:-}" ]; then
    stop_server fast
    report_valgrind >"$SCRATCH/valgrind.log"
    count valgrind "$SCRATCH/valgrind.log" 0
    [ "${FAILED[valgrind]}" = 0 ] || show "$SCRATCH/valgrind.log"
fi
[ -z "${COVERAGE:-}" ] || report_coverage
run_kind no-crash check_server_log
[ -z "${KEEP:-}" ] && [[ ! ${FAILED[*]} =~ [1-9] ]] || keep_logs
summary
