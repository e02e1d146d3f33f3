/*-------------------------------------------------------------------------
 *
 * tidset.h
 *	  which rows of which relations, as bits
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_TIDSET_H
#define DELETE_GUARD_TIDSET_H

#include "storage/itemptr.h"

typedef struct DgTidSet DgTidSet;

extern DgTidSet *dg_tidset_create(MemoryContext parent);
extern bool dg_tidset_has(const DgTidSet *set, Oid relid, Oid purpose,
						  const ItemPointerData *tid);
extern bool dg_tidset_add(DgTidSet *set, Oid relid, Oid purpose,
						  const ItemPointerData *tid);

#endif							/* DELETE_GUARD_TIDSET_H */
