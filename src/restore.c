/*-------------------------------------------------------------------------
 *
 * restore.c
 *	  SQL function restore: put back what an event took
 *
 * One "batch" of rows per part of the event (batch.c).  The order: rights;
 * rows are decoded as the owner of their table; keys that are taken are found;
 * then the caller's own INSERTs and UPDATEs (putback.c); then sequences; then
 * the event "restore".
 *
 * Rights: whoever may read audit_rows, and may INSERT into the tables concerned
 * and UPDATE what was set there.  No approval is asked for, since nothing is
 * removed; where a key is changed back, the guard looks at that like at any
 * UPDATE.
 *
 * Locks: the number of the event, exclusive, to the end of the transaction, so
 * that it is not restored twice at once; ROW EXCLUSIVE on the tables.  A dry
 * run takes ACCESS SHARE and writes nothing, so it works on a standby too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "advance.h"
#include "catalog.h"
#include "journal.h"
#include "policy.h"
#include "putback.h"
#include "safely.h"
#include "sql.h"
#include "steps.h"
#include "taken.h"

PG_FUNCTION_INFO_V1(delete_guard_restore);

/* What PostgreSQL raises if an exclusion constraint says that a key is taken */
#define DG_EXCLUSION_VIOLATION MAKE_SQLSTATE('2', '3', 'P', '0', '1')

/* Keys that a message names */
#define DG_NAMED_KEYS 3

/* One call of restore() */
typedef struct DgRestore
{
	ReturnSetInfo *rsinfo;
	DgPastEvent *event;
	bool		skip;			/* leave rows whose key is taken */
	bool		dry_run;
	int64		restored_by;	/* latest earlier restore of the event, or 0 */
	List	   *batches;		/* of DgBatch, in the order of putting back */
	List	   *gone;			/* of DgTarget that do not exist any more */
	Oid			table_id;		/* what the removal was from, as it is now */
} DgRestore;

/* Row callback's state: rows of a batch for the result, or for a message */
typedef struct DgRowReport
{
	DgRestore  *restore;
	DgBatch    *batch;
	int64		row;
	StringInfo	message;
	int			nnamed;
} DgRowReport;

static bool skip_argument(FunctionCallInfo fcinfo);
static void require_reader(void);
static DgPastEvent *event_argument(FunctionCallInfo fcinfo);
static void require_removal(const DgPastEvent *event);
static void prepare_batches(DgRestore *restore);
static void prepare_batch(DgRestore *restore, const DgPastPart *part);
static void lock_target(DgRestore *restore, DgBatch *batch);
static List *parents_first(List *batches);
static bool refers_to_any(const DgBatch *batch, List *others);
static int64 earlier_restore(int64 event_id);
static void find_taken(DgRestore *restore);
static void find_restored(DgRestore *restore, DgBatch *batch);
static int64 result_number(uint64 row, int column);
static void add_restored_reason(DgBatch *batch, int64 event_id, bool unsure);
static void put_back(DgRestore *restore);
static void put_back_step(void *arg);
static void refuse_conflicts(DgRestore *restore);
static void name_taken_row(void *arg, JsonbContainer *image, bytea *apart, JsonbContainer *new_key);
static void refuse_prevented(DgRestore *restore);
static int64 count_rows(DgRestore *restore, DgRowState state);
static void journal_restore(DgRestore *restore);
static void append_untold(StringInfo buf, const DgRestore *restore, const char *member, bool unsure);
static void append_ranges(StringInfo buf, const DgBatch *batch, DgRowState state);
static void report(DgRestore *restore);
static void report_batch(DgRestore *restore, DgBatch *batch);
static void report_types(DgRestore *restore, DgBatch *batch);
static bool names_objects(Oid typid);
static void report_row(void *arg, JsonbContainer *image, bytea *apart, JsonbContainer *new_key);
static const char *row_note(const DgBatch *batch, int64 row);
static void report_missing(DgRestore *restore);
static void report_line(DgRestore *restore, const char *table, const char *effect,
						const char *key, const char *action, const char *note);
