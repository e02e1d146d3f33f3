/*-------------------------------------------------------------------------
 *
 * approval.c
 *	  requests, and what became of them
 *
 * Words.  A "request" names exact rows (rowset.c) or a change (change.c), an
 * operation and a requester.  "Decisions" on it are approve, deny, cancel, use and
 * break_glass; both are only ever added.  What state a request is in follows
 * from its decisions.  A "covered" row is one that an approved removal of
 * the running query cascades to.
 *
 * A request can be used if its requester is the person of this session, the
 * operation and table are the same, enough approvers have approved (as many
 * as the table asked for then, and asks for now), the time
 * since the last approval is not over, it was not denied or cancelled, and no
 * other transaction used it.  Then each row must be one that it names, in the
 * state it had, and what hangs on the rows, summed over the statements of the
 * transaction, must not be more than each of the approvers saw.
 *
 * Locks.  Deciding on a request and using it take an exclusive lock on the
 * number of the request (LockDatabaseObject; the object is the request table,
 * its "oid" the number), held to the end of the transaction.  So two
 * transactions cannot use one request: the second waits, and then sees the
 * first one's use, as own queries read the latest snapshot.
 *
 * Lifetime.  The flag is cleared when a transaction commits, so that a
 * session handed on by a pool does not hand it on.  Uses are forgotten at
 * the end of the transaction, covered rows at the end of the query, and both when
 * the subtransaction that they come from is rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "approval.h"
#include "guc.h"
#include "number.h"
#include "sql.h"

typedef struct DgCovered
{
	MemoryContext query;		/* hash key: query, table and key */
	Oid			table_id;
	uint8		key[DG_KEY_DIGEST_LEN];
	SubTransactionId subid;		/* what covered it */
	int64		request_id;
	bool		break_glass;
	char	   *approved_by;
} DgCovered;

#define DG_COVERED_KEY_SIZE offsetof(DgCovered, subid)

/* What this transaction, up to and in a subtransaction, used of a request */
typedef struct DgUse
{
	int64		request_id;
	SubTransactionId subid;
	Jsonb	   *radius;			/* the sum */
} DgUse;

/* Covered rows of this transaction, in TopTransactionContext; or NULL */
static HTAB *covered = NULL;
/* The query whose end the latest callback tells */
static MemoryContext covered_query = NULL;
/* List of DgUse of this transaction, in TopTransactionContext */
static List *uses = NIL;
/* Has this transaction used an approval?  Reset when it ends. */
static bool used_in_transaction = false;

static void request_from_tuple(DgRequest *request, HeapTuple tuple, TupleDesc desc);
static char *copy_text(HeapTuple tuple, TupleDesc desc, int attnum, MemoryContext context);
static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId mine,
							 SubTransactionId parent, void *arg);
static DgUse *last_use(int64 request_id);
static DgCovered cover_key(MemoryContext query, Oid table_id, const uint8 *key_digest);
static void cover_query_over(void *arg);
static void clear_flag(void);

/*
 * Register what happens at the end of transactions.  Called once.
 */
void
dg_approval_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* ---------------------------------------------------------------------
 * Requests
 * ---------------------------------------------------------------------
 */

/*
 * Lock a request until the end of the transaction.
 */
void
dg_request_lock(int64 request_id)
{
	LockDatabaseObject(dg_own_relation("request"), (Oid) request_id,
					   (uint16) (request_id >> 32), ExclusiveLock);
}

/*
 * Read a request and what was decided on it.  NULL if there is none.  In the
 * current context.
 */
