/*-------------------------------------------------------------------------
 *
 * overlap.c
 *	  how many values of a column are keys of a table: by sample
 *
 * Cost.  A sample is of the values in DG_SAMPLE_PAGES pages of a table, picked
 * at random (the same ones each time), DG_SAMPLE_ROWS rows of them, and at
 * most DG_SAMPLE_VALUES different ones, each looked up in a unique index of
 * the other table.  Long values, which no key has, are left out.
 *
 * Rights.  Values are read only if the caller may read the columns, all rows of
 * them.  The queries then run as the owner of the one table that they name, in
 * a security-restricted operation, so that nothing which a user can attach to
 * a table runs with the rights of a caller who has more.  Values go from one
 * query to the other as an array.  Only values of built-in types are compared,
 * with built-in operators.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "lookup.h"
#include "overlap.h"
#include "sql.h"

/* Longest value that is looked at, in bytes */
#define LONGEST_VALUE 400

static bool readable(Oid relid, const int16 *attnums, int n);
static char *sampled_table(Oid relid, bool *partial);
static const char *column_name(Oid relid, int16 attnum);
static const char *type_name(Oid type);
static bool comparable(Oid referenced_type, Oid type, Oid *op);

/*
 * Take a sample of a column's values; of those rows only in which the column
 * type_attnum holds "type", unless type is NULL.
 */
DgSample
dg_sample(Oid relid, int16 attnum, int16 type_attnum, const char *type)
{
	int16		attnums[2] = {attnum, type_attnum};
	DgSample	sample = {.type = getBaseType(get_atttype(relid, attnum))};
	MemoryContext caller = CurrentMemoryContext;
	Oid			argtype = TEXTOID;
	Datum		arg = type ? CStringGetTextDatum(type) : (Datum) 0;
	StringInfoData buf;
	DgRoleState saved;
	bool		isnull;

	if (!readable(relid, attnums, type ? 2 : 1))
		sample.state = DG_SAMPLE_NOT_ALLOWED;
	else if (sample.type >= FirstNormalObjectId)
		sample.state = DG_SAMPLE_NOT_BUILT_IN;
	if (sample.state != DG_SAMPLE_TAKEN)
		return sample;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT array_agg(v), count(*)::int, coalesce(sum(n), 0)::bigint FROM"
					 " (SELECT v, count(*) AS n FROM"
					 "  (SELECT %s::%s AS v FROM %s WHERE %s IS NOT NULL AND pg_column_size(%s) <= %d",
					 column_name(relid, attnum), type_name(sample.type), sampled_table(relid, &sample.partial),
					 column_name(relid, attnum), column_name(relid, attnum), LONGEST_VALUE);
	if (type)
		appendStringInfo(&buf, " AND %s::pg_catalog.text OPERATOR(pg_catalog.=) $1",
						 column_name(relid, type_attnum));
	appendStringInfo(&buf, "  LIMIT %d) s GROUP BY v LIMIT %d) g", DG_SAMPLE_ROWS, DG_SAMPLE_VALUES);

	dg_connect_as(dg_relation_owner(relid), &saved);
	dg_latest_query(buf.data, type ? 1 : 0, &argtype, &arg, NULL, true, 1);
	sample.nvalues = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	sample.nrows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	if (sample.nvalues > 0)
	{
		Datum		values = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(caller);

		sample.values = PointerGetDatum(DatumGetArrayTypePCopy(values));
		MemoryContextSwitchTo(old);
	}
	dg_finish_as(&saved);
	if (sample.nrows >= DG_SAMPLE_ROWS || sample.nvalues >= DG_SAMPLE_VALUES)
		sample.partial = true;
	return sample;
}

/*
 * What the type column of a polymorphic pair holds, the most frequent first;
 * list of strings, NIL if it may not be read.
 */
