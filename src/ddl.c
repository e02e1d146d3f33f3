/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  event triggers: DDL commands before and after they run
 *
 * ddl_command_start	what the command means is found out (command.c), verdicts
 *						are asked for, and triggers that would stand in its way
 *						are dropped, to be made again at its end
 * sql_drop				a table that was dropped is no longer registered
 * ddl_command_end		verdicts on what only now is known; triggers are made
 *						(again); what was renamed or moved is recorded
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
 * A name is looked up at the start without a lock; another session may give it
 * to another relation before the command has one, or protect the relation.  So
 * at the end of ALTER TABLE verdicts are asked for again, but for those given
 * on the relation that the command turned out to be about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "arm.h"
#include "armcheck.h"
#include "ask.h"
#include "catalog.h"
#include "condition.h"
#include "ddlstate.h"
#include "ddltext.h"
#include "guarded.h"
#include "named.h"
#include "policy.h"
#include "sql.h"
#include "steps.h"

PG_FUNCTION_INFO_V1(delete_guard_ddl_start);
PG_FUNCTION_INFO_V1(delete_guard_ddl_drop);
PG_FUNCTION_INFO_V1(delete_guard_ddl_end);

/*
 * The relation of the latest ALTER TABLE to begin: what is known of a command
 * that commits on its way (DETACH PARTITION CONCURRENTLY), within which no
 * other can begin.
 */
static Oid	latest_relid = InvalidOid;
static Oid	latest_judged = InvalidOid; /* protected table that it was judged for */

static EventTriggerData *event_of_call(FunctionCallInfo fcinfo, const char *function,
									   const char *event);
static void lock_for_trigger(CreateTrigStmt *stmt);
static void make_way(Oid relid, bool deletes);
static void forget_table(Oid relid);
static void forget_rows(const char *step, const char *query, Oid relid);
static bool adds_parents(Node *parsetree);
static void refuse_heirs(void);
static void judge_again(Node *parsetree);
static void follow_structure(Node *parsetree);
static void arm_added(Node *parsetree, Oid relid, Oid root);
static void arm_unseen(List *relids);
static void put_right(DgDdlCommand *command);
static void put_released(List *relids);
static Oid topmost(Oid relid);
static void sees_structure(Node *parsetree, bool *structure, bool *keys);
static bool makes_key(const Constraint *constraint);
static List *relations_of_command(void);

/*
 * Event trigger function for ddl_command_start
 */
Datum
delete_guard_ddl_start(PG_FUNCTION_ARGS)
{
	Node	   *parsetree = event_of_call(fcinfo, "_ddl_start", "ddl_command_start")->parsetree;
	DgDdlCommand *command;
	MemoryContext old;
	ListCell   *lc;

	latest_relid = latest_judged = InvalidOid;
	if (!dg_ddl_is_our_business() || dg_guarded_tables() == NIL)
		PG_RETURN_NULL();
	if (IsA(parsetree, CreateTrigStmt))
		lock_for_trigger((CreateTrigStmt *) parsetree);
	command = dg_ddl_begin(parsetree);
	old = MemoryContextSwitchTo(command->context);
	if (IsA(parsetree, AlterTableStmt))
		latest_relid = dg_range_relation(((AlterTableStmt *) parsetree)->relation);
	command->relid = latest_relid;
	command->ddl = dg_command_classify(parsetree, InvalidOid);
	MemoryContextSwitchTo(old);
	foreach(lc, command->ddl->changes)
	{
		DgDdlChange *change = lfirst(lc);

		dg_ddl_ask(change->table_id, change->action, change->objects);
		latest_judged = change->table_id;
	}
	/* a trigger of ours that is dropped as permitted stays away */
	command->keep_dropped = IsA(parsetree, DropStmt) &&
		((DropStmt *) parsetree)->removeType == OBJECT_TRIGGER && command->ddl->changes != NIL;
	foreach(lc, command->ddl->loosen)
		make_way(lfirst_oid(lc), false);
	foreach(lc, command->ddl->swap)
		make_way(lfirst_oid(lc), true);
	PG_RETURN_NULL();
}

/*
 * The event that a function is called for; an error if it is called by hand, or
 * for an event that it is not made for.
 */
