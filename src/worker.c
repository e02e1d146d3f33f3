/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  the recorder: stores records of refused attempts for one database
 *
 * Words.  A "record" is the jsonb object that a backend hands over (see
 * recorder.c): "event", the image of a row of delete_guard.event without
 * event_id and request_id; "rows", an array of images of rows of event_rows
 * without event_id; "request", the image of a row of request without
 * request_id and event_id, or null; "fingerprint", what makes two attempts the
 * same; "notify", whether to raise an alert.  A "batch" is what waited when
 * the recorder looked; it is stored in one transaction.  A "repeat" is an
 * attempt made again within a minute: it is counted on the event of the first.
 *
 * Rules.  A record is acknowledged only when the transaction that holds it is
 * flushed to disk.  One bad record must not cost others: a batch that fails is
 * done again one by one.  Alerts must not cost a record either: they come last
 * and are left out where they fail.  No wait for a lock outlasts the backends'
 * patience.  Nothing that the owner of the database sets for it (ALTER
 * DATABASE ... SET, ALLOW_CONNECTIONS) may stop or soften the recording.
 *
 * The recorder acts as the owner of delete_guard's tables, restricted, and
 * touches nothing but them.  It stays for a few seconds after the last record,
 * less than DROP DATABASE is willing to wait.
 *
 * May call: guc, sql, queue, alert.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "alert.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "queue.h"
#include "sql.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Stay this long without work; DROP DATABASE waits 5 seconds for us to end */
#define LINGER_MS 3000

/* An attempt made again within this time is a repeat */
#define REPEAT_WINDOW_MS (60 * 1000)

/* Clear old attempts out this often when there is no pause in the work */
#define SWEEP_MS (20 * 1000)

/* A record, taken apart */
typedef struct Record
{
	Jsonb	   *event;
	Jsonb	   *rows;			/* NULL if none */
	Jsonb	   *request;		/* NULL if none is to be opened */
	Datum		fingerprint;	/* bytea */
	bool		notify;
} Record;

/* An event that further attempts of this batch are counted on */
typedef struct Repeats
{
	int64		event_id;
	int32		count;
} Repeats;

/* A batch in its transaction; lives in that transaction's memory */
typedef struct Batch
{
	DgQueueItem *items;
	Record	   *records;
	int			nitems;
	Repeats    *repeats;
	int			nrepeats;
	TimestampTz now;
} Batch;

/* Settings that the recorder needs, against those of its database */
static const struct
{
	const char *name;
	const char *value;
}			forced_settings[] =

{
	/* it writes, in plain transactions, and waits for the disk */
	{"default_transaction_read_only", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"synchronous_commit", "on"},

	/* nothing but lock_timeout (see limit_lock_waits) ends its work */
	{"statement_timeout", "0"},
	{"transaction_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"exit_on_error", "off"},

	/* names mean the server's own; nobody's ordinary triggers and rules fire */
	{"role", "none"},
	{"search_path", "pg_catalog, pg_temp"},
	{"session_replication_role", "replica"},
	{"row_security", "on"},

	/* values in records are read as they were written */
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},

	/* plans that stay good however small a table was when they were made */
	{"enable_seqscan", "off"},
	{"enable_indexscan", "on"},
	{"plan_cache_mode", "force_generic_plan"},
	{"jit", "off"},
	{"max_parallel_workers_per_gather", "0"},
	{"debug_print_parse", "off"},
	{"debug_print_rewritten", "off"},
	{"debug_print_plan", "off"},
	{"log_min_messages", "warning"},
};

/* Set while a transaction is being committed, for the signal handler */
static volatile sig_atomic_t committing = false;

/* Of the transaction that failed last */
static int	last_sqlerrcode = 0;

/* Attempts were stored since the last sweep; when that was */
static bool sweep_needed = false;
static TimestampTz last_sweep = 0;

PGDLLEXPORT void dg_recorder_main(Datum main_arg);

