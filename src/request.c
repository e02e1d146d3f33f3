/*-------------------------------------------------------------------------
 *
 * request.c
 *	  SQL functions about requests: request_delete, approve, deny, cancel,
 *	  break_glass
 *
 * Each step is an event and a decision on the request, in the same
 * transaction, with the request locked.  Who somebody is, identity.c tells;
 * what state a request is in, approval.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "approval.h"
#include "ask.h"
#include "collect.h"
#include "journal.h"
#include "matching.h"
#include "policy.h"
#include "sql.h"
#include "steps.h"

PG_FUNCTION_INFO_V1(delete_guard_request_delete);
PG_FUNCTION_INFO_V1(delete_guard_approve);
PG_FUNCTION_INFO_V1(delete_guard_deny);
PG_FUNCTION_INFO_V1(delete_guard_cancel);
PG_FUNCTION_INFO_V1(delete_guard_break_glass);
PG_FUNCTION_INFO_V1(delete_guard_may_see_request);
PG_FUNCTION_INFO_V1(delete_guard_may_read_keys);
PG_FUNCTION_INFO_V1(delete_guard_request_radius);

static void collect_matching(DgCollection *collection, Oid relid, const char *condition);
static void collect_row(void *arg, Oid relid, ItemPointer tid);
static DgRequest *request_argument(FunctionCallInfo fcinfo);
static void require_open(const DgRequest *request);
static void require_other_person(const DgRequest *request, const char *verb);
static void require_approver(const DgRequest *request);
static void require_not_counted(const DgRequest *request);
static bool was_granted(Oid function);
static char *skipped_approvers(const DgRequest *request);
static Jsonb *decided_radius(const DgRequest *request);
static DgCollection *collect_requested(const DgRequest *request, DgRowSet **rows);
static Jsonb *current_radius(const DgRequest *request, bool *unchanged);
static int64 journal_decision(const DgRequest *request, const char *operation,
							  const char *outcome, const char *comment, Jsonb *radius,
							  const char *details);
static bool may_see(Oid requester, Oid table_id);

/*
 * request_delete(table regclass, condition text, reason text) returns bigint
 *
 * The condition is the caller's own SQL and runs with the caller's rights.
 */
Datum
delete_guard_request_delete(PG_FUNCTION_ARGS)
{
	Oid			relid = dg_table_argument(fcinfo, 0, "table");
	char	   *condition = dg_text_argument(fcinfo, 1);
	char	   *reason = dg_text_argument(fcinfo, 2);
	DgCollection *collection;
	DgRowSet   *rows;
	DgProtection protection;
	Jsonb	   *radius;
	Datum		values[Natts_request];
	bool		isnull[Natts_request];
	DgEvent		event = {0};
	int64		event_id;
	AclResult	acl = pg_class_aclcheck(relid, GetUserId(), ACL_DELETE);

	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_TABLE, get_rel_name(relid));
	LockRelationOid(relid, AccessShareLock);
	if (!dg_protection_find(relid, &protection))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not protected", get_rel_name(relid)),
				 errdetail("Its rows can be deleted without an approval.")));

	collection = dg_collect_begin(protection.relid, CurrentMemoryContext);
	collect_matching(collection, relid, condition ? condition : "true");
	rows = dg_collect_rows(collection);
	if (rows->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("no row of table \"%s\" meets the condition", get_rel_name(relid))));
	radius = dg_collect_radius(collection, "delete");
	dg_request_values("delete", protection.relid, rows, rows->nrows, radius, reason,
					  protection.approvals, values, isnull);
	event_id = dg_journal_reserve();
	event.operation = "request_delete";
	event.outcome = "requested";
	event.table_id = protection.relid;
	event.row_count = rows->nrows;
	event.reason = reason;
	event.blast_radius = radius;
	event.request_id = dg_request_insert(values, isnull, event_id);
	dg_journal_event(event_id, &event, false);
	dg_collect_end(collection);
	PG_RETURN_INT64(event.request_id);
}

/* Collect the rows that meet a condition, as the caller sees them */
static void
collect_matching(DgCollection *collection, Oid relid, const char *condition)
{
	if (!dg_matching_rows(relid, condition, DG_ROWSET_MAX, collect_row, collection))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %d rows of table \"%s\" meet the condition",
						DG_ROWSET_MAX, get_rel_name(relid)),
				 errhint("Ask for fewer rows at a time.")));
}

/* Matching callback */
static void
collect_row(void *arg, Oid relid, ItemPointer tid)
{
	dg_collect_tid(arg, relid, tid);
}

