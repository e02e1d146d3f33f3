/*-------------------------------------------------------------------------
 *
 * advance.h
 *	  move sequences past values that were put back
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ADVANCE_H
#define DELETE_GUARD_ADVANCE_H

#include "batch.h"

extern List *dg_advance_sequences(DgBatch *batch, bool dry_run);

#endif							/* DELETE_GUARD_ADVANCE_H */
