/*-------------------------------------------------------------------------
 *
 * number.c
 *	  numbers of events, requests and decisions
 *
 * They come from sequences, which superusers and members of pg_write_all_data
 * can set back.  Then the numbers given out next stand in a table already.  So
 * a process compares with the table when it takes its first number, when a
 * number is not larger than the one before, and when a transaction that has
 * taken one has failed, perhaps for that reason; and it sets the sequence ahead
 * of what is there.  At worst one statement of each session fails, and nothing
 * is overwritten or lost.
 *
 * Lock: an exclusive one on an object of no other use (the sequence, as
 * LockDatabaseObject sees it) by whoever sets a sequence ahead, so that two
 * processes do not take each other back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "number.h"
#include "sql.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* A kind of number, and how far those that were taken go */
typedef struct Numbers
{
	const char *sequence;		/* has the name of the column, too */
	const char *table;
	const char *index;
	const char *marks;			/* table of marks, up to which numbers were taken, too */
	int64		latest;			/* that this process has taken */
	bool		compared;		/* with the table, since the last failure */
} Numbers;

/* events that were purged are counted up to a mark: see tally.c */
static Numbers event_numbers = {"event_id", "event", "event_pkey", "tally"};
static Numbers request_numbers = {"request_id", "request", "request_pkey"};
static Numbers decision_numbers = {"decision_id", "decision", "decision_pkey"};

static bool callbacks_registered = false;

static int64 next(Numbers *numbers);
static int64 next_compared(Numbers *numbers, int64 number);
static int64 largest_taken(const Numbers *numbers);
static int64 largest_mark(const char *table);
static int64 set_ahead(const Numbers *numbers);
static void at_xact_event(XactEvent event, void *arg);
static void at_subxact_event(SubXactEvent event, SubTransactionId subid,
							 SubTransactionId parent, void *arg);
static void compare_again(void);

/*
 * Take the number of an event that is about to be written.  The first one in a
 * process counts as a use of this database, whatever becomes of it (see
 * owntable.c).
 */
int64
dg_number_event(void)
{
	static bool counted = false;

	if (!counted)
		(void) dg_own_nextval("use_count");
	counted = true;
	return next(&event_numbers);
}

/*
 * Take the number of a request.
 */
int64
dg_number_request(void)
{
	return next(&request_numbers);
}

/*
 * Take the number of a decision.
 */
int64
dg_number_decision(void)
{
	return next(&decision_numbers);
}

/* The next number of a kind */
static int64
next(Numbers *numbers)
{
	int64		number = dg_own_nextval(numbers->sequence);

	if (!callbacks_registered)
	{
		RegisterXactCallback(at_xact_event, NULL);
		RegisterSubXactCallback(at_subxact_event, NULL);
		callbacks_registered = true;
	}
	if (!numbers->compared || number <= numbers->latest)
		number = next_compared(numbers, number);
	numbers->compared = true;
	numbers->latest = number;
	return number;
}

/* A number that no row of the table has */
static int64
next_compared(Numbers *numbers, int64 number)
{
	Oid			sequence = dg_own_relation(numbers->sequence);

	if (number > largest_taken(numbers))
		return number;
	LockDatabaseObject(RelationRelationId, sequence, 0, ExclusiveLock);
	/* another process may have set it ahead meanwhile */
	number = dg_own_nextval(numbers->sequence);
	if (number <= largest_taken(numbers))
		number = set_ahead(numbers);
	UnlockDatabaseObject(RelationRelationId, sequence, 0, ExclusiveLock);
	return number;
}

/*
 * The largest number that is taken, also by transactions under way; 0 if none
 * is.  The snapshot is not one that SERIALIZABLE watches.
 */
static int64
largest_taken(const Numbers *numbers)
{
	Relation	rel = table_open(dg_own_relation(numbers->table), AccessShareLock);
	Relation	index = index_open(dg_own_relation(numbers->index), AccessShareLock);
	AttrNumber	column = get_attnum(RelationGetRelid(rel), numbers->sequence);
	int64		result = numbers->marks ? largest_mark(numbers->marks) : 0;
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	InitDirtySnapshot(dirty);
	scan = systable_beginscan_ordered(rel, index, &dirty, 0, NULL);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
		result = Max(result, DatumGetInt64(heap_getattr(tuple, column, RelationGetDescr(rel), &isnull)));
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	return result;
}

/* The largest mark, 0 if there is none */
static int64
largest_mark(const char *table)
{
	Relation	rel = table_open(dg_own_relation(table), AccessShareLock);
	AttrNumber	column = get_attnum(RelationGetRelid(rel), "upto");
	int64		result = 0;
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	InitDirtySnapshot(dirty);
	scan = systable_beginscan(rel, InvalidOid, false, &dirty, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = Max(result, DatumGetInt64(heap_getattr(tuple, column, RelationGetDescr(rel), &isnull)));
	systable_endscan(scan);
	table_close(rel, NoLock);
	return result;
}

/* Set a sequence ahead of the numbers that are taken; returns its next one */
static int64
set_ahead(const Numbers *numbers)
{
	int64		taken = largest_taken(numbers);
	DgRoleState saved;

	dg_act_as(dg_own_owner(), &saved);
	DirectFunctionCall2(setval_oid, ObjectIdGetDatum(dg_own_relation(numbers->sequence)),
						Int64GetDatum(taken));
	dg_act_back(&saved);
	ereport(LOG_SERVER_ONLY,
			(errmsg("sequence \"delete_guard.%s\" had been set back, and is set ahead to " INT64_FORMAT,
					numbers->sequence, taken),
			 errhidestmt(true), errhidecontext(true)));
	return dg_own_nextval(numbers->sequence);
}

/* Transaction callback: a failure may be on account of a number */
static void
at_xact_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		compare_again();
}

/* Subtransaction callback: the same */
static void
at_subxact_event(SubXactEvent event, SubTransactionId subid,
				 SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		compare_again();
}

/* Compare all kinds of numbers when the next is taken */
static void
compare_again(void)
{
	event_numbers.compared = request_numbers.compared = decision_numbers.compared = false;
}
