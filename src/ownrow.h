/*-------------------------------------------------------------------------
 *
 * ownrow.h
 *	  rows of the own tables, without SQL: found by index, made from images
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_OWNROW_H
#define DELETE_GUARD_OWNROW_H

#include "access/genam.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* rows that are there */
extern SysScanDesc dg_ownrow_lookup(Relation rel, const char *index,
									const char *column, RegProcedure equals,
									Datum value);
extern AttrNumber dg_ownrow_column_number(Relation rel, const char *column);
extern Datum dg_ownrow_get(Relation rel, HeapTuple tuple, const char *column,
						   bool *isnull);

/* new rows */
extern void dg_ownrow_insert_image(const char *table, const Jsonb *image,
								   int64 event_id, int64 request_id);
extern void dg_ownrow_set_ids(Relation rel, int64 event_id, int64 request_id,
							  Datum *values, bool *isnull);
extern void dg_ownrow_insert(Relation rel, Datum *values, bool *isnull);

/* what is in an image */
extern JsonbValue *dg_ownrow_member(const Jsonb *object, const char *key,
									JsonbValue *buffer);

#endif							/* DELETE_GUARD_OWNROW_H */
