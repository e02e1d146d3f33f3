/*-------------------------------------------------------------------------
 *
 * guarded.c
 *	  which protected table an object of the catalogs belongs to
 *
 * Words.  A relation is "guarded" if it is registered in protected_table or
 * lies below a table that is.  A "key column" is one that identifies rows or
 * that a reference refers to; a "watched" column is one that the condition of
 * the key trigger names; a "key index" is a unique index over exactly the
 * columns of one key.
 *
 * Everything here is asked in the middle of DDL, of every database that the
 * library is loaded in: nothing may fail where the extension is absent or half
 * gone, and nothing takes locks on tables beyond the catalogs and a protected
 * table of which a column, constraint or index is meant.  What was changed by
 * the command that is under way is seen (SnapshotSelf) where it says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "arm.h"
#include "compat.h"
#include "guarded.h"
#include "reference.h"
#include "sql.h"

static List *stored_oids(const char *own_table, const char *column);
static bool has_twin(Form_pg_index form);
static bool same_columns(Form_pg_index form, const int16 *attnums, int n);
static HeapTuple own_changes_seen(Oid catalog, Oid index, AttrNumber attnum, Oid object);
static bool type_contains(Oid type, Oid wanted);
static bool rowtype_contains(Oid rowtype, Oid wanted);
static int	constraint_columns(HeapTuple tuple, int attnum, int16 **columns);

/*
 * Our extension's number, InvalidOid if it is not in this database or its
 * tables are not (yet, or any more) there.
 */
Oid
dg_own_extension(void)
{
	if (!OidIsValid(dg_own_relation_if_any("protected_table")))
		return InvalidOid;
	return get_extension_oid("delete_guard", true);
}

/*
 * The role that owns the extension, InvalidOid if it is not in this database.
 */
