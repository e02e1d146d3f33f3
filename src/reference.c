/*-------------------------------------------------------------------------
 *
 * reference.c
 *	  all references to a table, cached: foreign keys and declared ones
 *
 * Words.  The "referenced" side is the table whose rows may be removed, the
 * "referencing" side holds the rows that hang on it.  A "leaf" is a relation
 * with rows on the referencing side: the table itself, or each partition of
 * it.  The "identity" is the key by which a row is named in the audit log: the
 * primary key, else a unique index without NULLs.
 *
 * Which references count for a partition: those to itself and those to the
 * tables it is a partition of.  A foreign key to an inheritance parent says
 * nothing about rows of its children, so for children only declared
 * references of the parent are inherited.
 *
 * Equality is the reference's own: a foreign key's operators come from
 * pg_constraint.conpfeqop, a declared reference's from the default btree
 * operator class of the referenced column, as ALTER TABLE ADD FOREIGN KEY
 * would choose them.  Neither is looked up by name.
 *
 * Foreign keys are found through pg_depend, which has an index on the
 * referenced object and knows also those that have no triggers (NOT ENFORCED).
 *
 * Lifetime.  An entry lives in a context of its own below the cache's.  It is
 * valid as long as the generation is the one it was built in; a stale entry
 * that somebody still has pinned is freed when it is released.  A caller that
 * errors out leaves its pin behind, and the entry then lives until the
 * backend ends; its size is bounded by the number of references.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "leaf.h"
#include "lookup.h"
#include "reference.h"
#include "sql.h"

typedef struct DgTableEntry
{
	Oid			relid;			/* hash key */
	DgTable    *table;
} DgTableEntry;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static uint64 cache_generation = 0;

static void cache_flush(void);
static DgTable *table_build(Oid relid);
static void table_build_identity(DgTable *table);
static void table_build_storage(DgTable *table);
static List *collect_references(DgTable *table);
static List *foreign_keys_to(Oid relid);
static DgReference *reference_from_constraint(DgTable *table, Oid conoid);
static DgReference *reference_from_declaration(DgTable *table, DgDeclaration *declaration);
static DgReference *reference_self_key(DgTable *table);
static void reference_finish(DgTable *table, DgReference *ref, List *leaf_relids);
static void column_finish(DgReferenceColumn *column, Oid referencing_type);
static void column_hash_functions(DgReferenceColumn *column);
static int	key_column_position(DgTable *table, int16 attnum);
static List *leaves_of(Oid relid, bool with_children);
static DgEffect effect_of_action(char action);

/*
 * The entry for a relation, built or rebuilt if needed, pinned until
 * dg_table_release.  The caller holds a lock on the relation.
 */
DgTable *
dg_table_acquire(Oid relid)
{
	DgTableEntry *entry;
	bool		found;

	AcceptInvalidationMessages();
	if (cache == NULL || cache_generation != dg_catalog_generation())
		cache_flush();

	entry = hash_search(cache, &relid, HASH_ENTER, &found);
	if (!found)
		entry->table = NULL;
	if (entry->table == NULL)
	{
		DgTable    *built = table_build(relid);

		/* building may have accepted messages, and so flushed nothing yet */
		entry = hash_search(cache, &relid, HASH_ENTER, NULL);
		entry->table = built;
	}
	entry->table->pins++;
	return entry->table;
}

/*
 * Give back an entry.
 */
void
dg_table_release(DgTable *table)
{
	Assert(table->pins > 0);
	table->pins--;
	if (table->pins == 0 && table->generation != cache_generation)
		MemoryContextDelete(table->context);
}

/*
 * May something that the entry was built from have changed since?
 */
bool
dg_table_is_stale(const DgTable *table)
{
	return table->generation != dg_catalog_generation();
}

/* Drop all entries that nobody has pinned, and start a new generation */
static void
cache_flush(void)
{
	HASHCTL		ctl;

	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "delete_guard reference cache",
											  ALLOCSET_SMALL_SIZES);
	if (cache)
	{
		HASH_SEQ_STATUS status;
		DgTableEntry *entry;

		hash_seq_init(&status, cache);
		while ((entry = hash_seq_search(&status)) != NULL)
		{
			if (entry->table && entry->table->pins == 0)
				MemoryContextDelete(entry->table->context);
		}
		hash_destroy(cache);
	}
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(DgTableEntry);
	ctl.hcxt = cache_context;
	cache = hash_create("delete_guard tables", 32, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dg_catalog_unwatch_all();
	cache_generation = dg_catalog_generation();
}

