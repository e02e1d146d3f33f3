/*-------------------------------------------------------------------------
 *
 * dependents.c
 *	  what hangs on rows: which references still point at them, how many
 *	  rows, and what a delete would reach
 *
 * Words.  "Keys" are the key columns of the rows in question.  A "probe" looks
 * for the rows of one leaf that refer to them.  The "radius" is what hangs on
 * the keys, level by level: rows that a cascade would delete have dependents
 * of their own.
 *
 * Visibility.  A row counts if the active snapshot OR the latest one sees it:
 * the active one is that of the outermost statement and still sees what this
 * very statement removed (by a cascade, a CTE, a trigger); the latest one sees
 * what others committed meanwhile, whatever the isolation level.  The second
 * look is left out where it cannot differ: no other transaction has ended
 * between the two snapshots, and this transaction holds no lock on the leaf
 * that writing to it would have taken.  (Snapshots are compared field by
 * field; see GetSnapshotData in procarray.c for what they hold.)
 *
 * Where a table refers to itself, rows that the same command removed (or
 * changed) do not count in the first look: deleting a whole subtree is one
 * act.  The command is known from the removed row's cmax.
 *
 * How.  With a usable index: one index scan per key.  Without: the keys are
 * hashed and the leaf is scanned once, however many keys there are; one or two
 * keys, or keys that cannot be hashed, are compared one by one in that scan.
 *
 * Rights.  Conditions, and operators or casts that are not built in, run as
 * the owner of the referencing table, restricted (sql.c).  No privileges or
 * row security policies apply to the scans.
 *
 * Locks: ACCESS SHARE on every referencing table, to the end of the
 * transaction, so that none can be dropped or detached between verdict and
 * commit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "dependents.h"
#include "sql.h"

/* Rows that the radius follows before it stops and says so */
#define DG_RADIUS_MAX_ROWS 100000
/* Levels that the radius follows */
#define DG_RADIUS_MAX_DEPTH 50
/* Up to this many keys are compared one by one, without hashing */
#define DG_PLAIN_COMPARE 2

/* Functions of one reference, ready to call */
typedef struct DgMatcher
{
	FmgrInfo	eq[DG_MAX_KEYS];
	FmgrInfo	cast[DG_MAX_KEYS];
	FmgrInfo	hash_referenced[DG_MAX_KEYS];
	FmgrInfo	hash_referencing[DG_MAX_KEYS];
} DgMatcher;

/* One leaf, opened */
typedef struct DgProbe
{
	const DgReference *ref;
	const DgReferenceLeaf *leaf;
	DgMatcher  *matcher;
	Relation	rel;
	Relation	index;			/* NULL without one */
	TupleTableSlot *slot;
	IndexScanDesc scan[2];		/* for the active and the latest snapshot */
	ScanKeyData scankeys[DG_MAX_KEYS];
	bool		look_twice;
	ExprState  *condition;
} DgProbe;

/* Hash table over keys: chains of row numbers by hash value */
typedef struct DgKeyHash
{
	uint32		mask;
	int		   *buckets;		/* first row of each chain, or -1 */
	int		   *next;			/* next row of the same chain, or -1 */
	uint32	   *hashes;			/* of each row */
} DgKeyHash;

/* Called for each row that refers to keys[row] */
typedef void (*DgMatchCallback) (void *arg, int refno, int row, DgProbe *probe);

struct DgDependents
{
	MemoryContext context;
	MemoryContext scratch;		/* reset per key or per scanned row */
	MemoryContextCallback release;
	DgTable    *table;
	CommandId	removing;		/* InvalidCommandId if no row is being removed */
	Snapshot	snapshot[2];	/* active, latest */
	ExprContext *econtext;
	EState	   *estate;
	int			nprobes;
	DgProbe    *probes;			/* grouped by reference */
	int		   *first_probe;	/* of each reference; one more entry at the end */
	DgProbe    *self_probes;
	int			nself_probes;
	HTAB	   *excluded;		/* rows that never count, or NULL */
	Oid			excluded_relation;	/* all rows of it never count */
	bool	   *concerned;		/* references that an UPDATE concerns, or NULL */
};

