/*-------------------------------------------------------------------------
 *
 * putback.c
 *	  put the rows of batches back
 *
 * What is gone is inserted, what was nulled, defaulted or re-keyed is updated
 * where it is still as it was left.  All INSERTs, and the first UPDATE of each
 * table, are WITH queries of one statement: PostgreSQL checks foreign keys at
 * the end of a statement, so rows may refer to each other in any order and in
 * circles.  The WITH queries run in the order of the batches.  A row cannot be
 * updated twice in one statement, hence further UPDATEs of a table are
 * statements of their own; and so is everything if a table has rules for
 * INSERT, which WITH does not take.
 *
 * Rights: these are the caller's own statements, with his rights, his settings
 * and his search_path, as if he had typed them: privileges, row security,
 * triggers, rules and defaults apply as to any INSERT or UPDATE of his.
 * Nothing is resolved by search_path in the text built here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "lookup.h"
#include "putback.h"
#include "sql.h"
#include "taken.h"

/* A statement under construction, with its parameters */
typedef struct DgStatement
{
	StringInfoData text;
	List	   *batches;		/* whose rows it puts back */
	int			nparams;
	Oid			types[FUNC_MAX_ARGS];
	Datum		values[FUNC_MAX_ARGS];
	char		nulls[FUNC_MAX_ARGS];
} DgStatement;

static void require_right(const DgBatch *batch, const DgTargetColumn *column, AclMode right);
static bool is_in(List *names, const DgTargetColumn *column);
static bool has_wanted(const DgBatch *batch);
static List *next_group(List **batches);
static bool joins_group(List *group, DgBatch *batch);
static void run_group(List *group);
static void statement_begin(DgStatement *statement);
static int	statement_param(DgStatement *statement, Oid type, Datum value, bool isnull);
static void append_insert(DgStatement *statement, DgBatch *batch, bool returning);
static void append_wanted(DgStatement *statement, const DgBatch *batch, const char *ordinal);
static void append_update(DgStatement *statement, DgBatch *batch);
static void append_from(StringInfo buf, const DgBatch *batch);
static void append_row_text(StringInfo buf, const DgBatch *batch);
static void append_same_row(DgStatement *statement, const DgBatch *batch);
static void append_still(DgStatement *statement, const DgBatch *batch);
static void append_equal(StringInfo buf, Oid type, const char *left, const char *right, bool nulls);
static int	default_param(DgStatement *statement, const DgBatch *batch, const DgTargetColumn *column,
						  const char *text);
static void note_results(DgBatch *batch, int64 inserted);
static void run_alone(DgBatch *batch);

/* ---------------------------------------------------------------------
 * Rights
 * ---------------------------------------------------------------------
 */

/*
 * Raise an error unless the current role may put the rows of a batch back:
 * INSERT, or UPDATE and SELECT on what is updated and looked at.
 */
void
dg_putback_check_rights(const DgBatch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];
		if (batch->kind == DG_BATCH_INSERT)
		{
			if (!column->generated)
				require_right(batch, column, ACL_INSERT);
			continue;
		}
		require_right(batch, column, ACL_SELECT);
		if (dg_batch_sets(batch, column))
			require_right(batch, column, ACL_UPDATE);
	}
}

/* The right on the table, or on the column */
static void
require_right(const DgBatch *batch, const DgTargetColumn *column, AclMode right)
{
	Oid			relid = batch->target->relid;
	AclResult	acl = pg_class_aclcheck(relid, GetUserId(), right);

	if (acl != ACLCHECK_OK &&
		pg_attribute_aclcheck(relid, column->attnum, GetUserId(), right) != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_TABLE, get_rel_name(relid));
}

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

/* ---------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------
 */

/*
 * Put the wanted rows of all batches back; sets their states.
 */
void
dg_putback(List *batches)
{
	List	   *rest = list_copy(batches);
	List	   *group;

	while ((group = next_group(&rest)) != NIL)
	{
		DgBatch    *first = linitial(group);

		if (first->kind == DG_BATCH_INSERT && first->target->insert_rules)
			run_alone(first);
		else
			run_group(group);
	}
}

/*
 * Take the batches off the list that go into the next statement, those with
 * nothing to put back too; NIL at the end.
 */
