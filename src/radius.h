/*-------------------------------------------------------------------------
 *
 * radius.h
 *	  what a removal would reach, counted by reference and level
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_RADIUS_H
#define DELETE_GUARD_RADIUS_H

#include "utils/jsonb.h"
#include "walk.h"

typedef struct DgRadius DgRadius;

/* Called once for each row that a cascade would delete */
typedef void (*DgCascadeCallback) (void *arg, const DgTable *table,
								   TupleTableSlot *slot);

extern DgRadius *dg_radius_create(MemoryContext parent,
								  DgCascadeCallback callback, void *arg);
extern void dg_radius_add(DgRadius *radius, DgDependents *dependents,
						  const DgKeys *keys);
extern Jsonb *dg_radius_jsonb(const DgRadius *radius);
extern void dg_radius_free(DgRadius *radius);

#endif							/* DELETE_GUARD_RADIUS_H */
