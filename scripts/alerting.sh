# shellcheck shell=bash
#
# Functions to run Prometheus, its exporter and Alertmanager on loopback, in a
# temporary directory, with the files of examples/monitoring. Source this file.
#
#   have_alert_tools   are the programs there?
#   start_alerting     webhook, mail server, exporter, Prometheus, Alertmanager; $ALERTS is
#                      the directory, the database is that of PGHOST and PGDATABASE
#   stop_alerting      end them
#   await_webhook      wait for a request whose body matches, or a mail

ALERT_PROGRAMS=(prometheus promtool prometheus-alertmanager prometheus-postgres-exporter)
ALERT_PIDS=()

have_alert_tools() {
    local program
    for program in "${ALERT_PROGRAMS[@]}"; do command -v "$program" >/dev/null || return 1; done
}

# Print so many free ports.
free_ports() {
    perl -MIO::Socket::INET -e 'my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. shift;
        print join(" ", map { $_->sockport } @s), "\n"' "$1"
}

# Start a program; its output goes to a log. Arguments: name, command.
alert_start() {
    local name=$1
    shift
    "$@" >"$ALERTS/$name.log" 2>&1 </dev/null &
    ALERT_PIDS+=($!)
}

# Wait until a page is there. Arguments: name, address.
alert_await() {
    local i
    for ((i = 0; i < 600; i++)); do
        perl -MHTTP::Tiny -e 'exit !HTTP::Tiny->new(timeout => 2)->get(shift)->{success}' "$2" && return
        kill -0 "${ALERT_PIDS[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "$1 did not come up:" >&2
    tail -n 20 "$ALERTS/$1.log" >&2
    return 1
}

# Wait until a page says something. Arguments: address, text.
await_answer() {
    local i
    for ((i = 0; i < 600; i++)); do
        get "$1" | grep -qF "$2" && return
        sleep 0.1
    done
    echo "$1 never said $2" >&2
    return 1
}
get() { perl -MHTTP::Tiny -e 'print HTTP::Tiny->new(timeout => 5)->get(shift)->{content}' "$1"; }

# Argument: a login that is a member of pg_monitor.
start_alerting() {
    local exporter prometheus alertmanager smtp i
    cp examples/monitoring/*.y*ml "$ALERTS/"
    alert_start webhook perl test/alert/webhook.pl "$ALERTS/webhook"
    alert_start smtp perl test/alert/smtp.pl "$ALERTS/smtp"
    for ((i = 0; i < 600; i++)); do [ -s "$ALERTS/webhook" ] && [ -s "$ALERTS/smtp" ] && break; sleep 0.1; done
    read -r WEBHOOK <"$ALERTS/webhook" && read -r smtp <"$ALERTS/smtp" || return 1
    read -r exporter prometheus alertmanager < <(free_ports 3)

    # the examples, but for addresses, and more often
    sed -i "s/localhost:9187/127.0.0.1:$exporter/; s/localhost:9093/127.0.0.1:$alertmanager/; s/: [0-9]*s\$/: 1s/" "$ALERTS/prometheus.yml"
    sed -i "s/localhost:8080/127.0.0.1:$WEBHOOK/; s/localhost:25/127.0.0.1:$smtp/; s/group_wait: .*/group_wait: 0s/; s/group_interval: .*/group_interval: 1s/" "$ALERTS/alertmanager.yml"

    DATA_SOURCE_NAME="user=$1 host=$PGHOST port=${PGPORT:-5432} dbname=$PGDATABASE sslmode=disable" \
        alert_start exporter prometheus-postgres-exporter --web.listen-address="127.0.0.1:$exporter" \
        --extend.query-path="$ALERTS/queries.yaml" --disable-default-metrics --disable-settings-metrics
    alert_await exporter "http://127.0.0.1:$exporter/metrics" || return 1
    alert_start alertmanager prometheus-alertmanager --web.listen-address="127.0.0.1:$alertmanager" --cluster.listen-address= \
        --config.file="$ALERTS/alertmanager.yml" --storage.path="$ALERTS/alertmanager"
    alert_await alertmanager "http://127.0.0.1:$alertmanager/-/ready" || return 1
    alert_start prometheus prometheus --web.listen-address="127.0.0.1:$prometheus" \
        --config.file="$ALERTS/prometheus.yml" --storage.tsdb.path="$ALERTS/prometheus"
    alert_await prometheus "http://127.0.0.1:$prometheus/-/ready" || return 1
    EXPORTER=http://127.0.0.1:$exporter PROMETHEUS=http://127.0.0.1:$prometheus
    await_answer "$PROMETHEUS/api/v1/alertmanagers" '"url":"http' &&
        await_answer "$PROMETHEUS/api/v1/query?query=delete_guard_enforce" '"value":'
}

stop_alerting() {
    local pid
    for pid in "${ALERT_PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${ALERT_PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    ALERT_PIDS=()
}

# Wait for a request with a path and a body that match, and print its line.
# Arguments: path, expression, seconds.
await_webhook() {
    local end=$((SECONDS + $3))
    until cat "$ALERTS/webhook" "$ALERTS/smtp" | grep -m 1 -E -e "^[0-9.]+ $1 .*$2"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# Seconds from the first time to the second.
seconds_between() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", b - a}'; }
now() { date +%s.%N; }