static bool take_desk(Oid dboid);
static void handle_sigterm(SIGNAL_ARGS);
static void force_settings(void);
static void limit_lock_waits(void);
static void serve(void);
static void wait_for_work(TimestampTz idle_since);
static void store_batch(DgQueueItem *items, int nitems);
static void store_one(DgQueueItem *item, bool alone);
static void answer(DgQueueItem *items, int nitems);
static void fail(DgQueueItem *items, int nitems);
static bool in_transaction(void (*work) (Batch *batch), Batch *batch);
static void commit(void);
static bool store_items(DgQueueItem *items, int nitems, bool alerts);
static void store_records(Batch *batch);
static void store_with_alerts(Batch *batch);
static void take_apart(const DgQueueItem *item, Record *record);
static Jsonb *get_member(const Jsonb *object, const char *key);
static void store_record(Batch *batch, int index);
static bool count_if_repeat(Batch *batch, int index, int64 open_request);
static void add_repeat(Batch *batch, int64 event_id);
static void store_repeats(Batch *batch);
static int64 find_open_request(Batch *batch, const Record *record);
static void insert_event(const Record *record, int64 event_id,
						 int64 request_id);
static void insert_rows(const Record *record, int64 event_id);
static void insert_request(const Record *record, int64 request_id,
						   int64 event_id);
static void insert_attempt(Batch *batch, const Record *record, int64 event_id,
						   int64 request_id);
static void sweep(void);
static void delete_old_attempts(Batch *batch);
static int64 result_int64(int column);

/*
 * Entry point of the recorder; the argument is the database.
 */
void
dg_recorder_main(Datum main_arg)
{
	Oid			dboid = DatumGetObjectId(main_arg);

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	if (!take_desk(dboid))
		return;
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	force_settings();
	pqsignal(SIGTERM, handle_sigterm);
	dg_queue_ready();
	serve();
}

/* Sign on as this database's recorder.  Returns false if another one has. */
static bool
take_desk(Oid dboid)
{
	uint32		generation;

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	dg_queue_attach();
	return dg_queue_enter(dboid, generation);
}

/*
 * SIGTERM: end after the batch at hand.  A commit that waits for a standby
 * ends its wait, as die() would have it (the data is on our disk by then).
 */
static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	ShutdownRequestPending = true;
	if (committing)
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * Override what the database, its owner or its roles have set.  Settings that
 * this version of the server does not have are passed over.
 */
static void
force_settings(void)
{
	for (int i = 0; i < lengthof(forced_settings); i++)
	{
		if (GetConfigOption(forced_settings[i].name, true, false) != NULL)
			SetConfigOption(forced_settings[i].name, forced_settings[i].value,
							PGC_SUSET, PGC_S_OVERRIDE);
	}
	limit_lock_waits();
}

/*
 * Give a lock wait up a little before the backends give the record up, so that
 * they learn the reason.
 */
static void
limit_lock_waits(void)
{
	char		value[32];

	snprintf(value, sizeof(value), "%d", Max(1, dg_record_timeout / 5 * 4));
	SetConfigOption("lock_timeout", value, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Store what comes until nothing has come for a while, or we are told to end.
 */
static void
serve(void)
{
	static DgQueueItem items[DG_QUEUE_SLOTS];
	TimestampTz idle_since = GetCurrentTimestamp();

	last_sweep = idle_since;
	for (;;)
	{
		bool		ending = ShutdownRequestPending;
		int			nitems;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			limit_lock_waits();
		}
		nitems = dg_queue_take(items, lengthof(items));
		if (nitems > 0)
		{
			store_batch(items, nitems);
			idle_since = GetCurrentTimestamp();
			if (TimestampDifferenceExceeds(last_sweep, idle_since, SWEEP_MS))
				sweep();
		}
		if (ending)
			break;
		if (nitems > 0)
			continue;
		if (dg_queue_room_wanted() ||
			TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(),
									   LINGER_MS))
		{
			sweep();
			if (dg_queue_leave())
				return;
			continue;
		}
		wait_for_work(idle_since);
	}
	(void) dg_queue_leave();
}

/* Sleep until somebody calls, or the time to stay is over */
static void
wait_for_work(TimestampTz idle_since)
{
	static uint32 wait_event = 0;
	TimestampTz end = TimestampTzPlusMilliseconds(idle_since, LINGER_MS + 1);
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   end);

	if (wait_event == 0)
		wait_event = dg_wait_event("DeleteGuardRecorderMain");
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(left, LINGER_MS), wait_event);
	ResetLatch(MyLatch);
}

/*
 * Store a batch and answer each of its records: together if that works, else
 * one by one.  A lock that somebody holds on our tables would stop each.
 */
