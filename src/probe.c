/*-------------------------------------------------------------------------
 *
 * probe.c
 *	  look for the rows of one leaf that refer to keys
 *
 * Visibility.  A row counts if the active snapshot OR the latest one sees it:
 * the active one is that of the outermost statement and still sees what this
 * very statement removed (by a cascade, a CTE, a trigger); the latest one sees
 * what others committed meanwhile, whatever the isolation level.  The second
 * look is left out where it cannot differ: no other transaction has ended
 * between the two snapshots, and this transaction holds no lock on the leaf
 * that writing to it would have taken.  (Snapshots are compared field by
 * field; see GetSnapshotData in procarray.c for what they hold.)  A row counts
 * once, in whatever versions the two snapshots see it.
 *
 * Where a table refers to itself, rows that the same statement removed do not
 * count: deleting a whole subtree is one act.  A cascade removes the rows that
 * go with several parents by as many commands, all later than the active
 * snapshot; the removed row's cmax tells.  Where keys are changed, rows that the
 * same command changed do not count in the first look; the second sees what
 * became of them.
 *
 * How.  With a usable index: one index scan per key.  Without: the keys are
 * hashed and the leaf is scanned once, however many keys there are; a single
 * key, or keys that cannot be hashed, are compared one by one in that scan.
 *
 * Rights are the caller's business; no privileges or row security policies
 * apply to the scans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "probe.h"
#include "sql.h"

/*
 * Up to this many keys are compared one by one, without hashing: for two, the
 * comparisons cost more than hashing each row does (see doc/performance.md)
 */
#define DG_PLAIN_COMPARE 1

/* Hash table over keys: chains of row numbers by hash value */
typedef struct DgKeyHash
{
	uint32		mask;
	int		   *buckets;		/* first row of each chain, or -1 */
	int		   *next;			/* next row of the same chain, or -1 */
	uint32	   *hashes;			/* of each row */
} DgKeyHash;

static bool snapshots_differ(Snapshot a, Snapshot b);
static const DgMatcher *matcher_for(DgTable *table, DgReference *ref);
static DgMatcher *matcher_create(const DgReference *ref);
static ScanKey scankeys_for(DgTable *table, DgReference *ref, DgReferenceLeaf *leaf, Relation index);
static ScanKey scankeys_create(const DgReference *ref, const DgReferenceLeaf *leaf, Relation index);
static bool may_have_written(Relation rel);
static bool index_is_too_young(Relation index);
static void probe_look(DgProbing *probing, DgProbe *probe, int look,
					   const DgKeys *keys, DgMatchCallback callback, void *arg);
static void probe_by_index(DgProbing *probing, DgProbe *probe, int look,
						   const DgKeys *keys, int row,
						   DgMatchCallback callback, void *arg);
static void probe_by_scan(DgProbing *probing, DgProbe *probe, int look,
						  const DgKeys *keys, DgKeyHash *hash,
						  DgMatchCallback callback, void *arg);
static bool row_counts(DgProbing *probing, DgProbe *probe, int look);
static bool goes_along(DgProbing *probing, TupleTableSlot *slot);
static bool removed_between(TupleTableSlot *slot, CommandId first, CommandId last,
							bool replaced_too);
static void remember_successor(DgProbing *probing, DgProbe *probe);
static bool was_counted(DgProbing *probing, DgProbe *probe);
static bool condition_holds(DgProbing *probing, DgProbe *probe);
static bool fetch_referencing(DgProbe *probe, Datum *values);
static bool key_matches(DgProbe *probe, const DgKeys *keys, int row,
						const Datum *values);
static DgKeyHash *key_hash_build(DgProbe *probe, const DgKeys *keys);
static void key_hash_free(DgKeyHash *hash);
static uint32 hash_referencing(DgProbe *probe, const Datum *values);

/*
 * Can the two snapshots disagree about what other transactions did?  Command
 * ids are left out on purpose.
 */
