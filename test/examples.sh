#!/usr/bin/env bash
#
# Try examples/rails and examples/django with real ActiveRecord and Django, on the
# server of the environment (PGHOST, PGPORT, PGUSER, PATH), and run the ruby and
# python blocks of doc/rails.md and doc/django.md. Prints TAP lines; what is not
# installed is skipped. Run by `make check`. Debian's packages: ruby-activerecord
# ruby-pg python3-django python3-psycopg2.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
status=0
tests=0
db=dg_examples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PGDATABASE=$db PYTHONDONTWRITEBYTECODE=1
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3    # the one that has the distribution's packages

# Arguments: name of the test, what is wrong (nothing if it passed).
result() {
    tests=$((tests + 1))
    if [ -z "$2" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        head -n 60 <<<"$2" | sed 's/^/# /'
        status=1
    fi
}

skip() {
    tests=$((tests + 1))
    echo "ok - $1 # SKIP not installed"
}

admin() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

# The incident's tables, two persons, and files of SQL of the caller's.
make_database() {
    drop_database
    admin -d postgres -c "CREATE DATABASE $db TEMPLATE template0" -c "CREATE ROLE dg_examples_ann LOGIN" \
        -c "CREATE ROLE dg_examples_ben LOGIN" &&
        admin -f examples/incident/schema.sql -f examples/incident/data.sql -c "CREATE EXTENSION delete_guard" "$@"
}

drop_database() {
    admin -d postgres -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS $db WITH (FORCE)" \
        -c "DROP ROLE IF EXISTS dg_examples_ann" -c "DROP ROLE IF EXISTS dg_examples_ben"
}

protect() {
    admin -c "SET client_min_messages = warning" -c "SELECT delete_guard.protect('architectures')" \
        -c "SELECT delete_guard.add_approver('dg_examples_ben')" \
        -c "GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO dg_examples_ann"
}

# The blocks of a language in a file. Between the one that is refused and the
# next, the second person approves.
blocks() {
    APPROVE=$3 awk -v fence="\`\`\`$1" '
        $0 == "```"                   {inside = 0; if (tried) {print ENVIRON["APPROVE"]; tried = 0}}
        inside                        {print; if (/request_of\(error\)/ && !/def /) tried = 1}
        $0 == fence                   {inside = 1}' "$2"
}

# What must be in the audit log after the blocks were run.
story() {
    admin -F' ' -c "SELECT outcome, person, approved_by, claimed_user FROM delete_guard.audit_log
                     WHERE operation = 'delete' AND table_name = 'public.architectures' ORDER BY event_id"
}
expected_story="blocked dg_examples_ann  
approved dg_examples_ann dg_examples_ben 
logged dg_examples_ann  ann"

# The calls that a program prints: as expected, all can be run, and then none is left.
# Arguments: name, expected file, the command.
check_calls() {
    local name=$1 expected=$2 notes
    shift 2
    "$@" >"$work/calls.sql" 2>"$work/errors" || { result "$name: runs" "$(cat "$work/errors" "$work/calls.sql")"; return; }
    result "$name: prints the associations that the database does not know" \
        "$(grep -vE '^-- .*(uninitialized constant|Missing model class)' "$work/calls.sql" | diff -u "$expected" - 2>&1)"
    result "$name: the calls can be run" "$(admin -f "$work/calls.sql" 2>&1 >/dev/null)"
    notes=$("$@" 2>&1 | grep -v '^--')
    result "$name: nothing is left to declare" "$notes"
}

rails() { ruby -r"$PWD/test/examples/rails/models.rb" "$@"; }
django() { (cd "$work/django" && DJANGO_SETTINGS_MODULE=settings PYTHONPATH=$work/django "$python" "$@"); }

try_rails() {
    make_database -f test/examples/rails/more.sql || { result "rails: database" "could not be made"; return; }
    check_calls rails test/examples/rails/expected.sql rails -e 'puts DeleteGuard::DeclareReferences.new.lines'
    protect >/dev/null
    blocks ruby doc/rails.md 'system("psql", "-XAtqU", "dg_examples_ben", "-c", "SELECT delete_guard.approve(#{request})", out: File::NULL) or raise' \
        >"$work/blocks.rb"
    result "rails: the examples of doc/rails.md run" "$(PGUSER=dg_examples_ann rails "$work/blocks.rb" 2>&1)"
    result "rails: and were refused, approved and recorded" "$(diff -u <(echo "$expected_story") <(story))"
    result "rails: in an application declare_references.rb prints by itself" "$(
        ruby -e 'require "active_record"
                 module Rails; def self.application; self; end; def self.eager_load!; end; end
                 require "./test/examples/rails/models.rb"' 2>&1 | grep -q '^-- Event.belongs_to :nobody' || echo "it does not")"
}

try_django() {
    make_database || { result "django: database" "could not be made"; return; }
    cp -r test/examples/django "$work/django"
    cp -r examples/django/management "$work/django/obs/"
    django make_tables.py || { result "django: tables" "could not be made"; return; }
    check_calls django test/examples/django/expected.sql django -m django declare_references
    protect >/dev/null
    { echo "import django, os; django.setup()"
      blocks python doc/django.md 'assert os.system(f"psql -XAtqU dg_examples_ben -c \"SELECT delete_guard.approve({request})\" >/dev/null") == 0'
    } >"$work/django/blocks.py"
    result "django: the examples of doc/django.md run" "$(PGUSER=dg_examples_ann django blocks.py 2>&1)"
    result "django: and were refused, approved and recorded" "$(diff -u <(echo "$expected_story") <(story))"
}

if ruby -e 'require "active_record"; require "pg"' 2>/dev/null; then try_rails; else skip "rails: ruby-activerecord, ruby-pg"; fi
if "$python" -c 'import django, psycopg2' 2>/dev/null; then try_django; else skip "django: python3-django, python3-psycopg2"; fi
drop_database
echo "1..$tests"
exit $status
