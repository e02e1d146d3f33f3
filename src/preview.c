/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  SQL functions that show what a delete would do: preview_delete,
 *	  explain_delete
 *
 * They change nothing, lock no row, and take ACCESS SHARE on the tables that
 * they look at.  Whoever may delete from the table may ask, and whoever may
 * approve that somebody does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "approval.h"
#include "describe.h"
#include "render.h"
#include "steps.h"

PG_FUNCTION_INFO_V1(delete_guard_preview_delete);
PG_FUNCTION_INFO_V1(delete_guard_explain_delete);

/* Columns of preview_delete */
#define DG_PREVIEW_COLUMNS 9
/* Keys that explain_delete shows on each line */
#define DG_EXPLAIN_SAMPLES 3

static DgImpact *find_impact(FunctionCallInfo fcinfo, int samples);
static void put_line(ReturnSetInfo *rsinfo, const DgImpactLine *line, const char *before);
static void put_stopped(ReturnSetInfo *rsinfo, const DgImpact *impact);

/*
 * preview_delete(table regclass, condition text, samples integer)
 *	  returns setof record
 */
Datum
delete_guard_preview_delete(PG_FUNCTION_ARGS)
{
	int			samples = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	DgImpact   *impact;

	if (samples < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("samples must not be negative")));
	InitMaterializedSRF(fcinfo, 0);
	impact = find_impact(fcinfo, samples);
	put_line((ReturnSetInfo *) fcinfo->resultinfo, impact->root, NULL);
	if (impact->stopped)
		put_stopped((ReturnSetInfo *) fcinfo->resultinfo, impact);
	return (Datum) 0;
}

/*
 * explain_delete(table regclass, condition text, format text)
 *	  returns setof text
 */
Datum
delete_guard_explain_delete(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *format = dg_text_argument(fcinfo, 2);
	List	   *lines;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	lines = dg_render(find_impact(fcinfo, DG_EXPLAIN_SAMPLES), format ? format : "text");
	foreach(lc, lines)
	{
		Datum		value = CStringGetTextDatum(lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/* What the arguments ask about, if the caller may ask */
static DgImpact *
find_impact(FunctionCallInfo fcinfo, int samples)
{
	Oid			relid = dg_table_argument(fcinfo, 0, "table");
	char	   *condition = dg_text_argument(fcinfo, 1);
	AclResult	acl = pg_class_aclcheck(relid, GetUserId(), ACL_DELETE);
	char		relkind = get_rel_relkind(relid);

	if (acl != ACLCHECK_OK)
	{
		DgPerson	person = dg_person_current();

		if (!dg_is_approver(&person, relid, DT_NOEND))
			aclcheck_error(acl, OBJECT_TABLE, get_rel_name(relid));
	}
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", get_rel_name(relid))));
	LockRelationOid(relid, AccessShareLock);
	return dg_impact_find(relid, condition ? condition : "true", samples);
}

/* A row for a line, and those below it; before is the path to the line above */
static void
put_line(ReturnSetInfo *rsinfo, const DgImpactLine *line, const char *before)
{
	char	   *path = dg_render_path(line, before);
	char	   *samples = dg_render_samples(line);
	Datum		values[DG_PREVIEW_COLUMNS];
	bool		nulls[DG_PREVIEW_COLUMNS] = {0};
	ListCell   *lc;

	check_stack_depth();
	values[0] = Int32GetDatum(line->depth);
	values[1] = CStringGetTextDatum(path);
	values[2] = CStringGetTextDatum(line->table);
	nulls[3] = line->reference == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(line->reference);
	values[4] = CStringGetTextDatum(dg_effect_name(line->effect));
	values[5] = Int64GetDatum(line->rows);
	nulls[6] = samples == NULL;
	values[6] = nulls[6] ? (Datum) 0 : DirectFunctionCall1(jsonb_in, CStringGetDatum(samples));
	nulls[7] = line->guard == NULL;
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(line->guard);
	nulls[8] = line->postgres == NULL;
	values[8] = nulls[8] ? (Datum) 0 : CStringGetTextDatum(line->postgres);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	foreach(lc, line->children)
		put_line(rsinfo, lfirst(lc), path);
}

/* A last row that says that there may be more */
static void
put_stopped(ReturnSetInfo *rsinfo, const DgImpact *impact)
{
	Datum		values[DG_PREVIEW_COLUMNS] = {0};
	bool		nulls[DG_PREVIEW_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[1] = CStringGetTextDatum(psprintf("stopped early, %s", impact->stopped_by));
	nulls[1] = false;
	values[4] = CStringGetTextDatum("cut");
	nulls[4] = false;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
