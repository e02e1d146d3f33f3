/*-------------------------------------------------------------------------
 *
 * command.c
 *	  what a DDL command means for protected tables
 *
 * A parse tree is looked at before the command runs (and for ALTER TABLE once
 * more after it, when it is known which relation its name meant).  Changes that
 * could take a referenced key away, or our triggers, need a verdict; what moves
 * or renames a protected table is only recorded; of the rest, some is told
 * because triggers have to make way for it.  Everything else, and that is nearly
 * all DDL, does not concern us.
 *
 * What a command reaches by CASCADE is not looked for here: that is for the
 * object access hook (access.c), which sees each object before it goes.
 *
 * A command that the current role may not run, because it does not own the
 * table, is left to PostgreSQL to refuse.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parser.h"
#include "rewrite/rewriteSupport.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "arm.h"
#include "catalog.h"
#include "change.h"
#include "command.h"
#include "compat.h"
#include "ddltext.h"
#include "guarded.h"
#include "sql.h"

static void classify(DgDdl *ddl, Node *parsetree, Oid relid);
static void alter_table(DgDdl *ddl, AlterTableStmt *stmt, Oid relid);
static char *alter_table_text(DgDdl *ddl, AlterTableStmt *stmt, Oid relid, List **concerns, Oid table_id);
static char *alter_table_objects(DgDdl *ddl, AlterTableStmt *stmt, Oid relid);
static char *clause_object(AlterTableCmd *cmd, Oid relid);
static List *own_table_concerns(DgDdl *ddl, const AlterTableCmd *cmd);
static bool is_own_table_trigger(const char *name);
static bool makes_own_table_trigger(const CreateTrigStmt *stmt, Oid function);
static bool is_loading(AlterTableType subtype);
static List *clause_concerns(DgDdl *ddl, AlterTableCmd *cmd, Oid relid);
static List *column_concerns(DgDdl *ddl, AlterTableType subtype, const char *name, Oid relid);
static List *constraint_concerns(DgDdl *ddl, AlterTableCmd *cmd, Oid relid);
static void clause_effects(DgDdl *ddl, AlterTableCmd *cmd, Oid relid);
static void drop(DgDdl *ddl, DropStmt *stmt);
static char *drop_object(DropStmt *stmt, Node *object, Oid table_id);
static Oid	trigger_relation(Node *object);
static List *drop_concerns(DropStmt *stmt, Node *object);
static List *schema_concerns(Oid schema);
static void drop_owned(DgDdl *ddl, DropOwnedStmt *stmt);
static void rename_object(DgDdl *ddl, RenameStmt *stmt);
static char *rename_text(RenameStmt *stmt, Oid relid);
static void create_trigger(DgDdl *ddl, CreateTrigStmt *stmt);
static void create_rule(DgDdl *ddl, RuleStmt *stmt);
static void on_own_relation(DgDdl *ddl, Node *parsetree, const RangeVar *range);
static void set_schema(DgDdl *ddl, AlterObjectSchemaStmt *stmt);
static void depends_on_extension(DgDdl *ddl, AlterObjectDependsStmt *stmt);
static void extension_contents(DgDdl *ddl, AlterExtensionContentsStmt *stmt);
static void alter_event_trigger(DgDdl *ddl, AlterEventTrigStmt *stmt);
static void alter_owner(DgDdl *ddl, AlterOwnerStmt *stmt);
static bool may_alter(Oid relid);
static bool may_drop(Oid relid);
static bool owns_schema(Oid schema);
static bool is_own_relation(Oid relid);
static bool is_own_event_trigger(const char *name);
static char *relation_number(Oid relid);
static char *schema_number(const char *name);
static char *part_numbers(Oid table_id, Oid schema, Oid owner);
static char *event_trigger_number(const char *name);
static void add_change(List **list, Oid table_id, char *action, char *objects);
static void add_note(DgDdl *ddl, Oid relid, char *action);

/*
 * What a command means.  relid is the relation that an ALTER TABLE turned out
 * to be about when it is done, InvalidOid before it runs.
 */
DgDdl *
dg_command_classify(Node *parsetree, Oid relid)
{
	DgDdl	   *ddl = palloc0(sizeof(DgDdl));

	ddl->before = !OidIsValid(relid);
	if (dg_guarded_tables() != NIL && !dg_in_own_script())
		classify(ddl, parsetree, relid);
	return ddl;
}

/*
 * What a command, given as text, is on a protected table: what a request for
 * it is about.  Raises an error if the command needs no approval.
 */
