/*-------------------------------------------------------------------------
 *
 * owntable.c
 *	  trigger function on the own tables: only this library writes to them
 *
 * The library writes by own queries (sql.c), which these triggers let
 * through, or past all triggers (journal.c, ownrow.c).  Whoever else tries,
 * the owner and superusers included, is refused, and the attempt is recorded.
 *
 * A restore.  A dump holds the rows of the own tables, and whoever restores
 * it inserts them.  That is let through for the owner of the extension and
 * superusers as long as the library has written no event in this database: all
 * that it knows has then been loaded from outside.  The sequence use_count,
 * which no dump holds, tells.  A line in the server log tells of the loading;
 * an event would take a number that is about to be restored.
 *
 * Logical replication.  What an apply worker brings for these tables is left
 * out, row by row, since an error would make it try again for ever.
 *
 * TRUNCATE holds a lock that the recorder would wait for; such an attempt goes
 * to the server log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "alert.h"
#include "ask.h"
#include "catalog.h"
#include "guc.h"
#include "policy.h"
#include "sql.h"

#define OPERATION "own tables"

PG_FUNCTION_INFO_V1(delete_guard_guard_own);

static bool is_own_write(void);
static bool is_loading(TriggerEvent event);
static const char *verb(TriggerEvent event);
static const char *command(TriggerEvent event);
static void log_write(const char *outcome, TriggerData *trigdata);
static void refuse_write(TriggerData *trigdata);

/*
 * Trigger function, BEFORE anything, for each statement and for each row.
 * Statements are judged; rows are looked at for the apply worker, which fires
 * no statement triggers but for TRUNCATE.
 */
Datum
delete_guard_guard_own(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE",
						"delete_guard._guard_own")));
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
	{
		if (IsLogicalWorker() && !is_own_write())
			return PointerGetDatum(NULL);
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
							   trigdata->tg_newtuple : trigdata->tg_trigtuple);
	}
	/* rows that a worker copies or applies are left out one by one */
	if (IsLogicalWorker() && !TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		return PointerGetDatum(NULL);
	if (is_own_write() ||
		RelationGetNamespace(trigdata->tg_relation) != dg_own_schema())
		return PointerGetDatum(NULL);
	if (is_loading(trigdata->tg_event))
		log_write("loaded", trigdata);
	else if (!dg_enforce)
		log_write("not_enforced", trigdata);
	else
		refuse_write(trigdata);
	return PointerGetDatum(NULL);
}

/* Is an own query at work, and nothing that it has called? */
static bool
is_own_write(void)
{
	return dg_own_write_active() && GetUserId() == dg_own_owner();
}

/* Are rows being restored into a database where nothing has happened yet? */
static bool
is_loading(TriggerEvent event)
{
	return TRIGGER_FIRED_BY_INSERT(event) &&
		has_privs_of_role(GetUserId(), dg_own_owner()) && !dg_own_used();
}

/* What is done to the table */
static const char *
command(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return "insert";
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return "update";
	return TRIGGER_FIRED_BY_DELETE(event) ? "delete" : "truncate";
}

/* The same with what comes before the table's name */
static const char *
verb(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return "insert into";
	return TRIGGER_FIRED_BY_DELETE(event) ? "delete from" : command(event);
}

/* Tell the server log of a write that goes through */
static void
log_write(const char *outcome, TriggerData *trigdata)
{
	dg_alert_log(OPERATION, outcome,
				 dg_qualified_name(RelationGetRelid(trigdata->tg_relation)),
				 dg_person_current().name,
				 psprintf("{\"command\": \"%s\"}", command(trigdata->tg_event)));
}

/* Record the attempt and raise the error */
static void
refuse_write(TriggerData *trigdata)
{
	const char *name = RelationGetRelationName(trigdata->tg_relation);
	DgEvent		event = {0};

	event.operation = OPERATION;
	event.outcome = DG_OUTCOME_BLOCKED;
	event.table_id = RelationGetRelid(trigdata->tg_relation);
	event.row_count = -1;
	dg_record_attempt(&event, verb(trigdata->tg_event),
					  TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot %s table \"%s\" of delete_guard", verb(trigdata->tg_event), name),
			 errdetail("Only functions of delete_guard change its tables."),
			 errhint("Old events and requests can be removed with delete_guard.purge()."),
			 errtable(trigdata->tg_relation)));
}
