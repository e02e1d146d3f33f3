#!/usr/bin/env bash
#
# Install what `make demo`, `make bench`, `make check` or `make alert-demo` needs and this machine lacks.
#   scripts/prerequisites.sh demo|bench|check|alert-demo
# Debian and Ubuntu only; elsewhere, or without root and sudo, it prints what is
# missing and ends with status 1. It creates no cluster and starts no server.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh
need=${1:-check}

# The major version wanted: that of PG_CONFIG, or what the machine has.
wanted_version() {
    local c
    if c=$(find_pg_config); then
        "$c" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'
    elif [[ ${PG_CONFIG:-} =~ /postgresql/([0-9]+)/ ]]; then
        say "${BASH_REMATCH[1]}"
    fi
}

missing_packages() {
    local version sharedir c
    version=$(wanted_version)
    command -v gcc >/dev/null || say gcc libc6-dev
    command -v make >/dev/null || say make
    if c=$(find_pg_config); then
        sharedir=$("$c" --sharedir)
    else
        say "postgresql-${version:-DEFAULT}" "postgresql-server-dev-${version:-DEFAULT}"
    fi
    if [ "$need" = alert-demo ]; then
        for c in prometheus prometheus-alertmanager prometheus-postgres-exporter; do
            command -v "$c" >/dev/null || say "$c"
        done
        perl -MHTTP::Tiny -e1 2>/dev/null || say perl
    fi
    [ "$need" = check ] || return 0
    command -v pg_prove >/dev/null || say libtap-parser-sourcehandler-pgtap-perl
    command -v prove >/dev/null || say perl
    perl -MIPC::Run -e1 2>/dev/null || say libipc-run-perl
    [ -f "${sharedir:-}/extension/pgtap.control" ] || say "postgresql-${version:-DEFAULT}-pgtap"
}

# Put the version that the distribution's package "postgresql" stands for into $packages.
name_default() {
    local v
    v=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1) || true
    [ -z "$v" ] || packages=${packages//DEFAULT/$v}
}

# There is no pgtap package yet for a server in beta; run-checks.sh then takes the
# newest one there is. Package lists that are empty tell nothing.
drop_unknown_pgtap() {
    local p
    apt-cache show postgresql >/dev/null 2>&1 || return 0
    for p in $packages; do
        [[ $p != *-pgtap || $p == *DEFAULT* ]] || apt-cache show "$p" >/dev/null 2>&1 || packages=${packages/$p/}
    done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends "$@" </dev/null >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; return 1; }
}

packages=$(missing_packages | xargs)
[ -n "$packages" ] || exit 0
command -v apt-get >/dev/null || die "please install what these Debian packages contain: $packages"
name_default
drop_unknown_pgtap
[ -n "${packages// /}" ] || exit 0

if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    say "Packages are missing. Run this, then try again:" >&2
    if [[ $packages = *DEFAULT* ]]; then
        say "  sudo $PWD/scripts/prerequisites.sh $need" >&2
    else
        say "  sudo apt-get install --no-install-recommends $packages" >&2
    fi
    exit 1
fi

conf=/etc/postgresql-common/createcluster.conf
policy=/usr/sbin/policy-rc.d made_policy=
log=$(mktemp) saved=
restore() {
    [ -z "$saved" ] || as_root cp "$saved" "$conf"
    [ -z "$made_policy" ] || as_root rm -f "$policy"
    rm -f "$log" "$saved"
}
trap restore EXIT
trap 'exit 130' INT TERM HUP

apt update || say "apt-get update reported an error; going on with the lists at hand"
name_default
drop_unknown_pgtap
[ -n "${packages// /}" ] || exit 0
say "installing: $packages"

# Debian would create and start a cluster "main" along with the server package.
if [[ $packages =~ postgresql-[0-9] ]]; then
    apt install postgresql-common
    saved=$(mktemp)
    cp "$conf" "$saved"
    say 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
fi
# Services that come along are neither started now nor at the next boot.
if [[ $packages = *prometheus* ]] && [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
fi
# shellcheck disable=SC2086
apt install $packages
if [[ $packages = *prometheus* ]] && command -v systemctl >/dev/null; then
    for p in $packages; do
        [[ $p != prometheus* ]] || as_root systemctl disable "$p" >/dev/null 2>&1 || true
    done
fi