Oid
dg_extension_owner(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	Oid			result = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("delete_guard"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Is a script of our own extension running?
 */
bool
dg_in_own_script(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("delete_guard", true);
}

/*
 * The tables that are registered; list of OIDs in the current context.  NIL
 * also where there is no extension.
 */
List *
dg_guarded_tables(void)
{
	return stored_oids("protected_table", "table_id");
}

/*
 * Tables that are gone, of those that are registered, that a declared reference
 * is from or to, or that an approver is for.  List of OIDs.
 */
List *
dg_gone_tables(void)
{
	List	   *stored = list_concat_unique_oid(stored_oids("protected_table", "table_id"),
												stored_oids("declared_reference", "referencing"));
	List	   *result = NIL;
	ListCell   *lc;

	stored = list_concat_unique_oid(stored, stored_oids("declared_reference", "referenced"));
	stored = list_concat_unique_oid(stored, stored_oids("approver", "table_id"));
	foreach(lc, stored)
	{
		if (OidIsValid(lfirst_oid(lc)) && get_rel_name(lfirst_oid(lc)) == NULL)
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

/* A column of an own table, of a type that is an OID, sorted; NIL if it is not there */
static List *
stored_oids(const char *own_table, const char *column)
{
	List	   *result = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	AttrNumber	attnum;

	if (!OidIsValid(dg_own_extension()))
		return NIL;
	rel = table_open(dg_own_relation(own_table), AccessShareLock);
	attnum = get_attnum(RelationGetRelid(rel), column);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		result = lappend_oid(result,
							 DatumGetObjectId(heap_getattr(tuple, attnum, RelationGetDescr(rel), &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(result, list_oid_cmp);
	return result;
}

/*
 * The registered table that guards a relation: itself or the nearest above it;
 * InvalidOid if there is none.  Temporary tables never are: what they hold ends
 * with the session.
 */
Oid
dg_guarded_by(Oid relid)
{
	DgProtection protection;
	char		relkind = get_rel_relkind(relid);

	if ((relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		 relkind != RELKIND_FOREIGN_TABLE) ||
		get_rel_persistence(relid) == RELPERSISTENCE_TEMP ||
		!OidIsValid(dg_own_extension()))
		return InvalidOid;
	return dg_protection_find(relid, &protection) ? protection.relid : InvalidOid;
}

/*
 * Registered tables that a change to a relation and everything below it
 * touches: the one that guards it, those below it, and those that are typed by
 * it.  List of OIDs.
 */
List *
dg_guarded_touched(Oid relid)
{
	Oid			above = dg_guarded_by(relid);
	List	   *result = OidIsValid(above) ? list_make1_oid(above) : NIL;
	ListCell   *lc;

	foreach(lc, dg_guarded_tables())
	{
		Oid			table_id = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table_id));
		Oid			typed;

		if (!HeapTupleIsValid(tuple))
			continue;
		typed = ((Form_pg_class) GETSTRUCT(tuple))->reloftype;
		ReleaseSysCache(tuple);
		if ((OidIsValid(typed) && typed == get_rel_type_id(relid)) ||
			(table_id != relid && list_member_oid(dg_ancestors(table_id), relid)))
			result = list_append_unique_oid(result, table_id);
	}
	return result;
}

/*
 * Registered tables with a key column of a composite type, or one that is made
 * of it.  List of OIDs.
 */
List *
dg_guarded_typed(Oid type)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, dg_guarded_tables())
	{
		DgTable    *table;

		/* hardly ever; so no locks on tables that are not concerned */
		if (get_rel_name(lfirst_oid(lc)) == NULL ||
			!rowtype_contains(get_rel_type_id(lfirst_oid(lc)), type))
			continue;
		table = dg_table_acquire(lfirst_oid(lc));
		for (int i = 0; i < table->nkey_columns; i++)
		{
			if (type_contains(get_atttype(lfirst_oid(lc), table->key_columns[i]), type))
				result = list_append_unique_oid(result, lfirst_oid(lc));
		}
		dg_table_release(table);
	}
	return result;
}

/* Is a type this one, or made of it: a domain, an array, a range, a row? */
static bool
type_contains(Oid type, Oid wanted)
{
	Oid			part = InvalidOid;

	check_stack_depth();
	if (type == wanted)
		return true;
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			part = getBaseType(type);
			break;
		case TYPTYPE_RANGE:
			part = get_range_subtype(type);
			break;
		case TYPTYPE_MULTIRANGE:
			part = get_multirange_range(type);
			break;
		case TYPTYPE_COMPOSITE:
			return rowtype_contains(type, wanted);
		default:
			part = get_element_type(type);
			break;
	}
	return OidIsValid(part) && type_contains(part, wanted);
}

/* The same for the columns of a composite type */
static bool
rowtype_contains(Oid rowtype, Oid wanted)
{
	Oid			relid = get_typ_typrelid(rowtype);
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts;

	if (!HeapTupleIsValid(tuple))
		return false;
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
	{
		Oid			type = get_atttype(relid, attnum);

		if (OidIsValid(type) && type_contains(type, wanted))
			return true;
	}
	return false;
}

/*
 * Is this a key column of a guarded relation?
 */
bool
dg_is_key_column(Oid relid, AttrNumber attnum)
{
	DgTable    *table = dg_table_acquire(relid);
	bool		result = false;

	for (int i = 0; i < table->nkey_columns; i++)
		result = result || table->key_columns[i] == attnum;
	dg_table_release(table);
	return result;
}

/*
 * Do our key triggers on this relation name the column?
 */
bool
dg_is_watched_column(Oid relid, AttrNumber attnum)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	Bitmapset  *watched = NULL;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgqual && dg_is_trigger_name(trigger->tgname))
			pull_varattnos(stringToNode(trigger->tgqual), PRS2_OLD_VARNO, &watched);
	}
	relation_close(rel, AccessShareLock);
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, watched);
}

/*
 * Is this the unique index of a key of a guarded relation, *relid?  An index
 * that is no longer valid, as one being replaced, is not.
 */
