/*-------------------------------------------------------------------------
 *
 * arm.h
 *	  the triggers on protected tables
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ARM_H
#define DELETE_GUARD_ARM_H

#include "nodes/pg_list.h"

extern void dg_arm(Oid relid);
extern void dg_disarm(Oid relid);
extern List *dg_hierarchy(Oid relid);

#endif							/* DELETE_GUARD_ARM_H */
