/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  what the view delete_guard.metrics needs and SQL cannot get
 *
 * Reading the view writes nothing, so it works in read-only transactions and
 * on a hot standby.  It wakes the recorder where there is much to count.
 *
 * May call: guc, queue, tally, recorder.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "guc.h"
#include "queue.h"
#include "recorder.h"
#include "tally.h"

/* Wake the recorder when so many events have not been folded */
#define WAKE_BACKLOG 10000

PG_FUNCTION_INFO_V1(delete_guard_count_on);
PG_FUNCTION_INFO_V1(delete_guard_recorder_counters);
PG_FUNCTION_INFO_V1(delete_guard_enforced);

/*
 * _count_on() returns bigint
 *
 * How many event numbers have not been folded into the totals; if many, or if
 * there are counters to keep, has the recorder go on.
 */
Datum
delete_guard_count_on(PG_FUNCTION_ARGS)
{
	int64		backlog = dg_tally_backlog();

	if (!RecoveryInProgress() &&
		(backlog > WAKE_BACKLOG || dg_tally_counters_changed()))
		dg_recorder_wake();
	PG_RETURN_INT64(backlog);
}

/*
 * _recorder_counters() returns setof (name text, since timestamptz, value
 * bigint)
 *
 * The counters of shared memory for this database.
 */
Datum
delete_guard_recorder_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DgCounter	counters[DG_COUNTERS];
	TimestampTz since;

	InitMaterializedSRF(fcinfo, 0);
	dg_queue_counters(MyDatabaseId, counters, &since);
	for (int i = 0; i < DG_COUNTERS; i++)
	{
		Datum		values[] = {CStringGetTextDatum(counters[i].name),
			TimestampTzGetDatum(since), Int64GetDatum(counters[i].value)};
		bool		isnull[] = {false, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	}
	return (Datum) 0;
}

/*
 * _enforced() returns boolean: is delete_guard.enforce on?
 */
Datum
delete_guard_enforced(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(dg_enforce);
}