/* Build the entry for one relation, in a context of its own */
static DgTable *
table_build(Oid relid)
{
	MemoryContext context;
	MemoryContext old;
	DgTable    *table;
	List	   *references;
	ListCell   *lc;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"delete_guard table", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	table = palloc0(sizeof(DgTable));
	table->context = context;
	table->relid = relid;
	table->generation = cache_generation;
	dg_catalog_watch(relid);

	table->is_protected = dg_protection_find(relid, &table->protection);
	table->row_by_row = list_length(dg_ancestors(relid)) > 1 ||
		get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ||
		has_subclass(relid);
	table_build_identity(table);

	references = collect_references(table);
	table->references = palloc(sizeof(DgReference) * Max(list_length(references), 1));
	foreach(lc, references)
		table->references[table->nreferences++] = *(DgReference *) lfirst(lc);
	table->is_partition = get_rel_relispartition(relid);
	if (table->nidentity > 0)
		table->self_key = reference_self_key(table);
	table_build_storage(table);

	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, cache_context);
	return table;
}

/*
 * Choose the identity; its columns are the first key columns.  Below a
 * protected table it is that table's, so that a row has the same key wherever
 * it is.  An inheritance child need not have a key of its own at all.
 */
static void
table_build_identity(DgTable *table)
{
	List	   *relids = table->is_protected ?
		list_make2_oid(table->protection.relid, table->relid) : dg_ancestors(table->relid);
	ListCell   *lc;

	table->key_columns = palloc(sizeof(int16) * (DG_MAX_KEYS * 2));
	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);

		table->nidentity = dg_identity_columns(relid, table->identity);
		for (int i = 0; relid != table->relid && i < table->nidentity; i++)
			table->identity[i] = get_attnum(table->relid,
											get_attname(relid, table->identity[i], false));
		if (table->nidentity > 0)
			break;
	}
	for (int i = 0; i < table->nidentity; i++)
		(void) key_column_position(table, table->identity[i]);
}

/* How the values of the key columns are stored */
static void
table_build_storage(DgTable *table)
{
	table->key_typlen = palloc(sizeof(int16) * Max(table->nkey_columns, 1));
	table->key_typbyval = palloc(sizeof(bool) * Max(table->nkey_columns, 1));
	for (int i = 0; i < table->nkey_columns; i++)
		get_typlenbyval(get_atttype(table->relid, table->key_columns[i]),
						&table->key_typlen[i], &table->key_typbyval[i]);
}

/* Position of a column among the key columns, added if new */
static int
key_column_position(DgTable *table, int16 attnum)
{
	for (int i = 0; i < table->nkey_columns; i++)
	{
		if (table->key_columns[i] == attnum)
			return i;
	}
	/* the array grows by powers of two, from twice DG_MAX_KEYS on */
	if (table->nkey_columns >= DG_MAX_KEYS * 2 &&
		(table->nkey_columns & (table->nkey_columns - 1)) == 0)
		table->key_columns = repalloc(table->key_columns,
									  sizeof(int16) * table->nkey_columns * 2);
	table->key_columns[table->nkey_columns] = attnum;
	return table->nkey_columns++;
}

/* All references to the table: list of DgReference */
static List *
collect_references(DgTable *table)
{
	List	   *ancestors = dg_ancestors(table->relid);
	List	   *result = NIL;
	bool		partition = true;	/* all steps so far were partitioning? */
	ListCell   *lc;

	foreach(lc, ancestors)
	{
		Oid			relid = lfirst_oid(lc);
		ListCell   *con;

		dg_catalog_watch(relid);
		if (relid != table->relid &&
			get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
			partition = false;
		if (!partition)
			continue;
		foreach(con, foreign_keys_to(relid))
			result = lappend(result,
							 reference_from_constraint(table, lfirst_oid(con)));
	}
	foreach(lc, dg_declarations_to(ancestors))
		result = lappend(result, reference_from_declaration(table, lfirst(lc)));
	return result;
}

/* OIDs of the foreign keys whose own (not derived) target is this relation */
static List *
foreign_keys_to(Oid relid)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		HeapTuple	contup;

		if (form->classid != ConstraintRelationId)
			continue;
		contup = SearchSysCache1(CONSTROID, ObjectIdGetDatum(form->objid));
		if (!HeapTupleIsValid(contup))
			continue;
		if (((Form_pg_constraint) GETSTRUCT(contup))->contype == CONSTRAINT_FOREIGN &&
			((Form_pg_constraint) GETSTRUCT(contup))->confrelid == relid &&
			!OidIsValid(((Form_pg_constraint) GETSTRUCT(contup))->conparentid))
			result = list_append_unique_oid(result, form->objid);
		ReleaseSysCache(contup);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return result;
}

