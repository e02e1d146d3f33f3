/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  append events and row images to the audit log in this transaction
 *
 * Rows go straight into the own tables, without SQL and without the triggers
 * that refuse everybody else: the roles that delete have no rights on these
 * tables, and the cost of a statement per row would be several times that of
 * the delete.
 *
 * Row images are packed, several to a tuple, up to a size that stays on one
 * page without being toasted; a single image that is larger stands alone and
 * is toasted like any value.  The index then has an entry per tuple, not per
 * row.  Tuples are inserted in batches.
 *
 * Most statements remove one row.  Its image goes into the event's own tuple,
 * which saves a tuple and an index entry.
 *
 * Memory: a writer holds at most one tuple's worth of images and one batch of
 * tuples.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "alert.h"
#include "journal.h"
#include "number.h"
#include "ownrow.h"
#include "rowimage.h"
#include "sql.h"

/* Bytes of images in one tuple; TOAST_TUPLE_THRESHOLD is about 2 kB */
#define DG_PACK_BYTES 1800
/* Images in one tuple */
#define DG_PACK_ROWS 64
/* Tuples inserted at once, and bytes of them */
#define DG_BATCH_TUPLES 200
#define DG_BATCH_BYTES (256 * 1024)

/* Images that stand in the event's own tuple: bytes, with what else is large there */
#define DG_INLINE_BYTES 1200

struct DgRowWriter
{
	MemoryContext context;
	MemoryContext pack_context; /* images of the tuple being filled */
	MemoryContext batch_context;	/* tuples of the batch */
	int64		event_id;
	int			part;
	int64		next_row;		/* number of the next image, from 1 */
	int			nimages;
	Size		pack_bytes;
	int			ntuples;
	Size		batch_bytes;
	Jsonb	   *images[DG_PACK_ROWS];
	Jsonb	   *new_keys[DG_PACK_ROWS];	/* NULL: none, or not known */
	HeapTuple	tuples[DG_BATCH_TUPLES];
};

static Jsonb *keep(DgRowWriter *writer, const Jsonb *jsonb);
static void pack_tuple(DgRowWriter *writer, bytea *apart);
static Jsonb *pack_new_keys(DgRowWriter *writer);
static void insert_batch(DgRowWriter *writer);

/*
 * Take the number of an event that is about to be written.
 */
int64
dg_journal_reserve(void)
{
	return dg_number_event();
}

/*
 * Insert an event under a reserved number, and raise an alert if one is due,
 * or if alert says so.
 */
void
dg_journal_event(int64 event_id, const DgEvent *event, bool alert)
{
	Datum		values[Natts_event];
	bool		isnull[Natts_event];
	Relation	rel = table_open(dg_own_relation("event"), RowExclusiveLock);
	HeapTuple	tuple;

	dg_event_values(event, values, isnull);
	values[Anum_event_event_id - 1] = Int64GetDatum(event_id);
	isnull[Anum_event_event_id - 1] = false;
	tuple = dg_ownrow_form(rel, values, isnull, Natts_event);
	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	if (alert || dg_alert_is_due(event->operation, event->outcome))
		dg_alert_raise(values, isnull);
}

/*
 * Begin to write the row images of one part of an event.  The writer lives in
 * a context of its own below parent.
 */
DgRowWriter *
dg_journal_rows_begin(int64 event_id, int part, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard row writer",
												  ALLOCSET_SMALL_SIZES);
	DgRowWriter *writer = MemoryContextAlloc(context, sizeof(DgRowWriter));

	/* not what follows, the room for images and tuples */
	memset(writer, 0, offsetof(DgRowWriter, images));
	writer->context = context;
	writer->pack_context = AllocSetContextCreate(context, "delete_guard images",
												 ALLOCSET_DEFAULT_SIZES);
	writer->batch_context = AllocSetContextCreate(context, "delete_guard batch",
												  ALLOCSET_DEFAULT_SIZES);
	writer->event_id = event_id;
	writer->part = part;
	writer->next_row = 1;
	return writer;
}

/*
 * Add one image, which is copied.  apart is what did not fit into it, or NULL.
 */
void
dg_journal_rows_add(DgRowWriter *writer, Jsonb *image, bytea *apart)
{
	dg_journal_rows_add_rekeyed(writer, image, NULL, apart);
}

/*
 * The same for a row that has another key now; new_key (or NULL) is an object
 * of its key columns and is copied too.
 */
void
dg_journal_rows_add_rekeyed(DgRowWriter *writer, Jsonb *image, Jsonb *new_key, bytea *apart)
{
	Size		size = VARSIZE(image) + (new_key ? VARSIZE(new_key) : 0);

	if (writer->nimages > 0 &&
		(apart || writer->nimages == DG_PACK_ROWS ||
		 writer->pack_bytes + size > DG_PACK_BYTES))
		pack_tuple(writer, NULL);
	writer->new_keys[writer->nimages] = new_key ? keep(writer, new_key) : NULL;
	writer->images[writer->nimages++] = keep(writer, image);
	writer->pack_bytes += size;
	if (apart)
		pack_tuple(writer, apart);
}

