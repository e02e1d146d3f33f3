/*-------------------------------------------------------------------------
 *
 * removal.c
 *	  judge what a statement did to rows, and journal what is allowed
 *
 * A "row source" gives the rows as often as they are asked for: a transition
 * table, a whole relation, rows whose keys an UPDATE changed, or one row.  The first pass counts what refers to
 * each row; the second, only if rows need an approval, takes their keys and
 * digests; the third writes the images.
 *
 * Memory: one chunk of keys at a time, one bit a row, and what a row set keeps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "capture.h"
#include "compat.h"
#include "guc.h"
#include "keydiff.h"
#include "radius.h"
#include "refusal.h"
#include "removal.h"

/* Some of the rows, by their position; nothing is kept for those after the last */
typedef struct DgRowBits
{
	MemoryContext context;
	uint8	   *bits;			/* NULL if there are none */
	Size		room;			/* bytes */
} DgRowBits;

static void source_rewind(DgRowSource *source);
static bool source_next(DgRowSource *source);
static bool source_next_rekeyed(DgRowSource *source);
static void removal_look(DgRemoval *removal, DgRowSource *source, DgRowBits *held);
static void look_at_chunk(DgRemoval *removal, DgKeys *keys, int64 *counts, DgRowBits *held);
static void bits_set(DgRowBits *set, int64 position);
static bool bits_has(const DgRowBits *set, int64 position);
static int	chunk_rows(const DgRemoval *removal);
static void removal_hold(DgRemoval *removal, DgRowSource *source, const DgRowBits *held);
static DgVerdict *removal_decide(DgRemoval *removal);
static void store_rows(DgRemoval *removal, DgRowSource *source, DgParts *parts,
					   DgElsewhere *elsewhere);
static void store_along(DgRemoval *removal, DgRowSource *source, DgParts *parts,
						const DgElsewhere *elsewhere);
static void event_from_verdict(DgEvent *event, const DgRemoval *removal,
							   const DgVerdict *verdict);

/* Go (back) to the first row */
static void
source_rewind(DgRowSource *source)
{
	if (source->store)
	{
		if (source->pointer < 0)
			source->pointer = tuplestore_alloc_read_pointer(source->store, EXEC_FLAG_REWIND);
		tuplestore_select_read_pointer(source->store, source->pointer);
		tuplestore_rescan(source->store);
	}
	else if (source->scanned)
	{
		dg_source_end(source);
		/*
		 * all rows that are there now, also those that were committed while
		 * TRUNCATE waited for its lock
		 */
		source->snapshot = RegisterSnapshot(GetLatestSnapshot());
		source->scan = dg_table_beginscan(source->scanned, source->snapshot);
	}
	source->next_rekeyed = 0;
	source->given = false;
}

/* Get the next row into the slot; false at the end */
static bool
source_next(DgRowSource *source)
{
	CHECK_FOR_INTERRUPTS();
	if (source->store)
	{
		tuplestore_select_read_pointer(source->store, source->pointer);
		return tuplestore_gettupleslot(source->store, true, false, source->slot);
	}
	if (source->scanned)
		return table_scan_getnextslot(source->scan, ForwardScanDirection, source->slot);
	if (source->rekeyed)
		return source_next_rekeyed(source);
	if (source->given)
		return false;
	source->given = true;
	return true;
}

/* Get the next row whose key differs, with what it has become */
static bool
source_next_rekeyed(DgRowSource *source)
{
	while (source->next_rekeyed < source->nrekeyed)
	{
		const DgRekeyedRow *row = &source->rekeyed[source->next_rekeyed++];

		/* the trigger has looked before, so this should not happen */
		if (!dg_source_fetch(source, row))
			elog(ERROR, "updated row is gone");
		if (dg_keys_differ(source->rekeyed_table, source->slot, source->new_slot,
						   source->concerned))
			return true;
	}
	return false;
}

/*
 * Fetch a row whose key was changed, as it was and as it is now.  False if it
 * was not updated from the one to the other by the command.
 */
