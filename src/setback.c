/*-------------------------------------------------------------------------
 *
 * setback.c
 *	  text of the statements that set columns back
 *
 * An UPDATE joins a batch (dg_e) with its target (dg_t).  A row of the batch is
 * to be found as the event has left it: with its columns as they were, but those
 * that were set with what they were set to.
 *
 * Several references may have set columns of one row.  Their batches are
 * "siblings": each finds the row as all of them have left it, or where a sibling
 * has put its columns back already, as it was.
 *
 * Rows of a table without a key are told by all of their columns; equal ones are
 * numbered on both sides (dg_x is the table's).
 *
 * Nothing in the text is resolved by search_path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "lookup.h"
#include "setback.h"
#include "sql.h"

static bool is_in(List *names, const DgTargetColumn *column);
static bool by_whole_row(const DgBatch *batch);
static bool is_compared(const DgBatch *batch, int i);
static List *concerned_siblings(const DgBatch *batch);
static char *current_name(const DgBatch *batch, int i, bool asked);
static char *current_value(const DgBatch *batch, int i, List *siblings);
static void append_old_key(StringInfo buf, const DgBatch *batch, const char *prefix);
static void append_row(StringInfo buf, const DgBatch *batch, bool table_side, List *siblings);
static void append_sibling(StringInfo buf, const DgBatch *batch, const DgBatch *sibling,
						   int number, bool dry_run);
static void append_batch(StringInfo buf, const DgBatch *batch, List *siblings, bool dry_run);
static void append_table_rows(StringInfo buf, const DgBatch *batch);
static void append_from(StringInfo buf, const DgBatch *batch, bool dry_run);
static void append_conditions(StringInfo buf, const DgBatch *batch);
static void append_equal(StringInfo buf, Oid type, const char *left, const char *right, bool nulls);

/* ---------------------------------------------------------------------
 * Columns and siblings
 * ---------------------------------------------------------------------
 */

/* Is a column among these names of the past? */
static bool
is_in(List *names, const DgTargetColumn *column)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), column->past->name) == 0)
			return true;
	}
	return false;
}

/* Are rows told by all of their columns? */
static bool
by_whole_row(const DgBatch *batch)
{
	return batch->kind == DG_BATCH_SET && batch->part->key == NIL;
}

/* Must a column of the row be as the event has left it? */
static bool
is_compared(const DgBatch *batch, int i)
{
	const DgTargetColumn *column = batch->columns[i];

	return by_whole_row(batch) ? !column->generated :
		is_in(batch->part->key, column) || is_in(batch->part->set, column);
}

/* Siblings that have set something which is compared */
static List *
concerned_siblings(const DgBatch *batch)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, batch->siblings)
	{
		DgBatch    *sibling = lfirst(lc);
		bool		concerned = false;

		for (int i = 0; i < batch->ncolumns; i++)
			concerned |= is_compared(batch, i) && is_in(sibling->part->set, batch->columns[i]);
		if (concerned && sibling->impossible == NULL && sibling->nrows > 0)
			result = lappend(result, sibling);
	}
	return result;
}

/* The name in dg_e of what a column must be now; asked: it depends on siblings */
static char *
current_name(const DgBatch *batch, int i, bool asked)
{
	const DgTargetColumn *column = batch->columns[i];

	if (asked)
		return dg_batch_unused_name(batch, psprintf("dg_w%d", i));
	return is_in(batch->part->set, column) ? batch->new_names[i] :
		pstrdup(quote_identifier(column->name));
}

/* The same as an expression over the batch, dg_b, and its siblings, dg_s1, ... */
static char *
current_value(const DgBatch *batch, int i, List *siblings)
{
	const DgTargetColumn *column = batch->columns[i];
	char	   *old = psprintf("dg_b.%s", quote_identifier(column->name));
	bool		own = is_in(batch->part->set, column);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "CASE");
	foreach(lc, siblings)
	{
		int			number = foreach_current_index(lc) + 1;

		if (!is_in(((DgBatch *) lfirst(lc))->part->set, column))
			continue;
		appendStringInfo(&buf, " WHEN dg_s%d.dg_done THEN %s", number, old);
		if (!own)
			appendStringInfo(&buf, " WHEN dg_s%d.dg_i IS NOT NULL THEN dg_s%d.dg_v%d", number, number,
							 i);
	}
	if (buf.len == strlen("CASE"))
		return own ? psprintf("dg_b.%s", batch->new_names[i]) : old;
	appendStringInfo(&buf, " ELSE %s END", own ? psprintf("dg_b.%s", batch->new_names[i]) : old);
	return buf.data;
}

/* The key of a row of the batch, or all of the row, as one text: as it was */
static void
append_old_key(StringInfo buf, const DgBatch *batch, const char *prefix)
{
	bool		first = true;

	appendStringInfoString(buf, "ROW(");
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];

		if (by_whole_row(batch) ? column->generated : !is_in(batch->part->key, column))
			continue;
		appendStringInfo(buf, "%s%s.%s", first ? "" : ", ", prefix, quote_identifier(column->name));
		first = false;
	}
	appendStringInfoString(buf, ")::pg_catalog.text");
}