static EventTriggerData *
event_of_call(FunctionCallInfo fcinfo, const char *function, const char *event)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo) ||
		strcmp(((EventTriggerData *) fcinfo->context)->event, event) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"delete_guard.%s\" must be called by an event trigger for %s",
						function, event)));
	return (EventTriggerData *) fcinfo->context;
}

/*
 * A trigger that may change keys has our key triggers made again in the whole
 * hierarchy when it is there.  Lock from the top down, as whoever writes to it
 * does, before the command locks a part of it.
 */
static void
lock_for_trigger(CreateTrigStmt *stmt)
{
	Oid			relid = dg_range_relation(stmt->relation);

	if (stmt->timing == TRIGGER_TYPE_BEFORE && stmt->row && (stmt->events & TRIGGER_TYPE_UPDATE) &&
		OidIsValid(relid) && OidIsValid(dg_guarded_by(relid)) &&
		pg_class_aclcheck(relid, GetUserId(), ACL_TRIGGER) == ACLCHECK_OK &&
		dg_keys_named(relid))
	{
		LockRelationOid(topmost(relid), ShareRowExclusiveLock);
		(void) dg_hierarchy(topmost(relid));
	}
}

/* Triggers make way for the command that begins, and are back at its end */
static void
make_way(Oid relid, bool deletes)
{
	if (!dg_has_own_trigger(relid))
		return;
	dg_make_way(relid, deletes);
	dg_ddl_lost_trigger(relid);
}

/*
 * Event trigger function for sql_drop: what is registered of tables that are
 * gone goes too.
 */
Datum
delete_guard_ddl_drop(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	(void) event_of_call(fcinfo, "_ddl_drop", "sql_drop");
	if (!dg_ddl_is_our_business())
		PG_RETURN_NULL();
	foreach(lc, dg_gone_tables())
		forget_table(lfirst_oid(lc));
	PG_RETURN_NULL();
}

/* Remove what is registered of a table that is gone */
static void
forget_table(Oid relid)
{
	static const struct
	{
		const char *step;
		const char *query;
	}			forget[] = {
		{"unprotect", "DELETE FROM delete_guard.protected_table WHERE table_id::oid = $1"
		" RETURNING 0::oid, jsonb_build_object('dropped_table', $1)::text"},
		{"forget_reference", "DELETE FROM delete_guard.declared_reference WHERE $1 IN (referenced::oid, referencing::oid)"
		" RETURNING referenced::oid, jsonb_build_object('name', name, 'dropped_table', $1)::text"},
		{"remove_approver", "DELETE FROM delete_guard.approver WHERE table_id::oid = $1"
		" RETURNING 0::oid, jsonb_build_object('role', role_name, 'dropped_table', $1)::text"},
	};

	for (int i = 0; i < lengthof(forget); i++)
		forget_rows(forget[i].step, forget[i].query, relid);
	dg_catalog_changed("protected_table");
	dg_catalog_changed("declared_reference");
}

/* Remove rows that are about a table that is gone, with an event for each */
static void
forget_rows(const char *step, const char *query, Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			argtype = OIDOID;
	Datum		arg = ObjectIdGetDatum(relid);
	List	   *tables = NIL;
	List	   *details = NIL;
	DgRoleState saved;
	ListCell   *lc;
	ListCell   *dc;

	dg_own_connect(&saved);
	dg_own_query(query, 1, &argtype, &arg, NULL, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		MemoryContext old = MemoryContextSwitchTo(caller);
		bool		isnull;

		tables = lappend_oid(tables, DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)));
		details = lappend(details, SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2));
		MemoryContextSwitchTo(old);
	}
	dg_own_finish(&saved);
	forboth(lc, tables, dc, details)
		dg_journal_step(step, get_rel_name(lfirst_oid(lc)) ? lfirst_oid(lc) : InvalidOid, lfirst(dc));
}

/*
 * Event trigger function for ddl_command_end
 */
