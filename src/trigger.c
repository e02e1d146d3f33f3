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
 * Of an UPDATE on a plain table, the rows whose keys changed are noted as they
 * are updated (rekeyed.c), and judged at the first firing in the same way.
 *
 * Everywhere else (partitions, inheritance, keys changed by a cascade) rows come
 * one by one.  Each is judged as it comes; what is allowed collects in a pending
 * event (pending.c), which the guard-end trigger finishes, or where there is none
 * the end of the transaction.
 *
 * Key triggers may be made for UPDATE OF the key's columns (arm.c).  In replica
 * role another trigger fires after them for every row updated: it judges those
 * whose keys changed without a key trigger's having fired.
 *
 * Lifetime.  Which statement a firing belongs to is told by the memory context
 * of the query, the parent of the one that triggers are called in.  Marks of
 * transition tables already judged hang on that context and go with it, so
 * that a pointer used again cannot be taken for the old one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "arm.h"
#include "keydiff.h"
#include "named.h"
#include "pending.h"
#include "removal.h"

PG_FUNCTION_INFO_V1(delete_guard_guard_rows);
PG_FUNCTION_INFO_V1(delete_guard_note_key_change);
PG_FUNCTION_INFO_V1(delete_guard_guard_end);
PG_FUNCTION_INFO_V1(delete_guard_guard_truncate);

/* A transition table that has been judged */
typedef struct DgJudged
{
	dlist_node	node;
	MemoryContext query;
	Tuplestorestate *store;
	Oid			relid;
	MemoryContextCallback callback;
} DgJudged;

/* A row that moved to another partition */
typedef struct DgMove
{
	DgRemoval  *removal;
	TupleTableSlot *slot;		/* as it was */
	bool	   *changed;		/* which key columns changed */
	int			nfound;			/* rows with its identity */
} DgMove;

/* The row that a key trigger judged last, in replica role */
typedef struct DgJudgedRow
{
	Oid			relid;
	TransactionId xid;
	ItemPointerData before;
	ItemPointerData after;
} DgJudgedRow;

static dlist_head judged = DLIST_STATIC_INIT(judged);
static DgJudgedRow judged_row = {0};

static bool is_own_row_trigger(const Trigger *trigger);
static void remember_judged_row(TriggerData *trigdata);
static bool is_judged_row(TriggerData *trigdata);
static bool key_differs(TriggerData *trigdata);
static void guard_set(TriggerData *trigdata);
static bool guard_rekeyed(TriggerData *trigdata);
static bool judge_rekeyed(TriggerData *trigdata, DgRekeyed *set, MemoryContext query);
static bool references_of_all(DgRemoval *removal, DgRowSource *source, bool *any);
static void guard_row(TriggerData *trigdata);
static bool already_judged(TriggerData *trigdata, MemoryContext query);
static void forget_judged(void *arg);
static bool key_change_concerns(DgRemoval *removal, TupleTableSlot *slot, TupleTableSlot *new_slot);
static bool move_concerns(DgRemoval *removal, TupleTableSlot *slot);
static void moved_row_found(void *arg, int row, Oid relid, TupleTableSlot *new_slot);

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
	if (!is_own_row_trigger(trigdata->tg_trigger))
		return PointerGetDatum(NULL);
	if (strcmp(trigdata->tg_trigger->tgname, DG_TRIGGER_KEY_UNNAMED) == 0)
	{
		if (!is_judged_row(trigdata) && key_differs(trigdata))
			guard_row(trigdata);
		return PointerGetDatum(NULL);
	}
	if (trigdata->tg_oldtable && TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		guard_set(trigdata);
	else if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) || !guard_rekeyed(trigdata))
		guard_row(trigdata);
	remember_judged_row(trigdata);
	return PointerGetDatum(NULL);
}

/*
 * Part of the key trigger's condition: notes a row whose key an UPDATE changes.
 * Always true.
 */
Datum
delete_guard_note_key_change(PG_FUNCTION_ARGS)
{
	dg_rekeyed_note(MemoryContextGetParent(CurrentMemoryContext), PG_GETARG_OID(0),
					(ItemPointer) PG_GETARG_POINTER(1), (ItemPointer) PG_GETARG_POINTER(2));
	PG_RETURN_BOOL(true);
}

/*
 * Trigger function: a statement on a table whose rows came one by one is over.
 */
Datum
delete_guard_guard_end(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(((TriggerData *) fcinfo->context)->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER STATEMENT",
						"delete_guard._guard_end")));
	dg_pending_finish(MemoryContextGetParent(CurrentMemoryContext));
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
	DgVerdict  *verdict;
	DgRowSource source = {0};
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
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
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		strcmp(trigdata->tg_trigger->tgname, DG_TRIGGER_TRUNCATE) != 0)
		return PointerGetDatum(NULL);	/* holds no rows; or a trigger that is not ours */

	work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	dg_removal_begin(&removal, rel, DG_OPERATION_TRUNCATE, InvalidCommandId, query);
	if (removal.table->is_protected)
	{
		dg_dependents_for_truncate(removal.dependents, RelationGetRelid(rel));
		source.scanned = rel;
		source.slot = table_slot_create(rel, NULL);
		verdict = dg_removal_judge(&removal, &source);
		if (verdict)
			dg_removal_journal(&removal, verdict, &source);
		dg_source_end(&source);
		ExecDropSingleTupleTableSlot(source.slot);
	}
	dg_dependents_end(removal.dependents);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return PointerGetDatum(NULL);
}

