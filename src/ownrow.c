/*-------------------------------------------------------------------------
 *
 * ownrow.c
 *	  rows of the own tables, without SQL: found by index, made from images
 *
 * Words.  An "image" is a jsonb object, column name to value, of which a row
 * is made by the input functions of its columns' types.  "Ids" are the
 * numbers of an event and of a request (0 if none), which no image knows.
 *
 * Nothing comes in between: no setting, no trigger, no plan.  Nor does
 * anything look after constraints, except NOT NULL here and unique indexes.
 *
 * Lifetime: a row's columns point into the tuple, which is valid until the
 * scan's next.  Locks are the caller's, or as by ordinary inserts.
 *
 * May call: imageread, sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "imageread.h"
#include "ownrow.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"

static Datum decode_value(Form_pg_attribute attr, JsonbValue *value);

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
 * Insert the row of an own table that an image describes, under these ids.
 * What the image does not have is null, or zero for repeats.
 */
void
dg_ownrow_insert_image(const char *table, const Jsonb *image, int64 event_id,
					   int64 request_id)
{
	Relation	rel = table_open(dg_own_relation(table), RowExclusiveLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *isnull = palloc(desc->natts * sizeof(bool));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		JsonbValue	buffer;
		JsonbValue *value = NULL;

		if (!attr->attisdropped)
			value = dg_ownrow_member(image, NameStr(attr->attname), &buffer);
		isnull[i] = value == NULL || value->type == jbvNull;
		if (!isnull[i])
			values[i] = decode_value(attr, value);
		else if (strcmp(NameStr(attr->attname), "repeats") == 0)
			isnull[i] = false;
	}
	dg_ownrow_set_ids(rel, event_id, request_id, values, isnull);
	dg_ownrow_insert(rel, values, isnull);
	table_close(rel, NoLock);
}

/* Fill in event_id, and request_id where the table has one (0 is null) */
void
dg_ownrow_set_ids(Relation rel, int64 event_id, int64 request_id,
				  Datum *values, bool *isnull)
{
	int			column = dg_ownrow_column_number(rel, "event_id");

	values[column - 1] = Int64GetDatum(event_id);
	isnull[column - 1] = false;
	column = get_attnum(RelationGetRelid(rel), "request_id");
	if (column != InvalidAttrNumber)
	{
		values[column - 1] = Int64GetDatum(request_id);
		isnull[column - 1] = request_id == 0;
	}
}

/* Insert a row into an own table; nobody else looks after its constraints */
void
dg_ownrow_insert(Relation rel, Datum *values, bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(rel);
	HeapTuple	tuple;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attnotnull && isnull[i])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of \"%s\" is missing in the record of an attempt",
							NameStr(attr->attname),
							RelationGetRelationName(rel))));
	}
	tuple = heap_form_tuple(desc, values, isnull);
	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
}

/* A value of an image as a value of its column; it is not null */
static Datum
decode_value(Form_pg_attribute attr, JsonbValue *value)
{
	Oid			input;
	Oid			ioparam;

	if (attr->atttypid == JSONBOID)
		return JsonbPGetDatum(JsonbValueToJsonb(value));
	getTypeInputInfo(attr->atttypid, &input, &ioparam);
	return OidInputFunctionCall(input, dg_image_value_text(value), ioparam,
								attr->atttypmod);
}

/* The value under a key, NULL if there is none; valid as long as *buffer */
JsonbValue *
dg_ownrow_member(const Jsonb *object, const char *key, JsonbValue *buffer)
{
	return dg_image_member((JsonbContainer *) &object->root, key, buffer);
}
