/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  the statement guard
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_TRIGGER_H
#define DELETE_GUARD_TRIGGER_H

extern void dg_trigger_init(void);

#endif							/* DELETE_GUARD_TRIGGER_H */