DgDdlChange *
dg_ddl_action(const char *command, Oid table_id)
{
	List	   *parsed = raw_parser(command, RAW_PARSE_DEFAULT);
	DgDdl	   *volatile ddl = NULL;
	ListCell   *lc;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("action must be a single command")));
	dg_command_source(command);
	PG_TRY();
	{
		ddl = dg_command_classify(linitial_node(RawStmt, parsed)->stmt, InvalidOid);
	}
	PG_FINALLY();
	{
		dg_command_source(NULL);
	}
	PG_END_TRY();
	foreach(lc, ddl->changes)
	{
		DgDdlChange *change = lfirst(lc);

		if (change->table_id == table_id && ddl->instead)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("no approval can be used for this command"),
					 errhint("%s", ddl->instead)));
		if (change->table_id == table_id)
			return change;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 OidIsValid(table_id) ?
			 errmsg("this command needs no approval for table \"%s\"", get_rel_name(table_id)) :
			 errmsg("this command needs no approval"),
			 errdetail("Or what it reaches by CASCADE is known only when it is tried, or it is for the owner of the table to run.")));
}

/* Dispatch on the kind of command */
static void
classify(DgDdl *ddl, Node *parsetree, Oid relid)
{
	ListCell   *lc;

	switch (nodeTag(parsetree))
	{
		case T_AlterTableStmt:
			if (!OidIsValid(relid))
				relid = dg_range_relation(((AlterTableStmt *) parsetree)->relation);
			if (OidIsValid(relid) && may_alter(relid))
				alter_table(ddl, (AlterTableStmt *) parsetree, relid);
			break;
		case T_DropStmt:
			drop(ddl, (DropStmt *) parsetree);
			break;
		case T_DropOwnedStmt:
			drop_owned(ddl, (DropOwnedStmt *) parsetree);
			break;
		case T_RenameStmt:
			rename_object(ddl, (RenameStmt *) parsetree);
			break;
		case T_CreateTrigStmt:
			create_trigger(ddl, (CreateTrigStmt *) parsetree);
			break;
		case T_RuleStmt:
			create_rule(ddl, (RuleStmt *) parsetree);
			break;
		case T_IndexStmt:
			on_own_relation(ddl, parsetree, ((IndexStmt *) parsetree)->relation);
			break;
		case T_AlterSeqStmt:
			on_own_relation(ddl, parsetree, ((AlterSeqStmt *) parsetree)->sequence);
			break;
		case T_CreatePolicyStmt:
			on_own_relation(ddl, parsetree, ((CreatePolicyStmt *) parsetree)->table);
			break;
		case T_AlterObjectSchemaStmt:
			set_schema(ddl, (AlterObjectSchemaStmt *) parsetree);
			break;
		case T_AlterObjectDependsStmt:
			depends_on_extension(ddl, (AlterObjectDependsStmt *) parsetree);
			break;
		case T_CreateSchemaStmt:
			foreach(lc, ((CreateSchemaStmt *) parsetree)->schemaElts)
				classify(ddl, lfirst(lc), InvalidOid);
			break;
		case T_AlterExtensionContentsStmt:
			extension_contents(ddl, (AlterExtensionContentsStmt *) parsetree);
			break;
		case T_AlterEventTrigStmt:
			alter_event_trigger(ddl, (AlterEventTrigStmt *) parsetree);
			break;
		case T_AlterOwnerStmt:
			alter_owner(ddl, (AlterOwnerStmt *) parsetree);
			break;
		default:
			break;
	}
}

/* ALTER TABLE: the clauses that concern a table make one action on it */
static void
alter_table(DgDdl *ddl, AlterTableStmt *stmt, Oid relid)
{
	List	  **concerns = palloc0(sizeof(List *) * list_length(stmt->cmds));
	bool		own = is_own_relation(relid);
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		List	  **concern = &concerns[foreach_current_index(lc)];

		*concern = own ? own_table_concerns(ddl, lfirst_node(AlterTableCmd, lc)) :
			clause_concerns(ddl, lfirst_node(AlterTableCmd, lc), relid);
		tables = list_concat_unique_oid(tables, *concern);
		if (!own)
			clause_effects(ddl, lfirst_node(AlterTableCmd, lc), relid);
		ddl->loading = list_length(stmt->cmds) == 1 && is_loading(lfirst_node(AlterTableCmd, lc)->subtype);
	}
	foreach(lc, tables)
		add_change(&ddl->changes, lfirst_oid(lc),
				   alter_table_text(ddl, stmt, relid, concerns, lfirst_oid(lc)),
				   alter_table_objects(ddl, stmt, relid));
}