Datum
delete_guard_ddl_end(PG_FUNCTION_ARGS)
{
	Node	   *parsetree = event_of_call(fcinfo, "_ddl_end", "ddl_command_end")->parsetree;
	DgDdlCommand *command;
	ListCell   *lc;

	if (!dg_ddl_is_our_business())
		PG_RETURN_NULL();
	if (adds_parents(parsetree) && OidIsValid(dg_own_extension()))
		refuse_heirs();
	if (dg_guarded_tables() != NIL)
	{
		judge_again(parsetree);
		dg_judge_conditions(parsetree);
		follow_structure(parsetree);
	}
	if (IsA(parsetree, RenameStmt) && OidIsValid(dg_own_extension()))
	{
		foreach(lc, relations_of_command())
			dg_declarations_follow_names(lfirst_oid(lc));
	}
	command = dg_ddl_end(parsetree);
	if (command)
	{
		put_right(command);
		MemoryContextDelete(command->context);
	}
	else
	{
		arm_unseen(dg_ddl_nameless_rearm());
		if (IsA(parsetree, AlterTableStmt) && OidIsValid(latest_relid))
			put_released(dg_command_classify(parsetree, latest_relid)->released);
	}
	PG_RETURN_NULL();
}

/*
 * Arm relations that were protected while the command waited for its lock, and
 * got a trigger from it that can change keys unseen.
 */
static void
arm_unseen(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (get_rel_name(lfirst_oid(lc)) && OidIsValid(dg_guarded_by(lfirst_oid(lc))) &&
			!dg_all_keys_seen(topmost(lfirst_oid(lc))))
			dg_arm(topmost(lfirst_oid(lc)));
	}
}

/* Does a command make inheritance children? */
static bool
adds_parents(Node *parsetree)
{
	ListCell   *lc;

	if (IsA(parsetree, CreateStmt) || IsA(parsetree, CreateForeignTableStmt))
		return ((CreateStmt *) parsetree)->inhRelations != NIL;
	if (IsA(parsetree, CreateSchemaStmt))
	{
		foreach(lc, ((CreateSchemaStmt *) parsetree)->schemaElts)
		{
			if (adds_parents(lfirst(lc)))
				return true;
		}
	}
	if (IsA(parsetree, AlterTableStmt))
	{
		foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
		{
			if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AddInherit)
				return true;
		}
	}
	return false;
}

/*
 * Refuse children of our own tables: their rows would be read as ours, and
 * anybody who owns them could write them.
 */
static void
refuse_heirs(void)
{
	ListCell   *lc;
	ListCell   *ac;

	foreach(lc, relations_of_command())
	{
		foreach(ac, dg_ancestors(lfirst_oid(lc)))
		{
			DgEvent		event = {0};

			if (lfirst_oid(ac) == lfirst_oid(lc) ||
				!dg_is_own_object(RelationRelationId, lfirst_oid(ac)))
				continue;
			event.operation = "own tables";
			event.outcome = DG_OUTCOME_BLOCKED;
			event.table_id = lfirst_oid(ac);
			event.row_count = -1;
			dg_record_attempt(&event, "inherit from", false);
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("table \"%s\" cannot inherit from table \"%s\" of delete_guard",
							get_rel_name(lfirst_oid(lc)), get_rel_name(lfirst_oid(ac)))));
		}
	}
}

/*
 * Ask about what was not known at the start: another relation, lost keys, and
 * what another session had protected by the time that the command had its lock.
 */
static void
judge_again(Node *parsetree)
{
	DgDdlCommand *command = dg_ddl_find(parsetree);
	ListCell   *lc;
	ListCell   *cc;

	if (command)
		dg_ddl_judge_lost_keys(command);
	if (!IsA(parsetree, AlterTableStmt))
		return;
	foreach(lc, relations_of_command())
	{
		bool		same = lfirst_oid(lc) == (command ? command->relid : latest_relid);

		foreach(cc, dg_command_classify(parsetree, lfirst_oid(lc))->changes)
		{
			DgDdlChange *change = lfirst(cc);

			if (!same || !(command ? dg_ddl_is_judged(command, change->table_id) :
						   change->table_id == latest_judged))
				dg_ddl_ask(change->table_id, change->action, change->objects);
		}
	}
}

/* Arm what a command has put below a protected table, and new keys */
static void
follow_structure(Node *parsetree)
{
	bool		structure = false;
	bool		keys = false;
	ListCell   *lc;

	sees_structure(parsetree, &structure, &keys);
	if (!structure && !keys)
		return;
	foreach(lc, relations_of_command())
	{
		DgProtection protection;

		if (!dg_protection_find(lfirst_oid(lc), &protection))
			continue;
		if (keys && dg_is_armed(protection.relid) &&
			!dg_keys_watched(lfirst_oid(lc)))
			dg_arm(protection.relid);
		else if (structure &&
				 OidIsValid(get_trigger_oid(protection.relid, DG_TRIGGER_DELETE, true)))
			arm_added(parsetree, lfirst_oid(lc), protection.relid);
	}
}

