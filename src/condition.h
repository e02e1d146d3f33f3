/*-------------------------------------------------------------------------
 *
 * condition.h
 *	  commands that change what the conditions of declared references call
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_CONDITION_H
#define DELETE_GUARD_CONDITION_H

#include "nodes/nodes.h"

extern void dg_judge_conditions(Node *parsetree);

#endif							/* DELETE_GUARD_CONDITION_H */