static void restore_error(void *arg);

/*
 * restore(event bigint, on_conflict text, dry_run boolean)
 *	  returns setof (table_name, effect, key, action, note)
 */
Datum
delete_guard_restore(PG_FUNCTION_ARGS)
{
	DgRestore	restore = {0};
	ErrorContextCallback callback = {error_context_stack, restore_error, &restore};
	ListCell   *lc;

	restore.skip = skip_argument(fcinfo);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("dry_run must not be null")));
	restore.dry_run = PG_GETARG_BOOL(2);
	require_reader();
	restore.event = event_argument(fcinfo);
	require_removal(restore.event);
	InitMaterializedSRF(fcinfo, 0);
	restore.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	error_context_stack = &callback;
	if (!restore.dry_run)
		LockDatabaseObject(dg_own_relation("event"), (Oid) restore.event->event_id,
						   (uint16) (restore.event->event_id >> 32), ExclusiveLock);
	restore.restored_by = earlier_restore(restore.event->event_id);
	prepare_batches(&restore);
	find_taken(&restore);
	if (restore.dry_run)
	{
		foreach(lc, restore.batches)
			dg_putback_probe(lfirst(lc));
	}
	else
	{
		if (!restore.skip)
			refuse_conflicts(&restore);
		put_back(&restore);
		if (!restore.skip)
			refuse_prevented(&restore);
		journal_restore(&restore);
	}
	report(&restore);
	foreach(lc, restore.batches)
		dg_batch_free(lfirst(lc));
	error_context_stack = callback.previous;
	return (Datum) 0;
}

/* ---------------------------------------------------------------------
 * Arguments and rights
 * ---------------------------------------------------------------------
 */

/* Error context: which event */
static void
restore_error(void *arg)
{
	errcontext("delete_guard restoring event " INT64_FORMAT, ((DgRestore *) arg)->event->event_id);
}

/* on_conflict: are rows with a taken key to be left out? */
static bool
skip_argument(FunctionCallInfo fcinfo)
{
	char	   *on_conflict = dg_text_argument(fcinfo, 1);

	if (on_conflict && strcmp(on_conflict, "skip") == 0)
		return true;
	if (on_conflict == NULL || strcmp(on_conflict, "error") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_conflict must be \"error\" or \"skip\"")));
	return false;
}

/* Old rows are for those who may read them in the audit log */
static void
require_reader(void)
{
	AclResult	acl = pg_class_aclcheck(dg_own_relation("audit_rows"), GetUserId(), ACL_SELECT);

	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_VIEW, "audit_rows");
}

/* The event that the first argument names */
static DgPastEvent *
event_argument(FunctionCallInfo fcinfo)
{
	DgPastEvent *event;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event must not be null")));
	event = dg_past_event_load(PG_GETARG_INT64(0));
	if (event == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event " INT64_FORMAT " does not exist", PG_GETARG_INT64(0))));
	return event;
}

/* Raise an error unless the event has taken something and has stored it */
static void
require_removal(const DgPastEvent *event)
{
	bool		removal = strcmp(event->operation, "delete") == 0 ||
		strcmp(event->operation, "key change") == 0 ||
		strcmp(event->operation, "truncate") == 0;

	if (!removal)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("event " INT64_FORMAT " has nothing to restore", event->event_id),
				 errdetail("It is no removal of rows, but the operation \"%s\".", event->operation)));
	if (strcmp(event->outcome, DG_OUTCOME_BLOCKED) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("event " INT64_FORMAT " has nothing to restore", event->event_id),
				 errdetail("It was refused, so no row was removed.")));
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

