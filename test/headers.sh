#!/usr/bin/env bash
#
# Every header in src/ compiles alone after postgres.h. One TAP line per header.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

pg_config=${PG_CONFIG:-pg_config}
status=0
for header in src/*.h; do
    if out=$(printf '#include "postgres.h"\n#include "%s"\n' "$header" |
        "$("$pg_config" --cc | cut -d' ' -f1)" -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
            -Wno-missing-field-initializers -DDELETE_GUARD_VERSION='"0"' -D_GNU_SOURCE \
            -I"$("$pg_config" --includedir-server)" -I. -Isrc -fsyntax-only -x c - 2>&1); then
        echo "ok - $header compiles alone"
    else
        echo "not ok - $header compiles alone"
        sed 's/^/# /' <<<"$out"
        status=1
    fi
done
exit $status
