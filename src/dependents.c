/*-------------------------------------------------------------------------
 *
 * dependents.c
 *	  what hangs on rows: which references still point at them, and how
 *	  many rows of each
 *
 * Rights.  Conditions, and operators or casts that are not built in, run as
 * the owner of the referencing table, restricted (sql.c).
 *
 * Locks: ACCESS SHARE on every referencing table, to the end of the
 * transaction, so that none can be dropped or detached between verdict and
 * commit.  The references are those that hold once all locks are there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "dependents.h"
#include "sql.h"

struct DgDependents
{
	DgProbing	probing;
	MemoryContextCallback release;
	DgTable    *table;
	int			nprobes;
	DgProbe    *probes;			/* grouped by reference */
	int		   *first_probe;	/* of each reference; one more entry at the end */
	DgProbe    *self_probes;
	int			nself_probes;
	bool	   *concerned;		/* references that an UPDATE concerns, or NULL */
	bool		truncating;
};

static DgTable *acquire_and_lock(Oid relid);
static bool lock_leaves(const DgTable *table);
static void release_table(void *arg);
static void take_snapshots(DgDependents *dep);
static void open_probes(DgDependents *dep);
static void visit_leaves(DgDependents *dep, int refno, const DgKeys *keys,
						 DgMatchCallback callback, void *arg);
static void hide_error(const DgReference *ref);
static void open_self_probes(DgDependents *dep);

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

	dep->probing.context = context;
	dep->probing.scratch = AllocSetContextCreate(context, "delete_guard probe scratch",
										 ALLOCSET_SMALL_SIZES);
	dep->probing.removing = removing;
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
		dg_probe_close(&dep->probes[i]);
	for (int i = 0; i < dep->nself_probes; i++)
		dg_probe_close(&dep->self_probes[i]);
	if (dep->probing.estate)
		FreeExecutorState(dep->probing.estate);
	UnregisterSnapshot(dep->probing.snapshot[0]);
	UnregisterSnapshot(dep->probing.snapshot[1]);
	MemoryContextDelete(dep->probing.context);	/* releases the table */
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
	dep->probing.snapshot[1] = RegisterSnapshot(GetLatestSnapshot());
	dep->probing.snapshot[0] = ActiveSnapshotSet() ?
		RegisterSnapshot(GetActiveSnapshot()) :
		RegisterSnapshot(dep->probing.snapshot[1]);
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
		DgReference *ref = &table->references[i];

		dep->first_probe[i] = dep->nprobes;
		for (int j = 0; j < ref->nleaves; j++)
			dg_probe_open(&dep->probing, &dep->probes[dep->nprobes++], table, ref,
						  &ref->leaves[j], NoLock);
	}
	dep->first_probe[table->nreferences] = dep->nprobes;
}

/* ---------------------------------------------------------------------
 * Looking
 * ---------------------------------------------------------------------
 */

/*
 * The command that removes the rows asked about, or InvalidCommandId.
 */
CommandId
dg_dependents_removing(const DgDependents *dep)
{
	return dep->probing.removing;
}

/* Callback of dg_dependents_count */
typedef struct DgCountArg
{
	int64	   *counts;
	int			nreferences;
	int			refno;
} DgCountArg;

static void
count_match(void *arg, int row, DgProbe *probe)
{
	DgCountArg *count = arg;

	count->counts[(Size) row * count->nreferences + count->refno]++;
}

/*
 * Count the rows that refer to each key: counts has room for keys->nrows *
 * table->nreferences numbers, row by row, and is set.
 */