static bool
snapshots_differ(Snapshot a, Snapshot b)
{
	return a->xmin != b->xmin || a->xmax != b->xmax ||
		a->xcnt != b->xcnt || a->subxcnt != b->subxcnt ||
		a->suboverflowed || b->suboverflowed ||
		a->takenDuringRecovery != b->takenDuringRecovery ||
		(a->xcnt > 0 && memcmp(a->xip, b->xip, sizeof(TransactionId) * a->xcnt) != 0) ||
		(a->subxcnt > 0 && memcmp(a->subxip, b->subxip, sizeof(TransactionId) * a->subxcnt) != 0);
}

/*
 * The functions that a reference compares and hashes with.  They are kept with
 * the table, which is pinned, if all are built in: such a function stays what
 * it is, and none of them can be in use twice.
 */
static const DgMatcher *
matcher_for(DgTable *table, DgReference *ref)
{
	MemoryContext old;

	if (ref->needs_owner)
		return matcher_create(ref);
	if (ref->matcher == NULL)
	{
		old = MemoryContextSwitchTo(table->context);
		ref->matcher = matcher_create(ref);
		MemoryContextSwitchTo(old);
	}
	return ref->matcher;
}

/* Look the functions up, in the current context */
static DgMatcher *
matcher_create(const DgReference *ref)
{
	DgMatcher  *matcher = palloc(sizeof(DgMatcher));
	int			n = Max(ref->ncolumns, 1);

	matcher->eq = palloc0(sizeof(FmgrInfo) * 4 * n);
	matcher->cast = matcher->eq + n;
	matcher->hash_referenced = matcher->cast + n;
	matcher->hash_referencing = matcher->hash_referenced + n;
	for (int i = 0; i < ref->ncolumns; i++)
	{
		const DgReferenceColumn *column = &ref->columns[i];

		fmgr_info(column->eq_proc, &matcher->eq[i]);
		if (OidIsValid(column->cast_func))
			fmgr_info(column->cast_func, &matcher->cast[i]);
		if (OidIsValid(column->hash_referenced))
		{
			fmgr_info(column->hash_referenced, &matcher->hash_referenced[i]);
			fmgr_info(column->hash_referencing, &matcher->hash_referencing[i]);
		}
	}
	return matcher;
}

/*
 * Scan keys of a leaf, for this probe alone: their arguments are set for each
 * key.  What they are made from is kept with the table, as above.
 */
static ScanKey
scankeys_for(DgTable *table, DgReference *ref, DgReferenceLeaf *leaf, Relation index)
{
	Size		size = sizeof(ScanKeyData) * leaf->nindexkeys;
	MemoryContext old;
	ScanKey		result;

	if (ref->needs_owner)
		return scankeys_create(ref, leaf, index);
	if (leaf->scankeys == NULL)
	{
		old = MemoryContextSwitchTo(table->context);
		leaf->scankeys = scankeys_create(ref, leaf, index);
		MemoryContextSwitchTo(old);
	}
	result = palloc(size);
	memcpy(result, leaf->scankeys, size);
	return result;
}

/* Make scan keys, in the current context */
static ScanKey
scankeys_create(const DgReference *ref, const DgReferenceLeaf *leaf, Relation index)
{
	ScanKey		result = palloc(sizeof(ScanKeyData) * leaf->nindexkeys);

	for (int i = 0; i < leaf->nindexkeys; i++)
	{
		const DgReferenceColumn *column = &ref->columns[leaf->indexkeys[i]];
		Oid			left;
		Oid			right;

		op_input_types(column->index_op, &left, &right);
		/* equality is strategy 1 of hash and 3 of btree */
		ScanKeyEntryInitialize(&result[i], 0, i + 1,
							   get_op_opfamily_strategy(column->index_op,
														index->rd_opfamily[i]),
							   right, index->rd_indcollation[i],
							   get_opcode(column->index_op), (Datum) 0);
	}
	return result;
}

