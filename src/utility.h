/*-------------------------------------------------------------------------
 *
 * utility.h
 *	  ProcessUtility hook
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_UTILITY_H
#define DELETE_GUARD_UTILITY_H

extern void dg_utility_init(void);

#endif							/* DELETE_GUARD_UTILITY_H */
