/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  store records of refused attempts
 *
 * Words.  A "record" is what a backend hands over (see record.c), read where it
 * lies in shared memory; the numbers of event and request are filled in here.
 * A "batch" is what is stored in one transaction: what waited when it began,
 * and what has come until it ends.  A "repeat" is an attempt made again within
 * a minute: it is counted on the event of the first.
 *
 * Rows go straight into the own tables and are found by their indexes, without
 * SQL: no setting, no trigger and no plan made for an empty table can come in
 * between, and a record costs a third of what the statements would.
 *
 * Only the recorder runs this, one per database, so nobody else counts on
 * events or notes attempts.  Locks on the own tables are held to the end of
 * its transaction, as by ordinary inserts.
 *
 * May call: sql, record, number, ownrow, alert, desk.
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

/* After so long, what comes waits for the next batch */
#define BATCH_MS 20

/* A record, taken apart; the values point into it */
typedef struct Record
{
	Datum		event[Natts_event];
	bool		event_null[Natts_event];
	Jsonb	   *keys;			/* NULL if none */
	bool		asks;			/* is a request to be opened? */
	Datum		request[Natts_request];
	bool		request_null[Natts_request];
	Datum		fingerprint;	/* bytea */
} Record;

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
	Record	  **records;		/* one for each item stored so far */
	int			nrecords;
	Repeats    *repeats;
	int			nrepeats;
	TimestampTz begun;
	TimestampTz now;

	/* opened when they are needed first */
	DgOwnTable	event;
	DgOwnTable	event_rows;
	DgOwnTable	request;
	DgOwnTable	attempt;
} Batch;

static const DgOwnTable *opened(DgOwnTable *table, const char *name);
static void close_tables(Batch *batch);
static void store_records(Batch *batch, int nrecords);
static void raise_alerts(Batch *batch);
static Record *take_apart(Batch *batch, const DgQueueItem *item);
static void store_record(Batch *batch, Record *record, DgQueueItem *item);
static int64 find_open_request(Batch *batch, const Record *record);
static bool is_closed(int64 request_id, const Record *record, TimestampTz now);
static bool same_radius(const Record *record, Datum radius, bool isnull);
static bool approver_named_since(Oid table_id, TimestampTz since);
static bool count_if_repeat(Batch *batch, const Record *record, DgReceipt *receipt,
							int64 open_request);
static bool event_exists(Batch *batch, int64 event_id);
static void add_repeat(Batch *batch, int64 event_id);
static void store_repeats(Batch *batch);
static void tell_repeats(Batch *batch, int64 event_id, int32 repeats);
static void insert_event(Batch *batch, Record *record, const DgReceipt *ids);
static void insert_keys(Batch *batch, Jsonb *keys, const DgReceipt *ids);
static void insert_request(Batch *batch, Record *record, const DgReceipt *ids);
static void note_attempt(Batch *batch, const Record *record, const DgReceipt *ids);
static void set_ids(Datum *values, bool *isnull, int event_column, int request_column,
					const DgReceipt *ids);

/*
 * Store records in this transaction, and fill in their receipts.  What comes
 * meanwhile is taken too, up to max in all, and counted in *nitems: a flush
 * costs more than to store a record, and so it is shared.  With alerts, raise one
 * for each new event; they come last, as what they write to the server log
 * cannot be rolled back.
 */