static List *
next_group(List **batches)
{
	List	   *group = NIL;
	List	   *rest = NIL;
	ListCell   *lc;

	foreach(lc, *batches)
	{
		DgBatch    *batch = lfirst(lc);

		if (!has_wanted(batch))
			continue;
		if (joins_group(group, batch))
			group = lappend(group, batch);
		else
			rest = lappend(rest, batch);
	}
	*batches = rest;
	return group;
}

/* Has a batch rows to be put back? */
static bool
has_wanted(const DgBatch *batch)
{
	return batch->impossible == NULL && dg_batch_count(batch, DG_ROW_WANTED) > 0;
}

/* Can a batch be put back by the same statement as these? */
static bool
joins_group(List *group, DgBatch *batch)
{
	ListCell   *lc;

	foreach(lc, group)
	{
		DgBatch    *other = lfirst(lc);

		if (batch->target->insert_rules || other->target->insert_rules)
			return false;
		if (batch->kind != DG_BATCH_INSERT && other->kind != DG_BATCH_INSERT &&
			batch->target->relid == other->target->relid)
			return false;
	}
	return true;
}

/* Put the rows of several batches back in one statement */
static void
run_group(List *group)
{
	DgStatement statement;
	StringInfo	text = &statement.text;
	int64	   *inserted = palloc0(sizeof(int64) * list_length(group));
	ListCell   *lc;

	statement_begin(&statement);
	foreach(lc, group)
	{
		DgBatch    *batch = lfirst(lc);

		dg_batch_register(batch);
		appendStringInfo(text, "%s dg_%d AS (", foreach_current_index(lc) == 0 ? "WITH" : ",",
						 foreach_current_index(lc));
		if (batch->kind == DG_BATCH_INSERT)
			append_insert(&statement, batch, true);
		else
			append_update(&statement, batch);
		appendStringInfoChar(text, ')');
	}
	foreach(lc, group)
	{
		int			i = foreach_current_index(lc);

		appendStringInfoString(text, i == 0 ? " " : " UNION ALL ");
		if (((DgBatch *) lfirst(lc))->kind == DG_BATCH_INSERT)
			appendStringInfo(text, "SELECT %d, pg_catalog.count(*) FROM dg_%d", i, i);
		else
			appendStringInfo(text, "SELECT %d, dg_n FROM dg_%d", i, i);
	}
	if (SPI_execute_with_args(text->data, statement.nparams, statement.types, statement.values,
							  statement.nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of a statement");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		int			i = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row],
													SPI_tuptable->tupdesc, 1, &isnull));
		int64		n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row],
													SPI_tuptable->tupdesc, 2, &isnull));
		DgBatch    *batch = list_nth(group, i);

		if (batch->kind == DG_BATCH_INSERT)
			inserted[i] = n;
		else
			batch->state[n - 1] = DG_ROW_DONE;
	}
	SPI_finish();
	foreach(lc, group)
		note_results(lfirst(lc), inserted[foreach_current_index(lc)]);
}

/* Insert the rows of a batch whose table has rules */
static void
run_alone(DgBatch *batch)
{
	DgStatement statement;
	int64		inserted;

	statement_begin(&statement);
	dg_batch_register(batch);
	append_insert(&statement, batch, false);
	if (SPI_execute_with_args(statement.text.data, statement.nparams, statement.types,
							  statement.values, statement.nulls, false, 0) < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(SPI_result));
	inserted = SPI_processed;
	SPI_finish();
	note_results(batch, inserted);
}

/* Begin a statement of the caller's; SPI_finish() ends it */
static void
statement_begin(DgStatement *statement)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	memset(statement, 0, sizeof(DgStatement));
	initStringInfo(&statement->text);
}

/* Add a parameter; returns its number */
static int
statement_param(DgStatement *statement, Oid type, Datum value, bool isnull)
{
	int			i = statement->nparams++;

	if (i >= FUNC_MAX_ARGS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("event concerns too many tables to be restored at once")));
	statement->types[i] = type;
	statement->values[i] = value;
	statement->nulls[i] = isnull ? 'n' : ' ';
	return i + 1;
}

/*
 * What became of the rows that were to be inserted or updated.  If a trigger or
 * rule has kept some out, those are there whose key is there.
 */
