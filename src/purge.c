/*-------------------------------------------------------------------------
 *
 * purge.c
 *	  SQL function purge: remove old events and settled requests
 *
 * Removed are requests that can neither be approved nor used any more and that
 * nothing was done about since, with their decisions; then events that are
 * older and belong to no request that is left, with their rows.  The totals
 * of events keep them (see tally.c).
 *
 * Rights: whoever was granted the function, or owns the extension; and an
 * approval (see change.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "setting.h"
#include "sql.h"
#include "steps.h"
#include "tally.h"

PG_FUNCTION_INFO_V1(delete_guard_purge);

/* How many rows went */
typedef struct Purged
{
	int64		requests;
	int64		decisions;
	int64		events;
	int64		rows;
} Purged;

static void run_purge(Datum before, Purged *purged);
static void run_counted(const char *query, Datum before, int64 *first, int64 *second);

/*
 * purge(older_than interval) returns bigint
 */
Datum
delete_guard_purge(PG_FUNCTION_ARGS)
{
	DgChange	change;
	DgPermit	permit;
	Purged		purged;
	char	   *age;
	Datum		before;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("age must not be null")));
	before = DirectFunctionCall2(timestamptz_mi_interval,
								 TimestampTzGetDatum(GetCurrentTimestamp()), PG_GETARG_DATUM(0));
	if (DatumGetTimestampTz(before) > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("age must not be negative")));
	age = dg_setting_interval(PG_GETARG_DATUM(0));
	change = dg_setting_change("purge", InvalidOid, dg_setting_call("purge", age, InvalidOid), NULL, NULL);
	permit = dg_change_decide(&change);
	run_purge(before, &purged);
	change.details = psprintf("{\"older_than\":%s,\"events\":" INT64_FORMAT ",\"rows\":" INT64_FORMAT
							  ",\"requests\":" INT64_FORMAT ",\"decisions\":" INT64_FORMAT "}",
							  dg_quote_json(age), purged.events, purged.rows,
							  purged.requests, purged.decisions);
	dg_change_journal(&change, &permit);
	PG_RETURN_INT64(purged.events);
}

/* Remove what is older, and count it */
static void
run_purge(Datum before, Purged *purged)
{
	run_counted("WITH gone AS (DELETE FROM delete_guard.request r"
				" WHERE r.requested_at < $1"
				" AND NOT EXISTS (SELECT FROM delete_guard.decision d"
				"  WHERE d.request_id = r.request_id AND d.decided_at >= $1)"
				" AND (EXISTS (SELECT FROM delete_guard.decision d WHERE d.request_id = r.request_id"
				"   AND d.kind IN ('deny', 'cancel', 'use'))"
				"  OR (r.expires_at <= clock_timestamp() AND NOT EXISTS (SELECT FROM delete_guard.decision d"
				"   WHERE d.request_id = r.request_id AND d.valid_until > clock_timestamp())))"
				" RETURNING r.request_id),"
				" decisions AS (DELETE FROM delete_guard.decision d USING gone"
				"  WHERE d.request_id = gone.request_id RETURNING 1)"
				" SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM decisions)",
				before, &purged->requests, &purged->decisions);
	dg_tally_before_purge();
	run_counted("WITH gone AS (DELETE FROM delete_guard.event e"
				" WHERE e.occurred_at < $1 AND NOT EXISTS (SELECT FROM delete_guard.request r"
				"  WHERE r.request_id = e.request_id)"
				" RETURNING e.*),"
				" beyond AS (SELECT * FROM gone WHERE event_id > " DG_TALLY_MARK "),"
				" counted AS (" DG_TALLY_ADD("beyond") "),"
				" rows AS (DELETE FROM delete_guard.event_rows r USING gone"
				"  WHERE r.event_id = gone.event_id RETURNING 1)"
				" SELECT (SELECT count(*) FROM gone),"
				" (SELECT count(*) FROM rows) + (SELECT count(*) FROM gone WHERE images IS NOT NULL)",
				before, &purged->events, &purged->rows);
}

/* Run a query that gives two counts */
static void
run_counted(const char *query, Datum before, int64 *first, int64 *second)
{
	Oid			argtype = TIMESTAMPTZOID;
	DgRoleState saved;
	bool		isnull;

	dg_own_connect(&saved);
	dg_own_query(query, 1, &argtype, &before, NULL, false, 1);
	*first = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	*second = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	dg_own_finish(&saved);
}
