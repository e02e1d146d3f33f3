/*-------------------------------------------------------------------------
 *
 * orphans.c
 *	  SQL function about rows that refer to nothing: find_orphans
 *
 * An "orphan" is a row of a referencing table with no row that it refers to:
 * the reference's columns are not NULL (MATCH FULL: not all of them), its
 * condition holds, and no row has that key.  Foreign keys are looked at too:
 * they can be NOT VALID or NOT ENFORCED, and nothing checks them under
 * session_replication_role = replica.
 *
 * Where one role owns both tables, which is usual, one anti-join finds all
 * orphans of a reference.  Otherwise no role may be assumed to read both, and
 * neither owner's code may run with the rights of the other: then the
 * different values are read as the owner of the one table and looked up as the
 * owner of the other.
 *
 * Queries read the latest snapshot: what is committed now, and what this
 * transaction did.
 *
 * Locks: ACCESS SHARE on the tables of each reference.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "describe.h"
#include "reference.h"
#include "rowimage.h"
#include "sql.h"
#include "steps.h"

/* Keys that are shown of each reference */
#define DG_ORPHANS_SHOWN 10
/* Values that are read at a time where two owners are concerned */
#define DG_ORPHANS_BATCH 1000

PG_FUNCTION_INFO_V1(delete_guard_find_orphans);

/* What was found of one reference */
typedef struct Orphans
{
	const DgReference *reference;
	bool		match_full;
	bool		readable;		/* its values may be shown */
	int64		nrows;
	int64		nkeys;
	DgImager   *imager;			/* of the referencing columns */
	Jsonb	   *shown[DG_ORPHANS_SHOWN];
	int			nshown;
	MemoryContext context;
} Orphans;

static List *tables_referred_to(Oid relid, List **concerned);
static void look_at_table(ReturnSetInfo *rsinfo, Oid referenced, List *concerned);
static bool is_looked_at(const DgReference *ref, Oid referenced, List *concerned);
static void look_at_reference(Orphans *orphans);
static bool may_know(const DgReference *ref);
static bool match_full(const DgReference *ref);
static void find_at_once(Orphans *orphans);
static void find_in_batches(Orphans *orphans);
static SPIPlanPtr lookup_plan(const DgReference *ref);
static bool *which_are_there(const DgReference *ref, SPIPlanPtr lookup,
							 SPITupleTable *batch, uint64 nbatch);
static void add_key(Orphans *orphans, HeapTuple tuple, TupleDesc desc, int64 nrows);
static char *columns_of(const DgReference *ref, const char *alias);
static char *referring(const Orphans *orphans, const char *alias);
static void append_collation(StringInfo buf, const DgReference *ref, const DgReferenceColumn *column);
static char *matching(const DgReference *ref, const char *alias, bool parameters);
static const char *table_name(const DgReference *ref, Oid relid);
static void put_orphans(ReturnSetInfo *rsinfo, const Orphans *orphans, bool known);

/*
 * find_orphans(table regclass) returns setof record
 */
Datum
delete_guard_find_orphans(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : dg_table_argument(fcinfo, 0, "table");
	List	   *concerned = NIL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, tables_referred_to(relid, &concerned))
	{
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
		if (get_rel_name(lfirst_oid(lc)))
			look_at_table(rsinfo, lfirst_oid(lc), concerned);
	}
	return (Datum) 0;
}

/*
 * The tables that a reference leads to; if relid is given, only those of
 * references from or to it, or from or to what it is a partition or child of.
 * These, and relid, are put into *concerned.
 */