/* Make the batches and read their rows */
static void
prepare_batches(DgRestore *restore)
{
	int64		nrows = 0;
	ListCell   *lc;

	foreach(lc, restore->event->parts)
		prepare_batch(restore, lfirst(lc));
	restore->batches = parents_first(restore->batches);
	dg_batch_link_siblings(restore->batches);
	foreach(lc, restore->batches)
	{
		DgBatch    *batch = lfirst(lc);

		dg_batch_fill(batch, restore->event->event_id);
		nrows += batch->nrows;
	}
	if (nrows == 0 && restore->gone == NIL && restore->event->stored_under != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of event " INT64_FORMAT " are stored under event " INT64_FORMAT,
						restore->event->event_id,
						*(int64 *) linitial(restore->event->stored_under)),
				 errdetail("A cascade of that event removed them."),
				 errhint("Restore that event.")));
}

/* Make the batch of one part, if its table is still there */
static void
prepare_batch(DgRestore *restore, const DgPastPart *part)
{
	DgTarget   *target = dg_target_resolve(restore->event, part);
	DgBatch    *batch;

	if (part->depth == 0 && !OidIsValid(restore->table_id))
		restore->table_id = target->relid;
	if (!OidIsValid(target->relid))
	{
		restore->gone = lappend(restore->gone, target);
		return;
	}
	batch = dg_batch_create(part, target, CurrentMemoryContext);
	lock_target(restore, batch);
	restore->batches = lappend(restore->batches, batch);
}

/* Lock a table; rights are checked before too, so that nobody else queues */
static void
lock_target(DgRestore *restore, DgBatch *batch)
{
	dg_putback_check_rights(batch);
	LockRelationOid(batch->target->relid,
					restore->dry_run ? AccessShareLock : RowExclusiveLock);
	dg_putback_check_rights(batch);
}

/*
 * Batches in an order in which a table comes after those that it refers to,
 * as far as there is one; and INSERTs before UPDATEs.
 */
static List *
parents_first(List *batches)
{
	List	   *rest = list_copy(batches);
	List	   *result = NIL;

	while (rest != NIL)
	{
		DgBatch    *next = linitial(rest);
		ListCell   *lc;

		foreach(lc, rest)
		{
			DgBatch    *batch = lfirst(lc);

			if (batch->kind == DG_BATCH_INSERT && !refers_to_any(batch, rest))
			{
				next = batch;
				break;
			}
			if (batch->kind == DG_BATCH_INSERT && next->kind != DG_BATCH_INSERT)
				next = batch;
		}
		result = lappend(result, next);
		rest = list_delete_ptr(rest, next);
	}
	return result;
}

/* Has the batch's table a foreign key to the table of another one? */
static bool
refers_to_any(const DgBatch *batch, List *others)
{
	Relation	rel = table_open(batch->target->relid, AccessShareLock);
	bool		found = false;
	ListCell   *lc;
	ListCell   *other;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *key = lfirst(lc);

		foreach(other, others)
			found |= key->confrelid != batch->target->relid &&
				((DgBatch *) lfirst(other))->kind == DG_BATCH_INSERT &&
				((DgBatch *) lfirst(other))->target->relid == key->confrelid;
	}
	table_close(rel, NoLock);
	return found;
}

/* The latest event that has restored this one, 0 if there is none */
static int64
earlier_restore(int64 event_id)
{
	static const char *const query =
		"SELECT max(e.event_id) FROM delete_guard.event e WHERE e.event_id > $1"
		" AND e.operation = 'restore' AND (e.details ->> 'event')::bigint = $1";
	Oid			type = INT8OID;
	Datum		arg = Int64GetDatum(event_id);
	DgRoleState saved;
	Datum		result;
	bool		isnull;

	dg_own_connect(&saved);
	dg_own_query(query, 1, &type, &arg, NULL, true, 1);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	dg_own_finish(&saved);
	return isnull ? 0 : DatumGetInt64(result);
}

/* ---------------------------------------------------------------------
 * Conflicts
 * ---------------------------------------------------------------------
 */

/*
 * Find the rows whose key is taken.  Rows that no key tells from others count as
 * being there, and as they were, if an earlier restore has put them back.
 */
static void
find_taken(DgRestore *restore)
{
	ListCell   *lc;

	foreach(lc, restore->batches)
	{
		DgBatch    *batch = lfirst(lc);

		if (batch->impossible || batch->nrows == 0)
			continue;
		if (batch->kind != DG_BATCH_SET)
			dg_taken_find(batch, DG_ROW_TAKEN);
		if (restore->restored_by != 0)
			find_restored(restore, batch);
	}
}

