/*-------------------------------------------------------------------------
 *
 * taken.c
 *	  which rows of a batch have a key that is taken
 *
 * A "key" here is what a unique index or an exclusion constraint of the
 * target is about.  For each, one query joins the batch with the table by the
 * index's own operators, expressions and predicate, on the latest snapshot,
 * as the owner of the table and blind to row security.
 *
 * A key that another transaction has taken and not yet committed is not seen;
 * the INSERT then waits for it and fails.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "lookup.h"
#include "sql.h"
#include "taken.h"

static bool is_key(const DgBatch *batch, Relation index);
static bool has_columns_of(const DgBatch *batch, Relation index);
static char *key_text(Relation index);
static char *taken_query(const DgBatch *batch, Relation index);
static void append_side(StringInfo buf, Relation index, const char *first, const char *from);
static void append_match(StringInfo buf, Relation index);
static Oid *index_operators(Relation index);
static void append_own_row(StringInfo select, StringInfo match, const DgBatch *batch, bool table_side);
static void mark_taken(DgBatch *batch, const char *query, DgRowState state);

/*
 * Give the wanted rows of a batch whose key is taken a state.  Returns by how
 * many keys it could look.
 */
int
dg_taken_find(DgBatch *batch, DgRowState state)
{
	Relation	rel = relation_open(batch->target->relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	DgRoleState saved;
	int			nkeys = 0;
	ListCell   *lc;

	dg_act_as(batch->owner, &saved);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	dg_batch_register(batch);
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (is_key(batch, index))
		{
			MemoryContext old = MemoryContextSwitchTo(batch->context);

			batch->taken_keys = lappend(batch->taken_keys, key_text(index));
			MemoryContextSwitchTo(old);
			mark_taken(batch, taken_query(batch, index), state);
			nkeys++;
		}
		index_close(index, AccessShareLock);
	}
	SPI_finish();
	dg_act_back(&saved);
	relation_close(rel, NoLock);
	return nkeys;
}

/* Is this a key that the batch has values for? */
static bool
is_key(const DgBatch *batch, Relation index)
{
	Form_pg_index form = index->rd_index;

	return (form->indisunique || form->indisexclusion) && form->indisvalid &&
		has_columns_of(batch, index);
}

/* Does the batch have all columns of an index, those in expressions too? */
static bool
has_columns_of(const DgBatch *batch, Relation index)
{
	Form_pg_index form = index->rd_index;
	Bitmapset  *used = NULL;
	int			member = -1;

	for (int i = 0; i < form->indnkeyatts; i++)
	{
		if (form->indkey.values[i] > 0 && !dg_batch_has_column(batch, form->indkey.values[i]))
			return false;
	}
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &used);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &used);
	/* expressions are not compared for changed keys, see append_own_row() */
	if (batch->kind == DG_BATCH_KEY && used)
		return false;
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum <= 0 || !dg_batch_has_column(batch, attnum))
			return false;
	}
	return true;
}

/* Column i (from 1) of an index, or its expression, as SQL writes it */
static char *
index_column(Relation index, int i)
{
	return TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext,
												   ObjectIdGetDatum(RelationGetRelid(index)),
												   Int32GetDatum(i), BoolGetDatum(false)));
}

/* What an index is about, for messages */
static char *
key_text(Relation index)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "key (");
	for (int i = 1; i <= index->rd_index->indnkeyatts; i++)
		appendStringInfo(&buf, "%s%s", i > 1 ? ", " : "", index_column(index, i));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/* The query that finds the ordinals of rows whose key is taken */
static char *
taken_query(const DgBatch *batch, Relation index)
{
	StringInfoData buf;
	StringInfoData own_row;
	StringInfoData first;

	initStringInfo(&buf);
	initStringInfo(&own_row);
	initStringInfo(&first);
	appendStringInfo(&first, "%s AS dg_n", quote_identifier(batch->ordinal));
	append_own_row(&first, NULL, batch, false);
	appendStringInfoString(&buf, "SELECT DISTINCT dg_e.dg_n FROM (");
	append_side(&buf, index, first.data, batch->name);
	appendStringInfoString(&buf, ") AS dg_e, (");
	resetStringInfo(&first);
	appendStringInfoString(&first, "true AS dg_t");
	append_own_row(&first, &own_row, batch, true);
	append_side(&buf, index, first.data,
				psprintf("%s%s", batch->target->partitioned ? "" : "ONLY ", batch->target->name));
	appendStringInfoString(&buf, ") AS dg_t WHERE ");
	append_match(&buf, index);
	appendStringInfoString(&buf, own_row.data);
	return buf.data;
}