/*
 * approve(request bigint, comment text)
 *	  returns (request_id, approvals, approvals_needed, usable_until, blast_radius)
 */
Datum
delete_guard_approve(PG_FUNCTION_ARGS)
{
	DgRequest  *request = request_argument(fcinfo);
	char	   *comment = dg_text_argument(fcinfo, 1);
	Jsonb	   *radius;
	TimestampTz usable_until;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {0};

	require_open(request);
	require_other_person(request, "approve");
	require_approver(request);
	require_not_counted(request);
	radius = decided_radius(request);
	usable_until = dg_decision_insert(request->request_id, "approve", comment, radius,
									  journal_decision(request, "approve", "granted", comment, radius, NULL));

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");	/* should not happen */
	values[0] = Int64GetDatum(request->request_id);
	values[1] = Int32GetDatum(request->approvals + 1);
	values[2] = Int32GetDatum(request->approvals_needed);
	values[3] = TimestampTzGetDatum(usable_until);
	values[4] = PointerGetDatum(radius);
	nulls[4] = radius == NULL;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * deny(request bigint, comment text)
 */
Datum
delete_guard_deny(PG_FUNCTION_ARGS)
{
	DgRequest  *request = request_argument(fcinfo);
	char	   *comment = dg_text_argument(fcinfo, 1);

	require_open(request);
	require_other_person(request, "deny");
	require_approver(request);
	(void) dg_decision_insert(request->request_id, "deny", comment, NULL,
							  journal_decision(request, "deny", "denied", comment, NULL, NULL));
	PG_RETURN_VOID();
}

/*
 * break_glass(request bigint, reason text)
 *
 * For persons who were granted it, superusers too: what counts is a grant on
 * the function to the role that authenticated, or to one it is a member of.
 */
Datum
delete_guard_break_glass(PG_FUNCTION_ARGS)
{
	DgRequest  *request = request_argument(fcinfo);
	char	   *reason = dg_text_argument(fcinfo, 1);
	Jsonb	   *radius;

	if (reason == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("reason must not be null")));
	if (strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reason must not be empty")));
	if (!was_granted(fcinfo->flinfo->fn_oid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to break the glass"),
				 errdetail("\"%s\" was not granted EXECUTE on the function; being a superuser does not count.",
						   dg_person_current().name)));
	require_open(request);
	radius = decided_radius(request);
	(void) dg_decision_insert(request->request_id, "break_glass", reason, radius,
							  journal_decision(request, "break_glass", DG_OUTCOME_BREAK_GLASS, reason, radius,
											   skipped_approvers(request)));
	PG_RETURN_VOID();
}

/* Was EXECUTE granted to the current person?  Ownership does not count. */
static bool
was_granted(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			person = GetAuthenticatedUserId();
	bool		result = false;
	bool		isnull;
	Datum		acl;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	acl = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl, &isnull);
	if (!isnull)
	{
		Acl		   *items = DatumGetAclPCopy(acl);

		for (int i = 0; i < ACL_NUM(items); i++)
		{
			AclItem    *item = &ACL_DAT(items)[i];

			if ((ACLITEM_GET_PRIVS(*item) & ACL_EXECUTE) != 0 &&
				item->ai_grantee != ACL_ID_PUBLIC &&
				is_member_of_role_nosuper(person, item->ai_grantee))
				result = true;
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

/* Who could have approved a request and has not, as details of an event */
static char *
skipped_approvers(const DgRequest *request)
{
	static const char *const query =
		"SELECT jsonb_build_object('skipped', coalesce(jsonb_agg(DISTINCT p.role_name), '[]'))::text"
		" FROM delete_guard._approver_for p WHERE (p.for_table IS NULL OR p.for_table = $2)"
		" AND NOT EXISTS (SELECT FROM delete_guard._counted_decision d"
		"  WHERE d.request_id = $1 AND d.person = p.role)";
	Oid			argtypes[2] = {INT8OID, OIDOID};
	Datum		args[2] = {Int64GetDatum(request->request_id), ObjectIdGetDatum(request->table_id)};
	MemoryContext caller = CurrentMemoryContext;
	DgRoleState saved;
	char	   *result;

	dg_own_connect(&saved);
	dg_own_query(query, 2, argtypes, args, NULL, false, 1);
	result = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	dg_own_finish(&saved);
	return result;
}

/*
 * cancel(request bigint)
 */
Datum
delete_guard_cancel(PG_FUNCTION_ARGS)
{
	DgRequest  *request = request_argument(fcinfo);
	DgPerson	person = dg_person_current();

	require_open(request);
	if (person.roleid != request->requester.roleid ||
		strcmp(person.name, request->requester.name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot cancel request " INT64_FORMAT, request->request_id),
				 errdetail("It was made by \"%s\".", request->requester.name),
				 errhint("An approver can deny it.")));
	(void) dg_decision_insert(request->request_id, "cancel", NULL, NULL,
							  journal_decision(request, "cancel", "cancelled", NULL, NULL, NULL));
	PG_RETURN_VOID();
}

/* The request that the first argument names, locked */
static DgRequest *
request_argument(FunctionCallInfo fcinfo)
{
	DgRequest  *request = NULL;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("request must not be null")));
	if (PG_GETARG_INT64(0) > 0)
	{
		dg_request_lock(PG_GETARG_INT64(0));
		request = dg_request_load(PG_GETARG_INT64(0));
	}
	if (request == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("request " INT64_FORMAT " does not exist", PG_GETARG_INT64(0))));
	return request;
}

