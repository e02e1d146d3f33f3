/*-------------------------------------------------------------------------
 *
 * walk.h
 *	  everything that a removal reaches, level by level
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_WALK_H
#define DELETE_GUARD_WALK_H

#include "dependents.h"
#include "nodes/bitmapset.h"

/* Rows that a walk follows before it stops and says so, where nobody sets it */
#define DG_WALK_MAX_ROWS 100000
/* Levels, likewise */
#define DG_WALK_MAX_DEPTH 50

typedef struct DgWalk DgWalk;

/* A row that the walk has come to */
typedef struct DgReached
{
	const DgReference *ref;		/* by which it refers to the row before it */
	DgEffect	effect;			/* what happens to it; never FOLLOW */
	int			depth;			/* 1: refers to a row that is removed itself */
	int			from_tag;		/* what the callback said of the row before it */
	bool		first;			/* this has not happened to it yet in this walk */
	DgTable    *table;			/* of it; NULL if it stays as it is */
	Bitmapset  *changed;		/* columns that are set to NULL or a default */
	DgRowId		id;
	uint64		order;			/* when PostgreSQL acts on it, within a round */
	Relation	rel;
	TupleTableSlot *slot;
} DgReached;

/*
 * Called for each reference by which a row refers to one that is removed or
 * changed.  Returns a number that comes back with what refers to this row, in
 * walks in order.
 */
typedef int (*DgReachedCallback) (void *arg, const DgReached *reached);

/*
 * Called for rows of one relation that are removed, when everything that
 * refers to them has been seen; referenced tells whether the guard counts
 * something that does.
 */
typedef void (*DgSeenCallback) (void *arg, DgTable *table, int nrows,
								const int *tags, const bool *referenced);

extern DgWalk *dg_walk_create(MemoryContext parent,
							  DgReachedCallback callback, void *arg);
extern void dg_walk_limit(DgWalk *walk, int64 max_rows, int max_depth);
extern void dg_walk_in_order(DgWalk *walk, DgSeenCallback seen);
extern bool dg_walk_removed(DgWalk *walk, Oid relid, ItemPointer tid);
extern void dg_walk_start(DgWalk *walk, DgDependents *dependents,
						  const DgKeys *keys, const DgRowId *ids,
						  const int *tags);
extern void dg_walk_run(DgWalk *walk);
extern bool dg_walk_stopped(const DgWalk *walk);
extern bool dg_walk_too_deep(const DgWalk *walk);
extern bool dg_walk_deleted(DgWalk *walk, const DgRowId *id, int *round,
							uint64 *order);
extern void dg_walk_free(DgWalk *walk);

#endif							/* DELETE_GUARD_WALK_H */
