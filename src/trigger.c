/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  the statement guard: rows removed or re-keyed, tables truncated
 *
 * Three triggers on each protected table enter here:
 *
 *	guard rows		AFTER DELETE or AFTER UPDATE, FOR EACH ROW
 *	guard truncate	BEFORE TRUNCATE, FOR EACH STATEMENT
 *	guard end		AFTER DELETE or AFTER UPDATE, FOR EACH STATEMENT
 *
 * On a plain table the delete trigger declares REFERENCING OLD TABLE.  At its
 * first firing the transition table holds every row that the statement removed
 * and no foreign key action has run, as the trigger's name sorts before
 * RI_ConstraintTrigger_*; so the whole set is judged and journalled there, and
 * later firings return at once.  PostgreSQL marks a transition table closed at
 * the first firing (afterTriggerInvokeEvents in trigger.c): rows that a
 * cascade removes later go into another one.
 *
 * Everywhere else (partitions, inheritance, changes of keys, the logical
 * replication worker) rows come one by one.  Each is judged as it comes; what
 * is allowed collects in a "pending" event, which the guard-end trigger, or
 * failing that the end of the transaction, finishes.
 *
 * Lifetime.  Which statement a firing belongs to is told by the memory context
 * of the query, the parent of the one that triggers are called in.  Marks of
 * transition tables already judged hang on that context and go with it, so
 * that a pointer used again cannot be taken for the old one.  Pending events
 * live in a context below TopTransactionContext.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeHash.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "approval.h"
#include "compat.h"
#include "guc.h"
#include "journal.h"
#include "policy.h"
#include "refusal.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(delete_guard_guard_rows);
PG_FUNCTION_INFO_V1(delete_guard_guard_end);
PG_FUNCTION_INFO_V1(delete_guard_guard_truncate);

/* Rows looked at together: enough to keep the index warm, few enough for it */
#define DG_CHUNK_ROWS 500
/* Bounds on the chunk where a table is scanned once per chunk */
#define DG_SCAN_CHUNK_MIN 1000
#define DG_SCAN_CHUNK_MAX 1000000

/* A transition table that has been judged */
typedef struct DgJudged
{
	dlist_node	node;
	MemoryContext query;
	Tuplestorestate *store;
	Oid			relid;
	MemoryContextCallback callback;
} DgJudged;

/* Where rows come from; one of the three */
typedef struct DgRowSource
{
	Tuplestorestate *store;		/* transition table */
	int			pointer;		/* read pointer of it */
	Relation	scanned;		/* whole relation */
	TableScanDesc scan;
	TupleTableSlot *slot;		/* where rows appear; or the one row */
	TupleTableSlot *new_slot;	/* what the one row becomes; or NULL */
	bool		given;			/* the one row has been given */
} DgRowSource;

/* Images of one relation in a pending event */
typedef struct DgPendingPart
{
	Oid			relid;
	DgImager   *imager;
	DgRowWriter *writer;
	Jsonb	   *part;
} DgPendingPart;

/* An event that rows are still added to */
typedef struct DgPending
{
	dlist_node	node;
	MemoryContext context;
	MemoryContext query;
	bool		query_over;
	MemoryContextCallback callback;
	SubTransactionId subid;
	Oid			table_id;
	const char *operation;
	const char *outcome;
	int64		event_id;
	int64		nrows;
	int64		request_id;
	char	   *approved_by;
	DgRadius   *radius;
	List	   *parts;			/* of DgPendingPart */
} DgPending;

static dlist_head judged = DLIST_STATIC_INIT(judged);
static dlist_head pending = DLIST_STATIC_INIT(pending);

static void guard_set(TriggerData *trigdata);
static void guard_row(TriggerData *trigdata);
static bool already_judged(TriggerData *trigdata, MemoryContext query);
static void forget_judged(void *arg);
static void source_rewind(DgRowSource *source);
static bool source_next(DgRowSource *source);
static void source_end(DgRowSource *source);
static void removal_begin(DgRemoval *removal, Relation rel, const char *operation,
						  CommandId removing);
