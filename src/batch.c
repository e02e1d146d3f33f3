/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  rows of the past as a relation that queries can read
 *
 * A "batch" holds the rows of one part of an event, decoded to the types that
 * the target's columns have now, in a tuplestore that spills to disk; queries
 * read it by its name, like a transition table.  Its columns have the names of
 * the target's; one more, the "ordinal", numbers the rows from 1.
 *
 * Rows are decoded as the owner of the target, since reading a value may check
 * the constraint of a domain.
 *
 * Memory: a context per batch, child of the caller's: one byte or two per row
 * beside the tuplestore's work_mem.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "batch.h"
#include "compat.h"
#include "imageread.h"
#include "imagetype.h"
#include "sql.h"

/* What the row callback needs */
typedef struct DgFill
{
	DgBatch    *batch;
	DgReader   *reader;
	DgReader   *new_reader;		/* of changed keys */
	Datum	   *set_to;			/* what columns of all rows were set to, or NULL */
	bool	   *set_to_null;
	Datum	   *values;
	bool	   *isnull;
	Size		room;			/* of batch->state */
} DgFill;

static DgBatchKind kind_of(const DgPastPart *part);
static void choose_columns(DgBatch *batch);
static bool fills_any(const DgBatch *batch);
static bool sets_any(const DgBatch *batch);
static bool is_wanted(const DgBatch *batch, const char *past_name);
static const char *missing_column(const DgBatch *batch, List *names);
static bool name_in_list(List *names, const char *name);
static void describe_batch(DgBatch *batch);
static void describe_column(TupleDesc desc, int attnum, const char *name,
							const DgTargetColumn *column);
static DgReader *make_reader(DgBatch *batch);
static void read_set_to(DgFill *fill);
static bool present_default(DgBatch *batch, const DgTargetColumn *column, Datum *value, bool *isnull);
static void add_row(void *arg, JsonbContainer *image, bytea *apart, JsonbContainer *new_key);

/*
 * Make a batch, without rows, for a part whose target exists.
 */
DgBatch *
dg_batch_create(const DgPastPart *part, DgTarget *target, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard batch of rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	DgBatch    *batch = palloc0(sizeof(DgBatch));

	batch->context = context;
	batch->part = part;
	batch->target = target;
	batch->kind = kind_of(part);
	batch->owner = dg_relation_owner(target->relid);
	batch->name = psprintf("delete_guard_rows_%d", part->number);
	choose_columns(batch);
	describe_batch(batch);
	batch->store = tuplestore_begin_heap(true, false, work_mem);
	batch->relation = palloc0(sizeof(EphemeralNamedRelationData));
	batch->relation->md.name = batch->name;
	batch->relation->md.tupdesc = batch->desc;
	batch->relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	batch->relation->reldata = batch->store;
	MemoryContextSwitchTo(old);
	return batch;
}

/* How rows of a part are put back */
static DgBatchKind
kind_of(const DgPastPart *part)
{
	if (strcmp(part->effect, "key change") == 0)
		return DG_BATCH_KEY;
	if (strcmp(part->effect, "set null") == 0 || strcmp(part->effect, "set default") == 0)
		return DG_BATCH_SET;
	return DG_BATCH_INSERT;
}

/* Which of the target's columns the rows have; and whether that will do */
static void
choose_columns(DgBatch *batch)
{
	const DgTarget *target = batch->target;
	const char *missing = NULL;

	batch->columns = palloc(sizeof(DgTargetColumn *) * Max(target->ncolumns, 1));
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (is_wanted(batch, target->columns[i].past->name))
			batch->columns[batch->ncolumns++] = &target->columns[i];
	}
	if (batch->kind != DG_BATCH_INSERT)
	{
		missing = missing_column(batch, batch->part->key);
		if (missing == NULL)
			missing = missing_column(batch, batch->part->set);
	}
	if (batch->kind == DG_BATCH_INSERT && !fills_any(batch))
		batch->impossible = pstrdup("the table has no column that is not computed and that the row has a value for");
	else if (missing)
		batch->impossible = psprintf("column \"%s\" was dropped", missing);
	else if (batch->kind == DG_BATCH_KEY && batch->part->set == NIL)
		batch->impossible = pstrdup("the new key was not recorded");
	else if (batch->kind != DG_BATCH_INSERT && !sets_any(batch))
		batch->impossible = pstrdup("its columns cannot be updated");
}

