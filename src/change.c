/*-------------------------------------------------------------------------
 *
 * change.c
 *	  may DDL, or a change of settings, go on?
 *
 * Words.  A "change" is a command that would weaken the guard: DDL on a
 * protected table, or a function that makes settings weaker.  It is told by
 * its "action", a text that is the same for the same command on the same
 * object, and different for any other.  A change that needs an approval is
 * "held".
 *
 * DDL is held if the table is in block mode, settings only if there is an
 * approver for it too: the first approver must be free to name.  What
 * concerns all tables is held if that is so for any of them, and needs the
 * most approvals that any of them does.  Rows and blast radius do not come
 * into it.
 *
 * In the transaction that names the first approver of a table, others can be
 * named freely too.  A lock on the table of approvers sees to it that two
 * transactions do not both name the first.
 *
 * May be called in the middle of a command: nothing here needs a lock on the
 * protected table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "ask.h"
#include "catalog.h"
#include "change.h"
#include "guc.h"
#include "journal.h"
#include "policy.h"
#include "refusal.h"
#include "sql.h"
#include "steps.h"

/* A table whose first approver this transaction names; InvalidOid: all */
typedef struct DgNaming
{
	Oid			table_id;
	int			nestlevel;		/* of the transaction that holds the lock */
} DgNaming;

static List *naming = NIL;		/* of DgNaming, in TopTransactionContext */

static const char *free_outcome(const DgChange *change);
static bool is_held_by_settings(const DgChange *change);
static bool concerns(const DgChange *change, const DgProtection *protection);
static int	approvals_needed(const DgChange *change);
static bool is_naming_first(Oid table_id);
static void note_naming_first(Oid table_id);
static void at_xact_event(XactEvent event, void *arg);
static void at_subxact_event(SubXactEvent event, SubTransactionId subid,
							 SubTransactionId parent, void *arg);
static Jsonb *event_details(const DgChange *change, bool with_action);
static DgRequest *find_usable_request(const DgChange *change, char **problems);
static const char *request_problem(const DgRequest *request, const DgChange *change);
static void refuse_change(const DgChange *change, const char *problems);

/*
 * An object as a part of what tells which objects a change is about, whatever
 * they are called.
 */
char *
dg_object_number(Oid class_id, Oid object, int subobject)
{
	return psprintf("%u/%u/%d ", class_id, object, subobject);
}

/*
 * Returns if the change may go on, with an event in this transaction; a
 * request that allows it is used.  Else has the attempt recorded, with a
 * request for it, and raises an error.  The current role must be the
 * session's.  Tells whether the change needed an approval.
 */
bool
dg_change_permit(const DgChange *change)
{
	DgPermit	permit = dg_change_decide(change);

	dg_change_journal(change, &permit);
	return permit.held;
}

/*
 * The same, but the event is still to be written: its details may only be
 * known when the change is made.
 */
DgPermit
dg_change_decide(const DgChange *change)
{
	DgPermit	permit = {0};
	char	   *problems = NULL;

	PreventCommandDuringRecovery(change->operation);
	permit.held = dg_change_is_held(change);
	if (IsLogicalWorker())
		permit.outcome = DG_OUTCOME_REPLICATED;
	else if (!permit.held)
		permit.outcome = free_outcome(change);
	else if ((permit.request = find_usable_request(change, &problems)) != NULL)
		permit.outcome = permit.request->break_glass ? DG_OUTCOME_BREAK_GLASS : DG_OUTCOME_APPROVED;
	else if (!dg_enforce)
		permit.outcome = DG_OUTCOME_NOT_ENFORCED;
	else
		refuse_change(change, problems);
	permit.event_id = dg_journal_reserve();
	if (permit.request)
		dg_request_use(permit.request, permit.event_id);
	return permit;
}

/*
 * Outcome of a change that needs no approval.  Of the functions, protect()
 * alone can make the guard stronger, too; so here it says that it did not.
 */