static void removal_judge_rows(DgRemoval *removal, DgRowSource *source);
static uint8 *removal_look(DgRemoval *removal, DgRowSource *source, bool *any_held);
static int	look_at_chunk(DgRemoval *removal, DgKeys *keys, int64 *counts, uint8 *held);
static int	chunk_rows(const DgRemoval *removal);
static void removal_hold(DgRemoval *removal, DgRowSource *source, const uint8 *held);
static DgVerdict *removal_decide(DgRemoval *removal);
static void removal_accept(const DgVerdict *verdict, int64 event_id);
static void removal_journal(DgRemoval *removal, DgVerdict *verdict, DgRowSource *source);
static int64 journal_images(DgRemoval *removal, DgRowSource *source, int64 event_id);
static void event_from_verdict(DgEvent *event, const DgVerdict *verdict);
static bool alert_needed(const char *outcome);
static bool key_change_concerns(DgRemoval *removal, TupleTableSlot *slot, TupleTableSlot *new_slot);
static bool column_changed(Form_pg_attribute att, TupleTableSlot *slot, TupleTableSlot *new_slot);
static DgPending *pending_find(DgRemoval *removal, MemoryContext query);
static void pending_query_over(void *arg);
static void pending_add(DgPending *event, DgRemoval *removal, DgVerdict *verdict, DgRowSource *source);
static DgPendingPart *pending_part(DgPending *event, DgRemoval *removal);
static void pending_finish(DgPending *event);
static void pending_finish_all(void);
static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId mine,
							 SubTransactionId parent, void *arg);

/*
 * Register what happens at the end of transactions.  Called once.
 */
void
dg_trigger_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* ---------------------------------------------------------------------
 * Doors
 * ---------------------------------------------------------------------
 */

/*
 * Trigger function: rows were deleted, or their keys changed.
 */
Datum
delete_guard_guard_rows(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!(TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		  TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER DELETE or UPDATE for each row",
						"delete_guard._guard_rows")));
	if (trigdata->tg_oldtable && TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		guard_set(trigdata);
	else
		guard_row(trigdata);
	return PointerGetDatum(NULL);
}

/*
 * Trigger function: a statement on a table whose rows came one by one is over.
 */
Datum
delete_guard_guard_end(PG_FUNCTION_ARGS)
{
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
	dlist_mutable_iter iter;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(((TriggerData *) fcinfo->context)->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER STATEMENT",
						"delete_guard._guard_end")));
	dlist_foreach_modify(iter, &pending)
	{
		DgPending  *event = dlist_container(DgPending, node, iter.cur);

		if (event->query_over || event->query == query)
			pending_finish(event);
	}
	return PointerGetDatum(NULL);
}

/*
 * Trigger function: the table is about to be truncated.
 */
Datum
delete_guard_guard_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation	rel;
	DgRemoval	removal;
	DgRowSource source = {0};
	MemoryContext work;
	MemoryContext old;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE TRUNCATE",
						"delete_guard._guard_truncate")));
	rel = trigdata->tg_relation;
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return PointerGetDatum(NULL);	/* holds no rows; its partitions fire */

	work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	removal_begin(&removal, rel, DG_OPERATION_TRUNCATE, InvalidCommandId);
	if (removal.table->is_protected)
	{
		dg_dependents_exclude_relation(removal.dependents, RelationGetRelid(rel));
		source.scanned = rel;
		source.slot = table_slot_create(rel, NULL);
		removal_judge_rows(&removal, &source);
		source_end(&source);
		ExecDropSingleTupleTableSlot(source.slot);
	}
	dg_dependents_end(removal.dependents);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return PointerGetDatum(NULL);
}

/* Judge the whole transition table, once */
static void
guard_set(TriggerData *trigdata)
{
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
	MemoryContext work;
	MemoryContext old;
	DgRemoval	removal;
	DgRowSource source = {0};

	if (already_judged(trigdata, query))
		return;
	work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	removal_begin(&removal, trigdata->tg_relation, DG_OPERATION_DELETE,
				  HeapTupleHeaderGetCmax(trigdata->tg_trigtuple->t_data));
	if (removal.table->is_protected)
	{
		source.store = trigdata->tg_oldtable;
		source.pointer = -1;
		source.slot = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation),
											   &TTSOpsMinimalTuple);
		removal_judge_rows(&removal, &source);
		ExecDropSingleTupleTableSlot(source.slot);
	}
	dg_dependents_end(removal.dependents);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/*
 * Was this transition table judged before?  If not, mark it.  The mark comes
 * first: if judging fails, the statement does.
 */