/*
 * Is this one of our triggers?  Everybody may make others with our functions,
 * which would record the same rows again.
 */
static bool
is_own_row_trigger(const Trigger *trigger)
{
	return !trigger->tgdeferrable &&
		(strcmp(trigger->tgname, DG_TRIGGER_DELETE) == 0 ||
		 dg_is_key_trigger(trigger->tgname) ||
		 strcmp(trigger->tgname, DG_TRIGGER_KEY_UNNAMED) == 0);
}

/*
 * A row that a key trigger has just judged, in replica role: the trigger
 * "unnamed" comes next for the same row.  Its places tell which it is: those of
 * a version that was in an index are not used again before VACUUM, not even
 * after a savepoint was rolled back.
 */
static void
remember_judged_row(TriggerData *trigdata)
{
	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA ||
		!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		return;
	judged_row.relid = RelationGetRelid(trigdata->tg_relation);
	judged_row.xid = GetTopTransactionIdIfAny();
	judged_row.before = trigdata->tg_trigtuple->t_self;
	judged_row.after = trigdata->tg_newtuple->t_self;
}

/*
 * Is it this row?  Which columns an update names is not asked, as that is not
 * what matters, and up to PostgreSQL 17.2 a trigger may be told another
 * update's (tg_updatedcols).
 */
static bool
is_judged_row(TriggerData *trigdata)
{
	return judged_row.relid == RelationGetRelid(trigdata->tg_relation) &&
		judged_row.xid == GetTopTransactionIdIfAny() &&
		ItemPointerEquals(&judged_row.before, &trigdata->tg_trigtuple->t_self) &&
		ItemPointerEquals(&judged_row.after, &trigdata->tg_newtuple->t_self);
}

/* Does an update change a key of a protected table? */
static bool
key_differs(TriggerData *trigdata)
{
	DgTable    *table = dg_table_acquire(RelationGetRelid(trigdata->tg_relation));
	bool	   *concerned = palloc(sizeof(bool) * Max(table->nreferences, 1));
	bool		result = table->is_protected &&
		dg_keys_differ(table, trigdata->tg_trigslot, trigdata->tg_newslot, concerned);

	dg_table_release(table);
	pfree(concerned);
	return result;
}

/* Judge the whole transition table, once */
static void
guard_set(TriggerData *trigdata)
{
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
	MemoryContext work;
	MemoryContext old;
	DgRemoval	removal;
	DgVerdict  *verdict;
	DgRowSource source = {0};

	if (already_judged(trigdata, query))
		return;
	work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	dg_removal_begin(&removal, trigdata->tg_relation, DG_OPERATION_DELETE,
					 HeapTupleHeaderGetCmax(trigdata->tg_trigtuple->t_data), query);
	if (removal.table->is_protected)
	{
		source.store = trigdata->tg_oldtable;
		source.pointer = -1;
		source.slot = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation),
											   &TTSOpsMinimalTuple);
		verdict = dg_removal_judge(&removal, &source);
		if (verdict)
			dg_removal_journal(&removal, verdict, &source);
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

/*
 * Judge all rows whose keys the statement changed, when the first of them comes.
 * False if this row has to be judged by itself.
 */
static bool
guard_rekeyed(TriggerData *trigdata)
{
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
	bool		first;
	DgRekeyed  *set = dg_rekeyed_take(query, RelationGetRelid(trigdata->tg_relation),
									  &trigdata->tg_trigtuple->t_self,
									  &trigdata->tg_newtuple->t_self, &first);

	if (set == NULL)
		return false;
	if (first && !judge_rekeyed(trigdata, set, query))
	{
		dg_rekeyed_forget(set);
		return false;
	}
	dg_rekeyed_release(set);
	return true;
}

