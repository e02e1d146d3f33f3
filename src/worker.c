/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  the recorder: stores records of refused attempts for one database
 *
 * Rules.  A record is acknowledged only when the transaction that holds it is
 * flushed to disk.  What waits when the recorder looks, and what comes while it
 * stores that, is a "batch", stored in one transaction.  One bad record must not
 * cost others: a batch that fails is done again one by one.  Alerts must not
 * cost a record either: they are left out where they fail.  No wait for a lock
 * outlasts the backends' patience.
 * Nothing that the owner of the database sets for it (ALTER DATABASE ... SET,
 * ALLOW_CONNECTIONS) may stop or soften the recording.
 *
 * The recorder stays for a few seconds after the last record, less than DROP
 * DATABASE is willing to wait.  It takes part in no one else's transaction and
 * touches nothing but delete_guard's own tables (see attempt.c).
 *
 * In its pauses the recorder counts events (see tally.c).
 *
 * May call: guc, queue, attempt, tally.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "attempt.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "queue.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tally.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Stay this long without work; DROP DATABASE waits 5 seconds for us to end */
#define LINGER_MS 3000

/* Clear old attempts out this often when there is no pause in the work */
#define SWEEP_MS (20 * 1000)

/* Try to fold events this often as long as there are none that can be */
#define FOLD_MS 1000

/* What is to be done in a transaction */
typedef struct Job
{
	void		(*task) (const struct Job *job);
	DgQueueItem *items;			/* for store_task */
	int		   *nitems;			/* grows by what comes meanwhile, up to max */
	int			max;
	bool		alerts;
} Job;

/* Settings that the recorder needs, against those of its database */
static const struct
{
	const char *name;
	const char *value;
}			forced_settings[] =

{
	/* it writes, in plain transactions, and waits for standbys that must confirm */
	{"default_transaction_read_only", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"synchronous_commit", "on"},

	/* nothing but lock_timeout (see limit_lock_waits) ends its work */
	{"statement_timeout", "0"},
	{"transaction_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"exit_on_error", "off"},

	/* names mean the server's own, and values what they were written as */
	{"role", "none"},
	{"search_path", "pg_catalog, pg_temp"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},

	/* errors and alerts reach the server log */
	{"log_min_messages", "warning"},
};

/* Set while a transaction is being committed, for the signal handler */
static volatile sig_atomic_t committing = false;

/* Of the transaction that failed last */
static int	last_sqlerrcode = 0;

/* When events were folded last, 0 if more can be now */
static TimestampTz last_fold = 0;
static bool fold_again;

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
static void store_batch(DgQueueItem *items, int nitems, int max);
static void store_one(DgQueueItem *item, bool alone);
static void answer(DgQueueItem *items, int nitems);
static void fail(DgQueueItem *items, int nitems);
static bool in_transaction(const Job *job);
static void commit(void);
static void leave_flush_to_others(void);
static bool store_items(DgQueueItem *items, int *nitems, int max, bool alerts);
static void store_task(const Job *job);
static void sweep(void);
static void sweep_task(const Job *job);
static bool fold(void);
static void fold_task(const Job *job);

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
		int			nitems = 0;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			limit_lock_waits();
		}
		dg_queue_take(items, &nitems, lengthof(items));
		if (nitems > 0)
		{
			store_batch(items, nitems, lengthof(items));
			idle_since = GetCurrentTimestamp();
			if (TimestampDifferenceExceeds(last_sweep, idle_since, SWEEP_MS))
			{
				sweep();
				(void) fold();
			}
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
		if (!fold())
			wait_for_work(idle_since);
	}
	(void) dg_queue_leave();
}

/* Sleep until somebody calls, there may be events to fold, or it is time to go */
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
					 Min(left, FOLD_MS), wait_event);
	ResetLatch(MyLatch);
}

/*
 * Store a batch and answer each of its records: together if that works, else
 * one by one.  A lock that somebody holds on our tables would stop each.
 */
static void
store_batch(DgQueueItem *items, int nitems, int max)
{
	pgstat_report_activity(STATE_RUNNING, "storing refused attempts");
	sweep_needed = true;
	if (store_items(items, &nitems, max, true))
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
	int			one = 1;

	if ((!alone && store_items(item, &one, 1, true)) || store_items(item, &one, 1, false))
		answer(item, 1);
	else
		fail(item, 1);
}

/* Answer records; tell the log of those that are stored and that nobody waits for any more */
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
 * Do a job in a transaction of its own, and commit it.  Returns false if it
 * failed; the error is then in the server log.
 */
static bool
in_transaction(const Job *job)
{
	volatile bool done = false;

	PG_TRY();
	{
		StartTransactionCommand();
		job->task(job);
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
store_items(DgQueueItem *items, int *nitems, int max, bool alerts)
{
	Job			job = {store_task, items, nitems, max, alerts};

	return in_transaction(&job);
}

static void
store_task(const Job *job)
{
	dg_attempt_store(job->items, job->nitems, job->max, job->alerts);
}

/* The commit of this transaction does not flush it to disk */
static void
leave_flush_to_others(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Clear out attempts whose minute is over, if there can be any */
static void
sweep(void)
{
	Job			job = {sweep_task};

	last_sweep = GetCurrentTimestamp();
	if (sweep_needed)
		(void) in_transaction(&job);
	sweep_needed = false;
}

static void
sweep_task(const Job *job)
{
	dg_attempt_forget_old();
}

/*
 * Bring the totals of events up to date, a piece at a time.  Returns true if
 * the next piece can be done at once.
 */
static bool
fold(void)
{
	Job			job = {fold_task};
	TimestampTz now = GetCurrentTimestamp();

	if (last_fold != 0 && !TimestampDifferenceExceeds(last_fold, now, FOLD_MS))
		return false;
	fold_again = false;
	pgstat_report_activity(STATE_RUNNING, "counting events");
	last_fold = in_transaction(&job) && fold_again ? 0 : now;
	pgstat_report_activity(STATE_IDLE, NULL);
	return last_fold == 0;
}

static void
fold_task(const Job *job)
{
	/* what a crash may take back is done again */
	leave_flush_to_others();
	dg_tally_save_counters();
	fold_again = dg_tally_fold();
}
