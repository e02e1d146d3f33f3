/*-------------------------------------------------------------------------
 *
 * suggest.c
 *	  SQL functions about associations that nobody declared:
 *	  suggest_references, ignore_suggestion, unignore_suggestion
 *
 * A suggestion is a suspect (see suspect.c) whose values speak for it, or at
 * least not against it.  Its score is what the name is worth, weighed with the
 * share of values that are keys of the other table.  Small numbers are keys of
 * almost any table, so for numbers the name decides and values can only speak
 * against it; a text that may be a name must have almost all its values there.
 *
 * Locks: ACCESS SHARE on the tables that are looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "catalog.h"
#include "identity.h"
#include "overlap.h"
#include "sql.h"
#include "steps.h"
#include "suspect.h"

/* Share of values that must be there for a text to be taken for a name */
#define DG_SHARE_OF_NAMES 0.8
/* What a name alone is worth */
#define DG_WORTH_OF_NAME 0.6

PG_FUNCTION_INFO_V1(delete_guard_suggest_references);
PG_FUNCTION_INFO_V1(delete_guard_ignore_suggestion);
PG_FUNCTION_INFO_V1(delete_guard_unignore_suggestion);

typedef struct Suggestion
{
	DgSuspect	suspect;
	double		score;
	char	   *condition;		/* NULL if none */
	char	   *evidence;
} Suggestion;

static List *weigh(const DgSuspects *suspects, Oid relid);
static bool same_column(const DgSuspect *a, const DgSuspect *b);
static bool weigh_pair(const DgSuspects *suspects, const DgSuspect *suspect, Oid relid,
					   List **result);
static bool lock_table(Oid relid);
static List *weigh_types(const DgSuspects *suspects, const DgSuspect *suspect);
static Suggestion *unknown_types(const DgSuspect *suspect, List *classes);
static Suggestion *weigh_suspect(const DgSuspect *suspect, const DgSample *sample);
static double score_of(const DgSuspect *suspect, const DgSample *sample, int found);
static char *evidence_of(const DgSuspect *suspect, const DgSample *sample, int found);
static List *best_of(List *suggestions);
static int	compare_suggestions(const ListCell *a, const ListCell *b);
static void put_suggestion(ReturnSetInfo *rsinfo, const Suggestion *suggestion);

/*
 * suggest_references(table regclass, min_score numeric) returns setof record
 */