bool
dg_source_fetch(DgRowSource *source, const DgRekeyedRow *row)
{
	ItemPointerData before = row->before;
	ItemPointerData after = row->after;
	HeapTupleHeader header;
	bool		should_free;
	HeapTuple	tuple;
	bool		sound;

	if (!ItemPointerIsValid(&before) || ItemPointerGetBlockNumber(&before) >= source->rekeyed_blocks ||
		!ItemPointerIsValid(&after) || ItemPointerGetBlockNumber(&after) >= source->rekeyed_blocks)
		return false;
	if (!table_tuple_fetch_row_version(source->rekeyed_rel, &before, SnapshotAny, source->slot) ||
		!table_tuple_fetch_row_version(source->rekeyed_rel, &after, SnapshotAny, source->new_slot))
		return false;
	tuple = ExecFetchSlotHeapTuple(source->slot, false, &should_free);
	header = tuple->t_data;
	sound = !(header->t_infomask & HEAP_XMAX_INVALID) &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header)) &&
		HeapTupleHeaderGetCmax(header) == source->rekeying &&
		ItemPointerEquals(&header->t_ctid, &after);
	if (should_free)
		heap_freetuple(tuple);
	return sound;
}

/*
 * End a scan that may be open.
 */
void
dg_source_end(DgRowSource *source)
{
	if (source->scan)
	{
		table_endscan(source->scan);
		UnregisterSnapshot(source->snapshot);
	}
	source->scan = NULL;
}

/*
 * Prepare to judge what a command did to rows of a relation that is locked.
 * Everything lives in the current context, until dg_dependents_end.
 */
void
dg_removal_begin(DgRemoval *removal, Relation rel, const char *operation,
				 CommandId removing, MemoryContext query)
{
	memset(removal, 0, sizeof(DgRemoval));
	removal->query = query;
	removal->operation = operation;
	removal->rel = rel;
	removal->dependents = dg_dependents_begin(RelationGetRelid(rel), removing,
											  CurrentMemoryContext);
	removal->table = dg_dependents_table(removal->dependents);
}

/*
 * Look at all rows and decide.  A refusal does not return.  NULL if there are
 * no rows.
 */
DgVerdict *
dg_removal_judge(DgRemoval *removal, DgRowSource *source)
{
	DgRowBits	held = {CurrentMemoryContext};

	removal_look(removal, source, &held);
	if (removal->nrows == 0)
		return NULL;
	if (held.bits)
		removal_hold(removal, source, &held);
	return removal_decide(removal);
}

/*
 * First pass: count the rows, find those that something refers to.  held
 * receives those that need an approval.
 */
static void
removal_look(DgRemoval *removal, DgRowSource *source, DgRowBits *held)
{
	bool		single = !source->store && !source->scanned && !source->rekeyed;
	int			capacity = single ? 1 : chunk_rows(removal);
	int			nreferences = Max(removal->table->nreferences, 1);
	DgKeys	   *keys = dg_keys_create(removal->table, capacity, CurrentMemoryContext);
	int64	   *counts = palloc_extended(sizeof(int64) * capacity * nreferences, MCXT_ALLOC_HUGE);
	bool		more = true;

	removal->referenced = dg_keys_create(removal->table, 16, CurrentMemoryContext);
	source_rewind(source);
	while (more)
	{
		dg_keys_reset(keys);
		while (keys->nrows < capacity && (more = source_next(source)))
		{
			dg_keys_add(keys, source->slot);
			if (source->concerned)
				dg_keys_concern(keys, keys->nrows - 1, source->concerned);
		}
		look_at_chunk(removal, keys, counts, held);
	}
	MemoryContextDelete(keys->context);
	pfree(counts);
}