static void
note_results(DgBatch *batch, int64 inserted)
{
	DgRowState	otherwise = DG_ROW_LEFT;

	if (batch->kind == DG_BATCH_INSERT && inserted == dg_batch_count(batch, DG_ROW_WANTED))
		otherwise = DG_ROW_DONE;
	else if (batch->kind == DG_BATCH_INSERT && inserted > 0)
		(void) dg_taken_find(batch, DG_ROW_DONE);
	for (int64 i = 0; i < batch->nrows; i++)
	{
		if (batch->state[i] == DG_ROW_WANTED)
			batch->state[i] = otherwise;
	}
}

/* ---------------------------------------------------------------------
 * Text of statements
 * ---------------------------------------------------------------------
 */

/* INSERT of a batch */
static void
append_insert(DgStatement *statement, DgBatch *batch, bool returning)
{
	StringInfoData columns;
	bool		first = true;

	initStringInfo(&columns);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (batch->columns[i]->generated)
			continue;
		appendStringInfo(&columns, "%s%s", first ? "" : ", ",
						 quote_identifier(batch->columns[i]->name));
		first = false;
	}
	appendStringInfo(&statement->text,
					 "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s",
					 batch->target->name, columns.data, columns.data, batch->name);
	if (dg_batch_count(batch, DG_ROW_WANTED) < batch->nrows)
	{
		appendStringInfoString(&statement->text, " WHERE ");
		append_wanted(statement, batch, quote_identifier(batch->ordinal));
	}
	if (returning)
		appendStringInfoString(&statement->text, " RETURNING 1");
}

/* The condition that a row is wanted */
static void
append_wanted(DgStatement *statement, const DgBatch *batch, const char *ordinal)
{
	appendStringInfo(&statement->text, "%s OPERATOR(pg_catalog.<>) ALL ($%d)", ordinal,
					 statement_param(statement, INT8ARRAYOID, dg_batch_excluded(batch, DG_ROW_WANTED), false));
}

/* UPDATE of a batch; returns the ordinals of the rows as dg_n */
static void
append_update(DgStatement *statement, DgBatch *batch)
{
	StringInfo	buf = &statement->text;
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
	append_from(buf, batch);
	appendStringInfoString(buf, " WHERE ");
	append_same_row(statement, batch);
	append_still(statement, batch);
	appendStringInfo(buf, " RETURNING dg_e.%s AS dg_n", quote_identifier(batch->ordinal));
}

/*
 * What an UPDATE is joined with: the batch, as dg_e.  If there is no key to
 * tell rows apart by, also the rows of the table, as dg_x: rows with equal
 * other columns are numbered on both sides.
 */
static void
append_from(StringInfo buf, const DgBatch *batch)
{
	StringInfoData text;
	const char *ordinal = quote_identifier(batch->ordinal);

	if (batch->kind != DG_BATCH_SET || batch->part->key != NIL)
	{
		appendStringInfo(buf, "%s AS dg_e", batch->name);
		return;
	}
	initStringInfo(&text);
	append_row_text(&text, batch);
	appendStringInfo(buf, "(SELECT *, %s AS dg_i, pg_catalog.row_number() OVER (PARTITION BY %s ORDER BY %s) AS dg_r FROM %s) AS dg_e, ",
					 text.data, text.data, ordinal, batch->name);
	appendStringInfo(buf, "(SELECT tableoid AS dg_o, ctid AS dg_c, %s AS dg_i, pg_catalog.row_number() OVER (PARTITION BY %s ORDER BY ctid) AS dg_r FROM %s%s WHERE true",
					 text.data, text.data, batch->target->partitioned ? "" : "ONLY ",
					 batch->target->name);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (is_in(batch->part->set, batch->columns[i]) && strcmp(batch->part->effect, "set null") == 0)
			appendStringInfo(buf, " AND %s IS NULL", quote_identifier(batch->columns[i]->name));
	}
	appendStringInfoString(buf, ") AS dg_x");
}

/* The columns that were not set, as one text */
static void
append_row_text(StringInfo buf, const DgBatch *batch)
{
	bool		first = true;

	appendStringInfoString(buf, "ROW(");
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (is_in(batch->part->set, batch->columns[i]) || batch->columns[i]->generated)
			continue;
		appendStringInfo(buf, "%s%s", first ? "" : ", ", quote_identifier(batch->columns[i]->name));
		first = false;
	}
	appendStringInfoString(buf, ")::pg_catalog.text");
}