/* One side of the join: the index's columns as dg_k1, dg_k2, ... */
static void
append_side(StringInfo buf, Relation index, const char *first, const char *from)
{
	bool		isnull;
	Datum		predicate = SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
											Anum_pg_index_indpred, &isnull);

	appendStringInfo(buf, "SELECT %s", first);
	for (int i = 1; i <= index->rd_index->indnkeyatts; i++)
		appendStringInfo(buf, ", %s AS dg_k%d", index_column(index, i), i);
	appendStringInfo(buf, " FROM %s", from);
	if (!isnull)
		appendStringInfo(buf, " WHERE %s",
						 TextDatumGetCString(DirectFunctionCall2(pg_get_expr, predicate,
																 ObjectIdGetDatum(index->rd_index->indrelid))));
}

/* The condition under which two rows have the same key */
static void
append_match(StringInfo buf, Relation index)
{
	Oid		   *operators = index_operators(index);

	for (int i = 1; i <= index->rd_index->indnkeyatts; i++)
	{
		Oid			collation = index->rd_indcollation[i - 1];

		appendStringInfo(buf, "%s(dg_t.dg_k%d", i > 1 ? " AND " : "", i);
		if (OidIsValid(collation))
			appendStringInfo(buf, " COLLATE %s",
							 generate_collation_name(collation));
		appendStringInfo(buf, " %s dg_e.dg_k%d", dg_operator_sql(operators[i - 1]), i);
		if (index->rd_index->indnullsnotdistinct)
			appendStringInfo(buf, " OR (dg_t.dg_k%d IS NULL AND dg_e.dg_k%d IS NULL)", i, i);
		appendStringInfoChar(buf, ')');
	}
}

/* The operators by which an index tells that two keys exclude each other */
static Oid *
index_operators(Relation index)
{
	int			n = index->rd_index->indnkeyatts;
	Oid		   *operators;
	Oid		   *procs;
	uint16	   *strategies;

	if (index->rd_index->indisexclusion)
	{
		RelationGetExclusionInfo(index, &operators, &procs, &strategies);
		return operators;
	}
	operators = palloc(sizeof(Oid) * n);
	for (int i = 0; i < n; i++)
		operators[i] = get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i],
										   index->rd_opcintype[i], BTEqualStrategyNumber);
	return operators;
}

/*
 * For changed keys: the row itself does not take its key.  Appends to the
 * SELECT list of one side the key that the row has now, as dg_o1, dg_o2, ...,
 * and to match, if given, the condition that leaves it out.
 */
static void
append_own_row(StringInfo select, StringInfo match, const DgBatch *batch, bool table_side)
{
	if (batch->kind != DG_BATCH_KEY)
		return;
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];
		Oid			operator;

		appendStringInfo(select, ", %s AS dg_o%d",
						 quote_identifier(table_side ? column->name : batch->new_names[i]), i);
		if (match == NULL)
			continue;
		appendStringInfoString(match, i == 0 ? " AND NOT (" : " AND ");
		if (dg_column_operator(column->typid, column->typid, &operator))
			appendStringInfo(match, "(dg_t.dg_o%d %s dg_e.dg_o%d OR ", i,
							 dg_operator_sql(operator), i);
		else
			appendStringInfoChar(match, '(');
		appendStringInfo(match, "(dg_t.dg_o%d IS NULL AND dg_e.dg_o%d IS NULL))", i, i);
	}
	if (match)
		appendStringInfoChar(match, ')');
}

/* Run the query and mark what it finds */
static void
mark_taken(DgBatch *batch, const char *query, DgRowState state)
{
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);
	int			result;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	result = SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
								  true, true, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	if (batch->taken == NULL)
		batch->taken = MemoryContextAllocExtended(batch->context, Max(batch->nrows, 1),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
													SPI_tuptable->tupdesc, 1, &isnull));

		if (batch->state[n - 1] != DG_ROW_WANTED)
			continue;
		batch->state[n - 1] = state;
		batch->taken[n - 1] = Min(list_length(batch->taken_keys), PG_UINT8_MAX);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_freeplan(plan);
}
