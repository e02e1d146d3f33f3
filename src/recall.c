/*-------------------------------------------------------------------------
 *
 * recall.c
 *	  a removal of the past, read back from the audit log
 *
 * Whether somebody may read it is for the caller to check.  All is read on a
 * snapshot of this moment.
 *
 * OIDs and attribute numbers in an event tell something only in the database
 * that wrote it: each part names its origin (see dg_origin()), and if that is
 * another one, names are all that counts.
 *
 * Memory: an event is in the caller's context; rows come one by one, each in a
 * context that is reset after it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "event.h"
#include "imageread.h"
#include "ownrow.h"
#include "recall.h"
#include "sql.h"

static void load_details(DgPastEvent *event, Jsonb *details);
static DgPastPart *load_part(JsonbContainer *part, int number);
static void load_columns(DgPastPart *result, JsonbContainer *columns);
static int	compare_past_columns(const void *a, const void *b);
static List *load_names(JsonbContainer *part, const char *name);
static JsonbContainer *member_container(JsonbContainer *object, const char *name);
static char *member_text(JsonbContainer *object, const char *name);
static int64 member_number(JsonbContainer *object, const char *name, int64 otherwise);
static int64 recall_inline(int64 event_id, DgPastRowFunction callback, void *arg);
static int64 recall_packed(int64 event_id, int part, DgPastRowFunction callback, void *arg);
static int64 recall_tuple(TupleDesc desc, HeapTuple tuple, DgPastRowFunction callback, void *arg);
static Jsonb *packed_rows(TupleDesc desc, HeapTuple tuple, AttrNumber attnum);
static JsonbContainer *packed_row(Jsonb *rows, int position);

/*
 * Read an event.  NULL if there is none.
 */
DgPastEvent *
dg_past_event_load(int64 event_id)
{
	Relation	rel = table_open(dg_own_relation("event"), AccessShareLock);
	SysScanDesc scan = dg_ownrow_lookup(rel, "event_pkey", "event_id", F_INT8EQ,
										Int64GetDatum(event_id));
	HeapTuple	tuple = systable_getnext(scan);
	DgPastEvent *event = NULL;

	if (HeapTupleIsValid(tuple))
	{
		Datum		values[Natts_event];
		bool		isnull[Natts_event];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, isnull);
		event = palloc0(sizeof(DgPastEvent));
		event->event_id = event_id;
		event->operation = TextDatumGetCString(values[Anum_event_operation - 1]);
		event->outcome = TextDatumGetCString(values[Anum_event_outcome - 1]);
		if (!isnull[Anum_event_table_id - 1])
			event->table_id = DatumGetObjectId(values[Anum_event_table_id - 1]);
		if (!isnull[Anum_event_table_name - 1])
			event->table_name = TextDatumGetCString(values[Anum_event_table_name - 1]);
		event->row_count = isnull[Anum_event_row_count - 1] ? -1 :
			DatumGetInt64(values[Anum_event_row_count - 1]);
		event->images_stored = -1;
		if (!isnull[Anum_event_details - 1])
			load_details(event, DatumGetJsonbPCopy(values[Anum_event_details - 1]));
		if (!isnull[Anum_event_parts - 1])
		{
			Jsonb	   *parts = DatumGetJsonbPCopy(values[Anum_event_parts - 1]);

			for (int i = 0; i < JsonContainerSize(&parts->root); i++)
				event->parts = lappend(event->parts, load_part(packed_row(parts, i), i));
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return event;
}

/* What the details say of where the images are */
static void
load_details(DgPastEvent *event, Jsonb *details)
{
	JsonbContainer *cascade = member_container(&details->root, "cascade_of");

	event->images_stored = member_number(&details->root, "images_stored", -1);
	for (int i = 0; cascade && i < JsonContainerSize(cascade); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(cascade, i);
		int64	   *number = palloc(sizeof(int64));

		*number = DatumGetInt64(DirectFunctionCall1(numeric_int8,
													NumericGetDatum(value->val.numeric)));
		event->stored_under = lappend(event->stored_under, number);
	}
}

/* One part of an event */
static DgPastPart *
load_part(JsonbContainer *part, int number)
{
	DgPastPart *result = palloc0(sizeof(DgPastPart));
	int64		origin = member_number(part, "origin", 0);

	result->number = number;
	result->table_id = (Oid) member_number(part, "table_id", 0);
	result->here = origin != 0 && origin == dg_origin();
	result->table = member_text(part, "table");
	result->effect = member_text(part, "effect");
	result->depth = (int) member_number(part, "depth", 0);
	result->key = load_names(part, "key");
	result->set = load_names(part, "set");
	result->set_to = member_container(part, "set_to");
	result->computed = load_names(part, "computed");
	load_columns(result, member_container(part, "columns"));
	return result;
}

/* The columns of a part, sorted by their numbers */
static void
load_columns(DgPastPart *result, JsonbContainer *columns)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (columns == NULL)
		return;
	result->columns = palloc0(sizeof(DgPastColumn) * JsonContainerSize(columns));
	iterator = JsonbIteratorInit(columns);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		DgPastColumn *column = &result->columns[result->ncolumns];

		if (token == WJB_KEY)
			column->name = dg_image_value_text(&value);
		else if (token == WJB_VALUE)
		{
			JsonbContainer *pair = value.val.binary.data;

			column->attnum = DatumGetInt32(DirectFunctionCall1(numeric_int4,
															   NumericGetDatum(getIthJsonbValueFromContainer(pair, 0)->val.numeric)));
			column->type = dg_image_value_text(getIthJsonbValueFromContainer(pair, 1));
			result->ncolumns++;
		}
	}
	qsort(result->columns, result->ncolumns, sizeof(DgPastColumn), compare_past_columns);
}

