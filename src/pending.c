/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  events that rows are added to one by one
 *
 * Where a statement's rows come one by one, those that are allowed collect in
 * a "pending" event: images are written as they come, the event itself when
 * the statement, or failing that the transaction, ends.
 *
 * Lifetime.  Pending events live in a context below TopTransactionContext.  A
 * subtransaction that is rolled back takes its own along.  That a query is
 * over is told by the memory context of the query, which a callback hangs on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "capture.h"
#include "pending.h"
#include "radius.h"

/* An event that rows are still added to */
typedef struct DgPending
{
	dlist_node	node;
	MemoryContext context;
	MemoryContext query;
	bool		query_over;
	SubTransactionId subid;
	Oid			table_id;
	const char *operation;
	const char *outcome;
	int64		event_id;
	int64		nrows;
	int64		request_id;
	char	   *approved_by;
	DgRadius   *radius;
	DgParts    *parts;
	DgElsewhere elsewhere;
} DgPending;

static dlist_head pending = DLIST_STATIC_INIT(pending);

static DgPending *pending_find(DgRemoval *removal, MemoryContext query);
static DgPending *pending_begin(DgRemoval *removal, MemoryContext query);
static void watch_query(DgPending *event, MemoryContext query);
static void pending_query_over(void *arg);
static void pending_store(DgPending *event, DgRemoval *removal, TupleTableSlot *slot,
			  TupleTableSlot *new_slot);
static void pending_finish(DgPending *pending_event);
static void pending_finish_all(void);
static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId mine,
							 SubTransactionId parent, void *arg);

/*
 * Register what happens at the end of transactions.  Called once.
 */
void
dg_pending_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* The pending event that a row belongs to, begun if there is none */
static DgPending *
pending_find(DgRemoval *removal, MemoryContext query)
{
	DgPending  *event;
	dlist_iter	iter;

	dlist_foreach(iter, &pending)
	{
		event = dlist_container(DgPending, node, iter.cur);
		if (!event->query_over && event->query == query &&
			event->table_id == removal->table->protection.relid &&
			event->operation == removal->operation &&
			event->subid == GetCurrentSubTransactionId())
			return event;
	}
	return pending_begin(removal, query);
}

/* Begin a pending event */
static DgPending *
pending_begin(DgRemoval *removal, MemoryContext query)
{
	MemoryContext context;
	MemoryContext old;
	DgPending  *event;

	context = AllocSetContextCreate(TopTransactionContext, "delete_guard pending event",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	event = palloc0(sizeof(DgPending));
	event->context = context;
	event->query = query;
	event->subid = GetCurrentSubTransactionId();
	event->table_id = removal->table->protection.relid;
	event->operation = removal->operation;
	event->outcome = DG_OUTCOME_LOGGED;
	event->event_id = dg_journal_reserve();
	event->parts = dg_parts_begin(event->event_id, context);
	event->radius = dg_radius_create(context, NULL, NULL);
	MemoryContextSwitchTo(old);

	watch_query(event, query);
	dlist_push_tail(&pending, &event->node);
	return event;
}

/* Be told when the query is over; the callback goes with its context */
static void
watch_query(DgPending *event, MemoryContext query)
{
	MemoryContextCallback *callback = MemoryContextAlloc(query, sizeof(MemoryContextCallback));
	int64	   *event_id = MemoryContextAlloc(query, sizeof(int64));

	*event_id = event->event_id;
	callback->func = pending_query_over;
	callback->arg = event_id;
	MemoryContextRegisterResetCallback(query, callback);
}

/* Context callback: rows of later queries belong to other events */
static void
pending_query_over(void *arg)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pending)
	{
		DgPending  *event = dlist_container(DgPending, node, iter.cur);

		if (event->event_id == *(int64 *) arg)
			event->query_over = true;
	}
}

/*
 * Add the allowed row in the slot to the pending event of its query, which is
 * told by its memory context.  new_slot is what the row was changed to; NULL if
 * it was removed, or if that is not known.
 */
