#!/usr/bin/env bash
#
# Calls go down only: an object file may use symbols of those above it in
# src/LAYERS (the bottom comes first) and of PostgreSQL, never of those below.
# Needs the built object files; prints one TAP line, and each upward call.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1

modules=$(sed 's/#.*//' src/LAYERS | grep -v '\.h *$' | xargs)
nm="nm"
# Objects built for link-time optimisation need the wrapper that reads them.
! objdump -h src/"${modules%% *}".o 2>/dev/null | grep -q gnu.lto_ || nm=gcc-nm

bad=$(for m in $modules; do
    $nm -g "src/$m.o" | awk -v m="$m" '{print m, $(NF-1), $NF}'
done | awk '
    !($1 in level)      {level[$1] = ++k}
    $2 ~ /^[TDBRVWC]$/  {home[$3] = $1}
    $2 == "U"           {use[++n] = $1 " " $3}
    END {
        for (i = 1; i <= n; i++) {
            split(use[i], u, " ")
            if ((u[2] in home) && level[home[u[2]]] > level[u[1]])
                print "# upward call: " u[1] " uses " u[2] " of " home[u[2]]
        }
    }')

for c in src/*.c; do
    m=$(basename "$c" .c)
    [[ " $modules " == *" $m "* ]] || bad+=$'\n'"# not in src/LAYERS: $m"
done

if [ -z "$bad" ]; then say=ok; else say="not ok"; fi
printf '%s\n' "$say - layers: $(wc -w <<<"$modules") modules" "$bad"
[ -z "$bad" ]