DgRequest *
dg_request_load(int64 request_id)
{
	static const char *const query =
		"SELECT r.requester, r.requested_by, r.requester_authn, r.operation,"
		" r.table_id::oid, r.table_name, r.digests, r.keys, n.approvals,"
		" r.expires_at <= clock_timestamp(), r.requested_at, "
		" a.n, a.names, coalesce(a.valid_until, '-infinity') <= clock_timestamp(),"
		" EXISTS (SELECT FROM delete_guard.decision d"
		"  WHERE d.request_id = r.request_id AND d.kind IN ('deny', 'cancel')),"
		" u.here, u.elsewhere, a.break_glass, r.action"
		" FROM delete_guard.request r JOIN delete_guard._approvals_needed n USING (request_id),"
		" LATERAL (SELECT count(*) FILTER (WHERE d.kind = 'approve')::int4 AS n,"
		"   string_agg(d.person_name::text, ', ' ORDER BY d.decision_id) AS names,"
		"   max(d.valid_until) AS valid_until,"
		"   coalesce(bool_or(d.kind = 'break_glass'), false) AS break_glass"
		"  FROM delete_guard._counted_decision d WHERE d.request_id = r.request_id) a,"
		" LATERAL (SELECT coalesce(bool_or(d.transaction_id = pg_current_xact_id_if_assigned()), false) AS here,"
		"   coalesce(bool_or(d.transaction_id IS DISTINCT FROM pg_current_xact_id_if_assigned()), false) AS elsewhere"
		"  FROM delete_guard.decision d WHERE d.request_id = r.request_id AND d.kind = 'use') u"
		" WHERE r.request_id = $1";
	Oid			argtype = INT8OID;
	Datum		arg = Int64GetDatum(request_id);
	DgRequest  *request = palloc0(sizeof(DgRequest));
	DgRoleState saved;

	request->request_id = request_id;
	dg_own_connect(&saved);
	dg_own_query(query, 1, &argtype, &arg, NULL, false, 1);
	if (SPI_processed == 1)
		request_from_tuple(request, SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	else
		request->operation = NULL;
	dg_own_finish(&saved);
	return request->operation ? request : NULL;
}

/* Fill a request from the query's row, copied to the request's own context */
static void
request_from_tuple(DgRequest *request, HeapTuple tuple, TupleDesc desc)
{
	MemoryContext context = GetMemoryChunkContext(request);
	MemoryContext old = MemoryContextSwitchTo(context);
	bool		isnull;
	Datum		d;

	request->requester.roleid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
	request->requester.name = copy_text(tuple, desc, 2, context);
	request->requester.authn = copy_text(tuple, desc, 3, context);
	request->operation = copy_text(tuple, desc, 4, context);
	request->table_id = DatumGetObjectId(SPI_getbinval(tuple, desc, 5, &isnull));
	request->table_name = copy_text(tuple, desc, 6, context);
	d = SPI_getbinval(tuple, desc, 7, &isnull);
	if (!isnull)
	{
		bytea	   *digests = DatumGetByteaPCopy(d);

		request->entries = (DgRowEntry *) VARDATA(digests);
		request->nentries = (VARSIZE(digests) - VARHDRSZ) / sizeof(DgRowEntry);
	}
	d = SPI_getbinval(tuple, desc, 8, &isnull);
	if (!isnull)
		request->keys = DatumGetJsonbPCopy(d);
	request->approvals_needed = DatumGetInt32(SPI_getbinval(tuple, desc, 9, &isnull));
	request->requested_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 11, &isnull));
	request->expired = DatumGetBool(SPI_getbinval(tuple, desc, 10, &isnull));
	request->approvals = DatumGetInt32(SPI_getbinval(tuple, desc, 12, &isnull));
	request->approved_by = copy_text(tuple, desc, 13, context);
	request->usable_until_over = DatumGetBool(SPI_getbinval(tuple, desc, 14, &isnull));
	request->closed = DatumGetBool(SPI_getbinval(tuple, desc, 15, &isnull));
	request->used_here = DatumGetBool(SPI_getbinval(tuple, desc, 16, &isnull));
	request->used_elsewhere = DatumGetBool(SPI_getbinval(tuple, desc, 17, &isnull));
	request->break_glass = DatumGetBool(SPI_getbinval(tuple, desc, 18, &isnull));
	request->action = copy_text(tuple, desc, 19, context);
	MemoryContextSwitchTo(old);
}

/* A column as text in the given context, NULL for NULL */
static char *
copy_text(HeapTuple tuple, TupleDesc desc, int attnum, MemoryContext context)
{
	char	   *text = SPI_getvalue(tuple, desc, attnum);

	return text ? MemoryContextStrdup(context, text) : NULL;
}

/*
 * The requests that delete_guard.approval names, locked if they are to be used.
 * List of DgRequest in the current context; one that does not exist has no
 * operation.
 */
List *
dg_requests_named(bool lock)
{
	List	   *result = NIL;
	char	   *copy;
	char	   *save = NULL;

	if (dg_approval_in_force()[0] == '\0')
		return NIL;
	copy = pstrdup(dg_approval_in_force());
	for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save))
	{
		int64		request_id;
		DgRequest  *request;

		errno = 0;
		request_id = strtoll(word, NULL, 10);
		if (errno != 0 || request_id <= 0)
			continue;
		if (lock)
			dg_request_lock(request_id);
		request = dg_request_load(request_id);
		if (request == NULL)
		{
			request = palloc0(sizeof(DgRequest));
			request->request_id = request_id;
		}
		result = lappend(result, request);
	}
	return result;
}

/*
 * Why the current person cannot use a request for an operation on a table;
 * NULL if it can be used.  A phrase for a message's detail, in the current
 * context.
 */
