/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  event trigger: follow what a DDL command has changed
 *
 * After a command on a table that is protected, or is below one that is, its
 * triggers are made again: a new partition or inheritance child gets its own,
 * and a new unique key joins the columns that the key trigger watches.  Tables
 * that are not protected are looked up and left alone.  Renamed columns of
 * declared references are stored under their new names.
 *
 * A dump brings the triggers along, one by one, and several sessions of a
 * parallel restore may be at work on one table at a time.  So as not to make what
 * a restore is about to make, a table without our delete trigger is left alone,
 * and a new key has triggers made again only if all of them are there and do not
 * watch its columns yet, as triggers from a dump do.
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

static void classify(Node *parsetree, bool *structure, bool *keys);
static bool makes_key(const Constraint *constraint);
static List *relations_of_command(void);

/*
 * Event trigger function for ddl_command_end
 */
Datum
delete_guard_ddl_end(PG_FUNCTION_ARGS)
{
	bool		structure = false;
	bool		keys = false;
	bool		renamed;
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called by an event trigger",
						"delete_guard._ddl_end")));
	classify(((EventTriggerData *) fcinfo->context)->parsetree, &structure, &keys);
	renamed = IsA(((EventTriggerData *) fcinfo->context)->parsetree, RenameStmt);
	if (IsBinaryUpgrade || dg_arming() || !(structure || keys || renamed))
		PG_RETURN_NULL();
	foreach(lc, relations_of_command())
	{
		DgProtection protection;

		if (renamed)
		{
			dg_declarations_follow_names(lfirst_oid(lc));
			continue;
		}

		if (!dg_protection_find(lfirst_oid(lc), &protection))
			continue;
		if (keys && dg_is_armed(protection.relid) &&
			!dg_keys_watched(lfirst_oid(lc)))
			dg_arm(protection.relid);
		else if (structure &&
				 OidIsValid(get_trigger_oid(protection.relid, DG_TRIGGER_DELETE, true)))
			dg_arm_new(protection.relid);
	}
	PG_RETURN_NULL();
}

/* Can the command have added relations below a table, or keys? */
static void
classify(Node *parsetree, bool *structure, bool *keys)
{
	ListCell   *lc;

	if (IsA(parsetree, CreateStmt))
		*structure = true;
	else if (IsA(parsetree, IndexStmt))
		*keys = ((IndexStmt *) parsetree)->unique;
	else if (IsA(parsetree, AlterTableStmt))
	{
		foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
		{
			AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

			if (cmd->subtype == AT_AttachPartition || cmd->subtype == AT_AddInherit)
				*structure = true;
			else if (cmd->subtype == AT_AddConstraint)
				*keys |= makes_key(castNode(Constraint, cmd->def));
			else if (cmd->subtype == AT_AddColumn)
			{
				ListCell   *con;

				foreach(con, castNode(ColumnDef, cmd->def)->constraints)
					*keys |= makes_key(lfirst_node(Constraint, con));
			}
		}
	}
}

/* Does a constraint make a key that others can refer to? */
static bool
makes_key(const Constraint *constraint)
{
	return constraint->contype == CONSTR_PRIMARY || constraint->contype == CONSTR_UNIQUE;
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