/* Can anything still be decided on it? */
static void
require_open(const DgRequest *request)
{
	const char *state = NULL;

	if (request->closed)
		state = "was denied or cancelled";
	else if (request->used_here || request->used_elsewhere)
		state = "has been used";
	else if (request->expired)
		state = "has expired";
	if (state)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("request " INT64_FORMAT " %s", request->request_id, state)));
}

/* The requester cannot decide on the request */
static void
require_other_person(const DgRequest *request, const char *verb)
{
	DgPerson	person = dg_person_current();

	if (!dg_person_differs(&person, &request->requester))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot %s request " INT64_FORMAT, verb, request->request_id),
				 errdetail("It was made by the same person, \"%s\".", request->requester.name),
				 errhint("Another person must do this; cancel() withdraws an own request.")));
}

/* The person must have been an approver when the request was made */
static void
require_approver(const DgRequest *request)
{
	DgPerson	person = dg_person_current();

	if (dg_is_approver(&person, request->table_id, request->requested_at))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot decide on request " INT64_FORMAT, request->request_id),
			 dg_is_approver(&person, request->table_id, DT_NOEND) ?
			 errdetail("\"%s\" was named an approver after the request was made.", person.name) :
			 request->table_name ?
			 errdetail("\"%s\" is not an approver for table %s.", person.name, request->table_name) :
			 errdetail("\"%s\" is not an approver for all tables.", person.name),
			 errhint("See delete_guard.add_approver(); after that the request has to be made again.")));
}

/* One person's approval counts once */
static void
require_not_counted(const DgRequest *request)
{
	static const char *const query =
		"SELECT FROM delete_guard.decision d WHERE d.request_id = $1 AND d.kind = 'approve'"
		" AND (d.person = $2 OR d.person_name = $3 OR d.person_authn = $4)";
	DgPerson	person = dg_person_current();
	Oid			argtypes[4] = {INT8OID, OIDOID, TEXTOID, TEXTOID};
	Datum		args[4] = {Int64GetDatum(request->request_id), ObjectIdGetDatum(person.roleid),
		CStringGetTextDatum(person.name),
	person.authn ? CStringGetTextDatum(person.authn) : (Datum) 0};
	DgRoleState saved;
	bool		found;

	dg_own_connect(&saved);
	dg_own_query(query, 4, argtypes, args, person.authn ? NULL : "   n", false, 1);
	found = SPI_processed > 0;
	dg_own_finish(&saved);
	if (found)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("request " INT64_FORMAT " has been approved by \"%s\" already",
						request->request_id, person.name)));
}

/*
 * What hangs on the rows of a request that is being approved, NULL for a
 * change; raises an error if the rows are not as they were.
 */
static Jsonb *
decided_radius(const DgRequest *request)
{
	Jsonb	   *radius;
	bool		unchanged;

	if (request->action)
		return NULL;
	radius = current_radius(request, &unchanged);
	if (!unchanged)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of request " INT64_FORMAT " were changed or removed since it was made",
						request->request_id),
				 errhint("It has to be asked for again.")));
	return radius;
}

/*
 * The rows of a request as they are now, and the collection to be ended that
 * they are in.
 */
static DgCollection *
collect_requested(const DgRequest *request, DgRowSet **rows)
{
	DgCollection *collection = dg_collect_begin(request->table_id, CurrentMemoryContext);

	dg_collect_by_keys(collection, request->keys);
	*rows = dg_collect_rows(collection);
	if ((*rows)->nkept <= request->nentries || strcmp(request->operation, DG_OPERATION_KEY_CHANGE) == 0)
		return collection;

	/* keys need not be unique among inheritance children: only those asked about */
	dg_collect_end(collection);
	collection = dg_collect_begin(request->table_id, CurrentMemoryContext);
	dg_collect_only(collection, request->entries, request->nentries);
	dg_collect_by_keys(collection, request->keys);
	*rows = dg_collect_rows(collection);
	return collection;
}

