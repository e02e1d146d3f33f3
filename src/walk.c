/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  everything that a removal reaches, level by level
 *
 * The walk starts from the keys of rows that are removed (or re-keyed) and
 * follows every reference to them.  What happens to a referring row is what
 * the reference says: a cascade removes it, and then it has dependents of its
 * own, which are the next level; SET NULL and SET DEFAULT change columns of it,
 * and if others refer to it by those columns, these are the next level, by what
 * ON UPDATE says; otherwise the way ends there.
 *
 * Words.  A "source" is a relation opened for the walk together with what
 * happens to its rows: removed, or certain columns changed.  A "frontier" holds
 * the keys of rows of one source that the next level starts from.  A "round" is
 * one pass of PostgreSQL over its queue of triggers: rows of the statement
 * itself are removed in round 0, what refers to them in round 1, and so on (see
 * AfterTriggerEndQuery in trigger.c; cascades queue their triggers for the
 * outermost query).  So a row's depth is the round in which it goes.
 *
 * Each removed row is followed once, and so is each row for each reference that
 * changes it: cycles and diamonds end.  All rows of a level that belong to one
 * relation are looked up together, so a referring table without an index is
 * read once a level, however many rows and ways lead there.
 *
 * Bounded by rows followed and by levels; a walk that stopped early says so.
 * Memory: a bit for each row followed (tidset.c), and the keys of a level, which
 * go to disk where they are many (keystore.c).  A walk in order knows more of each
 * row and keeps it in memory; it is meant to be bounded by its caller.
 *
 * Progress is shown in pg_stat_activity: after the first second the query text
 * of the session begins with a comment that says how far the walk is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "keystore.h"
#include "tidset.h"
#include "walk.h"

/* Matches between two looks at the clock */
#define DG_PROGRESS_ROWS 1024
/* Milliseconds between two reports */
#define DG_PROGRESS_INTERVAL 1000

/* A row that is removed */
typedef struct DgGone
{
	DgRowId		id;				/* hash key */
	int			round;
	uint64		order;			/* of what removes it, within the round */
	uint32		position;		/* among the rows removed in the round */
} DgGone;

/* A relation with what happens to its rows */
typedef struct DgSource
{
	Oid			relid;
	Bitmapset  *changed;		/* columns; NULL: rows are removed */
	DgEffect	effect;			/* what the columns are set to */
	DgDependents *dep;
	bool		borrowed;		/* the caller's */
	bool		leads_on;		/* something refers to what is removed or changed */
	int		   *action_order;	/* of each reference; NULL if nobody asks */
} DgSource;

/* Rows of one source */
typedef struct DgFrontier
{
	DgSource   *source;
	const DgKeys *keys;			/* that are looked up now; NULL: those of store */
	DgKeys	   *own_keys;		/* the same, if they belong to the walk */
	DgKeyStore *store;			/* of a walk that is not in order */
	int			capacity;
	int		   *tags;			/* of each row; NULL: all 0 */
	DgGone	  **gone;			/* of each row; NULL if not known */
} DgFrontier;

struct DgWalk
{
	MemoryContext context;
	MemoryContext run;			/* sources and frontiers */
	DgReachedCallback callback;
	void	   *arg;
	DgSeenCallback seen;
	int64		max_rows;
	int			max_depth;
	int64		nfollowed;
	bool		stopped;
	bool		too_deep;		/* at the bound of levels */
	HTAB	   *gone;			/* of DgGone; NULL if the walk is not in order */
	DgTidSet   *followed;		/* removed rows otherwise, and changed ones by reference */
	int			depth;
	List	   *sources;
	List	   *next;			/* of DgFrontier */
	DgFrontier *current;
	bool	   *referenced;		/* rows of current; NULL if nobody asks */
	int64		nmatches;
	TimestampTz reported;
	bool		showing;		/* progress is in pg_stat_activity */
};

