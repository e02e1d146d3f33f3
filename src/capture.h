/*-------------------------------------------------------------------------
 *
 * capture.h
 *	  what a removal takes along, stored before it is gone
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_CAPTURE_H
#define DELETE_GUARD_CAPTURE_H

#include "dependents.h"
#include "parts.h"

/* Rows of a statement that are stored under events of other tables */
typedef struct DgElsewhere
{
	int64		nrows;
	List	   *events;			/* their numbers: pointers to int64 */
} DgElsewhere;

extern bool dg_capture_wanted(const DgDependents *dependents);
extern void dg_capture_rows(DgParts *parts, MemoryContext query,
							DgDependents *dependents, const DgKeys *keys);
extern void dg_capture_truncated(DgParts *parts, MemoryContext query,
								 const DgTable *table);
extern bool dg_capture_has(MemoryContext query, const DgTable *table,
						   TupleTableSlot *slot, DgElsewhere *elsewhere);
extern Jsonb *dg_capture_details(const DgParts *parts,
								 const DgElsewhere *elsewhere);

#endif							/* DELETE_GUARD_CAPTURE_H */
