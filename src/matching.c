/*-------------------------------------------------------------------------
 *
 * matching.c
 *	  rows of a table that meet a condition, as the caller sees them
 *
 * The condition is the caller's own SQL.  It runs with the caller's rights and
 * settings, in a read-only query on the active snapshot, with row security in
 * force; it must be one expression, so that it cannot end the clause that it is
 * put into.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "lookup.h"
#include "matching.h"

/* Rows fetched at a time */
#define DG_MATCHING_BATCH 1000

/*
 * Call back for each row that meets the condition, up to limit.  False if there
 * are more.
 */
bool
dg_matching_rows(Oid relid, const char *condition, int64 limit,
				 DgMatchingCallback callback, void *arg)
{
	char	   *query = psprintf("SELECT tableoid, ctid FROM %s WHERE (\n%s\n)",
								 dg_qualified_name(relid), condition);
	int64		found = 0;
	SPIPlanPtr	plan;
	Portal		portal;

	(void) dg_single_expression(condition);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, DG_MATCHING_BATCH);
		if (SPI_processed == 0)
			break;
		if (SPI_tuptable->tupdesc->natts != 2 ||
			SPI_gettypeid(SPI_tuptable->tupdesc, 1) != OIDOID ||
			SPI_gettypeid(SPI_tuptable->tupdesc, 2) != TIDOID)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("condition must be a single expression")));
		for (uint64 i = 0; i < SPI_processed && found++ < limit; i++)
		{
			bool		isnull;
			HeapTuple	tuple = SPI_tuptable->vals[i];
			Datum		leaf = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull);
			Datum		tid = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull);

			CHECK_FOR_INTERRUPTS();
			callback(arg, DatumGetObjectId(leaf), (ItemPointer) DatumGetPointer(tid));
		}
		SPI_freetuptable(SPI_tuptable);
		if (found > limit)
			break;
	}
	SPI_cursor_close(portal);
	SPI_finish();
	return found <= limit;
}
