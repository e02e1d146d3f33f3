/*-------------------------------------------------------------------------
 *
 * keystore.c
 *	  the key columns of many rows of one table, on disk if need be
 *
 * Rows are added, and then taken out again a chunk at a time.  The first chunk
 * stays in memory as it is; what comes after it goes into a tuplestore, which
 * spills to disk at work_mem.  So memory is that of one chunk and work_mem,
 * however many rows there are, and few rows cost nothing more than DgKeys.
 *
 * Lifetime: a context of its own below the parent's; the tuplestore's file
 * belongs to the resource owner that was current when the first row went there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "keystore.h"

struct DgKeyStore
{
	MemoryContext context;
	const DgTable *table;
	int			at_once;		/* rows of a chunk */
	DgKeys	   *chunk;			/* the first, and later the current one */
	bool		begun;			/* the first chunk has been taken */
	Tuplestorestate *rest;		/* NULL if one chunk is all */
	TupleTableSlot *slot;		/* of the tuplestore's shape */
};

static void begin_rest(DgKeyStore *store, TupleDesc desc);

/*
 * An empty store of rows of a table, which are taken out at_once together.
 */
DgKeyStore *
dg_keystore_create(const DgTable *table, int at_once, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard key store",
												  ALLOCSET_SMALL_SIZES);
	DgKeyStore *store = MemoryContextAllocZero(context, sizeof(DgKeyStore));

	store->context = context;
	store->table = table;
	store->at_once = at_once;
	store->chunk = dg_keys_create(table, 64, context);
	return store;
}

/*
 * Add the key of the row in the slot, which is of the table's own shape.  Not
 * once chunks are taken.
 */
void
dg_keystore_add(DgKeyStore *store, TupleTableSlot *slot)
{
	Assert(!store->begun);
	if (store->chunk->nrows < store->at_once)
	{
		dg_keys_add(store->chunk, slot);
		return;
	}
	if (store->rest == NULL)
		begin_rest(store, slot->tts_tupleDescriptor);
	ExecClearTuple(store->slot);
	for (int i = 0; i < store->table->nkey_columns; i++)
		store->slot->tts_values[i] = slot_getattr(slot, store->table->key_columns[i],
												  &store->slot->tts_isnull[i]);
	tuplestore_putvalues(store->rest, store->slot->tts_tupleDescriptor,
						 store->slot->tts_values, store->slot->tts_isnull);
}

/* Begin the tuplestore; its columns are the key columns of rows of this shape */
static void
begin_rest(DgKeyStore *store, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(store->context);
	TupleDesc	keys = CreateTemplateTupleDesc(store->table->nkey_columns);

	for (int i = 0; i < store->table->nkey_columns; i++)
		TupleDescCopyEntry(keys, i + 1, desc, store->table->key_columns[i]);
	dg_tupledesc_finish(keys);
	store->rest = tuplestore_begin_heap(false, false, work_mem);
	store->slot = MakeSingleTupleTableSlot(keys, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
}

/*
 * The next chunk, valid until the next call; NULL after the last.
 */
const DgKeys *
dg_keystore_next(DgKeyStore *store)
{
	if (!store->begun)
	{
		store->begun = true;
		return store->chunk->nrows > 0 ? store->chunk : NULL;
	}
	if (store->rest == NULL)
		return NULL;
	dg_keys_reset(store->chunk);
	while (store->chunk->nrows < store->at_once &&
		   tuplestore_gettupleslot(store->rest, true, false, store->slot))
	{
		slot_getallattrs(store->slot);
		dg_keys_add_datums(store->chunk, store->slot->tts_values, store->slot->tts_isnull);
	}
	return store->chunk->nrows > 0 ? store->chunk : NULL;
}

/*
 * Free a store.
 */
void
dg_keystore_free(DgKeyStore *store)
{
	if (store->rest)
	{
		ExecDropSingleTupleTableSlot(store->slot);
		tuplestore_end(store->rest);
	}
	MemoryContextDelete(store->context);
}