const char *
dg_request_problem(const DgRequest *request, const char *operation, Oid table_id)
{
	DgPerson	person = dg_person_current();

	if (request->operation == NULL)
		return "does not exist";
	if (request->requester.roleid != person.roleid ||
		strcmp(request->requester.name, person.name) != 0 ||
		(request->requester.authn && person.authn &&
		 strcmp(request->requester.authn, person.authn) != 0))
		return "was made by somebody else";
	if (request->table_id != table_id)
		return OidIsValid(request->table_id) ?
			psprintf("is about table %s", request->table_name) : "concerns all tables";
	if (strcmp(request->operation, operation) != 0)
		return psprintf("is for the operation \"%s\"", request->operation);
	if (request->closed)
		return "was denied or cancelled";
	if (request->used_elsewhere)
		return "has been used";
	if (!request->break_glass && request->approvals < request->approvals_needed)
		return psprintf("has %d of %d approvals", request->approvals, request->approvals_needed);
	if (request->usable_until_over)
		return "was approved too long ago";
	return NULL;
}

/*
 * Is a request for a change about these objects (NULL for none)?
 */
bool
dg_request_is_about(const DgRequest *request, const char *objects)
{
	uint8		digest[DG_DIGEST_LEN];

	if (objects == NULL || request->entries == NULL)
		return objects == NULL && request->entries == NULL;
	dg_digest(objects, strlen(objects), digest);
	return memcmp(request->entries, digest, DG_DIGEST_LEN) == 0;
}

/*
 * Does the request name this row in this state?  *key_known tells whether it
 * names the row in any state.
 */
bool
dg_request_covers(const DgRequest *request, const DgRowEntry *entry, bool *key_known)
{
	int			low = 0;
	int			high = request->nentries;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (memcmp(request->entries[middle].key, entry->key, DG_KEY_DIGEST_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*key_known = false;
	for (; low < request->nentries &&
		 memcmp(request->entries[low].key, entry->key, DG_KEY_DIGEST_LEN) == 0; low++)
	{
		*key_known = true;
		if (memcmp(request->entries[low].row, entry->row, DG_KEY_DIGEST_LEN) == 0)
			return true;
	}
	return false;
}

/*
 * Is radius_now, with that of what this transaction has used of the request
 * before, not larger than what enough approvers saw?  Sets radius_total, the
 * sum.
 */
bool
dg_request_radius_fits(DgRequest *request)
{
	static const char *const query =
		"WITH n AS (SELECT cut, \"table\", reference, depth, sum(rows) AS rows FROM"
		"   jsonb_to_recordset($2) AS l(cut bool, \"table\" text, reference text, depth int4, rows int8)"
		"   GROUP BY 1, 2, 3, 4)"
		" SELECT (SELECT count(*)::int4 FROM delete_guard._counted_decision d WHERE d.request_id = $1"
		"  AND NOT EXISTS (SELECT FROM n"
		"   LEFT JOIN jsonb_to_recordset(d.blast_radius) AS s(cut bool, \"table\" text, reference text, depth int4, rows int8)"
		"   ON (n.\"table\", n.reference, n.depth) = (s.\"table\", s.reference, s.depth) OR (n.cut AND s.cut)"
		"   WHERE CASE WHEN n.cut THEN s.cut IS NULL ELSE n.rows > coalesce(s.rows, 0) END)),"
		" coalesce((SELECT jsonb_agg(jsonb_build_object('cut', cut, 'table', \"table\","
		"  'reference', reference, 'depth', depth, 'rows', rows)) FROM n), '[]')";
	Oid			argtypes[2] = {INT8OID, JSONBOID};
	Datum		args[2] = {Int64GetDatum(request->request_id), JsonbPGetDatum(request->radius_now)};
	MemoryContext context = GetMemoryChunkContext(request);
	MemoryContext old;
	DgUse	   *before = last_use(request->request_id);
	DgRoleState saved;
	bool		isnull;
	int			fitting;

	if (before)
		args[1] = DirectFunctionCall2(jsonb_concat, args[1], JsonbPGetDatum(before->radius));
	dg_own_connect(&saved);
	dg_own_query(query, 2, argtypes, args, NULL, false, 1);
	fitting = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	old = MemoryContextSwitchTo(context);
	request->radius_total = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0],
															 SPI_tuptable->tupdesc, 2, &isnull));
	MemoryContextSwitchTo(old);
	dg_own_finish(&saved);
	return fitting >= (request->break_glass ? 1 : request->approvals_needed);
}

