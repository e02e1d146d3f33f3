/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  running totals of events, and of what the recorder did
 *
 * Totals of the audit log have to be had without reading it.  Counting each
 * event where it is written would make every removal wait for the same row, or
 * write a second one.  So events are counted afterwards, by the recorder:
 *
 * Words.  To "fold" events is to add them to delete_guard.event_total.  The
 * "mark" is the number of the last event folded (tally, 'folded'); the events
 * beyond it are the "tail", and whoever wants the totals adds the tail, which
 * is short, by the index on event_id.
 *
 * Numbers are taken when an event begins, so events are committed in another
 * order than that of their numbers.  The mark may pass a number only when the
 * transaction that took it has ended.  A transaction has its own number (xid)
 * before it takes that of an event (see dg_own_nextval).  So once all
 * transactions below some xid have ended, all event numbers given out before
 * that xid are settled: either visible, or never to come.  "Pending" (tally,
 * 'pending') is such a pair, an event number and then an xid, to be folded up
 * to as soon as no transaction below that xid runs.  However long one runs,
 * nothing is lost or counted twice: the tail just grows.
 *
 * Lock: SHARE ROW EXCLUSIVE on event_total by whoever folds, or deletes events
 * (they have to be counted first).  Folding gives up at once if somebody has
 * it.
 *
 * The counters of shared memory (see queue.h) begin anew with the server;
 * recorder_total keeps what they were: "earlier" is the sum over former lives
 * of the counters, "lately" the last value of the life that began at
 * "since".  They also begin anew where too many databases share that memory;
 * those that recorder_total is seen to have give way first.
 *
 * May call: sql, queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "queue.h"
#include "sql.h"
#include "tally.h"

/* Events folded in one transaction */
#define FOLD_EVENTS 20000

/* How far the folding is, and how far it may go */
typedef struct Marks
{
	int64		folded;			/* all events up to this are folded */
	int64		pending;		/* to be folded up to; 0 if none */
	bool		settled;		/* no transaction can add events up to it */
	int64		last;			/* largest number of an event that is there */
} Marks;

static Marks read_marks(void);
static int64 fold_chunk(int64 after, int64 upto);
static void set_mark(const char *kind, int64 upto, bool with_horizon);
static int64 column_int64(int column, int64 if_null);

/*
 * Fold some events, if there are any that can be, in this transaction.
 * Returns true if it is worth calling again at once, in another transaction.
 */
bool
dg_tally_fold(void)
{
	DgRoleState saved;
	Marks		marks;
	bool		again = false;
	bool		folded = false;

	if (!ConditionalLockRelationOid(dg_own_relation("event_total"),
									ShareRowExclusiveLock))
		return false;
	PushActiveSnapshot(GetTransactionSnapshot());
	dg_own_connect(&saved);
	marks = read_marks();
	if (marks.pending > marks.folded && marks.settled)
	{
		marks.folded = fold_chunk(marks.folded, marks.pending);
		set_mark("folded", marks.folded, false);
		folded = true;
		again = marks.folded < marks.pending;
	}
	if (marks.pending <= marks.folded && marks.last > marks.folded)
	{
		set_mark("pending", marks.last, true);
		again = !folded;
	}
	dg_own_finish(&saved);
	PopActiveSnapshot();
	return again;
}

/* Read how far the folding is */
static Marks
read_marks(void)
{
	Marks		marks = {0};
	bool		isnull;

	dg_own_query("SELECT f.upto, p.upto, p.horizon <= pg_snapshot_xmin(pg_current_snapshot()),"
				 " (SELECT max(event_id) FROM delete_guard.event)"
				 " FROM (VALUES (1)) AS one(x)"
				 " LEFT JOIN delete_guard.tally f ON f.kind = 'folded'"
				 " LEFT JOIN delete_guard.tally p ON p.kind = 'pending'",
				 0, NULL, NULL, NULL, true, 1);
	marks.folded = column_int64(1, 0);
	marks.pending = column_int64(2, 0);
	marks.settled = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
											   SPI_tuptable->tupdesc, 3, &isnull));
	marks.settled = marks.settled && !isnull;
	marks.last = column_int64(4, 0);
	return marks;
}

/*
 * Add the next events to the totals, at most FOLD_EVENTS of them.  Returns the
 * new mark.
 */
