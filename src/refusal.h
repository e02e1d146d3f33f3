/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  a refused removal: recorded, then raised as an error
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_REFUSAL_H
#define DELETE_GUARD_REFUSAL_H

#include "policy.h"

extern void dg_refuse(const DgRemoval *removal, const DgVerdict *verdict);

#endif							/* DELETE_GUARD_REFUSAL_H */