/* Is there a column that an INSERT can give a value for? */
static bool
fills_any(const DgBatch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (!batch->columns[i]->generated)
			return true;
	}
	return false;
}

/* Is there a column that an UPDATE can put back? */
static bool
sets_any(const DgBatch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (dg_batch_sets(batch, batch->columns[i]))
			return true;
	}
	return false;
}

/*
 * Does the UPDATE for a batch set this column?
 */
bool
dg_batch_sets(const DgBatch *batch, const DgTargetColumn *column)
{
	return !column->generated && !column->identity_always &&
		name_in_list(batch->part->set, column->past->name);
}

/* Is a column of the past needed to put these rows back? */
static bool
is_wanted(const DgBatch *batch, const char *past_name)
{
	if (batch->kind == DG_BATCH_INSERT ||
		(batch->kind == DG_BATCH_SET && batch->part->key == NIL))
		return true;
	return name_in_list(batch->part->set, past_name) ||
		(batch->kind == DG_BATCH_SET && name_in_list(batch->part->key, past_name));
}

/* The first of these columns of the past that is gone, NULL if none is */
static const char *
missing_column(const DgBatch *batch, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (dg_target_column(batch->target, lfirst(lc)) == NULL)
			return lfirst(lc);
	}
	return NULL;
}

/* Is a string in a list of them? */
static bool
name_in_list(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/*
 * A name that no column of the batch has; in the current context.
 */
char *
dg_batch_unused_name(const DgBatch *batch, const char *base)
{
	char	   *name = pstrdup(base);
	bool		used = true;

	while (used)
	{
		used = false;
		for (int i = 0; i < batch->ncolumns; i++)
			used |= strcmp(batch->columns[i]->name, name) == 0;
		if (used)
			name = psprintf("_%s", name);
	}
	return name;
}

/* The shape of the rows */
static void
describe_batch(DgBatch *batch)
{
	bool		changed = batch->kind != DG_BATCH_INSERT;
	int			natts = 1 + batch->ncolumns * (changed ? 2 : 1);

	batch->ordinal = dg_batch_unused_name(batch, "n");
	batch->desc = CreateTemplateTupleDesc(natts);
	TupleDescInitEntry(batch->desc, 1, batch->ordinal, INT8OID, -1, 0);
	for (int i = 0; i < batch->ncolumns; i++)
		describe_column(batch->desc, 2 + i, batch->columns[i]->name, batch->columns[i]);
	if (changed)
		batch->new_names = palloc(sizeof(char *) * batch->ncolumns);
	for (int i = 0; changed && i < batch->ncolumns; i++)
	{
		batch->new_names[i] = dg_batch_unused_name(batch, psprintf("new_%d", i + 1));
		describe_column(batch->desc, 2 + batch->ncolumns + i, batch->new_names[i],
						batch->columns[i]);
	}
	dg_tupledesc_finish(batch->desc);
}

/* A column of a shape, as it is in the target */
static void
describe_column(TupleDesc desc, int attnum, const char *name, const DgTargetColumn *column)
{
	TupleDescInitEntry(desc, attnum, name, column->typid, column->typmod, 0);
	TupleDescInitEntryCollation(desc, attnum, column->collation);
}

/*
 * Read the rows of the batch from the audit log.
 */
void
dg_batch_fill(DgBatch *batch, int64 event_id)
{
	DgFill		fill = {batch};
	DgRoleState saved;
	int			pin;

	fill.values = MemoryContextAlloc(batch->context, sizeof(Datum) * batch->desc->natts);
	fill.isnull = MemoryContextAlloc(batch->context, sizeof(bool) * batch->desc->natts);
	dg_act_as(batch->owner, &saved);
	pin = dg_image_pin_reading();
	fill.reader = make_reader(batch);
	if (batch->kind == DG_BATCH_KEY)
		fill.new_reader = make_reader(batch);
	else if (batch->kind == DG_BATCH_SET)
		read_set_to(&fill);
	dg_past_rows(event_id, batch->part->number, add_row, &fill);
	dg_image_unpin(pin);
	dg_act_back(&saved);
}

/* A reader for the columns of the batch */
static DgReader *
make_reader(DgBatch *batch)
{
	DgReader   *reader = dg_reader_create(batch->context);

	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];

		dg_reader_add(reader, column->past->name, column->past->type,
					  column->typid, column->typmod);
	}
	return reader;
}

