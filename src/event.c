/*-------------------------------------------------------------------------
 *
 * event.c
 *	  the audit event: who, what, when, with what outcome
 *
 * An event has one form in memory, the values of a row of delete_guard.event.
 * The journal inserts them; those of a refused attempt go to the recorder as a
 * packed row (see ownrow.c), or, as JSON, to the server log.
 *
 * A "part" describes the rows of one table in an event: table, effect, the
 * key's columns, and each column's number and type as of then, so that rows
 * can be put back after columns were renamed.  Rows that the statement did not
 * name itself have a depth; those of which columns are set to NULL or a default
 * say which, and by which reference.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "catalog.h"
#include "constant.h"
#include "event.h"
#include "guc.h"
#include "identity.h"
#include "imagetype.h"
#include "rowimage.h"
#include "sql.h"

/* Bytes of the statement's text that an event keeps */
#define DG_STATEMENT_MAX 8192

/* A description that a table keeps */
typedef struct DgKnownPart
{
	struct DgKnownPart *next;
	const char *effect;
	int			depth;
	Oid			constraint;
	Bitmapset  *changed;
	Jsonb	   *part;
} DgKnownPart;

static TupleDesc by_number(TupleDesc desc);
static void set_text(Datum *values, bool *isnull, int attnum, const char *text);
static void fill_session(Datum *values, bool *isnull);
static char *statement_text(void);
static void append_names(StringInfo buf, TupleDesc desc, const int16 *attnums, int n);
static Jsonb *make_part(const DgTable *table, const char *effect, int depth,
						const DgReference *ref, const Bitmapset *changed);
static void append_changed(StringInfo buf, Relation rel, const char *effect,
						   const DgReference *ref, const Bitmapset *changed);
static void append_set_to(StringInfo buf, Relation rel, const DgReference *ref,
						  const Bitmapset *changed);

/*
 * Fill the values of an event row (Natts_event of them), all but event_id.
 * The current role must be the session's, not one that is being acted as.
 * Values are palloc'd in the current context.
 */