/* Key of the hash tables of rows */
typedef struct DgRowId
{
	Oid			relid;
	ItemPointerData tid;
} DgRowId;

static DgTable *acquire_and_lock(Oid relid);
static bool lock_leaves(const DgTable *table);
static void release_table(void *arg);
static void take_snapshots(DgDependents *dep);
static bool snapshots_differ(Snapshot a, Snapshot b);
static void open_probes(DgDependents *dep);
static void open_probe(DgDependents *dep, DgProbe *probe, const DgReference *ref,
					   const DgReferenceLeaf *leaf, DgMatcher *matcher);
static DgMatcher *matcher_create(const DgReference *ref);
static void close_probe(DgProbe *probe);
static void open_self_probes(DgDependents *dep);
static void probe_reference(DgDependents *dep, int refno, const DgKeys *keys,
							DgMatchCallback callback, void *arg);
static void probe_leaf(DgDependents *dep, DgProbe *probe, int refno,
					   const DgKeys *keys, DgMatchCallback callback, void *arg);
static void probe_by_index(DgDependents *dep, DgProbe *probe, int look, int refno,
						   const DgKeys *keys, int row,
						   DgMatchCallback callback, void *arg);
static void probe_by_scan(DgDependents *dep, DgProbe *probe, int look, int refno,
						  const DgKeys *keys, DgKeyHash *hash,
						  DgMatchCallback callback, void *arg);
static bool row_counts(DgDependents *dep, DgProbe *probe, int look);
static bool removed_by_command(TupleTableSlot *slot, CommandId removing);
static bool condition_holds(DgDependents *dep, DgProbe *probe);
static bool key_has_null(const DgKeys *keys, int row, const DgReference *ref);
static Datum key_value(const DgKeys *keys, int row, const DgReferenceColumn *column);
static bool fetch_referencing(DgProbe *probe, Datum *values);
static bool key_matches(DgProbe *probe, const DgKeys *keys, int row,
						const Datum *values);
static DgKeyHash *key_hash_build(DgProbe *probe, const DgKeys *keys);
static uint32 hash_referencing(DgProbe *probe, const Datum *values);

/* ---------------------------------------------------------------------
 * Keys
 * ---------------------------------------------------------------------
 */

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
 * Forget all rows.
 */