void
dg_attempt_store(DgQueueItem *items, int *nitems, int max, bool alerts)
{
	Batch		batch = {0};
	DgRoleState saved;

	batch.items = items;
	batch.begun = GetCurrentTimestamp();
	batch.records = palloc(max * sizeof(Record *));
	batch.repeats = palloc(max * sizeof(Repeats));

	PushActiveSnapshot(GetTransactionSnapshot());
	dg_act_as(dg_own_owner(), &saved);
	while (batch.nrecords < *nitems)
	{
		store_records(&batch, *nitems);
		if (!TimestampDifferenceExceeds(batch.begun, GetCurrentTimestamp(), BATCH_MS))
			dg_queue_take(items, nitems, max);
	}
	store_repeats(&batch);
	if (alerts)
		raise_alerts(&batch);
	close_tables(&batch);
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

/* A table to insert into */
static const DgOwnTable *
opened(DgOwnTable *table, const char *name)
{
	if (table->rel == NULL)
		*table = dg_ownrow_open(name);
	return table;
}

/* Close what was opened */
static void
close_tables(Batch *batch)
{
	dg_ownrow_close(&batch->event);
	dg_ownrow_close(&batch->event_rows);
	dg_ownrow_close(&batch->request);
	dg_ownrow_close(&batch->attempt);
}

/*
 * Store the records of a batch up to this number of them, each seeing what those
 * before it have stored.
 */
static void
store_records(Batch *batch, int nrecords)
{
	batch->now = GetCurrentTimestamp();
	while (batch->nrecords < nrecords)
	{
		DgQueueItem *item = &batch->items[batch->nrecords];
		Record	   *record = take_apart(batch, item);

		batch->records[batch->nrecords++] = record;
		store_record(batch, record, item);
		CommandCounterIncrement();
	}
}

/* Raise the alerts for the new events of a batch */
static void
raise_alerts(Batch *batch)
{
	for (int i = 0; i < batch->nrecords; i++)
	{
		if (!batch->items[i].repeat)
			dg_alert_raise(batch->records[i]->event, batch->records[i]->event_null);
	}
}

/* Take a record apart; what is in it stays where it is */
static Record *
take_apart(Batch *batch, const DgQueueItem *item)
{
	const DgRecord *whole = item->data;
	Record	   *record = palloc(sizeof(Record));
	DgPackedRow *request;

	if (whole == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the record of an attempt was withdrawn")));
	dg_ownrow_unpack(opened(&batch->event, "event")->rel, dg_record_part(whole, DG_RECORD_EVENT),
					 record->event, record->event_null);
	request = dg_record_part(whole, DG_RECORD_REQUEST);
	record->asks = request != NULL;
	if (record->asks)
		dg_ownrow_unpack(opened(&batch->request, "request")->rel, request,
						 record->request, record->request_null);
	record->keys = dg_record_part(whole, DG_RECORD_KEYS);
	record->fingerprint = PointerGetDatum(dg_record_part(whole, DG_RECORD_FINGERPRINT));
	return record;
}

/*
 * Store one record of the batch, or count it on an older event, and fill in
 * its receipt.
 */
static void
store_record(Batch *batch, Record *record, DgQueueItem *item)
{
	bool		open_new = false;
	int64		request_id = 0;

	item->receipt.status = DG_RECEIPT_STORED;
	item->receipt.repeats = 0;
	if (record->asks)
	{
		request_id = find_open_request(batch, record);
		open_new = request_id == 0;
	}
	item->repeat = !open_new && count_if_repeat(batch, record, &item->receipt, request_id);
	if (item->repeat)
		return;

	if (open_new)
		request_id = dg_number_request();
	item->receipt.event_id = dg_number_event();
	item->receipt.request_id = request_id;
	insert_event(batch, record, &item->receipt);
	if (record->keys != NULL)
		insert_keys(batch, record->keys, &item->receipt);
	if (open_new)
		insert_request(batch, record, &item->receipt);
	note_attempt(batch, record, &item->receipt);
}

/*
 * The newest request that the same attempt opened before and that can still
 * lead to a use, else 0: about the same dependents, not decided on (approvals
 * that can still be used leave it open), and older than no approver's naming,
 * so that everybody who may approve now may approve it.
 */
static int64
find_open_request(Batch *batch, const Record *record)
{
	Relation	rel = opened(&batch->request, "request")->rel;
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

		if (id > found && DatumGetTimestampTz(expires_at) > batch->now &&
			same_radius(record, radius, isnull) &&
			!is_closed(id, record, batch->now) &&
			!approver_named_since(table_id, DatumGetTimestampTz(requested_at)))
			found = id;
	}
	systable_endscan(scan);
	return found;
}

/* Does as much hang on the rows as the record says?  Changes have no rows. */
static bool
same_radius(const Record *record, Datum radius, bool isnull)
{
	bool		none_now = record->request_null[Anum_request_blast_radius - 1];
	Jsonb	   *now;
	Jsonb	   *then;

	if (isnull || none_now)
		return isnull && none_now;
	now = DatumGetJsonbP(record->request[Anum_request_blast_radius - 1]);
	then = DatumGetJsonbP(radius);
	return compareJsonbContainers(&now->root, &then->root) == 0;
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
count_if_repeat(Batch *batch, const Record *record, DgReceipt *receipt,
				int64 open_request)
{
	TimestampTz since = TimestampTzPlusMilliseconds(batch->now,
													-REPEAT_WINDOW_MS);
	Relation	rel = opened(&batch->attempt, "attempt")->rel;
	SysScanDesc scan = dg_ownrow_lookup(rel, "attempt_fingerprint", "fingerprint",
										F_BYTEAEQ, record->fingerprint);
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
			event_exists(batch, event_id))
		{
			receipt->event_id = event_id;
			receipt->request_id = request;
		}
	}
	systable_endscan(scan);
	if (receipt->event_id != 0)
		add_repeat(batch, receipt->event_id);
	return receipt->event_id != 0;
}

