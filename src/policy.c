/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  may this go?
 *
 * Verdicts only: nothing here writes, locks or raises a refusal, so that
 * whoever asks what would happen gets the answer that the guard will act on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "replication/logicalworker.h"
#include "utils/memutils.h"

#include "guc.h"
#include "policy.h"
#include "radius.h"

/* Collects rows of other protected tables during a walk */
typedef struct DgCascadeArg
{
	MemoryContext context;
	DgVerdict  *verdict;
	const DgTable *table;		/* imager is for this one */
	DgImager   *imager;
} DgCascadeArg;

static bool decide_with_requests(const DgRemoval *removal, List *requests,
								 DgVerdict *verdict);
static DgKeys **assign_rows(const DgRemoval *removal, List *requests,
							DgVerdict *verdict);
static bool radii_fit(const DgRemoval *removal, List *requests, DgKeys **assigned,
					  DgVerdict *verdict);
static void note_problem(DgVerdict *verdict, char *sentence);
static void note_cascaded(void *arg, const DgTable *table, TupleTableSlot *slot);

/*
 * Does a row need an approval, given whether something refers to it?
 */
bool
dg_policy_holds(const DgTable *table, bool referenced)
{
	return table->protection.mode == DG_MODE_BLOCK && !IsLogicalWorker() &&
		(referenced || table->protection.scope == DG_SCOPE_ALL);
}

/*
 * The verdict on a removal, with the requests that the session names.  In the
 * current context.
 */
DgVerdict *
dg_policy_decide(const DgRemoval *removal, List *requests)
{
	DgVerdict  *verdict = palloc0(sizeof(DgVerdict));

	if (IsLogicalWorker())
		verdict->outcome = DG_OUTCOME_REPLICATED;
	else if ((removal->held == NULL || removal->held->nrows == 0) && removal->ncovered > 0)
		verdict->outcome = removal->covering.break_glass ?
			DG_OUTCOME_BREAK_GLASS : DG_OUTCOME_APPROVED;
	else if (removal->held == NULL || removal->held->nrows == 0)
		verdict->outcome = DG_OUTCOME_LOGGED;
	else if (decide_with_requests(removal, requests, verdict))
	{
		ListCell   *lc;

		verdict->outcome = DG_OUTCOME_APPROVED;
		foreach(lc, verdict->used)
		{
			if (((DgRequest *) lfirst(lc))->break_glass)
				verdict->outcome = DG_OUTCOME_BREAK_GLASS;
		}
	}
	return verdict;
}

/*
 * What a verdict means for rows that are still there, in words: nheld of nrows
 * need an approval.  In the current context.
 */
char *
dg_policy_words(const DgProtection *protection, const DgVerdict *verdict,
				int64 nheld, int64 nrows)
{
	char	   *reason;

	if (verdict->outcome && verdict->used != NIL)
		return psprintf("would be allowed by request " INT64_FORMAT,
						((DgRequest *) linitial(verdict->used))->request_id);
	if (verdict->outcome && strcmp(verdict->outcome, DG_OUTCOME_LOGGED) != 0)
		return pstrdup("would be allowed by the same request");
	if (verdict->outcome)
		return pstrdup("would be logged");
	if (protection->scope == DG_SCOPE_ALL)
		reason = psprintf(INT64_FORMAT " %s", nheld,
						  nheld == 1 ? "row needs an approval" : "rows need an approval");
	else
		reason = psprintf("other rows still refer to " INT64_FORMAT " of " INT64_FORMAT " %s",
						  nheld, nrows, nrows == 1 ? "row" : "rows");
	return psprintf("would be %s: %s%s%s",
					dg_enforce ? "refused" : "recorded only, as delete_guard.enforce is off",
					reason, verdict->problems ? ".  " : "",
					verdict->problems ? verdict->problems : "");
}

