#!/usr/bin/env bash
#
# From an attempt to a webhook, with the real programs: exporter, Prometheus and
# Alertmanager, with the files of examples/monitoring; and examples/notify. Prints TAP
# lines. Run by `make check` against the server of the environment; skipped where
# the programs are not installed.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/alerting.sh
export PGDATABASE=dg_alert
status=0 tests=0

check() {
    local title=$1
    shift
    tests=$((tests + 1))
    if "$@" >"$ALERTS/out" 2>&1; then
        echo "ok - $title"
    else
        echo "not ok - $title"
        head -n 50 "$ALERTS/out" | sed 's/^/# /'
        status=1
    fi
}

sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

finish() {
    stop_alerting
    psql -Xq -d postgres -c 'DROP DATABASE IF EXISTS dg_alert WITH (FORCE)' >/dev/null 2>&1
    psql -Xq -d postgres -c 'DROP ROLE IF EXISTS dg_alert_alice, dg_alert_bob, dg_alert_chat, dg_alert_monitor' >/dev/null 2>&1
    rm -rf "$ALERTS"
}

have_alert_tools || { echo "skipped: prometheus, prometheus-alertmanager or prometheus-postgres-exporter is not installed"; exit 0; }
ALERTS=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

sql -d postgres -c 'CREATE DATABASE dg_alert' || exit 1
sql >/dev/null 2>&1 <<'SQL' || exit 1
CREATE EXTENSION delete_guard;
CREATE ROLE dg_alert_alice LOGIN;
CREATE ROLE dg_alert_bob LOGIN;
CREATE ROLE dg_alert_chat LOGIN;
CREATE ROLE dg_alert_monitor LOGIN IN ROLE pg_monitor;
GRANT SELECT ON delete_guard.audit_log TO dg_alert_chat;
CREATE TABLE arch (id int PRIMARY KEY);
CREATE TABLE assoc (arch_id int);
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE third (id int PRIMARY KEY);
INSERT INTO arch SELECT generate_series(1, 10);
INSERT INTO assoc SELECT generate_series(1, 9);
GRANT ALL ON arch TO dg_alert_alice, dg_alert_bob;
SELECT delete_guard.protect('arch');
SELECT delete_guard.protect('other');
SELECT delete_guard.protect('third');
SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
SQL

check "promtool check rules" promtool check rules examples/monitoring/rules.yml
check "promtool test rules" promtool test rules examples/monitoring/rules_test.yml
check "promtool check config" promtool check config examples/monitoring/prometheus.yml
check "amtool check-config" amtool check-config examples/monitoring/alertmanager.yml
start_alerting dg_alert_monitor || exit 1
has_metric() { get "$EXPORTER/metrics" >"$ALERTS/page"; grep -E "$1" "$ALERTS/page" || { grep delete_guard "$ALERTS/page"; return 1; }; }
check "the exporter runs all queries" has_metric '^pg_exporter_user_queries_load_error.* 0$|^pg_exporter_last_scrape_error 0$'
check "the exporter has the settings" has_metric '^delete_guard_enforce\{.*database="dg_alert".*\} 1$'
check "the exporter has zeros" has_metric '^delete_guard_events_total\{.*outcome="blocked",.*table="public.arch"\} 0$'

# Do something and wait for its alert. Arguments: title, path, expression, then the command.
alert_follows() {
    local title=$1 path=$2 expression=$3 begun line
    shift 3
    begun=$(now)
    "$@" >"$ALERTS/done" 2>&1
    if line=$(await_webhook "$path" "$expression" 90); then
        check "$title" true
        echo "# $title: $(seconds_between "$begun" "${line%% *}") seconds from attempt to webhook"
        echo "# ${line#* }" | cut -c 1-900
    else
        check "$title" sh -c 'cat "$1"/done "$1"/webhook; tail -n 5 "$1"/*.log; false' - "$ALERTS"
    fi
}

as() { psql -Xq -U "dg_alert_$1" -c "$2"; }
firing() { printf '"status":"firing",.*"alertname":"%s",.*"outcome":"%s",.*"table":"%s"' "$@"; }
alert_follows "a refused DELETE" /mail "$(firing DeleteGuardAttemptRefused blocked public.arch)" as alice 'DELETE FROM arch WHERE id = 1'
mailed() { await_webhook "mail-to-$1@example.com" "$2" 60; }
check "and as a mail" mailed dba DeleteGuardAttemptRefused

alert_follows "a table disarmed by its owner" /page "$(firing DeleteGuardWeakened done public.other)" sql -c "SELECT delete_guard.unprotect('other')"

# Disarmed by a superuser past all guards, before anything is deleted.
disarm() { sql -c "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'third'::regclass AND tgname LIKE '00_delete_guard%'"; }
alert_follows "a table disarmed in the catalog" /page '"status":"firing",.*"alertname":"DeleteGuardUnhealthy"' disarm

