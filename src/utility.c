/*-------------------------------------------------------------------------
 *
 * utility.c
 *	  ProcessUtility hook: commands that have no event triggers
 *
 * Installed only if the library is in shared_preload_libraries.  Sees
 *
 *	ALTER EVENT TRIGGER		of ours: needs an approval, as DDL that disarms does
 *	REASSIGN OWNED			of protected tables: recorded
 *	DROP DATABASE			of one that has protected tables: refused while one of
 *							them is in block mode
 *
 * Only the database itself knows which of its tables are protected, so a
 * background worker goes there and looks.  Nobody can approve from outside what
 * happens to a database: its tables have to be unprotected first, in it.  The
 * attempt goes to the server log, as that database's audit log is out of reach.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"
#include "ddlstate.h"
#include "guarded.h"
#include "guc.h"
#include "sql.h"
#include "steps.h"
#include "utility.h"

/* pg_database.datconnlimit of a database that is half dropped; core has a name for it from 15.4 on */
#define DG_INVALID_DATABASE (-2)

/* What a look into another database has found */
typedef struct DgFindings
{
	bool		looked;
	int			nprotected;
	int			nblocking;
} DgFindings;

PGDLLEXPORT void dg_look_main(Datum main_arg);

static ProcessUtility_hook_type next_hook = NULL;

static void process_utility(PlannedStmt *pstmt, const char *queryString,
							bool readOnlyTree, ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *queryEnv,
							DestReceiver *dest, QueryCompletion *qc);
static DgDdlCommand *begin_event_trigger_command(Node *parsetree);
static List *owners_of_guarded(void);
static void record_reassigned(ReassignOwnedStmt *stmt, List *owners_before);
static void judge_drop_database(DropdbStmt *stmt);
static bool may_drop_database(Oid dboid);
static bool is_invalid_database(Oid dboid);
static DgFindings look_into_database(Oid dboid);
static void run_look(Oid dboid, dsm_handle handle);

/*
 * Called when the library is preloaded.
 */
void
dg_utility_init(void)
{
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/* The hook */
static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *parsetree = pstmt->utilityStmt;
	DgDdlCommand *command = NULL;
	ReassignOwnedStmt *reassign = NULL;
	List	   *owners = NIL;

	if (dg_ddl_is_our_business())
	{
		command = begin_event_trigger_command(parsetree);
		if (IsA(parsetree, DropdbStmt))
			judge_drop_database((DropdbStmt *) parsetree);
		else if (IsA(parsetree, ReassignOwnedStmt) && dg_guarded_tables() != NIL)
		{
			/* the tree may be gone when the next one returns */
			reassign = copyObject((ReassignOwnedStmt *) parsetree);
			owners = owners_of_guarded();
		}
	}

	(next_hook ? next_hook : standard_ProcessUtility)
		(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);

	if (command)
	{
		(void) dg_ddl_end(command->parsetree);
		MemoryContextDelete(command->context);
	}
	if (reassign)
		record_reassigned(reassign, owners);
}

/*
 * Treat a command on an event trigger as one that has a ddl_command_start
 * event.  NULL if it is something else.
 */
static DgDdlCommand *
begin_event_trigger_command(Node *parsetree)
{
	DgDdlCommand *command;
	ListCell   *lc;

	if (!IsA(parsetree, AlterEventTrigStmt) &&
		!(IsA(parsetree, RenameStmt) &&
		  ((RenameStmt *) parsetree)->renameType == OBJECT_EVENT_TRIGGER) &&
		!(IsA(parsetree, AlterOwnerStmt) &&
		  ((AlterOwnerStmt *) parsetree)->objectType == OBJECT_EVENT_TRIGGER))
		return NULL;
	if (dg_guarded_tables() == NIL)
		return NULL;
	command = dg_ddl_begin(parsetree);
	foreach(lc, dg_command_classify(parsetree, InvalidOid)->changes)
	{
		DgDdlChange *change = lfirst(lc);

		dg_ddl_ask(change->table_id, change->action, change->objects);
	}
	return command;
}

/* Owners of the registered tables, in the order of dg_guarded_tables() */
static List *
owners_of_guarded(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, dg_guarded_tables())
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		result = lappend_oid(result, HeapTupleIsValid(tuple) ? dg_relation_owner(lfirst_oid(lc)) : InvalidOid);
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
	}
	return result;
}