/* Find the rows of a batch that earlier restores say to have put back, see append_untold() */
static void
find_restored(DgRestore *restore, DgBatch *batch)
{
	static const char *const query =
		"SELECT e.event_id, m.member = 'unsure', (r.range ->> 0)::bigint, (r.range ->> 1)::bigint"
		" FROM delete_guard.event e, (VALUES ('put_back'), ('unsure')) AS m (member),"
		" pg_catalog.jsonb_array_elements(e.details -> m.member -> $2::text) AS r (range)"
		" WHERE e.event_id > $1 AND e.operation = 'restore' AND (e.details ->> 'event')::bigint = $1"
		" ORDER BY 1, 2, 3";
	Oid			types[2] = {INT8OID, INT4OID};
	Datum		args[2] = {Int64GetDatum(restore->event->event_id), Int32GetDatum(batch->part->number)};
	DgRoleState saved;
	int64		reason = 0;

	dg_own_connect(&saved);
	dg_own_query(query, 2, types, args, NULL, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int64		event_id = result_number(i, 1);
		bool		unsure = result_number(i, 2) != 0;

		if (reason != event_id * 2 + unsure)
			add_restored_reason(batch, event_id, unsure);
		reason = event_id * 2 + unsure;
		for (int64 n = result_number(i, 3); n <= Min(result_number(i, 4), batch->nrows); n++)
		{
			if (batch->state[n - 1] == DG_ROW_WANTED && dg_batch_untold(batch, n - 1))
				dg_batch_take(batch, n - 1, DG_ROW_TAKEN);
		}
	}
	dg_own_finish(&saved);
}

/* A number in the result of a query, none of which is null */
static int64
result_number(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return SPI_gettypeid(SPI_tuptable->tupdesc, column) == BOOLOID ? DatumGetBool(value) :
		DatumGetInt64(value);
}

/* The reason that an event has put rows back before */
static void
add_restored_reason(DgBatch *batch, int64 event_id, bool unsure)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	const char *text = unsure ?
		"no key tells the row from others, and event " INT64_FORMAT " may have restored it" :
		"no key tells the row from others, and event " INT64_FORMAT " has restored it";

	batch->reasons = lappend(batch->reasons, psprintf(text, event_id));
	MemoryContextSwitchTo(old);
}

/* Raise an error if rows cannot be put back as their key is taken */
static void
refuse_conflicts(DgRestore *restore)
{
	int64		taken = count_rows(restore, DG_ROW_TAKEN);
	StringInfoData detail;
	int			nnamed = 0;
	ListCell   *lc;

	if (restore->gone != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s of event " INT64_FORMAT " does not exist any more",
						((DgTarget *) linitial(restore->gone))->name, restore->event->event_id),
				 errhint("With on_conflict => 'skip' the rows of other tables are restored.")));
	if (taken == 0)
		return;
	initStringInfo(&detail);
	foreach(lc, restore->batches)
	{
		DgRowReport named = {restore, lfirst(lc), 0, &detail, nnamed};

		if (nnamed < DG_NAMED_KEYS && dg_batch_count(named.batch, DG_ROW_TAKEN) > 0)
			dg_past_rows(restore->event->event_id, named.batch->part->number,
						 name_taken_row, &named);
		nnamed = named.nnamed;
	}
	if (restore->restored_by != 0)
		appendStringInfo(&detail, "%sThe event was restored before, by event " INT64_FORMAT ".",
						 detail.len > 0 ? "  " : "", restore->restored_by);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg_plural("cannot restore event " INT64_FORMAT ": the key of " INT64_FORMAT " row is taken",
						   "cannot restore event " INT64_FORMAT ": the keys of " INT64_FORMAT " rows are taken",
						   taken, restore->event->event_id, taken),
			 errdetail("%s", detail.data),
			 errhint("With dry_run => true all of them are listed; with on_conflict => 'skip' they are left as they are.")));
}