static bool
already_judged(TriggerData *trigdata, MemoryContext query)
{
	dlist_iter	iter;
	DgJudged   *mark;

	dlist_foreach(iter, &judged)
	{
		mark = dlist_container(DgJudged, node, iter.cur);
		if (mark->query == query && mark->store == trigdata->tg_oldtable &&
			mark->relid == RelationGetRelid(trigdata->tg_relation))
			return true;
	}
	mark = MemoryContextAllocZero(query, sizeof(DgJudged));
	mark->query = query;
	mark->store = trigdata->tg_oldtable;
	mark->relid = RelationGetRelid(trigdata->tg_relation);
	mark->callback.func = forget_judged;
	mark->callback.arg = mark;
	dlist_push_head(&judged, &mark->node);
	MemoryContextRegisterResetCallback(query, &mark->callback);
	return false;
}

/* Context callback: the query is over */
static void
forget_judged(void *arg)
{
	dlist_delete(&((DgJudged *) arg)->node);
}

/* Judge one row */
static void
guard_row(TriggerData *trigdata)
{
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	MemoryContext work;
	MemoryContext old;
	DgRemoval	removal;
	DgRowSource source = {0};
	bool		concerns = true;

	work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	removal_begin(&removal, trigdata->tg_relation,
				  update ? DG_OPERATION_KEY_CHANGE : DG_OPERATION_DELETE,
				  HeapTupleHeaderGetCmax(trigdata->tg_trigtuple->t_data));
	source.slot = trigdata->tg_trigslot;
	source.new_slot = update ? trigdata->tg_newslot : NULL;
	if (!removal.table->is_protected)
		concerns = false;
	else if (update)
		concerns = key_change_concerns(&removal, source.slot, source.new_slot);
	else if (removal.table->is_partition)
	{
		/* a row that moved to another partition is not gone */
		DgKeys	   *keys = dg_keys_create(removal.table, 1, work);

		dg_keys_add(keys, source.slot);
		concerns = !dg_dependents_key_remains(removal.dependents, keys);
	}
	if (concerns)
	{
		bool		any_held;
		uint8	   *held = removal_look(&removal, &source, &any_held);
		DgVerdict  *verdict;

		if (any_held)
			removal_hold(&removal, &source, held);
		verdict = removal_decide(&removal);
		pending_add(pending_find(&removal, query), &removal, verdict, &source);
	}
	dg_dependents_end(removal.dependents);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* ---------------------------------------------------------------------
 * Row sources
 * ---------------------------------------------------------------------
 */

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
		source_end(source);
		source->scan = dg_table_beginscan(source->scanned, GetActiveSnapshot());
	}
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
	if (source->given)
		return false;
	source->given = true;
	return true;
}

/* End a scan that may be open */
static void
source_end(DgRowSource *source)
{
	if (source->scan)
		table_endscan(source->scan);
	source->scan = NULL;
}

/* ---------------------------------------------------------------------
 * Judging
 * ---------------------------------------------------------------------
 */

/* Prepare to judge what a command did to rows of a relation */
static void
removal_begin(DgRemoval *removal, Relation rel, const char *operation, CommandId removing)
{
	memset(removal, 0, sizeof(DgRemoval));
	removal->operation = operation;
	removal->rel = rel;
	removal->dependents = dg_dependents_begin(RelationGetRelid(rel), removing,
											  CurrentMemoryContext);
	removal->table = dg_dependents_table(removal->dependents);
}

/* Look at all rows, decide, and journal what is allowed */
static void
removal_judge_rows(DgRemoval *removal, DgRowSource *source)
{
	bool		any_held;
	uint8	   *held = removal_look(removal, source, &any_held);
	DgVerdict  *verdict;

	if (removal->nrows == 0)
		return;
	if (any_held)
		removal_hold(removal, source, held);
	verdict = removal_decide(removal);
	removal_journal(removal, verdict, source);
}

/*
 * First pass: count the rows, find those that something refers to.  Returns a
 * bitmap of the rows that need an approval, by their position.
 */