/*
 * Open one leaf, with ACCESS SHARE or, if it is locked already, NoLock; index
 * scans begin with the first key.
 */
void
dg_probe_open(DgProbing *probing, DgProbe *probe, DgTable *table,
			  DgReference *ref, DgReferenceLeaf *leaf, LOCKMODE lockmode)
{
	probe->ref = ref;
	probe->leaf = leaf;
	probe->matcher = matcher_for(table, ref);
	probe->rel = table_open(leaf->relid, lockmode);
	probe->slot = table_slot_create(probe->rel, NULL);
	probe->look_twice = ref->on_itself ||
		snapshots_differ(probing->snapshot[0], probing->snapshot[1]) ||
		may_have_written(probe->rel);
	if (OidIsValid(leaf->index))
	{
		probe->index = index_open(leaf->index, AccessShareLock);
		if (index_is_too_young(probe->index))
		{
			index_close(probe->index, NoLock);
			probe->index = NULL;
		}
		else
			probe->scankeys = scankeys_for(table, ref, leaf, probe->index);
	}
	if (leaf->condition)
	{
		DgRoleState saved;

		if (probing->estate == NULL)
		{
			probing->estate = CreateExecutorState();
			probing->econtext = GetPerTupleExprContext(probing->estate);
		}
		/* planning may evaluate constant parts */
		dg_act_as(dg_relation_owner(ref->referencing), &saved);
		probe->condition = ExecPrepareQual(list_make1(leaf->condition), probing->estate);
		dg_act_back(&saved);
	}
}

/*
 * May this transaction have changed rows of a table?  Whoever changes rows of a
 * table locks it ROW EXCLUSIVE; TRUNCATE and what rewrites it, ACCESS EXCLUSIVE.
 */
static bool
may_have_written(Relation rel)
{
	return CheckRelationLockedByMe(rel, RowExclusiveLock, false) ||
		CheckRelationLockedByMe(rel, AccessExclusiveLock, false);
}

/*
 * May the index lack rows that our snapshots see?  (get_relation_info in
 * plancat.c asks the same.)
 */
static bool
index_is_too_young(Relation index)
{
	return index->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   TransactionXmin);
}

/*
 * Close one leaf; its lock stays.
 */
void
dg_probe_close(DgProbe *probe)
{
	for (int look = 0; look < 2; look++)
	{
		if (probe->scan[look])
			index_endscan(probe->scan[look]);
	}
	ExecDropSingleTupleTableSlot(probe->slot);
	if (probe->index)
		index_close(probe->index, NoLock);
	table_close(probe->rel, NoLock);
}

/*
 * Look for all keys in one leaf: callback sees each row that refers to one of
 * them and counts.
 */
void
dg_probe_leaf(DgProbing *probing, DgProbe *probe, const DgKeys *keys,
			  DgMatchCallback callback, void *arg)
{
	int			looks = probe->look_twice ? 2 : 1;

	for (int look = 0; look < looks; look++)
		probe_look(probing, probe, look, keys, callback, arg);
	if (probing->counted)
		hash_destroy(probing->counted);
	probing->counted = NULL;
}

/*
 * The same with the latest snapshot only.
 */
void
dg_probe_leaf_latest(DgProbing *probing, DgProbe *probe, const DgKeys *keys,
					 DgMatchCallback callback, void *arg)
{
	probe_look(probing, probe, 1, keys, callback, arg);
}