/* A reference from pg_constraint */
static DgReference *
reference_from_constraint(DgTable *table, Oid conoid)
{
	DgReference *ref = palloc0(sizeof(DgReference));
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(conoid));
	Form_pg_constraint con;
	AttrNumber	conkey[INDEX_MAX_KEYS];
	AttrNumber	confkey[INDEX_MAX_KEYS];
	Oid			pfeqop[INDEX_MAX_KEYS];
	Oid			ppeqop[INDEX_MAX_KEYS];
	Oid			ffeqop[INDEX_MAX_KEYS];
	AttrNumber	setcols[INDEX_MAX_KEYS];
	int			nsetcols;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", conoid);
	con = (Form_pg_constraint) GETSTRUCT(tuple);
	DeconstructFkConstraintRow(tuple, &ref->ncolumns, conkey, confkey,
							   pfeqop, ppeqop, ffeqop, &nsetcols, setcols);
	ref->kind = DG_CONSTRAINT_ENFORCED(con) ? DG_REF_FOREIGN_KEY : DG_REF_NOT_ENFORCED;
	ref->name = pstrdup(NameStr(con->conname));
	ref->constraint = conoid;
	ref->referencing = con->conrelid;
	ref->referenced = con->confrelid;
	ref->on_delete = ref->kind == DG_REF_NOT_ENFORCED ? DG_EFFECT_DANGLE :
		effect_of_action(con->confdeltype);
	ref->on_update = ref->kind == DG_REF_NOT_ENFORCED ? DG_EFFECT_DANGLE :
		con->confupdtype == FKCONSTR_ACTION_CASCADE ? DG_EFFECT_FOLLOW :
		effect_of_action(con->confupdtype);
	ref->deferred = con->confdeltype == FKCONSTR_ACTION_NOACTION && con->condeferred;
	ref->columns = palloc0(sizeof(DgReferenceColumn) * ref->ncolumns);
	for (int i = 0; i < ref->ncolumns; i++)
	{
		ref->columns[i].referenced = confkey[i];
		ref->columns[i].referencing = conkey[i];
		ref->columns[i].eq_op = pfeqop[i];
		ref->columns[i].set_on_delete = nsetcols == 0;
		for (int j = 0; j < nsetcols; j++)
			ref->columns[i].set_on_delete |= setcols[j] == conkey[i];
	}
	ReleaseSysCache(tuple);
	reference_finish(table, ref, leaves_of(ref->referencing, false));
	return ref;
}

/* A reference from declared_reference */
static DgReference *
reference_from_declaration(DgTable *table, DgDeclaration *declaration)
{
	DgReference *ref = palloc0(sizeof(DgReference));

	ref->kind = DG_REF_DECLARED;
	ref->name = declaration->name;
	ref->referencing = declaration->referencing;
	ref->referenced = declaration->referenced;
	ref->on_delete = DG_EFFECT_DANGLE;
	ref->on_update = DG_EFFECT_DANGLE;
	ref->condition = declaration->condition;
	ref->ncolumns = declaration->ncolumns;
	ref->columns = palloc0(sizeof(DgReferenceColumn) * ref->ncolumns);
	for (int i = 0; i < ref->ncolumns; i++)
	{
		DgReferenceColumn *column = &ref->columns[i];

		column->referenced = declaration->referenced_attnums[i];
		column->referencing = declaration->referencing_attnums[i];
		if (!dg_column_operator(get_atttype(ref->referenced, column->referenced),
								get_atttype(ref->referencing, column->referencing),
								&column->eq_op))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("declared reference \"%s\" compares columns of types that no longer have an equality operator",
							ref->name),
					 errhint("Run SELECT delete_guard.forget_reference(%s) and declare the reference again.",
							 quote_literal_cstr(ref->name))));
	}
	reference_finish(table, ref, leaves_of(ref->referencing, true));
	return ref;
}

/*
 * A reference from the protected table that covers this one (else from the
 * root, else from the table itself) by the identity: finds rows by their key,
 * also one that a partition move put elsewhere.
 */
static DgReference *
reference_self_key(DgTable *table)
{
	DgReference *ref = palloc0(sizeof(DgReference));
	Oid			root = table->is_protected ? table->protection.relid :
		table->is_partition ? llast_oid(get_partition_ancestors(table->relid)) :
		table->relid;

	ref->kind = DG_REF_SELF_KEY;
	ref->name = "key";
	ref->referencing = root;
	ref->referenced = table->relid;
	ref->ncolumns = table->nidentity;
	ref->columns = palloc0(sizeof(DgReferenceColumn) * ref->ncolumns);
	for (int i = 0; i < ref->ncolumns; i++)
	{
		DgReferenceColumn *column = &ref->columns[i];
		Oid			type = get_atttype(table->relid, table->identity[i]);

		column->referenced = table->identity[i];
		column->referencing = get_attnum(root, get_attname(table->relid,
														   table->identity[i], false));
		if (!dg_column_operator(type, type, &column->eq_op))
			return NULL;
	}
	reference_finish(table, ref, leaves_of(root, true));
	return ref;
}

/*
 * Common part: map the referenced columns to this relation, look up functions,
 * set up the leaves.
 */
