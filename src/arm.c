/*-------------------------------------------------------------------------
 *
 * arm.c
 *	  the triggers on protected tables
 *
 * A table is "armed" when it and everything below it has these triggers, but
 * for one all ENABLE ALWAYS, so that they fire under session_replication_role =
 * replica and in the logical replication worker too:
 *
 *	00_delete_guard_delete		AFTER DELETE, each row; on a plain table with
 *								REFERENCING OLD TABLE
 *	00_delete_guard_key			AFTER UPDATE, each row, WHEN a column that can
 *								be referred to changes; on a plain table the
 *								condition also notes the row (rekeyed.c)
 *	00_delete_guard_key_own		the same for columns that only a partition
 *								has a unique index on
 *	00_delete_guard_key_unnamed	AFTER UPDATE, each row, ENABLE REPLICA: changed
 *								keys that the key trigger was not asked about
 *	00_delete_guard_truncate	BEFORE TRUNCATE
 *	00_delete_guard_end_delete	AFTER DELETE, each statement; not on plain tables
 *	00_delete_guard_end_update	AFTER UPDATE, each statement; not on plain tables
 *
 * AFTER ROW triggers fire in byte order of their names (CREATE TRIGGER), so
 * these come before RI_ConstraintTrigger_*.  Row triggers on a partitioned
 * table are cloned to its partitions; the others, and those on inheritance
 * children, are made for each table.
 *
 * Where a key can change only in an UPDATE that names the column (named.c), key
 * triggers are made for such updates, UPDATE OF: PostgreSQL then does not have
 * to prepare the condition for others.  That is decided for a hierarchy as a
 * whole, as clones are what the partitioned table's trigger is, and a dump
 * holds no others.  In replica role, whoever applies changes may not tell the
 * executor which columns they are; for that there is the trigger "unnamed".
 *
 * Triggers are created and dropped as the owner of each table, restricted; the
 * statements hold quoted names only.  Where that role lacks a right for it, on a
 * partition of another owner or on the schema, the extension's owner does it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "arm.h"
#include "catalog.h"
#include "compat.h"
#include "named.h"
#include "reference.h"
#include "sql.h"

/* what the condition of a plain table's key trigger ends in */
#define NOTE_KEY_CHANGE \
	" AND delete_guard._note_key_change(OLD.tableoid, OLD.ctid, NEW.ctid)"

static bool arming = false;
static bool missing_only = false;
static bool for_named_only = false;

static void arm_hierarchy(List *relids, Oid root, bool only_missing);
static Oid	arming_role(Oid relid);
static void arm_relations(List *relids, Oid root);
static void arm_relation(Oid relid, Oid root);
static void drop_triggers(Oid relid, const char *const *names, int nnames);
static void drop_triggers_of(List *relids, const char *const *names, int nnames);
static void create_key_trigger(Oid relid, const char *name, List *attnums,
							   const char *condition);
static void create_trigger(Oid relid, const char *name, const char *events,
						   const char *level, const char *function);
static const char *firing(const char *name);
static bool is_clone(Oid relid, const char *name);
static void drop_trigger(Oid relid, const char *name);
static void drop_delete_trigger_unless(Oid relid, bool transition_table);
static void arm_own_keys(Oid relid, Oid root);
static char *changed_condition(Oid relid, List *attnums);
static List *unique_columns(Oid relid);
static List *key_candidates(Oid relid);
static void run(const char *statement);

/*
 * The relation and everything below it: partitions, inheritance children.
 * Locked as TRUNCATE's and CREATE TRIGGER's concerns need (SHARE ROW
 * EXCLUSIVE), to the end of the transaction.
 */
List *
dg_hierarchy(Oid relid)
{
	return find_all_inheritors(relid, ShareRowExclusiveLock, NULL);
}

/*
 * Create or replace all triggers on a table and everything below it.
 */
void
dg_arm(Oid relid)
{
	arm_hierarchy(dg_hierarchy(relid), relid, false);
}

/*
 * Create only triggers that are missing, on the root of a hierarchy and on
 * relations that have been added to it, with what is below them.  What has its
 * triggers is neither changed nor locked.
 */
void
dg_arm_new(List *added, Oid root)
{
	List	   *relids = list_make1_oid(root);
	ListCell   *lc;

	foreach(lc, added)
		relids = list_concat_unique_oid(relids, find_all_inheritors(lfirst_oid(lc), AccessShareLock, NULL));
	arm_hierarchy(relids, root, true);
}

/*
 * Create or replace the triggers on some relations of a hierarchy, which are
 * locked.
 */
void
dg_arm_again(List *relids, Oid root)
{
	if (relids != NIL)
		arm_hierarchy(relids, root, false);
}