/* The newest use of a request in this transaction; NULL if there is none */
static DgUse *
last_use(int64 request_id)
{
	for (int i = list_length(uses) - 1; i >= 0; i--)
	{
		DgUse	   *use = list_nth(uses, i);

		if (use->request_id == request_id)
			return use;
	}
	return NULL;
}

/* ---------------------------------------------------------------------
 * Decisions
 * ---------------------------------------------------------------------
 */

/*
 * Add a decision of the current person.  The request is locked.  Returns until
 * when it is valid; an approval only.
 */
TimestampTz
dg_decision_insert(int64 request_id, const char *kind, const char *comment,
				   Jsonb *radius, int64 event_id)
{
	static const char *const query =
		"INSERT INTO delete_guard.decision (decision_id, request_id, kind, person,"
		" person_name, person_authn, decided_at, valid_until, comment, blast_radius,"
		" transaction_id, event_id) VALUES ($10,"
		" $1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8, pg_current_xact_id(), $9)";
	DgPerson	person = dg_person_current();
	bool		lasting = strcmp(kind, "approve") == 0 || strcmp(kind, "break_glass") == 0;
	Oid			argtypes[10] = {INT8OID, TEXTOID, OIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, JSONBOID, INT8OID, INT8OID};
	Datum		args[10];
	TimestampTz valid_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														  (int64) dg_approval_lifetime * 1000);
	char		nulls[11] = "          ";
	DgRoleState saved;

	args[0] = Int64GetDatum(request_id);
	args[1] = CStringGetTextDatum(kind);
	args[2] = ObjectIdGetDatum(person.roleid);
	args[3] = CStringGetTextDatum(person.name);
	args[4] = person.authn ? CStringGetTextDatum(person.authn) : (Datum) 0;
	nulls[4] = person.authn ? ' ' : 'n';
	args[5] = TimestampTzGetDatum(valid_until);
	nulls[5] = lasting ? ' ' : 'n';
	args[6] = comment ? CStringGetTextDatum(comment) : (Datum) 0;
	nulls[6] = comment ? ' ' : 'n';
	args[7] = PointerGetDatum(radius);
	nulls[7] = radius ? ' ' : 'n';
	args[8] = Int64GetDatum(event_id);
	args[9] = Int64GetDatum(dg_number_decision());

	dg_own_connect(&saved);
	dg_own_query(query, 10, argtypes, args, nulls, false, 0);
	dg_own_finish(&saved);
	return valid_until;
}

/*
 * Use a request in this transaction, once; further statements go on using it.
 */
void
dg_request_use(const DgRequest *request, int64 event_id)
{
	MemoryContext old;
	DgUse	   *use;

	if (!request->used_here)
		(void) dg_decision_insert(request->request_id, "use", NULL, NULL, event_id);
	used_in_transaction = true;

	if (request->radius_total == NULL)
		return;					/* a change, which no rows hang on */
	/* one entry for each request and subtransaction, with the sum so far */
	old = MemoryContextSwitchTo(TopTransactionContext);
	use = last_use(request->request_id);
	if (use == NULL || use->subid != GetCurrentSubTransactionId())
	{
		use = palloc0(sizeof(DgUse));
		use->request_id = request->request_id;
		use->subid = GetCurrentSubTransactionId();
		uses = lappend(uses, use);
	}
	else
		pfree(use->radius);
	use->radius = memcpy(palloc(VARSIZE(request->radius_total)), request->radius_total,
						 VARSIZE(request->radius_total));
	MemoryContextSwitchTo(old);
}

/*
 * Is this person an approver for the table (or, for InvalidOid, for changes
 * that concern all tables), named no later than since?  The role must be the
 * one that was named, by OID and by name.
 */
bool
dg_is_approver(const DgPerson *person, Oid table_id, TimestampTz since)
{
	static const char *const query =
		"SELECT FROM delete_guard._approver_for p WHERE p.role = $1 AND p.role_name = $2"
		" AND (p.for_table IS NULL OR p.for_table = $3) AND p.added_at <= $4";
	Oid			argtypes[4] = {OIDOID, TEXTOID, OIDOID, TIMESTAMPTZOID};
	Datum		args[4] = {ObjectIdGetDatum(person->roleid), CStringGetTextDatum(person->name),
	ObjectIdGetDatum(table_id), TimestampTzGetDatum(since)};
	DgRoleState saved;
	bool		result;

	dg_own_connect(&saved);
	dg_own_query(query, 4, argtypes, args, NULL, false, 1);
	result = SPI_processed > 0;
	dg_own_finish(&saved);
	return result;
}

/* ---------------------------------------------------------------------
 * Covered rows
 * ---------------------------------------------------------------------
 */