/* Do the requests allow all rows that are held? */
static bool
decide_with_requests(const DgRemoval *removal, List *requests, DgVerdict *verdict)
{
	List	   *usable = NIL;
	ListCell   *lc;
	DgKeys	  **assigned;

	foreach(lc, requests)
	{
		DgRequest  *request = lfirst(lc);
		const char *problem = dg_request_problem(request, removal->operation,
												 removal->table->protection.relid);

		if (problem == NULL)
			usable = lappend(usable, request);
		else
			note_problem(verdict, psprintf("Request " INT64_FORMAT " %s.",
										   request->request_id, problem));
	}
	if (usable == NIL)
		return false;
	if (!dg_rowset_complete(removal->held))
	{
		note_problem(verdict, psprintf("A request names at most %d rows, with %d MB of keys.",
									  DG_ROWSET_MAX, DG_ROWSET_MAX_BYTES / (1024 * 1024)));
		return false;
	}
	assigned = assign_rows(removal, usable, verdict);
	return assigned != NULL && radii_fit(removal, usable, assigned, verdict);
}

/* Give each held row to a request that names it; NULL if there is none */
static DgKeys **
assign_rows(const DgRemoval *removal, List *requests, DgVerdict *verdict)
{
	const DgRowSet *held = removal->held;
	DgKeys	  **assigned = palloc0(sizeof(DgKeys *) * list_length(requests));

	for (int row = 0; row < held->nkept; row++)
	{
		bool		known_anywhere = false;
		bool		found = false;

		for (int i = 0; i < list_length(requests) && !found; i++)
		{
			bool		known;

			found = dg_request_covers(list_nth(requests, i), &held->entries[row], &known);
			known_anywhere |= known;
			if (!found)
				continue;
			if (assigned[i] == NULL)
				assigned[i] = dg_keys_create(held->table, 16, CurrentMemoryContext);
			dg_keys_add_from(assigned[i], held->keys, row);
		}
		if (!found)
		{
			note_problem(verdict, !known_anywhere ?
						 pstrdup("The approval does not name every row.") :
						 strcmp(removal->operation, DG_OPERATION_KEY_CHANGE) == 0 ?
						 pstrdup("A row, or what it is to become, is not as it was when the change was asked for.") :
						 pstrdup("A row was changed after its removal was asked for."));
			return NULL;
		}
	}
	return assigned;
}

/* Is what hangs on the rows not more than the approvers saw? */
static bool
radii_fit(const DgRemoval *removal, List *requests, DgKeys **assigned, DgVerdict *verdict)
{
	DgCascadeArg arg = {CurrentMemoryContext, verdict};
	DgRadius   *whole = dg_radius_create(CurrentMemoryContext, note_cascaded, &arg);

	for (int i = 0; i < list_length(requests); i++)
	{
		DgRequest  *request = list_nth(requests, i);
		DgRadius   *radius;

		if (assigned[i] == NULL)
			continue;
		radius = dg_radius_create(CurrentMemoryContext, NULL, NULL);
		dg_radius_add(radius, removal->dependents, assigned[i]);
		request->radius_now = dg_radius_jsonb(radius);
		if (!dg_request_radius_fits(request))
		{
			note_problem(verdict, psprintf("More rows hang on the rows of request " INT64_FORMAT
										   " now than were approved.", request->request_id));
			return false;
		}
		dg_radius_free(radius);
		dg_radius_add(whole, removal->dependents, assigned[i]);
		verdict->used = lappend(verdict->used, request);
	}
	verdict->radius = dg_radius_jsonb(whole);
	dg_radius_free(whole);
	return true;
}

/* Add a sentence to what speaks against the requests */
static void
note_problem(DgVerdict *verdict, char *sentence)
{
	verdict->problems = verdict->problems ?
		psprintf("%s  %s", verdict->problems, sentence) : sentence;
}

/* Cascade callback: remember a row of a protected table */
static void
note_cascaded(void *argp, const DgTable *table, TupleTableSlot *slot)
{
	DgCascadeArg *arg = argp;
	MemoryContext old;
	DgCascadedRow *row;

	if (!table->is_protected)
		return;
	old = MemoryContextSwitchTo(arg->context);
	if (arg->table == NULL || arg->table->relid != table->relid)
	{
		if (arg->imager)
			dg_imager_free(arg->imager);
		arg->imager = dg_imager_create(slot->tts_tupleDescriptor, table->identity,
									   table->nidentity, arg->context);
		arg->table = table;
	}
	row = palloc(sizeof(DgCascadedRow));
	row->table_id = table->protection.relid;
	dg_key_digest(arg->imager, slot, row->key);
	arg->verdict->cascaded = lappend(arg->verdict->cascaded, row);
	MemoryContextSwitchTo(old);
}
