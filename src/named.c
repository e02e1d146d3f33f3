/*-------------------------------------------------------------------------
 *
 * named.c
 *	  does an UPDATE that changes a key name the column?
 *
 * A trigger that is made for UPDATE OF some columns fires if the statement names
 * one of them, whatever it does to the row.  The executor takes the names from
 * the statement (ExecGetAllUpdatedCols): SET lists of UPDATE, MERGE and ON
 * CONFLICT, what views and rules make of them, the UPDATE that a foreign key
 * runs.  A column that is not named can change nevertheless
 *
 *	- if a BEFORE UPDATE trigger of the row changes it
 *	- if it is generated (PostgreSQL counts such columns as named when one that
 *	  they are made from is; but which do is up to the version, so we do not rely
 *	  on it)
 *	- if the row is not changed by a statement, but by other code in the server
 *	  that tells the executor nothing: PostgreSQL's own logical replication tells
 *	  it, other replication workers may not.  They work in replica role, where a
 *	  trigger without a column list fires (arm.c).
 *
 * A trigger counts also while it is disabled, as it could be enabled without
 * our being told.  The catalog is read itself, with what the command under way
 * has done to it.  No locks on the tables: whoever makes our triggers, or one
 * that counts, holds SHARE ROW EXCLUSIVE, so one of them sees the other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "arm.h"
#include "named.h"

/* What the triggers of a relation are made for */
typedef struct Triggers
{
	bool		before_update;	/* one may change any column */
	List	   *named;			/* columns that key triggers are made for */
} Triggers;

static Triggers look_at_triggers(Oid relid);
static bool any_generated(Oid relid, List *attnums);

/*
 * Is this the name of a trigger that has a condition on keys?
 */
bool
dg_is_key_trigger(const char *name)
{
	return strcmp(name, DG_TRIGGER_KEY) == 0 || strcmp(name, DG_TRIGGER_KEY_OWN) == 0;
}

/*
 * Can these columns of a relation change only in an UPDATE that names them?
 */
bool
dg_keys_change_named(Oid relid, List *attnums)
{
	return !look_at_triggers(relid).before_update && !any_generated(relid, attnums);
}

/*
 * Are the key triggers of a relation made for updates that name columns?
 */
bool
dg_keys_named(Oid relid)
{
	return look_at_triggers(relid).named != NIL;
}

/*
 * Do the key triggers of a relation see every change of the columns that they
 * are made for?  True also if it has none.
 */
bool
dg_keys_seen(Oid relid)
{
	Triggers	triggers = look_at_triggers(relid);

	return triggers.named == NIL ||
		(!triggers.before_update && !any_generated(relid, triggers.named));
}

/*
 * The same for a relation and everything below it.
 */
bool
dg_all_keys_seen(Oid root)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(root, NoLock, NULL))
	{
		if (!dg_keys_seen(lfirst_oid(lc)))
			return false;
	}
	return true;
}

/* Read the triggers of a relation */
static Triggers
look_at_triggers(Oid relid)
{
	Triggers	result = {false, NIL};
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, SnapshotSelf, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (TRIGGER_FOR_ROW(form->tgtype) && TRIGGER_FOR_BEFORE(form->tgtype) &&
			TRIGGER_FOR_UPDATE(form->tgtype))
			result.before_update = true;
		if (!dg_is_key_trigger(NameStr(form->tgname)))
			continue;
		for (int i = 0; i < form->tgattr.dim1; i++)
			result.named = list_append_unique_int(result.named, form->tgattr.values[i]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Is one of the columns generated from others? */
static bool
any_generated(Oid relid, List *attnums)
{
	ListCell   *lc;

	foreach(lc, attnums)
	{
		if (get_attgenerated(relid, lfirst_int(lc)) != '\0')
			return true;
	}
	return false;
}
