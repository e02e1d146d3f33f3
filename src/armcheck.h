/*-------------------------------------------------------------------------
 *
 * armcheck.h
 *	  are the triggers on protected tables as they should be
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ARMCHECK_H
#define DELETE_GUARD_ARMCHECK_H

#include "nodes/pg_list.h"

/* Something that keeps the guard from acting on a relation */
typedef struct DgArmFault
{
	Oid			relid;
	char	   *problem;
} DgArmFault;

extern List *dg_arm_faults(Oid root);
extern List *dg_arm_faulty_below(Oid relid, Oid root);

#endif							/* DELETE_GUARD_ARMCHECK_H */