/*
 * The text of an ALTER TABLE as far as it concerns one table.  What else may
 * reach it by CASCADE is part of it.
 */
static char *
alter_table_text(DgDdl *ddl, AlterTableStmt *stmt, Oid relid, List **concerns, Oid table_id)
{
	StringInfoData buf;
	ListCell   *lc;
	int			n = 0;

	initStringInfo(&buf);
	appendStringInfo(&buf, "ALTER %s %s%s", stmt->objtype == OBJECT_TYPE ? "TYPE" : "TABLE",
					 stmt->objtype == OBJECT_TYPE || stmt->relation->inh ? "" : "ONLY ",
					 dg_qualified_name(relid));
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (list_member_oid(concerns[foreach_current_index(lc)], table_id) ||
			(cmd->behavior == DROP_CASCADE && cmd->subtype != AT_AlterColumnType))
			appendStringInfo(&buf, "%s %s", n++ > 0 ? "," : "",
							 dg_clause_text(cmd, relid, ddl->before));
	}
	return buf.data;
}

/* Which objects the names in an ALTER TABLE mean, all clauses together */
static char *
alter_table_objects(DgDdl *ddl, AlterTableStmt *stmt, Oid relid)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, relation_number(relid));
	foreach(lc, stmt->cmds)
	{
		/* afterwards the names may mean nothing any more */
		if (ddl->before)
			appendStringInfoString(&buf, clause_object(lfirst_node(AlterTableCmd, lc), relid));
	}
	return buf.data;
}

/* Which object the name in one clause means */
static char *
clause_object(AlterTableCmd *cmd, Oid relid)
{
	if (cmd->subtype == DG_AT_SET_EXPRESSION || cmd->subtype == AT_AlterColumnType)
		return psprintf("%s%s", dg_object_number(RelationRelationId, relid, get_attnum(relid, cmd->name)),
						dg_using_functions(cmd, relid));
	switch (cmd->subtype)
	{
		case AT_DropColumn:
		case AT_DropNotNull:
			return dg_object_number(RelationRelationId, relid, get_attnum(relid, cmd->name));
		case AT_DropConstraint:
			return dg_object_number(ConstraintRelationId,
									get_relation_constraint_oid(relid, cmd->name, true), 0);
		case AT_EnableTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
			return dg_object_number(TriggerRelationId, get_trigger_oid(relid, cmd->name, true), 0);
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
			return dg_object_number(RewriteRelationId, get_rewrite_oid(relid, cmd->name, true), 0);
		case AT_DropInherit:
			return relation_number(dg_range_relation((RangeVar *) cmd->def));
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			return relation_number(dg_range_relation(((PartitionCmd *) cmd->def)->name));
		default:
			return "";
	}
}

/* The protected tables that one clause of ALTER TABLE needs a verdict for */
static List *
clause_concerns(DgDdl *ddl, AlterTableCmd *cmd, Oid relid)
{
	Oid			table_id;

	if (cmd->subtype == DG_AT_SET_EXPRESSION)
		return column_concerns(ddl, cmd->subtype, cmd->name, relid);
	switch (cmd->subtype)
	{
		case AT_DropColumn:
		case AT_AlterColumnType:
		case AT_DropNotNull:
			return column_concerns(ddl, cmd->subtype, cmd->name, relid);
		case AT_DropConstraint:
			return constraint_concerns(ddl, cmd, relid);
		case AT_EnableTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
			if (!dg_is_trigger_name(cmd->name) ||
				!OidIsValid(get_trigger_oid(relid, cmd->name, true)))
				return NIL;
			if (cmd->subtype == AT_EnableReplicaTrig &&
				dg_arm_enabled(cmd->name) == TRIGGER_FIRES_ON_REPLICA)
				return NIL;		/* as it should be; a dump does this */
			break;
		case AT_EnableTrigAll:
		case AT_EnableTrigUser:
		case AT_DisableTrigAll:
		case AT_DisableTrigUser:
			if (!dg_has_own_trigger(relid) || is_loading(cmd->subtype))
				return NIL;
			break;
		case AT_DropInherit:
			relid = dg_range_relation((RangeVar *) cmd->def);
			break;
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
		case AT_SetUnLogged:
		case AT_SetAccessMethod:
			break;
		default:
			return NIL;
	}
	table_id = OidIsValid(relid) ? dg_guarded_by(relid) : InvalidOid;
	return OidIsValid(table_id) ? list_make1_oid(table_id) : NIL;
}

/*
 * What a clause on one of our own tables concerns: all, unless it puts back what
 * the extension has made
 */
