/*-------------------------------------------------------------------------
 *
 * ask.c
 *	  make a request
 *
 * A request names exact rows (rowset.c) or a change by the text of its
 * command, an operation, a table and who asks.  One that a refused attempt
 * opens travels to the recorder as the values of its row; one made in advance
 * is inserted here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "ask.h"
#include "guc.h"
#include "identity.h"
#include "number.h"
#include "record.h"
#include "recorder.h"
#include "sql.h"

static void set_datum(Datum *values, bool *isnull, int attnum, Datum value);
static Datum key_columns_array(const DgTable *table);
static bytea *make_bytea(const void *data, Size size);
static void common_values(const DgPerson *person, const char *operation,
						  Oid table_id, const char *reason, int approvals_needed,
						  Datum *values, bool *isnull);
static bytea *fingerprint(const DgPerson *person, const char *operation,
						  Oid table_id, int64 statement_rows,
						  const void *what, Size size);
static DgRecord *attempt_record(const DgEvent *event, const Jsonb *keys,
								const DgPackedRow *request, const bytea *print);

/*
 * Fill the values of a request row (Natts_request of them), all but
 * request_id and event_id, for the current person.  statement_rows is how many
 * rows the whole statement concerns.  In the current context.
 */
void
dg_request_values(const char *operation, Oid table_id, const DgRowSet *rows,
				  int64 statement_rows, Jsonb *radius, const char *reason,
				  int approvals_needed, Datum *values, bool *isnull)
{
	DgPerson	person = dg_person_current();
	DgRowEntry *sorted = dg_rowset_sorted(rows);
	Size		size = sizeof(DgRowEntry) * rows->nkept;

	common_values(&person, operation, table_id, reason, approvals_needed, values, isnull);
	set_datum(values, isnull, Anum_request_key_columns, key_columns_array(rows->table));
	set_datum(values, isnull, Anum_request_keys,
			  PointerGetDatum(dg_rowset_keys_array(rows, 0, DG_ROWSET_MAX)));
	set_datum(values, isnull, Anum_request_new_keys,
			  PointerGetDatum(dg_rowset_new_keys_array(rows)));
	set_datum(values, isnull, Anum_request_row_count, Int64GetDatum(rows->nrows));
	set_datum(values, isnull, Anum_request_digests, PointerGetDatum(make_bytea(sorted, size)));
	set_datum(values, isnull, Anum_request_fingerprint,
			  PointerGetDatum(fingerprint(&person, operation, table_id, statement_rows, sorted, size)));
	set_datum(values, isnull, Anum_request_blast_radius, PointerGetDatum(radius));
}

/*
 * The same for a change of a table (or, for InvalidOid, of all), which is told
 * by the text of its command and by the objects that its names mean; NULL for
 * none.
 */
void
dg_request_values_change(const char *operation, Oid table_id, const char *action,
						 const char *objects, const char *reason, int approvals_needed,
						 Datum *values, bool *isnull)
{
	DgPerson	person = dg_person_current();
	StringInfoData what;
	uint8		digest[DG_DIGEST_LEN];

	common_values(&person, operation, table_id, reason, approvals_needed, values, isnull);
	set_datum(values, isnull, Anum_request_action, CStringGetTextDatum(action));
	initStringInfo(&what);
	appendBinaryStringInfo(&what, action, strlen(action) + 1);
	if (objects)
	{
		appendStringInfoString(&what, objects);
		dg_digest(objects, strlen(objects), digest);
		set_datum(values, isnull, Anum_request_digests, PointerGetDatum(make_bytea(digest, DG_DIGEST_LEN)));
	}
	set_datum(values, isnull, Anum_request_fingerprint,
			  PointerGetDatum(fingerprint(&person, operation, table_id, 0, what.data, what.len)));
}

/* What every request says: who asks, since when, about which table */
static void
common_values(const DgPerson *person, const char *operation, Oid table_id,
			  const char *reason, int approvals_needed, Datum *values, bool *isnull)
{
	TimestampTz now = GetCurrentTimestamp();

	memset(isnull, true, sizeof(bool) * Natts_request);
	set_datum(values, isnull, Anum_request_requested_at, TimestampTzGetDatum(now));
	set_datum(values, isnull, Anum_request_expires_at,
			  TimestampTzGetDatum(TimestampTzPlusMilliseconds(now, (int64) dg_request_lifetime * 1000)));
	set_datum(values, isnull, Anum_request_requester, ObjectIdGetDatum(person->roleid));
	set_datum(values, isnull, Anum_request_requested_by,
			  DirectFunctionCall1(namein, CStringGetDatum(person->name)));
	if (person->authn)
		set_datum(values, isnull, Anum_request_requester_authn, CStringGetTextDatum(person->authn));
	set_datum(values, isnull, Anum_request_operation, CStringGetTextDatum(operation));
	set_datum(values, isnull, Anum_request_table_id, ObjectIdGetDatum(table_id));
	if (OidIsValid(table_id))
		set_datum(values, isnull, Anum_request_table_name,
				  CStringGetTextDatum(dg_qualified_name(table_id)));
	if (reason)
		set_datum(values, isnull, Anum_request_reason, CStringGetTextDatum(reason));
	set_datum(values, isnull, Anum_request_approvals_needed, Int32GetDatum(approvals_needed));
}