/* Look once, with the active (0) or the latest (1) snapshot */
static void
probe_look(DgProbing *probing, DgProbe *probe, int look, const DgKeys *keys,
		   DgMatchCallback callback, void *arg)
{
	DgKeyHash  *hash = NULL;

	if (probe->index)
	{
		for (int row = 0; row < keys->nrows; row++)
		{
			if (!dg_keys_skip(keys, row, probe->ref))
				probe_by_index(probing, probe, look, keys, row, callback, arg);
		}
		return;
	}
	if (keys->nrows > DG_PLAIN_COMPARE && probe->ref->hashable)
		hash = key_hash_build(probe, keys);
	probe_by_scan(probing, probe, look, keys, hash, callback, arg);
	if (hash)
		key_hash_free(hash);
}

/* One index scan for one key */
static void
probe_by_index(DgProbing *probing, DgProbe *probe, int look,
			   const DgKeys *keys, int row, DgMatchCallback callback, void *arg)
{
	const DgReferenceLeaf *leaf = probe->leaf;
	bool		all_columns = leaf->nindexkeys == probe->ref->ncolumns;
	MemoryContext old = MemoryContextSwitchTo(probing->context);

	/* what the index allocates on its way has to last as long as its scan */
	if (probe->scan[look] == NULL)
		probe->scan[look] = dg_index_beginscan(probe->rel, probe->index,
											   probing->snapshot[look], leaf->nindexkeys);
	for (int i = 0; i < leaf->nindexkeys; i++)
		probe->scankeys[i].sk_argument =
			dg_keys_value(keys, row, &probe->ref->columns[leaf->indexkeys[i]]);
	index_rescan(probe->scan[look], probe->scankeys, leaf->nindexkeys, NULL, 0);

	while (index_getnext_slot(probe->scan[look], ForwardScanDirection, probe->slot))
	{
		Datum		values[DG_MAX_KEYS];
		bool		counts = true;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(probing->scratch);
		if (!all_columns || probe->scan[look]->xs_recheck)
			counts = fetch_referencing(probe, values) && key_matches(probe, keys, row, values);
		counts = counts && row_counts(probing, probe, look);
		MemoryContextSwitchTo(old);
		if (counts)
			callback(arg, row, probe);
		MemoryContextReset(probing->scratch);
		MemoryContextSwitchTo(probing->context);
	}
	MemoryContextSwitchTo(old);
	ExecClearTuple(probe->slot);
}

/*
 * One scan of the leaf for all keys; hash is NULL to compare them one by one.
 */