static const char *
free_outcome(const DgChange *change)
{
	if (!change->free_without_approver)
		return DG_OUTCOME_LOGGED;
	return strcmp(change->operation, "protect") == 0 ? DG_OUTCOME_WEAKENED : DG_OUTCOME_DONE;
}

/*
 * Write the event of a change that may go on.
 */
void
dg_change_journal(const DgChange *change, const DgPermit *permit)
{
	DgEvent		event = {0};

	event.operation = change->operation;
	event.outcome = permit->outcome;
	event.table_id = change->table_id;
	event.row_count = -1;
	event.details = event_details(change, permit->held || !change->free_without_approver);
	if (permit->request)
	{
		event.request_id = permit->request->request_id;
		event.approved_by = permit->request->approved_by;
	}
	dg_journal_event(permit->event_id, &event, false);
}

/*
 * Make a request for a change in advance; returns its number.
 */
int64
dg_change_request(const DgChange *change, const char *reason)
{
	Datum		values[Natts_request];
	bool		isnull[Natts_request];
	DgEvent		event = {0};
	int64		event_id = dg_journal_reserve();

	dg_request_values_change(change->operation, change->table_id, change->action, change->objects, reason,
							 approvals_needed(change), values, isnull);
	event.operation = "request_change";
	event.outcome = "requested";
	event.table_id = change->table_id;
	event.row_count = -1;
	event.reason = reason;
	event.details = event_details(change, true);
	event.request_id = dg_request_insert(values, isnull, event_id);
	dg_journal_event(event_id, &event, false);
	return event.request_id;
}

/*
 * Does the change need an approval?
 */
bool
dg_change_is_held(const DgChange *change)
{
	bool		naming_approver = strcmp(change->operation, "add_approver") == 0;

	if (naming_approver && is_naming_first(change->table_id))
		return false;
	if (is_held_by_settings(change))
		return true;
	if (naming_approver)
	{
		LockRelationOid(dg_own_relation("approver"), ShareRowExclusiveLock);
		if (is_held_by_settings(change))
			return true;
		note_naming_first(change->table_id);
	}
	return false;
}

/* Does it, as modes and approvers are now? */
static bool
is_held_by_settings(const DgChange *change)
{
	ListCell   *lc;

	foreach(lc, dg_protections_all())
	{
		const DgProtection *protection = lfirst(lc);

		if (concerns(change, protection) &&
			(!change->free_without_approver || dg_has_approver(protection->relid)))
			return true;
	}
	return false;
}

/* Is this a table in block mode that the change concerns? */
static bool
concerns(const DgChange *change, const DgProtection *protection)
{
	return protection->mode == DG_MODE_BLOCK &&
		(!OidIsValid(change->table_id) || change->table_id == protection->relid);
}

/* How many have to approve */
static int
approvals_needed(const DgChange *change)
{
	int			needed = 1;
	ListCell   *lc;

	foreach(lc, dg_protections_all())
	{
		const DgProtection *protection = lfirst(lc);

		if (concerns(change, protection))
			needed = Max(needed, protection->approvals);
	}
	return needed;
}

/* Does this transaction name the first approver of the table, or of all? */
static bool
is_naming_first(Oid table_id)
{
	ListCell   *lc;

	foreach(lc, naming)
	{
		const DgNaming *first = lfirst(lc);

		if (first->table_id == table_id || first->table_id == InvalidOid)
			return true;
	}
	return false;
}

/* It does, as long as it holds the lock */
static void
note_naming_first(Oid table_id)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	DgNaming   *first = palloc(sizeof(DgNaming));

	first->table_id = table_id;
	first->nestlevel = GetCurrentTransactionNestLevel();
	naming = lappend(naming, first);
	MemoryContextSwitchTo(old);
}

/*
 * Called when the library is loaded.
 */
void
dg_change_init(void)
{
	RegisterXactCallback(at_xact_event, NULL);
	RegisterSubXactCallback(at_subxact_event, NULL);
}

/* Transaction callback: the list has gone with the transaction's memory */
static void
at_xact_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		naming = NIL;
}

