/*-------------------------------------------------------------------------
 *
 * taken.h
 *	  which rows of a batch have a key that is taken
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_TAKEN_H
#define DELETE_GUARD_TAKEN_H

#include "batch.h"

extern void dg_taken_find(DgBatch *batch, DgRowState state);

#endif							/* DELETE_GUARD_TAKEN_H */
