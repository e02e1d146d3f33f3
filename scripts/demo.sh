#!/usr/bin/env bash
#
# Replay the incident on a throw-away server: `make demo`. Every login has a
# password of its own, so the server knows which person is who. Ends with a
# status other than 0 if a step behaves otherwise than told here.
#   KEEP=1  leave the server running at the end and say how to reach it

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

STEP=0
step() { STEP=$((STEP + 1)); printf '\n== %d. %s\n' "$STEP" "$*"; }
tell() { printf '   %s\n' "$@"; }

# Run SQL as one login, show it as psql would, and keep the output in $OUT.
# The last line is the SQLSTATE of the last statement that failed, 00000 if none.
login() {
    local who=$1 sql=$2
    printf '\n'
    sed "s/^/$who=> /" <<<"$sql"
    OUT=$(printf '%s\n' '\set QUIET on' '\pset footer off' "$sql" '\echo SQLSTATE :LAST_ERROR_SQLSTATE' |
        as_person "$who" psql -X -d obs 2>&1) || true
    grep -v '^SQLSTATE' <<<"$OUT" || true
}
as_person() {
    local who=$1
    shift
    (cd "$SCRATCH" && PGUSER_FOR=$who as_user env PGPASSWORD="$who-demo" "$@")
}

# Each checks $OUT and ends the demo if it is not as told.
expect() { grep -qE -e "$1" <<<"$OUT" || fail "expected to see: $1"; }
expect_state() { expect "^SQLSTATE $1\$"; }
fail() { printf '\nNOT AS TOLD (step %d): %s\n%s\n' "$STEP" "$1" "$OUT" >&2; exit 1; }

prepare() {
    scripts/prerequisites.sh demo
    PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files found"
    make_scratch
    say "building delete_guard for $("$PG_CONFIG" --version) in $SCRATCH"
    make_tree
    build_and_install
    printf 'postgres-demo\n' | as_user tee "$SCRATCH/password" >/dev/null
    start_server -A scram-sha-256 --pwfile="$SCRATCH/password" <<<"fsync = off"
    load
}

load() {
    local who
    {
        for who in obs alice bob; do say "CREATE ROLE $who LOGIN PASSWORD '$who-demo';"; done
        say "CREATE DATABASE obs OWNER obs;" '\connect obs' 'GRANT CREATE ON SCHEMA public TO obs;'
        say "CREATE EXTENSION delete_guard;"
        say "GRANT SELECT ON delete_guard.audit_log, delete_guard.audit_rows TO obs;"
    } | as_person postgres psql -Xq -v ON_ERROR_STOP=1 -d postgres
    { cat examples/incident/schema.sql examples/incident/data.sql
      say "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO alice, bob;"
    } | as_person obs psql -Xq -v ON_ERROR_STOP=1 -d obs
}