/* Record which registered tables REASSIGN OWNED has given to another owner */
static void
record_reassigned(ReassignOwnedStmt *stmt, List *owners_before)
{
	List	   *owners;
	ListCell   *lc;
	StringInfoData action;

	CommandCounterIncrement();
	owners = owners_of_guarded();
	initStringInfo(&action);
	appendStringInfoString(&action, "REASSIGN OWNED BY ");
	foreach(lc, stmt->roles)
		appendStringInfo(&action, "%s%s", lc == list_head(stmt->roles) ? "" : ", ",
						 quote_identifier(get_rolespec_name(lfirst_node(RoleSpec, lc))));
	appendStringInfo(&action, " TO %s", quote_identifier(get_rolespec_name(stmt->newrole)));
	foreach(lc, dg_guarded_tables())
	{
		int			i = foreach_current_index(lc);

		if (i < list_length(owners_before) && i < list_length(owners) &&
			list_nth_oid(owners_before, i) != list_nth_oid(owners, i))
			dg_journal_step("ddl", lfirst_oid(lc),
							psprintf("{\"action\": %s}", dg_quote_json(action.data)));
	}
}

/* Refuse to drop a database that has tables in block mode */
static void
judge_drop_database(DropdbStmt *stmt)
{
	Oid			dboid = get_database_oid(stmt->dbname, true);
	DgFindings	findings;

	if (!OidIsValid(dboid) || dboid == MyDatabaseId || !may_drop_database(dboid))
		return;
	if (is_invalid_database(dboid))
	{
		ereport(LOG,
				(errmsg("database \"%s\" is about to be dropped by role \"%s\"; it is invalid, so whether it has protected tables is not known",
						stmt->dbname, GetUserNameFromId(GetAuthenticatedUserId(), true))));
		return;
	}
	findings = look_into_database(dboid);
	if (!findings.looked && dg_enforce)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not find out whether database \"%s\" has protected tables", stmt->dbname),
				 errhint("The server log tells why; max_worker_processes may need to be raised.")));
	if (findings.nblocking > 0 && dg_enforce)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot drop database \"%s\" because tables in it are protected", stmt->dbname),
				 errdetail_plural("delete_guard protects %d table in block mode.",
								  "delete_guard protects %d tables in block mode.",
								  findings.nblocking, findings.nblocking),
				 errdetail_log("delete_guard protects %d tables in block mode.  Requested by role \"%s\".",
							   findings.nblocking, GetUserNameFromId(GetAuthenticatedUserId(), true)),
				 errhint("Connect to it and end their protection with delete_guard.unprotect() first.")));
	if (findings.nprotected > 0)
		ereport(LOG,
				(errmsg("database \"%s\" with %d protected tables is about to be dropped by role \"%s\"",
						stmt->dbname, findings.nprotected,
						GetUserNameFromId(GetAuthenticatedUserId(), true))));
}

/* May the current role drop the database? */
static bool
may_drop_database(Oid dboid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = has_privs_of_role(GetUserId(), ((Form_pg_database) GETSTRUCT(tuple))->datdba);
	ReleaseSysCache(tuple);
	return result;
}

/* Has a DROP DATABASE been interrupted?  Nobody can connect to what is left. */
static bool
is_invalid_database(Oid dboid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit == DG_INVALID_DATABASE;
	ReleaseSysCache(tuple);
	return result;
}

/* Have a worker look which tables of a database are protected */
static DgFindings
look_into_database(Oid dboid)
{
	dsm_segment *segment = dsm_create(sizeof(DgFindings), 0);
	DgFindings *shared = dsm_segment_address(segment);
	DgFindings	result;

	memset(shared, 0, sizeof(DgFindings));
	run_look(dboid, dsm_segment_handle(segment));
	result = *shared;
	dsm_detach(segment);
	return result;
}

/* Run the worker and wait until it has left the database again */
static void
run_look(Oid dboid, dsm_handle handle)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *started;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, "delete_guard look at a database", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "delete_guard look", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "delete_guard", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "dg_look_main", BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(dboid);
	memcpy(worker.bgw_extra, &handle, sizeof(handle));
	worker.bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(&worker, &started))
		(void) WaitForBackgroundWorkerShutdown(started);
}

/*
 * Entry point of the worker; the argument is the database.
 */
void
dg_look_main(Datum main_arg)
{
	dsm_handle	handle;
	dsm_segment *segment;
	DgFindings	found = {0};
	ListCell   *lc;

	BackgroundWorkerUnblockSignals();
	memcpy(&handle, MyBgworkerEntry->bgw_extra, sizeof(handle));
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	segment = dsm_attach(handle);
	if (segment)
	{
		foreach(lc, dg_guarded_tables())
		{
			DgProtection protection;

			found.nprotected++;
			if (dg_protection_read(lfirst_oid(lc), &protection) &&
				protection.mode == DG_MODE_BLOCK)
				found.nblocking++;
		}
		found.looked = true;
		*(DgFindings *) dsm_segment_address(segment) = found;
		dsm_detach(segment);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}
