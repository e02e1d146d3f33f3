/*-------------------------------------------------------------------------
 *
 * access.c
 *	  object access hook: each object that a command drops or alters
 *
 * Installed when the library is loaded, which any DDL does in a database that
 * has the extension.  Sees what a parse tree does not tell: objects that go by
 * CASCADE, with their owner or with an extension, and objects that a name came
 * to mean only after the command had waited for a lock.
 *
 * A drop is seen just before it is done, in an order that takes what depends on
 * an object before the object itself.  So the first that is reached of a key is
 * its foreign keys and constraints, and all of the key can still be looked up.
 * Of what was created or altered the hook sees the new state, which is not yet
 * visible to others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"

#include "access.h"
#include "ddlstate.h"
#include "guarded.h"
#include "named.h"

static object_access_hook_type next_hook = NULL;

static void object_access(ObjectAccessType access, Oid class_id, Oid object,
						  int subobject, void *arg);
static void before_drop(Oid class_id, Oid object, int subobject, int flags);
static void before_drop_relation(Oid relid, int attnum, int flags);
static void before_drop_constraint(Oid constraint, int flags);
static void after_alter(Oid class_id, Oid object);
static void after_create(Oid class_id, Oid object);
static bool own_object_concerns(Oid class_id, Oid object);

/*
 * Called when the library is loaded.
 */
void
dg_access_init(void)
{
	next_hook = object_access_hook;
	object_access_hook = object_access;
}

/* The hook */
static void
object_access(ObjectAccessType access, Oid class_id, Oid object, int subobject, void *arg)
{
	if (next_hook)
		next_hook(access, class_id, object, subobject, arg);
	if ((access != OAT_DROP && access != OAT_POST_ALTER && access != OAT_POST_CREATE) ||
		!dg_ddl_is_our_business() || dg_guarded_tables() == NIL)
		return;
	if (access == OAT_DROP)
		before_drop(class_id, object, subobject, ((ObjectAccessDrop *) arg)->dropflags);
	else if (access == OAT_POST_CREATE)
		after_create(class_id, object);
	else if (!((ObjectAccessPostAlter *) arg)->is_internal)
		after_alter(class_id, object);
}

/* An object is about to be dropped */
static void
before_drop(Oid class_id, Oid object, int subobject, int flags)
{
	DgOwnTrigger trigger;

	dg_ddl_dropping();
	switch (class_id)
	{
		case RelationRelationId:
			before_drop_relation(object, subobject, flags);
			break;
		case ConstraintRelationId:
			before_drop_constraint(object, flags);
			break;
		case TriggerRelationId:
			if (dg_own_trigger(object, &trigger))
				dg_ddl_lost_trigger(trigger.relid);
			break;
		default:
			break;
	}
	if (subobject == 0 && own_object_concerns(class_id, object))
		dg_ddl_reach(InvalidOid, class_id, object, 0);
}

/* A table, a column of one, or an index is about to be dropped */
static void
before_drop_relation(Oid relid, int attnum, int flags)
{
	Oid			table_id = dg_guarded_by(relid);
	Oid			indexed;
	ListCell   *lc;

	if (attnum != 0)
		dg_ddl_lost_column(relid, attnum);
	/* keys of the relation's row type lose a part */
	foreach(lc, attnum != 0 ? dg_guarded_typed(get_rel_type_id(relid)) : NIL)
		dg_ddl_reach(lfirst_oid(lc), RelationRelationId, relid, attnum);
	if (OidIsValid(table_id))
	{
		if (attnum == 0 || dg_is_key_column(relid, attnum))
			dg_ddl_reach(table_id, RelationRelationId, relid, attnum);
	}
	else if (get_rel_relkind(relid) == RELKIND_INDEX && (flags & PERFORM_DELETION_INTERNAL) == 0 &&
			 dg_is_key_index(relid, &indexed))
	{
		if (flags & PERFORM_DELETION_CONCURRENTLY)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot drop index \"%s\" concurrently because it is the key of protected table \"%s\"",
							get_rel_name(relid), get_rel_name(indexed)),
					 errhint("Drop it without CONCURRENTLY.")));
		dg_ddl_reach(dg_guarded_by(indexed), RelationRelationId, relid, 0);
	}
}

/* A constraint is about to be dropped */
static void
before_drop_constraint(Oid constraint, int flags)
{
	Oid			index = get_constraint_index(constraint);
	Oid			indexed;

	if (!OidIsValid(index))
		dg_ddl_lost_key(constraint);
	else if ((flags & PERFORM_DELETION_INTERNAL) == 0 && dg_is_key_index(index, &indexed))
		dg_ddl_reach(dg_guarded_by(indexed), ConstraintRelationId, constraint, 0);
}

/* An object has been altered */
static void
after_alter(Oid class_id, Oid object)
{
	DgOwnTrigger trigger;

	if (class_id == TriggerRelationId)
	{
		if (dg_own_trigger(object, &trigger) && (!trigger.enabled || !trigger.own_name))
			dg_ddl_reach(dg_guarded_by(trigger.relid), class_id, object, 0);
	}
	else if (class_id == EventTriggerRelationId &&
			 dg_event_trigger_intact(object))
		return;
	else if (class_id != ExtensionRelationId && own_object_concerns(class_id, object))
		dg_ddl_reach(InvalidOid, class_id, object, 0);
}

/* An object has been created or replaced */
static void
after_create(Oid class_id, Oid object)
{
	DgOwnTrigger trigger;
	Oid			table_id;
	Oid			relid;

	switch (class_id)
	{
		case TriggerRelationId:
			if (dg_own_trigger(object, &trigger) && !trigger.own_function)
				dg_ddl_reach(dg_guarded_by(trigger.relid), class_id, object, 0);
			relid = dg_trigger_relation(object);
			if (OidIsValid(dg_guarded_by(relid)) && !dg_keys_seen(relid))
				dg_ddl_lost_trigger(relid);
			break;
		case RewriteRelationId:
			table_id = dg_guarded_by(dg_rule_relation(object));
			if (OidIsValid(table_id))
				dg_ddl_reach(table_id, class_id, object, 0);
			break;
		case ProcedureRelationId:
			if (own_object_concerns(class_id, object) && !dg_function_intact(object))
				dg_ddl_reach(InvalidOid, class_id, object, 0);
			break;
		default:
			break;
	}
}

/* Is this a part of the extension, and not of a kind that does not matter? */
static bool
own_object_concerns(Oid class_id, Oid object)
{
	if (class_id != RelationRelationId && class_id != ProcedureRelationId &&
		class_id != NamespaceRelationId && class_id != ExtensionRelationId &&
		class_id != EventTriggerRelationId)
		return false;
	return dg_is_own_object(class_id, object) && !dg_in_own_script();
}