static List *
own_table_concerns(DgDdl *ddl, const AlterTableCmd *cmd)
{
	bool		mending = (cmd->subtype == AT_EnableAlwaysTrig && is_own_table_trigger(cmd->name)) ||
		(cmd->subtype == AT_ChangeOwner &&
		 get_rolespec_oid(cmd->newowner, true) == dg_extension_owner());

	ddl->mending |= mending;
	return mending || is_loading(cmd->subtype) ? NIL : list_make1_oid(InvalidOid);
}

/* Is this the name of a trigger that the extension makes on its tables? */
static bool
is_own_table_trigger(const char *name)
{
	return strcmp(name, "delete_guard_own_statement") == 0 ||
		strcmp(name, "delete_guard_own_row") == 0;
}

/*
 * Is this what pg_restore --disable-triggers does, in a database where nothing
 * has happened yet, on behalf of somebody who may load our tables?
 */
static bool
is_loading(AlterTableType subtype)
{
	return (subtype == AT_DisableTrigAll || subtype == AT_EnableTrigAll) &&
		has_privs_of_role(GetUserId(), dg_own_owner()) && !dg_own_used();
}

/* Tables that lose or change a key column, or a part of it; also notes whose triggers name it */
static List *
column_concerns(DgDdl *ddl, AlterTableType subtype, const char *name, Oid relid)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, dg_guarded_touched(relid))
	{
		/* the relation itself, or a protected one below it or of its type */
		Oid			table_id = lfirst_oid(lc);
		Oid			changed = dg_guarded_by(relid) == table_id ? relid : table_id;
		AttrNumber	attnum = get_attnum(changed, name);

		if (attnum <= 0)
			continue;
		if (dg_is_key_column(changed, attnum))
			result = lappend_oid(result, table_id);
		if (subtype != AT_DropNotNull && dg_is_watched_column(changed, attnum))
			ddl->loosen = list_append_unique_oid(ddl->loosen, table_id);
	}
	/* keys of the relation's row type lose a part */
	if (subtype == AT_DropColumn && get_attnum(relid, name) > 0)
		result = list_concat_unique_oid(result, dg_guarded_typed(get_rel_type_id(relid)));
	return result;
}

/* Tables that lose a key, or a foreign key that refers to them, or may get NULLs in a key */
static List *
constraint_concerns(DgDdl *ddl, AlterTableCmd *cmd, Oid relid)
{
	Oid			constraint = get_relation_constraint_oid(relid, cmd->name, true);
	DgGuardedKey *key = OidIsValid(constraint) ? dg_guarded_key(constraint) : NULL;
	AttrNumber	attnum = OidIsValid(constraint) ? dg_not_null_column(constraint) : InvalidAttrNumber;
	Oid			index;
	Oid			guarded;

	if (key)
		return list_make1_oid(key->table_id);
	if (attnum != InvalidAttrNumber)
		return column_concerns(ddl, AT_DropNotNull, get_attname(relid, attnum, false), relid);
	index = OidIsValid(constraint) ? get_constraint_index(constraint) : InvalidOid;
	if (OidIsValid(index) && dg_is_key_index(index, &guarded))
		return list_make1_oid(dg_guarded_by(guarded));
	return NIL;
}

/* What a clause means for our triggers, and what of it is recorded only */
static void
clause_effects(DgDdl *ddl, AlterTableCmd *cmd, Oid relid)
{
	Oid			other;

	switch (cmd->subtype)
	{
		case AT_AttachPartition:
			other = dg_range_relation(((PartitionCmd *) cmd->def)->name);
			if (OidIsValid(other) && OidIsValid(dg_guarded_by(other)) && may_alter(other))
				ddl->swap = list_append_unique_oid(ddl->swap, other);
			break;
		case AT_AddInherit:
			if (OidIsValid(dg_guarded_by(relid)))
				ddl->swap = list_append_unique_oid(ddl->swap, relid);
			break;
		case AT_EnableTrigAll:
			/* if it was not asked about, ENABLE ALWAYS again */
			if (dg_has_own_trigger(relid) && is_loading(cmd->subtype))
				ddl->released = list_append_unique_oid(ddl->released, relid);
			break;
		case AT_DropInherit:
			ddl->released = list_append_unique_oid(ddl->released, relid);
			break;
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			other = dg_range_relation(((PartitionCmd *) cmd->def)->name);
			if (((PartitionCmd *) cmd->def)->concurrent)
				ddl->instead = "An approval is used in a transaction block, where DETACH PARTITION ... CONCURRENTLY cannot run.  Ask for DETACH PARTITION without CONCURRENTLY.";
			if (OidIsValid(other))
				ddl->released = list_append_unique_oid(ddl->released, other);
			break;
		case AT_ChangeOwner:
		case AT_EnableRowSecurity:
		case AT_DisableRowSecurity:
		case AT_ForceRowSecurity:
		case AT_NoForceRowSecurity:
			add_note(ddl, relid, psprintf("ALTER TABLE %s %s", dg_qualified_name(relid),
										  dg_clause_text(cmd, relid, ddl->before)));
			break;
		default:
			break;
	}
}