/* Row callback: name the row in a message if its key is taken */
static void
name_taken_row(void *arg, JsonbContainer *image, bytea *apart, JsonbContainer *new_key)
{
	DgRowReport *named = arg;
	DgBatch    *batch = named->batch;
	int64		row = named->row++;

	if (batch->state[row] != DG_ROW_TAKEN || named->nnamed++ >= DG_NAMED_KEYS)
		return;
	appendStringInfo(named->message, "%sIn %s, %s: %s.", named->message->len > 0 ? "  " : "",
					 batch->target->name, dg_past_key_json(batch->part, image),
					 row_note(batch, row));
}

/* Raise an error if a trigger or rule has kept rows out */
static void
refuse_prevented(DgRestore *restore)
{
	ListCell   *lc;

	foreach(lc, restore->batches)
	{
		DgBatch    *batch = lfirst(lc);
		int64		prevented = dg_batch_count(batch, DG_ROW_LEFT);

		if (batch->kind == DG_BATCH_INSERT && prevented > 0)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("could not restore event " INT64_FORMAT ": " INT64_FORMAT " of " INT64_FORMAT " rows were not inserted into table %s",
							restore->event->event_id, prevented, batch->nrows, batch->target->name),
					 errdetail("A trigger or rule of the table has kept them out.")));
	}
}

/*
 * Put the rows back.  If somebody else has taken a key since it was looked for,
 * look again.
 */
static void
put_back(DgRestore *restore)
{
	ErrorData  *error;

	while ((error = dg_safely(put_back_step, restore)) != NULL)
	{
		int64		taken = count_rows(restore, DG_ROW_TAKEN);
		ListCell   *lc;

		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION &&
			error->sqlerrcode != DG_EXCLUSION_VIOLATION)
			ReThrowError(error);
		foreach(lc, restore->batches)
			dg_batch_reset(lfirst(lc));
		find_taken(restore);
		if (count_rows(restore, DG_ROW_TAKEN) == taken)
			ReThrowError(error);
		if (!restore->skip)
			refuse_conflicts(restore);
	}
}

/* The same without a second look; for dg_safely */
static void
put_back_step(void *arg)
{
	dg_putback(((DgRestore *) arg)->batches);
}

/* How many rows of the event are in a state? */
static int64
count_rows(DgRestore *restore, DgRowState state)
{
	int64		count = 0;
	ListCell   *lc;

	foreach(lc, restore->batches)
		count += dg_batch_count(lfirst(lc), state);
	return count;
}

/* ---------------------------------------------------------------------
 * The event, and the result
 * ---------------------------------------------------------------------
 */

/* Write the event of the restore itself */
static void
journal_restore(DgRestore *restore)
{
	DgEvent		event = {0};
	StringInfoData details;
	ListCell   *lc;

	initStringInfo(&details);
	appendStringInfo(&details, "{\"event\": " INT64_FORMAT ", \"on_conflict\": \"%s\", \"skipped\": " INT64_FORMAT ", \"left\": " INT64_FORMAT ", \"parts\": {",
					 restore->event->event_id, restore->skip ? "skip" : "error",
					 count_rows(restore, DG_ROW_TAKEN),
					 count_rows(restore, DG_ROW_LEFT) + count_rows(restore, DG_ROW_UNKNOWN) +
					 count_rows(restore, DG_ROW_WANTED));
	foreach(lc, restore->batches)
	{
		DgBatch    *batch = lfirst(lc);

		appendStringInfo(&details, "%s\"%d\": " INT64_FORMAT, foreach_current_index(lc) > 0 ? ", " : "",
						 batch->part->number, dg_batch_count(batch, DG_ROW_DONE));
	}
	appendStringInfoChar(&details, '}');
	append_untold(&details, restore, "put_back", false);
	append_untold(&details, restore, "unsure", true);
	appendStringInfoChar(&details, '}');
	event.operation = "restore";
	event.outcome = "restored";
	event.table_id = restore->table_id;
	event.row_count = count_rows(restore, DG_ROW_DONE);
	event.details = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(details.data)));
	dg_journal_event(dg_journal_reserve(), &event, false);
}