static DgSource *walk_source(DgWalk *walk, Oid relid, Bitmapset *changed, DgEffect effect);
static bool source_leads_on(DgSource *source);
static DgFrontier *walk_frontier(DgWalk *walk, DgSource *source);
static void frontier_add(DgFrontier *frontier, TupleTableSlot *slot, int tag, DgGone *gone);
static void walk_level(DgWalk *walk, DgFrontier *frontier, bool too_deep);
static void walk_keys(DgWalk *walk, DgFrontier *frontier);
static void walk_match(void *arg, int row, DgProbe *probe);
static void walk_delete(DgWalk *walk, DgReached *reached);
static bool follow_once(DgWalk *walk, const DgRowId *id, Oid constraint);
static bool removed_in_order(DgWalk *walk, const DgReached *reached, DgGone **gone);
static void walk_change(DgWalk *walk, DgReached *reached);
static Bitmapset *columns_changed(const DgWalk *walk, const DgProbe *probe);
static int *action_order(const DgTable *table, MemoryContext context);
static Oid	get_constraint_parent(Oid constraint);
static void order_round(DgWalk *walk);
static int	compare_order(const void *a, const void *b);
static void show_progress(DgWalk *walk);
static void end_progress(DgWalk *walk);

/* ---------------------------------------------------------------------
 * Begin and end
 * ---------------------------------------------------------------------
 */

/*
 * An empty walk, in a context of its own below parent.  It may run several
 * times; what it has followed once it does not follow again.
 */
DgWalk *
dg_walk_create(MemoryContext parent, DgReachedCallback callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard walk",
												  ALLOCSET_SMALL_SIZES);
	DgWalk	   *walk = MemoryContextAllocZero(context, sizeof(DgWalk));

	walk->context = context;
	walk->callback = callback;
	walk->arg = arg;
	walk->max_rows = DG_WALK_MAX_ROWS;
	walk->max_depth = DG_WALK_MAX_DEPTH;
	walk->followed = dg_tidset_create(context);
	return walk;
}

/*
 * Other bounds than the usual ones.
 */
void
dg_walk_limit(DgWalk *walk, int64 max_rows, int max_depth)
{
	walk->max_rows = max_rows;
	walk->max_depth = max_depth;
}

/*
 * Keep track of the order in which PostgreSQL would act, and tell seen what the
 * guard would count.
 */
