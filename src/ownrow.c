/*-------------------------------------------------------------------------
 *
 * ownrow.c
 *	  rows of the own tables, without SQL: found by index, inserted, and packed
 *	  for another process
 *
 * Words.  A "packed" row is one chunk without pointers, a tuple and a number by
 * which who unpacks it sees whether the table still has these columns.
 *
 * Nothing comes in between: no setting, no trigger, no plan.  Nor does
 * anything look after constraints, except NOT NULL here and unique indexes.
 *
 * Lifetime: a row's columns point into the tuple, which is valid until the
 * scan's next, or into the packed row.  Locks are the caller's, or as by
 * ordinary inserts.
 *
 * May call: sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "compat.h"
#include "ownrow.h"
#include "sql.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Columns of one of the own tables whose rows are packed */
typedef struct OwnColumns
{
	const char *table;			/* whose this is for good; NULL: nobody's yet */
	Oid			relid;			/* invalid: to be read again */
	uint32		shape;
	TupleDesc	desc;			/* in TopMemoryContext */
} OwnColumns;

/* They are few; kept until the catalogs say that a table has others */
static OwnColumns packed_tables[2];
static bool callback_registered = false;

static HeapTuple form(TupleDesc desc, const char *table, const Datum *values,
					  const bool *isnull, int ncolumns);
static const OwnColumns *columns_of(const char *table);
static void forget_columns(Datum arg, Oid relid);
static void unpack(TupleDesc desc, const DgPackedRow *row, Datum *values, bool *isnull);

/*
 * Begin to look rows up by an index whose first column this is, on a snapshot
 * of this moment that has this transaction's own changes.
 */
SysScanDesc
dg_ownrow_lookup(Relation rel, const char *index, const char *column,
				 RegProcedure equals, Datum value)
{
	ScanKeyData key;

	ScanKeyInit(&key, dg_ownrow_column_number(rel, column), BTEqualStrategyNumber,
				equals, value);
	return systable_beginscan(rel, dg_own_relation(index), true, NULL, 1, &key);
}

/* Number of a column of an own table */
AttrNumber
dg_ownrow_column_number(Relation rel, const char *column)
{
	AttrNumber	number = get_attnum(RelationGetRelid(rel), column);

	/* should not happen */
	if (number == InvalidAttrNumber)
		elog(ERROR, "column \"%s\" of \"%s\" does not exist", column,
			 RelationGetRelationName(rel));
	return number;
}

/* A column of a row of an own table */
Datum
dg_ownrow_get(Relation rel, HeapTuple tuple, const char *column, bool *isnull)
{
	return heap_getattr(tuple, dg_ownrow_column_number(rel, column),
						RelationGetDescr(rel), isnull);
}

/*
 * Open an own table to insert rows until dg_ownrow_close; the lock lasts until
 * the transaction's end.
 */
DgOwnTable
dg_ownrow_open(const char *table)
{
	DgOwnTable	result;

	result.rel = table_open(dg_own_relation(table), RowExclusiveLock);
	result.indexes = CatalogOpenIndexes(result.rel);
	return result;
}

/* Close it, if it was opened */
void
dg_ownrow_close(DgOwnTable *table)
{
	if (table->rel == NULL)
		return;
	CatalogCloseIndexes(table->indexes);
	table_close(table->rel, NoLock);
	table->rel = NULL;
}

/*
 * Form a row of ncolumns columns.  Raises an error if the table has not as many.
 */
HeapTuple
dg_ownrow_form(Relation rel, const Datum *values, const bool *isnull, int ncolumns)
{
	return form(RelationGetDescr(rel), RelationGetRelationName(rel), values, isnull, ncolumns);
}

static HeapTuple
form(TupleDesc desc, const char *table, const Datum *values, const bool *isnull, int ncolumns)
{
	if (desc->natts != ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" of delete_guard has %d columns instead of %d", table,
						desc->natts, ncolumns),
				 errdetail("The library on disk and the extension in this database are of different versions, or somebody has altered the table."),
				 errhint("If the library was updated, run ALTER EXTENSION delete_guard UPDATE.")));
	return heap_form_tuple(desc, unconstify(Datum *, values), unconstify(bool *, isnull));
}