/*
 * Have a trigger fire under any session_replication_role.
 */
void
dg_fire_always(Oid relid, const char *trigger)
{
	DgRoleState saved;

	dg_connect_as(dg_relation_owner(relid), &saved);
	arming = true;
	PG_TRY();
	{
		run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", dg_qualified_name(relid),
					 quote_identifier(trigger)));
	}
	PG_FINALLY();
	{
		arming = false;
	}
	PG_END_TRY();
	dg_finish_as(&saved);
}

/* Make triggers; while that goes on, dg_arming() says so */
static void
arm_hierarchy(List *relids, Oid root, bool only_missing)
{
	arming = true;
	missing_only = only_missing;
	for_named_only = true;
	PG_TRY();
	{
		ListCell   *lc;

		foreach(lc, find_all_inheritors(root, NoLock, NULL))
			for_named_only = for_named_only &&
				dg_keys_change_named(lfirst_oid(lc), key_candidates(lfirst_oid(lc)));
		arm_relations(relids, root);
	}
	PG_FINALLY();
	{
		arming = false;
		missing_only = false;
		for_named_only = false;
	}
	PG_END_TRY();
}

/*
 * Has every relation of the hierarchy the triggers that all have?  No locks: a
 * parallel restore holds stronger ones on the others.
 */
bool
dg_is_armed(Oid relid)
{
	static const char *const names[] = {DG_TRIGGER_DELETE, DG_TRIGGER_KEY,
		DG_TRIGGER_KEY_UNNAMED, DG_TRIGGER_TRUNCATE};
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		for (int i = 0; i < lengthof(names); i++)
		{
			if (!OidIsValid(get_trigger_oid(lfirst_oid(lc), names[i], true)))
				return false;
		}
	}
	return true;
}

/*
 * Do the key triggers of a relation fire for every column that has a unique
 * index?  Looks at this relation only, as its partitions and siblings may be
 * locked by others who do the same.
 */
bool
dg_keys_watched(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	Bitmapset  *watched = NULL;
	bool		result = true;
	ListCell   *lc;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgqual && dg_is_key_trigger(trigger->tgname))
			pull_varattnos(stringToNode(trigger->tgqual), PRS2_OLD_VARNO, &watched);
	}
	relation_close(rel, AccessShareLock);
	foreach(lc, unique_columns(relid))
	{
		if (!bms_is_member(lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber, watched))
			result = false;
	}
	return result;
}

/*
 * Are triggers being made?  The DDL that does it is not to be followed.
 */
bool
dg_arming(void)
{
	return arming;
}

/*
 * The role that makes and drops the triggers of a relation: its owner, if he
 * may do so on all that the command reaches.
 */
static Oid
arming_role(Oid relid)
{
	Oid			owner = dg_relation_owner(relid);
	ListCell   *lc;

	if (dg_schema_aclcheck(get_rel_namespace(relid), owner, ACL_USAGE) != ACLCHECK_OK)
		return dg_own_owner();
	foreach(lc, get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ?
			find_all_inheritors(relid, NoLock, NULL) : list_make1_oid(relid))
	{
		if (pg_class_aclcheck(lfirst_oid(lc), owner, ACL_TRIGGER) != ACLCHECK_OK ||
			!has_privs_of_role(owner, dg_relation_owner(lfirst_oid(lc))))
			return dg_own_owner();
	}
	return owner;
}

/* Each relation as the role that may */
static void
arm_relations(List *relids, Oid root)
{
	ListCell   *lc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach(lc, relids)
	{
		DgRoleState saved;

		dg_act_as(arming_role(lfirst_oid(lc)), &saved);
		arm_relation(lfirst_oid(lc), root);
		dg_act_back(&saved);
	}
	SPI_finish();
}

/*
 * Drop all triggers from a table and everything below it.
 */
void
dg_disarm(Oid relid)
{
	static const char *const names[] = {DG_TRIGGER_DELETE, DG_TRIGGER_KEY, DG_TRIGGER_KEY_OWN,
		DG_TRIGGER_KEY_UNNAMED, DG_TRIGGER_TRUNCATE, DG_TRIGGER_END_DELETE, DG_TRIGGER_END_UPDATE};

	drop_triggers(relid, names, lengthof(names));
}

/*
 * Drop the key triggers of a table and everything below it, so that a command
 * can change the columns that they name; with deletes the other row triggers
 * too, so that the table can become a partition or an inheritance child.  The
 * caller has them made again with dg_arm.
 */
void
dg_make_way(Oid relid, bool deletes)
{
	static const char *const names[] = {DG_TRIGGER_KEY, DG_TRIGGER_KEY_OWN,
		DG_TRIGGER_DELETE, DG_TRIGGER_KEY_UNNAMED};

	drop_triggers(relid, names, deletes ? 4 : 2);
}