/* DROP of anything that has a name */
static void
drop(DgDdl *ddl, DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		List	   *tables = drop_concerns(stmt, lfirst(lc));
		ListCell   *tc;

		foreach(tc, tables)
			add_change(&ddl->changes, lfirst_oid(tc), dg_drop_text(stmt, lfirst(lc)),
					   drop_object(stmt, lfirst(lc), lfirst_oid(tc)));
	}
}

/* Which object the name in a DROP means, of the kinds that concern us */
static char *
drop_object(DropStmt *stmt, Node *object, Oid table_id)
{
	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_INDEX:
			return relation_number(dg_range_relation(makeRangeVarFromNameList(castNode(List, object))));
		case OBJECT_TRIGGER:
			return dg_object_number(TriggerRelationId,
									get_trigger_oid(trigger_relation(object),
													strVal(llast(castNode(List, object))), true), 0);
		case OBJECT_SCHEMA:
			return psprintf("%s%s", schema_number(strVal(object)),
							part_numbers(table_id, get_namespace_oid(strVal(object), true), InvalidOid));
		default:
			return "";
	}
}

/* The relation of a trigger that is named as DROP TRIGGER does */
static Oid
trigger_relation(Node *object)
{
	List	   *name = castNode(List, object);

	return dg_range_relation(makeRangeVarFromNameList(list_truncate(list_copy(name),
																	list_length(name) - 1)));
}

/* The protected tables that the drop of one object needs a verdict for */
static List *
drop_concerns(DropStmt *stmt, Node *object)
{
	Oid			relid;
	Oid			table_id = InvalidOid;

	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
			relid = dg_range_relation(makeRangeVarFromNameList(castNode(List, object)));
			if (OidIsValid(relid) && may_drop(relid))
				table_id = dg_guarded_by(relid);
			break;
		case OBJECT_INDEX:
			relid = dg_range_relation(makeRangeVarFromNameList(castNode(List, object)));
			if (OidIsValid(relid) && is_own_relation(relid) && may_drop(relid))
				return list_make1_oid(InvalidOid);
			/* CONCURRENTLY is refused as such, by access.c */
			if (OidIsValid(relid) && !stmt->concurrent && may_drop(relid) &&
				dg_is_key_index(relid, &relid))
				table_id = dg_guarded_by(relid);
			break;
		case OBJECT_TRIGGER:
			relid = trigger_relation(object);
			if (OidIsValid(relid) && may_alter(relid) &&
				dg_is_trigger_name(strVal(llast(castNode(List, object)))) &&
				OidIsValid(get_trigger_oid(relid, strVal(llast(castNode(List, object))), true)))
				table_id = dg_guarded_by(relid);
			break;
		case OBJECT_SCHEMA:
			return schema_concerns(get_namespace_oid(strVal(object), true));
		case OBJECT_EXTENSION:
			if (get_extension_oid(strVal(object), true) == dg_own_extension() && superuser())
				return list_make1_oid(InvalidOid);
			break;
		default:
			break;
	}
	return OidIsValid(table_id) ? list_make1_oid(table_id) : NIL;
}

/* The protected tables that have a part in a schema, if one may drop it */
static List *
schema_concerns(Oid schema)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (!OidIsValid(schema) || !owns_schema(schema))
		return NIL;
	if (dg_is_own_object(NamespaceRelationId, schema))
		return list_make1_oid(InvalidOid);
	foreach(lc, dg_guarded_tables())
	{
		ListCell   *rc;

		foreach(rc, find_all_inheritors(lfirst_oid(lc), NoLock, NULL))
		{
			if (get_rel_namespace(lfirst_oid(rc)) == schema)
				result = list_append_unique_oid(result, lfirst_oid(lc));
		}
	}
	return result;
}