static List *
tables_referred_to(Oid relid, List **concerned)
{
	static const char *const query =
		"SELECT r.oid FROM (SELECT f.conrelid AS referencing, f.confrelid AS referenced"
		"  FROM pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0"
		"  UNION SELECT d.referencing::oid, d.referenced::oid FROM delete_guard.declared_reference d) u"
		" JOIN pg_class r ON r.oid = u.referenced AND r.relpersistence <> 't'"
		" JOIN pg_class g ON g.oid = u.referencing AND g.relpersistence <> 't'"
		" WHERE $1 IS NULL OR u.referencing = ANY ($1) OR u.referenced = ANY ($1)"
		" GROUP BY r.oid ORDER BY r.oid::regclass::text COLLATE \"C\"";
	Oid			argtype = OIDARRAYOID;
	Datum		arg = (Datum) 0;
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;
	DgRoleState saved;

	if (OidIsValid(relid))
	{
		Datum	   *elements;
		ListCell   *lc;
		int			n = 0;

		*concerned = dg_ancestors(relid);
		elements = palloc(sizeof(Datum) * list_length(*concerned));
		foreach(lc, *concerned)
			elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
		arg = PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	}
	dg_own_connect(&saved);
	dg_own_query(query, 1, &argtype, &arg, OidIsValid(relid) ? NULL : "n", true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			found = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
														   SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(caller);

		result = lappend_oid(result, found);
		MemoryContextSwitchTo(old);
	}
	dg_own_finish(&saved);
	return result;
}

/* Look at the references to one table */
static void
look_at_table(ReturnSetInfo *rsinfo, Oid referenced, List *concerned)
{
	DgTable    *table = dg_table_acquire(referenced);

	for (int i = 0; i < table->nreferences; i++)
	{
		Orphans		orphans = {.reference = &table->references[i]};
		MemoryContext old;
		bool		known;

		if (!is_looked_at(orphans.reference, referenced, concerned))
			continue;
		orphans.context = AllocSetContextCreate(CurrentMemoryContext, "delete_guard orphans",
												ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(orphans.context);
		LockRelationOid(orphans.reference->referencing, AccessShareLock);
		known = may_know(orphans.reference) &&
			dg_owner_may_read(orphans.reference->referencing) && dg_owner_may_read(referenced);
		if (known)
			look_at_reference(&orphans);
		MemoryContextSwitchTo(old);
		if (!known || orphans.nrows > 0)
			put_orphans(rsinfo, &orphans, known);
		MemoryContextDelete(orphans.context);
	}
	dg_table_release(table);
}

/* Is this reference, found for a table, to be looked at there? */
static bool
is_looked_at(const DgReference *ref, Oid referenced, List *concerned)
{
	HeapTuple	tuple;
	bool		period;

	if (ref->referenced != referenced || get_rel_name(ref->referencing) == NULL ||
		(concerned && !list_member_oid(concerned, referenced) &&
		 !list_member_oid(concerned, ref->referencing)))
		return false;
	if (!OidIsValid(ref->constraint))
		return true;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(ref->constraint));
	if (!HeapTupleIsValid(tuple))
		return false;
	period = DG_CONSTRAINT_PERIOD((Form_pg_constraint) GETSTRUCT(tuple));
	ReleaseSysCache(tuple);
	if (period)
		ereport(NOTICE,
				(errmsg("foreign key \"%s\" of table \"%s\" is not looked at, as it compares periods",
						ref->name, get_rel_name(ref->referencing))));
	return !period;
}

/*
 * May the caller know how many orphans there are?  Who owns one of the tables,
 * or may read the columns that refer.
 */
static bool
may_know(const DgReference *ref)
{
	int16		attnums[DG_MAX_KEYS];

	for (int i = 0; i < ref->ncolumns; i++)
		attnums[i] = ref->columns[i].referencing;
	return dg_may_read(ref->referencing, attnums, ref->ncolumns) ||
		has_privs_of_role(GetUserId(), dg_relation_owner(ref->referencing)) ||
		has_privs_of_role(GetUserId(), dg_relation_owner(ref->referenced));
}

/* Find the orphans of one reference */
static void
look_at_reference(Orphans *orphans)
{
	const DgReference *ref = orphans->reference;
	int16		attnums[DG_MAX_KEYS];

	for (int i = 0; i < ref->ncolumns; i++)
		attnums[i] = ref->columns[i].referencing;
	orphans->readable = dg_may_read(ref->referencing, attnums, ref->ncolumns);
	orphans->match_full = match_full(ref);
	if (dg_relation_owner(ref->referencing) == dg_relation_owner(ref->referenced))
		find_at_once(orphans);
	else
		find_in_batches(orphans);
}