/* Judge rows with changed keys; false if they were not updated as noted */
static bool
judge_rekeyed(TriggerData *trigdata, DgRekeyed *set, MemoryContext query)
{
	Relation	rel = trigdata->tg_relation;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	DgRemoval	removal;
	DgVerdict  *verdict;
	DgRowSource source = {0};
	bool		sound = true;
	bool		any = false;

	dg_removal_begin(&removal, rel, DG_OPERATION_KEY_CHANGE,
					 HeapTupleHeaderGetCmax(trigdata->tg_trigtuple->t_data), query);
	source.nrekeyed = dg_rekeyed_rows(set, &source.rekeyed);
	source.rekeying = HeapTupleHeaderGetCmax(trigdata->tg_trigtuple->t_data);
	source.rekeyed_rel = rel;
	source.rekeyed_blocks = RelationGetNumberOfBlocks(rel);
	source.rekeyed_table = removal.table;
	source.concerned = palloc(sizeof(bool) * Max(removal.table->nreferences, 1));
	source.slot = table_slot_create(rel, NULL);
	source.new_slot = table_slot_create(rel, NULL);
	if (removal.table->is_protected)
		sound = dg_rekeyed_distinct(set) &&
			references_of_all(&removal, &source, &any);
	if (sound && any)
	{
		verdict = dg_removal_judge(&removal, &source);
		if (verdict)
			dg_removal_journal(&removal, verdict, &source);
	}
	ExecDropSingleTupleTableSlot(source.slot);
	ExecDropSingleTupleTableSlot(source.new_slot);
	dg_dependents_end(removal.dependents);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return sound;
}

/*
 * Have those references looked at that some row's change leaves behind.  any
 * tells whether a key changed at all.  False if a row was not updated as noted.
 */
static bool
references_of_all(DgRemoval *removal, DgRowSource *source, bool *any)
{
	int			n = removal->table->nreferences;
	bool	   *concerned = palloc0(sizeof(bool) * Max(n, 1));

	for (int64 row = 0; row < source->nrekeyed; row++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!dg_source_fetch(source, &source->rekeyed[row]))
			return false;
		*any |= dg_keys_differ(removal->table, source->slot, source->new_slot, source->concerned);
		for (int i = 0; i < n; i++)
			concerned[i] |= source->concerned[i];
	}
	dg_dependents_for_update(removal->dependents, concerned);
	return true;
}

/* Judge one row */
static void
guard_row(TriggerData *trigdata)
{
	MemoryContext query = MemoryContextGetParent(CurrentMemoryContext);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	bool		moved = !update &&
		HeapTupleHeaderIndicatesMovedPartitions(trigdata->tg_trigtuple->t_data);
	MemoryContext work;
	MemoryContext old;
	DgRemoval	removal;
	DgRowSource source = {0};
	bool		concerns = true;

	work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard statement",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	dg_removal_begin(&removal, trigdata->tg_relation,
					 update || moved ? DG_OPERATION_KEY_CHANGE : DG_OPERATION_DELETE,
					 HeapTupleHeaderGetCmax(trigdata->tg_trigtuple->t_data), query);
	source.slot = trigdata->tg_trigslot;
	source.new_slot = update ? trigdata->tg_newslot : NULL;
	if (!removal.table->is_protected)
		concerns = false;
	else if (update)
		concerns = key_change_concerns(&removal, source.slot, source.new_slot);
	else if (moved)
		concerns = move_concerns(&removal, source.slot);
	if (concerns)
		dg_pending_add(&removal, dg_removal_judge(&removal, &source), source.slot,
					   source.new_slot, query);
	dg_dependents_end(removal.dependents);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/*
 * Does an UPDATE change a key?  Then have only those references looked at
 * that the change leaves behind.
 */
static bool
key_change_concerns(DgRemoval *removal, TupleTableSlot *slot, TupleTableSlot *new_slot)
{
	bool	   *concerned = palloc(sizeof(bool) * Max(removal->table->nreferences, 1));
	bool		any = dg_keys_differ(removal->table, slot, new_slot, concerned);

	dg_dependents_for_update(removal->dependents, concerned);
	return any;
}

/*
 * The same for a row that moved to another partition.  Its new version is
 * found by its identity; if that changed, every key counts as changed.
 */
static bool
move_concerns(DgRemoval *removal, TupleTableSlot *slot)
{
	DgTable    *table = removal->table;
	DgMove		move = {removal, slot};
	DgKeys	   *keys = dg_keys_create(table, 1, CurrentMemoryContext);
	bool	   *concerned;
	bool		any;

	move.changed = palloc(sizeof(bool) * Max(table->nkey_columns, 1));
	memset(move.changed, true, sizeof(bool) * Max(table->nkey_columns, 1));
	dg_keys_add(keys, slot);
	dg_dependents_find_rows(removal->dependents, keys, moved_row_found, &move);
	concerned = palloc(sizeof(bool) * Max(table->nreferences, 1));
	any = dg_references_concerned(table, move.changed, concerned);
	dg_dependents_for_update(removal->dependents, concerned);
	return any;
}

/* Found-row callback: compare the row with what it was */
static void
moved_row_found(void *arg, int row, Oid relid, TupleTableSlot *new_slot)
{
	DgMove	   *move = arg;
	DgTable    *table = move->removal->table;
	TupleDesc	desc = RelationGetDescr(move->removal->rel);

	/* several rows of one key: which is the one that moved cannot be told */
	move->nfound++;
	for (int i = 0; i < table->nkey_columns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, table->key_columns[i] - 1);

		move->changed[i] = move->nfound > 1 ||
			dg_column_changed(att, move->slot, new_slot,
							  get_attnum(relid, NameStr(att->attname)));
	}
}