/*
 * For the next restore of the event: which rows that no key tells from others
 * were put back, or may have been.  A member of the event's details: for each
 * part, by its number, ranges of rows as [first, last], from 1.
 */
static void
append_untold(StringInfo buf, const DgRestore *restore, const char *member, bool unsure)
{
	bool		first = true;
	ListCell   *lc;

	foreach(lc, restore->batches)
	{
		DgBatch    *batch = lfirst(lc);
		StringInfoData ranges;

		initStringInfo(&ranges);
		if (!unsure || batch->unsure)
			append_ranges(&ranges, batch, unsure ? DG_ROW_LEFT : DG_ROW_DONE);
		if (ranges.len == 0)
			continue;
		if (first)
			appendStringInfo(buf, ", \"%s\": {", member);
		appendStringInfo(buf, "%s\"%d\": [%s]", first ? "" : ", ", batch->part->number, ranges.data);
		first = false;
	}
	if (!first)
		appendStringInfoChar(buf, '}');
}

/* The ranges of a batch's untold rows in a state; nothing if there are none */
static void
append_ranges(StringInfo buf, const DgBatch *batch, DgRowState state)
{
	int64		begun = 0;

	for (int64 n = 1; n <= batch->nrows + 1; n++)
	{
		bool		concerned = n <= batch->nrows && batch->state[n - 1] == state &&
			dg_batch_untold(batch, n - 1);

		if (concerned && begun == 0)
			begun = n;
		if (concerned || begun == 0)
			continue;
		appendStringInfo(buf, "%s[" INT64_FORMAT ", " INT64_FORMAT "]", buf->len > 0 ? ", " : "",
						 begun, n - 1);
		begun = 0;
	}
}

/* The result: a line per row, and lines about what rows do not tell */
static void
report(DgRestore *restore)
{
	ListCell   *lc;

	foreach(lc, restore->batches)
		report_batch(restore, lfirst(lc));
	foreach(lc, restore->gone)
		report_line(restore, ((DgTarget *) lfirst(lc))->name, NULL, NULL, "missing",
					"the table does not exist any more");
	report_missing(restore);
}

/* The rows of a batch, then what became of its columns and sequences */
static void
report_batch(DgRestore *restore, DgBatch *batch)
{
	DgRowReport rows = {restore, batch, 0};
	ListCell   *lc;

	if (batch->nrows == 0)
		return;
	dg_past_rows(restore->event->event_id, batch->part->number, report_row, &rows);
	if (batch->kind != DG_BATCH_INSERT || dg_batch_count(batch, DG_ROW_DONE) == 0)
		return;
	foreach(lc, batch->target->lost)
		report_line(restore, batch->target->name, batch->part->effect, NULL, "note",
					psprintf("column \"%s\" was dropped: its values are not restored",
							 (char *) lfirst(lc)));
	report_types(restore, batch);
	foreach(lc, batch->target->added)
		report_line(restore, batch->target->name, batch->part->effect, NULL, "note",
					psprintf("column \"%s\" was added since: it takes its default",
							 (char *) lfirst(lc)));
	foreach(lc, dg_advance_sequences(batch, restore->dry_run))
		report_line(restore, batch->target->name, batch->part->effect, NULL, "note",
					lfirst(lc));
}

/* Columns of which values may have become others, as their type or what they name has changed */
static void
report_types(DgRestore *restore, DgBatch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		DgTargetColumn *column = batch->columns[i];
		char	   *now = format_type_be_qualified(column->typid);
		const char *note = NULL;

		if (column->generated)
			continue;
		if (strcmp(column->past->type, now) != 0)
			note = psprintf("column \"%s\" had the type %s: the text of its values is read as %s%s",
							column->name, column->past->type, now,
							strstr(now, "timestamp") || strstr(column->past->type, "timestamp") ?
							", at UTC" : "");
		else if (names_objects(column->typid))
			note = psprintf("column \"%s\" names objects: its values are those that have these names now",
							column->name);
		if (note)
			report_line(restore, batch->target->name, batch->part->effect, NULL, "note", note);
	}
}