static uint8 *
removal_look(DgRemoval *removal, DgRowSource *source, bool *any_held)
{
	int			capacity = source->store || source->scanned ? chunk_rows(removal) : 1;
	int			nreferences = Max(removal->table->nreferences, 1);
	DgKeys	   *keys = dg_keys_create(removal->table, capacity, CurrentMemoryContext);
	int64	   *counts = palloc_extended(sizeof(int64) * capacity * nreferences, MCXT_ALLOC_HUGE);
	Size		room = 1024;
	uint8	   *held = palloc0(room);
	bool		more = true;

	*any_held = false;
	removal->referenced = dg_keys_create(removal->table, 16, CurrentMemoryContext);
	source_rewind(source);
	while (more)
	{
		dg_keys_reset(keys);
		while (keys->nrows < capacity && (more = source_next(source)))
			dg_keys_add(keys, source->slot);
		if ((removal->nrows + keys->nrows) / 8 >= room)
		{
			Size		wanted = Max(room * 2, (removal->nrows + keys->nrows) / 8 + 1);

			held = repalloc_huge(held, wanted);
			memset(held + room, 0, wanted - room);
			room = wanted;
		}
		if (look_at_chunk(removal, keys, counts, held) > 0)
			*any_held = true;
	}
	MemoryContextDelete(keys->context);
	pfree(counts);
	return held;
}

/* Count what refers to a chunk of rows; returns how many need an approval */
static int
look_at_chunk(DgRemoval *removal, DgKeys *keys, int64 *counts, uint8 *held)
{
	DgTable    *table = removal->table;
	int			nheld = 0;

	dg_dependents_count(removal->dependents, keys, counts);
	for (int row = 0; row < keys->nrows; row++)
	{
		int64		position = removal->nrows++;
		bool		referenced = false;

		for (int i = 0; i < table->nreferences && !referenced; i++)
			referenced = counts[(Size) row * table->nreferences + i] > 0;
		if (referenced && removal->nreferenced++ < DG_ROWSET_MAX)
			dg_keys_add_datums(removal->referenced,
							   keys->values + (Size) row * table->nkey_columns,
							   keys->isnull + (Size) row * table->nkey_columns);
		if (dg_policy_holds(table, referenced))
		{
			held[position / 8] |= 1 << (position % 8);
			nheld++;
		}
	}
	return nheld;
}

/*
 * How many rows to look at together.  Where a referencing table must be
 * scanned, as many as fit into the memory that a hash table may take
 * (work_mem * hash_mem_multiplier), since each chunk costs a scan.
 */
static int
chunk_rows(const DgRemoval *removal)
{
	double		bytes_per_row = 48.0 + 8.0 * removal->table->nreferences +
		24.0 * removal->table->nkey_columns;
	double		rows = work_mem * 1024.0 * hash_mem_multiplier / bytes_per_row;

	if (!dg_dependents_needs_scan(removal->dependents))
		return DG_CHUNK_ROWS;
	return (int) Min(Max(rows, DG_SCAN_CHUNK_MIN), DG_SCAN_CHUNK_MAX);
}

/*
 * Second pass, only if there are such rows: take keys and digests of the rows
 * that need an approval and are not covered by one already.
 */
static void
removal_hold(DgRemoval *removal, DgRowSource *source, const uint8 *held)
{
	TupleDesc	desc = RelationGetDescr(removal->rel);
	int64		position = 0;
	DgImager   *imager = NULL;

	removal->held = dg_rowset_create(removal->table, desc, CurrentMemoryContext);
	if (dg_cover_any())
		imager = dg_imager_create(desc, removal->table->identity,
								  removal->table->nidentity, CurrentMemoryContext);
	source_rewind(source);
	for (; source_next(source); position++)
	{
		uint8		digest[DG_KEY_DIGEST_LEN];

		if (!(held[position / 8] & (1 << (position % 8))))
			continue;
		if (imager)
		{
			dg_key_digest(imager, source->slot, digest);
			if (dg_cover_find(removal->table->protection.relid, digest))
				continue;
		}
		dg_rowset_add(removal->held, source->slot, source->new_slot);
	}
}

/*
 * The verdict.  A refusal does not return, unless refusals are switched off.
 */
static DgVerdict *
removal_decide(DgRemoval *removal)
{
	bool		holds = removal->held && removal->held->nrows > 0;
	List	   *requests = holds ? dg_requests_named() : NIL;
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

/* Use the approvals that a verdict rests on, and cover what goes along */
static void
removal_accept(const DgVerdict *verdict, int64 event_id)
{
	ListCell   *lc;

	foreach(lc, verdict->used)
		dg_request_use(lfirst(lc), event_id);
	foreach(lc, verdict->cascaded)
	{
		DgCascadedRow *row = lfirst(lc);

		dg_cover_add(row->table_id, row->key);
	}
}

/* Write event and images of an allowed removal */
static void
removal_journal(DgRemoval *removal, DgVerdict *verdict, DgRowSource *source)
{
	DgEvent		event = {0};
	int64		event_id = dg_journal_reserve();
	Jsonb	   *part;
	int64		stored;

	removal_accept(verdict, event_id);
	event_from_verdict(&event, verdict);
	event.operation = removal->operation;
	event.table_id = removal->table->protection.relid;
	event.row_count = removal->nrows;
	part = dg_event_part(removal->table->relid, removal->operation,
						 removal->table->identity, removal->table->nidentity);
	event.parts = dg_jsonb_array(&part, 1);
	stored = journal_images(removal, source, event_id);
	if (stored < removal->nrows)
		event.details = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
														   CStringGetDatum(psprintf("{\"images_stored\": %lld}",
																					(long long) stored))));
	dg_journal_event(event_id, &event, alert_needed(event.outcome));
}