the_story() {
    step "The tables of a build service, and what their owner protects"
    login obs "SELECT (SELECT count(*) FROM architectures) AS architectures, (SELECT count(*) FROM distributions) AS distributions,
       (SELECT count(*) FROM repositories) AS repositories, (SELECT count(*) FROM repository_architectures) AS repository_architectures;"
    expect '31 +\| +22 +\| +2000 +\| +10000'
    login obs "$(grep -v -e '^--' -e '^$' examples/incident/protect.sql)"
    expect_state 00000

    step "What deleting an architecture would do, and who would object: asked beforehand, and nothing is changed"
    login alice "SELECT delete_guard.explain_delete('architectures', \$\$name = 'i586'\$\$);
SELECT count(*) AS rows_named_i586 FROM architectures WHERE name = 'i586';"
    expect_state 00000
    expect 'architectures_distributions .architecture_id.: 7 rows left dangling'
    expect 'delete_guard: would be refused'
    expect '^ +1$'

    step "alice wants to take i586 off Debian 12, and deletes the architecture instead"
    login alice "DELETE FROM architectures WHERE name = 'i586';"
    expect_state 23001
    expect 'ERROR: .*architectures'
    expect 'architectures_distributions'
    REQUEST=$(sed -n 's/.*approve(\([0-9]*\).*/\1/p' <<<"$OUT" | head -n 1)
    [ -n "$REQUEST" ] || fail "the hint names a request number"
    tell "" "Refused. The hint names the table that was probably meant, and request $REQUEST."

    step "The row is still there, and the attempt is in the audit log although it was rolled back"
    login alice "SELECT id, name, available FROM architectures WHERE name = 'i586';"
    expect 'i586'
    login obs "SELECT event_id, occurred_at, operation, outcome, table_name, row_count, person, request_id
  FROM delete_guard.audit_log WHERE request_id = $REQUEST ORDER BY event_id;"
    expect 'blocked.*architectures.*alice'

    step "alice cannot approve her own request"
    login alice "SELECT delete_guard.approve($REQUEST);"
    expect 'ERROR'

    step "bob, the second person, sees what would happen and approves"
    login bob "\x on
SELECT * FROM delete_guard.pending_requests;"
    expect 'blast_radius'
    expect 'architectures_distributions'
    login bob "SELECT delete_guard.approve($REQUEST, 'checked with the release team');"
    expect_state 00000

    step "alice uses the approval, in one transaction"
    login alice "BEGIN;
SET LOCAL delete_guard.approval = $REQUEST;
DELETE FROM architectures WHERE name = 'i586';
COMMIT;
SELECT count(*) AS rows_named_i586 FROM architectures WHERE name = 'i586';"
    expect_state 00000
    expect '^ +0$'

    step "The audit log names both persons, and holds the row"
    login obs "SELECT event_id, operation, outcome, table_name, row_count, person, approved_by
  FROM delete_guard.audit_log WHERE request_id = $REQUEST AND operation ILIKE 'delete' ORDER BY event_id;
SELECT table_name, effect, key, old_row FROM delete_guard.audit_rows
 WHERE table_name ~ 'architectures\$' AND effect = 'delete';"
    expect 'approved.*alice.*bob'
    expect '"name": "i586"'

    step "In the incident the row came back from a shell history; here from the audit log"
    EVENT=$(printf "SELECT max(event_id) FROM delete_guard.audit_log WHERE request_id = $REQUEST AND outcome = 'approved';" |
        as_person obs psql -XAtq -d obs)
    login obs "SELECT * FROM delete_guard.restore($EVENT, dry_run => true);
SELECT * FROM delete_guard.restore($EVENT);
SELECT * FROM architectures WHERE name = 'i586';"
    expect_state 00000
    expect 'architectures +\| delete +\| .*"id": 9.* insert'
    expect '9 +\| i586 +\| t'

    step "An approval serves once: the row is there again, and is deleted with the same number"
    login alice "BEGIN;
SET LOCAL delete_guard.approval = $REQUEST;
DELETE FROM architectures WHERE name = 'i586';
ROLLBACK;
SELECT count(*) AS rows_named_i586 FROM architectures WHERE name = 'i586';"
    expect_state '(23001|42501|55000)'
    expect '^ +1$'

    step "What alice meant all along needs nobody: the association alone"
    login alice "DELETE FROM architectures_distributions
 WHERE architecture_id = (SELECT id FROM architectures WHERE name = 'i586')
   AND distribution_id = (SELECT id FROM distributions WHERE name = 'Debian 12')
RETURNING *;"
    expect_state 00000
    expect '\| +9$'

    printf '\nEvery step behaved as told.\n'
}

keep_running() {
    local runner=""
    [ "$(id -u)" != 0 ] || runner="runuser -u $RUN_USER -- "
    trap - EXIT
    say "" "The server is still running. Passwords are <login>-demo; logins: alice, bob, obs, postgres."
    say "  connect:  PGPASSWORD=alice-demo $BIN/psql -h $SCRATCH/sock -U alice obs"
    say "  stop:     $runner$BIN/pg_ctl -D $DATA -m fast stop; rm -rf $SCRATCH"
}

prepare
the_story
[ -z "${KEEP:-}" ] || keep_running
