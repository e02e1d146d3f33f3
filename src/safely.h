/*-------------------------------------------------------------------------
 *
 * safely.h
 *	  do something whose failure is an answer
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_SAFELY_H
#define DELETE_GUARD_SAFELY_H

extern struct ErrorData *dg_safely(void (*step) (void *), void *arg);

#endif							/* DELETE_GUARD_SAFELY_H */