/* Write the images of all rows, up to the limit; returns how many */
static int64
journal_images(DgRemoval *removal, DgRowSource *source, int64 event_id)
{
	DgRowWriter *writer = dg_journal_rows_begin(event_id, 0, CurrentMemoryContext);
	DgImager   *imager = dg_imager_create(RelationGetDescr(removal->rel), NULL, 0,
										  CurrentMemoryContext);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "delete_guard row image",
													  ALLOCSET_DEFAULT_SIZES);
	int			pin = dg_imager_pin_settings(imager);
	int64		stored = 0;

	source_rewind(source);
	while ((dg_capture_limit < 0 || stored < dg_capture_limit) && source_next(source))
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);
		bytea	   *apart = NULL;
		Jsonb	   *image = dg_imager_encode(imager, source->slot, &apart);

		MemoryContextSwitchTo(old);
		dg_journal_rows_add(writer, image, apart);
		MemoryContextReset(row_context);
		stored++;
	}
	dg_imager_unpin_settings(pin);
	dg_imager_free(imager);
	dg_journal_rows_end(writer);
	MemoryContextDelete(row_context);
	return stored;
}

/* The part of an event that follows from the verdict */
static void
event_from_verdict(DgEvent *event, const DgVerdict *verdict)
{
	event->outcome = verdict->outcome;
	event->blast_radius = verdict->radius;
	if (verdict->used != NIL)
	{
		DgRequest  *request = linitial(verdict->used);

		event->request_id = request->request_id;
		event->approved_by = request->approved_by;
	}
}

/* Does somebody have to be told? */
static bool
alert_needed(const char *outcome)
{
	return strcmp(outcome, DG_OUTCOME_LOGGED) != 0 &&
		strcmp(outcome, DG_OUTCOME_REPLICATED) != 0;
}

/*
 * Does an UPDATE change a key?  Then have only those references looked at
 * that the change leaves behind.
 */
static bool
key_change_concerns(DgRemoval *removal, TupleTableSlot *slot, TupleTableSlot *new_slot)
{
	DgTable    *table = removal->table;
	TupleDesc	desc = RelationGetDescr(removal->rel);
	bool	   *changed = palloc(sizeof(bool) * Max(table->nkey_columns, 1));
	bool	   *concerned = palloc0(sizeof(bool) * Max(table->nreferences, 1));
	bool		any = false;

	for (int i = 0; i < table->nkey_columns; i++)
	{
		changed[i] = column_changed(TupleDescAttr(desc, table->key_columns[i] - 1),
									slot, new_slot);
		any |= changed[i];
	}
	for (int i = 0; i < table->nreferences; i++)
	{
		const DgReference *ref = &table->references[i];

		for (int c = 0; c < ref->ncolumns; c++)
			concerned[i] |= changed[ref->columns[c].key_position];
		if (ref->on_update == DG_EFFECT_FOLLOW)
			concerned[i] = false;
	}
	dg_dependents_for_update(removal->dependents, concerned);
	return any;
}

/* Did a column change, by its type's own equality? */
static bool
column_changed(Form_pg_attribute att, TupleTableSlot *slot, TupleTableSlot *new_slot)
{
	bool		isnull_old;
	bool		isnull_new;
	Datum		old = slot_getattr(slot, att->attnum, &isnull_old);
	Datum		new = slot_getattr(new_slot, att->attnum, &isnull_new);
	TypeCacheEntry *type;

	if (isnull_old || isnull_new)
		return isnull_old != isnull_new;
	if (datum_image_eq(old, new, att->attbyval, att->attlen))
		return false;
	type = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR_FINFO);
	/* an equality that a user defined is not asked */
	if (!OidIsValid(type->eq_opr_finfo.fn_oid) ||
		type->eq_opr_finfo.fn_oid >= FirstNormalObjectId)
		return true;
	return !DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, att->attcollation, old, new));
}

