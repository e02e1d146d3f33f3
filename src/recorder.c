/*-------------------------------------------------------------------------
 *
 * recorder.c
 *	  hand a record to the recorder of this database and wait until it is
 *	  on disk
 *
 * A refused statement rolls back and takes with it whatever it wrote, so the
 * record of the attempt is written by another process: the recorder (see
 * worker.c), one per database, started here when there is none.  It is started
 * by name, as the postmaster loads it; no call leads from here to there.
 *
 * Rules.  A refusal must come about whatever happens to its record, and a
 * record must not be lost silently.  Therefore nothing here raises an error,
 * and a record that is not acknowledged in time goes to the server log as a
 * whole, in one line.  Interrupts are held from hand-over to acknowledgement:
 * a cancel, statement_timeout or termination in between waits, at most for
 * delete_guard.record_timeout.
 *
 * Whoever makes the same attempt again and again is slowed down: each costs a
 * flush and a share of the CPU, which others need.  The pause comes when the
 * record is stored, and ends at once where the statement is cancelled.
 *
 * The caller may be in any transaction state short of an aborted one and
 * holds no LWLock.  Memory goes to the caller's context.
 *
 * May call: guc, queue, record.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "recorder.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Stable: log watchers look for it */
#define NOT_STORED "delete_guard: attempt not stored: "

/* Look after the recorder this often, should no latch be set */
#define POLL_MS 100

/* Try again this often while there is no room for the record or recorder */
#define RETRY_MS 20

/* Give up after so long without a free worker slot */
#define NO_WORKER_SLOT_MS 1000

/* Give up after so many recorders that did not come up */
#define MAX_STARTS 3

/* From so many repeats within a minute on, each is followed by a pause */
#define FREE_REPEATS 100
#define PAUSE_MS 50

/* One record on its way */
typedef struct Delivery
{
	const DgRecord *record;
	DgReceipt	receipt;
	const char *reason;			/* why it is not stored */
	instr_time	begun;
	int			slot;			/* -1 while it has none */
	uint32		generation;		/* of the recorder started last */
	BackgroundWorkerHandle *handle; /* of the same, NULL if none */
	int			starts;			/* recorders started */
	long		no_slot_since;	/* elapsed ms when worker slots ran out, -1 */
} Delivery;

static bool run_safely(void (*step) (Delivery *delivery), Delivery *delivery);
static void attach(Delivery *delivery);
static void log_instead(Delivery *delivery);
static void deliver(Delivery *delivery);
static bool put_record(Delivery *delivery);
static bool see_to_worker(Delivery *delivery);
static bool start_worker(Delivery *delivery, uint32 generation);
static bool may_still_start(Delivery *delivery);
static void give_up(Delivery *delivery);
static void let_others_go_first(void);
static bool wait_for_latch(Delivery *delivery, long limit);
static long elapsed_ms(const Delivery *delivery);
static void log_record(Delivery *delivery);
static const char *explain_status(DgReceiptStatus status);
static void log_line(const char *json, const char *reason);

/*
 * Have a record stored.  Returns when it is committed and flushed, or when it
 * is clear that it will not be; then the server log has it.  Never raises an
 * error on account of the recording.
 */
DgReceipt
dg_recorder_record(const DgRecord *record)
{
	Delivery	delivery = {0};

	delivery.record = record;
	delivery.receipt.status = DG_RECEIPT_FAILED;
	delivery.slot = -1;
	delivery.no_slot_since = -1;
	INSTR_TIME_SET_CURRENT(delivery.begun);

	HOLD_INTERRUPTS();
	if (!run_safely(deliver, &delivery) && delivery.slot >= 0)
		(void) dg_queue_withdraw(delivery.slot, &delivery.receipt);
	if (delivery.receipt.status != DG_RECEIPT_STORED)
		log_instead(&delivery);
	RESUME_INTERRUPTS();
	if (delivery.receipt.status == DG_RECEIPT_STORED && delivery.receipt.repeats >= FREE_REPEATS)
		let_others_go_first();
	return delivery.receipt;
}

