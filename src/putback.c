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
 * statements of their own; and so is what rules of a table rewrite, which WITH
 * does not take.
 *
 * Rights: these are the caller's own statements, with his rights, his settings
 * (but for extra_float_digits and DateStyle where a row is told by its text) and
 * his search_path, as if he had typed them: privileges, row security,
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

#include "imagetype.h"
#include "putback.h"
#include "setback.h"
#include "sql.h"
#include "taken.h"

static void require_right(const DgBatch *batch, const DgTargetColumn *column, AclMode right);
static bool has_wanted(const DgBatch *batch);
static bool tells_by_text(List *batches);
static List *next_group(List **batches);
static bool joins_group(List *group, DgBatch *batch);
static void run_group(List *group);
static void append_insert(StringInfo buf, DgBatch *batch, bool returning);
static void begin_text(StringInfo buf);
static void mark_found(DgBatch *batch);
static void note_results(DgBatch *batch, int64 inserted);
static bool needs_alone(const DgBatch *batch);
static void insert_alone(DgBatch *batch);
static void update_alone(DgBatch *batch);
static void update_one_by_one(DgBatch *batch);

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
	int			pin = tells_by_text(batches) ? dg_image_pin_telling() : -1;

	while ((group = next_group(&rest)) != NIL)
	{
		DgBatch    *first = linitial(group);

		if (first->shifts)
			update_one_by_one(first);
		else if (!needs_alone(first))
			run_group(group);
		else if (first->kind == DG_BATCH_INSERT)
			insert_alone(first);
		else
			update_alone(first);
	}
	dg_image_unpin(pin);
}

