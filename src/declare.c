/*-------------------------------------------------------------------------
 *
 * declare.c
 *	  SQL functions about references: declare_reference, forget_reference,
 *	  references_to
 *
 * Rights: declaring a reference needs ownership of both tables, as its
 * condition runs as the owner of the referencing one.  Forgetting one needs an
 * approval (see change.c).
 *
 * Locks: SHARE ROW EXCLUSIVE on the referenced table, as ADD FOREIGN KEY takes,
 * so that no removal is under way that would not know of the reference.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/catalog.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "arm.h"
#include "catalog.h"
#include "compat.h"
#include "describe.h"
#include "identity.h"
#include "lookup.h"
#include "reference.h"
#include "setting.h"
#include "sql.h"
#include "steps.h"

PG_FUNCTION_INFO_V1(delete_guard_declare_reference);
PG_FUNCTION_INFO_V1(delete_guard_forget_reference);
PG_FUNCTION_INFO_V1(delete_guard_references_to);

static char *reference_name(Oid referencing, const int16 *attnums, int n);
static void check_declaration(DgDeclaration *declaration);
static void check_reference_side(Relation rel);
static void check_columns(const DgDeclaration *declaration);
static void refuse_virtual_column(Oid relid, AttrNumber attnum);
static void refuse_virtual_columns_in(Oid relid, Expr *condition);
static void check_condition(DgDeclaration *declaration);
static void store_declaration(const DgDeclaration *declaration);
static Datum int2_array(const int16 *numbers, int n);
static void permit_forgetting(const char *name, Oid referenced);
static bool same_declaration_exists(const DgDeclaration *declaration);

/*
 * declare_reference(referencing regclass, referencing_columns name[],
 *					 referenced regclass, referenced_columns name[],
 *					 condition text) returns text
 */
Datum
delete_guard_declare_reference(PG_FUNCTION_ARGS)
{
	DgDeclaration declaration = {0};
	DgProtection protection;
	int			n;

	declaration.referencing = dg_table_argument(fcinfo, 0, "referencing table");
	declaration.referenced = dg_table_argument(fcinfo, 2, "referenced table");
	dg_require_owner(declaration.referencing);
	dg_lock_owned(declaration.referenced);
	LockRelationOid(declaration.referencing, AccessShareLock);
	dg_require_owner(declaration.referencing);

	declaration.ncolumns = dg_columns_argument(fcinfo, 1, declaration.referencing,
											   declaration.referencing_attnums);
	if (PG_ARGISNULL(3))
		n = dg_identity_columns(declaration.referenced, declaration.referenced_attnums);
	else
		n = dg_columns_argument(fcinfo, 3, declaration.referenced,
								declaration.referenced_attnums);
	if (n != declaration.ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("number of referencing and referenced columns must agree"),
				 errdetail("There are %d referencing and %d referenced columns.",
						   declaration.ncolumns, n)));
	if (!PG_ARGISNULL(4))
		declaration.condition = text_to_cstring(PG_GETARG_TEXT_PP(4));
	check_declaration(&declaration);
	declaration.name = reference_name(declaration.referencing, declaration.referencing_attnums,
									  declaration.ncolumns);
	store_declaration(&declaration);
	dg_catalog_changed("declared_reference");
	if (dg_protection_find(declaration.referenced, &protection))
		dg_arm(protection.relid);

	dg_journal_step("declare_reference", declaration.referenced,
					psprintf("{\"name\":%s,\"referencing\":%s}",
				 dg_quote_json(declaration.name), dg_quote_json(dg_qualified_name(declaration.referencing))));
	PG_RETURN_TEXT_P(cstring_to_text(declaration.name));
}

