/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  store records of refused attempts
 *
 * Words.  A "record" is what a backend hands over (see record.c), read where it
 * lies in shared memory.  An image in it is a jsonb object, column name to value;
 * the numbers of event and request are filled in here.  A "batch" is what is
 * stored in one transaction.  A "repeat" is an attempt made again within a
 * minute: it is counted on the event of the first.
 *
 * Rows go straight into the own tables and are found by their indexes, without
 * SQL: no setting, no trigger and no plan made for an empty table can come in
 * between, and a record costs a third of what the statements would.
 *
 * Only the recorder runs this, one per database, so nobody else counts on
 * events or notes attempts.  Locks on the own tables are held to the end of
 * its transaction, as by ordinary inserts.
 *
 * May call: sql, record, number, ownrow, alert; the types of queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "alert.h"
#include "attempt.h"
#include "catalog/indexing.h"
#include "number.h"
#include "ownrow.h"
#include "record.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* An attempt made again within this time is a repeat */
#define REPEAT_WINDOW_MS (60 * 1000)

/* The parts of a record */
typedef struct Record
{
	Jsonb	   *event;
	Jsonb	   *keys;			/* NULL if none */
	Jsonb	   *request;		/* NULL if none is to be opened */
	Datum		fingerprint;	/* bytea */
} Record;

/* A row to be inserted */
typedef struct OwnRow
{
	Datum	   *values;
	bool	   *isnull;
} OwnRow;

/* An event that further attempts of this batch are counted on */
typedef struct Repeats
{
	int64		event_id;
	int32		count;
} Repeats;

/* A batch; lives in its transaction's memory */
typedef struct Batch
{
	DgQueueItem *items;
	Record	   *records;
	int			nitems;
	Repeats    *repeats;
	int			nrepeats;
	TimestampTz now;
} Batch;

static void store_records(Batch *batch);
static void raise_alerts(Batch *batch);
static void find_parts(const DgQueueItem *item, Record *record);
static void store_record(Batch *batch, int index);
static int64 find_open_request(const Record *record, TimestampTz now);
static bool is_closed(int64 request_id, const Record *record, TimestampTz now);
static bool same_radius(const Record *record, Datum radius, bool isnull);
static bool approver_named_since(Oid table_id, TimestampTz since);
static bool count_if_repeat(Batch *batch, int index, int64 open_request);
static bool event_exists(int64 event_id);
static void add_repeat(Batch *batch, int64 event_id);
static void store_repeats(Batch *batch);
static void tell_repeats(Batch *batch, int64 event_id, int32 repeats);
static void insert_keys(Jsonb *keys, const DgReceipt *ids);
static void note_attempt(const Record *record, const DgReceipt *ids,
						 TimestampTz now);
static OwnRow own_row(Relation rel);
static void own_row_set(Relation rel, OwnRow *row, const char *column, Datum value);

/*
 * Store records and fill in their receipts, in this transaction.  With alerts,
 * raise one for each new event; they come last, as what they write to the
 * server log cannot be rolled back.
 */
void
dg_attempt_store(DgQueueItem *items, int nitems, bool alerts)
{
	Batch		batch = {0};
	DgRoleState saved;

	batch.items = items;
	batch.nitems = nitems;
	batch.now = GetCurrentTimestamp();
	batch.records = palloc(nitems * sizeof(Record));
	batch.repeats = palloc(nitems * sizeof(Repeats));

	PushActiveSnapshot(GetTransactionSnapshot());
	dg_act_as(dg_own_owner(), &saved);
	store_records(&batch);
	if (alerts)
		raise_alerts(&batch);
	dg_act_back(&saved);
	PopActiveSnapshot();
}

/*
 * Forget the attempts whose minute is over, in this transaction.
 */
void
dg_attempt_forget_old(void)
{
	TimestampTz old = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												  -REPEAT_WINDOW_MS);
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(dg_own_relation("attempt"), RowExclusiveLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		occurred_at = dg_ownrow_get(rel, tuple, "occurred_at", &isnull);

		if (DatumGetTimestampTz(occurred_at) < old)
			CatalogTupleDelete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	PopActiveSnapshot();
}