/* Subtransaction callback: a lock goes back with what is rolled back */
static void
at_subxact_event(SubXactEvent event, SubTransactionId subid,
				 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, naming)
	{
		DgNaming   *first = lfirst(lc);

		if (first->nestlevel < level)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			naming = foreach_delete_current(naming, lc);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			first->nestlevel = level - 1;
	}
}

/* The caller's details, with the action if it is not plain from them */
static Jsonb *
event_details(const DgChange *change, bool with_action)
{
	Datum		details = DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(change->details ? change->details : "{}"));
	char	   *action;

	if (with_action)
	{
		action = psprintf("{\"action\": %s}", dg_quote_json(change->action));
		details = DirectFunctionCall2(jsonb_concat, details,
									  DirectFunctionCall1(jsonb_in, CStringGetDatum(action)));
	}
	return DatumGetJsonbP(details);
}

/*
 * The first request that the session names and that allows this change; else
 * NULL, and *problems says what is wrong with those that it names.
 */
static DgRequest *
find_usable_request(const DgChange *change, char **problems)
{
	ListCell   *lc;

	foreach(lc, dg_requests_named(true))
	{
		DgRequest  *request = lfirst(lc);
		const char *problem = request_problem(request, change);

		if (problem == NULL)
			return request;
		*problems = psprintf("%sRequest " INT64_FORMAT " %s.  ", *problems ? *problems : "",
							 request->request_id, problem);
	}
	return NULL;
}

/* Why the request does not allow this change; NULL if it does */
static const char *
request_problem(const DgRequest *request, const DgChange *change)
{
	const char *problem = dg_request_problem(request, change->operation, change->table_id);

	if (problem)
		return problem;
	if (request->action == NULL || strcmp(request->action, change->action) != 0)
		return psprintf("is for another change: %s", request->action ? request->action : "none");
	if (!dg_request_is_about(request, change->objects))
		return "is for another object of that name";
	return NULL;
}

/* Record the attempt and raise the error */
static void
refuse_change(const DgChange *change, const char *problems)
{
	bool		ddl = strcmp(change->operation, DG_OPERATION_DDL) == 0;
	char	   *name = OidIsValid(change->table_id) ? get_rel_name(change->table_id) : NULL;
	DgEvent		event = {0};
	Datum		values[Natts_request];
	bool		isnull[Natts_request];
	DgReceipt	receipt;
	StringInfoData hint;

	event.operation = change->operation;
	event.outcome = DG_OUTCOME_BLOCKED;
	event.table_id = change->table_id;
	event.row_count = -1;
	event.details = event_details(change, true);
	initStringInfo(&hint);
	if (change->instead)
	{
		(void) dg_record_attempt(&event, change->action, false);
		appendStringInfoString(&hint, change->instead);
	}
	else
	{
		dg_request_values_change(change->operation, change->table_id, change->action, change->objects, NULL,
								 approvals_needed(change), values, isnull);
		receipt = dg_request_record_attempt(&event, NULL, values, isnull, true);
		dg_append_approval_hint(&hint, "do this", change->operation, change->table_id,
								&receipt, "request_change");
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 name == NULL ?
			 (ddl ? errmsg("cannot run a command that disarms delete_guard without an approval") :
			  errmsg("cannot change settings of delete_guard that concern all tables without an approval")) :
			 ddl ? errmsg("cannot run this command on protected table \"%s\" without an approval", name) :
			 errmsg("cannot weaken the protection of table \"%s\" without an approval", name),
			 errdetail("%sThe change is: %s", problems ? problems : "", change->action),
			 errhint("%s", hint.data),
			 errcontext("delete_guard on %s", name ?
						psprintf("table %s", dg_qualified_name(change->table_id)) : "all tables"),
			 name ? err_generic_string(PG_DIAG_SCHEMA_NAME,
									   get_namespace_name(get_rel_namespace(change->table_id))) : 0,
			 name ? err_generic_string(PG_DIAG_TABLE_NAME, name) : 0));
}