/* All of a row, as it must be now, as one text: on the table's side or the batch's */
static void
append_row(StringInfo buf, const DgBatch *batch, bool table_side, List *siblings)
{
	bool		first = true;

	appendStringInfoString(buf, "ROW(");
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (!is_compared(batch, i))
			continue;
		appendStringInfo(buf, "%s%s", first ? "" : ", ",
						 table_side ? quote_identifier(batch->columns[i]->name) :
						 current_value(batch, i, siblings));
		first = false;
	}
	appendStringInfoString(buf, ")::pg_catalog.text");
}

/* ---------------------------------------------------------------------
 * FROM
 * ---------------------------------------------------------------------
 */

/*
 * Join the rows of a sibling: for each old row, whether its columns are put back
 * (never in a dry run) and what they were set to.
 */
static void
append_sibling(StringInfo buf, const DgBatch *batch, const DgBatch *sibling, int number,
			   bool dry_run)
{
	char	   *not_done = dg_batch_excluded_text(sibling, DG_ROW_DONE);

	appendStringInfoString(buf, " LEFT JOIN (SELECT DISTINCT ON (1) ");
	append_old_key(buf, sibling, "dg_b");
	appendStringInfoString(buf, " AS dg_i, ");
	if (dry_run)
		appendStringInfoString(buf, "false");
	else if (not_done == NULL)
		appendStringInfoString(buf, "true");
	else
		appendStringInfo(buf, "dg_b.%s OPERATOR(pg_catalog.<>) ALL ('%s'::pg_catalog.int8[])",
						 quote_identifier(sibling->ordinal), not_done);
	appendStringInfoString(buf, " AS dg_done");
	for (int i = 0; i < batch->ncolumns; i++)
	{
		for (int j = 0; j < sibling->ncolumns; j++)
		{
			if (sibling->columns[j]->attnum == batch->columns[i]->attnum)
				appendStringInfo(buf, ", dg_b.%s AS dg_v%d", sibling->new_names[j], i);
		}
	}
	appendStringInfo(buf, " FROM %s AS dg_b) AS dg_s%d ON dg_s%d.dg_i OPERATOR(pg_catalog.=) ",
					 sibling->name, number, number);
	append_old_key(buf, batch, "dg_b");
}

/* The batch as dg_e, with what depends on siblings and with what tells whole rows */
static void
append_batch(StringInfo buf, const DgBatch *batch, List *siblings, bool dry_run)
{
	StringInfoData row;
	ListCell   *lc;

	if (siblings == NIL && !by_whole_row(batch))
	{
		appendStringInfo(buf, "%s AS dg_e", batch->name);
		return;
	}
	appendStringInfoString(buf, "(SELECT dg_b.*");
	for (int i = 0; siblings != NIL && i < batch->ncolumns; i++)
	{
		if (is_compared(batch, i))
			appendStringInfo(buf, ", %s AS %s", current_value(batch, i, siblings),
							 current_name(batch, i, true));
	}
	if (by_whole_row(batch))
	{
		initStringInfo(&row);
		append_row(&row, batch, false, siblings);
		appendStringInfo(buf, ", %s AS %s, pg_catalog.row_number() OVER (PARTITION BY %s ORDER BY dg_b.%s) AS %s",
						 row.data, dg_batch_unused_name(batch, "dg_i"), row.data,
						 quote_identifier(batch->ordinal), dg_batch_unused_name(batch, "dg_r"));
	}
	appendStringInfo(buf, " FROM %s AS dg_b", batch->name);
	foreach(lc, siblings)
		append_sibling(buf, batch, lfirst(lc), foreach_current_index(lc) + 1, dry_run);
	appendStringInfoString(buf, ") AS dg_e");
}

/* The rows of a table without a key as dg_x, equal ones numbered */
static void
append_table_rows(StringInfo buf, const DgBatch *batch)
{
	StringInfoData row;

	initStringInfo(&row);
	append_row(&row, batch, true, NIL);
	appendStringInfo(buf, ", (SELECT tableoid AS dg_o, ctid AS dg_c, %s AS dg_i, pg_catalog.row_number() OVER (PARTITION BY %s ORDER BY ctid) AS dg_r FROM %s%s WHERE true",
					 row.data, row.data, batch->target->partitioned ? "" : "ONLY ",
					 batch->target->name);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (is_in(batch->part->set, batch->columns[i]) && strcmp(batch->part->effect, "set null") == 0)
			appendStringInfo(buf, " AND %s IS NULL", quote_identifier(batch->columns[i]->name));
	}
	appendStringInfoString(buf, ") AS dg_x");
}