/* qsort comparator */
static int
compare_past_columns(const void *a, const void *b)
{
	return ((const DgPastColumn *) a)->attnum - ((const DgPastColumn *) b)->attnum;
}

/* A member that is an array of strings; an absent one is empty */
static List *
load_names(JsonbContainer *part, const char *name)
{
	JsonbContainer *names = member_container(part, name);
	List	   *result = NIL;

	for (int i = 0; names && i < JsonContainerSize(names); i++)
		result = lappend(result, dg_image_value_text(getIthJsonbValueFromContainer(names, i)));
	return result;
}

/* A member that is an object or array; NULL if there is none */
static JsonbContainer *
member_container(JsonbContainer *object, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = dg_image_member(object, name, &buffer);

	return value && value->type == jbvBinary ? value->val.binary.data : NULL;
}

/* A member that is a scalar, as text; NULL if there is none */
static char *
member_text(JsonbContainer *object, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = dg_image_member(object, name, &buffer);

	return value && value->type != jbvNull ? dg_image_value_text(value) : NULL;
}

/* A member that is a number */
static int64
member_number(JsonbContainer *object, const char *name, int64 otherwise)
{
	JsonbValue	buffer;
	JsonbValue *value = dg_image_member(object, name, &buffer);

	if (value == NULL || value->type != jbvNumeric)
		return otherwise;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 NumericGetDatum(value->val.numeric)));
}

/*
 * Call a function for each row of a part, in the order in which they were
 * recorded.  Returns how many there are.
 */
int64
dg_past_rows(int64 event_id, int part, DgPastRowFunction callback, void *arg)
{
	int64		count = part == 0 ? recall_inline(event_id, callback, arg) : 0;

	return count > 0 ? count : recall_packed(event_id, part, callback, arg);
}

/* Rows whose images stand in the event itself; returns how many there are */
static int64
recall_inline(int64 event_id, DgPastRowFunction callback, void *arg)
{
	Relation	rel = table_open(dg_own_relation("event"), AccessShareLock);
	SysScanDesc scan = dg_ownrow_lookup(rel, "event_pkey", "event_id", F_INT8EQ,
										Int64GetDatum(event_id));
	HeapTuple	tuple = systable_getnext(scan);
	Jsonb	   *images = NULL;
	int			nrows;

	if (HeapTupleIsValid(tuple))
		images = packed_rows(RelationGetDescr(rel), tuple, Anum_event_images);
	if (images)
		images = memcpy(palloc(VARSIZE(images)), images, VARSIZE(images));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	nrows = images ? JsonContainerSize(&images->root) : 0;
	for (int i = 0; i < nrows; i++)
		callback(arg, packed_row(images, i), NULL, NULL);
	if (images)
		pfree(images);
	return nrows;
}

/* Rows in tuples of their own; returns how many there are */
static int64
recall_packed(int64 event_id, int part, DgPastRowFunction callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "delete_guard recalled row",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = CurrentMemoryContext;
	Relation	rel = table_open(dg_own_relation("event_rows"), AccessShareLock);
	Relation	index = index_open(dg_own_relation("event_rows_pkey"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		count = 0;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(event_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(part));
	scan = systable_beginscan_ordered(rel, index, snapshot, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		count += recall_tuple(RelationGetDescr(rel), tuple, callback, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	MemoryContextDelete(context);
	return count;
}

/* The rows of one tuple; returns how many */
static int64
recall_tuple(TupleDesc desc, HeapTuple tuple, DgPastRowFunction callback, void *arg)
{
	Jsonb	   *images = packed_rows(desc, tuple, 5);
	Jsonb	   *keys = packed_rows(desc, tuple, 4);
	bool		isnull;
	Datum		apart = heap_getattr(tuple, 6, desc, &isnull);
	int			nrows = images ? JsonContainerSize(&images->root) : 0;

	for (int i = 0; i < nrows; i++)
		callback(arg, packed_row(images, i), isnull ? NULL : DatumGetByteaPP(apart),
				 keys ? packed_row(keys, i) : NULL);
	return nrows;
}

/* A jsonb column of event_rows, detoasted; NULL if null */
static Jsonb *
packed_rows(TupleDesc desc, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? NULL : DatumGetJsonbP(datum);
}

/* One row of several; NULL if it is none */
static JsonbContainer *
packed_row(Jsonb *rows, int position)
{
	JsonbValue *value = getIthJsonbValueFromContainer(&rows->root, position);

	return value && value->type == jbvBinary ? value->val.binary.data : NULL;
}

/*
 * The key in an image as the text of a JSON object, in the current context;
 * the whole image if the table had no key.
 */
char *
dg_past_key_json(const DgPastPart *part, JsonbContainer *image)
{
	StringInfoData buf;
	ListCell   *lc;

	if (part->key == NIL)
		return JsonbToCString(NULL, image, 0);
	initStringInfo(&buf);
	foreach(lc, part->key)
	{
		JsonbValue	buffer;
		JsonbValue *value = dg_image_member(image, lfirst(lc), &buffer);

		appendStringInfoChar(&buf, buf.len == 0 ? '{' : ',');
		escape_json(&buf, lfirst(lc));
		appendStringInfoChar(&buf, ':');
		if (value == NULL)
			appendStringInfoString(&buf, "null");	/* it stands apart */
		else
			(void) JsonbToCString(&buf, &JsonbValueToJsonb(value)->root, 0);
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}
