/*-------------------------------------------------------------------------
 *
 * setback.h
 *	  text of the statements that set columns back
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_SETBACK_H
#define DELETE_GUARD_SETBACK_H

#include "batch.h"

extern void dg_setback_update(StringInfo buf, const DgBatch *batch, bool returning);
extern void dg_setback_look(StringInfo buf, const DgBatch *batch, bool dry_run);
extern void dg_setback_wanted(StringInfo buf, const DgBatch *batch,
							  const char *ordinal);
extern void dg_setback_register(DgBatch *batch);

#endif							/* DELETE_GUARD_SETBACK_H */