Datum
delete_guard_suggest_references(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : dg_table_argument(fcinfo, 0, "table");
	double		min_score = 0;
	MemoryContext context;
	MemoryContext old;
	List	   *suggestions;
	ListCell   *lc;

	if (!PG_ARGISNULL(1))
		min_score = DatumGetFloat8(DirectFunctionCall1(numeric_float8, PG_GETARG_DATUM(1)));
	InitMaterializedSRF(fcinfo, 0);
	context = AllocSetContextCreate(CurrentMemoryContext, "delete_guard suggestions",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	suggestions = weigh(dg_suspects(relid), relid);
	list_sort(suggestions, compare_suggestions);
	foreach(lc, suggestions)
	{
		const Suggestion *suggestion = lfirst(lc);

		if (suggestion->score >= min_score - 0.005)
			put_suggestion(rsinfo, suggestion);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/* Weigh all suspects: list of Suggestion, those with a score of 0 left out */
static List *
weigh(const DgSuspects *suspects, Oid relid)
{
	List	   *result = NIL;
	List	   *group = NIL;
	const DgSuspect *previous = NULL;
	const DgSuspect *pair = NULL;	/* of which the plain suspects do not count */
	DgSample	sample;
	ListCell   *lc;

	foreach(lc, suspects->list)
	{
		const DgSuspect *suspect = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (!same_column(previous, suspect))
		{
			result = list_concat(result, best_of(group));
			group = NIL;
			previous = NULL;
		}
		if (!lock_table(suspect->referencing) || same_column(pair, suspect))
			continue;
		if (!OidIsValid(suspect->referenced))
		{
			if (weigh_pair(suspects, suspect, relid, &result))
				pair = suspect;
		}
		else if (lock_table(suspect->referenced))
		{
			/* one sample of a column serves for all tables that it fits */
			if (previous == NULL)
				sample = dg_sample(suspect->referencing, suspect->attnum, 0, NULL);
			previous = suspect;
			group = lappend(group, weigh_suspect(suspect, &sample));
		}
	}
	return list_concat(result, best_of(group));
}

/* Are these about one column?  a may be NULL. */
static bool
same_column(const DgSuspect *a, const DgSuspect *b)
{
	return a && a->referencing == b->referencing && a->attnum == b->attnum;
}

/*
 * Add to the result what a polymorphic pair says of one table, or of all.  False
 * if it is none, as its types name no tables.
 */
static bool
weigh_pair(const DgSuspects *suspects, const DgSuspect *suspect, Oid relid, List **result)
{
	List	   *typed = weigh_types(suspects, suspect);
	ListCell   *lc;

	if (typed == NIL)
		return !suspect->or_plain;
	foreach(lc, typed)
	{
		if (!OidIsValid(relid) || suspect->referencing == relid ||
			((Suggestion *) lfirst(lc))->suspect.referenced == relid)
			*result = lappend(*result, lfirst(lc));
	}
	return true;
}

/* Lock a table to read it; false if it is gone */
static bool
lock_table(Oid relid)
{
	LockRelationOid(relid, AccessShareLock);
	return get_rel_name(relid) != NULL;
}

/*
 * Weigh a polymorphic pair: a suggestion for each table that its types name.
 * Where the column is named after a table, it is taken for one only if that table
 * is among these, or each type names one; a single type only if it looks like a
 * class, with a capital.
 */
static List *
weigh_types(const DgSuspects *suspects, const DgSuspect *suspect)
{
	const char *type_column = quote_identifier(get_attname(suspect->referencing,
														   suspect->type_attnum, false));
	List	   *classes = dg_sample_types(suspect->referencing, suspect->attnum,
										  suspect->type_attnum);
	List	   *unknown = NIL;
	List	   *result = NIL;
	bool		plain = false;
	ListCell   *lc;

	foreach(lc, classes)
	{
		DgSuspect	typed = *suspect;
		DgSample	sample;
		Suggestion *suggestion;

		typed.referenced = dg_suspects_class(suspects, lfirst(lc), suspect, &typed.key);
		if (!OidIsValid(typed.referenced))
			unknown = lappend(unknown, lfirst(lc));
		else if (suspect->or_plain)
			plain |= dg_suspects_plain(suspects, suspect, typed.referenced);
		if (!OidIsValid(typed.referenced) || list_member_oid(suspect->known, typed.referenced) ||
			!lock_table(typed.referenced))
			continue;
		sample = dg_sample(typed.referencing, typed.attnum, typed.type_attnum, lfirst(lc));
		suggestion = weigh_suspect(&typed, &sample);
		suggestion->condition = psprintf("%s = %s", type_column, quote_literal_cstr(lfirst(lc)));
		result = lappend(result, suggestion);
	}
	if (suspect->or_plain && !plain && (classes == NIL || unknown ||
										(list_length(classes) == 1 && !isupper((unsigned char) *(char *) linitial(classes)))))
		return NIL;
	if (classes == NIL || (unknown && (result || suspect->known)))
		result = lappend(result, unknown_types(suspect, unknown));
	return result;
}

/* A polymorphic pair of which some tables are not known, or none */
static Suggestion *
unknown_types(const DgSuspect *suspect, List *classes)
{
	Suggestion *suggestion = palloc0(sizeof(Suggestion));
	int16		attnums[2] = {suspect->attnum, suspect->type_attnum};
	const char *type_column = get_attname(suspect->referencing, suspect->type_attnum, false);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	if (classes)
		appendStringInfo(&buf, "no table is found for the values of %s:", type_column);
	else if (dg_may_read(suspect->referencing, attnums, 2))
		appendStringInfo(&buf, "%s says of which table, and has no values yet", type_column);
	else
		appendStringInfo(&buf, "%s says of which table; you may not read it", type_column);
	foreach(lc, classes)
		appendStringInfo(&buf, "%s %s", foreach_current_index(lc) > 0 ? "," : "",
						 quote_literal_cstr(lfirst(lc)));
	suggestion->suspect = *suspect;
	suggestion->score = suspect->strength * DG_WORTH_OF_NAME;
	suggestion->evidence = buf.data;
	return suggestion;
}

/* Weigh one suspect with a sample of its values */
static Suggestion *
weigh_suspect(const DgSuspect *suspect, const DgSample *sample)
{
	Suggestion *suggestion = palloc0(sizeof(Suggestion));
	int			found = sample->state == DG_SAMPLE_TAKEN ?
		dg_sample_found(sample, suspect->referenced, suspect->key) : DG_FOUND_NOT_BUILT_IN;

	suggestion->suspect = *suspect;
	suggestion->score = score_of(suspect, sample, found);
	suggestion->evidence = evidence_of(suspect, sample, found);
	return suggestion;
}

/* The score, from 0 to 1.  found: see dg_sample_found. */
static double
score_of(const DgSuspect *suspect, const DgSample *sample, int found)
{
	double		share;

	if (found < 0 || sample->nvalues == 0)
		return suspect->strength * DG_WORTH_OF_NAME;
	share = (double) found / sample->nvalues;
	if (!suspect->by_value)
		return suspect->strength * (0.2 + 0.8 * share);
	if (share < DG_SHARE_OF_NAMES)
		return 0;
	/* one value can be there by chance */
	if (sample->nvalues == 1 && suspect->strength <= DG_NAMED_SHORT)
		return suspect->strength * DG_WORTH_OF_NAME;
	return suspect->strength * share;
}

/* What speaks for it, in words */
static char *
evidence_of(const DgSuspect *suspect, const DgSample *sample, int found)
{
	if (sample->state == DG_SAMPLE_NOT_ALLOWED || found == DG_FOUND_NOT_ALLOWED)
		return psprintf("%s; values not looked at, for want of a right to read them", suspect->why);
	if (found < 0)
		return psprintf("%s; values not looked at, as their type is not built in", suspect->why);
	if (sample->nvalues == 0)
		return psprintf("%s; there are no values%s", suspect->why,
						sample->partial ? " in the sample" : "");
	return psprintf("%s; %d of %d values in " INT64_FORMAT " %srows are there", suspect->why,
					found, sample->nvalues, sample->nrows, sample->partial ? "sampled " : "");
}

/* Of what one column may refer to, what has the highest score */
static List *
best_of(List *suggestions)
{
	double		best = 0;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, suggestions)
		best = Max(best, ((Suggestion *) lfirst(lc))->score);
	foreach(lc, suggestions)
	{
		if (best > 0 && ((Suggestion *) lfirst(lc))->score == best)
			result = lappend(result, lfirst(lc));
	}
	return result;
}

/* The highest score first, then by name */
static int
compare_suggestions(const ListCell *a, const ListCell *b)
{
	const Suggestion *x = lfirst(a);
	const Suggestion *y = lfirst(b);
	int			result;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	result = strcmp(dg_qualified_name(x->suspect.referencing),
					dg_qualified_name(y->suspect.referencing));
	if (result != 0)
		return result;
	if (x->suspect.attnum != y->suspect.attnum)
		return x->suspect.attnum - y->suspect.attnum;
	return strcmp(x->condition ? x->condition : "", y->condition ? y->condition : "");
}

/* One row of the result */
static void
put_suggestion(ReturnSetInfo *rsinfo, const Suggestion *suggestion)
{
	const DgSuspect *suspect = &suggestion->suspect;
	Datum		values[8];
	bool		nulls[8] = {0};
	int16		attnums[2] = {suspect->attnum, suspect->key};

	values[0] = DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf("%.2f", suggestion->score)),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	values[1] = ObjectIdGetDatum(suspect->referencing);
	values[2] = dg_column_names(suspect->referencing, &attnums[0], 1);
	values[3] = ObjectIdGetDatum(suspect->referenced);
	nulls[3] = nulls[4] = nulls[7] = !OidIsValid(suspect->referenced);
	if (!nulls[3])
	{
		values[4] = dg_column_names(suspect->referenced, &attnums[1], 1);
		values[7] = CStringGetTextDatum(dg_suspect_call(suspect, suggestion->condition));
	}
	nulls[5] = suggestion->condition == NULL;
	if (!nulls[5])
		values[5] = CStringGetTextDatum(suggestion->condition);
	values[6] = CStringGetTextDatum(suggestion->evidence);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * ignore_suggestion(referencing regclass, referencing_columns name[],
 *					 referenced regclass, reason text)
 */
Datum
delete_guard_ignore_suggestion(PG_FUNCTION_ARGS)
{
	Oid			referencing = dg_table_argument(fcinfo, 0, "referencing table");
	Oid			referenced = PG_ARGISNULL(2) ? InvalidOid :
		dg_table_argument(fcinfo, 2, "referenced table");
	char	   *reason = dg_text_argument(fcinfo, 3);
	int16		attnums[DG_MAX_KEYS];
	int			n = dg_columns_argument(fcinfo, 1, referencing, attnums);
	Oid			argtypes[5] = {OIDOID, NAMEARRAYOID, OIDOID, TEXTOID, TEXTOID};
	Datum		args[5] = {ObjectIdGetDatum(referencing),
		dg_column_names(referencing, attnums, n), ObjectIdGetDatum(referenced),
	CStringGetTextDatum(reason ? reason : ""), CStringGetTextDatum(dg_person_current().name)};
	DgRoleState saved;

	dg_require_owner(referencing);
	dg_own_connect(&saved);
	dg_own_query("INSERT INTO delete_guard.ignored_suggestion"
				 " (referencing, referencing_columns, referenced, reason, ignored_by, ignored_at)"
				 " VALUES ($1::regclass, $2, $3::regclass, nullif($4, ''), $5, now())"
				 " ON CONFLICT (referencing, referencing_columns, referenced) DO UPDATE"
				 " SET reason = excluded.reason, ignored_by = excluded.ignored_by,"
				 " ignored_at = excluded.ignored_at",
				 5, argtypes, args, NULL, false, 0);
	dg_own_finish(&saved);
	dg_journal_step("ignore_suggestion", referencing,
					psprintf("{\"columns\":%s,\"referenced\":%s}",
							 dg_quote_json(dg_column_list(referencing, attnums, n)),
							 OidIsValid(referenced) ? dg_quote_json(dg_qualified_name(referenced)) : "null"));
	PG_RETURN_VOID();
}

/*
 * unignore_suggestion(referencing regclass, referencing_columns name[],
 *					   referenced regclass)
 */
Datum
delete_guard_unignore_suggestion(PG_FUNCTION_ARGS)
{
	Oid			referencing = dg_table_argument(fcinfo, 0, "referencing table");
	Oid			referenced = PG_ARGISNULL(2) ? InvalidOid :
		dg_table_argument(fcinfo, 2, "referenced table");
	int16		attnums[DG_MAX_KEYS];
	int			n = dg_columns_argument(fcinfo, 1, referencing, attnums);
	Oid			argtypes[3] = {OIDOID, NAMEARRAYOID, OIDOID};
	Datum		args[3] = {ObjectIdGetDatum(referencing),
	dg_column_names(referencing, attnums, n), ObjectIdGetDatum(referenced)};
	DgRoleState saved;
	bool		found;

	dg_require_owner(referencing);
	dg_own_connect(&saved);
	dg_own_query("DELETE FROM delete_guard.ignored_suggestion WHERE referencing::oid = $1"
				 " AND referencing_columns = $2 AND referenced::oid = $3",
				 3, argtypes, args, NULL, false, 0);
	found = SPI_processed > 0;
	dg_own_finish(&saved);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no suggestion for column \"%s\" of table \"%s\" is ignored",
						dg_column_list(referencing, attnums, n), get_rel_name(referencing))));
	dg_journal_step("unignore_suggestion", referencing,
					psprintf("{\"columns\":%s,\"referenced\":%s}",
							 dg_quote_json(dg_column_list(referencing, attnums, n)),
							 OidIsValid(referenced) ? dg_quote_json(dg_qualified_name(referenced)) : "null"));
	PG_RETURN_VOID();
}