/* ---------------------------------------------------------------------
 * Pending events
 * ---------------------------------------------------------------------
 */

/* The pending event that a row belongs to, begun if there is none */
static DgPending *
pending_find(DgRemoval *removal, MemoryContext query)
{
	MemoryContext context;
	MemoryContext old;
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
	event->radius = dg_radius_create(context, NULL, NULL);
	MemoryContextSwitchTo(old);

	/* the callback lives in the query's context, and so goes with it */
	{
		MemoryContextCallback *callback = MemoryContextAlloc(query, sizeof(MemoryContextCallback));
		int64	   *key = MemoryContextAlloc(query, sizeof(int64));

		*key = event->event_id;
		callback->func = pending_query_over;
		callback->arg = key;
		MemoryContextRegisterResetCallback(query, callback);
	}
	dlist_push_tail(&pending, &event->node);
	return event;
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

/* Add an allowed row */
static void
pending_add(DgPending *event, DgRemoval *removal, DgVerdict *verdict, DgRowSource *source)
{
	DgPendingPart *part = pending_part(event, removal);

	removal_accept(verdict, event->event_id);
	event->nrows++;
	if (strcmp(verdict->outcome, DG_OUTCOME_LOGGED) != 0)
		event->outcome = verdict->outcome;
	if (verdict->used != NIL && event->request_id == 0)
	{
		DgRequest  *request = linitial(verdict->used);

		event->request_id = request->request_id;
		event->approved_by = request->approved_by ?
			MemoryContextStrdup(event->context, request->approved_by) : NULL;
	}
	if (removal->nreferenced > 0)
		dg_radius_add(event->radius, removal->dependents, removal->referenced);
	if (dg_capture_limit < 0 || event->nrows <= dg_capture_limit)
	{
		int			pin = dg_imager_pin_settings(part->imager);
		bytea	   *apart = NULL;
		Jsonb	   *image = dg_imager_encode(part->imager, source->slot, &apart);

		dg_imager_unpin_settings(pin);
		dg_journal_rows_add(part->writer, image, apart);
	}
}

/* The part of a pending event for one relation, begun if there is none */
static DgPendingPart *
pending_part(DgPending *event, DgRemoval *removal)
{
	MemoryContext old;
	DgPendingPart *part;
	ListCell   *lc;

	foreach(lc, event->parts)
	{
		part = lfirst(lc);
		if (part->relid == removal->table->relid)
			return part;
	}
	old = MemoryContextSwitchTo(event->context);
	part = palloc0(sizeof(DgPendingPart));
	part->relid = removal->table->relid;
	part->imager = dg_imager_create(RelationGetDescr(removal->rel), NULL, 0, event->context);
	part->writer = dg_journal_rows_begin(event->event_id, list_length(event->parts),
										 event->context);
	part->part = dg_event_part(removal->table->relid, removal->operation,
							   removal->table->identity, removal->table->nidentity);
	event->parts = lappend(event->parts, part);
	MemoryContextSwitchTo(old);
	return part;
}

/* Write a pending event and forget it */
static void
pending_finish(DgPending *pending_event)
{
	MemoryContext old = MemoryContextSwitchTo(pending_event->context);
	DgEvent		event = {0};
	Jsonb	  **parts = palloc(sizeof(Jsonb *) * list_length(pending_event->parts));
	int64		stored = 0;

	for (int i = 0; i < list_length(pending_event->parts); i++)
	{
		DgPendingPart *part = list_nth(pending_event->parts, i);

		parts[i] = part->part;
		stored += dg_journal_rows_count(part->writer);
		dg_journal_rows_end(part->writer);
	}
	event.operation = pending_event->operation;
	event.outcome = pending_event->outcome;
	event.table_id = pending_event->table_id;
	event.row_count = pending_event->nrows;
	event.request_id = pending_event->request_id;
	event.approved_by = pending_event->approved_by;
	event.blast_radius = dg_radius_jsonb(pending_event->radius);
	event.parts = dg_jsonb_array(parts, list_length(pending_event->parts));
	if (stored < pending_event->nrows)
		event.details = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
														   CStringGetDatum(psprintf("{\"images_stored\": %lld}",
																					(long long) stored))));
	dg_journal_event(pending_event->event_id, &event, alert_needed(event.outcome));
	dlist_delete(&pending_event->node);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(pending_event->context);
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