/* Set one column */
static void
set_datum(Datum *values, bool *isnull, int attnum, Datum value)
{
	values[attnum - 1] = value;
	isnull[attnum - 1] = value == (Datum) 0 &&
		(attnum == Anum_request_blast_radius || attnum == Anum_request_keys ||
		 attnum == Anum_request_new_keys);
}

/* The identity columns as name[] */
static Datum
key_columns_array(const DgTable *table)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(table->nidentity, 1));

	for (int i = 0; i < table->nidentity; i++)
		names[i] = DirectFunctionCall1(namein,
									   CStringGetDatum(get_attname(table->relid, table->identity[i], false)));
	return PointerGetDatum(construct_array(names, table->nidentity, NAMEOID,
										   NAMEDATALEN, false, TYPALIGN_CHAR));
}

/* Bytes as bytea */
static bytea *
make_bytea(const void *data, Size size)
{
	bytea	   *result = palloc(VARHDRSZ + size);

	SET_VARSIZE(result, VARHDRSZ + size);
	memcpy(VARDATA(result), data, size);
	return result;
}

/* What makes two attempts the same one */
static bytea *
fingerprint(const DgPerson *person, const char *operation, Oid table_id,
			int64 statement_rows, const void *what, Size size)
{
	StringInfoData buf;
	uint8		digest[DG_DIGEST_LEN];

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (const char *) &person->roleid, sizeof(Oid));
	appendBinaryStringInfo(&buf, (const char *) &table_id, sizeof(Oid));
	appendBinaryStringInfo(&buf, (const char *) &statement_rows, sizeof(int64));
	appendBinaryStringInfo(&buf, operation, strlen(operation) + 1);
	appendBinaryStringInfo(&buf, (const char *) what, size);
	dg_digest(buf.data, buf.len, digest);
	pfree(buf.data);
	return make_bytea(digest, DG_DIGEST_LEN);
}

/*
 * Have the recorder store a refused attempt: its event, the keys of the rows it
 * held (an array, or NULL), and the request with these values, which is opened
 * if open says so.  Returns when the record is on disk, or in the server log.
 */
DgReceipt
dg_request_record_attempt(const DgEvent *event, const Jsonb *keys,
						  const Datum *values, const bool *isnull, bool open)
{
	const DgPackedRow *request = open ? dg_ownrow_pack("request", values, isnull, Natts_request) : NULL;

	return dg_recorder_record(attempt_record(event, keys, request,
											 DatumGetByteaPP(values[Anum_request_fingerprint - 1])));
}

/*
 * Have the recorder store a refused attempt that no request can be made for;
 * what tells it from other attempts of the same operation.  log_only is for
 * somebody who holds a lock that the recorder would wait for.
 */
DgReceipt
dg_record_attempt(const DgEvent *event, const char *what, bool log_only)
{
	DgPerson	person = dg_person_current();
	bytea	   *print = fingerprint(&person, event->operation, event->table_id, 0,
									what, strlen(what));
	DgRecord   *record = attempt_record(event, NULL, NULL, print);

	return log_only ? dg_recorder_log(record) : dg_recorder_record(record);
}

/* The record of an attempt, for the recorder; see attempt.c */
static DgRecord *
attempt_record(const DgEvent *event, const Jsonb *keys, const DgPackedRow *request,
			   const bytea *print)
{
	Datum		values[Natts_event];
	bool		isnull[Natts_event];
	const void *parts[DG_RECORD_PARTS];

	dg_event_values(event, values, isnull);
	parts[DG_RECORD_EVENT] = dg_ownrow_pack("event", values, isnull, Natts_event);
	parts[DG_RECORD_KEYS] = keys;
	parts[DG_RECORD_REQUEST] = request;
	parts[DG_RECORD_FINGERPRINT] = print;
	return dg_record_make(parts);
}

/*
 * Insert a request whose values were filled; returns its number.
 */
int64
dg_request_insert(Datum *values, bool *isnull, int64 event_id)
{
	Relation	rel = table_open(dg_own_relation("request"), RowExclusiveLock);
	int64		request_id = dg_number_request();
	HeapTuple	tuple;

	values[Anum_request_request_id - 1] = Int64GetDatum(request_id);
	isnull[Anum_request_request_id - 1] = false;
	values[Anum_request_event_id - 1] = Int64GetDatum(event_id);
	isnull[Anum_request_event_id - 1] = false;
	tuple = dg_ownrow_form(rel, values, isnull, Natts_request);
	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	return request_id;
}
