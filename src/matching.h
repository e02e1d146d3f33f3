/*-------------------------------------------------------------------------
 *
 * matching.h
 *	  rows of a table that meet a condition, as the caller sees them
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_MATCHING_H
#define DELETE_GUARD_MATCHING_H

#include "storage/itemptr.h"

/* Called for each row: in which relation it is, and where */
typedef void (*DgMatchingCallback) (void *arg, Oid relid, ItemPointer tid);

extern bool dg_matching_rows(Oid relid, const char *condition, int64 limit,
							 DgMatchingCallback callback, void *arg);

#endif							/* DELETE_GUARD_MATCHING_H */