/* Drop triggers by name from a hierarchy; while it goes on, dg_arming() says so */
static void
drop_triggers(Oid relid, const char *const *names, int nnames)
{
	arming = true;
	PG_TRY();
	{
		drop_triggers_of(dg_hierarchy(relid), names, nnames);
	}
	PG_FINALLY();
	{
		arming = false;
	}
	PG_END_TRY();
}

/* Each relation as the role that may */
static void
drop_triggers_of(List *relids, const char *const *names, int nnames)
{
	ListCell   *lc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach(lc, relids)
	{
		DgRoleState saved;

		dg_act_as(arming_role(lfirst_oid(lc)), &saved);
		for (int i = 0; i < nnames; i++)
		{
			/* clones go with the trigger they were cloned from */
			if (!is_clone(lfirst_oid(lc), names[i]))
				drop_trigger(lfirst_oid(lc), names[i]);
		}
		dg_act_back(&saved);
	}
	SPI_finish();
}

/*
 * Is this a plain table, whose delete trigger can have a transition table?
 */
bool
dg_arm_is_plain(Oid relid, Oid root)
{
	return get_rel_relkind(relid) == RELKIND_RELATION && !get_rel_relispartition(relid) &&
		relid == root && !has_subclass(relid) && list_length(dg_ancestors(relid)) == 1;
}

/*
 * The columns whose change the triggers of a relation are to see: list of
 * numbers.
 */
List *
dg_arm_key_columns(Oid relid)
{
	return key_candidates(relid);
}

/* Create the triggers of one relation of a hierarchy */
static void
arm_relation(Oid relid, Oid root)
{
	bool		cloned = relid != root && get_rel_relispartition(relid);
	bool		plain = dg_arm_is_plain(relid, root);

	if (!cloned)
	{
		drop_delete_trigger_unless(relid, plain);
		create_trigger(relid, DG_TRIGGER_DELETE, "AFTER DELETE",
					   plain ? "REFERENCING OLD TABLE AS old_rows FOR EACH ROW" : "FOR EACH ROW",
					   "_guard_rows");
		create_key_trigger(relid, DG_TRIGGER_KEY, key_candidates(relid),
						   psprintf("(%s)%s", changed_condition(relid, key_candidates(relid)),
									plain ? NOTE_KEY_CHANGE : ""));
		create_trigger(relid, DG_TRIGGER_KEY_UNNAMED, "AFTER UPDATE", "FOR EACH ROW", "_guard_rows");
	}
	else
		arm_own_keys(relid, root);
	create_trigger(relid, DG_TRIGGER_TRUNCATE, "BEFORE TRUNCATE", "FOR EACH STATEMENT",
				   "_guard_truncate");
	if (plain)
	{
		drop_trigger(relid, DG_TRIGGER_END_DELETE);
		drop_trigger(relid, DG_TRIGGER_END_UPDATE);
		return;
	}
	create_trigger(relid, DG_TRIGGER_END_DELETE, "AFTER DELETE", "FOR EACH STATEMENT",
				   "_guard_end");
	create_trigger(relid, DG_TRIGGER_END_UPDATE, "AFTER UPDATE", "FOR EACH STATEMENT",
				   "_guard_end");
}

/* Create or replace a key trigger, for the columns it is about if that will do */
static void
create_key_trigger(Oid relid, const char *name, List *attnums, const char *condition)
{
	StringInfoData events;
	ListCell   *lc;

	initStringInfo(&events);
	appendStringInfoString(&events, "AFTER UPDATE");
	foreach(lc, for_named_only ? attnums : NIL)
		appendStringInfo(&events, "%s %s", lc == list_head(attnums) ? " OF" : ",",
						 quote_identifier(get_attname(relid, lfirst_int(lc), false)));
	create_trigger(relid, name, events.data, psprintf("FOR EACH ROW WHEN (%s)", condition),
				   "_guard_rows");
}

/* Create or replace one trigger and have it fire when it should */
static void
create_trigger(Oid relid, const char *name, const char *events, const char *level,
			   const char *function)
{
	const char *table = dg_qualified_name(relid);

	if (missing_only && OidIsValid(get_trigger_oid(relid, name, true)))
		return;
	run(psprintf("CREATE OR REPLACE TRIGGER \"%s\" %s ON %s %s EXECUTE FUNCTION delete_guard.%s()",
				 name, events, table, level, function));
	run(psprintf("ALTER TABLE %s ENABLE %s TRIGGER \"%s\"", table, firing(name), name));
}

/* The state in which one of our triggers is to be */
static const char *
firing(const char *name)
{
	return dg_arm_enabled(name) == TRIGGER_FIRES_ALWAYS ? "ALWAYS" : "REPLICA";
}