void
dg_pending_add(DgRemoval *removal, const DgVerdict *verdict, TupleTableSlot *slot,
			   TupleTableSlot *new_slot, MemoryContext query)
{
	DgPending  *event = pending_find(removal, query);
	const DgRequest *request = dg_removal_request(removal, verdict);

	dg_removal_accept(removal, verdict, event->event_id);
	event->nrows++;
	if (strcmp(verdict->outcome, DG_OUTCOME_LOGGED) != 0)
		event->outcome = verdict->outcome;
	if (request && event->request_id == 0)
	{
		event->request_id = request->request_id;
		event->approved_by = request->approved_by ?
			MemoryContextStrdup(event->context, request->approved_by) : NULL;
	}
	if (removal->nreferenced > 0)
		dg_radius_add(event->radius, removal->dependents, removal->referenced);
	pending_store(event, removal, slot, new_slot);
}

/* Store the row, unless it is stored already, and what goes along with it */
static void
pending_store(DgPending *event, DgRemoval *removal, TupleTableSlot *slot,
			  TupleTableSlot *new_slot)
{
	MemoryContext old = MemoryContextSwitchTo(event->context);
	DgPart	   *part = dg_parts_own(event->parts, removal->table, removal->rel, removal->operation,
										  false);
	bool		stored = strcmp(removal->operation, DG_OPERATION_DELETE) == 0 &&
		dg_capture_has(event->query, removal->table, slot, &event->elsewhere);

	MemoryContextSwitchTo(old);
	if (stored)
		return;
	if (!dg_parts_cut(event->parts))
	{
		int			pin = dg_part_pin(part);

		(void) dg_part_add_rekeyed(part, slot, new_slot);
		dg_part_unpin(pin);
	}
	if (removal->nreferenced > 0 && !dg_parts_cut(event->parts) &&
		dg_capture_wanted(removal->dependents))
		dg_capture_rows(event->parts, event->query, removal->dependents, removal->referenced);
}

/* Write a pending event and forget it */
static void
pending_finish(DgPending *pending_event)
{
	MemoryContext old = MemoryContextSwitchTo(pending_event->context);
	DgEvent		event = {0};

	event.operation = pending_event->operation;
	event.outcome = pending_event->outcome;
	event.table_id = pending_event->table_id;
	event.row_count = pending_event->nrows;
	event.request_id = pending_event->request_id;
	event.approved_by = pending_event->approved_by;
	event.blast_radius = dg_radius_jsonb(pending_event->radius);
	event.details = dg_capture_details(pending_event->parts, &pending_event->elsewhere);
	event.parts = dg_parts_end(pending_event->parts, &event.images);
	dg_journal_event(pending_event->event_id, &event, false);
	dlist_delete(&pending_event->node);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(pending_event->context);
}

/*
 * Finish the pending events of a query that is at its end, and of those that
 * are over.  Events of an outer transaction level are left for their own: what
 * is written here goes if this level is rolled back.
 */
void
dg_pending_finish(MemoryContext query)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pending)
	{
		DgPending  *event = dlist_container(DgPending, node, iter.cur);

		if ((event->query_over || event->query == query) &&
			event->subid == GetCurrentSubTransactionId())
			pending_finish(event);
	}
}

/* Finish what no guard-end trigger has */
static void
pending_finish_all(void)
{
	if (dlist_is_empty(&pending))
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	while (!dlist_is_empty(&pending))
		pending_finish(dlist_container(DgPending, node, dlist_head_node(&pending)));
	PopActiveSnapshot();
}

/* Pending events are finished with the transaction, or go with it */
static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			pending_finish_all();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			/* TopTransactionContext takes the memory along */
			dlist_init(&pending);
			break;
		default:
			break;
	}
}

/* Pending events of a rolled back subtransaction go, others change hands */
static void
subxact_callback(SubXactEvent event, SubTransactionId mine,
				 SubTransactionId parent, void *arg)
{
	dlist_mutable_iter iter;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	dlist_foreach_modify(iter, &pending)
	{
		DgPending  *pending_event = dlist_container(DgPending, node, iter.cur);

		if (pending_event->subid != mine)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			pending_event->subid = parent;
		else
		{
			dlist_delete(&pending_event->node);
			MemoryContextDelete(pending_event->context);
		}
	}
}
