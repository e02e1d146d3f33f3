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
 * An index that only a partition has is about the rows that go there: those for
 * which the partition's constraint holds.
 *
 * A key that another transaction has taken and not yet committed is not seen;
 * the INSERT then waits for it and fails (restore.c looks again).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "lookup.h"
#include "setback.h"
#include "sql.h"
#include "taken.h"

static void find_in(DgBatch *batch, Relation rel, DgRowState state);
static void find_by(DgBatch *batch, Relation rel, Relation index, DgRowState state);
static void find_told(DgBatch *batch, Relation rel, Relation index);
static bool goes_to(const DgBatch *batch, Relation rel);
static char *partition_condition(Relation rel);
static bool is_key(const DgBatch *batch, Relation rel, Relation index);
static bool has_columns_of(const DgBatch *batch, Relation rel, Relation index);
static bool has_column(const DgBatch *batch, Relation rel, AttrNumber attnum);
static char *key_text(Relation index);
static char *taken_query(const DgBatch *batch, Relation rel, Relation index, bool by_batch);
static void append_side(StringInfo buf, Relation index, const char *first, const char *from,
						const char *condition);
static void append_match(StringInfo buf, Relation index);
static Oid *index_operators(Relation index);
static void append_own_row(StringInfo select, StringInfo match, const DgBatch *batch,
						   bool table_side, bool by_batch);
static void run_query(const char *query);
static int64 found_row(uint64 line);
static uint64 mark_taken(DgBatch *batch, const char *query, DgRowState state);

/*
 * Give the wanted rows of a batch whose key is taken a state, and note which rows
 * a key tells from others.
 */
void
dg_taken_find(DgBatch *batch, DgRowState state)
{
	List	   *relids = list_make1_oid(batch->target->relid);
	DgRoleState saved;
	ListCell   *lc;

	if (batch->target->partitioned)
		relids = find_all_inheritors(batch->target->relid, AccessShareLock, NULL);
	dg_act_as(batch->owner, &saved);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	dg_batch_register(batch);
	foreach(lc, relids)
	{
		Relation	rel = relation_open(lfirst_oid(lc), AccessShareLock);

		find_in(batch, rel, state);
		relation_close(rel, NoLock);
	}
	SPI_finish();
	dg_act_back(&saved);
}

/* The same by the indexes of one relation: the target, or a partition of it */
static void
find_in(DgBatch *batch, Relation rel, DgRowState state)
{
	bool		whole = RelationGetRelid(rel) == batch->target->relid;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		/* what is a part of an index of the whole has been looked at there */
		if ((whole || !index->rd_rel->relispartition) && is_key(batch, rel, index) &&
			(whole || goes_to(batch, rel)))
		{
			MemoryContext old = MemoryContextSwitchTo(batch->context);

			batch->reasons = lappend(batch->reasons, key_text(index));
			MemoryContextSwitchTo(old);
			find_told(batch, rel, index);
			find_by(batch, rel, index, state);
		}
		index_close(index, AccessShareLock);
	}
}

/*
 * The same by one index.  A key that another row of the batch has now is not
 * taken: that row gives it back, if it goes first.
 */
static void
find_by(DgBatch *batch, Relation rel, Relation index, DgRowState state)
{
	int64		before = dg_batch_count(batch, state);
	int64		wanted;
	uint64		found;

	if (batch->kind != DG_BATCH_KEY)
	{
		(void) mark_taken(batch, taken_query(batch, rel, index, false), state);
		return;
	}
	found = mark_taken(batch, taken_query(batch, rel, index, true), DG_ROW_WANTED);
	if (found == 0)
		return;
	/* a row that stays where it is takes the key of another one */
	do
	{
		wanted = dg_batch_count(batch, DG_ROW_WANTED);
		(void) mark_taken(batch, taken_query(batch, rel, index, false), state);
	} while (dg_batch_count(batch, DG_ROW_WANTED) < wanted);
	if (dg_batch_count(batch, state) - before < found)
		batch->shifts = true;
}

/*
 * Note which rows the index tells from others: those that it would not let come
 * twice.  They are not those with a NULL in the key, those that do not meet its
 * predicate, or those that an exclusion constraint lets stand beside themselves.
 */