/* The key of a covered row */
static DgCovered
cover_key(MemoryContext query, Oid table_id, const uint8 *key_digest)
{
	DgCovered	key;

	memset(&key, 0, sizeof(key));
	key.query = query;
	key.table_id = table_id;
	memcpy(key.key, key_digest, DG_KEY_DIGEST_LEN);
	return key;
}

/*
 * For the rest of this query, which is told by its memory context, the row
 * with this key may be deleted: an approved removal cascades to it.  (Cascades
 * fire triggers at the level of the outermost query; see ri_PerformCheck in
 * ri_triggers.c, which has its queries fire none.)
 */
void
dg_cover_add(MemoryContext query, Oid table_id, const uint8 *key_digest,
			 const DgRequest *request)
{
	DgCovered	key = cover_key(query, table_id, key_digest);
	bool		found;
	DgCovered  *entry;

	if (covered == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = DG_COVERED_KEY_SIZE;
		ctl.entrysize = sizeof(DgCovered);
		ctl.hcxt = TopTransactionContext;
		covered = hash_create("delete_guard covered rows", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (query != covered_query)
	{
		MemoryContextCallback *callback = MemoryContextAlloc(query, sizeof(MemoryContextCallback));

		callback->func = cover_query_over;
		callback->arg = query;
		MemoryContextRegisterResetCallback(query, callback);
		covered_query = query;
	}
	entry = hash_search(covered, &key, HASH_ENTER, &found);
	if (found)
		return;
	entry->subid = GetCurrentSubTransactionId();
	entry->request_id = request->request_id;
	entry->break_glass = request->break_glass;
	entry->approved_by = request->approved_by ?
		MemoryContextStrdup(TopTransactionContext, request->approved_by) : NULL;
}

/* Context callback: what a query covered is over with it */
static void
cover_query_over(void *arg)
{
	HASH_SEQ_STATUS status;
	DgCovered  *entry;

	if (covered_query == arg)
		covered_query = NULL;
	if (covered == NULL)
		return;
	hash_seq_init(&status, covered);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->query == arg)
			(void) hash_search(covered, entry, HASH_REMOVE, NULL);
	}
}

/*
 * Does an approved removal of this query cascade to this row?  *request then
 * receives what is known of its request.
 */
bool
dg_cover_find(MemoryContext query, Oid table_id, const uint8 *key_digest,
			  DgRequest *request)
{
	DgCovered	key = cover_key(query, table_id, key_digest);
	DgCovered  *entry = covered ? hash_search(covered, &key, HASH_FIND, NULL) : NULL;

	if (entry == NULL)
		return false;
	request->request_id = entry->request_id;
	request->break_glass = entry->break_glass;
	request->approved_by = entry->approved_by;
	return true;
}

/*
 * Is any row covered?
 */
bool
dg_cover_any(void)
{
	return covered != NULL && hash_get_num_entries(covered) > 0;
}

/* ---------------------------------------------------------------------
 * Ends of transactions
 * ---------------------------------------------------------------------
 */

/* At the end of a transaction the flag, covered rows and uses are forgotten */
static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			clear_flag();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (used_in_transaction)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has used an approval")));
			clear_flag();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			covered = NULL;
			uses = NIL;
			used_in_transaction = false;
			break;
		default:
			break;
	}
}

/*
 * What a subtransaction used and covered is forgotten with it, or becomes its
 * parent's.
 */
static void
subxact_callback(SubXactEvent event, SubTransactionId mine,
				 SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	foreach(lc, uses)
	{
		DgUse	   *use = lfirst(lc);

		if (use->subid == mine && event == SUBXACT_EVENT_COMMIT_SUB)
			use->subid = parent;
		else if (use->subid == mine)
			uses = foreach_delete_current(uses, lc);
	}
	if (covered)
	{
		HASH_SEQ_STATUS status;
		DgCovered  *entry;

		hash_seq_init(&status, covered);
		while ((entry = hash_seq_search(&status)) != NULL)
		{
			if (entry->subid == mine && event == SUBXACT_EVENT_COMMIT_SUB)
				entry->subid = parent;
			else if (entry->subid == mine)
				(void) hash_search(covered, entry, HASH_REMOVE, NULL);
		}
	}
}

/* A plain SET lasts no longer than its transaction */
static void
clear_flag(void)
{
	if (dg_approval == NULL || dg_approval[0] == '\0')
		return;
	if (!used_in_transaction)
		ereport(NOTICE,
				(errmsg("delete_guard.approval is cleared at the end of the transaction, which has not used it"),
				 errhint("Set it with SET LOCAL in the same transaction as the statement.")));
	(void) set_config_option("delete_guard.approval", "", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}
