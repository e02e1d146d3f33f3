#!/usr/bin/env bash
#
# House rules that a program can check, one TAP line per rule.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
status=0

# Arguments: name of the rule, the offending lines (none if it is kept).
rule() {
    if [ -z "$2" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        sed 's/^/# /' <<<"$2"
        status=1
    fi
}

rule "PG_VERSION_NUM stands in src/compat.h only" \
    "$(grep -n PG_VERSION_NUM src/*.[ch] | grep -v '^src/compat\.h:')"

rule "headers do not include postgres.h" "$(grep -n '#include "postgres.h"' src/*.h)"

rule "header guards are named DELETE_GUARD_<FILE>_H" "$(for h in src/*.h; do
    guard=DELETE_GUARD_$(basename "$h" .h | tr '[:lower:]' '[:upper:]')_H
    grep -q "^#ifndef $guard\$" "$h" || echo "$h: no $guard"
done)"

# A route counts as shown only by a test that names its number.
# shellcheck disable=SC2016
rule "each test that doc/threat-model.md names is there and names the route" "$(
    sed -nE 's/^\| ([0-9]+) \|.*\| `([^`]+)` \|$/\1 \2/p' doc/threat-model.md | while read -r n file; do
        grep -qE "([Rr]outes?:? ([0-9]+(,| and| to)? )*|refused\(|allowed\(|setup\(|no_use\(|\[ )$n\b" "$file" 2>/dev/null ||
            echo "route $n: not in $file"
    done)"

# ereport with an SQLSTATE is for users; elog is for what cannot happen, and a comment says so
# nearby, unless it has one of core's own wordings.
rule "elog at user-facing levels only where it should not happen" "$(awk '
    FNR == 1            {flush(); near = 0}
    /should not happen/ {near = FNR; hit = ""}
    hit != ""           {flush()}
    /elog\((ERROR|FATAL|PANIC|WARNING|NOTICE|INFO)/ && (near == 0 || FNR - near > 4) &&
        !/cache lookup failed|SPI_[a-z_]* failed|unrecognized|unexpected/ {hit = FILENAME ":" FNR ": " $0}
    END                 {flush()}
    function flush()    {if (hit != "") print hit; hit = ""}' src/*.c)"

# A body is what stands between braces in the first column.
rule "no function is longer than 120 lines" "$(awk '
    /^\{/ {start = FNR}
    /^\}/ && FNR - start + 1 > 120 {print FILENAME ":" start ": " FNR - start + 1 " lines"}' src/*.c)"

version=$(sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" delete_guard.control)
rule "META.json and CHANGELOG.md name the version of delete_guard.control" "$(
    grep -q "\"version\": *\"$version\.0\"" META.json || echo "META.json does not say $version.0"
    grep -q "\[\?$version\]\?" CHANGELOG.md || echo "CHANGELOG.md does not mention $version")"

exit $status
