/*-------------------------------------------------------------------------
 *
 * health.c
 *	  SQL functions about the guard itself: health, and what it asks
 *
 * What catalogs and own tables tell is asked in SQL, in the view
 * delete_guard._health (extension/parts/80_health.sql).  Here is what takes C:
 * the triggers and references of a table, which are looked at one table at a
 * time so that something wrong with one does not hide the others.
 *
 * Rights: health() reads as the owner of the extension; who may call it is for
 * him to say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "armcheck.h"
#include "describe.h"
#include "guarded.h"
#include "lookup.h"
#include "reference.h"
#include "safely.h"
#include "sql.h"

PG_FUNCTION_INFO_V1(delete_guard_health);
PG_FUNCTION_INFO_V1(delete_guard_arm_faults);
PG_FUNCTION_INFO_V1(delete_guard_reference_faults);
PG_FUNCTION_INFO_V1(delete_guard_declaration_fault);

/* Work on one table that may fail */
typedef struct Task
{
	ReturnSetInfo *rsinfo;
	Oid			relid;
} Task;

static void put_findings(ReturnSetInfo *rsinfo, const char *query);
static void arm_faults(void *arg);
static void reference_faults(void *arg);
static void put_reference_faults(ReturnSetInfo *rsinfo, const DgReference *ref);
static void check_declaration(void *arg);
static void put_fault(ReturnSetInfo *rsinfo, const char *severity, Oid relid,
					  const char *problem, const char *remedy);

/*
 * health() returns setof record (severity, subject, problem, remedy)
 */
Datum
delete_guard_health(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DgRoleState saved;
	bool		may_read_hba;
	bool		isnull;

	InitMaterializedSRF(fcinfo, 0);
	/* not the owner of the tables, which may be what is wrong */
	dg_connect_as(dg_extension_owner(), &saved);
	/* the view has many branches and few rows: to compile it takes longer than to run it */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	put_findings(rsinfo, "SELECT severity, subject, problem, remedy FROM delete_guard._health"
				 " ORDER BY array_position('{error,warning,info}', severity), ord, subject COLLATE \"C\", problem COLLATE \"C\"");
	dg_own_query("SELECT has_function_privilege('pg_hba_file_rules()', 'EXECUTE')"
				 " AND has_table_privilege('pg_hba_file_rules', 'SELECT')", 0, NULL, NULL, NULL, true, 1);
	may_read_hba = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (may_read_hba)
		put_findings(rsinfo, "SELECT severity, subject, problem, remedy FROM delete_guard._health_authentication");
	else
		put_findings(rsinfo, "SELECT 'info', 'authentication', 'the owner of the extension may not read pg_hba_file_rules, so how persons prove who they are is not known',"
					 " 'GRANT SELECT ON pg_hba_file_rules TO ' || current_user || '; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO ' || current_user || ';'");
	dg_own_finish(&saved);
	return (Datum) 0;
}