/* Can this association be followed? */
static void
check_declaration(DgDeclaration *declaration)
{
	Oid			relids[2] = {declaration->referencing, declaration->referenced};

	for (int i = 0; i < 2; i++)
	{
		ListCell   *lc;

		foreach(lc, find_all_inheritors(relids[i], AccessShareLock, NULL))
		{
			Relation	rel = relation_open(lfirst_oid(lc), NoLock);

			check_reference_side(rel);
			relation_close(rel, NoLock);
		}
	}
	check_columns(declaration);
	if (declaration->condition)
		check_condition(declaration);
	if (same_declaration_exists(declaration))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("this reference from \"%s\" to \"%s\" is declared already",
						get_rel_name(declaration->referencing),
						get_rel_name(declaration->referenced))));
}

/* Kinds of relations that can stand on either side */
static void
check_reference_side(Relation rel)
{
	char		relkind = rel->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot declare a reference with relation \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail_relkind_not_supported(relkind)));
	if (IsSystemRelation(rel) || rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot declare a reference with table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("It is a system table or a temporary table.")));
}

/* Columns that can be compared, and a key to refer to */
static void
check_columns(const DgDeclaration *declaration)
{
	for (int i = 0; i < declaration->ncolumns; i++)
	{
		Oid			referenced = get_atttype(declaration->referenced,
											 declaration->referenced_attnums[i]);
		Oid			referencing = get_atttype(declaration->referencing,
											  declaration->referencing_attnums[i]);
		Oid			op;

		refuse_virtual_column(declaration->referencing, declaration->referencing_attnums[i]);
		if (!dg_column_operator(referenced, referencing, &op))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("columns \"%s\" and \"%s\" are of incompatible types: %s and %s",
							get_attname(declaration->referencing, declaration->referencing_attnums[i], false),
							get_attname(declaration->referenced, declaration->referenced_attnums[i], false),
							format_type_be(referencing), format_type_be(referenced))));
	}
	if (!dg_has_unique_index(declaration->referenced, declaration->referenced_attnums,
							 declaration->ncolumns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("there is no unique index on the referenced columns of table \"%s\"",
						get_rel_name(declaration->referenced))));
}

/* A virtual generated column (18) has no stored value to look for */
static void
refuse_virtual_column(Oid relid, AttrNumber attnum)
{
	if (DG_IS_VIRTUAL(get_attgenerated(relid, attnum)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot declare a reference by virtual generated column \"%s\"",
						get_attname(relid, attnum, false)),
				 errhint("Refer by the columns that it is generated from, or make it a stored one.")));
}

/* The same for the columns that a condition uses; a whole row uses all */
static void
refuse_virtual_columns_in(Oid relid, Expr *condition)
{
	Relation	rel = relation_open(relid, NoLock);
	int			natts = RelationGetNumberOfAttributes(rel);
	Bitmapset  *used = NULL;

	relation_close(rel, NoLock);
	pull_varattnos((Node *) condition, 1, &used);
	for (int attnum = 1; attnum <= natts; attnum++)
	{
		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, used) ||
			bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, used))
			refuse_virtual_column(relid, attnum);
	}
}

/*
 * Parse the condition as the caller means it now, and replace it by a text
 * that means the same whatever the search_path is.
 */
static void
check_condition(DgDeclaration *declaration)
{
	Expr	   *condition = dg_condition_parse(declaration->referencing, declaration->condition);
	DgRoleState saved;

	refuse_virtual_columns_in(declaration->referencing, condition);
	dg_act_as(GetUserId(), &saved);
	declaration->condition = dg_condition_deparse(declaration->referencing, condition);
	(void) dg_condition_parse(declaration->referencing, declaration->condition);
	dg_act_back(&saved);
}