/* Insert a row of ncolumns columns; nobody else looks after its constraints */
void
dg_ownrow_insert(const DgOwnTable *table, const Datum *values, const bool *isnull, int ncolumns)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	HeapTuple	tuple = dg_ownrow_form(table->rel, values, isnull, ncolumns);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attnotnull && isnull[i])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of \"%s\" is missing in the record of an attempt",
							NameStr(attr->attname),
							RelationGetRelationName(table->rel))));
	}
	CatalogTupleInsertWithInfo(table->rel, tuple, table->indexes);
	heap_freetuple(tuple);
}

/*
 * Pack a row of ncolumns columns; table is a string constant.  In the current
 * context.  Locks the table for a moment if its columns are not known yet.
 */
DgPackedRow *
dg_ownrow_pack(const char *table, const Datum *values, const bool *isnull, int ncolumns)
{
	const OwnColumns *columns = columns_of(table);
	HeapTuple	tuple = form(columns->desc, table, values, isnull, ncolumns);
	DgPackedRow *row;

	if (HeapTupleHasExternal(tuple))
		tuple = toast_flatten_tuple(tuple, columns->desc);
	row = palloc(offsetof(DgPackedRow, tuple) + tuple->t_len);
	SET_VARSIZE(row, offsetof(DgPackedRow, tuple) + tuple->t_len);
	row->shape = columns->shape;
	memcpy(row->tuple, tuple->t_data, tuple->t_len);
	heap_freetuple(tuple);
	return row;
}

/*
 * The values of a packed row, which point into it.  Raises an error if the
 * table has other columns now.
 */
void
dg_ownrow_unpack(Relation rel, const DgPackedRow *row, Datum *values, bool *isnull)
{
	if (row->shape != dg_hash_row_type(RelationGetDescr(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" was changed after the record of an attempt was made",
						RelationGetRelationName(rel))));
	unpack(RelationGetDescr(rel), row, values, isnull);
}

/*
 * The same in the process that packed it, without a lock on the table; the
 * arrays are in the current context.  Returns the columns of then, valid until the
 * next row is packed, or NULL if they are not known any more.
 */
TupleDesc
dg_ownrow_unpack_own(const DgPackedRow *row, Datum **values, bool **isnull)
{
	for (int i = 0; i < lengthof(packed_tables); i++)
	{
		TupleDesc	desc = packed_tables[i].desc;

		if (desc == NULL || packed_tables[i].shape != row->shape)
			continue;
		*values = palloc(desc->natts * sizeof(Datum));
		*isnull = palloc(desc->natts * sizeof(bool));
		unpack(desc, row, *values, *isnull);
		return desc;
	}
	return NULL;
}

static void
unpack(TupleDesc desc, const DgPackedRow *row, Datum *values, bool *isnull)
{
	HeapTupleData tuple = {0};

	tuple.t_data = (HeapTupleHeader) unconstify(DgPackedRow *, row)->tuple;
	tuple.t_len = VARSIZE(row) - offsetof(DgPackedRow, tuple);
	heap_deform_tuple(&tuple, desc, values, isnull);
}

/* The columns of a table */
static const OwnColumns *
columns_of(const char *table)
{
	Oid			relid = dg_own_relation(table);
	OwnColumns *mine = NULL;
	MemoryContext old;
	Relation	rel;

	for (int i = 0; i < lengthof(packed_tables) && mine == NULL; i++)
	{
		if (packed_tables[i].table == NULL || strcmp(packed_tables[i].table, table) == 0)
			mine = &packed_tables[i];
	}
	/* should not happen */
	if (mine == NULL)
		elog(ERROR, "rows of too many tables are packed");
	if (!callback_registered)
		CacheRegisterRelcacheCallback(forget_columns, (Datum) 0);
	callback_registered = true;
	if (mine->relid == relid)
		return mine;

	rel = table_open(relid, AccessShareLock);
	if (mine->desc)
		FreeTupleDesc(mine->desc);
	mine->desc = NULL;
	mine->table = table;
	old = MemoryContextSwitchTo(TopMemoryContext);
	mine->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	MemoryContextSwitchTo(old);
	mine->shape = dg_hash_row_type(mine->desc);
	mine->relid = relid;
	table_close(rel, AccessShareLock);
	return mine;
}

/* Relcache callback: the columns are read again at their next use */
static void
forget_columns(Datum arg, Oid relid)
{
	for (int i = 0; i < lengthof(packed_tables); i++)
	{
		if (!OidIsValid(relid) || packed_tables[i].relid == relid)
			packed_tables[i].relid = InvalidOid;
	}
}