/* Put what a query finds into the result */
static void
put_findings(ReturnSetInfo *rsinfo, const char *query)
{
	dg_own_query(query, 0, NULL, NULL, NULL, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		values[4];
		bool		nulls[4];

		for (int c = 0; c < 4; c++)
			values[c] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, c + 1, &nulls[c]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * _arm_faults(table_id oid) returns setof record (severity, table_id, problem,
 * remedy): what keeps the triggers of a protected table from acting
 */
Datum
delete_guard_arm_faults(PG_FUNCTION_ARGS)
{
	Task		task = {(ReturnSetInfo *) fcinfo->resultinfo, PG_GETARG_OID(0)};
	ErrorData  *error;

	InitMaterializedSRF(fcinfo, 0);
	if (get_rel_name(task.relid) == NULL)
		return (Datum) 0;
	error = dg_safely(arm_faults, &task);
	if (error)
		put_fault(task.rsinfo, "error", task.relid,
				  psprintf("its triggers cannot be looked at: %s", error->message),
				  "Mend its references first.");
	return (Datum) 0;
}

/* The faults of one table and everything below it */
static void
arm_faults(void *arg)
{
	Task	   *task = arg;
	ListCell   *lc;

	foreach(lc, dg_arm_faults(task->relid))
	{
		const DgArmFault *fault = lfirst(lc);

		put_fault(task->rsinfo, "error", fault->relid, fault->problem, NULL);
	}
}

/*
 * _reference_faults(table_id oid) returns setof record (severity, table_id,
 * problem, remedy): references to a table that cost much, or are not sound
 */
Datum
delete_guard_reference_faults(PG_FUNCTION_ARGS)
{
	Task		task = {(ReturnSetInfo *) fcinfo->resultinfo, PG_GETARG_OID(0)};
	ErrorData  *error;

	InitMaterializedSRF(fcinfo, 0);
	if (get_rel_name(task.relid) == NULL)
		return (Datum) 0;
	error = dg_safely(reference_faults, &task);
	if (error)
		put_fault(task.rsinfo, "error", task.relid,
				  psprintf("references to it cannot be followed: %s", error->message),
				  "Mend its declared references first.");
	return (Datum) 0;
}

/* The faults of references to one table */
static void
reference_faults(void *arg)
{
	Task	   *task = arg;
	DgTable    *table = dg_table_acquire(task->relid);

	for (int i = 0; i < table->nreferences; i++)
		put_reference_faults(task->rsinfo, &table->references[i]);
	dg_table_release(table);
}

/* The faults of one reference */
static void
put_reference_faults(ReturnSetInfo *rsinfo, const DgReference *ref)
{
	const char *columns = dg_reference_columns(ref);
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(ref->constraint));

	if (!dg_reference_has_index(ref))
		put_fault(rsinfo, "info", ref->referencing,
				  psprintf("column %s, which refers to %s, has no usable index", columns,
						   dg_qualified_name(ref->referenced)),
				  psprintf("CREATE INDEX ON %s (%s);", dg_qualified_name(ref->referencing),
						   dg_quoted_columns(ref)));
	if (ref->kind == DG_REF_NOT_ENFORCED)
		put_fault(rsinfo, "info", ref->referencing,
				  psprintf("foreign key \"%s\" is not enforced", ref->name),
				  psprintf("ALTER TABLE %s ALTER CONSTRAINT %s ENFORCED;",
						   dg_qualified_name(ref->referencing), quote_identifier(ref->name)));
	else if (HeapTupleIsValid(tuple) && !((Form_pg_constraint) GETSTRUCT(tuple))->convalidated)
		put_fault(rsinfo, "warning", ref->referencing,
				  psprintf("foreign key \"%s\" is not valid: rows may refer to nothing, see delete_guard.find_orphans()", ref->name),
				  psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s;",
						   dg_qualified_name(ref->referencing), quote_identifier(ref->name)));
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
}

/*
 * _declaration_fault(name text, referenced oid) returns text: what keeps a
 * declared reference from being followed; NULL if nothing does, or if columns
 * or tables of it are gone
 */
Datum
delete_guard_declaration_fault(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ListCell   *lc;

	foreach(lc, dg_declarations_to(list_make1_oid(PG_GETARG_OID(1))))
	{
		DgDeclaration *declaration = lfirst(lc);
		ErrorData  *error;

		if (strcmp(declaration->name, name) != 0 || get_rel_name(declaration->referencing) == NULL)
			continue;
		error = dg_safely(check_declaration, declaration);
		if (error)
			PG_RETURN_TEXT_P(cstring_to_text(error->message));
	}
	PG_RETURN_NULL();
}

/* Raise an error if a declaration cannot be followed */
static void
check_declaration(void *arg)
{
	const DgDeclaration *declaration = arg;

	for (int i = 0; i < declaration->ncolumns; i++)
	{
		Oid			referenced = get_atttype(declaration->referenced, declaration->referenced_attnums[i]);
		Oid			referencing = get_atttype(declaration->referencing, declaration->referencing_attnums[i]);
		Oid			op;

		if (!dg_column_operator(referenced, referencing, &op))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("types %s and %s cannot be compared", format_type_be(referencing),
							format_type_be(referenced))));
	}
	if (declaration->condition)
		(void) dg_condition_parse(declaration->referencing, declaration->condition);
}

/* One row of _arm_faults or _reference_faults */
static void
put_fault(ReturnSetInfo *rsinfo, const char *severity, Oid relid,
		  const char *problem, const char *remedy)
{
	Datum		values[4];
	bool		nulls[4] = {0};

	values[0] = CStringGetTextDatum(severity);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = CStringGetTextDatum(problem);
	values[3] = remedy ? CStringGetTextDatum(remedy) : (Datum) 0;
	nulls[3] = remedy == NULL;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