/* The condition that the row dg_t is the one in the batch */
static void
append_same_row(DgStatement *statement, const DgBatch *batch)
{
	StringInfo	buf = &statement->text;

	append_wanted(statement, batch, psprintf("dg_e.%s", quote_identifier(batch->ordinal)));
	if (batch->kind == DG_BATCH_SET && batch->part->key == NIL)
	{
		appendStringInfoString(buf, " AND dg_e.dg_i OPERATOR(pg_catalog.=) dg_x.dg_i"
							   " AND dg_e.dg_r OPERATOR(pg_catalog.=) dg_x.dg_r"
							   " AND dg_t.tableoid OPERATOR(pg_catalog.=) dg_x.dg_o"
							   " AND dg_t.ctid OPERATOR(pg_catalog.=) dg_x.dg_c");
		return;
	}
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];
		char	   *left = psprintf("dg_t.%s", quote_identifier(column->name));

		if (batch->kind == DG_BATCH_KEY)
		{
			append_equal(buf, column->typid, left, psprintf("dg_e.%s", batch->new_names[i]), true);
			if (!dg_batch_sets(batch, column))
				append_equal(buf, column->typid, left,
							 psprintf("dg_e.%s", quote_identifier(column->name)), true);
		}
		else if (is_in(batch->part->key, column))
			append_equal(buf, column->typid, left,
						 psprintf("dg_e.%s", quote_identifier(column->name)), false);
	}
}

/* The condition that a row still has what the removal has left in it */
static void
append_still(DgStatement *statement, const DgBatch *batch)
{
	ListCell   *name;
	ListCell   *text;

	if (batch->kind != DG_BATCH_SET)
		return;
	forboth(name, batch->part->set, text, batch->part->defaults)
	{
		DgTargetColumn *column = dg_target_column(batch->target, lfirst(name));
		char	   *left = psprintf("dg_t.%s", quote_identifier(column->name));

		if (lfirst(text) == NULL)
			appendStringInfo(&statement->text, " AND %s IS NULL", left);
		else
			append_equal(&statement->text, column->typid, left,
						 psprintf("$%d", default_param(statement, batch, column, lfirst(text))), true);
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

/*
 * A parameter with the value of a default, as it was written in the catalog
 * when the columns were set.  It is evaluated as the owner of the table.
 */
static int
default_param(DgStatement *statement, const DgBatch *batch, const DgTargetColumn *column,
			  const char *text)
{
	DgRoleState saved;
	MemoryContext caller = CurrentMemoryContext;
	Datum		value;
	bool		isnull;
	int16		typlen;
	bool		typbyval;

	dg_act_as(batch->owner, &saved);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(psprintf("SELECT (%s)::%s", text,
							 format_type_with_typemod(column->typid, column->typmod)),
					true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "unexpected result of a default");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	get_typlenbyval(column->typid, &typlen, &typbyval);
	if (!isnull)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		value = SPI_datumTransfer(value, typbyval, typlen);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	dg_act_back(&saved);
	return statement_param(statement, column->typid, value, isnull);
}

/* ---------------------------------------------------------------------
 * What would happen
 * ---------------------------------------------------------------------
 */

/*
 * Set the states of the wanted rows of a batch as putting them back would, and
 * change nothing.  What triggers, rules and foreign keys would do is not told.
 * Looks as the owner of the table.
 */
void
dg_putback_probe(DgBatch *batch)
{
	DgStatement statement;
	DgRoleState saved;

	if (!has_wanted(batch))
		return;
	if (batch->kind == DG_BATCH_INSERT)
	{
		note_results(batch, dg_batch_count(batch, DG_ROW_WANTED));
		return;
	}
	dg_act_as(batch->owner, &saved);
	statement_begin(&statement);
	dg_batch_register(batch);
	appendStringInfo(&statement.text, "SELECT dg_e.%s FROM %s%s AS dg_t, ",
					 quote_identifier(batch->ordinal),
					 batch->target->partitioned ? "" : "ONLY ", batch->target->name);
	append_from(&statement.text, batch);
	appendStringInfoString(&statement.text, " WHERE ");
	append_same_row(&statement, batch);
	append_still(&statement, batch);
	if (SPI_execute_with_args(statement.text.data, statement.nparams, statement.types,
							  statement.values, statement.nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of a statement");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		int64		n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row],
													SPI_tuptable->tupdesc, 1, &isnull));

		batch->state[n - 1] = DG_ROW_DONE;
	}
	SPI_finish();
	dg_act_back(&saved);
	note_results(batch, 0);
}