/*
 * What hangs on the rows of a request as they are now; *unchanged tells
 * whether all of them are there, as they were.  In the current context.
 */
static Jsonb *
current_radius(const DgRequest *request, bool *unchanged)
{
	DgCollection *collection;
	DgRowSet   *rows;
	DgRowEntry *sorted;
	Jsonb	   *radius;

	if (get_rel_name(request->table_id) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s does not exist", request->table_name)));
	LockRelationOid(request->table_id, AccessShareLock);
	collection = collect_requested(request, &rows);
	sorted = dg_rowset_sorted(rows);
	*unchanged = rows->nkept == request->nentries;
	/* a change of key is digested with the new row, which is not there yet */
	for (int i = 0; i < request->nentries && *unchanged; i++)
		*unchanged = memcmp(sorted[i].key, request->entries[i].key, DG_KEY_DIGEST_LEN) == 0 &&
			(strcmp(request->operation, DG_OPERATION_KEY_CHANGE) == 0 ||
			 memcmp(sorted[i].row, request->entries[i].row, DG_KEY_DIGEST_LEN) == 0);
	radius = dg_collect_radius(collection, request->operation);
	radius = (Jsonb *) memcpy(palloc(VARSIZE(radius)), radius, VARSIZE(radius));
	dg_collect_end(collection);
	return radius;
}

/* The event of a decision; returns its number */
static int64
journal_decision(const DgRequest *request, const char *operation, const char *outcome,
				 const char *comment, Jsonb *radius, const char *details)
{
	DgEvent		event = {0};
	int64		event_id = dg_journal_reserve();

	event.operation = operation;
	event.outcome = outcome;
	event.table_id = get_rel_name(request->table_id) ? request->table_id : InvalidOid;
	event.row_count = request->action ? -1 : request->nentries;
	event.request_id = request->request_id;
	event.reason = comment;
	event.blast_radius = radius;
	if (details)
		event.details = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(details)));
	dg_journal_event(event_id, &event, false);
	return event_id;
}

/* ---------------------------------------------------------------------
 * For the views
 * ---------------------------------------------------------------------
 */

/* May the current person see a request: own ones, ones to decide on, all */
static bool
may_see(Oid requester, Oid table_id)
{
	DgPerson	person = dg_person_current();

	return person.roleid == requester ||
		has_privs_of_role(GetUserId(), dg_own_owner()) ||
		has_privs_of_role(GetUserId(), ROLE_PG_MONITOR) ||
		(get_rel_name(table_id) != NULL &&
		 has_privs_of_role(GetUserId(), dg_relation_owner(table_id))) ||
		dg_is_approver(&person, table_id, DT_NOEND);
}

/*
 * _may_see_request(requester oid, table_id oid) returns boolean
 */
Datum
delete_guard_may_see_request(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_see(PG_GETARG_OID(0), PG_GETARG_OID(1)));
}

/*
 * _may_read_keys(table_id oid) returns boolean: SELECT on the whole table, and
 * no row security in force
 */
Datum
delete_guard_may_read_keys(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	if (get_rel_name(relid) == NULL)
		PG_RETURN_BOOL(has_privs_of_role(GetUserId(), dg_own_owner()));
	PG_RETURN_BOOL(dg_may_read(relid, NULL, 0));
}

/*
 * _request_radius(request bigint) returns jsonb: what hangs on its rows now;
 * NULL for a change, and if the caller may not see the request; an element with an error if it
 * cannot be told
 */
Datum
delete_guard_request_radius(PG_FUNCTION_ARGS)
{
	DgRequest  *request = dg_request_load(PG_GETARG_INT64(0));
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Jsonb	   *radius = NULL;
	bool		unchanged;

	if (request == NULL || request->action ||
		!may_see(request->requester.roleid, request->table_id) ||
		get_rel_name(request->table_id) == NULL)
		PG_RETURN_NULL();

	/* what is wrong with one table must not hide requests about others */
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		radius = current_radius(request, &unchanged);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		/* but not the reader's own wish to stop */
		if (QueryCancelPending || ProcDiePending ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		radius = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													CStringGetDatum(psprintf("[{\"error\": %s}]",
																			 dg_quote_json(error->message)))));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	PG_RETURN_POINTER(radius);
}