void
dg_keys_reset(DgKeys *keys)
{
	int			n = keys->capacity * Max(keys->table->nkey_columns, 1);

	MemoryContextReset(keys->context);
	keys->nrows = 0;
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

/* ---------------------------------------------------------------------
 * Begin and end
 * ---------------------------------------------------------------------
 */

/*
 * Get ready to look for dependents of rows of a relation, which the caller
 * has locked.  removing is the command that removed rows of it, or
 * InvalidCommandId.  Everything lives in a context of its own below parent,
 * and in the current resource owner, until dg_dependents_end.
 */
DgDependents *
dg_dependents_begin(Oid relid, CommandId removing, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard dependents",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	DgDependents *dep = palloc0(sizeof(DgDependents));

	dep->context = context;
	dep->scratch = AllocSetContextCreate(context, "delete_guard probe scratch",
										 ALLOCSET_SMALL_SIZES);
	dep->removing = removing;
	dep->table = acquire_and_lock(relid);
	dep->release.func = release_table;
	dep->release.arg = dep->table;
	MemoryContextRegisterResetCallback(context, &dep->release);
	take_snapshots(dep);
	open_probes(dep);
	MemoryContextSwitchTo(old);
	return dep;
}

/*
 * Free everything.
 */
void
dg_dependents_end(DgDependents *dep)
{
	for (int i = 0; i < dep->nprobes; i++)
		close_probe(&dep->probes[i]);
	for (int i = 0; i < dep->nself_probes; i++)
		close_probe(&dep->self_probes[i]);
	if (dep->estate)
		FreeExecutorState(dep->estate);
	UnregisterSnapshot(dep->snapshot[0]);
	UnregisterSnapshot(dep->snapshot[1]);
	MemoryContextDelete(dep->context);	/* releases the table */
}

/*
 * What is known of the table; valid until dg_dependents_end.
 */
DgTable *
dg_dependents_table(DgDependents *dep)
{
	return dep->table;
}

/*
 * The entry for a relation, with all referencing tables locked, and built from
 * what holds now that they are.
 */
static DgTable *
acquire_and_lock(Oid relid)
{
	for (;;)
	{
		DgTable    *table = dg_table_acquire(relid);

		if (lock_leaves(table) && !dg_table_is_stale(table))
			return table;
		dg_table_release(table);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Lock all leaves; false if one is gone */
static bool
lock_leaves(const DgTable *table)
{
	for (int i = 0; i < table->nreferences; i++)
	{
		for (int j = 0; j < table->references[i].nleaves; j++)
		{
			Relation	rel = try_table_open(table->references[i].leaves[j].relid,
											 AccessShareLock);

			if (rel == NULL)
				return false;
			table_close(rel, NoLock);
		}
	}
	return true;
}

/* Context callback: unpin the table, also after an error */
static void
release_table(void *arg)
{
	dg_table_release((DgTable *) arg);
}

/* Register the active and the latest snapshot */
static void
take_snapshots(DgDependents *dep)
{
	/* what this command has done so far is to be seen by the latest one */
	if (!IsInParallelMode())
		CommandCounterIncrement();
	dep->snapshot[1] = RegisterSnapshot(GetLatestSnapshot());
	dep->snapshot[0] = ActiveSnapshotSet() ?
		RegisterSnapshot(GetActiveSnapshot()) :
		RegisterSnapshot(dep->snapshot[1]);
}

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

/* Open every leaf of every reference */
static void
open_probes(DgDependents *dep)
{
	DgTable    *table = dep->table;
	int			n = 0;

	for (int i = 0; i < table->nreferences; i++)
		n += table->references[i].nleaves;
	dep->probes = palloc0(sizeof(DgProbe) * Max(n, 1));
	dep->first_probe = palloc(sizeof(int) * (table->nreferences + 1));
	for (int i = 0; i < table->nreferences; i++)
	{
		const DgReference *ref = &table->references[i];
		DgMatcher  *matcher = matcher_create(ref);

		dep->first_probe[i] = dep->nprobes;
		for (int j = 0; j < ref->nleaves; j++)
			open_probe(dep, &dep->probes[dep->nprobes++], ref, &ref->leaves[j], matcher);
	}
	dep->first_probe[table->nreferences] = dep->nprobes;
}

/* The functions that a reference compares and hashes with */
static DgMatcher *
matcher_create(const DgReference *ref)
{
	DgMatcher  *matcher = palloc0(sizeof(DgMatcher));

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

/* Open one leaf; index scans begin with the first key */
static void
open_probe(DgDependents *dep, DgProbe *probe, const DgReference *ref,
		   const DgReferenceLeaf *leaf, DgMatcher *matcher)
{
	probe->ref = ref;
	probe->leaf = leaf;
	probe->matcher = matcher;
	probe->rel = table_open(leaf->relid, AccessShareLock);
	probe->slot = table_slot_create(probe->rel, NULL);
	probe->look_twice = ref->on_itself ||
		snapshots_differ(dep->snapshot[0], dep->snapshot[1]) ||
		CheckRelationLockedByMe(probe->rel, RowExclusiveLock, true);
	if (OidIsValid(leaf->index))
	{
		probe->index = index_open(leaf->index, AccessShareLock);
		for (int i = 0; i < leaf->nindexkeys; i++)
		{
			const DgReferenceColumn *column = &ref->columns[leaf->indexkeys[i]];
			Oid			left;
			Oid			right;

			op_input_types(column->index_op, &left, &right);
			/* equality is strategy 1 of hash and 3 of btree */
			ScanKeyEntryInitialize(&probe->scankeys[i], 0, i + 1,
								   get_op_opfamily_strategy(column->index_op,
															probe->index->rd_opfamily[i]),
								   right, probe->index->rd_indcollation[i],
								   get_opcode(column->index_op), (Datum) 0);
		}
	}
	if (leaf->condition)
	{
		if (dep->estate == NULL)
		{
			dep->estate = CreateExecutorState();
			dep->econtext = GetPerTupleExprContext(dep->estate);
		}
		probe->condition = ExecPrepareExpr(leaf->condition, dep->estate);
	}
}

/* Close one leaf; its lock stays */
static void
close_probe(DgProbe *probe)
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

/* ---------------------------------------------------------------------
 * Looking
 * ---------------------------------------------------------------------
 */

/* Callback of dg_dependents_count */
typedef struct DgCountArg
{
	int64	   *counts;
	int			nreferences;
} DgCountArg;

static void
count_match(void *arg, int refno, int row, DgProbe *probe)
{
	DgCountArg *count = arg;

	count->counts[(int64) row * count->nreferences + refno]++;
}

/*
 * Count the rows that refer to each key: counts has room for keys->nrows *
 * table->nreferences numbers, row by row, and is set.
 */
void
dg_dependents_count(DgDependents *dep, const DgKeys *keys, int64 *counts)
{
	DgCountArg	arg = {counts, dep->table->nreferences};

	memset(counts, 0, sizeof(int64) * (Size) keys->nrows * arg.nreferences);
	for (int i = 0; i < dep->table->nreferences; i++)
		probe_reference(dep, i, keys, count_match, &arg);
}

/*
 * Is some leaf without a usable index, so that it pays to look for many keys
 * at once?
 */
bool
dg_dependents_needs_scan(const DgDependents *dep)
{
	for (int i = 0; i < dep->nprobes; i++)
	{
		if (dep->probes[i].index == NULL)
			return true;
	}
	return false;
}

/*
 * A row that never counts as a dependent: one of those asked about, where
 * nothing is being removed yet.
 */
void
dg_dependents_exclude(DgDependents *dep, Oid relid, ItemPointer tid)
{
	DgRowId		id;

	if (dep->excluded == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(DgRowId);
		ctl.entrysize = sizeof(DgRowId);
		ctl.hcxt = dep->context;
		dep->excluded = hash_create("delete_guard excluded rows", 256, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&id, 0, sizeof(id));
	id.relid = relid;
	id.tid = *tid;
	(void) hash_search(dep->excluded, &id, HASH_ENTER, NULL);
}

/*
 * The same rows do not count as for another table's dependents, which must
 * live as long.
 */
void
dg_dependents_exclude_same(DgDependents *dep, const DgDependents *other)
{
	dep->excluded = other->excluded;
}

/*
 * No row of this relation counts as a dependent: all of them are going.
 */
void
dg_dependents_exclude_relation(DgDependents *dep, Oid relid)
{
	dep->excluded_relation = relid;
}

/*
 * The keys are changed by an UPDATE which concerns only some references: look
 * at those only, and speak of what ON UPDATE does.
 */
void
dg_dependents_for_update(DgDependents *dep, const bool *concerned)
{
	Size		size = sizeof(bool) * Max(dep->table->nreferences, 1);

	dep->concerned = MemoryContextAlloc(dep->context, size);
	memcpy(dep->concerned, concerned, sizeof(bool) * dep->table->nreferences);
}

/* Callback of the searches by key */
typedef struct DgFindArg
{
	DgFoundCallback callback;	/* NULL: only tell whether there is one */
	void	   *arg;
	bool		found;
} DgFindArg;

static void
find_match(void *argp, int refno, int row, DgProbe *probe)
{
	DgFindArg  *arg = argp;

	arg->found = true;
	if (arg->callback)
		arg->callback(arg->arg, row, RelationGetRelid(probe->rel), probe->slot);
}

/*
 * Find the rows with the given identities, as the latest snapshot sees them,
 * in the table (of a partition: in its root).  Of the keys only the identity
 * columns are looked at.
 */
void
dg_dependents_find_rows(DgDependents *dep, const DgKeys *keys,
						DgFoundCallback callback, void *arg)
{
	DgFindArg	find = {callback, arg};

	open_self_probes(dep);
	for (int i = 0; i < dep->nself_probes; i++)
	{
		DgProbe    *probe = &dep->self_probes[i];

		if (probe->index == NULL)
			probe_by_scan(dep, probe, 1, 0, keys, NULL, find_match, &find);
		for (int row = 0; probe->index && row < keys->nrows; row++)
			probe_by_index(dep, probe, 1, 0, keys, row, find_match, &find);
	}
}

/*
 * Is there, after this command, still a row with this identity in the table
 * that the relation is a partition of?  So a row that was moved is told from
 * one that was removed.
 */
bool
dg_dependents_key_remains(DgDependents *dep, const DgKeys *keys)
{
	DgFindArg	find = {NULL, NULL};

	open_self_probes(dep);
	for (int i = 0; i < dep->nself_probes && !find.found; i++)
	{
		DgProbe    *probe = &dep->self_probes[i];

		if (probe->index)
			probe_by_index(dep, probe, 1, 0, keys, 0, find_match, &find);
		else
			probe_by_scan(dep, probe, 1, 0, keys, NULL, find_match, &find);
	}
	return find.found;
}

/* Open what finds rows by their key, with the first use */
static void
open_self_probes(DgDependents *dep)
{
	const DgReference *self = dep->table->self_key;
	MemoryContext old;
	DgMatcher  *matcher;

	if (self == NULL || dep->self_probes)
		return;
	old = MemoryContextSwitchTo(dep->context);
	matcher = matcher_create(self);
	dep->self_probes = palloc0(sizeof(DgProbe) * Max(self->nleaves, 1));
	for (int i = 0; i < self->nleaves; i++)
		open_probe(dep, &dep->self_probes[dep->nself_probes++], self,
				   &self->leaves[i], matcher);
	MemoryContextSwitchTo(old);
}

/* Look for all keys in all leaves of one reference, with the rights it needs */
static void
probe_reference(DgDependents *dep, int refno, const DgKeys *keys,
				DgMatchCallback callback, void *arg)
{
	const DgReference *ref = &dep->table->references[refno];
	DgRoleState saved;

	if (keys->nrows == 0 || (dep->concerned && !dep->concerned[refno]))
		return;
	if (ref->needs_owner)
		dg_act_as(dg_relation_owner(ref->referencing), &saved);
	for (int i = dep->first_probe[refno]; i < dep->first_probe[refno + 1]; i++)
		probe_leaf(dep, &dep->probes[i], refno, keys, callback, arg);
	if (ref->needs_owner)
		dg_act_back(&saved);
}

/* Look for all keys in one leaf, once or twice */
static void
probe_leaf(DgDependents *dep, DgProbe *probe, int refno, const DgKeys *keys,
		   DgMatchCallback callback, void *arg)
{
	int			looks = probe->look_twice ? 2 : 1;
	DgKeyHash  *hash = NULL;

	if (probe->index)
	{
		for (int row = 0; row < keys->nrows; row++)
		{
			if (key_has_null(keys, row, probe->ref))
				continue;
			for (int look = 0; look < looks; look++)
				probe_by_index(dep, probe, look, refno, keys, row, callback, arg);
		}
		return;
	}
	if (keys->nrows > DG_PLAIN_COMPARE && probe->ref->hashable)
		hash = key_hash_build(probe, keys);
	for (int look = 0; look < looks; look++)
		probe_by_scan(dep, probe, look, refno, keys, hash, callback, arg);
	if (hash)
	{
		pfree(hash->buckets);
		pfree(hash->next);
		pfree(hash->hashes);
		pfree(hash);
	}
}

/* One index scan for one key */
static void
probe_by_index(DgDependents *dep, DgProbe *probe, int look, int refno,
			   const DgKeys *keys, int row, DgMatchCallback callback, void *arg)
{
	const DgReferenceLeaf *leaf = probe->leaf;
	bool		all_columns = leaf->nindexkeys == probe->ref->ncolumns;
	MemoryContext old;

	if (probe->scan[look] == NULL)
	{
		old = MemoryContextSwitchTo(dep->context);
		probe->scan[look] = dg_index_beginscan(probe->rel, probe->index,
											   dep->snapshot[look], leaf->nindexkeys);
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < leaf->nindexkeys; i++)
		probe->scankeys[i].sk_argument =
			key_value(keys, row, &probe->ref->columns[leaf->indexkeys[i]]);
	index_rescan(probe->scan[look], probe->scankeys, leaf->nindexkeys, NULL, 0);

	while (index_getnext_slot(probe->scan[look], ForwardScanDirection, probe->slot))
	{
		Datum		values[DG_MAX_KEYS];
		bool		counts = true;

		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(dep->scratch);
		if (!all_columns || probe->scan[look]->xs_recheck)
			counts = fetch_referencing(probe, values) && key_matches(probe, keys, row, values);
		counts = counts && row_counts(dep, probe, look);
		MemoryContextSwitchTo(old);
		if (counts)
			callback(arg, refno, row, probe);
		MemoryContextReset(dep->scratch);
	}
	ExecClearTuple(probe->slot);
}

/*
 * One scan of the leaf for all keys; hash is NULL to compare them one by one.
 */
static void
probe_by_scan(DgDependents *dep, DgProbe *probe, int look, int refno,
			  const DgKeys *keys, DgKeyHash *hash,
			  DgMatchCallback callback, void *arg)
{
	TableScanDesc scan = dg_table_beginscan(probe->rel, dep->snapshot[look]);

	while (table_scan_getnextslot(scan, ForwardScanDirection, probe->slot))
	{
		MemoryContext old;
		Datum		values[DG_MAX_KEYS];
		int			row;
		uint32		hashvalue = 0;

		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(dep->scratch);
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
						checked = row_counts(dep, probe, look);
					if (!checked)
						break;
					MemoryContextSwitchTo(old);
					callback(arg, refno, row, probe);
					MemoryContextSwitchTo(dep->scratch);
				}
				row = hash ? hash->next[row] : row + 1;
			}
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(dep->scratch);
	}
	table_endscan(scan);
	ExecClearTuple(probe->slot);
}

/*
 * Does the matching row in the probe's slot count?  Not if the condition does
 * not hold, if the first look has counted it, if it is excluded, or if the
 * command that removes rows of this same table has removed or changed it.
 */
static bool
row_counts(DgDependents *dep, DgProbe *probe, int look)
{
	if (probe->condition && !condition_holds(dep, probe))
		return false;
	if (probe->ref->on_itself && probe->ref->kind != DG_REF_SELF_KEY &&
		dep->removing != InvalidCommandId &&
		removed_by_command(probe->slot, dep->removing))
		return false;
	if (probe->ref->kind == DG_REF_SELF_KEY)
		return true;
	if (RelationGetRelid(probe->rel) == dep->excluded_relation)
		return false;
	if (dep->excluded)
	{
		DgRowId		id;

		memset(&id, 0, sizeof(id));
		id.relid = RelationGetRelid(probe->rel);
		id.tid = probe->slot->tts_tid;
		if (hash_search(dep->excluded, &id, HASH_FIND, NULL))
			return false;
	}
	if (look == 1 &&
		table_tuple_satisfies_snapshot(probe->rel, probe->slot, dep->snapshot[0]))
		return false;
	return true;
}

/*
 * Was this row version deleted or replaced by the given command of the
 * current transaction?
 */
static bool
removed_by_command(TupleTableSlot *slot, CommandId removing)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	HeapTupleHeader header = tuple->t_data;
	bool		result = false;

	if (!(header->t_infomask & HEAP_XMAX_INVALID) &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header)))
		result = HeapTupleHeaderGetCmax(header) == removing;
	if (should_free)
		heap_freetuple(tuple);
	return result;
}