/* DROP OWNED: protected tables with a part that a role owns, and ourselves */
static void
drop_owned(DgDdl *ddl, DropOwnedStmt *stmt)
{
	ListCell   *lc;
	ListCell   *tc;
	ListCell   *rc;

	foreach(lc, stmt->roles)
	{
		Oid			role = get_rolespec_oid(lfirst_node(RoleSpec, lc), true);
		char	   *roles = dg_object_number(AuthIdRelationId, role, 0);

		if (!OidIsValid(role) || !has_privs_of_role(GetUserId(), role))
			continue;
		if (role == dg_own_owner())
			add_change(&ddl->changes, InvalidOid, dg_drop_owned_text(stmt), roles);
		foreach(tc, dg_guarded_tables())
		{
			foreach(rc, find_all_inheritors(lfirst_oid(tc), NoLock, NULL))
			{
				if (get_rel_name(lfirst_oid(rc)) == NULL || dg_relation_owner(lfirst_oid(rc)) != role)
					continue;
				add_change(&ddl->changes, lfirst_oid(tc), dg_drop_owned_text(stmt),
						   psprintf("%s%s", roles, part_numbers(lfirst_oid(tc), InvalidOid, role)));
				break;
			}
		}
	}
}

/* RENAME: of our triggers with a verdict, of tables recorded */
static void
rename_object(DgDdl *ddl, RenameStmt *stmt)
{
	Oid			relid = dg_range_relation(stmt->relation);
	ListCell   *lc;

	if (stmt->renameType == OBJECT_SCHEMA)
	{
		foreach(lc, schema_concerns(get_namespace_oid(stmt->subname, true)))
			add_change(OidIsValid(lfirst_oid(lc)) ? &ddl->notes : &ddl->changes, lfirst_oid(lc),
					   psprintf("ALTER SCHEMA %s RENAME TO %s", quote_identifier(stmt->subname),
								quote_identifier(stmt->newname)),
					   schema_number(stmt->subname));
	}
	else if (stmt->renameType == OBJECT_EVENT_TRIGGER)
	{
		if (is_own_event_trigger(strVal(stmt->object)))
			add_change(&ddl->changes, InvalidOid,
					   psprintf("ALTER EVENT TRIGGER %s RENAME TO %s",
								quote_identifier(strVal(stmt->object)), quote_identifier(stmt->newname)),
					   event_trigger_number(strVal(stmt->object)));
	}
	else if (!OidIsValid(relid) || !may_alter(relid))
		return;
	else if (is_own_relation(relid))
		add_change(&ddl->changes, InvalidOid, rename_text(stmt, relid), relation_number(relid));
	else if (stmt->renameType != OBJECT_TRIGGER)
		add_note(ddl, relid, rename_text(stmt, relid));
	else if (dg_is_trigger_name(stmt->subname) && OidIsValid(dg_guarded_by(relid)) &&
			 OidIsValid(get_trigger_oid(relid, stmt->subname, true)))
		add_change(&ddl->changes, dg_guarded_by(relid), rename_text(stmt, relid),
				   dg_object_number(TriggerRelationId, get_trigger_oid(relid, stmt->subname, true), 0));
}

/* ALTER TABLE or TRIGGER ... RENAME */
static char *
rename_text(RenameStmt *stmt, Oid relid)
{
	const char *table = dg_qualified_name(relid);
	const char *to = quote_identifier(stmt->newname);

	switch (stmt->renameType)
	{
		case OBJECT_TRIGGER:
			return psprintf("ALTER TRIGGER %s ON %s RENAME TO %s",
							quote_identifier(stmt->subname), table, to);
		case OBJECT_COLUMN:
			return psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", table,
							quote_identifier(stmt->subname), to);
		case OBJECT_TABCONSTRAINT:
			return psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", table,
							quote_identifier(stmt->subname), to);
		default:
			return psprintf("ALTER TABLE %s RENAME TO %s", table, to);
	}
}

/* CREATE TRIGGER under one of our names, unless a dump brings it along */
static void
create_trigger(DgDdl *ddl, CreateTrigStmt *stmt)
{
	Oid			relid = dg_range_relation(stmt->relation);
	Oid			function;

	if (!OidIsValid(relid) || pg_class_aclcheck(relid, GetUserId(), ACL_TRIGGER) != ACLCHECK_OK)
		return;
	function = LookupFuncName(stmt->funcname, 0, NULL, true);
	if (is_own_relation(relid))
	{
		if (makes_own_table_trigger(stmt, function) &&
			!dg_own_table_trigger_intact(relid, stmt->trigname))
		{
			ddl->mended = relid;
			ddl->mended_trigger = pstrdup(stmt->trigname);
		}
		else
			add_change(&ddl->changes, InvalidOid, dg_trigger_text(stmt, relid), relation_number(relid));
	}
	if (!dg_is_trigger_name(stmt->trigname) || !OidIsValid(dg_guarded_by(relid)))
		return;
	if (OidIsValid(get_trigger_oid(relid, stmt->trigname, true)) ? stmt->replace :
		!dg_is_own_function(function))
		add_change(&ddl->changes, dg_guarded_by(relid), dg_trigger_text(stmt, relid),
				   psprintf("%s%s", relation_number(relid),
							dg_object_number(ProcedureRelationId, function, 0)));
}