/* Is this event there, or has it been purged? */
static bool
event_exists(Batch *batch, int64 event_id)
{
	Relation	rel = opened(&batch->event, "event")->rel;
	SysScanDesc scan = dg_ownrow_lookup(rel, "event_pkey", "event_id", F_INT8EQ,
										Int64GetDatum(event_id));
	bool		exists = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
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
	Relation	rel = opened(&batch->event, "event")->rel;
	int			column = Anum_event_repeats;

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
		CatalogTupleUpdateWithInfo(rel, &tuple->t_self, tuple, batch->event.indexes);
		systable_endscan(scan);
	}
}

/* Put into the receipts of the repeats of an event how many there are */
static void
tell_repeats(Batch *batch, int64 event_id, int32 repeats)
{
	for (int i = 0; i < batch->nrecords; i++)
	{
		if (batch->items[i].repeat && batch->items[i].receipt.event_id == event_id)
			batch->items[i].receipt.repeats = repeats;
	}
}

/* Insert the event under its numbers */
static void
insert_event(Batch *batch, Record *record, const DgReceipt *ids)
{
	set_ids(record->event, record->event_null, Anum_event_event_id, Anum_event_request_id, ids);
	dg_ownrow_insert(opened(&batch->event, "event"), record->event, record->event_null,
					 Natts_event);
}

/* Insert the keys of an event's rows */
static void
insert_keys(Batch *batch, Jsonb *keys, const DgReceipt *ids)
{
	Datum		values[Natts_event_rows] = {0};
	bool		isnull[Natts_event_rows] = {0};

	values[Anum_event_rows_event_id - 1] = Int64GetDatum(ids->event_id);
	values[Anum_event_rows_part - 1] = Int16GetDatum(0);
	values[Anum_event_rows_first_row - 1] = Int64GetDatum(1);
	values[Anum_event_rows_keys - 1] = JsonbPGetDatum(keys);
	isnull[Anum_event_rows_images - 1] = true;
	isnull[Anum_event_rows_apart - 1] = true;
	dg_ownrow_insert(opened(&batch->event_rows, "event_rows"), values, isnull, Natts_event_rows);
}

/* Insert the request that an attempt opens */
static void
insert_request(Batch *batch, Record *record, const DgReceipt *ids)
{
	set_ids(record->request, record->request_null, Anum_request_event_id,
			Anum_request_request_id, ids);
	dg_ownrow_insert(opened(&batch->request, "request"), record->request, record->request_null,
					 Natts_request);
}

/* Note the attempt, so that it is known when it is made again */
static void
note_attempt(Batch *batch, const Record *record, const DgReceipt *ids)
{
	Datum		values[Natts_attempt];
	bool		isnull[Natts_attempt] = {0};

	set_ids(values, isnull, Anum_attempt_event_id, Anum_attempt_request_id, ids);
	values[Anum_attempt_fingerprint - 1] = record->fingerprint;
	values[Anum_attempt_occurred_at - 1] = TimestampTzGetDatum(batch->now);
	dg_ownrow_insert(opened(&batch->attempt, "attempt"), values, isnull, Natts_attempt);
}

/* Set the numbers of event and request (0 is null) in a row */
static void
set_ids(Datum *values, bool *isnull, int event_column, int request_column,
		const DgReceipt *ids)
{
	values[event_column - 1] = Int64GetDatum(ids->event_id);
	isnull[event_column - 1] = false;
	values[request_column - 1] = Int64GetDatum(ids->request_id);
	isnull[request_column - 1] = ids->request_id == 0;
}