void
dg_event_values(const DgEvent *event, Datum *values, bool *isnull)
{
	memset(isnull, true, sizeof(bool) * Natts_event);
	values[Anum_event_occurred_at - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	isnull[Anum_event_occurred_at - 1] = false;
	set_text(values, isnull, Anum_event_operation, event->operation);
	set_text(values, isnull, Anum_event_outcome, event->outcome);
	if (OidIsValid(event->table_id))
	{
		values[Anum_event_table_id - 1] = ObjectIdGetDatum(event->table_id);
		isnull[Anum_event_table_id - 1] = false;
		set_text(values, isnull, Anum_event_table_name,
				 dg_qualified_name(event->table_id));
	}
	values[Anum_event_row_count - 1] = Int64GetDatum(event->row_count);
	isnull[Anum_event_row_count - 1] = event->row_count < 0;
	fill_session(values, isnull);
	values[Anum_event_request_id - 1] = Int64GetDatum(event->request_id);
	isnull[Anum_event_request_id - 1] = event->request_id == 0;
	set_text(values, isnull, Anum_event_approved_by, event->approved_by);
	set_text(values, isnull, Anum_event_reason, event->reason);
	values[Anum_event_blast_radius - 1] = PointerGetDatum(event->blast_radius);
	isnull[Anum_event_blast_radius - 1] = event->blast_radius == NULL;
	values[Anum_event_parts - 1] = PointerGetDatum(event->parts);
	isnull[Anum_event_parts - 1] = event->parts == NULL;
	values[Anum_event_details - 1] = PointerGetDatum(event->details);
	isnull[Anum_event_details - 1] = event->details == NULL;
	values[Anum_event_images - 1] = PointerGetDatum(event->images);
	isnull[Anum_event_images - 1] = event->images == NULL;
	values[Anum_event_repeats - 1] = Int32GetDatum(0);
	isnull[Anum_event_repeats - 1] = false;
}

/* Who, from where, in which statement */
static void
fill_session(Datum *values, bool *isnull)
{
	DgPerson	person = dg_person_current();
	FullTransactionId xid = GetTopFullTransactionIdIfAny();

	set_text(values, isnull, Anum_event_person, person.name);
	values[Anum_event_person_id - 1] = ObjectIdGetDatum(person.roleid);
	isnull[Anum_event_person_id - 1] = false;
	set_text(values, isnull, Anum_event_authenticated_name, person.authn);
	set_text(values, isnull, Anum_event_session_role,
			 GetUserNameFromId(GetSessionUserId(), true));
	set_text(values, isnull, Anum_event_active_role,
			 GetUserNameFromId(GetUserId(), true));
	if (dg_claimed_user && dg_claimed_user[0] != '\0')
		set_text(values, isnull, Anum_event_claimed_user, dg_claimed_user);
	values[Anum_event_client_addr - 1] =
		dg_client_address(&isnull[Anum_event_client_addr - 1]);
	set_text(values, isnull, Anum_event_application_name, application_name);
	values[Anum_event_backend_pid - 1] = Int32GetDatum(MyProcPid);
	isnull[Anum_event_backend_pid - 1] = false;
	values[Anum_event_backend_start - 1] = TimestampTzGetDatum(MyStartTimestamp);
	isnull[Anum_event_backend_start - 1] = false;
	values[Anum_event_transaction_id - 1] = FullTransactionIdGetDatum(xid);
	isnull[Anum_event_transaction_id - 1] = !FullTransactionIdIsValid(xid);
	set_text(values, isnull, Anum_event_statement, statement_text());
}

/* Set a text column; NULL for a NULL string */
static void
set_text(Datum *values, bool *isnull, int attnum, const char *text)
{
	isnull[attnum - 1] = text == NULL;
	if (text)
		values[attnum - 1] = CStringGetTextDatum(text);
}

/* The text that the client sent, cut at a character; NULL if there is none */
static char *
statement_text(void)
{
	int			len;

	if (debug_query_string == NULL)
		return NULL;
	len = strlen(debug_query_string);
	if (len > DG_STATEMENT_MAX)
		len = pg_mbcliplen(debug_query_string, len, DG_STATEMENT_MAX);
	return pnstrdup(debug_query_string, len);
}

/*
 * Describe the rows of one relation in an event, as a jsonb object.  It is kept
 * with the table, as single-row statements would spend more on making it than
 * on anything else; valid as long as the table is pinned.  effect is a string
 * constant.
 */
Jsonb *
dg_event_part(DgTable *table, const char *effect)
{
	return dg_event_reached_part(table, effect, 0, NULL, NULL);
}

/*
 * The same for rows that the removal of others reaches, at some depth; for
 * those of which columns are changed: by which reference, and which columns.
 */
Jsonb *
dg_event_reached_part(DgTable *table, const char *effect, int depth,
					  const DgReference *ref, const Bitmapset *changed)
{
	Oid			constraint = ref ? ref->constraint : InvalidOid;
	DgKnownPart *known;
	MemoryContext old;

	/* the default is that of another relation, which may change meanwhile */
	if (strcmp(effect, "set default") == 0)
		return make_part(table, effect, depth, ref, changed);
	for (known = table->parts; known; known = known->next)
	{
		if (known->depth == depth && known->constraint == constraint &&
			bms_equal(known->changed, changed) && strcmp(known->effect, effect) == 0)
			return known->part;
	}
	old = MemoryContextSwitchTo(table->context);
	known = palloc(sizeof(DgKnownPart));
	known->effect = effect;
	known->depth = depth;
	known->constraint = constraint;
	known->changed = bms_copy(changed);
	known->part = make_part(table, effect, depth, ref, changed);
	known->next = table->parts;
	table->parts = known;
	MemoryContextSwitchTo(old);
	return known->part;
}

/* Append column names as JSON strings, separated by commas */
static void
append_names(StringInfo buf, TupleDesc desc, const int16 *attnums, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(buf, ',');
		escape_json(buf, NameStr(TupleDescAttr(desc, attnums[i] - 1)->attname));
	}
}

/* Make the description, in the current context */
static Jsonb *
make_part(const DgTable *table, const char *effect, int depth,
		  const DgReference *ref, const Bitmapset *changed)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;
	Jsonb	   *result;
	bool		first = true;
	int			pin = dg_image_pin(dg_image_settings(REGTYPEOID));	/* names of types */

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"table_id\":%u,\"origin\":" INT64_FORMAT ",\"table\":",
					 table->relid, dg_origin());
	escape_json(&buf, dg_qualified_name(table->relid));
	appendStringInfo(&buf, ",\"effect\":\"%s\",\"key\":[", effect);
	append_names(&buf, desc, table->identity, table->nidentity);
	appendStringInfoChar(&buf, ']');
	if (strcmp(effect, "key change") == 0)
	{
		appendStringInfoString(&buf, ",\"set\":[");
		append_names(&buf, desc, table->key_columns, table->nkey_columns);
		appendStringInfoChar(&buf, ']');
	}
	if (depth > 0)
		appendStringInfo(&buf, ",\"depth\":%d", depth);
	if (ref)
		append_changed(&buf, rel, effect, ref, changed);
	appendStringInfoString(&buf, ",\"columns\":{");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		if (!first)
			appendStringInfoChar(&buf, ',');
		first = false;
		escape_json(&buf, NameStr(att->attname));
		appendStringInfo(&buf, ":[%d,", att->attnum);
		escape_json(&buf, format_type_be_qualified(att->atttypid));
		appendStringInfoChar(&buf, ']');
	}
	appendStringInfoString(&buf, "}}");
	dg_image_unpin(pin);
	table_close(rel, NoLock);
	result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
	pfree(buf.data);
	return result;
}

