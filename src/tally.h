/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  running totals of events, and of what the recorder did
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_TALLY_H
#define DELETE_GUARD_TALLY_H

extern bool dg_tally_fold(void);
extern void dg_tally_save_counters(void);
extern int64 dg_tally_backlog(void);
extern bool dg_tally_counters_changed(void);

#endif							/* DELETE_GUARD_TALLY_H */
