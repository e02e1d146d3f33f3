/*-------------------------------------------------------------------------
 *
 * rekeyed.c
 *	  which rows an UPDATE has changed the keys of
 *
 * There is no transition table for changed keys: it would hold every row that
 * any UPDATE touches.  Instead the key trigger's WHEN condition, which
 * PostgreSQL evaluates as each row is updated (TriggerEnabled in trigger.c),
 * notes the places of the row before and after; so when the first of the
 * triggers fires, at the end of the statement, all rows with changed keys are
 * known and can be judged together.
 *
 * The triggers fire in the order in which the rows were noted, so that each
 * finds its own row next in its set.
 *
 * Everybody may call the function in the condition, as PostgreSQL demands of
 * whoever updates.  So a set proves nothing: who takes one must see for himself
 * that its rows were updated as it says.
 *
 * Lifetime.  Which query rows belong to is told by its memory context.  A set
 * lives in a context below that one, and goes when its last row is taken or
 * with the query.  (The triggers of a cascade fire after its query is over:
 * those find no set.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"

#include "rekeyed.h"

struct DgRekeyed
{
	dlist_node	node;
	MemoryContext context;
	MemoryContextCallback callback;
	MemoryContext query;
	Oid			relid;
	int64		nrows;
	int64		room;
	int64		next;			/* row whose trigger fires next */
	DgRekeyedRow *rows;
};

static dlist_head sets = DLIST_STATIC_INIT(sets);

static DgRekeyed *set_begin(MemoryContext query, Oid relid);
static void set_gone(void *arg);
static int	compare_places(const void *a, const void *b);

/*
 * Note a row of a relation whose key a query changes.
 */
void
dg_rekeyed_note(MemoryContext query, Oid relid, ItemPointer before, ItemPointer after)
{
	DgRekeyed  *set = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &sets)
	{
		DgRekeyed  *candidate = dlist_container(DgRekeyed, node, iter.cur);

		/* once its triggers fire, a set is complete */
		if (candidate->query == query && candidate->relid == relid && candidate->next == 0)
			set = candidate;
	}
	if (set == NULL)
		set = set_begin(query, relid);
	if (set->nrows == set->room)
	{
		set->rows = repalloc_huge(set->rows, sizeof(DgRekeyedRow) * set->room * 2);
		set->room *= 2;
	}
	set->rows[set->nrows].before = *before;
	set->rows[set->nrows].after = *after;
	set->nrows++;
}

/* Begin a set */
static DgRekeyed *
set_begin(MemoryContext query, Oid relid)
{
	MemoryContext context = AllocSetContextCreate(query, "delete_guard rows with changed keys",
												  ALLOCSET_SMALL_SIZES);
	DgRekeyed  *set = MemoryContextAllocZero(context, sizeof(DgRekeyed));

	set->context = context;
	set->query = query;
	set->relid = relid;
	set->room = 16;
	set->rows = MemoryContextAlloc(context, sizeof(DgRekeyedRow) * set->room);
	dlist_push_tail(&sets, &set->node);
	set->callback.func = set_gone;
	set->callback.arg = set;
	MemoryContextRegisterResetCallback(context, &set->callback);
	return set;
}

/* Context callback */
static void
set_gone(void *arg)
{
	dlist_delete(&((DgRekeyed *) arg)->node);
}

/*
 * The set in which a row of this query comes next, or NULL; the row after it is
 * then the next.  first tells whether it is the set's first row.  The caller
 * must call dg_rekeyed_release or dg_rekeyed_forget.
 */
DgRekeyed *
dg_rekeyed_take(MemoryContext query, Oid relid, ItemPointer before,
				ItemPointer after, bool *first)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sets)
	{
		DgRekeyed  *set = dlist_container(DgRekeyed, node, iter.cur);

		if (set->query != query || set->relid != relid ||
			!ItemPointerEquals(&set->rows[set->next].before, before) ||
			!ItemPointerEquals(&set->rows[set->next].after, after))
			continue;
		*first = set->next == 0;
		set->next++;
		return set;
	}
	return NULL;
}

/*
 * How many rows a set has, and the rows; they live as long as the set.
 */
int64
dg_rekeyed_rows(const DgRekeyed *set, const DgRekeyedRow **rows)
{
	*rows = set->rows;
	return set->nrows;
}

/*
 * Is each row in the set once?  The executor notes a row once.
 */
bool
dg_rekeyed_distinct(const DgRekeyed *set)
{
	ItemPointerData *places;
	int64		sorted = 1;
	bool		distinct = true;

	/* nearly always they come in the order of their places */
	while (sorted < set->nrows &&
		   ItemPointerCompare((ItemPointer) &set->rows[sorted - 1].before,
							  (ItemPointer) &set->rows[sorted].before) < 0)
		sorted++;
	if (sorted >= set->nrows)
		return true;
	places = palloc_extended(sizeof(ItemPointerData) * set->nrows, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < set->nrows; i++)
		places[i] = set->rows[i].before;
	qsort(places, set->nrows, sizeof(ItemPointerData), compare_places);
	for (int64 i = 1; i < set->nrows && distinct; i++)
		distinct = !ItemPointerEquals(&places[i - 1], &places[i]);
	pfree(places);
	return distinct;
}

/* qsort comparison */
static int
compare_places(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/*
 * Be done with a row: forget its set if it was the last.
 */
void
dg_rekeyed_release(DgRekeyed *set)
{
	if (set->next == set->nrows)
		dg_rekeyed_forget(set);
}

/*
 * Forget a set: its rows are judged one by one.
 */
void
dg_rekeyed_forget(DgRekeyed *set)
{
	MemoryContextDelete(set->context);
}