/* By which reference columns are changed, which, and what to */
static void
append_changed(StringInfo buf, Relation rel, const char *effect,
			   const DgReference *ref, const Bitmapset *changed)
{
	AttrNumber	attnums[DG_MAX_KEYS];
	int			n = 0;
	int			attnum = -1;

	while ((attnum = bms_next_member(changed, attnum)) >= 0)
		attnums[n++] = attnum;
	appendStringInfoString(buf, ",\"reference\":");
	escape_json(buf, ref->name);
	appendStringInfoString(buf, ",\"set\":[");
	append_names(buf, RelationGetDescr(rel), attnums, n);
	appendStringInfoChar(buf, ']');
	if (strcmp(effect, "set default") == 0)
		append_set_to(buf, rel, ref, changed);
}

/*
 * The defaults that columns are set to: their values where they are constants,
 * as in an image of a row, and the names of the other columns.  They are those of
 * the relation that the foreign key is on, whatever partition a row is in.
 */
static void
append_set_to(StringInfo buf, Relation rel, const DgReference *ref, const Bitmapset *changed)
{
	Relation	on = table_open(ref->referencing, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(on);
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *isnull = palloc0(sizeof(bool) * desc->natts);
	AttrNumber	known[DG_MAX_KEYS];
	AttrNumber	computed[DG_MAX_KEYS];
	int			nknown = 0;
	int			ncomputed = 0;
	int			attnum = -1;

	while ((attnum = bms_next_member(changed, attnum)) >= 0)
	{
		AttrNumber	there = get_attnum(ref->referencing,
									   NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));

		if (dg_constant_default(on, there, &values[there - 1], &isnull[there - 1]))
			known[nknown++] = there;
		else
			computed[ncomputed++] = there;
	}
	if (nknown > 0)
	{
		DgImager   *imager = dg_imager_create(desc, known, nknown, CurrentMemoryContext);
		int			pin = dg_imager_pin_settings(imager);
		bytea	   *apart = NULL;
		Jsonb	   *image = dg_imager_encode_values(imager, values, isnull, &apart);

		dg_imager_unpin_settings(pin);
		appendStringInfoString(buf, ",\"set_to\":");
		(void) JsonbToCString(buf, &image->root, VARSIZE(image));
		dg_imager_free(imager);
	}
	appendStringInfoString(buf, ",\"computed\":[");
	append_names(buf, desc, computed, ncomputed);
	appendStringInfoChar(buf, ']');
	table_close(on, NoLock);
}

/*
 * A row that this process packed, as jsonb in the current context; NULL if its
 * table has other columns by now.  Takes no lock.
 */
Jsonb *
dg_event_packed_row_jsonb(const DgPackedRow *row)
{
	Datum	   *values;
	bool	   *isnull;
	TupleDesc	desc = dg_ownrow_unpack_own(row, &values, &isnull);
	DgImager   *imager;
	bytea	   *apart = NULL;
	Jsonb	   *result;
	int			pin;

	if (desc == NULL)
		return NULL;
	imager = dg_imager_create(by_number(desc), NULL, 0, CurrentMemoryContext);
	pin = dg_imager_pin_settings(imager);
	result = dg_imager_encode_values(imager, values, isnull, &apart);
	dg_imager_unpin_settings(pin);
	dg_imager_free(imager);
	return result;
}

/*
 * A copy of a row type in which tables and roles stand by number: who reads an
 * image need not see them under their names of now.
 */
static TupleDesc
by_number(TupleDesc desc)
{
	TupleDesc	result = CreateTupleDescCopy(desc);

	for (int i = 0; i < result->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(result, i);

		if (att->atttypid == REGCLASSOID || att->atttypid == REGROLEOID)
			att->atttypid = OIDOID;
	}
	return result;
}