static void
find_told(DgBatch *batch, Relation rel, Relation index)
{
	StringInfoData query;
	bool		whole = RelationGetRelid(rel) == batch->target->relid;

	if (batch->kind != DG_BATCH_INSERT)
		return;
	if (batch->told == NULL)
		batch->told = MemoryContextAllocExtended(batch->context, sizeof(bool) * Max(batch->nrows, 1),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT dg_e.dg_n FROM (");
	append_side(&query, index, psprintf("%s AS dg_n", quote_identifier(batch->ordinal)), batch->name,
				whole ? NULL : partition_condition(rel));
	appendStringInfoString(&query, ") AS dg_e, LATERAL (SELECT dg_e.*) AS dg_t WHERE ");
	append_match(&query, index);
	run_query(query.data);
	for (uint64 i = 0; i < SPI_processed; i++)
		batch->told[found_row(i)] = true;
	SPI_freetuptable(SPI_tuptable);
}

/* Can it be told of the rows of the batch which go to a partition? */
static bool
goes_to(const DgBatch *batch, Relation rel)
{
	Bitmapset  *used = NULL;
	int			member = -1;

	pull_varattnos((Node *) RelationGetPartitionQual(rel), 1, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		if (!has_column(batch, rel, member + FirstLowInvalidHeapAttributeNumber))
			return false;
	}
	return true;
}

/* The condition under which a row, dg_p, goes to a partition; NULL if every row does */
static char *
partition_condition(Relation rel)
{
	char	   *text = pg_get_partconstrdef_string(RelationGetRelid(rel), "dg_p");

	return text && text[0] != '\0' ? psprintf("(%s) IS NOT FALSE", text) : NULL;
}

/* Is this a key that the batch has values for? */
static bool
is_key(const DgBatch *batch, Relation rel, Relation index)
{
	Form_pg_index form = index->rd_index;

	return (form->indisunique || form->indisexclusion) && form->indisvalid &&
		has_columns_of(batch, rel, index);
}

/* Does the batch have all columns of an index, those in expressions too? */
static bool
has_columns_of(const DgBatch *batch, Relation rel, Relation index)
{
	Form_pg_index form = index->rd_index;
	Bitmapset  *used = NULL;
	int			member = -1;

	for (int i = 0; i < form->indnkeyatts; i++)
	{
		if (form->indkey.values[i] > 0 && !has_column(batch, rel, form->indkey.values[i]))
			return false;
	}
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &used);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &used);
	/* expressions are not compared for changed keys, see append_own_row() */
	if (batch->kind == DG_BATCH_KEY && used)
		return false;
	while ((member = bms_next_member(used, member)) >= 0)
	{
		if (!has_column(batch, rel, member + FirstLowInvalidHeapAttributeNumber))
			return false;
	}
	return true;
}

/* Has the batch a column of the target, or of a partition, which may number it otherwise? */
static bool
has_column(const DgBatch *batch, Relation rel, AttrNumber attnum)
{
	if (attnum <= 0)
		return false;
	if (RelationGetRelid(rel) != batch->target->relid)
		attnum = get_attnum(batch->target->relid,
							NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));
	return dg_batch_has_column(batch, attnum);
}

/* Column i (from 1) of an index, or its expression, as SQL writes it */
static char *
index_column(Relation index, int i)
{
	return TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext,
												   ObjectIdGetDatum(RelationGetRelid(index)),
												   Int32GetDatum(i), BoolGetDatum(false)));
}

/* That the key of an index is taken, for messages */
static char *
key_text(Relation index)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "key (");
	for (int i = 1; i <= index->rd_index->indnkeyatts; i++)
		appendStringInfo(&buf, "%s%s", i > 1 ? ", " : "", index_column(index, i));
	appendStringInfoString(&buf, ") is taken");
	return buf.data;
}

/*
 * The query that finds the ordinals of rows whose key is taken; by_batch: by other
 * rows of the batch too.
 */