/* Are values of a type written as names of objects, which may be others later? */
static bool
names_objects(Oid typid)
{
	Oid			element = get_base_element_type(typid);

	switch (OidIsValid(element) ? getBaseType(element) : getBaseType(typid))
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGROLEOID:
		case REGNAMESPACEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case ACLITEMOID:
			return true;
	}
	return false;
}

/* Row callback: a line of the result */
static void
report_row(void *arg, JsonbContainer *image, bytea *apart, JsonbContainer *new_key)
{
	DgRowReport *rows = arg;
	DgBatch    *batch = rows->batch;
	int64		row = rows->row++;
	const char *action = "leave";

	if (batch->state[row] == DG_ROW_DONE)
		action = batch->kind == DG_BATCH_INSERT ? "insert" : "update";
	else if (batch->state[row] == DG_ROW_TAKEN)
		action = rows->restore->skip ? "skip" : "conflict";
	report_line(rows->restore, batch->target->name, batch->part->effect,
				dg_past_key_json(batch->part, image), action,
				row_note(batch, row));
}

/* What there is to say of a row; NULL if nothing */
static const char *
row_note(const DgBatch *batch, int64 row)
{
	switch ((DgRowState) batch->state[row])
	{
		case DG_ROW_TAKEN:
			return list_nth(batch->reasons, batch->taken[row] - 1);
		case DG_ROW_WANTED:
			return batch->impossible;
		case DG_ROW_LEFT:
			if (batch->kind == DG_BATCH_INSERT && batch->unsure && dg_batch_untold(batch, row))
				return "a trigger or rule has kept rows out, and no key tells which";
			if (batch->kind == DG_BATCH_INSERT)
				return "a trigger or rule has kept it out";
			if (batch->kind == DG_BATCH_KEY)
				return "no row has the new key, or the old one is in a column that cannot be updated";
			return "the row is gone or has another value now";
		case DG_ROW_UNKNOWN:
			return "its new key was not recorded, as it moved to another partition";
		case DG_ROW_DONE:
			break;
	}
	return NULL;
}

/* Rows that are not stored, or not here */
static void
report_missing(DgRestore *restore)
{
	const DgPastEvent *event = restore->event;
	ListCell   *lc;

	if (event->images_stored >= 0)
	{
		char	   *note = psprintf("only " INT64_FORMAT " rows of the event were stored (delete_guard.capture_limit)",
									event->images_stored);

		report_line(restore, event->table_name, NULL, NULL, "missing", note);
		ereport(WARNING,
				(errmsg("event " INT64_FORMAT " is restored in part", event->event_id),
				 errdetail("Only " INT64_FORMAT " rows of it were stored, as delete_guard.capture_limit asked for.",
						   event->images_stored)));
	}
	foreach(lc, event->stored_under)
		report_line(restore, event->table_name, NULL, NULL, "missing",
					psprintf("further rows are stored under event " INT64_FORMAT,
							 *(int64 *) lfirst(lc)));
}

/* Add a line to the result; key is the text of a JSON object */
static void
report_line(DgRestore *restore, const char *table, const char *effect,
			const char *key, const char *action, const char *note)
{
	Datum		values[5];
	bool		nulls[5] = {false, effect == NULL, key == NULL, false, note == NULL};

	values[0] = CStringGetTextDatum(table);
	values[1] = effect ? CStringGetTextDatum(effect) : (Datum) 0;
	values[2] = key ? DirectFunctionCall1(jsonb_in, CStringGetDatum(key)) : (Datum) 0;
	values[3] = CStringGetTextDatum(action);
	values[4] = note ? CStringGetTextDatum(note) : (Datum) 0;
	tuplestore_putvalues(restore->rsinfo->setResult, restore->rsinfo->setDesc, values, nulls);
}
