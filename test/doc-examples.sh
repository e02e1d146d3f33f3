#!/usr/bin/env bash
#
# Run every example in README.md and doc/*.md on the server of the environment
# (PGHOST, PGUSER, PATH), and check what the documentation says of the extension
# against the extension. Prints TAP lines. Run by `make check`.
#
# A Markdown file is one psql session in a new, empty database; roles that it
# creates are dropped afterwards. Its fenced blocks run in order:
#
#   sql      is run. If a text block follows directly, the output must be as there;
#            if not, no statement may fail, except those on a line that ends
#            with "-- fails with 23001" (an SQLSTATE), which must fail with that.
#   text     the output of the sql block above it. "…" stands for anything within
#            a line, and on a line of its own for any number of lines. Width of
#            columns, times and process numbers are not compared.
#   log      each line must stand in the server's log.
#   conf     lines of postgresql.conf: each setting must be accepted.
#   sh       shell commands: not run. diagram: a drawing: not run.
#   ruby, python   are run by test/examples.sh.
#   A sql block whose first line is "-- not run: <reason>" is not run.
#   Any other block fails.
#
# Environment: DG_SERVER_LOG, the server's log (if not given, that of run-checks.sh).

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
status=0
tests=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=${DG_SERVER_LOG:-$PGHOST/../server.log}

admin() { psql -XAtq -v ON_ERROR_STOP=1 -d postgres "$@"; }
roles() { admin -c "SELECT rolname FROM pg_roles ORDER BY 1"; }

result() {
    tests=$((tests + 1))
    if [ -z "$2" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        sed 's/^/# /' <<<"$2"
        status=1
    fi
}

# Run the examples of one file.
run_file() {
    local file=$1 db=dg_doc_example role start=0
    roles >"$work/roles"
    admin -c "CREATE DATABASE $db TEMPLATE template0" || return 1
    [ ! -r "$log" ] || start=$(wc -c <"$log")
    test/doc/examples.pl session "$file" >"$work/session.sql" || return 1
    psql -Xq -d "$db" <"$work/session.sql" >"$work/output" 2>&1
    [ ! -r "$log" ] || tail -c +$((start + 1)) "$log" >"$work/log"
    [ -z "${DG_DOC_OUTPUT:-}" ] || cp "$work/output" "$DG_DOC_OUTPUT/$(basename "$file").out"
    test/doc/examples.pl compare "$file" "$work/output" "$work/log" >"$work/tap" || return 1
    cat "$work/tap"
    tests=$((tests + $(grep -cE '^(not )?ok ' "$work/tap")))
    admin -c "DROP DATABASE $db WITH (FORCE)"
    roles | comm -13 "$work/roles" - | while read -r role; do admin -c "DROP ROLE \"$role\""; done
    ! grep -q '^not ok' "$work/tap"
}

# Relative links must lead to a file, and to a heading in it.
broken_links() {
    local file target path anchor
    for file in README.md CHANGELOG.md doc/*.md; do
        grep -oE '\]\([^)]+\)' "$file" | sed 's/^](//; s/)$//' | while read -r target; do
            case $target in http:* | https:* | mailto:*) continue ;; esac
            path=${target%%#*} anchor=
            [[ $target != *'#'* ]] || anchor=${target#*#}
            [ -z "$path" ] && path=$file || path=$(dirname "$file")/$path
            [ -e "$path" ] || echo "$file: $target: no such file"
            [ -z "$anchor" ] || [ ! -f "$path" ] || headings "$path" | grep -qxF -e "$anchor" ||
                echo "$file: $target: no such heading"
        done
    done
}

# Headings as they are linked to.
headings() {
    sed '/^```/,/^```/d' "$1" | sed -n 's/^##* //p' | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# SQLSTATEs that the code raises and the reference does not list.
missing_sqlstates() {
    local codes name
    codes=$(pg_config --sharedir)/errcodes.txt
    [ -f "$codes" ] || return 0
    grep -ohE 'ERRCODE_[A-Z_]+' src/*.c | sort -u | while read -r name; do
        awk -v n="$name" '$3 == n {print $1}' "$codes" | while read -r state; do
            grep -q "| \`$state\` |" doc/reference.md || echo "$name ($state)"
        done
    done
}

# Modules and triggers that the documentation does not name.
missing_names() {
    local name
    sed 's/#.*//' src/LAYERS | while read -r name; do
        [ -z "$name" ] || grep -qF "\`$name\`" doc/architecture.md || echo "module $name: not in doc/architecture.md"
    done
    grep -ohE '00_delete_guard_[a-z_]+' src/*.c | sort -u | while read -r name; do
        grep -qF "\`$name\`" doc/reference.md || echo "trigger $name: not in doc/reference.md"
    done
}

for file in README.md doc/*.md; do
    run_file "$file" || status=1
done

admin -c "CREATE DATABASE dg_doc_check TEMPLATE template0" -c '\c dg_doc_check' -c "CREATE EXTENSION delete_guard"
result "every function, view, column and setting stands in doc/reference.md" "$(
    psql -XAtq -d dg_doc_check -v "reference=$(cat doc/reference.md)" -f test/doc/undocumented.sql 2>&1)"
result "META.json is what PGXN asks for" "$(
    psql -XAtq -d dg_doc_check -v "meta=$(cat META.json)" -f test/doc/meta.sql 2>&1)"
admin -c "DROP DATABASE dg_doc_check WITH (FORCE)"
result "every SQLSTATE that the code raises stands in doc/reference.md" "$(missing_sqlstates)"
result "every module and every trigger is named in doc/" "$(missing_names)"
result "links lead somewhere" "$(broken_links)"
result "README.md has at most 300 lines" "$([ "$(wc -l <README.md)" -le 300 ] || wc -l README.md)"
echo "1..$tests"
exit $status