static char *
taken_query(const DgBatch *batch, Relation rel, Relation index, bool by_batch)
{
	StringInfoData buf;
	StringInfoData own_row;
	StringInfoData first;
	bool		whole = RelationGetRelid(rel) == batch->target->relid;

	initStringInfo(&buf);
	initStringInfo(&own_row);
	initStringInfo(&first);
	appendStringInfo(&first, "%s AS dg_n", quote_identifier(batch->ordinal));
	append_own_row(&first, NULL, batch, false, by_batch);
	appendStringInfoString(&buf, "SELECT DISTINCT dg_e.dg_n FROM (");
	append_side(&buf, index, first.data, batch->name, whole ? NULL : partition_condition(rel));
	appendStringInfoString(&buf, ") AS dg_e, (");
	resetStringInfo(&first);
	appendStringInfoString(&first, "true AS dg_t");
	append_own_row(&first, &own_row, batch, true, by_batch);
	append_side(&buf, index, first.data,
				psprintf("%s%s", batch->target->partitioned ? "" : "ONLY ",
						 dg_qualified_name(RelationGetRelid(rel))), NULL);
	appendStringInfoString(&buf, ") AS dg_t WHERE ");
	append_match(&buf, index);
	appendStringInfoString(&buf, own_row.data);
	return buf.data;
}

/*
 * One side of the join: the index's columns as dg_k1, dg_k2, ...; of the rows,
 * dg_p, that meet a condition, if there is one.
 */
static void
append_side(StringInfo buf, Relation index, const char *first, const char *from,
			const char *condition)
{
	bool		isnull;
	Datum		predicate = SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
											Anum_pg_index_indpred, &isnull);

	appendStringInfo(buf, "SELECT %s", first);
	for (int i = 1; i <= index->rd_index->indnkeyatts; i++)
		appendStringInfo(buf, ", %s AS dg_k%d", index_column(index, i), i);
	appendStringInfo(buf, " FROM %s AS dg_p WHERE %s", from, condition ? condition : "true");
	if (!isnull)
		appendStringInfo(buf, " AND (%s)",
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
 * For changed keys: the row itself does not take its key, nor do other rows of
 * the batch unless by_batch.  Appends to the SELECT list of one side the key that
 * the row has now, as dg_o0, dg_o1, ..., and to match, if given, the condition that
 * leaves those rows out.
 */
static void
append_own_row(StringInfo select, StringInfo match, const DgBatch *batch, bool table_side,
			   bool by_batch)
{
	if (batch->kind != DG_BATCH_KEY)
		return;
	for (int i = 0; i < batch->ncolumns; i++)
		appendStringInfo(select, ", %s AS dg_o%d",
						 quote_identifier(table_side ? batch->columns[i]->name : batch->new_names[i]), i);
	if (match == NULL)
		return;
	if (by_batch)
		appendStringInfoString(match, " AND NOT (true");
	else
	{
		appendStringInfo(match, " AND NOT EXISTS (SELECT FROM %s AS dg_m WHERE ", batch->name);
		dg_setback_wanted(match, batch, psprintf("dg_m.%s", quote_identifier(batch->ordinal)));
	}
	for (int i = 0; i < batch->ncolumns; i++)
	{
		Oid			type = batch->columns[i]->typid;
		char	   *now = by_batch ? psprintf("dg_e.dg_o%d", i) : psprintf("dg_m.%s", batch->new_names[i]);
		Oid			operator;

		appendStringInfo(match, " AND ((dg_t.dg_o%d IS NULL AND %s IS NULL)", i, now);
		if (dg_column_operator(type, type, &operator))
			appendStringInfo(match, " OR dg_t.dg_o%d %s %s", i, dg_operator_sql(operator), now);
		appendStringInfoChar(match, ')');
	}
	appendStringInfoChar(match, ')');
}

/* Run a query for ordinals; the caller frees SPI_tuptable */
static void
run_query(const char *query)
{
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);
	int			result;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	result = SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
								  true, true, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	SPI_freeplan(plan);
}

/* The row, from 0, that a line of the result is about */
static int64
found_row(uint64 line)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[line], SPI_tuptable->tupdesc, 1,
									   &isnull)) - 1;
}

/* Run the query and mark the wanted rows that it finds; returns how many it finds */
static uint64
mark_taken(DgBatch *batch, const char *query, DgRowState state)
{
	uint64		found;

	run_query(query);
	found = SPI_processed;
	for (uint64 i = 0; i < found; i++)
	{
		int64		row = found_row(i);

		if (batch->state[row] == DG_ROW_WANTED && state != DG_ROW_WANTED)
			dg_batch_take(batch, row, state);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}