/* Is this what the extension makes on its own tables? */
static bool
makes_own_table_trigger(const CreateTrigStmt *stmt, Oid function)
{
	int			events = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;

	return is_own_table_trigger(stmt->trigname) && dg_is_own_function(function) &&
		strcmp(get_func_name(function), "_guard_own") == 0 &&
		stmt->row == (strcmp(stmt->trigname, "delete_guard_own_row") == 0) &&
		stmt->timing == TRIGGER_TYPE_BEFORE && !stmt->isconstraint &&
		stmt->events == (stmt->row ? events : events | TRIGGER_TYPE_TRUNCATE) &&
		stmt->whenClause == NULL && stmt->columns == NIL && stmt->args == NIL;
}

/* CREATE RULE */
static void
create_rule(DgDdl *ddl, RuleStmt *stmt)
{
	Oid			relid = dg_range_relation(stmt->relation);

	if (!OidIsValid(relid) || !may_alter(relid))
		return;
	/* dg_rule_text locks the table, which the recorder needs if it is ours */
	if (is_own_relation(relid))
		add_change(&ddl->changes, InvalidOid,
				   dg_command_text((Node *) stmt, dg_qualified_name(relid)),
				   relation_number(relid));
	else if (OidIsValid(dg_guarded_by(relid)))
		add_change(&ddl->changes, dg_guarded_by(relid), dg_rule_text(stmt, relid),
				   relation_number(relid));
}

/* A command that matters only on our own tables */
static void
on_own_relation(DgDdl *ddl, Node *parsetree, const RangeVar *range)
{
	Oid			relid = dg_range_relation(range);

	if (OidIsValid(relid) && is_own_relation(relid) && may_alter(relid))
		add_change(&ddl->changes, InvalidOid,
				   dg_command_text(parsetree, dg_qualified_name(relid)),
				   relation_number(relid));
}

/* SET SCHEMA */
static void
set_schema(DgDdl *ddl, AlterObjectSchemaStmt *stmt)
{
	Oid			relid = dg_range_relation(stmt->relation);
	char	   *text;

	if (!OidIsValid(relid) || !may_alter(relid))
		return;
	text = psprintf("ALTER TABLE %s SET SCHEMA %s", dg_qualified_name(relid),
					quote_identifier(stmt->newschema));
	if (is_own_relation(relid))
		add_change(&ddl->changes, InvalidOid, text, relation_number(relid));
	else
		add_note(ddl, relid, text);
}

/* ALTER TRIGGER ... DEPENDS ON EXTENSION: hangs a trigger of ours on another */
static void
depends_on_extension(DgDdl *ddl, AlterObjectDependsStmt *stmt)
{
	Oid			relid = dg_range_relation(stmt->relation);
	const char *name;

	if (stmt->objectType != OBJECT_TRIGGER || stmt->remove ||
		!OidIsValid(relid) || !may_alter(relid))
		return;
	name = strVal(llast(castNode(List, stmt->object)));
	if (dg_is_trigger_name(name) && OidIsValid(dg_guarded_by(relid)) &&
		OidIsValid(get_trigger_oid(relid, name, true)))
		add_change(&ddl->changes, dg_guarded_by(relid),
				   psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION %s", quote_identifier(name),
							dg_qualified_name(relid), quote_identifier(strVal(stmt->extname))),
				   dg_object_number(TriggerRelationId, get_trigger_oid(relid, name, true), 0));
}

/* ALTER EXTENSION delete_guard ADD or DROP */
static void
extension_contents(DgDdl *ddl, AlterExtensionContentsStmt *stmt)
{
	const char *object = dg_object_text(stmt->objtype, stmt->object);

	if (get_extension_oid(stmt->extname, true) != dg_own_extension() || !superuser())
		return;
	/* what lacks its membership gets it back */
	if (stmt->action > 0 &&
		strncmp(object, stmt->objtype == OBJECT_EVENT_TRIGGER ? "delete_guard_" : "delete_guard.",
				strlen("delete_guard.")) == 0)
		return;
	add_change(&ddl->changes, InvalidOid,
			   psprintf("ALTER EXTENSION %s %s %s", quote_identifier(stmt->extname),
						stmt->action < 0 ? "DROP" : "ADD", object), "");
}

