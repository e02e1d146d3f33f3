/*-------------------------------------------------------------------------
 *
 * advance.c
 *	  move sequences past values that were put back
 *
 * A sequence that a column takes its values from (identity, serial, or a
 * default with nextval) must not hand out a value that a restored row has.
 * That can only be the case if it was set back since, or if the table is in
 * another database than the one that recorded the row.
 *
 * Rights: the owner of the table, not more: nobody can have somebody else's
 * sequence moved by naming it in a default.  Moving a sequence is never rolled
 * back, like nextval.
 *
 * Locks: SHARE ROW EXCLUSIVE on a sequence that has to be moved, to the end of
 * the transaction, so that it is not set back behind what others take meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advance.h"
#include "catalog.h"
#include "sql.h"

/* A sequence that a column is filled from */
typedef struct DgSequence
{
	Oid			relid;
	AttrNumber	attnum;
	int64		increment;
	int64		min;
	int64		max;
} DgSequence;

static List *sequences_of(const DgBatch *batch);
static bool extreme_value(const DgBatch *batch, const DgSequence *sequence, int64 *value);
static bool is_behind(const DgSequence *sequence, int64 value);
static char *advance_one(const DgBatch *batch, const DgSequence *sequence, int64 value, bool dry_run);
static int64 number_at(int column, bool *isnull);
static void run(const char *query, int nargs, Oid *types, Datum *values);

/*
 * Move the sequences of the batch's table past the values of the rows that
 * were put back, or only tell what would be done.  Returns what to report, a
 * list of strings in the current context.
 */
List *
dg_advance_sequences(DgBatch *batch, bool dry_run)
{
	List	   *report = NIL;
	MemoryContext caller = CurrentMemoryContext;
	DgRoleState saved;
	ListCell   *lc;

	if (batch->kind != DG_BATCH_INSERT || dg_batch_count(batch, DG_ROW_DONE) == 0)
		return NIL;
	dg_act_as(batch->owner, &saved);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	dg_batch_register(batch);
	foreach(lc, sequences_of(batch))
	{
		DgSequence *sequence = lfirst(lc);
		int64		value;

		if (extreme_value(batch, sequence, &value))
		{
			char	   *text = advance_one(batch, sequence, value, dry_run);
			MemoryContext old = MemoryContextSwitchTo(caller);

			if (text)
				report = lappend(report, pstrdup(text));
			MemoryContextSwitchTo(old);
		}
	}
	SPI_finish();
	dg_act_back(&saved);
	return report;
}

/* The sequences of the table's integer columns that the batch has values for */
static List *
sequences_of(const DgBatch *batch)
{
	static const char *const query =
		"SELECT s.seqrelid, x.attnum, s.seqincrement, s.seqmin, s.seqmax FROM"
		" (SELECT d.objid AS seq, d.refobjsubid AS attnum FROM pg_catalog.pg_depend d"
		"  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass"
		"  AND d.refobjid = $1 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')"
		"  UNION SELECT d.refobjid, f.adnum FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d"
		"  ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid"
		"  AND d.refclassid = 'pg_catalog.pg_class'::regclass WHERE f.adrelid = $1) x"
		" JOIN pg_catalog.pg_sequence s ON s.seqrelid = x.seq"
		" JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = x.attnum"
		" AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)"
		" ORDER BY x.attnum, s.seqrelid";
	Oid			type = OIDOID;
	Datum		relid = ObjectIdGetDatum(batch->target->relid);
	List	   *result = NIL;

	run(query, 1, &type, &relid);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		DgSequence *sequence = palloc(sizeof(DgSequence));
		bool		isnull;

		sequence->relid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
		sequence->attnum = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
		sequence->increment = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull));
		sequence->min = DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull));
		sequence->max = DatumGetInt64(SPI_getbinval(tuple, desc, 5, &isnull));
		if (dg_batch_has_column(batch, sequence->attnum))
			result = lappend(result, sequence);
	}
	return result;
}

/* The last of the values put back, in the direction in which a sequence runs */
static bool
extreme_value(const DgBatch *batch, const DgSequence *sequence, int64 *value)
{
	bool		up = sequence->increment > 0;
	Oid			types[3] = {INT8ARRAYOID, INT8OID, INT8OID};
	Datum		values[3] = {dg_batch_excluded(batch, DG_ROW_DONE), Int64GetDatum(sequence->min),
	Int64GetDatum(sequence->max)};
	char	   *column = get_attname(batch->target->relid, sequence->attnum, false);
	bool		isnull;

	run(psprintf("SELECT %s(%s)::int8 FROM %s WHERE %s <> ALL ($1) AND %s BETWEEN $2 AND $3",
				 up ? "max" : "min", quote_identifier(column), batch->name,
				 quote_identifier(batch->ordinal), quote_identifier(column)),
		3, types, values);
	*value = number_at(1, &isnull);
	return !isnull;
}

/* Would a sequence hand out this value some time? */
static bool
is_behind(const DgSequence *sequence, int64 value)
{
	int64		last;
	bool		isnull;
	bool		called;

	run(psprintf("SELECT last_value, is_called FROM %s", dg_qualified_name(sequence->relid)),
		0, NULL, NULL);
	last = number_at(1, &isnull);
	called = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	if (value == last)
		return !called;
	return sequence->increment > 0 ? value > last : value < last;
}

/* Move a sequence if need be; returns what to report, or NULL */
static char *
advance_one(const DgBatch *batch, const DgSequence *sequence, int64 value, bool dry_run)
{
	char	   *name = dg_qualified_name(sequence->relid);
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		values[2] = {ObjectIdGetDatum(sequence->relid), Int64GetDatum(value)};

	if (pg_class_aclcheck(sequence->relid, batch->owner, ACL_SELECT) != ACLCHECK_OK ||
		pg_class_aclcheck(sequence->relid, batch->owner, ACL_UPDATE) != ACLCHECK_OK)
		return psprintf("sequence %s is not looked at, as the owner of the table may not set it", name);
	if (!is_behind(sequence, value))
		return NULL;
	if (dry_run)
		return psprintf("sequence %s would be moved to " INT64_FORMAT, name, value);
	LockRelationOid(sequence->relid, ShareRowExclusiveLock);
	if (!is_behind(sequence, value))
		return NULL;
	run("SELECT pg_catalog.setval($1::regclass, $2)", 2, types, values);
	return psprintf("sequence %s was moved to " INT64_FORMAT, name, value);
}

/* A bigint of the first row that was found */
static int64
number_at(int column, bool *isnull)
{
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull));
}

/* Run a query that returns rows */
static void
run(const char *query, int nargs, Oid *types, Datum *values)
{
	int			result = SPI_execute_with_args(query, nargs, types, values, NULL, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}