bool
dg_is_key_index(Oid indexoid, Oid *relid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexoid));
	Form_pg_index form;
	bool		result = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	if (form->indisunique && form->indisvalid && OidIsValid(dg_guarded_by(form->indrelid)))
	{
		DgTable    *table = dg_table_acquire(form->indrelid);

		*relid = form->indrelid;
		result = table->nidentity > 0 && same_columns(form, table->identity, table->nidentity);
		for (int i = 0; i < table->nreferences && !result; i++)
		{
			const DgReference *ref = &table->references[i];
			int16		attnums[DG_MAX_KEYS];

			for (int j = 0; j < ref->ncolumns; j++)
				attnums[j] = ref->columns[j].referenced;
			result = same_columns(form, attnums, ref->ncolumns);
		}
		dg_table_release(table);
		result = result && !(has_twin(form) && !form->indisprimary);
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Is there another index of the same columns that keeps them unique?  It does
 * not count while it is being dropped, as each index goes by itself.
 */
static bool
has_twin(Form_pg_index form)
{
	Relation	rel = relation_open(form->indrelid, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index;

		if (lfirst_oid(lc) == form->indexrelid)
			continue;
		index = index_open(lfirst_oid(lc), AccessShareLock);
		if (index->rd_index->indisunique && index->rd_index->indisvalid &&
			index->rd_index->indimmediate &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) &&
			same_columns(index->rd_index, form->indkey.values, form->indnkeyatts))
			found = true;
		index_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return found;
}

/* Is an index over exactly these columns, in any order? */
static bool
same_columns(Form_pg_index form, const int16 *attnums, int n)
{
	int			matched = 0;

	for (int i = 0; i < form->indnkeyatts; i++)
	{
		for (int j = 0; j < n; j++)
			matched += form->indkey.values[i] == attnums[j];
	}
	return form->indnkeyatts == n && matched == n;
}

/*
 * Is this the name of one of our triggers?
 */
bool
dg_is_trigger_name(const char *name)
{
	static const char *const names[] = {DG_TRIGGER_DELETE, DG_TRIGGER_KEY,
		DG_TRIGGER_KEY_OWN, DG_TRIGGER_KEY_UNNAMED, DG_TRIGGER_TRUNCATE, DG_TRIGGER_END_DELETE,
		DG_TRIGGER_END_UPDATE};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Has a relation, or one below it, any of our triggers?
 */
bool
dg_has_own_trigger(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (OidIsValid(get_trigger_oid(lfirst_oid(lc), DG_TRIGGER_DELETE, true)) ||
			OidIsValid(get_trigger_oid(lfirst_oid(lc), DG_TRIGGER_KEY, true)) ||
			OidIsValid(get_trigger_oid(lfirst_oid(lc), DG_TRIGGER_TRUNCATE, true)))
			return true;
	}
	return false;
}

/*
 * Look at a trigger as the command under way has left it.  False if it is not
 * one of ours on a guarded relation.
 */
bool
dg_own_trigger(Oid trigger, DgOwnTrigger *result)
{
	HeapTuple	tuple = own_changes_seen(TriggerRelationId, TriggerOidIndexId,
									 Anum_pg_trigger_oid, trigger);
	Form_pg_trigger form;

	if (tuple == NULL)
		return false;
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	result->relid = form->tgrelid;
	result->enabled = form->tgenabled == TRIGGER_FIRES_ALWAYS ||
		form->tgenabled == dg_arm_enabled(NameStr(form->tgname));
	result->own_name = dg_is_trigger_name(NameStr(form->tgname));
	result->own_function = dg_is_own_function(form->tgfoid);
	return (result->own_function || result->own_name) && OidIsValid(dg_guarded_by(result->relid));
}

/*
 * The relation that a trigger is on, as the command under way has left it.
 */
Oid
dg_trigger_relation(Oid trigger)
{
	HeapTuple	tuple = own_changes_seen(TriggerRelationId, TriggerOidIndexId,
										 Anum_pg_trigger_oid, trigger);

	return tuple ? ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid : InvalidOid;
}

/*
 * Is a trigger on one of our own tables there, and as the extension has made it:
 * its function without arguments, for all that is done to the table, always?
 */
bool
dg_own_table_trigger_intact(Oid relid, const char *name)
{
	HeapTuple	tuple = own_changes_seen(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid,
										 get_trigger_oid(relid, name, true));
	bool		row = strcmp(name, "delete_guard_own_row") == 0;
	Relation	rel;
	Form_pg_trigger form;
	bool		no_condition;

	if (tuple == NULL)
		return false;
	rel = table_open(TriggerRelationId, AccessShareLock);
	(void) heap_getattr(tuple, Anum_pg_trigger_tgqual, RelationGetDescr(rel), &no_condition);
	table_close(rel, AccessShareLock);
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	return form->tgenabled == TRIGGER_FIRES_ALWAYS && dg_is_own_function(form->tgfoid) &&
		strcmp(get_func_name(form->tgfoid), "_guard_own") == 0 &&
		form->tgtype == (TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
						 TRIGGER_TYPE_DELETE | (row ? TRIGGER_TYPE_ROW : TRIGGER_TYPE_TRUNCATE)) &&
		no_condition && form->tgattr.dim1 == 0 && form->tgnargs == 0 && !form->tgdeferrable;
}

/*
 * The relation that a rule is on, as the command under way has left it.
 */
Oid
dg_rule_relation(Oid rule)
{
	HeapTuple	tuple = own_changes_seen(RewriteRelationId, RewriteOidIndexId,
										 Anum_pg_rewrite_oid, rule);

	return tuple ? ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class : InvalidOid;
}

/*
 * Has the command under way left an event trigger of ours as it should be:
 * firing always, under its name?
 */
bool
dg_event_trigger_intact(Oid event_trigger)
{
	HeapTuple	tuple = own_changes_seen(EventTriggerRelationId, EventTriggerOidIndexId,
										 Anum_pg_event_trigger_oid, event_trigger);

	return tuple &&
		((Form_pg_event_trigger) GETSTRUCT(tuple))->evtenabled == TRIGGER_FIRES_ALWAYS &&
		strncmp(NameStr(((Form_pg_event_trigger) GETSTRUCT(tuple))->evtname),
				"delete_guard_", strlen("delete_guard_")) == 0;
}

/*
 * Has the command under way left a function of ours as the extension has made
 * it: the library's of that name, with the rights of whoever calls it?
 */
bool
dg_function_intact(Oid function)
{
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	HeapTuple	tuple = own_changes_seen(ProcedureRelationId, ProcedureOidIndexId,
										 Anum_pg_proc_oid, function);
	Form_pg_proc form;
	bool		no_source = true;
	bool		no_library = true;
	bool		no_settings = true;
	Datum		source = 0;
	Datum		library = 0;
	char	   *symbol = NULL;

	if (tuple)
	{
		form = (Form_pg_proc) GETSTRUCT(tuple);
		source = heap_getattr(tuple, Anum_pg_proc_prosrc, RelationGetDescr(rel), &no_source);
		library = heap_getattr(tuple, Anum_pg_proc_probin, RelationGetDescr(rel), &no_library);
		(void) heap_getattr(tuple, Anum_pg_proc_proconfig, RelationGetDescr(rel), &no_settings);
		symbol = psprintf("delete_guard%s%s", NameStr(form->proname)[0] == '_' ? "" : "_",
						  NameStr(form->proname));
	}
	table_close(rel, AccessShareLock);
	return tuple && form->prolang == ClanguageId && !form->prosecdef && no_settings &&
		!no_source && strcmp(TextDatumGetCString(source), symbol) == 0 &&
		!no_library && strcmp(TextDatumGetCString(library), "$libdir/delete_guard") == 0;
}

/* A row of a catalog by number, own changes seen; NULL if it is gone */
static HeapTuple
own_changes_seen(Oid catalog, Oid index, AttrNumber attnum, Oid object)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, index, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

/*
 * Is this one of our functions?
 */
bool
dg_is_own_function(Oid function)
{
	return dg_is_own_object(ProcedureRelationId, function);
}

/*
 * Is this object the extension, a member of it, its schema, or an index of one
 * of its tables?
 */
bool
dg_is_own_object(Oid class_id, Oid object)
{
	Oid			extension = dg_own_extension();

	if (!OidIsValid(extension))
		return false;
	if (class_id == ExtensionRelationId)
		return object == extension;
	if (class_id == RelationRelationId && get_rel_relkind(object) == RELKIND_INDEX)
		object = IndexGetRelation(object, true);
	return getExtensionOfObject(class_id, object) == extension;
}

/*
 * Describe a foreign key if it refers to a guarded relation, or to one that has
 * a protected table below it; NULL if it does not, or is the copy of one for a
 * partition.
 */
DgGuardedKey *
dg_guarded_key(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;
	DgGuardedKey *result = NULL;
	List	   *tables;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (form->contype == CONSTRAINT_FOREIGN && !OidIsValid(form->conparentid) &&
		(tables = dg_guarded_touched(form->confrelid)) != NIL)
	{
		result = palloc0(sizeof(DgGuardedKey));
		result->table_id = linitial_oid(tables);
		result->constraint = constraint;
		result->referencing = form->conrelid;
		result->referenced = form->confrelid;
		result->name = pstrdup(NameStr(form->conname));
		result->ncolumns = constraint_columns(tuple, Anum_pg_constraint_conkey, &result->columns);
		(void) constraint_columns(tuple, Anum_pg_constraint_confkey, &result->referenced_columns);
	}
	ReleaseSysCache(tuple);
	return result;
}

/* One of the column lists of a constraint; returns its length */
static int
constraint_columns(HeapTuple tuple, int attnum, int16 **columns)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(CONSTROID, tuple, attnum, &isnull);
	ArrayType  *array;

	if (isnull)
		elog(ERROR, "unexpected null in pg_constraint");
	array = DatumGetArrayTypePCopy(datum);
	*columns = (int16 *) ARR_DATA_PTR(array);
	return ARR_DIMS(array)[0];
}