/* Let others go first; raises no error either */
static void
let_others_go_first(void)
{
	Delivery	begun = {0};
	long		left;

	INSTR_TIME_SET_CURRENT(begun.begun);
	while ((left = PAUSE_MS - elapsed_ms(&begun)) > 0 && !QueryCancelPending && !ProcDiePending)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/*
 * Have the recorder look whether there is something to do besides records, and
 * start it if there is none.  Does nothing if that is not possible now.
 */
void
dg_recorder_wake(void)
{
	Delivery	delivery = {0};

	delivery.slot = -1;
	dg_queue_attach();
	if (IsUnderPostmaster)
		(void) see_to_worker(&delivery);
	if (delivery.handle != NULL)
		pfree(delivery.handle);
}

/*
 * Write a record to the server log at once: the caller holds a lock that the
 * recorder would wait for in vain.
 */
DgReceipt
dg_recorder_log(const DgRecord *record)
{
	Delivery	delivery = {0};

	delivery.record = record;
	delivery.receipt.status = DG_RECEIPT_FAILED;
	delivery.reason = "The statement holds a lock that the recorder needs.";
	HOLD_INTERRUPTS();
	(void) run_safely(attach, &delivery);
	log_instead(&delivery);
	RESUME_INTERRUPTS();
	return delivery.receipt;
}

/* Have the queue there, to count on it */
static void
attach(Delivery *delivery)
{
	dg_queue_attach();
}

/* Write the record to the server log, and count it */
static void
log_instead(Delivery *delivery)
{
	if (!run_safely(log_record, delivery))
		log_line("null", delivery->reason);
	dg_queue_count_not_stored();
}

/*
 * Run a step with interrupts held.  Returns false if it raised an error, whose
 * message is then the delivery's reason.  Cleans up what an error in shared
 * memory code leaves behind, as a transaction's abort would: LWLocks, of which
 * our callers hold none.
 */
static bool
run_safely(void (*step) (Delivery *delivery), Delivery *delivery)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	volatile bool done = false;

	PG_TRY();
	{
		step(delivery);
		done = true;
	}
	PG_CATCH();
	{
		InterruptHoldoffCount = holdoff;
		QueryCancelHoldoffCount = cancel_holdoff;
		LWLockReleaseAll();
		MemoryContextSwitchTo(oldcontext);
		delivery->reason = CopyErrorData()->message;
		FlushErrorState();
	}
	PG_END_TRY();
	return done;
}

/*
 * Hand the record over and wait for its receipt, within the deadline.
 */
static void
deliver(Delivery *delivery)
{
	dg_queue_attach();
	if (!dg_queue_accepts(delivery->record->length))
	{
		delivery->reason = "The record is too large.";
		return;
	}
	if (!put_record(delivery))
		return;

	while (!dg_queue_collect(delivery->slot, &delivery->receipt))
	{
		bool		present = see_to_worker(delivery);

		if ((!present && !may_still_start(delivery)) ||
			!wait_for_latch(delivery, present ? POLL_MS : RETRY_MS))
		{
			give_up(delivery);
			return;
		}
	}
	delivery->slot = -1;
	delivery->reason = NULL;
}

/*
 * Put the record into the queue; waits for room.  Returns false if there was
 * none within the deadline.
 */
static bool
put_record(Delivery *delivery)
{
	const DgRecord *record = delivery->record;

	for (;;)
	{
		delivery->slot = dg_queue_put(MyDatabaseId, record, record->length);
		if (delivery->slot >= 0)
			return true;
		if (!wait_for_latch(delivery, RETRY_MS))
			break;
	}
	delivery->receipt.status = DG_RECEIPT_TIMEOUT;
	delivery->reason = "Too many records are waiting.";
	return false;
}

/*
 * Wake the recorder, or start one if it falls to us.  Returns false if there
 * is none and none could be started now.
 */
static bool
see_to_worker(Delivery *delivery)
{
	uint32		generation;
	pid_t		pid;

	if (delivery->handle != NULL &&
		GetBackgroundWorkerPid(delivery->handle, &pid) == BGWH_STOPPED)
	{
		dg_queue_worker_missing(MyDatabaseId, delivery->generation, true);
		pfree(delivery->handle);
		delivery->handle = NULL;
	}
	switch (dg_queue_call_worker(MyDatabaseId, &generation))
	{
		case DG_CALL_PRESENT:
			break;
		case DG_CALL_START:
			return start_worker(delivery, generation);
		case DG_CALL_NO_ROOM:
			dg_queue_ask_for_room(MyDatabaseId);
			delivery->reason = "Too many databases have a recorder.";
			return false;
	}
	return true;
}