static void
store_batch(DgQueueItem *items, int nitems)
{
	pgstat_report_activity(STATE_RUNNING, "storing refused attempts");
	if (store_items(items, nitems, true))
		answer(items, nitems);
	else if (last_sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		fail(items, nitems);
	else
	{
		for (int i = 0; i < nitems; i++)
			store_one(&items[i], nitems == 1);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(false);
}

/*
 * Store and answer one record of a batch that failed; alone if that batch was
 * no more than it.  Last of all, without an alert.
 */
static void
store_one(DgQueueItem *item, bool alone)
{
	if ((!alone && store_items(item, 1, true)) || store_items(item, 1, false))
		answer(item, 1);
	else
		fail(item, 1);
}

/* Answer records that are stored */
static void
answer(DgQueueItem *items, int nitems)
{
	dg_queue_answer(items, nitems);
	for (int i = 0; i < nitems; i++)
	{
		if (items[i].late && items[i].receipt.status == DG_RECEIPT_STORED)
			ereport(LOG,
					(errmsg("an attempt that was logged as not stored is event " INT64_FORMAT " after all",
							items[i].receipt.event_id)));
	}
}

/* Answer records that could not be stored */
static void
fail(DgQueueItem *items, int nitems)
{
	for (int i = 0; i < nitems; i++)
	{
		items[i].receipt.status = DG_RECEIPT_FAILED;
		items[i].receipt.event_id = items[i].receipt.request_id = 0;
	}
	answer(items, nitems);
}

/*
 * Run work in a transaction of its own, committed and flushed.  Returns false
 * if it failed; the error is then in the server log.
 */
static bool
in_transaction(void (*work) (Batch *batch), Batch *batch)
{
	volatile bool done = false;

	PG_TRY();
	{
		StartTransactionCommand();
		work(batch);
		commit();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		committing = false;
		last_sqlerrcode = geterrcode();
		EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return done;
}

/* Commit; nothing that is stored is interrupted before it is answered */
static void
commit(void)
{
	committing = true;
	if (ShutdownRequestPending)
		ProcDiePending = InterruptPending = true;
	CommitTransactionCommand();
	committing = false;
}

/* Store records in one transaction.  Returns false if it failed. */
static bool
store_items(DgQueueItem *items, int nitems, bool alerts)
{
	Batch		batch = {0};

	batch.items = items;
	batch.nitems = nitems;
	return in_transaction(alerts ? store_with_alerts : store_records, &batch);
}

/*
 * Store the records of a batch, in its transaction.
 */
static void
store_records(Batch *batch)
{
	DgRoleState saved;

	batch->now = GetCurrentTimestamp();
	batch->records = palloc(batch->nitems * sizeof(Record));
	batch->repeats = palloc(batch->nitems * sizeof(Repeats));
	for (int i = 0; i < batch->nitems; i++)
		take_apart(&batch->items[i], &batch->records[i]);

	dg_own_connect(&saved);
	for (int i = 0; i < batch->nitems; i++)
		store_record(batch, i);
	store_repeats(batch);
	dg_own_finish(&saved);
}

/*
 * The same with an alert for each new event; the alerts come last, as what
 * they write to the server log cannot be rolled back.
 */
static void
store_with_alerts(Batch *batch)
{
	store_records(batch);
	for (int i = 0; i < batch->nitems; i++)
	{
		DgQueueItem *item = &batch->items[i];

		if (batch->records[i].notify && !item->repeat)
			dg_alert_raise(batch->records[i].event, item->receipt.event_id,
						   item->receipt.request_id);
	}
}

/*
 * Take a record apart.  The parts are copies in the current memory context.
 */
static void
take_apart(const DgQueueItem *item, Record *record)
{
	Jsonb	   *whole = (Jsonb *) item->data;
	JsonbValue	buffer;
	JsonbValue *value;

	/* withdrawn while it was taken */
	if (whole == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the record of an attempt was withdrawn")));
	record->event = get_member(whole, "event");
	record->rows = get_member(whole, "rows");
	record->request = get_member(whole, "request");

	value = getKeyJsonValueFromContainer(&whole->root, "notify",
										 strlen("notify"), &buffer);
	record->notify = value != NULL && value->type == jbvBool &&
		value->val.boolean;

	value = getKeyJsonValueFromContainer(&whole->root, "fingerprint",
										 strlen("fingerprint"), &buffer);
	/* should not happen */
	if (record->event == NULL || value == NULL || value->type != jbvString)
		elog(ERROR, "record of an attempt is malformed");
	record->fingerprint =
		DirectFunctionCall1(byteain,
							CStringGetDatum(pnstrdup(value->val.string.val,
													 value->val.string.len)));
}

/* An object or array under a key, as a copy; NULL if there is none */
static Jsonb *
get_member(const Jsonb *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *value;

	value = getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key,
										 strlen(key), &buffer);
	if (value == NULL || value->type != jbvBinary)
		return NULL;
	return JsonbValueToJsonb(value);
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
	int64		event_id;

	item->receipt.status = DG_RECEIPT_STORED;
	if (record->request != NULL)
	{
		request_id = find_open_request(batch, record);
		open_new = request_id == 0;
	}
	item->repeat = !open_new && count_if_repeat(batch, index, request_id);
	if (item->repeat)
		return;

	event_id = dg_own_nextval("event_id");
	if (open_new)
		request_id = dg_own_nextval("request_id");
	insert_event(record, event_id, request_id);
	if (record->rows != NULL)
		insert_rows(record, event_id);
	if (open_new)
		insert_request(record, request_id, event_id);
	insert_attempt(batch, record, event_id, request_id);

	item->receipt.event_id = event_id;
	item->receipt.request_id = request_id;
}

/*
 * Is this the same attempt as one of the last minute, and the request of that
 * one still the open one?  Then count it there, and that is its receipt.  (The
 * query is written so that only the index on fingerprint serves it: the kept
 * plan may have been made when the tables were empty.)
 */
static bool
count_if_repeat(Batch *batch, int index, int64 open_request)
{
	DgReceipt  *receipt = &batch->items[index].receipt;
	Oid			types[] = {BYTEAOID, TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {
		batch->records[index].fingerprint,
		TimestampTzGetDatum(TimestampTzPlusMilliseconds(batch->now,
														-REPEAT_WINDOW_MS)),
		Int64GetDatum(open_request)
	};

	dg_own_query("SELECT a.event_id, COALESCE(a.request_id, 0)"
				 " FROM delete_guard.attempt a"
				 " WHERE a.fingerprint = $1 AND a.occurred_at > $2"
				 " AND ($3 = 0 OR a.request_id = $3)"
				 " AND (SELECT true FROM delete_guard.event e"
				 " WHERE e.event_id = a.event_id)"
				 " ORDER BY a.event_id + 0 DESC LIMIT 1",
				 3, types, values, NULL, false, 1);
	if (SPI_processed == 0)
		return false;
	receipt->event_id = result_int64(1);
	receipt->request_id = result_int64(2);
	add_repeat(batch, receipt->event_id);
	return true;
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
	Oid			types[] = {INT8OID, INT4OID};

	for (int i = 0; i < batch->nrepeats; i++)
	{
		Datum		values[] = {
			Int64GetDatum(batch->repeats[i].event_id),
			Int32GetDatum(batch->repeats[i].count)
		};

		dg_own_query("UPDATE delete_guard.event SET repeats = repeats + $2"
					 " WHERE event_id = $1",
					 2, types, values, NULL, false, 0);
		/* purged just now: the batch is done again, and stores a new one */
		if (SPI_processed != 1)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("event " INT64_FORMAT " no longer exists",
							batch->repeats[i].event_id)));
	}
}

/*
 * The request that this attempt opened before, if it can still lead to a use,
 * else 0: not decided on (approvals that can still be used leave it open),
 * about the same dependents, and open to everybody who may approve now.
 */
static int64
find_open_request(Batch *batch, const Record *record)
{
	Oid			types[] = {BYTEAOID, TIMESTAMPTZOID, JSONBOID};
	Datum		values[] = {
		record->fingerprint,
		TimestampTzGetDatum(batch->now),
		JsonbPGetDatum(record->request)
	};

	dg_own_query("SELECT r.request_id FROM delete_guard.request r"
				 " WHERE r.fingerprint = $1 AND r.expires_at > $2"
				 " AND r.blast_radius = $3 -> 'blast_radius'"
				 " AND (SELECT pg_catalog.count(*) FROM delete_guard.decision d"
				 " WHERE d.request_id = r.request_id"
				 " AND (d.kind IN ('deny', 'cancel', 'use')"
				 " OR d.valid_until <= $2"
				 " OR d.blast_radius <> $3 -> 'blast_radius')) = 0"
				 " AND NOT EXISTS (SELECT FROM delete_guard.approver p"
				 " WHERE p.table_id::oid IN (0, r.table_id::oid)"
				 " AND p.added_at > r.requested_at)"
				 " ORDER BY r.request_id + 0 DESC LIMIT 1",
				 3, types, values, NULL, false, 1);
	return SPI_processed == 0 ? 0 : result_int64(1);
}

/* Insert the event */
static void
insert_event(const Record *record, int64 event_id, int64 request_id)
{
	Oid			types[] = {JSONBOID, INT8OID, INT8OID};
	Datum		values[] = {
		JsonbPGetDatum(record->event),
		Int64GetDatum(event_id),
		Int64GetDatum(request_id)
	};
	char		nulls[] = {' ', ' ', request_id == 0 ? 'n' : ' '};

	dg_own_query("INSERT INTO delete_guard.event"
				 " SELECT e.* FROM pg_catalog.jsonb_populate_record("
				 "NULL::delete_guard.event,"
				 " pg_catalog.jsonb_build_object('repeats', 0) || $1 ||"
				 " pg_catalog.jsonb_build_object('event_id', $2,"
				 " 'request_id', $3)) e",
				 3, types, values, nulls, false, 0);
}

/* Insert the event's keys */
static void
insert_rows(const Record *record, int64 event_id)
{
	Oid			types[] = {JSONBOID, INT8OID};
	Datum		values[] = {
		JsonbPGetDatum(record->rows),
		Int64GetDatum(event_id)
	};

	dg_own_query("INSERT INTO delete_guard.event_rows"
				 " (event_id, part, first_row, keys, images, apart)"
				 " SELECT $2, r.part, r.first_row, r.keys, r.images, r.apart"
				 " FROM pg_catalog.jsonb_populate_recordset("
				 "NULL::delete_guard.event_rows, $1) r",
				 2, types, values, NULL, false, 0);
}

/* Insert the request that the attempt opens */
static void
insert_request(const Record *record, int64 request_id, int64 event_id)
{
	Oid			types[] = {JSONBOID, INT8OID, INT8OID};
	Datum		values[] = {
		JsonbPGetDatum(record->request),
		Int64GetDatum(request_id),
		Int64GetDatum(event_id)
	};

	dg_own_query("INSERT INTO delete_guard.request"
				 " SELECT r.* FROM pg_catalog.jsonb_populate_record("
				 "NULL::delete_guard.request,"
				 " $1 || pg_catalog.jsonb_build_object('request_id', $2,"
				 " 'event_id', $3)) r",
				 3, types, values, NULL, false, 0);
}

/* Note the attempt, so that it is known when it is made again */
static void
insert_attempt(Batch *batch, const Record *record, int64 event_id,
			   int64 request_id)
{
	Oid			types[] = {BYTEAOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {
		record->fingerprint,
		Int64GetDatum(event_id),
		Int64GetDatum(request_id),
		TimestampTzGetDatum(batch->now)
	};
	char		nulls[] = {' ', ' ', request_id == 0 ? 'n' : ' ', ' '};

	dg_own_query("INSERT INTO delete_guard.attempt"
				 " (fingerprint, event_id, request_id, occurred_at)"
				 " VALUES ($1, $2, $3, $4)",
				 4, types, values, nulls, false, 0);
	sweep_needed = true;
}

/* Clear out attempts whose minute is over, in a transaction of its own */
static void
sweep(void)
{
	Batch		batch = {0};

	last_sweep = GetCurrentTimestamp();
	if (!sweep_needed)
		return;
	sweep_needed = false;
	(void) in_transaction(delete_old_attempts, &batch);
}

/* The work of a sweep */
static void
delete_old_attempts(Batch *batch)
{
	DgRoleState saved;
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {
		TimestampTzGetDatum(TimestampTzPlusMilliseconds(last_sweep,
														-REPEAT_WINDOW_MS))
	};

	dg_own_connect(&saved);
	dg_own_query("DELETE FROM delete_guard.attempt WHERE occurred_at < $1",
				 1, types, values, NULL, false, 0);
	dg_own_finish(&saved);
}

/* A bigint of the first row of the last result */
static int64
result_int64(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, column,
									   &isnull));
}