/* Is the same association declared already? */
static bool
same_declaration_exists(const DgDeclaration *declaration)
{
	ListCell   *lc;

	foreach(lc, dg_declarations_to(list_make1_oid(declaration->referenced)))
	{
		DgDeclaration *other = lfirst(lc);

		if (other->referencing == declaration->referencing &&
			other->ncolumns == declaration->ncolumns &&
			memcmp(other->referencing_attnums, declaration->referencing_attnums,
				   sizeof(int16) * other->ncolumns) == 0 &&
			memcmp(other->referenced_attnums, declaration->referenced_attnums,
				   sizeof(int16) * other->ncolumns) == 0 &&
			strcmp(other->condition ? other->condition : "",
				   declaration->condition ? declaration->condition : "") == 0)
			return true;
	}
	return false;
}

/* A free name for a reference: table and columns, with a number if taken */
static char *
reference_name(Oid referencing, const int16 *attnums, int n)
{
	static const char *const query =
		"SELECT name FROM (SELECT $1 || CASE WHEN i = 1 THEN '' ELSE '_' || i END AS name, i"
		"  FROM generate_series(1, 1 + (SELECT count(*) FROM delete_guard.declared_reference)) AS i) c"
		" WHERE NOT EXISTS (SELECT FROM delete_guard.declared_reference d WHERE d.name = c.name)"
		" ORDER BY i LIMIT 1";
	StringInfoData buf;
	Oid			argtype = TEXTOID;
	Datum		arg;
	DgRoleState saved;
	char	   *result;
	MemoryContext caller = CurrentMemoryContext;

	initStringInfo(&buf);
	appendStringInfoString(&buf, get_rel_name(referencing));
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "_%s", get_attname(referencing, attnums[i], false));
	arg = CStringGetTextDatum(buf.data);
	dg_own_connect(&saved);
	dg_own_query(query, 1, &argtype, &arg, NULL, false, 1);
	result = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0],
													  SPI_tuptable->tupdesc, 1));
	dg_own_finish(&saved);
	return result;
}

/* Insert the row of a declaration */
static void
store_declaration(const DgDeclaration *declaration)
{
	int			n = declaration->ncolumns;
	Oid			argtypes[9] = {TEXTOID, OIDOID, NAMEARRAYOID, INT2ARRAYOID,
	OIDOID, NAMEARRAYOID, INT2ARRAYOID, TEXTOID, TEXTOID};
	Datum		args[9] = {CStringGetTextDatum(declaration->name),
		ObjectIdGetDatum(declaration->referencing),
		dg_column_names(declaration->referencing, declaration->referencing_attnums, n),
		int2_array(declaration->referencing_attnums, n),
		ObjectIdGetDatum(declaration->referenced),
		dg_column_names(declaration->referenced, declaration->referenced_attnums, n),
		int2_array(declaration->referenced_attnums, n),
		declaration->condition ? CStringGetTextDatum(declaration->condition) : (Datum) 0,
	CStringGetTextDatum(dg_person_current().name)};
	DgRoleState saved;

	dg_own_connect(&saved);
	dg_own_query("INSERT INTO delete_guard.declared_reference (name,"
				 " referencing, referencing_columns, referencing_attnums, referencing_oid,"
				 " referenced, referenced_columns, referenced_attnums, referenced_oid,"
				 " condition, declared_by, declared_at)"
				 " VALUES ($1, $2::regclass, $3, $4, $2, $5::regclass, $6, $7, $5, $8, $9, now())",
				 9, argtypes, args, declaration->condition ? NULL : "       n ", false, 0);
	dg_own_finish(&saved);
}

/* Numbers as int2[] */
static Datum
int2_array(const int16 *numbers, int n)
{
	Datum		elements[DG_MAX_KEYS];

	for (int i = 0; i < n; i++)
		elements[i] = Int16GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elements, n, INT2OID, sizeof(int16),
										   true, TYPALIGN_SHORT));
}

/*
 * forget_reference(name text)
 */
