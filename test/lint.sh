#!/usr/bin/env bash
#
# Static checks: the house rules, the C code by the compiler's analyzer (clang's
# scan-build if it is installed), and the scripts by shellcheck if it is installed.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

test/style.sh
PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files found"
make_scratch
make_tree
if command -v scan-build >/dev/null; then
    wrapper=(scan-build --status-bugs)
else
    say "scan-build is not installed; using gcc -fanalyzer"
    wrapper=() COPT="${COPT:-} -fanalyzer -Werror"
fi
copy_sources
(cd "$SCRATCH/build" && as_user "${wrapper[@]}" make -s PG_CONFIG="$BIN/pg_config" with_llvm=no COPT="${COPT:-}" all)
if command -v shellcheck >/dev/null; then
    shellcheck -S warning -x -e SC1091 scripts/*.sh test/*.sh bench/*.sh .ci/run
fi
say "lint: no complaints"