/*
 * The column that a constraint keeps NULLs out of, as 18 and later have them in
 * pg_constraint; InvalidAttrNumber if it is of another kind.
 */
AttrNumber
dg_not_null_column(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	AttrNumber	result = InvalidAttrNumber;
	int16	   *columns;

	if (!HeapTupleIsValid(tuple))
		return InvalidAttrNumber;
	if (((Form_pg_constraint) GETSTRUCT(tuple))->contype == DG_CONSTRAINT_NOT_NULL &&
		constraint_columns(tuple, Anum_pg_constraint_conkey, &columns) == 1)
		result = columns[0];
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Is a foreign key gone although both tables and its columns are still there,
 * and no other foreign key between the same columns?  If the columns
 * that it referred to have gone, it is.  *along: it went with the table or the
 * columns that referred.
 */
bool
dg_guarded_key_is_lost(const DgGuardedKey *key, bool *along)
{
	Relation	rel;
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	*along = false;
	if (get_rel_name(key->referenced) == NULL)
		return false;
	for (int i = 0; i < key->ncolumns; i++)
	{
		if (!OidIsValid(get_atttype(key->referenced, key->referenced_columns[i])))
			return true;
	}
	for (int i = 0; i < key->ncolumns; i++)
	{
		if (!OidIsValid(get_atttype(key->referencing, key->columns[i])))
		{
			*along = true;
			return false;
		}
	}
	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&scankey, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key->referencing));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL, 1, &scankey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		DgGuardedKey *other;

		if (form->contype != CONSTRAINT_FOREIGN || form->confrelid != key->referenced)
			continue;
		other = dg_guarded_key(form->oid);
		found = found || other == NULL ||
			(other->ncolumns == key->ncolumns &&
			 memcmp(other->columns, key->columns, sizeof(int16) * key->ncolumns) == 0 &&
			 memcmp(other->referenced_columns, key->referenced_columns,
					sizeof(int16) * key->ncolumns) == 0);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return !found;
}
