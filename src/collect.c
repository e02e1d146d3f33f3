/*-------------------------------------------------------------------------
 *
 * collect.c
 *	  rows of one table, in whatever partition they are
 *
 * For whoever asks about rows that are still there: a request made in
 * advance, and the look at a request's rows as they are now.  Rows are given
 * by their place or by their key; what comes out is a row set and the radius.
 * The rows asked about do not count as dependents of each other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "collect.h"
#include "radius.h"
#include "sql.h"

/* Rows of one relation */
typedef struct DgCollected
{
	Oid			relid;
	Relation	rel;
	TupleTableSlot *slot;
	DgDependents *dependents;
	DgRowSet   *rows;
} DgCollected;

struct DgCollection
{
	MemoryContext context;
	Oid			relid;
	DgDependents *dependents;	/* of the table itself */
	List	   *parts;			/* of DgCollected */
	const DgRowEntry *only;		/* sorted; NULL for any row */
	int			nonly;
};

static DgCollected *collected_part(DgCollection *collection, Oid relid);
static void collect_slot(DgCollection *collection, Oid relid, TupleTableSlot *slot);
static void found_row(void *arg, int row, Oid relid, TupleTableSlot *slot);
static void key_from_jsonb(const DgTable *table, JsonbValue *key, Datum *values, bool *isnull);
static char *jsonb_value_text(JsonbValue *value);

/*
 * Begin a collection of rows of a table that the caller has locked.  Lives in
 * a context of its own below parent until dg_collect_end.
 */
DgCollection *
dg_collect_begin(Oid relid, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard collection",
												  ALLOCSET_DEFAULT_SIZES);
	DgCollection *collection = MemoryContextAllocZero(context, sizeof(DgCollection));

	collection->context = context;
	collection->relid = relid;
	collection->dependents = dg_dependents_begin(relid, InvalidCommandId, context);
	return collection;
}

/* The part for one relation, begun with its first row */
static DgCollected *
collected_part(DgCollection *collection, Oid relid)
{
	MemoryContext old;
	DgCollected *part;
	ListCell   *lc;

	foreach(lc, collection->parts)
	{
		part = lfirst(lc);
		if (part->relid == relid)
			return part;
	}
	if (!list_member_oid(dg_ancestors(relid), collection->relid))
		elog(ERROR, "relation %u is not part of relation %u",	/* should not happen */
			 relid, collection->relid);
	old = MemoryContextSwitchTo(collection->context);
	part = palloc0(sizeof(DgCollected));
	part->relid = relid;
	part->rel = table_open(relid, AccessShareLock);
	part->slot = table_slot_create(part->rel, NULL);
	part->dependents = dg_dependents_begin(relid, InvalidCommandId, collection->context);
	part->rows = dg_rowset_create(dg_dependents_table(part->dependents),
								  RelationGetDescr(part->rel), collection->context);
	collection->parts = lappend(collection->parts, part);
	MemoryContextSwitchTo(old);
	return part;
}

/*
 * Add the row at a place that the active snapshot sees; nothing if it does
 * not.
 */
void
dg_collect_tid(DgCollection *collection, Oid relid, ItemPointer tid)
{
	DgCollected *part = collected_part(collection, relid);

	if (table_tuple_fetch_row_version(part->rel, tid, GetActiveSnapshot(), part->slot))
		collect_slot(collection, relid, part->slot);
	ExecClearTuple(part->slot);
}

/* Add the row in a slot */
static void
collect_slot(DgCollection *collection, Oid relid, TupleTableSlot *slot)
{
	DgCollected *part = collected_part(collection, relid);
	DgRowEntry	entry;

	if (collection->only)
	{
		dg_row_entry(part->rows, slot, NULL, &entry);
		if (bsearch(&entry, collection->only, collection->nonly, sizeof(DgRowEntry),
					dg_entry_compare) == NULL)
			return;
	}
	/* keys need not be unique among inheritance children */
	if (!dg_dependents_exclude(collection->dependents, relid, &slot->tts_tid))
		dg_rowset_add(part->rows, slot, NULL, NULL);
}

/*
 * From now on add only rows that are among these, which are sorted and stay as
 * long as the collection.
 */
void
dg_collect_only(DgCollection *collection, const DgRowEntry *entries, int n)
{
	collection->only = entries;
	collection->nonly = n;
}

/*
 * Add the rows with these keys, a jsonb array of objects, as they are now.
 */