/* ALTER EVENT TRIGGER that switches one of ours off or to another state */
static void
alter_event_trigger(DgDdl *ddl, AlterEventTrigStmt *stmt)
{
	if (stmt->tgenabled != TRIGGER_FIRES_ALWAYS && is_own_event_trigger(stmt->trigname))
		add_change(&ddl->changes, InvalidOid,
				   psprintf("ALTER EVENT TRIGGER %s %s", quote_identifier(stmt->trigname),
							stmt->tgenabled == TRIGGER_DISABLED ? "DISABLE" :
							stmt->tgenabled == TRIGGER_FIRES_ON_REPLICA ? "ENABLE REPLICA" : "ENABLE"),
				   event_trigger_number(stmt->trigname));
}

/* OWNER TO of an event trigger of ours (others are told by access.c) */
static void
alter_owner(DgDdl *ddl, AlterOwnerStmt *stmt)
{
	if (stmt->objectType == OBJECT_EVENT_TRIGGER && is_own_event_trigger(strVal(stmt->object)))
		add_change(&ddl->changes, InvalidOid,
				   psprintf("ALTER EVENT TRIGGER %s OWNER TO %s",
							quote_identifier(strVal(stmt->object)),
							quote_identifier(get_rolespec_name(stmt->newowner))),
				   event_trigger_number(strVal(stmt->object)));
}

/* Has the current role the rights of the relation's owner? */
static bool
may_alter(Oid relid)
{
	return get_rel_name(relid) != NULL &&
		has_privs_of_role(GetUserId(), dg_relation_owner(relid));
}

/* May the current role drop the relation? */
static bool
may_drop(Oid relid)
{
	return may_alter(relid) || owns_schema(get_rel_namespace(relid));
}

/* Has the current role the rights of the owner of a schema? */
static bool
owns_schema(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = has_privs_of_role(GetUserId(), ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner);
	ReleaseSysCache(tuple);
	return result;
}

/* Is this one of our own relations? */
static bool
is_own_relation(Oid relid)
{
	return dg_is_own_object(RelationRelationId, relid);
}

/* Is this the name of one of our event triggers? */
static bool
is_own_event_trigger(const char *name)
{
	Oid			trigger = get_event_trigger_oid(name, true);

	return OidIsValid(trigger) && superuser() && dg_is_own_object(EventTriggerRelationId, trigger);
}

/* Which relation, as part of what a change is about */
static char *
relation_number(Oid relid)
{
	return dg_object_number(RelationRelationId, relid, 0);
}

/* Which schema */
static char *
schema_number(const char *name)
{
	return dg_object_number(NamespaceRelationId, get_namespace_oid(name, true), 0);
}

/* Which parts of a protected table are in a schema, or belong to a role */
static char *
part_numbers(Oid table_id, Oid schema, Oid owner)
{
	List	   *parts = OidIsValid(table_id) ? find_all_inheritors(table_id, NoLock, NULL) : NIL;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	list_sort(parts, list_oid_cmp);
	foreach(lc, parts)
	{
		if (get_rel_name(lfirst_oid(lc)) != NULL &&
			(get_rel_namespace(lfirst_oid(lc)) == schema || dg_relation_owner(lfirst_oid(lc)) == owner))
			appendStringInfoString(&buf, relation_number(lfirst_oid(lc)));
	}
	return buf.data;
}

/* Which event trigger */
static char *
event_trigger_number(const char *name)
{
	return dg_object_number(EventTriggerRelationId, get_event_trigger_oid(name, true), 0);
}

/* Add a change, once */
static void
add_change(List **list, Oid table_id, char *action, char *objects)
{
	DgDdlChange *change;
	ListCell   *lc;

	foreach(lc, *list)
	{
		change = lfirst(lc);
		if (change->table_id == table_id && strcmp(change->action, action) == 0 &&
			strcmp(change->objects, objects) == 0)
			return;
	}
	change = palloc0(sizeof(DgDdlChange));
	change->table_id = table_id;
	change->action = action;
	change->objects = objects;
	*list = lappend(*list, change);
}

/* Record a command on a guarded relation */
static void
add_note(DgDdl *ddl, Oid relid, char *action)
{
	Oid			table_id = dg_guarded_by(relid);

	if (OidIsValid(table_id))
		add_change(&ddl->notes, table_id, action, "");
}