/* Is it a MATCH FULL foreign key? */
static bool
match_full(const DgReference *ref)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(ref->constraint));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_constraint) GETSTRUCT(tuple))->confmatchtype == FKCONSTR_MATCH_FULL;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Both tables are of one owner: as a whole */
static void
find_at_once(Orphans *orphans)
{
	const DgReference *ref = orphans->reference;
	StringInfoData names;		/* of the columns within the query */
	StringInfoData result;		/* the same, named as they are in the table */
	StringInfoData order;
	const char *query;
	DgRoleState saved;
	bool		isnull;

	initStringInfo(&names);
	initStringInfo(&result);
	initStringInfo(&order);
	for (int i = 0; i < ref->ncolumns; i++)
	{
		appendStringInfo(&names, "c%d, ", i);
		appendStringInfo(&order, "%sg.c%d", i > 0 ? ", " : "", i);
		appendStringInfo(&result, "g.c%d AS %s, ", i,
						 quote_identifier(get_attname(ref->referencing,
													  ref->columns[i].referencing, false)));
	}
	query = psprintf("SELECT %s g.n, (sum(g.n) OVER ())::bigint, count(*) OVER () FROM"
					 " (SELECT %s, count(*) FROM %s f WHERE %s AND NOT EXISTS"
					 "  (SELECT FROM %s p WHERE %s) GROUP BY %s) AS g(%s n) ORDER BY %s LIMIT %d",
					 result.data, columns_of(ref, "f"), table_name(ref, ref->referencing),
					 referring(orphans, "f"), table_name(ref, ref->referenced),
					 matching(ref, "f", false), columns_of(ref, "f"), names.data, order.data,
					 DG_ORPHANS_SHOWN);
	dg_connect_as(dg_relation_owner(ref->referencing), &saved);
	dg_latest_query(query, 0, NULL, NULL, NULL, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		add_key(orphans, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 0);
	if (SPI_processed > 0)
	{
		orphans->nrows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
													 ref->ncolumns + 2, &isnull));
		orphans->nkeys = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
													 ref->ncolumns + 3, &isnull));
	}
	dg_finish_as(&saved);
}

/* Two owners: the different values as the one, looking them up as the other */
static void
find_in_batches(Orphans *orphans)
{
	const DgReference *ref = orphans->reference;
	const char *query = psprintf("SELECT %s, count(*) FROM %s f WHERE %s GROUP BY %s ORDER BY %s",
								 columns_of(ref, "f"), table_name(ref, ref->referencing),
								 referring(orphans, "f"), columns_of(ref, "f"), columns_of(ref, "f"));
	SPIPlanPtr	lookup = lookup_plan(ref);
	DgRoleState saved;
	SPIPlanPtr	plan;
	Portal		portal;

	dg_connect_as(dg_relation_owner(ref->referencing), &saved);
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	PushActiveSnapshot(GetLatestSnapshot());
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	PopActiveSnapshot();
	for (SPI_cursor_fetch(portal, true, DG_ORPHANS_BATCH); SPI_processed > 0;
		 SPI_cursor_fetch(portal, true, DG_ORPHANS_BATCH))
	{
		SPITupleTable *batch = SPI_tuptable;
		uint64		nbatch = SPI_processed;
		bool	   *there = which_are_there(ref, lookup, batch, nbatch);
		bool		isnull;

		for (uint64 i = 0; i < nbatch; i++)
		{
			if (!there[i])
				add_key(orphans, batch->vals[i], batch->tupdesc,
						DatumGetInt64(SPI_getbinval(batch->vals[i], batch->tupdesc,
													ref->ncolumns + 1, &isnull)));
		}
		pfree(there);
		SPI_freetuptable(batch);
	}
	SPI_cursor_close(portal);
	dg_finish_as(&saved);
	SPI_freeplan(lookup);
}