/*
 * Arm what a command on a relation has put below a protected table.  What bears
 * the names of our triggers there may have been made beforehand, by anybody:
 * where it is not as it should be, it is made again.
 */
static void
arm_added(Node *parsetree, Oid relid, Oid root)
{
	List	   *added = list_make1_oid(relid);
	List	   *faulty = NIL;
	ListCell   *lc;

	if (IsA(parsetree, AlterTableStmt))
	{
		AlterTableCmd *cmd = linitial_node(AlterTableCmd, ((AlterTableStmt *) parsetree)->cmds);

		if (cmd->subtype == AT_AttachPartition)
			added = list_make1_oid(dg_range_relation(((PartitionCmd *) cmd->def)->name));
	}
	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" cannot inherit from protected table \"%s\"",
						get_rel_name(relid), get_rel_name(root)),
				 errdetail("What becomes of its rows on the other server is not seen.")));
	dg_arm_new(added, root);
	foreach(lc, added)
		faulty = list_concat_unique_oid(faulty, dg_arm_faulty_below(lfirst_oid(lc), root));
	dg_arm_again(faulty, root);
}

/* At the end of a command: triggers where they belong, records */
static void
put_right(DgDdlCommand *command)
{
	ListCell   *lc;

	foreach(lc, command->rearm)
	{
		if (OidIsValid(dg_guarded_by(lfirst_oid(lc))))
			dg_arm(topmost(lfirst_oid(lc)));
	}
	dg_ddl_judge_lost_columns(command);
	if (OidIsValid(command->ddl->mended))
		dg_fire_always(command->ddl->mended, command->ddl->mended_trigger);
	dg_ddl_record_lost_columns(command);
	put_released(command->ddl->released);
	foreach(lc, command->ddl->notes)
	{
		DgDdlChange *note = lfirst(lc);

		dg_journal_step("ddl", note->table_id,
						psprintf("{\"action\": %s}", dg_quote_json(note->action)));
	}
}

/* Relations that have left their hierarchy */
static void
put_released(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (get_rel_name(lfirst_oid(lc)) == NULL || !dg_has_own_trigger(lfirst_oid(lc)))
			continue;
		if (OidIsValid(dg_guarded_by(lfirst_oid(lc))))
			dg_arm(topmost(lfirst_oid(lc)));	/* perhaps a plain table again */
		else
			dg_disarm(lfirst_oid(lc));
	}
}

/* The highest registered table that a relation is below, or it itself */
static Oid
topmost(Oid relid)
{
	Oid			result = relid;
	DgProtection protection;
	ListCell   *lc;

	foreach(lc, dg_ancestors(relid))
	{
		if (dg_protection_read(lfirst_oid(lc), &protection))
			result = lfirst_oid(lc);
	}
	return result;
}

/* Can the command have added relations below a table, or keys? */
static void
sees_structure(Node *parsetree, bool *structure, bool *keys)
{
	ListCell   *lc;

	if (IsA(parsetree, CreateStmt) || IsA(parsetree, CreateForeignTableStmt))
		*structure = true;
	else if (IsA(parsetree, CreateSchemaStmt))
	{
		/* what is made in it has no event of its own */
		foreach(lc, ((CreateSchemaStmt *) parsetree)->schemaElts)
			sees_structure(lfirst(lc), structure, keys);
	}
	else if (IsA(parsetree, IndexStmt))
		*keys = ((IndexStmt *) parsetree)->unique;
	else if (IsA(parsetree, AlterTableStmt))
	{
		foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
		{
			AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

			/* ALTER INDEX ... ATTACH PARTITION looks alike, but nothing is to be armed */
			if (cmd->subtype == AT_AddInherit ||
				(cmd->subtype == AT_AttachPartition &&
				 ((AlterTableStmt *) parsetree)->objtype == OBJECT_TABLE))
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
		" AND (c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f}') OR i.indisunique)";
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