/* Does the condition of a declared reference hold for the row in the slot? */
static bool
condition_holds(DgDependents *dep, DgProbe *probe)
{
	bool		result;

	dep->econtext->ecxt_scantuple = probe->slot;
	result = ExecQual(probe->condition, dep->econtext);
	ResetExprContext(dep->econtext);
	return result;
}

/* A key with a NULL in a referenced column cannot be referred to */
static bool
key_has_null(const DgKeys *keys, int row, const DgReference *ref)
{
	for (int i = 0; i < ref->ncolumns; i++)
	{
		if (keys->isnull[(Size) row * keys->table->nkey_columns + ref->columns[i].key_position])
			return true;
	}
	return false;
}

/* The value of one referenced column of a key */
static Datum
key_value(const DgKeys *keys, int row, const DgReferenceColumn *column)
{
	return keys->values[(Size) row * keys->table->nkey_columns + column->key_position];
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

	if (key_has_null(keys, row, ref))
		return false;
	for (int i = 0; i < ref->ncolumns; i++)
	{
		if (!DatumGetBool(FunctionCall2Coll(&probe->matcher->eq[i],
											ref->columns[i].collation,
											key_value(keys, row, &ref->columns[i]),
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

		if (key_has_null(keys, row, ref))
			continue;
		for (int i = 0; i < ref->ncolumns; i++)
			value = hash_combine(value,
								 DatumGetUInt32(FunctionCall1Coll(&probe->matcher->hash_referenced[i],
																  ref->columns[i].collation,
																  key_value(keys, row, &ref->columns[i]))));
		hash->hashes[row] = value;
		hash->next[row] = hash->buckets[value & hash->mask];
		hash->buckets[value & hash->mask] = row;
	}
	return hash;
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

/* ---------------------------------------------------------------------
 * Radius
 * ---------------------------------------------------------------------
 */

/* One line of the radius */
typedef struct DgRadiusLine
{
	Oid			constraint;		/* identifies the reference, with the name */
	Oid			referencing;
	char	   *name;
	DgReferenceKind kind;
	char	   *columns;
	DgEffect	effect;
	int			depth;
	int64		rows;
} DgRadiusLine;

/* Rows of one leaf that the next level starts from */
typedef struct DgFrontier
{
	Oid			relid;
	DgDependents *dep;
	DgKeys	   *keys;
} DgFrontier;

struct DgRadius
{
	MemoryContext context;
	List	   *lines;
	int			depth;
	HTAB	   *visited;
	int64		nvisited;
	bool		cut;			/* stopped early */
	List	   *frontier;		/* of DgFrontier: the next level */
	DgDependents *current;
	DgCascadeCallback callback;
	void	   *callback_arg;
};

/* What happens to the referencing rows */
static DgEffect
radius_effect(const DgRadius *radius, const DgReference *ref)
{
	return radius->current->concerned ? ref->on_update : ref->on_delete;
}

/* The line for a reference at the current depth, added if new */
static DgRadiusLine *
radius_line(DgRadius *radius, const DgReference *ref)
{
	DgRadiusLine *line;
	ListCell   *lc;

	foreach(lc, radius->lines)
	{
		line = lfirst(lc);
		if (line->depth == radius->depth && line->constraint == ref->constraint &&
			line->referencing == ref->referencing && strcmp(line->name, ref->name) == 0)
			return line;
	}
	line = palloc0(sizeof(DgRadiusLine));
	line->constraint = ref->constraint;
	line->referencing = ref->referencing;
	line->name = pstrdup(ref->name);
	line->kind = ref->kind;
	line->columns = dg_reference_columns(ref);
	line->effect = radius_effect(radius, ref);
	line->depth = radius->depth;
	radius->lines = lappend(radius->lines, line);
	return line;
}

/* The collecting set of keys for a leaf on the next level, added if new */
static DgFrontier *
radius_frontier(DgRadius *radius, Oid relid)
{
	DgFrontier *frontier;
	ListCell   *lc;

	foreach(lc, radius->frontier)
	{
		frontier = lfirst(lc);
		if (frontier->relid == relid)
			return frontier;
	}
	frontier = palloc0(sizeof(DgFrontier));
	frontier->relid = relid;
	frontier->dep = dg_dependents_begin(relid, radius->current->removing, radius->context);
	frontier->dep->excluded = radius->current->excluded;
	frontier->keys = dg_keys_create(frontier->dep->table, 64, radius->context);
	radius->frontier = lappend(radius->frontier, frontier);
	return frontier;
}

/* Match callback: count the row; a row that a cascade deletes is followed */
static void
radius_match(void *arg, int refno, int row, DgProbe *probe)
{
	DgRadius   *radius = arg;
	MemoryContext old = MemoryContextSwitchTo(radius->context);
	bool		seen = false;

	/* a cycle has come back to a row that the command itself removed */
	if (radius->depth > 1 && radius->current->removing != InvalidCommandId &&
		removed_by_command(probe->slot, radius->current->removing))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	radius_line(radius, probe->ref)->rows++;
	if (radius_effect(radius, probe->ref) == DG_EFFECT_DELETE)
	{
		DgRowId		id;

		memset(&id, 0, sizeof(id));
		id.relid = RelationGetRelid(probe->rel);
		id.tid = probe->slot->tts_tid;
		if (radius->nvisited >= DG_RADIUS_MAX_ROWS)
			radius->cut = true;
		else
		{
			(void) hash_search(radius->visited, &id, HASH_ENTER, &seen);
			if (!seen)
			{
				DgFrontier *frontier = radius_frontier(radius, id.relid);

				radius->nvisited++;
				dg_keys_add(frontier->keys, probe->slot);
				if (radius->callback)
					radius->callback(radius->callback_arg, frontier->dep->table,
									 probe->slot);
			}
		}
	}
	MemoryContextSwitchTo(old);
}

/* One level: everything that refers to these keys */
static void
radius_level(DgRadius *radius, DgDependents *dep, const DgKeys *keys)
{
	radius->current = dep;
	for (int i = 0; i < dep->table->nreferences; i++)
		probe_reference(dep, i, keys, radius_match, radius);
}

/*
 * An empty radius, in a context of its own below parent.  callback, if not
 * NULL, sees each row that a cascade would delete.
 */
DgRadius *
dg_radius_create(MemoryContext parent, DgCascadeCallback callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard radius",
												  ALLOCSET_SMALL_SIZES);
	DgRadius   *radius = MemoryContextAllocZero(context, sizeof(DgRadius));
	HASHCTL		ctl;

	radius->context = context;
	radius->callback = callback;
	radius->callback_arg = arg;
	ctl.keysize = sizeof(DgRowId);
	ctl.entrysize = sizeof(DgRowId);
	ctl.hcxt = context;
	radius->visited = hash_create("delete_guard visited rows", 64, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return radius;
}

/*
 * Add what hangs on the keys, level by level.
 */
void
dg_radius_add(DgRadius *radius, DgDependents *dep, const DgKeys *keys)
{
	MemoryContext old = MemoryContextSwitchTo(radius->context);

	radius->depth = 1;
	radius_level(radius, dep, keys);
	while (radius->frontier != NIL)
	{
		List	   *level = radius->frontier;
		ListCell   *lc;

		radius->frontier = NIL;
		radius->depth++;
		foreach(lc, level)
		{
			DgFrontier *frontier = lfirst(lc);

			if (radius->depth <= DG_RADIUS_MAX_DEPTH)
				radius_level(radius, frontier->dep, frontier->keys);
			else
				radius->cut = true;
			MemoryContextDelete(frontier->keys->context);
			dg_dependents_end(frontier->dep);
			pfree(frontier);
		}
		list_free(level);
	}
	MemoryContextSwitchTo(old);
}

/*
 * The radius as a jsonb array in the current context: table, columns,
 * reference, kind, effect, depth and rows of each line.  A last element
 * {"cut": true} says that it stopped early.
 */
Jsonb *
dg_radius_jsonb(const DgRadius *radius)
{
	StringInfoData buf;
	ListCell   *lc;
	Jsonb	   *result;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	foreach(lc, radius->lines)
	{
		DgRadiusLine *line = lfirst(lc);

		appendStringInfoString(&buf, buf.len > 1 ? ",{\"table\":" : "{\"table\":");
		escape_json(&buf, dg_qualified_name(line->referencing));
		appendStringInfoString(&buf, ",\"columns\":");
		escape_json(&buf, line->columns);
		appendStringInfoString(&buf, ",\"reference\":");
		escape_json(&buf, line->name);
		appendStringInfo(&buf, ",\"kind\":\"%s\",\"effect\":\"%s\",\"depth\":%d,\"rows\":" INT64_FORMAT "}",
						 dg_kind_name(line->kind), dg_effect_name(line->effect),
						 line->depth, line->rows);
	}
	if (radius->cut)
		appendStringInfo(&buf, "%s{\"cut\":true}", buf.len > 1 ? "," : "");
	appendStringInfoChar(&buf, ']');
	result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
	pfree(buf.data);
	return result;
}

/*
 * Free a radius.
 */
void
dg_radius_free(DgRadius *radius)
{
	MemoryContextDelete(radius->context);
}