/* Count what refers to a chunk of rows; those that need an approval go into held */
static void
look_at_chunk(DgRemoval *removal, DgKeys *keys, int64 *counts, DgRowBits *held)
{
	DgTable    *table = removal->table;

	dg_dependents_count(removal->dependents, keys, counts);
	for (int row = 0; row < keys->nrows; row++)
	{
		int64		position = removal->nrows++;
		bool		referenced = false;

		for (int i = 0; i < table->nreferences && !referenced; i++)
			referenced = counts[(Size) row * table->nreferences + i] > 0;
		if (referenced && removal->nreferenced++ < DG_ROWSET_MAX)
			dg_keys_add_from(removal->referenced, keys, row);
		if (dg_policy_holds(table, referenced))
			bits_set(held, position);
	}
}

/* Add a row */
static void
bits_set(DgRowBits *set, int64 position)
{
	Size		byte = position / 8;

	if (byte >= set->room)
	{
		Size		wanted = Max(set->room * 2, byte + 1024);

		if (set->bits == NULL)
			set->bits = MemoryContextAllocHuge(set->context, wanted);
		else
			set->bits = repalloc_huge(set->bits, wanted);
		memset(set->bits + set->room, 0, wanted - set->room);
		set->room = wanted;
	}
	set->bits[byte] |= 1 << (position % 8);
}

/* Is a row one of them? */
static bool
bits_has(const DgRowBits *set, int64 position)
{
	Size		byte = position / 8;

	return byte < set->room && (set->bits[byte] & (1 << (position % 8))) != 0;
}

/*
 * How many rows to look at together.
 */
static int
chunk_rows(const DgRemoval *removal)
{
	return dg_keys_at_once(removal->table, dg_dependents_needs_scan(removal->dependents));
}

/*
 * Second pass, only if there are such rows: take keys and digests of the rows
 * that need an approval and are not covered by one already.
 */
static void
removal_hold(DgRemoval *removal, DgRowSource *source, const DgRowBits *held)
{
	TupleDesc	desc = RelationGetDescr(removal->rel);
	int64		position = 0;
	DgImager   *imager = NULL;

	removal->held = dg_rowset_create(removal->table, desc, CurrentMemoryContext);
	if (dg_cover_any() && strcmp(removal->operation, DG_OPERATION_DELETE) == 0)
		imager = dg_imager_create(desc, removal->table->identity,
								  removal->table->nidentity, CurrentMemoryContext);
	source_rewind(source);
	for (; source_next(source); position++)
	{
		uint8		digest[DG_KEY_DIGEST_LEN];

		if (!bits_has(held, position))
			continue;
		if (imager)
		{
			dg_key_digest(imager, source->slot, digest);
			if (dg_cover_find(removal->query, removal->table->protection.relid,
							  digest, &removal->covering))
			{
				removal->ncovered++;
				continue;
			}
		}
		dg_rowset_add(removal->held, source->slot, source->new_slot, source->concerned);
	}
}

/*
 * The verdict.  A refusal does not return, unless refusals are switched off.
 */
static DgVerdict *
removal_decide(DgRemoval *removal)
{
	bool		holds = removal->held && removal->held->nrows > 0;
	List	   *requests = holds ? dg_requests_named(true) : NIL;
	DgVerdict  *verdict = dg_policy_decide(removal, requests);

	if (verdict->outcome == NULL && dg_enforce)
		dg_refuse(removal, verdict);
	if (verdict->outcome == NULL)
		verdict->outcome = DG_OUTCOME_NOT_ENFORCED;
	if (verdict->radius == NULL && removal->nreferenced > 0)
	{
		DgRadius   *radius = dg_radius_create(CurrentMemoryContext, NULL, NULL);

		dg_radius_add(radius, removal->dependents, removal->referenced);
		verdict->radius = dg_radius_jsonb(radius);
		dg_radius_free(radius);
	}
	return verdict;
}

/*
 * Use the approvals that a verdict rests on, and cover what goes along.
 */
void
dg_removal_accept(const DgRemoval *removal, const DgVerdict *verdict, int64 event_id)
{
	ListCell   *lc;

	foreach(lc, verdict->used)
		dg_request_use(lfirst(lc), event_id);
	foreach(lc, verdict->cascaded)
	{
		DgCascadedRow *row = lfirst(lc);

		dg_cover_add(removal->query, row->table_id, row->key, linitial(verdict->used));
	}
}