/*
 * What the columns were set to: as recorded, or where that is no constant what
 * the target's default is now, as its owner.  In the batch's context.
 */
static void
read_set_to(DgFill *fill)
{
	DgBatch    *batch = fill->batch;
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	fill->set_to = palloc0(sizeof(Datum) * batch->ncolumns);
	fill->set_to_null = palloc(sizeof(bool) * batch->ncolumns);
	memset(fill->set_to_null, true, batch->ncolumns);
	if (batch->part->set_to)
		dg_reader_read(fill->reader, batch->part->set_to, NULL, fill->set_to, fill->set_to_null);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];

		if (name_in_list(batch->part->computed, column->past->name) &&
			!present_default(batch, column, &fill->set_to[i], &fill->set_to_null[i]))
			batch->impossible = psprintf("what column \"%s\" was set to was not recorded, as its default is no constant",
										 column->name);
	}
	MemoryContextSwitchTo(old);
}

/* The value of a column's default; false if it has another one each time */
static bool
present_default(DgBatch *batch, const DgTargetColumn *column, Datum *value, bool *isnull)
{
	Relation	rel = table_open(batch->target->relid, AccessShareLock);
	Node	   *expr = build_column_default(rel, column->attnum);
	bool		volatile_default = expr && contain_volatile_functions(expr);

	table_close(rel, NoLock);
	*isnull = true;
	if (expr && !volatile_default)
	{
		EState	   *estate = CreateExecutorState();
		ExprState  *state = ExecPrepareExpr((Expr *) expr, estate);
		int16		typlen;
		bool		typbyval;

		*value = ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), isnull);
		get_typlenbyval(column->typid, &typlen, &typbyval);
		if (!*isnull)
			*value = datumTransfer(*value, typbyval, typlen);
		FreeExecutorState(estate);
	}
	return !volatile_default;
}

/* Row callback: add it to the batch */
static void
add_row(void *arg, JsonbContainer *image, bytea *apart, JsonbContainer *new_key)
{
	DgFill	   *fill = arg;
	DgBatch    *batch = fill->batch;
	int			n = batch->ncolumns;

	if (batch->nrows >= fill->room)
	{
		Size		room = Max(fill->room * 2, 1024);

		batch->state = batch->state ? repalloc_huge(batch->state, room) :
			MemoryContextAlloc(batch->context, room);
		memset(batch->state + fill->room, DG_ROW_WANTED, room - fill->room);
		fill->room = room;
	}
	fill->values[0] = Int64GetDatum(++batch->nrows);
	fill->isnull[0] = false;
	dg_reader_read(fill->reader, image, apart, fill->values + 1, fill->isnull + 1);
	if (fill->new_reader && new_key)
		dg_reader_read(fill->new_reader, new_key, NULL, fill->values + 1 + n, fill->isnull + 1 + n);
	else if (fill->set_to)
	{
		memcpy(fill->values + 1 + n, fill->set_to, sizeof(Datum) * n);
		memcpy(fill->isnull + 1 + n, fill->set_to_null, sizeof(bool) * n);
	}
	else if (fill->new_reader)
	{
		memset(fill->isnull + 1 + n, true, sizeof(bool) * n);
		batch->state[batch->nrows - 1] = DG_ROW_UNKNOWN;
	}
	tuplestore_putvalues(batch->store, batch->desc, fill->values, fill->isnull);
}