/* A saved plan that looks up one value as the owner of the referenced table */
static SPIPlanPtr
lookup_plan(const DgReference *ref)
{
	Oid			argtypes[DG_MAX_KEYS];
	DgRoleState saved;
	SPIPlanPtr	plan;

	for (int i = 0; i < ref->ncolumns; i++)
		argtypes[i] = get_atttype(ref->referencing, ref->columns[i].referencing);
	dg_connect_as(dg_relation_owner(ref->referenced), &saved);
	plan = SPI_prepare(psprintf("SELECT FROM %s p WHERE %s LIMIT 1",
								table_name(ref, ref->referenced), matching(ref, NULL, true)),
					   ref->ncolumns, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	dg_finish_as(&saved);
	return plan;
}

/* Of which of these values is there a row?  Looked up as its owner. */
static bool *
which_are_there(const DgReference *ref, SPIPlanPtr lookup, SPITupleTable *batch, uint64 nbatch)
{
	bool	   *there = palloc(sizeof(bool) * nbatch);
	DgRoleState saved;

	dg_connect_as(dg_relation_owner(ref->referenced), &saved);
	for (uint64 i = 0; i < nbatch; i++)
	{
		Datum		values[DG_MAX_KEYS + 1];
		bool		isnull[DG_MAX_KEYS + 1];
		char		nulls[DG_MAX_KEYS + 1];

		heap_deform_tuple(batch->vals[i], batch->tupdesc, values, isnull);
		for (int c = 0; c < ref->ncolumns; c++)
			nulls[c] = isnull[c] ? 'n' : ' ';
		if (SPI_execute_snapshot(lookup, values, nulls, GetLatestSnapshot(), InvalidSnapshot,
								 true, true, 1) < 0)
			elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(SPI_result));
		there[i] = SPI_processed > 0;
	}
	dg_finish_as(&saved);
	return there;
}

/*
 * Count a key that is not there, with its rows, and keep it if there is room
 * and it may be shown.  The tuple begins with the referencing columns.
 */
static void
add_key(Orphans *orphans, HeapTuple tuple, TupleDesc desc, int64 nrows)
{
	int			n = orphans->reference->ncolumns;
	MemoryContext old;
	Datum	   *values;
	bool	   *isnull;
	bytea	   *apart;
	int			pin;

	orphans->nrows += nrows;
	orphans->nkeys++;
	if (!orphans->readable || orphans->nshown == DG_ORPHANS_SHOWN)
		return;
	old = MemoryContextSwitchTo(orphans->context);
	if (orphans->imager == NULL)
	{
		AttrNumber	attnums[DG_MAX_KEYS];

		for (int i = 0; i < n; i++)
			attnums[i] = i + 1;
		orphans->imager = dg_imager_create(desc, attnums, n, orphans->context);
	}
	values = palloc(sizeof(Datum) * desc->natts);
	isnull = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(tuple, desc, values, isnull);
	pin = dg_imager_pin_settings(orphans->imager);
	orphans->shown[orphans->nshown++] =
		dg_imager_encode_values(orphans->imager, values, isnull, &apart);
	dg_imager_unpin_settings(pin);
	MemoryContextSwitchTo(old);
}

/* The referencing columns, with the alias of their table */
static char *
columns_of(const DgReference *ref, const char *alias)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < ref->ncolumns; i++)
		appendStringInfo(&buf, "%s%s.%s", i > 0 ? ", " : "", alias,
						 quote_identifier(get_attname(ref->referencing,
													  ref->columns[i].referencing, false)));
	return buf.data;
}

/* The condition that a row refers to something */
static char *
referring(const Orphans *orphans, const char *alias)
{
	const DgReference *ref = orphans->reference;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '(');
	for (int i = 0; i < ref->ncolumns; i++)
		appendStringInfo(&buf, "%s%s.%s IS NOT NULL",
						 i == 0 ? "" : orphans->match_full ? " OR " : " AND ", alias,
						 quote_identifier(get_attname(ref->referencing,
													  ref->columns[i].referencing, false)));
	appendStringInfoChar(&buf, ')');
	if (ref->condition)
		appendStringInfo(&buf, " AND (%s)", ref->condition);
	return buf.data;
}