List *
dg_sample_types(Oid relid, int16 attnum, int16 type_attnum)
{
	int16		attnums[2] = {attnum, type_attnum};
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;
	bool		partial;
	const char *query;
	DgRoleState saved;

	if (!readable(relid, attnums, 2) || getBaseType(get_atttype(relid, type_attnum)) >= FirstNormalObjectId)
		return NIL;
	query = psprintf("SELECT v FROM (SELECT %s::pg_catalog.text AS v FROM %s"
					 " WHERE %s IS NOT NULL AND %s IS NOT NULL AND pg_column_size(%s) <= %d LIMIT %d) s"
					 " GROUP BY v ORDER BY count(*) DESC, v LIMIT %d",
					 column_name(relid, type_attnum), sampled_table(relid, &partial),
					 column_name(relid, type_attnum), column_name(relid, attnum),
					 column_name(relid, type_attnum), LONGEST_VALUE, DG_SAMPLE_ROWS, DG_SAMPLE_TYPES);
	dg_connect_as(dg_relation_owner(relid), &saved);
	dg_latest_query(query, 0, NULL, NULL, NULL, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(caller);

		result = lappend(result, pstrdup(value));
		MemoryContextSwitchTo(old);
	}
	dg_finish_as(&saved);
	return result;
}

/*
 * How many of the sample's values are in a column with a unique index; or
 * DG_FOUND_NOT_ALLOWED, DG_FOUND_NOT_BUILT_IN.
 */
int
dg_sample_found(const DgSample *sample, Oid referenced, int16 key)
{
	Oid			referenced_type = getBaseType(get_atttype(referenced, key));
	Oid			argtype = get_array_type(sample->type);
	Datum		arg = sample->values;
	Oid			op;
	StringInfoData buf;
	DgRoleState saved;
	bool		isnull;
	int			result;

	if (!readable(referenced, &key, 1))
		return DG_FOUND_NOT_ALLOWED;
	if (!comparable(referenced_type, sample->type, &op))
		return DG_FOUND_NOT_BUILT_IN;
	if (sample->nvalues == 0)
		return 0;
	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT count(*)::int FROM unnest($1) AS u(v) WHERE EXISTS (SELECT FROM %s k WHERE ",
					 dg_qualified_name(referenced));
	generate_operator_clause(&buf, psprintf("k.%s", column_name(referenced, key)),
							 get_atttype(referenced, key), op, "u.v", sample->type);
	appendStringInfoChar(&buf, ')');
	dg_connect_as(dg_relation_owner(referenced), &saved);
	dg_latest_query(buf.data, 1, &argtype, &arg, NULL, true, 1);
	result = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	dg_finish_as(&saved);
	return result;
}

/* May values of these columns be read for the caller? */
static bool
readable(Oid relid, const int16 *attnums, int n)
{
	return dg_may_read(relid, attnums, n) && dg_owner_may_read(relid);
}

/*
 * A table as it stands after FROM, with TABLESAMPLE if it is large.  *partial
 * is set to whether it is.
 */
static char *
sampled_table(Oid relid, bool *partial)
{
	const char *name = dg_qualified_name(relid);
	double		pages = 0;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);

		if (rel->rd_rel->relkind == RELKIND_RELATION)
			pages += RelationGetNumberOfBlocks(rel);
		relation_close(rel, NoLock);
	}
	*partial = pages > DG_SAMPLE_PAGES;
	if (!*partial)
		return pstrdup(name);
	return psprintf("%s TABLESAMPLE SYSTEM (%.6f) REPEATABLE (0)", name,
					100.0 * DG_SAMPLE_PAGES / pages);
}

/* The quoted name of a column */
static const char *
column_name(Oid relid, int16 attnum)
{
	return quote_identifier(get_attname(relid, attnum, false));
}

/*
 * The quoted name of a type.  Not as format_type() prints it: "character" would
 * be a string of one.
 */
static const char *
type_name(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	result = quote_qualified_identifier(get_namespace_name(form->typnamespace),
										NameStr(form->typname));
	ReleaseSysCache(tuple);
	return result;
}

/* Is the equality of these types a built-in operator? */
static bool
comparable(Oid referenced_type, Oid type, Oid *op)
{
	return referenced_type < FirstNormalObjectId && type < FirstNormalObjectId &&
		dg_column_operator(referenced_type, type, op) && *op < FirstNormalObjectId;
}