/*
 * Make the batch known to the queries of the current SPI connection; it may be
 * already.
 */
void
dg_batch_register(DgBatch *batch)
{
	int			result = SPI_register_relation(batch->relation);

	if (result != SPI_OK_REL_REGISTER && result != SPI_ERROR_REL_DUPLICATE)
		elog(ERROR, "SPI_register_relation failed: %s", SPI_result_code_string(result));
}

/*
 * Let batches know their siblings: those that other references have set columns
 * of in the same relation.
 */
void
dg_batch_link_siblings(List *batches)
{
	ListCell   *lc;
	ListCell   *other;

	foreach(lc, batches)
	{
		DgBatch    *batch = lfirst(lc);

		foreach(other, batches)
		{
			DgBatch    *sibling = lfirst(other);

			if (sibling != batch && batch->kind == DG_BATCH_SET && sibling->kind == DG_BATCH_SET &&
				sibling->part->table_id == batch->part->table_id &&
				strcmp(sibling->part->table, batch->part->table) == 0)
				batch->siblings = lappend(batch->siblings, sibling);
		}
	}
}

/*
 * Do the rows have a value for this column of the target?
 */
bool
dg_batch_has_column(const DgBatch *batch, AttrNumber attnum)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (batch->columns[i]->attnum == attnum)
			return true;
	}
	return false;
}

/*
 * Nothing has been put back after all: what was is wanted again.
 */
void
dg_batch_reset(DgBatch *batch)
{
	batch->unsure = false;
	for (int64 i = 0; i < batch->nrows; i++)
	{
		if (batch->state[i] == DG_ROW_DONE || batch->state[i] == DG_ROW_LEFT)
			batch->state[i] = DG_ROW_WANTED;
	}
}

/*
 * Can a row not be told from others, so that nothing shows whether it is there?
 */
bool
dg_batch_untold(const DgBatch *batch, int64 row)
{
	if (batch->kind == DG_BATCH_SET)
		return batch->part->key == NIL;
	return batch->kind == DG_BATCH_INSERT && (batch->told == NULL || !batch->told[row]);
}

/*
 * Give a wanted row another state, for the latest of the reasons.
 */
void
dg_batch_take(DgBatch *batch, int64 row, DgRowState state)
{
	if (batch->taken == NULL)
		batch->taken = MemoryContextAllocExtended(batch->context, sizeof(uint16) * batch->nrows,
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->state[row] = state;
	batch->taken[row] = Min(list_length(batch->reasons), PG_UINT16_MAX);
}

/*
 * How many rows are in a state?
 */
int64
dg_batch_count(const DgBatch *batch, DgRowState state)
{
	int64		count = 0;

	for (int64 i = 0; i < batch->nrows; i++)
		count += batch->state[i] == state;
	return count;
}

/*
 * The ordinals of the rows that are not in a state, a bigint[]; in the current
 * context.
 */
Datum
dg_batch_excluded(const DgBatch *batch, DgRowState state)
{
	int64		n = 0;
	Datum	   *ordinals = palloc_extended(sizeof(Datum) * Max(batch->nrows, 1), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < batch->nrows; i++)
	{
		if (batch->state[i] != state)
			ordinals[n++] = Int64GetDatum(i + 1);
	}
	return PointerGetDatum(construct_array(ordinals, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * The same as the text of an array; NULL if there are none.
 */
char *
dg_batch_excluded_text(const DgBatch *batch, DgRowState state)
{
	if (dg_batch_count(batch, state) == batch->nrows)
		return NULL;
	return OidOutputFunctionCall(F_ARRAY_OUT, dg_batch_excluded(batch, state));
}

/*
 * Free a batch.
 */
void
dg_batch_free(DgBatch *batch)
{
	tuplestore_end(batch->store);
	MemoryContextDelete(batch->context);
}