void
dg_dependents_count(DgDependents *dep, const DgKeys *keys, int64 *counts)
{
	DgCountArg	arg = {counts, dep->table->nreferences, 0};

	memset(counts, 0, sizeof(int64) * (Size) keys->nrows * arg.nreferences);
	for (arg.refno = 0; arg.refno < dep->table->nreferences; arg.refno++)
		dg_dependents_visit(dep, arg.refno, keys, count_match, &arg);
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
 * nothing is being removed yet.  Was it excluded before?
 */
bool
dg_dependents_exclude(DgDependents *dep, Oid relid, ItemPointer tid)
{
	DgRowId		id;
	bool		found;

	if (dep->probing.excluded == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = DG_ROW_ID_SIZE;
		ctl.entrysize = sizeof(DgRowId);
		ctl.hcxt = dep->probing.context;
		dep->probing.excluded = hash_create("delete_guard excluded rows", 256, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&id, 0, sizeof(id));
	id.relid = relid;
	id.tid = *tid;
	(void) hash_search(dep->probing.excluded, &id, HASH_ENTER, &found);
	return found;
}

/*
 * The same rows do not count as for another table's dependents, which must
 * live as long.
 */
void
dg_dependents_exclude_same(DgDependents *dep, const DgDependents *other)
{
	dep->probing.excluded = other->probing.excluded;
}

/*
 * A whole relation is truncated: no row of it counts as a dependent, and rows
 * with a foreign key to it go too.  (TRUNCATE is refused before unless it
 * reaches every table with a foreign key; see heap_truncate_check_FKs in
 * heap.c.)  relid may be InvalidOid.
 */
void
dg_dependents_for_truncate(DgDependents *dep, Oid relid)
{
	dep->probing.excluded_relation = relid;
	dep->truncating = true;
}

/*
 * Speak of the same kind of removal as another walk.
 */
void
dg_dependents_same_kind(DgDependents *dep, const DgDependents *other)
{
	dep->truncating = other->truncating;
}

/*
 * What would happen to rows with this reference.
 */
DgEffect
dg_dependents_effect(const DgDependents *dep, const DgReference *ref)
{
	if (dep->concerned)
		return ref->on_update;
	if (dep->truncating && ref->kind != DG_REF_DECLARED)
		return DG_EFFECT_DELETE;
	return ref->on_delete;
}

/*
 * The keys are changed by an UPDATE which concerns only some references: look
 * at those only, and speak of what ON UPDATE does.
 */
void
dg_dependents_for_update(DgDependents *dep, const bool *concerned)
{
	Size		size = sizeof(bool) * Max(dep->table->nreferences, 1);

	dep->probing.replaced_too = true;
	dep->concerned = MemoryContextAlloc(dep->probing.context, size);
	memcpy(dep->concerned, concerned, sizeof(bool) * dep->table->nreferences);
}

/*
 * Are keys changed, rather than rows removed?
 */
bool
dg_dependents_updating(const DgDependents *dep)
{
	return dep->concerned != NULL;
}

/* Callback of the searches by key */
typedef struct DgFindArg
{
	DgFoundCallback callback;
	void	   *arg;
} DgFindArg;

static void
find_match(void *argp, int row, DgProbe *probe)
{
	DgFindArg  *arg = argp;

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
	DgRoleState saved;

	open_self_probes(dep);
	if (dep->table->self_key && dep->table->self_key->needs_owner)
		dg_act_as(dg_relation_owner(dep->table->relid), &saved);
	for (int i = 0; i < dep->nself_probes; i++)
		dg_probe_leaf_latest(&dep->probing, &dep->self_probes[i], keys, find_match, &find);
	if (dep->table->self_key && dep->table->self_key->needs_owner)
		dg_act_back(&saved);
}

/* Open what finds rows by their key, with the first use */
static void
open_self_probes(DgDependents *dep)
{
	DgReference *self = dep->table->self_key;
	MemoryContext old;

	if (self == NULL || dep->self_probes)
		return;
	old = MemoryContextSwitchTo(dep->probing.context);
	dep->self_probes = palloc0(sizeof(DgProbe) * Max(self->nleaves, 1));
	for (int i = 0; i < self->nleaves; i++)
		dg_probe_open(&dep->probing, &dep->self_probes[dep->nself_probes++], dep->table, self,
					  &self->leaves[i], AccessShareLock);
	MemoryContextSwitchTo(old);
}

/*
 * Look for all keys in all leaves of one reference, with the rights it needs:
 * callback sees each row that refers to one of them.  What a condition says when
 * it fails may hold values of a row; it is for those who may read the table.
 */
void
dg_dependents_visit(DgDependents *dep, int refno, const DgKeys *keys,
				DgMatchCallback callback, void *arg)
{
	const DgReference *ref = &dep->table->references[refno];
	MemoryContext caller = CurrentMemoryContext;
	DgRoleState saved;
	bool		readable;

	if (keys->nrows == 0 || (dep->concerned && !dep->concerned[refno]))
		return;
	if (!ref->needs_owner)
	{
		visit_leaves(dep, refno, keys, callback, arg);
		return;
	}
	readable = dg_may_read(ref->referencing, NULL, 0);
	dep->probing.in_user_code = false;
	dg_act_as(dg_relation_owner(ref->referencing), &saved);
	PG_TRY();
	{
		visit_leaves(dep, refno, keys, callback, arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (!readable && dep->probing.in_user_code)
			hide_error(ref);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dg_act_back(&saved);
}

/* Look for all keys in all leaves of one reference */
static void
visit_leaves(DgDependents *dep, int refno, const DgKeys *keys, DgMatchCallback callback, void *arg)
{
	for (int i = dep->first_probe[refno]; i < dep->first_probe[refno + 1]; i++)
		dg_probe_leaf(&dep->probing, &dep->probes[i], keys, callback, arg);
}

/*
 * Raise another error in place of the current one, which goes to the server's log
 * only.  The user's own wish to stop is not hidden, nor is a lack of resources.
 */
static void
hide_error(const DgReference *ref)
{
	ErrorData  *error = CopyErrorData();
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES)
		return;
	FlushErrorState();
	ereport(LOG_SERVER_ONLY,
			(errcode(error->sqlerrcode),
			 errmsg("condition of declared reference \"%s\" failed: %s", ref->name, error->message)));
	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 errmsg("condition of declared reference \"%s\" failed", ref->name),
			 errdetail("Its message may hold values of table \"%s\", which you may not read; it is in the server's log.",
					   get_rel_name(ref->referencing))));
}
