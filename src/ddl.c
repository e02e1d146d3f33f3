/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  event trigger: arm again what a DDL command has changed
 *
 * After a command on a table that is protected, or is below one that is, its
 * triggers are made again: a new partition or inheritance child gets its own,
 * and a new unique key joins the columns that the key trigger watches.  Tables
 * that are not protected are looked up and left alone.
 *
 * A table without our delete trigger is left alone too: it is being restored
 * from a dump, which brings the triggers along.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "arm.h"
#include "catalog.h"

PG_FUNCTION_INFO_V1(delete_guard_ddl_end);

static List *relations_of_command(void);

/*
 * Event trigger function for ddl_command_end
 */
Datum
delete_guard_ddl_end(PG_FUNCTION_ARGS)
{
	List	   *relids;
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called by an event trigger",
						"delete_guard._ddl_end")));
	if (IsBinaryUpgrade || dg_arming())
		PG_RETURN_NULL();
	relids = relations_of_command();
	foreach(lc, relids)
	{
		DgProtection protection;

		if (dg_protection_find(lfirst_oid(lc), &protection) &&
			OidIsValid(get_trigger_oid(protection.relid, DG_TRIGGER_DELETE, true)))
			dg_arm(protection.relid);
	}
	PG_RETURN_NULL();
}

/* The tables that the command made or changed, or made a unique index on */
static List *
relations_of_command(void)
{
	static const char *const query =
		"SELECT DISTINCT coalesce(i.indrelid, c.oid)"
		" FROM pg_catalog.pg_event_trigger_ddl_commands() AS d"
		" JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid"
		" WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		" AND (c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}') OR i.indisunique)";
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute failed");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		bool		isnull;

		result = lappend_oid(result,
							 DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc, 1, &isnull)));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return result;
}