static void
reference_finish(DgTable *table, DgReference *ref, List *leaf_relids)
{
	Expr	   *condition = NULL;
	ListCell   *lc;

	dg_catalog_watch(ref->referencing);
	ref->hashable = true;
	for (int i = 0; i < ref->ncolumns; i++)
	{
		DgReferenceColumn *column = &ref->columns[i];
		Oid			type;
		int32		typmod;

		if (ref->referenced != table->relid)
			column->referenced = get_attnum(table->relid,
											get_attname(ref->referenced, column->referenced, false));
		get_atttypetypmodcoll(table->relid, column->referenced,
							  &type, &typmod, &column->collation);
		column->key_position = key_column_position(table, column->referenced);
		column_finish(column, get_atttype(ref->referencing, column->referencing));
		if (!OidIsValid(column->hash_referenced))
			ref->hashable = false;
		if (column->eq_proc >= FirstNormalObjectId ||
			column->cast_func >= FirstNormalObjectId)
			ref->needs_owner = true;
	}
	if (ref->condition)
	{
		DgRoleState saved;

		ref->needs_owner = true;
		dg_catalog_watch_functions();
		dg_act_as(dg_relation_owner(ref->referencing), &saved);
		condition = dg_condition_parse(ref->referencing, ref->condition);
		condition = (Expr *) eval_const_expressions(NULL, (Node *) condition);
		dg_act_back(&saved);
	}

	ref->leaves = palloc0(sizeof(DgReferenceLeaf) * Max(list_length(leaf_relids), 1));
	foreach(lc, leaf_relids)
	{
		DgReferenceLeaf *leaf = &ref->leaves[ref->nleaves++];

		leaf->relid = lfirst_oid(lc);
		dg_catalog_watch(leaf->relid);
		dg_leaf_build(ref, leaf, condition);
		if (!ref->on_itself)
			ref->on_itself = leaf->relid == table->relid ||
				list_member_oid(dg_ancestors(leaf->relid), table->is_protected ? table->protection.relid : table->relid);
	}
}

/* Functions for one column pair */
static void
column_finish(DgReferenceColumn *column, Oid referencing_type)
{
	Oid			left;
	Oid			right;

	column->eq_proc = get_opcode(column->eq_op);
	column->index_op = get_commutator(column->eq_op);
	op_input_types(column->eq_op, &left, &right);
	if (!IsBinaryCoercible(referencing_type, right))
	{
		CoercionPathType path = find_coercion_pathway(right, getBaseType(referencing_type),
													  COERCION_IMPLICIT,
													  &column->cast_func);

		if (path != COERCION_PATH_FUNC && path != COERCION_PATH_RELABELTYPE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot follow a reference from type %s to type %s",
							format_type_be(referencing_type), format_type_be(left))));
	}
	column_hash_functions(column);
}

/*
 * Hash functions for both sides, if the operator is hashable and compares
 * under a collation that hashing honours.
 */
static void
column_hash_functions(DgReferenceColumn *column)
{
	RegProcedure left;
	RegProcedure right;
	Oid			lefttype;
	Oid			righttype;

	op_input_types(column->eq_op, &lefttype, &righttype);
	if (!op_hashjoinable(column->eq_op, lefttype) ||
		!get_op_hash_functions(column->eq_op, &left, &right))
		return;
	/* hashing of different types need not agree on such a collation */
	if (left != right && OidIsValid(column->collation) &&
		!get_collation_isdeterministic(column->collation))
		return;
	column->hash_referenced = left;
	column->hash_referencing = right;
}

/*
 * The relations with rows below (and including) a table.  A foreign key on an
 * inheritance parent does not reach its children, a declared reference does.
 */
static List *
leaves_of(Oid relid, bool with_children)
{
	List	   *all;
	List	   *result = NIL;
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE && !with_children)
		return list_make1_oid(relid);
	all = find_all_inheritors(relid, AccessShareLock, NULL);
	foreach(lc, all)
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));

		dg_catalog_watch(lfirst_oid(lc));
		if (relkind == RELKIND_FOREIGN_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot look for references in foreign table \"%s\"",
							get_rel_name(lfirst_oid(lc)))));
		if (relkind != RELKIND_PARTITIONED_TABLE)
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

/* What a foreign key's ON DELETE (or ON UPDATE) action does */
static DgEffect
effect_of_action(char action)
{
	switch (action)
	{
		case FKCONSTR_ACTION_CASCADE:
			return DG_EFFECT_DELETE;
		case FKCONSTR_ACTION_SETNULL:
			return DG_EFFECT_SET_NULL;
		case FKCONSTR_ACTION_SETDEFAULT:
			return DG_EFFECT_SET_DEFAULT;
		default:
			return DG_EFFECT_REFUSE;
	}
}
