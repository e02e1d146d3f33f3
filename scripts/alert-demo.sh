#!/usr/bin/env bash
#
# Show an attempt as it reaches a person: `make alert-demo`. A throw-away server,
# the exporter, Prometheus and Alertmanager with the files of examples/monitoring, and
# a webhook that prints what it gets. Everything is removed at the end.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh
. scripts/alerting.sh

finish() {
    local status=$?
    set +e
    stop_alerting
    (exit $status)
    remove_scratch
}

as_login() { PGUSER_FOR=$1 as_user psql -Xq -d obs -c "$2"; }

# Show what somebody does, and when the webhook hears of it. Arguments: login, SQL, path, expression.
show_alert() {
    local begun line
    printf '\n%s=> %s\n' "$1" "$2"
    begun=$(now)
    (cd / && as_login "$1" "$2") 2>&1 | sed 's/^/   /' || true
    line=$(await_webhook "$3" "$4" 90) || die "no alert came; see $ALERTS"
    printf '\n   webhook %s, after %s seconds:\n' "$3" "$(seconds_between "$begun" "${line%% *}")"
    printf '%s\n' "${line#* * }" | perl -MJSON::PP -e 'my $j = decode_json(<STDIN>); for (@{$j->{alerts}}) {
        print "      $_->{labels}{severity}: $_->{labels}{alertname}: $_->{annotations}{summary}\n      look with: $_->{annotations}{query}\n"}'
}

scripts/prerequisites.sh alert-demo
PG_CONFIG=$(find_pg_config) || die "no PostgreSQL server with its development files found"
make_scratch
trap finish EXIT
say "building delete_guard for $("$PG_CONFIG" --version) in $SCRATCH"
make_tree
build_and_install
start_server -A trust <<<"fsync = off"
chmod 755 "$SCRATCH"
(cd / && as_user psql -Xq -d postgres -c "CREATE DATABASE obs")
{ say "SET client_min_messages = error;" "CREATE EXTENSION delete_guard;"
  say "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE exporter LOGIN IN ROLE pg_monitor;"
  cat examples/incident/schema.sql examples/incident/data.sql
  say "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO alice, bob;"
  cat examples/incident/protect.sql; } | (cd / && as_user psql -Xq -v ON_ERROR_STOP=1 -d obs) >/dev/null

say "starting exporter, Prometheus and Alertmanager (scrapes each second; the examples do each 5)"
ALERTS=$SCRATCH/alerts
mkdir "$ALERTS"
export PGHOST=$SCRATCH/sock PGPORT=5432 PGDATABASE=obs
chmod 711 "$SCRATCH/sock"
start_alerting exporter

show_alert alice "DELETE FROM architectures WHERE name = 'i586';" /mail DeleteGuardAttemptRefused
printf '\nbob, the second person, approves it\n'
(cd / && as_login bob "SELECT delete_guard.approve(1, 'checked with the release team')") >/dev/null
show_alert alice "BEGIN; SET LOCAL delete_guard.approval = 1; DELETE FROM architectures WHERE name = 'i586'; COMMIT;" /mail DeleteGuardRemovedByApproval
printf '\nat night nobody answers; alice was granted the emergency exit\n'
(cd / && as_login postgres "GRANT EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) TO alice") >/dev/null
show_alert alice "SELECT delete_guard.request_delete('architectures', \$\$name = 'x86_64'\$\$);
   SELECT delete_guard.break_glass(2, 'nobody answers, builds stand still');" /page DeleteGuardBreakGlass
printf '\na superuser disarms a table in the catalog, past every guard\n'
show_alert postgres "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'projects'::regclass AND tgname LIKE '00_delete_guard%';" /page DeleteGuardUnhealthy
printf '\nWhat each alert means and what to do: doc/monitoring.md\n'
