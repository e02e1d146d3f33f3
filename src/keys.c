/*-------------------------------------------------------------------------
 *
 * keys.c
 *	  the key columns of some rows of one table
 *
 * A set of keys is what references are looked up for.  Values are copied and
 * detoasted when they are added; the set owns them, in a context that is reset
 * as a whole.  Key columns are those of DgTable: the identity first, then
 * every other column that a reference points at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "keys.h"

/* Rows looked at together: enough to keep the index warm, few enough for it */
#define DG_CHUNK_ROWS 500
/* Bounds on the chunk where a table is scanned once per chunk */
#define DG_SCAN_CHUNK_MIN 1000
#define DG_SCAN_CHUNK_MAX 1000000

/*
 * An empty set of keys with room for some rows; it grows.  Lives in a context
 * of its own below parent.
 */
DgKeys *
dg_keys_create(const DgTable *table, int capacity, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard keys",
												  ALLOCSET_DEFAULT_SIZES);
	DgKeys	   *keys = MemoryContextAllocZero(parent, sizeof(DgKeys));

	keys->table = table;
	keys->context = context;
	keys->capacity = capacity;
	dg_keys_reset(keys);
	return keys;
}

/*
 * How many keys of a table to look up together.  Where a referencing table must
 * be scanned, as many as fit into the memory that a hash table may take (work_mem
 * * hash_mem_multiplier), since each time costs a scan.
 */
int
dg_keys_at_once(const DgTable *table, bool scan)
{
	double		bytes_per_row = 48.0 + 8.0 * table->nreferences + 24.0 * table->nkey_columns;
	double		rows = work_mem * 1024.0 * hash_mem_multiplier / bytes_per_row;

	if (!scan)
		return DG_CHUNK_ROWS;
	return (int) Min(Max(rows, DG_SCAN_CHUNK_MIN), DG_SCAN_CHUNK_MAX);
}

/*
 * Forget all rows.
 */
void
dg_keys_reset(DgKeys *keys)
{
	int			n = keys->capacity * Max(keys->table->nkey_columns, 1);

	MemoryContextReset(keys->context);
	keys->nrows = 0;
	keys->concerned = NULL;
	keys->values = MemoryContextAllocHuge(keys->context, sizeof(Datum) * n);
	keys->isnull = MemoryContextAllocHuge(keys->context, sizeof(bool) * n);
}

/*
 * Add the key of the row in the slot, which is of the table's own shape.
 */
void
dg_keys_add(DgKeys *keys, TupleTableSlot *slot)
{
	const DgTable *table = keys->table;
	Datum	   *values = palloc(sizeof(Datum) * Max(table->nkey_columns, 1));
	bool	   *isnull = palloc(sizeof(bool) * Max(table->nkey_columns, 1));

	for (int i = 0; i < table->nkey_columns; i++)
		values[i] = slot_getattr(slot, table->key_columns[i], &isnull[i]);
	dg_keys_add_datums(keys, values, isnull);
	pfree(values);
	pfree(isnull);
}

/*
 * Add a key given as datums, in the order of the table's key columns.  They
 * are copied, and detoasted.
 */
void
dg_keys_add_datums(DgKeys *keys, const Datum *values, const bool *isnull)
{
	const DgTable *table = keys->table;
	int			n = table->nkey_columns;
	MemoryContext old = MemoryContextSwitchTo(keys->context);

	if (keys->nrows == keys->capacity)
	{
		keys->capacity *= 2;
		keys->values = repalloc_huge(keys->values, sizeof(Datum) * keys->capacity * Max(n, 1));
		keys->isnull = repalloc_huge(keys->isnull, sizeof(bool) * keys->capacity * Max(n, 1));
		if (keys->concerned)
			keys->concerned = repalloc_huge(keys->concerned, sizeof(bool) * keys->capacity *
											Max(table->nreferences, 1));
	}
	for (int i = 0; i < n; i++)
	{
		int			at = keys->nrows * n + i;
		int16		typlen = table->key_typlen[i];

		keys->isnull[at] = isnull[i];
		if (isnull[i] || table->key_typbyval[i])
			keys->values[at] = values[i];
		else if (typlen == -1)
			keys->values[at] = PointerGetDatum(PG_DETOAST_DATUM_COPY(values[i]));
		else
			keys->values[at] = datumCopy(values[i], false, typlen);
	}
	keys->nrows++;
	MemoryContextSwitchTo(old);
}

/*
 * Add a row of another set of keys of the same table.
 */
void
dg_keys_add_from(DgKeys *keys, const DgKeys *other, int row)
{
	int			n = keys->table->nkey_columns;

	dg_keys_add_datums(keys, other->values + (Size) row * n, other->isnull + (Size) row * n);
	if (other->concerned)
		dg_keys_concern(keys, keys->nrows - 1,
						other->concerned + (Size) row * keys->table->nreferences);
}

/*
 * Of a row, only some references are to be looked at: one flag a reference.
 * Done for one row, it is to be done for each.
 */
void
dg_keys_concern(DgKeys *keys, int row, const bool *concerned)
{
	Size		n = keys->table->nreferences;

	if (keys->concerned == NULL)
		keys->concerned = MemoryContextAllocHuge(keys->context,
												 sizeof(bool) * keys->capacity * Max(n, 1));
	memcpy(keys->concerned + row * n, concerned, sizeof(bool) * n);
}

/*
 * Is there nothing to look for?  Either the reference is not concerned, or the
 * row has a NULL in a column that it points at, so that nothing can refer to it.
 */
bool
dg_keys_skip(const DgKeys *keys, int row, const DgReference *ref)
{
	if (keys->concerned &&
		!keys->concerned[(Size) row * keys->table->nreferences + (ref - keys->table->references)])
		return true;
	for (int i = 0; i < ref->ncolumns; i++)
	{
		if (keys->isnull[(Size) row * keys->table->nkey_columns + ref->columns[i].key_position])
			return true;
	}
	return false;
}

/*
 * The value of one referenced column of a row's key.
 */
Datum
dg_keys_value(const DgKeys *keys, int row, const DgReferenceColumn *column)
{
	return keys->values[(Size) row * keys->table->nkey_columns + column->key_position];
}
