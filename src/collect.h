/*-------------------------------------------------------------------------
 *
 * collect.h
 *	  rows of one table, in whatever partition they are
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_COLLECT_H
#define DELETE_GUARD_COLLECT_H

#include "rowset.h"

typedef struct DgCollection DgCollection;

extern DgCollection *dg_collect_begin(Oid relid, MemoryContext parent);
extern void dg_collect_tid(DgCollection *collection, Oid relid,
						   ItemPointer tid);
extern void dg_collect_only(DgCollection *collection, const DgRowEntry *entries, int n);
extern void dg_collect_by_keys(DgCollection *collection, Jsonb *keys);
extern DgRowSet *dg_collect_rows(DgCollection *collection);
extern Jsonb *dg_collect_radius(DgCollection *collection,
								const char *operation);
extern DgTable *dg_collect_table(DgCollection *collection);
extern void dg_collect_end(DgCollection *collection);

#endif							/* DELETE_GUARD_COLLECT_H */