/* What the target is joined with, and by which conditions */
static void
append_from(StringInfo buf, const DgBatch *batch, bool dry_run)
{
	List	   *siblings = batch->kind == DG_BATCH_SET ? concerned_siblings(batch) : NIL;

	append_batch(buf, batch, siblings, dry_run);
	if (by_whole_row(batch))
		append_table_rows(buf, batch);
	appendStringInfoString(buf, " WHERE ");
	dg_setback_wanted(buf, batch, psprintf("dg_e.%s", quote_identifier(batch->ordinal)));
	if (by_whole_row(batch))
	{
		appendStringInfo(buf, " AND dg_e.%s OPERATOR(pg_catalog.=) dg_x.dg_i"
						 " AND dg_e.%s OPERATOR(pg_catalog.=) dg_x.dg_r"
						 " AND dg_t.tableoid OPERATOR(pg_catalog.=) dg_x.dg_o"
						 " AND dg_t.ctid OPERATOR(pg_catalog.=) dg_x.dg_c",
						 dg_batch_unused_name(batch, "dg_i"), dg_batch_unused_name(batch, "dg_r"));
		return;
	}
	for (int i = 0; batch->kind == DG_BATCH_SET && i < batch->ncolumns; i++)
	{
		if (is_compared(batch, i))
			append_equal(buf, batch->columns[i]->typid,
						 psprintf("dg_t.%s", quote_identifier(batch->columns[i]->name)),
						 psprintf("dg_e.%s", current_name(batch, i, siblings != NIL)),
						 !is_in(batch->part->key, batch->columns[i]));
	}
	if (batch->kind == DG_BATCH_KEY)
		append_conditions(buf, batch);
}

/* The conditions that dg_t is the row with the new key, and that nothing else would change */
static void
append_conditions(StringInfo buf, const DgBatch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];
		char	   *left = psprintf("dg_t.%s", quote_identifier(column->name));

		append_equal(buf, column->typid, left, psprintf("dg_e.%s", batch->new_names[i]), true);
		if (!dg_batch_sets(batch, column))
			append_equal(buf, column->typid, left,
						 psprintf("dg_e.%s", quote_identifier(column->name)), true);
	}
}

/* One more condition: two values are equal, or if nulls, both null */
static void
append_equal(StringInfo buf, Oid type, const char *left, const char *right, bool nulls)
{
	Oid			operator;

	if (!dg_column_operator(type, type, &operator))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type %s has no equality operator to find a row by",
						format_type_be(type))));
	appendStringInfo(buf, " AND (%s %s %s", left, dg_operator_sql(operator), right);
	if (nulls)
		appendStringInfo(buf, " OR (%s IS NULL AND %s IS NULL)", left, right);
	appendStringInfoChar(buf, ')');
}

/* ---------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------
 */

/*
 * Append the condition that a row of the batch, by its ordinal, is wanted.
 */
void
dg_setback_wanted(StringInfo buf, const DgBatch *batch, const char *ordinal)
{
	char	   *excluded = dg_batch_excluded_text(batch, DG_ROW_WANTED);

	if (excluded == NULL)
		appendStringInfoString(buf, "true");
	else
		appendStringInfo(buf, "%s OPERATOR(pg_catalog.<>) ALL ('%s'::pg_catalog.int8[])",
						 ordinal, excluded);
}

/*
 * Append the UPDATE that sets the columns of a batch back; it returns the
 * ordinals of its rows as dg_n, if asked to.
 */
void
dg_setback_update(StringInfo buf, const DgBatch *batch, bool returning)
{
	bool		first = true;

	appendStringInfo(buf, "UPDATE %s%s AS dg_t SET ",
					 batch->target->partitioned ? "" : "ONLY ", batch->target->name);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];

		if (!dg_batch_sets(batch, column))
			continue;
		appendStringInfo(buf, "%s%s = dg_e.%s", first ? "" : ", ",
						 quote_identifier(column->name), quote_identifier(column->name));
		first = false;
	}
	appendStringInfoString(buf, " FROM ");
	append_from(buf, batch, false);
	if (returning)
		appendStringInfo(buf, " RETURNING dg_e.%s AS dg_n", quote_identifier(batch->ordinal));
}

/*
 * Append the SELECT of the ordinals of the rows that the UPDATE would find; in a
 * dry run nothing has been put back yet.
 */
void
dg_setback_look(StringInfo buf, const DgBatch *batch, bool dry_run)
{
	appendStringInfo(buf, "SELECT dg_e.%s FROM %s%s AS dg_t, ", quote_identifier(batch->ordinal),
					 batch->target->partitioned ? "" : "ONLY ", batch->target->name);
	append_from(buf, batch, dry_run);
}

/*
 * Make the batch and its siblings known to the queries of the current SPI
 * connection.
 */
void
dg_setback_register(DgBatch *batch)
{
	ListCell   *lc;

	dg_batch_register(batch);
	foreach(lc, batch->siblings)
		dg_batch_register(lfirst(lc));
}