/* Copy a jsonb for the tuple being filled */
static Jsonb *
keep(DgRowWriter *writer, const Jsonb *jsonb)
{
	return memcpy(MemoryContextAllocHuge(writer->pack_context, VARSIZE(jsonb)), jsonb,
				  VARSIZE(jsonb));
}

/*
 * How many images were added.
 */
int64
dg_journal_rows_count(const DgRowWriter *writer)
{
	return writer->next_row - 1 + writer->nimages;
}

/*
 * Take the images out of the writer, as an array in the current context, if
 * they are so few that they can stand in the event's own tuple beside other
 * bytes of it.  NULL if they cannot, or there are none.
 */
Jsonb *
dg_journal_rows_take(DgRowWriter *writer, Size other)
{
	Jsonb	   *array;

	if (writer->nimages == 0 || writer->next_row > 1 ||
		writer->pack_bytes + other > DG_INLINE_BYTES)
		return NULL;
	for (int i = 0; i < writer->nimages; i++)
	{
		if (writer->new_keys[i])
			return NULL;
	}
	array = dg_jsonb_array(writer->images, writer->nimages);
	writer->nimages = 0;
	writer->pack_bytes = 0;
	return array;
}

/*
 * Insert everything added so far.
 */
void
dg_journal_rows_flush(DgRowWriter *writer)
{
	if (writer->nimages > 0)
		pack_tuple(writer, NULL);
	insert_batch(writer);
}

/*
 * Insert everything and free the writer.
 */
void
dg_journal_rows_end(DgRowWriter *writer)
{
	dg_journal_rows_flush(writer);
	MemoryContextDelete(writer->context);
}

/* Make a tuple of the images at hand and put it into the batch */
static void
pack_tuple(DgRowWriter *writer, bytea *apart)
{
	Datum		values[Natts_event_rows];
	bool		isnull[Natts_event_rows] = {0};
	Relation	rel = table_open(dg_own_relation("event_rows"), RowExclusiveLock);
	MemoryContext old = MemoryContextSwitchTo(writer->batch_context);
	HeapTuple	tuple;
	Jsonb	   *array = dg_jsonb_array(writer->images, writer->nimages);
	Jsonb	   *new_keys = pack_new_keys(writer);

	values[Anum_event_rows_event_id - 1] = Int64GetDatum(writer->event_id);
	values[Anum_event_rows_part - 1] = Int16GetDatum(writer->part);
	values[Anum_event_rows_first_row - 1] = Int64GetDatum(writer->next_row);
	values[Anum_event_rows_keys - 1] = PointerGetDatum(new_keys);
	isnull[Anum_event_rows_keys - 1] = new_keys == NULL;
	values[Anum_event_rows_images - 1] = PointerGetDatum(array);
	values[Anum_event_rows_apart - 1] = PointerGetDatum(apart);
	isnull[Anum_event_rows_apart - 1] = apart == NULL;
	tuple = dg_ownrow_form(rel, values, isnull, Natts_event_rows);
	pfree(array);
	MemoryContextSwitchTo(old);
	table_close(rel, NoLock);

	writer->tuples[writer->ntuples++] = tuple;
	writer->batch_bytes += tuple->t_len;
	writer->next_row += writer->nimages;
	writer->nimages = 0;
	writer->pack_bytes = 0;
	MemoryContextReset(writer->pack_context);
	if (writer->ntuples == DG_BATCH_TUPLES || writer->batch_bytes >= DG_BATCH_BYTES)
		insert_batch(writer);
}

/*
 * The new keys of the tuple being filled, a JSON null where one is not known;
 * NULL if none is.
 */
static Jsonb *
pack_new_keys(DgRowWriter *writer)
{
	Jsonb	   *null = NULL;
	bool		any = false;

	for (int i = 0; i < writer->nimages; i++)
		any |= writer->new_keys[i] != NULL;
	if (!any)
		return NULL;
	for (int i = 0; i < writer->nimages; i++)
	{
		if (writer->new_keys[i])
			continue;
		if (null == NULL)
			null = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("null")));
		writer->new_keys[i] = null;
	}
	return dg_jsonb_array(writer->new_keys, writer->nimages);
}

/* Insert the tuples of the batch */
static void
insert_batch(DgRowWriter *writer)
{
	Relation	rel;
	CatalogIndexState indexes;

	if (writer->ntuples == 0)
		return;
	rel = table_open(dg_own_relation("event_rows"), RowExclusiveLock);
	indexes = CatalogOpenIndexes(rel);
	for (int i = 0; i < writer->ntuples; i++)
		CatalogTupleInsertWithInfo(rel, writer->tuples[i], indexes);
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
	writer->ntuples = 0;
	writer->batch_bytes = 0;
	MemoryContextReset(writer->batch_context);
}