/*
 * The same as pg_trigger has it.
 */
char
dg_arm_enabled(const char *name)
{
	return strcmp(name, DG_TRIGGER_KEY_UNNAMED) == 0 ?
		TRIGGER_FIRES_ON_REPLICA : TRIGGER_FIRES_ALWAYS;
}

/*
 * Drop the delete trigger if it is of the other kind: whether there is a
 * transition table cannot be changed while the table is a partition or has
 * become one.  (CREATE OR REPLACE takes SHARE ROW EXCLUSIVE only, DROP TRIGGER
 * takes ACCESS EXCLUSIVE, and so is left for when it is needed.)
 */
static void
drop_delete_trigger_unless(Oid relid, bool transition_table)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		other_kind = false;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, DG_TRIGGER_DELETE) == 0)
			other_kind = (trigger->tgoldtable != NULL) != transition_table;
	}
	relation_close(rel, AccessShareLock);
	if (other_kind)
		drop_trigger(relid, DG_TRIGGER_DELETE);
}

/* Is this trigger a clone of a partitioned table's? */
static bool
is_clone(Oid relid, const char *name)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		result = false;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		if (strcmp(rel->trigdesc->triggers[i].tgname, name) == 0)
			result = rel->trigdesc->triggers[i].tgisclone;
	}
	relation_close(rel, AccessShareLock);
	return result;
}

/* Drop one trigger, if it is there */
static void
drop_trigger(Oid relid, const char *name)
{
	if (OidIsValid(get_trigger_oid(relid, name, true)))
		run(psprintf("DROP TRIGGER \"%s\" ON %s", name, dg_qualified_name(relid)));
}

/*
 * A partition's key trigger is a clone and knows the root's columns.  Where the
 * partition has keys of its own, an own trigger fires for changes that the
 * clone does not see.
 */
static void
arm_own_keys(Oid relid, Oid root)
{
	List	   *shared = NIL;
	List	   *own = NIL;
	ListCell   *lc;

	foreach(lc, key_candidates(root))
		shared = lappend_int(shared, get_attnum(relid, get_attname(root, lfirst_int(lc), false)));
	foreach(lc, key_candidates(relid))
	{
		if (!list_member_int(shared, lfirst_int(lc)))
			own = lappend_int(own, lfirst_int(lc));
	}
	if (own == NIL)
		drop_trigger(relid, DG_TRIGGER_KEY_OWN);
	else
		create_key_trigger(relid, DG_TRIGGER_KEY_OWN, own,
						   psprintf("(%s) AND NOT (%s)", changed_condition(relid, own),
									changed_condition(relid, shared)));
}

/*
 * A condition that one of these columns changes.  Values of types that are not
 * built in are compared by their bytes, so that no operator has to be found
 * for them.
 */
static char *
changed_condition(Oid relid, List *attnums)
{
	StringInfoData buf;
	ListCell   *lc;

	if (attnums == NIL)
		return "false";			/* the last key was dropped, as approved */
	initStringInfo(&buf);
	foreach(lc, attnums)
	{
		const char *column = quote_identifier(get_attname(relid, lfirst_int(lc), false));
		Oid			type = getBaseType(get_atttype(relid, lfirst_int(lc)));

		if (buf.len > 0)
			appendStringInfoString(&buf, " OR ");
		if (type < FirstGenbkiObjectId && OidIsValid(get_element_type(type)) == false &&
			type_is_rowtype(type) == false)
			appendStringInfo(&buf, "OLD.%s IS DISTINCT FROM NEW.%s", column, column);
		else
			appendStringInfo(&buf, "ROW(OLD.%s)::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW.%s)::pg_catalog.record", column, column);
	}
	return buf.data;
}

/* Columns of every unique index; list of attribute numbers */
static List *
unique_columns(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;

		for (int i = 0; form->indisunique && i < form->indnkeyatts; i++)
		{
			if (form->indkey.values[i] > 0)
				result = list_append_unique_int(result, form->indkey.values[i]);
		}
		index_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return result;
}

/*
 * Columns that a foreign key can be declared on, and those that references use
 * today.  List of attribute numbers.
 */
static List *
key_candidates(Oid relid)
{
	List	   *result = unique_columns(relid);
	DgTable    *table = dg_table_acquire(relid);

	for (int i = 0; i < table->nkey_columns; i++)
		result = list_append_unique_int(result, table->key_columns[i]);
	dg_table_release(table);
	return result;
}

/* Run one utility statement */
static void
run(const char *statement)
{
	int			result = SPI_execute(statement, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "SPI_execute failed: %s: %s", SPI_result_code_string(result), statement);
}
