#!/usr/bin/env bash
#
# Format src/ with pg_bsd_indent as PostgreSQL's pgindent does. The names of the
# types come from typedefs.list if there is one, else from the debug information
# of the built objects.

set -euo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

indent=$(command -v pg_bsd_indent || true)
if [ -z "$indent" ] && PG_CONFIG=$(find_pg_config); then
    indent=$(dirname "$("$PG_CONFIG" --pgxs)")/../tools/pg_bsd_indent/pg_bsd_indent
fi
[ -x "$indent" ] || die "pg_bsd_indent is not installed (part of PostgreSQL 16 and later, src/tools/pg_bsd_indent)"

types=$(mktemp)
trap 'rm -f "$types"' EXIT
if [ -f typedefs.list ]; then
    cat typedefs.list >"$types"
else
    compgen -G 'src/*.o' >/dev/null || die "build first: the names of the types come from the objects"
    objdump -Wi src/*.o | awk '/DW_TAG_typedef/ {t = 1; next} t && /DW_AT_name/ {print $NF; t = 0}' | sort -u >"$types"
fi
for file in src/*.[ch]; do
    "$indent" -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro \
        -sac -tpg -ts4 -U"$types" "$file" "$file.indented" && mv "$file.indented" "$file"
    rm -f "$file.BAK"
done