static void
probe_by_scan(DgProbing *probing, DgProbe *probe, int look,
			  const DgKeys *keys, DgKeyHash *hash,
			  DgMatchCallback callback, void *arg)
{
	TableScanDesc scan = dg_table_beginscan(probe->rel, probing->snapshot[look]);

	while (table_scan_getnextslot(scan, ForwardScanDirection, probe->slot))
	{
		MemoryContext old;
		Datum		values[DG_MAX_KEYS];
		int			row;
		uint32		hashvalue = 0;

		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(probing->scratch);
		if (fetch_referencing(probe, values))
		{
			int			checked = -1;	/* not looked at yet */

			if (hash)
				hashvalue = hash_referencing(probe, values);
			row = hash ? hash->buckets[hashvalue & hash->mask] : 0;
			while (row >= 0 && row < keys->nrows)
			{
				if ((hash == NULL || hash->hashes[row] == hashvalue) &&
					key_matches(probe, keys, row, values))
				{
					if (checked < 0)
						checked = row_counts(probing, probe, look);
					if (!checked)
						break;
					MemoryContextSwitchTo(old);
					callback(arg, row, probe);
					MemoryContextSwitchTo(probing->scratch);
				}
				row = hash ? hash->next[row] : row + 1;
			}
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(probing->scratch);
	}
	table_endscan(scan);
	ExecClearTuple(probe->slot);
}

/*
 * Does the matching row in the probe's slot count?  Not if the condition does
 * not hold, if the first look has counted it, if it is excluded, or if it is
 * of the same table as the rows that go, and goes along.
 */
static bool
row_counts(DgProbing *probing, DgProbe *probe, int look)
{
	if (probe->condition && !condition_holds(probing, probe))
		return false;
	if (probe->ref->on_itself && probe->ref->kind != DG_REF_SELF_KEY &&
		probing->removing != InvalidCommandId && goes_along(probing, probe->slot))
		return false;
	if (probe->ref->kind == DG_REF_SELF_KEY)
		return true;
	if (RelationGetRelid(probe->rel) == probing->excluded_relation)
		return false;
	if (probing->excluded)
	{
		DgRowId		id = dg_probe_row_id(probe);

		if (hash_search(probing->excluded, &id, HASH_FIND, NULL))
			return false;
	}
	if (look == 0 && probe->look_twice)
		remember_successor(probing, probe);
	if (look == 1)
		return !was_counted(probing, probe);
	return true;
}

/*
 * The first look counts a version that the latest snapshot does not see: if it
 * was updated, the second look must not count what became of it.
 */
static void
remember_successor(DgProbing *probing, DgProbe *probe)
{
	DgRowId		id = dg_probe_row_id(probe);
	TableScanDesc scan;

	if (table_tuple_satisfies_snapshot(probe->rel, probe->slot, probing->snapshot[1]))
		return;
	scan = table_beginscan_tid(probe->rel, probing->snapshot[1]);
	table_tuple_get_latest_tid(scan, &id.tid);
	table_endscan(scan);
	if (ItemPointerEquals(&id.tid, &probe->slot->tts_tid))
		return;					/* deleted, not updated */
	if (probing->counted == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = DG_ROW_ID_SIZE;
		ctl.entrysize = sizeof(DgRowId);
		ctl.hcxt = probing->context;
		probing->counted = hash_create("delete_guard counted rows", 64, &ctl,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(probing->counted, &id, HASH_ENTER, NULL);
}

/* Has the first look counted this row, in this or an older version? */
static bool
was_counted(DgProbing *probing, DgProbe *probe)
{
	DgRowId		id = dg_probe_row_id(probe);

	return table_tuple_satisfies_snapshot(probe->rel, probe->slot, probing->snapshot[0]) ||
		(probing->counted && hash_search(probing->counted, &id, HASH_FIND, NULL) != NULL);
}

/*
 * Does the row in the slot go with the rows that are judged?  If these are
 * removed: was it removed by this statement, whichever of its commands did?  (A
 * row of a protected table is judged for itself as well.)  If their keys are
 * changed: was it changed or removed by the very command that does?
 */
static bool
goes_along(DgProbing *probing, TupleTableSlot *slot)
{
	if (probing->replaced_too)
		return removed_between(slot, probing->removing, probing->removing, true);
	return removed_between(slot, Min(probing->removing, probing->snapshot[0]->curcid),
						   InvalidCommandId, false);
}

/*
 * Was this row deleted by the given command of the current transaction?
 */
bool
dg_removed_by_command(TupleTableSlot *slot, CommandId removing)
{
	return removed_between(slot, removing, removing, false);
}

/*
 * Was this row deleted by one of the commands from first to last of the current
 * transaction?  With replaced_too also if it was updated by one.  (A deleted
 * version's t_ctid is its own place; see htup_details.h.)
 */
static bool
removed_between(TupleTableSlot *slot, CommandId first, CommandId last, bool replaced_too)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	HeapTupleHeader header = tuple->t_data;
	bool		result = false;

	if (!(header->t_infomask & HEAP_XMAX_INVALID) &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header)))
	{
		CommandId	cmax = HeapTupleHeaderGetCmax(header);

		result = first <= cmax && cmax <= last &&
			(replaced_too || ItemPointerEquals(&header->t_ctid, &slot->tts_tid));
	}
	if (should_free)
		heap_freetuple(tuple);
	return result;
}

/*
 * What tells the row in the probe's slot from every other.
 */
DgRowId
dg_probe_row_id(const DgProbe *probe)
{
	DgRowId		id;

	memset(&id, 0, sizeof(id));
	id.relid = RelationGetRelid(probe->rel);
	id.tid = probe->slot->tts_tid;
	return id;
}

