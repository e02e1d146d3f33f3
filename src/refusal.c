/*-------------------------------------------------------------------------
 *
 * refusal.c
 *	  a refused removal: recorded, then raised as an error
 *
 * Here, and for changes in change.c, a refusal is worded.  The attempt is handed to the recorder
 * and on disk (or, failing that, in the server log) before the error is
 * raised.
 *
 * Key values are shown to somebody who may read them: SELECT on the table or
 * on the key's columns, and no row security in force, as ri_ReportViolation
 * in ri_triggers.c decides.  Names of tables and numbers of rows are shown
 * always.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "ask.h"
#include "describe.h"
#include "event.h"
#include "radius.h"
#include "recorder.h"
#include "sql.h"
#include "refusal.h"
#include "steps.h"

/* Keys of a refused attempt that its event keeps */
#define DG_KEYS_KEPT 1000
/* Keys that a message shows */
#define DG_KEYS_SHOWN 3
/* Tables that the hint names */
#define DG_TABLES_NAMED 4
/* An association table has at most this many columns of its own */
#define DG_ASSOCIATION_OWN_COLUMNS 3

static DgReceipt record_attempt(const DgRemoval *removal, Jsonb *radius);
static const char *operation_phrase(const DgRemoval *removal);
static char *message_detail(const DgRemoval *removal, const DgVerdict *verdict,
							const int64 *counts);
static char *message_hint(const DgRemoval *removal, const DgReceipt *receipt,
						  const int64 *counts);
static const char *no_approver_hint(Oid table_id);
static bool is_decided(int64 request_id);
static bool request_is_usable(const char *operation, Oid table_id, int64 request_id);
static char *row_sentence(const DgRemoval *removal, const char *key, const int64 *counts);
static char *key_text(const DgRemoval *removal, int row);
static char *association_hint(const DgRemoval *removal, const int64 *counts);
static bool refers_to_any(const DgRemoval *removal, int refno, const int64 *counts);
static bool is_association(Oid relid);
static const char *effect_phrase(const DgRemoval *removal, const DgReference *ref, int64 rows);
static const char *first_constraint(const DgRemoval *removal, const int64 *counts);

/*
 * Record a refused removal and raise the error.
 */
void
dg_refuse(const DgRemoval *removal, const DgVerdict *verdict)
{
	DgRadius   *radius = dg_radius_create(CurrentMemoryContext, NULL, NULL);
	int64	   *counts = palloc(sizeof(int64) * Max(removal->table->nreferences, 1) *
								Max(removal->held->nkept, 1));
	int64		nheld = removal->held->nrows;
	const char *name = get_rel_name(removal->table->protection.relid);
	DgReceipt	receipt;
	const char *constraint;

	dg_radius_add(radius, removal->dependents, removal->held->keys);
	dg_dependents_count(removal->dependents, removal->held->keys, counts);
	constraint = first_constraint(removal, counts);
	receipt = record_attempt(removal, dg_radius_jsonb(radius));

	ereport(ERROR,
			(errcode(ERRCODE_RESTRICT_VIOLATION),
			 removal->table->protection.scope == DG_SCOPE_ALL ?
			 errmsg_plural("cannot %s protected table \"%s\" without an approval: %lld row is concerned",
						   "cannot %s protected table \"%s\" without an approval: %lld rows are concerned",
						   nheld,
						   operation_phrase(removal), name, (long long) nheld) :
			 errmsg_plural("cannot %s protected table \"%s\": other rows still refer to %lld of %lld rows",
						   "cannot %s protected table \"%s\": other rows still refer to %lld of %lld rows",
						   removal->nrows, operation_phrase(removal), name,
						   (long long) nheld, (long long) removal->nrows),
			 errdetail_internal("%s", message_detail(removal, verdict, counts)),
			 errhint("%s", message_hint(removal, &receipt, counts)),
			 errcontext("delete_guard on table %s", dg_qualified_name(removal->table->protection.relid)),
			 errtable(removal->rel),
			 constraint ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, constraint) : 0));
}

/* What cannot be done to the table */
static const char *
operation_phrase(const DgRemoval *removal)
{
	if (strcmp(removal->operation, DG_OPERATION_DELETE) == 0)
		return "delete from";
	if (strcmp(removal->operation, DG_OPERATION_TRUNCATE) == 0)
		return "truncate";
	return "change a key of";
}

/* Hand the attempt to the recorder */
static DgReceipt
record_attempt(const DgRemoval *removal, Jsonb *radius)
{
	DgTable    *table = removal->table;
	DgEvent		event = {0};
	Datum		values[Natts_request];
	bool		isnull[Natts_request];
	Jsonb	   *part = dg_event_part(table, "refused");

	event.operation = removal->operation;
	event.outcome = DG_OUTCOME_BLOCKED;
	event.table_id = table->protection.relid;
	event.row_count = removal->nrows;
	event.blast_radius = radius;
	event.parts = dg_jsonb_array(&part, 1);
	dg_request_values(removal->operation, table->protection.relid, removal->held, removal->nrows,
					  radius, NULL, table->protection.approvals, values, isnull);
	return dg_request_record_attempt(&event, dg_rowset_keys_array(removal->held, 0, DG_KEYS_KEPT),
									 values, isnull, dg_rowset_complete(removal->held));
}