void
dg_collect_by_keys(DgCollection *collection, Jsonb *keys)
{
	DgTable    *table = dg_dependents_table(collection->dependents);
	int			n = JsonContainerSize(&keys->root);
	DgKeys	   *wanted = dg_keys_create(table, Max(n, 1), collection->context);
	Datum	   *values = palloc0(sizeof(Datum) * Max(table->nkey_columns, 1));
	bool	   *isnull = palloc(sizeof(bool) * Max(table->nkey_columns, 1));
	Relation	rel = table_open(collection->relid, AccessShareLock);
	DgImager   *imager = dg_imager_create(RelationGetDescr(rel), table->identity,
										  table->nidentity, collection->context);
	int			pin = dg_imager_pin_settings(imager);
	DgRoleState saved;

	/*
	 * keys are read under the settings that they were written under, and by
	 * the table's owner: reading may check constraints of domains
	 */
	dg_act_as(dg_relation_owner(collection->relid), &saved);
	for (int i = 0; i < n; i++)
	{
		memset(isnull, true, sizeof(bool) * Max(table->nkey_columns, 1));
		key_from_jsonb(table, getIthJsonbValueFromContainer(&keys->root, i), values, isnull);
		dg_keys_add_datums(wanted, values, isnull);
	}
	dg_act_back(&saved);
	dg_imager_unpin_settings(pin);
	table_close(rel, NoLock);
	dg_dependents_find_rows(collection->dependents, wanted, found_row, collection);
}

/* Found-row callback */
static void
found_row(void *arg, int row, Oid relid, TupleTableSlot *slot)
{
	collect_slot(arg, relid, slot);
}

/* Identity columns from a key's image, through the types' input functions */
static void
key_from_jsonb(const DgTable *table, JsonbValue *key, Datum *values, bool *isnull)
{
	for (int i = 0; i < table->nidentity; i++)
	{
		char	   *name = get_attname(table->relid, table->identity[i], false);
		JsonbValue	buffer;
		JsonbValue *value = NULL;
		Oid			type;
		int32		typmod;
		Oid			collation;
		Oid			input;
		Oid			ioparam;

		if (key->type == jbvBinary && JsonContainerIsObject(key->val.binary.data))
			value = getKeyJsonValueFromContainer(key->val.binary.data, name, strlen(name), &buffer);
		isnull[i] = value == NULL || value->type == jbvNull;
		if (isnull[i])
			continue;
		get_atttypetypmodcoll(table->relid, table->identity[i], &type, &typmod, &collation);
		getTypeInputInfo(type, &input, &ioparam);
		values[i] = OidInputFunctionCall(input, jsonb_value_text(value), ioparam, typmod);
	}
}

/* A jsonb value as its column's type reads it */
static char *
jsonb_value_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   PointerGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return JsonbToCString(NULL, &JsonbValueToJsonb(value)->root, 0);
	}
}

/*
 * All rows collected, as one set.
 */
DgRowSet *
dg_collect_rows(DgCollection *collection)
{
	Relation	rel = table_open(collection->relid, AccessShareLock);
	DgRowSet   *all = dg_rowset_create(dg_dependents_table(collection->dependents),
									   RelationGetDescr(rel), collection->context);
	ListCell   *lc;

	table_close(rel, NoLock);
	foreach(lc, collection->parts)
		dg_rowset_absorb(all, ((DgCollected *) lfirst(lc))->rows);
	return all;
}

/* Have the references looked at that a change of keys may leave behind */
static void
look_as_for_update(DgDependents *dependents)
{
	DgTable    *table = dg_dependents_table(dependents);
	bool	   *concerned = palloc(sizeof(bool) * Max(table->nreferences, 1));

	for (int i = 0; i < table->nreferences; i++)
		concerned[i] = table->references[i].on_update != DG_EFFECT_FOLLOW;
	dg_dependents_for_update(dependents, concerned);
}

/*
 * What hangs on the rows, as jsonb in the current context: what the operation
 * on them ("delete", "truncate", "key change") would reach.
 */
Jsonb *
dg_collect_radius(DgCollection *collection, const char *operation)
{
	DgRadius   *radius = dg_radius_create(collection->context, NULL, NULL);
	Jsonb	   *result;
	ListCell   *lc;

	foreach(lc, collection->parts)
	{
		DgCollected *part = lfirst(lc);

		/* rows asked about are going too, in whatever part */
		dg_dependents_exclude_same(part->dependents, collection->dependents);
		if (strcmp(operation, "key change") == 0)
			look_as_for_update(part->dependents);
		else if (strcmp(operation, "truncate") == 0)
			dg_dependents_for_truncate(part->dependents, InvalidOid);
		dg_radius_add(radius, part->dependents, part->rows->keys);
	}
	result = dg_radius_jsonb(radius);
	dg_radius_free(radius);
	return result;
}

/*
 * What is known of the table; valid until dg_collect_end.
 */
DgTable *
dg_collect_table(DgCollection *collection)
{
	return dg_dependents_table(collection->dependents);
}

/*
 * Free everything.
 */
void
dg_collect_end(DgCollection *collection)
{
	ListCell   *lc;

	foreach(lc, collection->parts)
	{
		DgCollected *part = lfirst(lc);

		ExecDropSingleTupleTableSlot(part->slot);
		dg_dependents_end(part->dependents);
		table_close(part->rel, NoLock);
	}
	dg_dependents_end(collection->dependents);
	MemoryContextDelete(collection->context);
}