Datum
delete_guard_forget_reference(PG_FUNCTION_ARGS)
{
	char	   *name = dg_text_argument(fcinfo, 0);
	Oid			argtype = TEXTOID;
	Datum		arg;
	DgRoleState saved;
	Oid			referenced = InvalidOid;
	bool		isnull;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name of a reference must not be null")));
	arg = CStringGetTextDatum(name);
	dg_own_connect(&saved);
	dg_own_query("SELECT referenced::oid FROM delete_guard.declared_reference WHERE name = $1",
				 1, &argtype, &arg, NULL, false, 1);
	if (SPI_processed == 1)
		referenced = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 1, &isnull));
	dg_own_finish(&saved);
	if (!OidIsValid(referenced))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("declared reference \"%s\" does not exist", name)));
	/* a declaration whose table is gone is anybody's who owns the extension */
	if (get_rel_name(referenced))
		dg_lock_owned(referenced);
	else
		dg_require_owner(dg_own_relation("declared_reference"));
	permit_forgetting(name, referenced);
	dg_own_connect(&saved);
	dg_own_query("DELETE FROM delete_guard.declared_reference WHERE name = $1",
				 1, &argtype, &arg, NULL, false, 0);
	dg_own_finish(&saved);
	dg_catalog_changed("declared_reference");
	PG_RETURN_VOID();
}

/*
 * Returns if a reference may be forgotten, as far as each protected table is
 * concerned whose rows it can refer to: one above the referenced table, or
 * some at and below it.
 */
static void
permit_forgetting(const char *name, Oid referenced)
{
	char	   *details = psprintf("{\"name\":%s}", dg_quote_json(name));
	List	   *concerned = NIL;
	DgProtection protection;
	ListCell   *lc;

	if (get_rel_name(referenced) == NULL)
	{
		dg_journal_step("forget_reference", InvalidOid, details);
		return;
	}
	if (dg_protection_find(referenced, &protection))
		concerned = list_make1_oid(protection.relid);
	foreach(lc, dg_hierarchy(referenced))
	{
		if (dg_protection_read(lfirst_oid(lc), &protection))
			concerned = list_append_unique_oid(concerned, protection.relid);
	}
	foreach(lc, concerned)
		dg_setting_permit("forget_reference", lfirst_oid(lc),
						  dg_setting_call("forget_reference", name, InvalidOid), NULL, details);
	if (concerned == NIL)
		dg_journal_step("forget_reference", referenced, details);
}

/*
 * references_to(table regclass) returns setof record
 */
Datum
delete_guard_references_to(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = dg_table_argument(fcinfo, 0, "table");
	DgTable    *table;

	InitMaterializedSRF(fcinfo, 0);
	LockRelationOid(relid, AccessShareLock);
	table = dg_table_acquire(relid);
	for (int i = 0; i < table->nreferences; i++)
	{
		const DgReference *ref = &table->references[i];
		int16		referencing[DG_MAX_KEYS];
		int16		referenced[DG_MAX_KEYS];
		Datum		values[9];
		bool		nulls[9] = {0};

		for (int c = 0; c < ref->ncolumns; c++)
		{
			referencing[c] = ref->columns[c].referencing;
			referenced[c] = ref->columns[c].referenced;
		}
		values[0] = CStringGetTextDatum(ref->name);
		values[1] = CStringGetTextDatum(dg_kind_name(ref->kind));
		values[2] = ObjectIdGetDatum(ref->referencing);
		values[3] = dg_column_names(ref->referencing, referencing, ref->ncolumns);
		values[4] = dg_column_names(table->relid, referenced, ref->ncolumns);
		values[5] = CStringGetTextDatum(dg_effect_name(ref->on_delete));
		values[6] = CStringGetTextDatum(dg_effect_name(ref->on_update));
		values[7] = ref->condition ? CStringGetTextDatum(ref->condition) : (Datum) 0;
		nulls[7] = ref->condition == NULL;
		nulls[8] = !dg_reference_has_index(ref) || ref->nleaves == 0;
		if (!nulls[8])
			values[8] = ObjectIdGetDatum(ref->leaves[0].index);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	dg_table_release(table);
	return (Datum) 0;
}