void
dg_walk_in_order(DgWalk *walk, DgSeenCallback seen)
{
	HASHCTL		ctl;

	ctl.keysize = DG_ROW_ID_SIZE;
	ctl.entrysize = sizeof(DgGone);
	ctl.hcxt = walk->context;
	walk->gone = hash_create("delete_guard removed rows", 64, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	walk->seen = seen;
}

/*
 * A row that the statement itself would remove: it never counts as reached.
 * False if it was named before.  For walks in order.
 */
bool
dg_walk_removed(DgWalk *walk, Oid relid, ItemPointer tid)
{
	DgRowId		id;
	DgGone	   *gone;
	bool		found;

	memset(&id, 0, sizeof(id));
	id.relid = relid;
	id.tid = *tid;
	gone = hash_search(walk->gone, &id, HASH_ENTER, &found);
	if (found)
		return false;
	gone->round = 0;
	gone->order = 0;
	gone->position = (uint32) hash_get_num_entries(walk->gone);
	return true;
}

/*
 * The next run starts from these keys too, which must live until its end.  ids
 * are their rows, where they are known to the walk, and tags go with them;
 * either may be NULL.
 */
void
dg_walk_start(DgWalk *walk, DgDependents *dependents, const DgKeys *keys,
			  const DgRowId *ids, const int *tags)
{
	MemoryContext old;
	DgSource   *source;
	DgFrontier *frontier;

	if (walk->run == NULL)
		walk->run = AllocSetContextCreate(walk->context, "delete_guard walk run",
										  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(walk->run);
	source = palloc0(sizeof(DgSource));
	source->dep = dependents;
	source->relid = dg_dependents_table(dependents)->relid;
	source->borrowed = true;
	source->leads_on = true;
	frontier = palloc0(sizeof(DgFrontier));
	frontier->source = source;
	frontier->keys = keys;
	if (tags)
		frontier->tags = memcpy(palloc_extended(sizeof(int) * Max(keys->nrows, 1), MCXT_ALLOC_HUGE),
								tags, sizeof(int) * keys->nrows);
	if (ids)
	{
		frontier->gone = palloc_extended(sizeof(DgGone *) * Max(keys->nrows, 1), MCXT_ALLOC_HUGE);
		for (int i = 0; i < keys->nrows; i++)
			frontier->gone[i] = hash_search(walk->gone, &ids[i], HASH_FIND, NULL);
	}
	walk->next = lappend(walk->next, frontier);
	MemoryContextSwitchTo(old);
}

/*
 * Follow everything that hangs on the keys given.
 */
void
dg_walk_run(DgWalk *walk)
{
	MemoryContext old;
	ListCell   *lc;

	if (walk->run == NULL)
		return;
	old = MemoryContextSwitchTo(walk->run);
	walk->depth = 0;
	walk->reported = GetCurrentTimestamp();
	while (walk->next != NIL)
	{
		List	   *level = walk->next;

		walk->next = NIL;
		if (walk->depth++ >= walk->max_depth)
			walk->stopped = walk->too_deep = true;
		foreach(lc, level)
			walk_level(walk, lfirst(lc), walk->depth > walk->max_depth);
		if (walk->gone)
			order_round(walk);
	}
	foreach(lc, walk->sources)
	{
		DgSource   *source = lfirst(lc);

		dg_dependents_end(source->dep);
	}
	end_progress(walk);
	walk->sources = NIL;
	walk->next = NIL;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(walk->run);
	walk->run = NULL;
}

/*
 * Has it stopped early at one of its bounds?
 */
bool
dg_walk_stopped(const DgWalk *walk)
{
	return walk->stopped;
}

/*
 * Was that (also) the bound of levels?
 */
bool
dg_walk_too_deep(const DgWalk *walk)
{
	return walk->too_deep;
}

/*
 * Is a row removed, and when?
 */
bool
dg_walk_deleted(DgWalk *walk, const DgRowId *id, int *round, uint64 *order)
{
	DgGone	   *gone = hash_search(walk->gone, id, HASH_FIND, NULL);

	if (gone == NULL)
		return false;
	*round = gone->round;
	*order = gone->order;
	return true;
}

/*
 * Free a walk.
 */
void
dg_walk_free(DgWalk *walk)
{
	MemoryContextDelete(walk->context);
}

/* ---------------------------------------------------------------------
 * Sources and frontiers
 * ---------------------------------------------------------------------
 */

/* The source for a relation and what happens to its rows, opened if new */
static DgSource *
walk_source(DgWalk *walk, Oid relid, Bitmapset *changed, DgEffect effect)
{
	DgSource   *source;
	ListCell   *lc;

	foreach(lc, walk->sources)
	{
		source = lfirst(lc);
		if (source->relid == relid && source->effect == effect &&
			bms_equal(source->changed, changed))
			return source;
	}
	source = palloc0(sizeof(DgSource));
	source->relid = relid;
	source->changed = bms_copy(changed);
	source->effect = effect;
	source->dep = dg_dependents_begin(relid, dg_dependents_removing(walk->current->source->dep),
									  walk->run);
	dg_dependents_exclude_same(source->dep, walk->current->source->dep);
	dg_dependents_same_kind(source->dep, walk->current->source->dep);
	source->leads_on = source_leads_on(source);
	walk->sources = lappend(walk->sources, source);
	return source;
}

/*
 * Can anything refer to what is removed or changed?  If columns are changed,
 * have only the references to those looked at.
 */
static bool
source_leads_on(DgSource *source)
{
	DgTable    *table = dg_dependents_table(source->dep);
	bool	   *concerned;
	bool		any = false;

	if (source->changed == NULL)
		return table->nreferences > 0;
	concerned = palloc0(sizeof(bool) * Max(table->nreferences, 1));
	for (int i = 0; i < table->nreferences; i++)
	{
		const DgReference *ref = &table->references[i];

		for (int c = 0; c < ref->ncolumns; c++)
			concerned[i] |= bms_is_member(ref->columns[c].referenced, source->changed);
		any |= concerned[i];
	}
	dg_dependents_for_update(source->dep, concerned);
	pfree(concerned);
	return any;
}

/* The rows of a source that the next level starts from, begun if new */
static DgFrontier *
walk_frontier(DgWalk *walk, DgSource *source)
{
	DgTable    *table = dg_dependents_table(source->dep);
	DgFrontier *frontier;
	ListCell   *lc;

	foreach(lc, walk->next)
	{
		frontier = lfirst(lc);
		if (frontier->source == source)
			return frontier;
	}
	frontier = palloc0(sizeof(DgFrontier));
	frontier->source = source;
	if (walk->gone)
		frontier->keys = frontier->own_keys = dg_keys_create(table, 64, walk->run);
	else
		frontier->store = dg_keystore_create(table, dg_keys_at_once(table, dg_dependents_needs_scan(source->dep)),
											 walk->run);
	walk->next = lappend(walk->next, frontier);
	return frontier;
}

/* Add the row in the slot; the frontier is the walk's own */
static void
frontier_add(DgFrontier *frontier, TupleTableSlot *slot, int tag, DgGone *gone)
{
	int			n;

	if (frontier->store)
	{
		dg_keystore_add(frontier->store, slot);
		return;
	}
	n = frontier->own_keys->nrows;
	if (n >= frontier->capacity)
	{
		MemoryContext old = MemoryContextSwitchTo(frontier->own_keys->context);

		frontier->capacity = Max(n * 2, 64);
		frontier->tags = n == 0 ? palloc(sizeof(int) * frontier->capacity) :
			repalloc_huge(frontier->tags, sizeof(int) * frontier->capacity);
		frontier->gone = n == 0 ? palloc(sizeof(DgGone *) * frontier->capacity) :
			repalloc_huge(frontier->gone, sizeof(DgGone *) * frontier->capacity);
		MemoryContextSwitchTo(old);
	}
	dg_keys_add(frontier->own_keys, slot);
	frontier->tags[n] = tag;
	frontier->gone[n] = gone;
}

/* ---------------------------------------------------------------------
 * Walking
 * ---------------------------------------------------------------------
 */

/*
 * Everything that refers to the rows of one frontier, which is freed; nothing if
 * that is too deep.
 */
static void
walk_level(DgWalk *walk, DgFrontier *frontier, bool too_deep)
{
	walk->current = frontier;
	if (frontier->store == NULL && !too_deep)
		walk_keys(walk, frontier);
	while (frontier->store && !too_deep &&
		   (frontier->keys = dg_keystore_next(frontier->store)) != NULL)
		walk_keys(walk, frontier);
	if (frontier->store)
		dg_keystore_free(frontier->store);
	if (frontier->own_keys)
		MemoryContextDelete(frontier->own_keys->context);
}

/* Everything that refers to the current keys of the frontier */
static void
walk_keys(DgWalk *walk, DgFrontier *frontier)
{
	DgDependents *dep = frontier->source->dep;
	DgTable    *table = dg_dependents_table(dep);
	int			nrows = frontier->keys->nrows;

	if (walk->gone && frontier->source->action_order == NULL)
		frontier->source->action_order = action_order(table, walk->run);
	walk->referenced = NULL;
	if (walk->seen && frontier->source->changed == NULL)
		walk->referenced = palloc_extended(sizeof(bool) * Max(nrows, 1),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < table->nreferences; i++)
	{
		show_progress(walk);
		dg_dependents_visit(dep, i, frontier->keys, walk_match, walk);
	}
	if (walk->referenced)
	{
		walk->seen(walk->arg, table, nrows, frontier->tags, walk->referenced);
		pfree(walk->referenced);
	}
}

/* Match callback: a row that refers to a row of the frontier */
static void
walk_match(void *arg, int row, DgProbe *probe)
{
	DgWalk	   *walk = arg;
	DgFrontier *frontier = walk->current;
	DgSource   *source = frontier->source;
	CommandId	removing = dg_dependents_removing(source->dep);
	MemoryContext old = MemoryContextSwitchTo(walk->run);
	DgReached	reached = {0};
	DgGone	   *gone = NULL;

	/* a cycle has come back to a row that the command itself removed */
	if (walk->depth > 1 && removing != InvalidCommandId &&
		dg_removed_by_command(probe->slot, removing))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	reached.id = dg_probe_row_id(probe);
	if (walk->gone)
		gone = hash_search(walk->gone, &reached.id, HASH_FIND, NULL);
	if (gone && gone->round == 0)
	{
		MemoryContextSwitchTo(old);
		return;
	}
	/* rows that go together do not hold each other */
	if (walk->referenced &&
		!(probe->ref->on_itself && gone && gone->round == walk->depth - 1))
		walk->referenced[row] = true;

	reached.ref = probe->ref;
	reached.effect = dg_dependents_effect(source->dep, probe->ref);
	if (reached.effect == DG_EFFECT_FOLLOW)
		reached.effect = source->effect;
	reached.depth = walk->depth;
	reached.from_tag = frontier->tags ? frontier->tags[row] : 0;
	reached.rel = probe->rel;
	reached.slot = probe->slot;
	if (source->action_order)
		reached.order = source->action_order[probe->ref - dg_dependents_table(source->dep)->references] +
			(frontier->gone && frontier->gone[row] ? (uint64) frontier->gone[row]->position << 16 : 0);
	if (reached.effect == DG_EFFECT_DELETE)
		walk_delete(walk, &reached);
	else if (reached.effect == DG_EFFECT_SET_NULL || reached.effect == DG_EFFECT_SET_DEFAULT)
	{
		reached.changed = columns_changed(walk, probe);
		walk_change(walk, &reached);
		bms_free(reached.changed);
	}
	else
	{
		reached.first = true;
		(void) walk->callback(walk->arg, &reached);
	}
	if (++walk->nmatches % DG_PROGRESS_ROWS == 0)
		show_progress(walk);
	MemoryContextSwitchTo(old);
}

/* A cascade removes a row: it is followed if it has not been */
static void
walk_delete(DgWalk *walk, DgReached *reached)
{
	DgSource   *source = walk_source(walk, reached->id.relid, NULL, DG_EFFECT_DELETE);
	DgGone	   *gone = NULL;
	int			tag;

	reached->table = dg_dependents_table(source->dep);
	reached->first = walk->gone ? removed_in_order(walk, reached, &gone) :
		follow_once(walk, &reached->id, InvalidOid);
	tag = walk->callback(walk->arg, reached);
	if (reached->first && (source->leads_on || walk->seen))
		frontier_add(walk_frontier(walk, source), reached->slot, tag, gone);
}

/*
 * Is a row to be followed, for being removed (InvalidOid) or for this constraint
 * changing it?  Not if it has been, nor if the walk has reached its bound.
 */
static bool
follow_once(DgWalk *walk, const DgRowId *id, Oid constraint)
{
	if (walk->nfollowed < walk->max_rows)
	{
		bool		first = dg_tidset_add(walk->followed, id->relid, constraint, &id->tid);

		walk->nfollowed += first;
		return first;
	}
	if (!dg_tidset_has(walk->followed, id->relid, constraint, &id->tid))
		walk->stopped = true;
	return false;
}

/* The same for a row that is removed, in a walk in order: *gone is its entry, or NULL */
static bool
removed_in_order(DgWalk *walk, const DgReached *reached, DgGone **gone)
{
	*gone = hash_search(walk->gone, &reached->id, HASH_FIND, NULL);
	if (*gone)
	{
		if ((*gone)->round == walk->depth)
			(*gone)->order = Min((*gone)->order, reached->order);
		return false;
	}
	if (walk->nfollowed >= walk->max_rows)
	{
		walk->stopped = true;
		return false;
	}
	*gone = hash_search(walk->gone, &reached->id, HASH_ENTER, NULL);
	(*gone)->round = walk->depth;
	(*gone)->order = reached->order;
	(*gone)->position = 0;
	walk->nfollowed++;
	return true;
}

/* Columns of a row are set: it is followed if something refers by them */
static void
walk_change(DgWalk *walk, DgReached *reached)
{
	DgSource   *source = walk_source(walk, reached->id.relid, reached->changed, reached->effect);
	bool		full = walk->nfollowed >= walk->max_rows;
	bool		follow = false;
	int			tag;

	reached->table = dg_dependents_table(source->dep);
	if (source->leads_on)
		follow = follow_once(walk, &reached->id, reached->ref->constraint);
	reached->first = !source->leads_on || follow ||
		(full && !dg_tidset_has(walk->followed, reached->id.relid, reached->ref->constraint,
								&reached->id.tid));
	tag = walk->callback(walk->arg, reached);
	if (follow)
		frontier_add(walk_frontier(walk, source), reached->slot, tag, NULL);
}

/*
 * The columns of the referring row that the reference sets, as numbered there.
 * Where a change of the row before it is followed, these are the columns that
 * refer to what changed.
 */
static Bitmapset *
columns_changed(const DgWalk *walk, const DgProbe *probe)
{
	const DgReference *ref = probe->ref;
	DgSource   *source = walk->current->source;
	bool		deleted = !dg_dependents_updating(source->dep);
	bool		follow = dg_dependents_effect(source->dep, ref) == DG_EFFECT_FOLLOW;
	Bitmapset  *result = NULL;

	for (int i = 0; i < ref->ncolumns; i++)
	{
		if (follow ? bms_is_member(ref->columns[i].referenced, source->changed) :
			!deleted || ref->columns[i].set_on_delete)
			result = bms_add_member(result, probe->leaf->attnums[i]);
	}
	return result;
}

/* ---------------------------------------------------------------------
 * Order
 * ---------------------------------------------------------------------
 */

/*
 * For each reference to a table, when PostgreSQL acts on it, among the triggers
 * of one row: they fire in the order of their names, which is the order of the
 * relation's list.  A partition's triggers belong to constraints derived from
 * the reference's own.
 */
static int *
action_order(const DgTable *table, MemoryContext context)
{
	int		   *order = MemoryContextAllocZero(context, sizeof(int) * Max(table->nreferences, 1));
	Relation	rel = table_open(table->relid, AccessShareLock);
	TriggerDesc *triggers = rel->trigdesc;

	for (int t = 0; triggers && t < triggers->numtriggers; t++)
	{
		Oid			constraint = triggers->triggers[t].tgconstraint;

		if (!TRIGGER_FOR_DELETE(triggers->triggers[t].tgtype))
			continue;
		while (OidIsValid(constraint))
		{
			for (int i = 0; i < table->nreferences; i++)
			{
				if (table->references[i].constraint == constraint)
					order[i] = t;
			}
			constraint = get_constraint_parent(constraint);
		}
	}
	table_close(rel, NoLock);
	return order;
}

/* The constraint that one was derived from, or InvalidOid */
static Oid
get_constraint_parent(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid			parent = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		parent = ((Form_pg_constraint) GETSTRUCT(tuple))->conparentid;
		ReleaseSysCache(tuple);
	}
	return parent;
}

/* Number the rows removed in this round by what removes them */
static void
order_round(DgWalk *walk)
{
	List	   *rows = NIL;
	ListCell   *lc;
	uint32		position = 0;

	foreach(lc, walk->next)
	{
		DgFrontier *frontier = lfirst(lc);

		for (int i = 0; i < frontier->keys->nrows; i++)
		{
			if (frontier->gone[i])
				rows = lappend(rows, frontier->gone[i]);
		}
	}
	if (rows == NIL)
		return;
	qsort(rows->elements, list_length(rows), sizeof(ListCell), compare_order);
	foreach(lc, rows)
		((DgGone *) lfirst(lc))->position = ++position;
	list_free(rows);
}

/* qsort comparator: of rows in list cells, by what removes them */
static int
compare_order(const void *a, const void *b)
{
	uint64		left = ((const DgGone *) lfirst((const ListCell *) a))->order;
	uint64		right = ((const DgGone *) lfirst((const ListCell *) b))->order;

	return left < right ? -1 : left > right;
}

/* ---------------------------------------------------------------------
 * Progress
 * ---------------------------------------------------------------------
 */

/* Say in pg_stat_activity how far it is, once a second */
static void
show_progress(DgWalk *walk)
{
	TimestampTz now = GetCurrentTimestamp();
	char	   *name;
	char	   *text;

	CHECK_FOR_INTERRUPTS();
	if (!TimestampDifferenceExceeds(walk->reported, now, DG_PROGRESS_INTERVAL))
		return;
	walk->reported = now;
	name = get_rel_name(walk->current->source->relid);
	text = psprintf("/* delete_guard: level %d, rows that refer to \"%s\", " INT64_FORMAT " found so far */ %s",
					walk->depth, name ? name : "?", walk->nmatches,
					debug_query_string ? debug_query_string : "");
	pgstat_report_activity(STATE_RUNNING, text);
	pfree(text);
	if (name)
		pfree(name);
	walk->showing = true;
}

/* Show the query again */
static void
end_progress(DgWalk *walk)
{
	if (walk->showing)
		pgstat_report_activity(STATE_RUNNING, debug_query_string ? debug_query_string : "");
	walk->showing = false;
}