static int64
fold_chunk(int64 after, int64 upto)
{
	Oid			types[] = {INT8OID, INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(after), Int64GetDatum(upto),
	Int64GetDatum(FOLD_EVENTS)};

	dg_own_query("WITH chunk AS ("
				 " SELECT event_id, operation, outcome, table_name, row_count, occurred_at"
				 " FROM delete_guard.event WHERE event_id > $1 AND event_id <= $2"
				 " ORDER BY event_id LIMIT $3), "
				 "folded AS (" DG_TALLY_ADD("chunk") ") "
				 "SELECT max(event_id) FROM chunk HAVING count(*) = $3",
				 3, types, values, NULL, false, 0);
	return SPI_processed > 0 ? column_int64(1, upto) : upto;
}

/*
 * Store a mark.  With a horizon, everything up to it has been given out before
 * the xid that is next now.
 */
static void
set_mark(const char *kind, int64 upto, bool with_horizon)
{
	Oid			types[] = {TEXTOID, INT8OID, XID8OID};
	Datum		values[] = {CStringGetTextDatum(kind), Int64GetDatum(upto), 0};

	if (with_horizon)
		values[2] = FullTransactionIdGetDatum(ReadNextFullTransactionId());
	dg_own_query("INSERT INTO delete_guard.tally AS t VALUES ($1, $2, $3)"
				 " ON CONFLICT (kind) DO UPDATE SET upto = excluded.upto, horizon = excluded.horizon",
				 3, types, values, with_horizon ? NULL : "  n", false, 0);
}

/* A column of the first row of a query's result */
static int64
column_int64(int column, int64 if_null)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

/*
 * Whoever deletes events calls this first, in the same transaction, and then
 * adds those beyond the mark to the totals in the statement that deletes them
 * (DG_TALLY_ADD, DG_TALLY_MARK).
 */
void
dg_tally_before_purge(void)
{
	LockRelationOid(dg_own_relation("event_total"), ShareRowExclusiveLock);
}

/*
 * Keep the counters of shared memory, for this database, in this transaction.
 */
void
dg_tally_save_counters(void)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID};
	DgCounter	counters[DG_COUNTERS];
	TimestampTz since;
	DgRoleState saved;

	if (!dg_tally_counters_changed())
		return;
	dg_queue_counters(MyDatabaseId, counters, &since);
	PushActiveSnapshot(GetTransactionSnapshot());
	dg_own_connect(&saved);
	for (int i = 0; i < DG_COUNTERS; i++)
	{
		Datum		values[] = {CStringGetTextDatum(counters[i].name),
			TimestampTzGetDatum(since), Int64GetDatum(counters[i].value)};

		dg_own_query("INSERT INTO delete_guard.recorder_total AS t VALUES ($1, 0, $2, $3)"
					 " ON CONFLICT (name) DO UPDATE SET since = excluded.since, lately = excluded.lately,"
					 " earlier = t.earlier + CASE WHEN t.since = excluded.since THEN 0 ELSE t.lately END"
					 " WHERE t.since <> excluded.since OR t.lately <> excluded.lately",
					 3, types, values, NULL, false, 0);
	}
	dg_own_finish(&saved);
	PopActiveSnapshot();
}

/*
 * Are there counts in shared memory that dg_tally_save_counters has not kept?
 */
bool
dg_tally_counters_changed(void)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID};
	DgCounter	counters[DG_COUNTERS];
	TimestampTz since;
	DgRoleState saved;
	bool		changed = false;

	dg_queue_counters(MyDatabaseId, counters, &since);
	PushActiveSnapshot(GetTransactionSnapshot());
	dg_own_connect(&saved);
	for (int i = 0; i < DG_COUNTERS && !changed; i++)
	{
		Datum		values[] = {CStringGetTextDatum(counters[i].name),
			TimestampTzGetDatum(since), Int64GetDatum(counters[i].value)};

		if (counters[i].value == 0)
			continue;
		dg_own_query("SELECT FROM delete_guard.recorder_total t"
					 " WHERE t.name = $1 AND t.since = $2 AND t.lately = $3",
					 3, types, values, NULL, true, 1);
		changed = SPI_processed == 0;
	}
	dg_own_finish(&saved);
	PopActiveSnapshot();
	if (!changed)
		dg_queue_counters_kept(MyDatabaseId, counters);
	return changed;
}

/*
 * How many event numbers lie beyond the mark.
 */
int64
dg_tally_backlog(void)
{
	DgRoleState saved;
	Marks		marks;

	dg_own_connect(&saved);
	marks = read_marks();
	dg_own_finish(&saved);
	return Max(marks.last - marks.folded, 0);
}
