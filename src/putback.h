/*-------------------------------------------------------------------------
 *
 * putback.h
 *	  put the rows of batches back
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_PUTBACK_H
#define DELETE_GUARD_PUTBACK_H

#include "batch.h"

extern void dg_putback_check_rights(const DgBatch *batch);
extern void dg_putback_probe(DgBatch *batch);
extern void dg_putback(List *batches);

#endif							/* DELETE_GUARD_PUTBACK_H */