# Approved by a second person, who is named only now, and loudly.
alert_follows "an approver is added" /page '"status":"firing",.*"alertname":"DeleteGuardWeakened",.*"operation":"add_approver"' \
    sql -c "SELECT delete_guard.add_approver('dg_alert_bob')"
approved() {
    local request
    request=$(sql -U dg_alert_alice -c "SELECT delete_guard.request_delete('arch', 'id = 2')") &&
        as bob "SELECT delete_guard.approve($request)" &&
        psql -Xq -U dg_alert_alice -c "BEGIN" -c "SET LOCAL delete_guard.approval = $request" -c 'DELETE FROM arch WHERE id = 2' -c COMMIT
}
alert_follows "a removal by approval" /mail "$(firing DeleteGuardRemovedByApproval approved public.arch)" approved

# Alone, in an emergency.
broken() {
    local request
    request=$(sql -U dg_alert_alice -c "SELECT delete_guard.request_delete('arch', 'id = $1')") &&
        as alice "SELECT delete_guard.break_glass($request, 'nobody answers')" &&
        psql -Xq -U dg_alert_alice -c "BEGIN" -c "SET LOCAL delete_guard.approval = $request" -c "DELETE FROM arch WHERE id = $1" -c COMMIT
}
sql -c "GRANT EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) TO dg_alert_alice"
alert_follows "a break-glass" /page "$(firing DeleteGuardBreakGlass break_glass public.arch)" broken 4
check "and as a mail" mailed oncall DeleteGuardBreakGlass
alert_follows "a second break-glass while the alert stands" /page \
    '"status":"firing",.*"alertname":"DeleteGuardBreakGlass",.*"events":"2",.*"operation":"delete"' broken 5

# The dashboard: Prometheus answers each of its expressions.
dashboard() {
    perl -MJSON::PP -MHTTP::Tiny -e '
        my ($prometheus, $file) = @ARGV;
        open my $fh, "<", $file or die;
        my ($n, $failed) = (0, 0);
        for my $target (map { @{$_->{targets}} } @{decode_json(join "", <$fh>)->{panels}}) {
            my $expr = $target->{expr} =~ s/\$database/.+/gr;
            my $answer = HTTP::Tiny->new->post_form("$prometheus/api/v1/query", {query => $expr});
            my $result = eval { decode_json($answer->{content})->{data}{result} };
            $n++;
            next if $result && @$result;
            print "no answer to $expr: $answer->{content}\n";
            $failed++;
        }
        exit !($n && !$failed)' "$PROMETHEUS" examples/monitoring/grafana.json
}
check "the dashboard's expressions have answers" dashboard

# The listener, where psycopg2 is installed. It outlives a webhook that fails, a
# notification that is no alert, and the loss of its connection.
listener_says() { for ((i = 0; i < 300; i++)); do grep -q "$1" "$ALERTS/listen.log" && return; sleep 0.1; done; return 1; }
chat() { printf '"text": "delete on public.arch in dg_alert: .blocked., by dg_alert_alice, %s rows, %s rows depend' "$1" "$1"; }
listen() {
    PYTHONUNBUFFERED=1 alert_start listen python3 examples/notify/listen.py "user=dg_alert_chat" "http://127.0.0.1:$WEBHOOK/chat" "$ALERTS/posted"
    listener_says listening
    alert_follows "examples/notify/listen.py" /chat "$(chat 1)" as alice 'DELETE FROM arch WHERE id = 3'
    as alice "NOTIFY delete_guard, 'junk'" >/dev/null
    as alice "NOTIFY delete_guard, '{\"event\":999999999999,\"outcome\":\"approved\",\"table\":\"forged\"}'" >/dev/null
    touch "$ALERTS/webhook.down"
    as alice 'DELETE FROM arch WHERE id IN (6, 7)' >/dev/null 2>&1
    check "it says that the webhook fails" listener_says 'HTTP Error 500'
    sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dg_alert_chat'" >/dev/null
    as alice 'DELETE FROM arch WHERE id IN (6, 7, 8)' >/dev/null 2>&1
    rm "$ALERTS/webhook.down"
    check "what the webhook did not take comes later" await_webhook /chat "$(chat 2)" 60
    check "and what came without a connection" await_webhook /chat "$(chat 3)" 60
    as alice 'DELETE FROM arch WHERE id BETWEEN 6 AND 9' >/dev/null 2>&1
    check "it goes on" await_webhook /chat "$(chat 4)" 60
    check "each event is posted once, and none that was made up" posted_once
}
posted_once() {
    ! grep -F ' /chat ' "$ALERTS/webhook" | grep -o '(event [0-9]*)' | sort | uniq -d | grep . && ! grep ' /chat .*forged' "$ALERTS/webhook"
}
if python3 -c 'import psycopg2' 2>/dev/null; then
    listen
else
    echo "ok - examples/notify/listen.py # SKIP psycopg2 is not installed"
    tests=$((tests + 1))
fi
echo "1..$tests"
exit $status