/* Are rows of a batch told by their text, see setback.c? */
static bool
tells_by_text(List *batches)
{
	ListCell   *lc;

	foreach(lc, batches)
	{
		if (((DgBatch *) lfirst(lc))->kind == DG_BATCH_SET)
			return true;
	}
	return false;
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

/*
 * Must a batch have statements of its own?  If its rows go one by one, or if the
 * table has rules, which WITH and RETURNING do not go with.
 */
static bool
needs_alone(const DgBatch *batch)
{
	return batch->shifts ||
		(batch->kind == DG_BATCH_INSERT ? batch->target->insert_rules : batch->target->update_rules);
}

/* Can a batch be put back by the same statement as these? */
static bool
joins_group(List *group, DgBatch *batch)
{
	ListCell   *lc;

	foreach(lc, group)
	{
		DgBatch    *other = lfirst(lc);

		if (needs_alone(batch) || needs_alone(other))
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
	StringInfoData text;
	int64	   *inserted = palloc0(sizeof(int64) * list_length(group));
	ListCell   *lc;

	begin_text(&text);
	foreach(lc, group)
	{
		DgBatch    *batch = lfirst(lc);

		dg_setback_register(batch);
		appendStringInfo(&text, "%s dg_%d AS (", foreach_current_index(lc) == 0 ? "WITH" : ",",
						 foreach_current_index(lc));
		if (batch->kind == DG_BATCH_INSERT)
			append_insert(&text, batch, true);
		else
			dg_setback_update(&text, batch, true);
		appendStringInfoChar(&text, ')');
	}
	foreach(lc, group)
	{
		int			i = foreach_current_index(lc);

		appendStringInfoString(&text, i == 0 ? " " : " UNION ALL ");
		if (((DgBatch *) lfirst(lc))->kind == DG_BATCH_INSERT)
			appendStringInfo(&text, "SELECT %d, pg_catalog.count(*) FROM dg_%d", i, i);
		else
			appendStringInfo(&text, "SELECT %d, dg_n FROM dg_%d", i, i);
	}
	if (SPI_execute(text.data, false, 0) != SPI_OK_SELECT)
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
insert_alone(DgBatch *batch)
{
	StringInfoData text;
	int64		inserted;

	begin_text(&text);
	dg_batch_register(batch);
	append_insert(&text, batch, false);
	if (SPI_execute(text.data, false, 0) < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(SPI_result));
	inserted = SPI_processed;
	SPI_finish();
	note_results(batch, inserted);
}

/*
 * Update the rows of a batch whose table has rules.  Which rows are concerned is
 * looked up before; a rule that acts instead leaves all of them.
 */
static void
update_alone(DgBatch *batch)
{
	StringInfoData update;
	StringInfoData look;

	begin_text(&update);
	initStringInfo(&look);
	dg_setback_register(batch);
	dg_setback_update(&update, batch, false);
	dg_setback_look(&look, batch, false);
	if (SPI_execute(look.data, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of a statement");
	mark_found(batch);
	if (SPI_execute(update.data, false, 0) < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(SPI_result));
	for (int64 i = 0; SPI_processed == 0 && i < batch->nrows; i++)
	{
		if (batch->state[i] == DG_ROW_DONE)
			batch->state[i] = DG_ROW_LEFT;
	}
	SPI_finish();
	note_results(batch, 0);
}

/*
 * Update the rows of a batch one by one, the last one first: in the opposite of
 * the order in which their keys were changed, so that each key is free again.
 */
static void
update_one_by_one(DgBatch *batch)
{
	StringInfoData text;
	Oid			type = INT8OID;
	SPIPlanPtr	plan;

	begin_text(&text);
	dg_setback_register(batch);
	dg_setback_update(&text, batch, false);
	appendStringInfo(&text, " AND dg_e.%s OPERATOR(pg_catalog.=) $1", quote_identifier(batch->ordinal));
	plan = SPI_prepare(text.data, 1, &type);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	for (int64 n = batch->nrows; n > 0; n--)
	{
		Datum		ordinal = Int64GetDatum(n);

		CHECK_FOR_INTERRUPTS();
		if (batch->state[n - 1] != DG_ROW_WANTED)
			continue;
		if (SPI_execute_plan(plan, &ordinal, NULL, false, 0) < 0)
			elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(SPI_result));
		if (SPI_processed > 0)
			batch->state[n - 1] = DG_ROW_DONE;
	}
	SPI_finish();
	note_results(batch, 0);
}

/* Begin the text of a statement of the caller's; SPI_finish() ends it */
static void
begin_text(StringInfo buf)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	initStringInfo(buf);
}

/* The rows whose ordinals the last query has returned are put back */
static void
mark_found(DgBatch *batch)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		int64		n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row],
													SPI_tuptable->tupdesc, 1, &isnull));

		batch->state[n - 1] = DG_ROW_DONE;
	}
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
	{
		int64		done;

		dg_taken_find(batch, DG_ROW_DONE);
		done = dg_batch_count(batch, DG_ROW_DONE);
		batch->unsure = inserted > done;
	}
	for (int64 i = 0; i < batch->nrows; i++)
	{
		if (batch->state[i] == DG_ROW_WANTED)
			batch->state[i] = otherwise;
	}
}

/* INSERT of a batch */
static void
append_insert(StringInfo buf, DgBatch *batch, bool returning)
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
	appendStringInfo(buf, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE ",
					 batch->target->name, columns.data, columns.data, batch->name);
	dg_setback_wanted(buf, batch, quote_identifier(batch->ordinal));
	if (returning)
		appendStringInfoString(buf, " RETURNING 1");
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
	StringInfoData text;
	DgRoleState saved;
	int			pin;

	if (!has_wanted(batch))
		return;
	if (batch->kind == DG_BATCH_INSERT)
	{
		note_results(batch, dg_batch_count(batch, DG_ROW_WANTED));
		return;
	}
	dg_act_as(batch->owner, &saved);
	pin = dg_image_pin_telling();
	begin_text(&text);
	dg_setback_register(batch);
	dg_setback_look(&text, batch, true);
	if (SPI_execute(text.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of a statement");
	mark_found(batch);
	SPI_finish();
	dg_image_unpin(pin);
	dg_act_back(&saved);
	note_results(batch, 0);
}
