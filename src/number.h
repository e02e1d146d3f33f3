/*-------------------------------------------------------------------------
 *
 * number.h
 *	  numbers of events, requests and decisions
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_NUMBER_H
#define DELETE_GUARD_NUMBER_H

extern int64 dg_number_event(void);
extern int64 dg_number_request(void);
extern int64 dg_number_decision(void);

#endif							/* DELETE_GUARD_NUMBER_H */