/* Which rows, and what refers to them */
static char *
message_detail(const DgRemoval *removal, const DgVerdict *verdict, const int64 *counts)
{
	const DgRowSet *held = removal->held;
	int			nreferences = removal->table->nreferences;
	int			shown = Min(held->nkept, DG_KEYS_SHOWN);
	bool		readable = dg_may_read(removal->table->relid, removal->table->identity,
									   removal->table->nidentity);
	StringInfoData buf;

	initStringInfo(&buf);
	if (verdict->problems)
		appendStringInfo(&buf, "%s  ", verdict->problems);
	for (int i = 0; i < shown; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? "\n" : "",
						 row_sentence(removal, readable ? key_text(removal, i) : NULL,
									  counts + i * nreferences));
	if (held->nrows > shown)
		appendStringInfo(&buf, ngettext("\nSo is %lld other row.", "\nSo are %lld other rows.",
										held->nrows - shown),
						 (long long) (held->nrows - shown));
	return buf.data;
}

/* "Key (id)=(5) is referenced by 2 rows of "x" (y), declared, would dangle." */
static char *
row_sentence(const DgRemoval *removal, const char *key, const int64 *counts)
{
	StringInfoData buf;
	int			n = 0;

	initStringInfo(&buf);
	if (key)
		appendStringInfo(&buf, "Key %s is referenced by ", key);
	else
		appendStringInfoString(&buf, "A row is referenced by ");
	for (int i = 0; i < removal->table->nreferences; i++)
	{
		const DgReference *ref = &removal->table->references[i];

		if (counts[i] == 0)
			continue;
		appendStringInfo(&buf, ngettext("%s%lld row of \"%s\" (%s)%s",
										"%s%lld rows of \"%s\" (%s)%s", counts[i]),
						 n++ > 0 ? "; " : "", (long long) counts[i],
						 get_rel_name(ref->referencing), dg_reference_columns(ref),
						 effect_phrase(removal, ref, counts[i]));
	}
	if (n == 0)
		appendStringInfoString(&buf, "no rows");
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* What would happen to the referencing rows */
static const char *
effect_phrase(const DgRemoval *removal, const DgReference *ref, int64 rows)
{
	if (ref->kind == DG_REF_DECLARED)
		return ", declared, would dangle";
	switch (dg_dependents_effect(removal->dependents, ref))
	{
		case DG_EFFECT_DELETE:
			return ", would be deleted";
		case DG_EFFECT_SET_NULL:
			return ", would be set to NULL";
		case DG_EFFECT_SET_DEFAULT:
			return ngettext(", would be set to its default", ", would be set to their default", rows);
		case DG_EFFECT_REFUSE:
			return ", would be refused";
		default:
			return ", not enforced, would dangle";
	}
}

/* "(id)=(5)" of one of the rows held, as the session formats values */
static char *
key_text(const DgRemoval *removal, int row)
{
	const DgTable *table = removal->table;
	const DgKeys *keys = removal->held->keys;
	StringInfoData names;
	StringInfoData values;

	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < table->nidentity; i++)
	{
		int			at = row * table->nkey_columns + i;
		Oid			output;
		bool		varlena;

		/* the identity columns are the first key columns */
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 get_attname(table->relid, table->identity[i], false));
		getTypeOutputInfo(get_atttype(table->relid, table->identity[i]), &output, &varlena);
		appendStringInfo(&values, "%s%s", i > 0 ? ", " : "",
						 keys->isnull[at] ? "null" :
						 OidOutputFunctionCall(output, keys->values[at]));
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}

/* What to do instead, and how to get it approved */
static char *
message_hint(const DgRemoval *removal, const DgReceipt *receipt, const int64 *counts)
{
	const char *what = strcmp(removal->operation, DG_OPERATION_DELETE) == 0 ?
		ngettext("delete the row itself", "delete the rows themselves", removal->held->nrows) :
		strcmp(removal->operation, DG_OPERATION_TRUNCATE) == 0 ? "truncate the table" :
		"change the key";
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, association_hint(removal, counts));
	if (!dg_rowset_complete(removal->held))
		appendStringInfo(&buf, "A request names at most %d rows, with %d MB of keys; remove them in smaller steps.%s",
						 DG_ROWSET_MAX, DG_ROWSET_MAX_BYTES / (1024 * 1024),
						 no_approver_hint(removal->table->protection.relid));
	else
		dg_append_approval_hint(&buf, what, removal->operation, removal->table->protection.relid,
								receipt, "request_delete");
	return buf.data;
}