/* Compare as the referenced column does, where the other one does otherwise */
static void
append_collation(StringInfo buf, const DgReference *ref, const DgReferenceColumn *column)
{
	Oid			type;
	int32		typmod;
	Oid			referenced;
	Oid			referencing;

	get_atttypetypmodcoll(ref->referenced, column->referenced, &type, &typmod, &referenced);
	get_atttypetypmodcoll(ref->referencing, column->referencing, &type, &typmod, &referencing);
	if (OidIsValid(referenced) && OidIsValid(referencing) && referenced != referencing)
		appendStringInfo(buf, " COLLATE %s", generate_collation_name(referenced));
}

/*
 * The condition that a row of the referenced table, p, is the one referred to:
 * by the row with the alias, or by parameters.
 */
static char *
matching(const DgReference *ref, const char *alias, bool parameters)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < ref->ncolumns; i++)
	{
		const DgReferenceColumn *column = &ref->columns[i];
		Oid			type = get_atttype(ref->referencing, column->referencing);
		const char *right = parameters ? psprintf("$%d", i + 1) :
			psprintf("%s.%s", alias,
					 quote_identifier(get_attname(ref->referencing, column->referencing, false)));

		if (i > 0)
			appendStringInfoString(&buf, " AND ");
		generate_operator_clause(&buf,
								 psprintf("p.%s", quote_identifier(get_attname(ref->referenced,
																			   column->referenced, false))),
								 get_atttype(ref->referenced, column->referenced),
								 column->eq_op, right, type);
		if (!parameters)
			append_collation(&buf, ref, column);
	}
	return buf.data;
}

/*
 * One of the tables as it stands after FROM.  A foreign key of a plain table
 * says nothing about inheritance children, a declared reference does.
 */
static const char *
table_name(const DgReference *ref, Oid relid)
{
	bool		only = ref->kind != DG_REF_DECLARED && get_rel_relkind(relid) == RELKIND_RELATION;

	return psprintf("%s%s", only ? "ONLY " : "", dg_qualified_name(relid));
}

/* One row of the result.  Counts only if they may be known. */
static void
put_orphans(ReturnSetInfo *rsinfo, const Orphans *orphans, bool known)
{
	const DgReference *ref = orphans->reference;
	int16		referencing[DG_MAX_KEYS];
	int16		referenced[DG_MAX_KEYS];
	Datum		values[11] = {0};
	bool		nulls[11] = {0};

	for (int c = 0; c < ref->ncolumns; c++)
	{
		referencing[c] = ref->columns[c].referencing;
		referenced[c] = ref->columns[c].referenced;
	}
	values[0] = CStringGetTextDatum(ref->name);
	values[1] = CStringGetTextDatum(dg_kind_name(ref->kind));
	values[2] = ObjectIdGetDatum(ref->referencing);
	values[3] = dg_column_names(ref->referencing, referencing, ref->ncolumns);
	values[4] = ObjectIdGetDatum(ref->referenced);
	values[5] = dg_column_names(ref->referenced, referenced, ref->ncolumns);
	nulls[6] = ref->condition == NULL;
	if (!nulls[6])
		values[6] = CStringGetTextDatum(ref->condition);
	nulls[7] = nulls[8] = nulls[10] = !known;
	nulls[9] = !orphans->readable;
	values[7] = Int64GetDatum(orphans->nrows);
	values[8] = Int64GetDatum(orphans->nkeys);
	if (!nulls[9])
		values[9] = PointerGetDatum(dg_jsonb_array(orphans->shown, orphans->nshown));
	if (known)
		values[10] = CStringGetTextDatum(psprintf("SELECT * FROM %s f WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)",
												  table_name(ref, ref->referencing), referring(orphans, "f"),
												  table_name(ref, ref->referenced), matching(ref, "f", false)));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