/* Does the condition of a declared reference hold for the row in the slot? */
static bool
condition_holds(DgProbing *probing, DgProbe *probe)
{
	bool		result;

	probing->econtext->ecxt_scantuple = probe->slot;
	probing->in_user_code = true;
	result = ExecQual(probe->condition, probing->econtext);
	probing->in_user_code = false;
	ResetExprContext(probing->econtext);
	return result;
}

/*
 * The referencing columns of the row in the slot, cast to the type that the
 * operator wants.  False if one is NULL: then the row refers to nothing.
 */
static bool
fetch_referencing(DgProbe *probe, Datum *values)
{
	for (int i = 0; i < probe->ref->ncolumns; i++)
	{
		bool		isnull;

		values[i] = slot_getattr(probe->slot, probe->leaf->attnums[i], &isnull);
		if (isnull)
			return false;
		if (OidIsValid(probe->ref->columns[i].cast_func))
			values[i] = FunctionCall3(&probe->matcher->cast[i], values[i],
									  Int32GetDatum(-1), BoolGetDatum(false));
	}
	return true;
}

/* Compare by the reference's own operators */
static bool
key_matches(DgProbe *probe, const DgKeys *keys, int row, const Datum *values)
{
	const DgReference *ref = probe->ref;

	if (dg_keys_skip(keys, row, ref))
		return false;
	for (int i = 0; i < ref->ncolumns; i++)
	{
		if (!DatumGetBool(FunctionCall2Coll(&probe->matcher->eq[i],
											ref->columns[i].collation,
											dg_keys_value(keys, row, &ref->columns[i]),
											values[i])))
			return false;
	}
	return true;
}

/* Hash the keys, each row by its referenced columns */
static DgKeyHash *
key_hash_build(DgProbe *probe, const DgKeys *keys)
{
	const DgReference *ref = probe->ref;
	DgKeyHash  *hash = palloc(sizeof(DgKeyHash));
	uint32		size = 16;

	while (size < (uint32) keys->nrows && size < (1U << 30))
		size *= 2;
	hash->mask = size - 1;
	hash->buckets = palloc_extended(sizeof(int) * size, MCXT_ALLOC_HUGE);
	memset(hash->buckets, 0xff, sizeof(int) * size);
	hash->next = palloc_extended(sizeof(int) * keys->nrows, MCXT_ALLOC_HUGE);
	hash->hashes = palloc_extended(sizeof(uint32) * keys->nrows, MCXT_ALLOC_HUGE);
	for (int row = 0; row < keys->nrows; row++)
	{
		uint32		value = 0;

		if (dg_keys_skip(keys, row, ref))
			continue;
		for (int i = 0; i < ref->ncolumns; i++)
			value = hash_combine(value,
								 DatumGetUInt32(FunctionCall1Coll(&probe->matcher->hash_referenced[i],
																  ref->columns[i].collation,
																  dg_keys_value(keys, row, &ref->columns[i]))));
		hash->hashes[row] = value;
		hash->next[row] = hash->buckets[value & hash->mask];
		hash->buckets[value & hash->mask] = row;
	}
	return hash;
}

/* Free a hash table */
static void
key_hash_free(DgKeyHash *hash)
{
	pfree(hash->buckets);
	pfree(hash->next);
	pfree(hash->hashes);
	pfree(hash);
}

/* Hash the referencing columns the same way */
static uint32
hash_referencing(DgProbe *probe, const Datum *values)
{
	uint32		value = 0;

	for (int i = 0; i < probe->ref->ncolumns; i++)
		value = hash_combine(value,
							 DatumGetUInt32(FunctionCall1Coll(&probe->matcher->hash_referencing[i],
															  probe->ref->columns[i].collation,
															  values[i])));
	return value;
}