/*
 * Start a recorder.  Returns false if the server has no worker slot for it.
 */
static bool
start_worker(Delivery *delivery, uint32 generation)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION | DG_BGWORKER_INTERRUPTIBLE;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, "delete_guard recorder", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "delete_guard recorder", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "delete_guard", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "dg_recorder_main", BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	memcpy(worker.bgw_extra, &generation, sizeof(generation));
	worker.bgw_notify_pid = MyProcPid;

	delivery->generation = generation;
	if (delivery->starts < MAX_STARTS &&
		RegisterDynamicBackgroundWorker(&worker, &delivery->handle))
	{
		delivery->starts++;
		delivery->no_slot_since = -1;
		delivery->reason = NULL;
		return true;
	}
	delivery->handle = NULL;
	dg_queue_worker_missing(MyDatabaseId, generation,
							delivery->no_slot_since < 0);
	dg_queue_ask_for_room(MyDatabaseId);
	delivery->reason = delivery->starts < MAX_STARTS ?
		"No background worker slot is free; max_worker_processes may need to be raised." :
		"The recorder ended each time it was started.";
	return false;
}

/*
 * No recorder could be started just now: is it worth trying again?  Worker
 * slots come free as parallel queries and idle recorders end.
 */
static bool
may_still_start(Delivery *delivery)
{
	long		now = elapsed_ms(delivery);

	if (delivery->no_slot_since < 0)
		delivery->no_slot_since = now;
	if (IsUnderPostmaster && delivery->starts < MAX_STARTS &&
		now - delivery->no_slot_since < NO_WORKER_SLOT_MS)
		return true;
	delivery->receipt.status = DG_RECEIPT_NO_WORKER;
	return false;
}

/*
 * Take the record back, unless it has been answered at the last moment.
 */
static void
give_up(Delivery *delivery)
{
	if (dg_queue_withdraw(delivery->slot, &delivery->receipt))
		delivery->reason = NULL;
	else if (delivery->receipt.status != DG_RECEIPT_NO_WORKER)
		delivery->receipt.status = DG_RECEIPT_TIMEOUT;
	delivery->slot = -1;
}

/*
 * Wait until the latch is set, or for limit milliseconds.  Returns false once
 * the deadline is over.
 */
static bool
wait_for_latch(Delivery *delivery, long limit)
{
	static uint32 wait_event = 0;
	long		left = dg_record_timeout - elapsed_ms(delivery);

	if (left <= 0)
		return false;
	if (wait_event == 0)
		wait_event = dg_wait_event("DeleteGuardRecord");
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(left, limit), wait_event);
	ResetLatch(MyLatch);
	return true;
}

/* Milliseconds since the delivery began, whatever is done to the clock */
static long
elapsed_ms(const Delivery *delivery)
{
	instr_time	elapsed;

	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, delivery->begun);
	return (long) INSTR_TIME_GET_MILLISEC(elapsed);
}

/*
 * Write the whole record to the server log.
 */
static void
log_record(Delivery *delivery)
{
	char	   *json;

	if (delivery->reason == NULL)
		delivery->reason = explain_status(delivery->receipt.status);
	json = dg_record_json(delivery->record);
	log_line(json, delivery->reason);
	pfree(json);
}

/* The reason where no better one is known */
static const char *
explain_status(DgReceiptStatus status)
{
	switch (status)
	{
		case DG_RECEIPT_STORED:
			break;
		case DG_RECEIPT_TIMEOUT:
			return "The recorder did not answer within delete_guard.record_timeout.";
		case DG_RECEIPT_NO_WORKER:
			return "The recorder could not connect to the database.";
		case DG_RECEIPT_FAILED:
			return "The recorder could not store it; its error is in this log.";
	}
	return "";
}

/*
 * One line for the server log, whatever the session's log_min_messages; the
 * client does not get it.
 */
static void
log_line(const char *json, const char *reason)
{
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("log_min_messages", "log",
							 PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	ereport(LOG_SERVER_ONLY,
			(errmsg_internal(NOT_STORED "%s", json),
			 errdetail_internal("%s", reason),
			 errhidestmt(true), errhidecontext(true)));
	AtEOXact_GUC(false, nestlevel);
}