/* Store all records of a batch, each seeing what those before it have stored */
static void
store_records(Batch *batch)
{
	for (int i = 0; i < batch->nitems; i++)
		find_parts(&batch->items[i], &batch->records[i]);
	for (int i = 0; i < batch->nitems; i++)
	{
		store_record(batch, i);
		CommandCounterIncrement();
	}
	store_repeats(batch);
}

/* Raise the alerts for the new events of a batch */
static void
raise_alerts(Batch *batch)
{
	for (int i = 0; i < batch->nitems; i++)
	{
		DgQueueItem *item = &batch->items[i];

		if (!item->repeat)
			dg_alert_raise(batch->records[i].event, item->receipt.event_id,
						   item->receipt.request_id);
	}
}

/* Find the parts of a record; they stay where they are */
static void
find_parts(const DgQueueItem *item, Record *record)
{
	const DgRecord *whole = item->data;

	if (whole == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the record of an attempt was withdrawn")));
	record->event = dg_record_part(whole, DG_RECORD_EVENT);
	record->keys = dg_record_part(whole, DG_RECORD_KEYS);
	record->request = dg_record_part(whole, DG_RECORD_REQUEST);
	record->fingerprint = PointerGetDatum(dg_record_part(whole, DG_RECORD_FINGERPRINT));
}

/*
 * Store one record of the batch, or count it on an older event, and fill in
 * its receipt.
 */
static void
store_record(Batch *batch, int index)
{
	const Record *record = &batch->records[index];
	DgQueueItem *item = &batch->items[index];
	bool		open_new = false;
	int64		request_id = 0;

	item->receipt.status = DG_RECEIPT_STORED;
	item->receipt.repeats = 0;
	if (record->request != NULL)
	{
		request_id = find_open_request(record, batch->now);
		open_new = request_id == 0;
	}
	item->repeat = !open_new && count_if_repeat(batch, index, request_id);
	if (item->repeat)
		return;

	if (open_new)
		request_id = dg_number_request();
	item->receipt.event_id = dg_number_event();
	item->receipt.request_id = request_id;
	dg_ownrow_insert_image("event", record->event, item->receipt.event_id, request_id);
	if (record->keys != NULL)
		insert_keys(record->keys, &item->receipt);
	if (open_new)
		dg_ownrow_insert_image("request", record->request,
							   item->receipt.event_id, request_id);
	note_attempt(record, &item->receipt, batch->now);
}

/*
 * The newest request that the same attempt opened before and that can still
 * lead to a use, else 0: about the same dependents, not decided on (approvals
 * that can still be used leave it open), and older than no approver's naming,
 * so that everybody who may approve now may approve it.
 */
static int64
find_open_request(const Record *record, TimestampTz now)
{
	Relation	rel = table_open(dg_own_relation("request"), AccessShareLock);
	SysScanDesc scan = dg_ownrow_lookup(rel, "request_fingerprint", "fingerprint",
										F_BYTEAEQ, record->fingerprint);
	int64		found = 0;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		int64		id = DatumGetInt64(dg_ownrow_get(rel, tuple, "request_id",
													 &isnull));
		Datum		expires_at = dg_ownrow_get(rel, tuple, "expires_at", &isnull);
		Datum		requested_at = dg_ownrow_get(rel, tuple, "requested_at", &isnull);
		Oid			table_id = DatumGetObjectId(dg_ownrow_get(rel, tuple, "table_id",
															  &isnull));
		Datum		radius = dg_ownrow_get(rel, tuple, "blast_radius", &isnull);

		if (id > found && DatumGetTimestampTz(expires_at) > now &&
			same_radius(record, radius, isnull) &&
			!is_closed(id, record, now) &&
			!approver_named_since(table_id, DatumGetTimestampTz(requested_at)))
			found = id;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return found;
}

/* Does as much hang on the rows as the record says?  Changes have no rows. */
static bool
same_radius(const Record *record, Datum radius, bool isnull)
{
	JsonbValue	buffer;
	JsonbValue *now = dg_ownrow_member(record->request, "blast_radius", &buffer);
	Jsonb	   *then;

	if (isnull)
		return now == NULL || now->type == jbvNull;
	then = DatumGetJsonbP(radius);
	return now != NULL && now->type == jbvBinary &&
		compareJsonbContainers(now->val.binary.data, &then->root) == 0;
}

/*
 * Was somebody named an approver for the table (or for all; or, for a change
 * that concerns all, for any) after a time?
 */
static bool
approver_named_since(Oid table_id, TimestampTz since)
{
	Relation	rel = table_open(dg_own_relation("approver"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	bool		found = false;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			scope = DatumGetObjectId(dg_ownrow_get(rel, tuple, "table_id", &isnull));

		if ((scope == InvalidOid || scope == table_id || table_id == InvalidOid) &&
			DatumGetTimestampTz(dg_ownrow_get(rel, tuple, "added_at", &isnull)) > since)
			found = true;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return found;
}

/*
 * Was this request denied, cancelled or used, or are its approvals over, or
 * given for other dependents?
 */
static bool
is_closed(int64 request_id, const Record *record, TimestampTz now)
{
	Relation	rel = table_open(dg_own_relation("decision"), AccessShareLock);
	SysScanDesc scan = dg_ownrow_lookup(rel, "decision_request", "request_id",
										F_INT8EQ, Int64GetDatum(request_id));
	bool		closed = false;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		char	   *kind = TextDatumGetCString(dg_ownrow_get(rel, tuple, "kind",
															 &isnull));
		Datum		value;

		if (strcmp(kind, "deny") == 0 || strcmp(kind, "cancel") == 0 ||
			strcmp(kind, "use") == 0)
			closed = true;
		value = dg_ownrow_get(rel, tuple, "valid_until", &isnull);
		if (!isnull && DatumGetTimestampTz(value) <= now)
			closed = true;
		value = dg_ownrow_get(rel, tuple, "blast_radius", &isnull);
		if (!isnull && !same_radius(record, value, false))
			closed = true;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return closed;
}

/*
 * Is this the same attempt as one of the last minute, and the request of that
 * one (if this one asks for any) still the open one?  Then count it there, and
 * that is its receipt.
 */
static bool
count_if_repeat(Batch *batch, int index, int64 open_request)
{
	DgReceipt  *receipt = &batch->items[index].receipt;
	TimestampTz since = TimestampTzPlusMilliseconds(batch->now,
													-REPEAT_WINDOW_MS);
	Relation	rel = table_open(dg_own_relation("attempt"), AccessShareLock);
	SysScanDesc scan = dg_ownrow_lookup(rel, "attempt_fingerprint", "fingerprint",
										F_BYTEAEQ,
										batch->records[index].fingerprint);
	HeapTuple	tuple;

	receipt->event_id = receipt->request_id = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		occurred_at = dg_ownrow_get(rel, tuple, "occurred_at", &isnull);
		int64		event_id = DatumGetInt64(dg_ownrow_get(rel, tuple, "event_id",
														   &isnull));
		Datum		request_id = dg_ownrow_get(rel, tuple, "request_id", &isnull);
		int64		request = isnull ? 0 : DatumGetInt64(request_id);

		if (event_id > receipt->event_id &&
			DatumGetTimestampTz(occurred_at) > since &&
			(open_request == 0 || open_request == request) &&
			event_exists(event_id))
		{
			receipt->event_id = event_id;
			receipt->request_id = request;
		}
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	if (receipt->event_id != 0)
		add_repeat(batch, receipt->event_id);
	return receipt->event_id != 0;
}

/* Is this event there, or has it been purged? */
static bool
event_exists(int64 event_id)
{
	Relation	rel = table_open(dg_own_relation("event"), AccessShareLock);
	SysScanDesc scan = dg_ownrow_lookup(rel, "event_pkey", "event_id", F_INT8EQ,
										Int64GetDatum(event_id));
	bool		exists = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(rel, NoLock);
	return exists;
}

/* Remember a repeat of an event, to be stored at the end of the batch */
static void
add_repeat(Batch *batch, int64 event_id)
{
	int			i = 0;

	while (i < batch->nrepeats && batch->repeats[i].event_id != event_id)
		i++;
	if (i == batch->nrepeats)
	{
		batch->repeats[i].event_id = event_id;
		batch->repeats[i].count = 0;
		batch->nrepeats++;
	}
	batch->repeats[i].count++;
}

/* Count the repeats of a batch on their events */
static void
store_repeats(Batch *batch)
{
	Relation	rel = table_open(dg_own_relation("event"), RowExclusiveLock);
	int			column = dg_ownrow_column_number(rel, "repeats");

	for (int i = 0; i < batch->nrepeats; i++)
	{
		SysScanDesc scan = dg_ownrow_lookup(rel, "event_pkey", "event_id", F_INT8EQ,
											Int64GetDatum(batch->repeats[i].event_id));
		HeapTuple	tuple = systable_getnext(scan);
		bool		isnull;
		Datum		repeats;

		/* purged just now: the batch is done again, and stores a new event */
		if (!HeapTupleIsValid(tuple))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("event " INT64_FORMAT " no longer exists",
							batch->repeats[i].event_id)));
		repeats = dg_ownrow_get(rel, tuple, "repeats", &isnull);
		repeats = Int32GetDatum(DatumGetInt32(repeats) + batch->repeats[i].count);
		tell_repeats(batch, batch->repeats[i].event_id, DatumGetInt32(repeats));
		isnull = false;
		tuple = heap_modify_tuple_by_cols(tuple, RelationGetDescr(rel), 1,
										  &column, &repeats, &isnull);
		CatalogTupleUpdate(rel, &tuple->t_self, tuple);
		systable_endscan(scan);
	}
	table_close(rel, NoLock);
}

/* Put into the receipts of the repeats of an event how many there are */
static void
tell_repeats(Batch *batch, int64 event_id, int32 repeats)
{
	for (int i = 0; i < batch->nitems; i++)
	{
		if (batch->items[i].repeat && batch->items[i].receipt.event_id == event_id)
			batch->items[i].receipt.repeats = repeats;
	}
}

/* Insert the keys of an event's rows */
static void
insert_keys(Jsonb *keys, const DgReceipt *ids)
{
	Relation	rel = table_open(dg_own_relation("event_rows"), RowExclusiveLock);
	OwnRow		row = own_row(rel);

	dg_ownrow_set_ids(rel, ids->event_id, ids->request_id, row.values, row.isnull);
	own_row_set(rel, &row, "part", Int16GetDatum(0));
	own_row_set(rel, &row, "first_row", Int64GetDatum(1));
	own_row_set(rel, &row, "keys", JsonbPGetDatum(keys));
	dg_ownrow_insert(rel, row.values, row.isnull);
	table_close(rel, NoLock);
}

/* Note the attempt, so that it is known when it is made again */
static void
note_attempt(const Record *record, const DgReceipt *ids, TimestampTz now)
{
	Relation	rel = table_open(dg_own_relation("attempt"), RowExclusiveLock);
	OwnRow		row = own_row(rel);

	dg_ownrow_set_ids(rel, ids->event_id, ids->request_id, row.values, row.isnull);
	own_row_set(rel, &row, "fingerprint", record->fingerprint);
	own_row_set(rel, &row, "occurred_at", TimestampTzGetDatum(now));
	dg_ownrow_insert(rel, row.values, row.isnull);
	table_close(rel, NoLock);
}

/* An empty row of a table, in the current context */
static OwnRow
own_row(Relation rel)
{
	int			natts = RelationGetDescr(rel)->natts;
	OwnRow		row = {palloc0(natts * sizeof(Datum)), palloc(natts * sizeof(bool))};

	memset(row.isnull, true, natts * sizeof(bool));
	return row;
}

/* Set a column */
static void
own_row_set(Relation rel, OwnRow *row, const char *column, Datum value)
{
	AttrNumber	number = dg_ownrow_column_number(rel, column);

	row->values[number - 1] = value;
	row->isnull[number - 1] = false;
}
