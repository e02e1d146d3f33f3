/*-------------------------------------------------------------------------
 *
 * pending.h
 *	  events that rows are added to one by one
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_PENDING_H
#define DELETE_GUARD_PENDING_H

#include "removal.h"

extern void dg_pending_init(void);
extern void dg_pending_add(DgRemoval *removal, const DgVerdict *verdict,
						   TupleTableSlot *slot, TupleTableSlot *new_slot,
						   MemoryContext query);
extern void dg_pending_finish(MemoryContext query);

#endif							/* DELETE_GUARD_PENDING_H */
