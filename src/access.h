/*-------------------------------------------------------------------------
 *
 * access.h
 *	  object access hook
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ACCESS_H
#define DELETE_GUARD_ACCESS_H

extern void dg_access_init(void);

#endif							/* DELETE_GUARD_ACCESS_H */