/*
 * How to get an approval, for a hint: "To <what>, another person must run ...".
 * ask_with names the function that makes a request in advance.
 */
void
dg_append_approval_hint(StringInfo buf, const char *what, const char *operation,
						Oid table_id, const DgReceipt *receipt, const char *ask_with)
{
	if (receipt->status != DG_RECEIPT_STORED || receipt->request_id == 0)
		appendStringInfo(buf, "To %s, another person must approve it, but no request could be stored; the attempt is in the server log.  Ask with delete_guard.%s().",
						 what, ask_with);
	else if (request_is_usable(operation, table_id, receipt->request_id))
		appendStringInfo(buf, "Request " INT64_FORMAT " has been approved: run this in one transaction with SET LOCAL delete_guard.approval = " INT64_FORMAT ".",
						 receipt->request_id, receipt->request_id);
	else
		appendStringInfo(buf, "To %s, another person must run SELECT delete_guard.approve(" INT64_FORMAT
						 "); then run this in one transaction with SET LOCAL delete_guard.approval = " INT64_FORMAT ".",
						 what, receipt->request_id, receipt->request_id);
	appendStringInfoString(buf, no_approver_hint(table_id));
}

/* A sentence if there is nobody who could approve */
static const char *
no_approver_hint(Oid table_id)
{
	if (dg_has_able_approver(table_id))
		return "";
	if (dg_has_approver(table_id))
		return "  No approver is left who can log in; somebody who was granted EXECUTE on delete_guard.break_glass() can let it through.";
	return OidIsValid(table_id) ?
		"  There is no approver for this table yet; see delete_guard.add_approver()." :
		"  There is no approver for all tables yet; see delete_guard.add_approver().";
}

/* Was the request that this attempt found approved before? */
static bool
request_is_usable(const char *operation, Oid table_id, int64 request_id)
{
	DgRequest  *request;

	if (!is_decided(request_id))
		return false;
	request = dg_request_load(request_id);
	return request && dg_request_problem(request, operation, table_id) == NULL;
}

/* Has anything been decided on a request?  Most are new, and this is cheap. */
static bool
is_decided(int64 request_id)
{
	Relation	rel = table_open(dg_own_relation("decision"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, get_attnum(RelationGetRelid(rel), "request_id"),
				BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(request_id));
	scan = systable_beginscan(rel, dg_own_relation("decision_request"), true,
							  NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* "To remove an association, delete from ... instead.  ", or nothing */
static char *
association_hint(const DgRemoval *removal, const int64 *counts)
{
	List	   *tables = NIL;
	StringInfoData buf;

	for (int i = 0; i < removal->table->nreferences; i++)
	{
		Oid			relid = removal->table->references[i].referencing;

		if (refers_to_any(removal, i, counts) && is_association(relid))
			tables = list_append_unique_oid(tables, relid);
	}
	initStringInfo(&buf);
	for (int i = 0; i < Min(list_length(tables), DG_TABLES_NAMED); i++)
		appendStringInfo(&buf, "%s\"%s\"",
						 i == 0 ? "To remove an association, delete from " :
						 i + 1 == Min(list_length(tables), DG_TABLES_NAMED) ? " or " : ", ",
						 get_rel_name(list_nth_oid(tables, i)));
	if (tables != NIL)
		appendStringInfoString(&buf, " instead.  ");
	return buf.data;
}

/*
 * Does the table look like an association: two or more columns that refer to
 * something (by foreign key or by a name that ends in _id), and few others?
 */
static bool
is_association(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	int			nforeign_keys = list_length(RelationGetFKeyList(rel));
	int			referring = 0;
	int			others = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *name = NameStr(att->attname);
		Size		len = strlen(name);

		if (att->attisdropped)
			continue;
		if (len > 3 && strcmp(name + len - 3, "_id") == 0)
			referring++;
		else if (!(strcmp(name, "id") == 0 || att->atttypid == TIMESTAMPTZOID ||
				   att->atttypid == TIMESTAMPOID))
			others++;
	}
	table_close(rel, AccessShareLock);
	return Max(referring, nforeign_keys) >= 2 &&
		others <= DG_ASSOCIATION_OWN_COLUMNS;
}

/* The first foreign key that refers to one of the rows, for the error's fields */
static const char *
first_constraint(const DgRemoval *removal, const int64 *counts)
{
	for (int i = 0; i < removal->table->nreferences; i++)
	{
		if (removal->table->references[i].kind != DG_REF_DECLARED &&
			refers_to_any(removal, i, counts))
			return removal->table->references[i].name;
	}
	return NULL;
}

/* Does a reference have rows for any of the rows held? */
static bool
refers_to_any(const DgRemoval *removal, int refno, const int64 *counts)
{
	for (int row = 0; row < removal->held->nkept; row++)
	{
		if (counts[(Size) row * removal->table->nreferences + refno] > 0)
			return true;
	}
	return false;
}
