# shellcheck shell=bash
#
# Functions for scripts that need a throw-away server. Source this file; it
# changes nothing by itself.
#
#   scratch     a temporary directory that is removed at the end ($SCRATCH)
#   tree        a private copy of the server's own directories inside $SCRATCH.
#               PostgreSQL finds its files relative to the running program, so
#               the extension is installed there: no root, and the machine's
#               installation stays as it is.
#   server      one cluster in $SCRATCH, reachable by a Unix socket only
#
# A server refuses to run as root, so root runs it as user postgres or nobody.

ROOT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$@"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Print the path of a pg_config that belongs to an installed server with PGXS and headers
# (Debian has pg_config and PGXS without them, in libpq-dev and postgresql-client-NN).
find_pg_config() {
    local c
    for c in ${PG_CONFIG:-pg_config $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -Vr)}; do
        c=$(command -v "$c") || continue
        [ -x "$("$c" --bindir 2>/dev/null)/initdb" ] && [ -f "$("$c" --pgxs 2>/dev/null)" ] &&
            [ -f "$("$c" --includedir-server 2>/dev/null)/postgres.h" ] && { say "$c"; return 0; }
    done
    return 1
}

# Create $SCRATCH and remove it, with the server in it, whenever the script ends.
make_scratch() {
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/dg.XXXXXX")
    RUN_USER=$(id -un)
    if [ "$(id -u)" = 0 ]; then
        RUN_USER=nobody
        id -u postgres >/dev/null 2>&1 && RUN_USER=postgres
        chown "$RUN_USER" "$SCRATCH"
    fi
    trap remove_scratch EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

remove_scratch() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    stop_server
    rm -rf "$SCRATCH"
    exit $status
}

# Run a command as $RUN_USER, with none of the caller's PostgreSQL or make settings.
as_user() {
    local prefix=()
    [ "$(id -u)" = 0 ] && prefix=(runuser -u "$RUN_USER" --)
    "${prefix[@]}" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u REGRESS -u PGDATABASE -u PGPASSWORD \
        -u PGSERVICE -u PGOPTIONS -u PGDATA -u PGSSLMODE HOME="$SCRATCH" LC_ALL=C.UTF-8 \
        PATH="${BIN:+$BIN:}$PATH" PGHOST="$SCRATCH/sock" PGPORT=5432 PGUSER="${PGUSER_FOR:-postgres}" "$@"
}

# Build the private tree. Afterwards $BIN holds its programs.
make_tree() {
    local dir tree=$SCRATCH/tree
    for dir in "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)"; do
        mkdir -p "$tree${dir%/*}"
        cp -as "$dir" "$tree$dir"
    done
    for dir in "$("$PG_CONFIG" --includedir)" "$("$PG_CONFIG" --includedir-server)"; do
        mkdir -p "$tree${dir%/*}"
        [ -e "$tree$dir" ] || ln -s "$dir" "$tree$dir"
    done
    dir=$("$PG_CONFIG" --bindir)
    mkdir -p "$tree$dir"
    cp "$dir"/* "$tree$dir/"       # real copies: a link would be followed back
    BIN=$tree$dir
    [ "$(id -u)" != 0 ] || chown -R -h "$RUN_USER" "$tree"
}

# Copy the sources, without what was built from them, to $SCRATCH/build.
copy_sources() {
    mkdir -p "$SCRATCH/build" "$SCRATCH/sock"
    tar -C "$ROOT_DIR" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude='*.gcda' \
        --exclude='*.gcno' --exclude=./results --exclude=./tmp_check --exclude=./output_iso \
        --exclude=./check-logs -cf - . | tar -C "$SCRATCH/build" --no-same-owner -xf -
    [ "$(id -u)" != 0 ] || chown -R "$RUN_USER" "$SCRATCH/build" "$SCRATCH/sock"
}

# Build the copy of the sources and install it into the private tree.
build_and_install() {
    local log=$SCRATCH/build.log
    copy_sources
    if ! (in_build all && in_build install) >"$log" 2>&1; then
        tail -n 100 "$log"
        die "the build failed"
    fi
}

# Run make in the build directory against the private tree.
in_build() {
    as_user make -s -j"$(nproc)" -C "$SCRATCH/build" PG_CONFIG="$BIN/pg_config" with_llvm=no COPT="${COPT:-}" "$@"
}

# Create a cluster and start it; further settings for postgresql.conf come from stdin.
# Arguments go to initdb. The cluster's superuser is postgres.
start_server() {
    DATA=$SCRATCH/data
    (cd "$SCRATCH" && as_user initdb -D "$DATA" -U postgres -E UTF8 --no-locale -N "$@") \
        >"$SCRATCH/initdb.log" 2>&1 || { cat "$SCRATCH/initdb.log"; die "initdb failed"; }
    { say "listen_addresses = ''"
      say "unix_socket_directories = '$SCRATCH/sock'"
      say "unix_socket_permissions = 0700"
      cat; } | as_user tee -a "$DATA/postgresql.conf" >/dev/null
    (cd "$SCRATCH" && as_user pg_ctl -D "$DATA" -l "$SCRATCH/server.log" -w -s -t 60 start) ||
        { tail -n 40 "$SCRATCH/server.log"; die "the server did not start"; }
}

# Argument: how to shut down (immediate if not given).
# shellcheck disable=SC2120
stop_server() {
    [ -z "${DATA:-}" ] || [ ! -f "$DATA/postmaster.pid" ] ||
        (cd / && as_user pg_ctl -D "$DATA" -m "${1:-immediate}" -w -s stop) || true
}