/*
 * Write event and images of an allowed removal.
 */
void
dg_removal_journal(DgRemoval *removal, DgVerdict *verdict, DgRowSource *source)
{
	DgEvent		event = {0};
	int64		event_id = dg_journal_reserve();
	DgParts    *parts = dg_parts_begin(event_id, CurrentMemoryContext);
	DgElsewhere elsewhere = {0};

	dg_removal_accept(removal, verdict, event_id);
	event_from_verdict(&event, removal, verdict);
	event.operation = removal->operation;
	event.table_id = removal->table->protection.relid;
	event.row_count = removal->nrows;
	store_rows(removal, source, parts, &elsewhere);
	store_along(removal, source, parts, &elsewhere);
	event.details = dg_capture_details(parts, &elsewhere);
	event.parts = dg_parts_end(parts, &event.images);
	dg_journal_event(event_id, &event, false);
}

/* Store the images of all rows that are not stored already, up to the limit */
static void
store_rows(DgRemoval *removal, DgRowSource *source, DgParts *parts, DgElsewhere *elsewhere)
{
	DgPart	   *part = dg_parts_own(parts, removal->table, removal->rel, removal->operation, true);
	bool		delete = strcmp(removal->operation, DG_OPERATION_DELETE) == 0;
	int			pin = dg_part_pin(part);

	source_rewind(source);
	while (source_next(source))
	{
		if (delete && dg_capture_has(removal->query, removal->table, source->slot, elsewhere))
			continue;
		if (!dg_part_add_rekeyed(part, source->slot, source->new_slot))
			break;
	}
	dg_part_unpin(pin);
}

/* Store what goes along with rows that are not stored elsewhere, in chunks */
static void
store_along(DgRemoval *removal, DgRowSource *source, DgParts *parts,
			const DgElsewhere *elsewhere)
{
	DgElsewhere again = {0};
	DgKeys	   *keys;
	bool		more = true;

	if (strcmp(removal->operation, DG_OPERATION_TRUNCATE) == 0)
	{
		dg_capture_truncated(parts, removal->query, removal->table);
		return;
	}
	if (removal->nreferenced == 0 || elsewhere->nrows == removal->nrows ||
		!dg_capture_wanted(removal->dependents))
		return;
	if (elsewhere->nrows == 0 && removal->nreferenced <= DG_ROWSET_MAX)
	{
		dg_capture_rows(parts, removal->query, removal->dependents, removal->referenced);
		return;
	}
	keys = dg_keys_create(removal->table, 1024, CurrentMemoryContext);
	source_rewind(source);
	while (more && !dg_parts_cut(parts))
	{
		dg_keys_reset(keys);
		while (keys->nrows < dg_keys_at_once(removal->table, true) && (more = source_next(source)))
		{
			if (elsewhere->nrows > 0 &&
				dg_capture_has(removal->query, removal->table, source->slot, &again))
				continue;
			dg_keys_add(keys, source->slot);
			if (source->concerned)
				dg_keys_concern(keys, keys->nrows - 1, source->concerned);
		}
		dg_capture_rows(parts, removal->query, removal->dependents, keys);
	}
	MemoryContextDelete(keys->context);
}

/* The part of an event that follows from the verdict */
static void
event_from_verdict(DgEvent *event, const DgRemoval *removal, const DgVerdict *verdict)
{
	const DgRequest *request = dg_removal_request(removal, verdict);

	event->outcome = verdict->outcome;
	event->blast_radius = verdict->radius;
	if (request)
	{
		event->request_id = request->request_id;
		event->approved_by = request->approved_by;
	}
}

/*
 * The request that a verdict rests on: of the rows themselves, or of what
 * cascades to them.  NULL if there is none.
 */
const DgRequest *
dg_removal_request(const DgRemoval *removal, const DgVerdict *verdict)
{
	if (verdict->used != NIL)
		return linitial(verdict->used);
	return removal->ncovered > 0 ? &removal->covering : NULL;
}
