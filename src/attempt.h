/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  store records of refused attempts
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ATTEMPT_H
#define DELETE_GUARD_ATTEMPT_H

#include "queue.h"

extern void dg_attempt_store(DgQueueItem *items, int *nitems, int max,
							 bool alerts);
extern void dg_attempt_forget_old(void);

#endif							/* DELETE_GUARD_ATTEMPT_H */
