/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  running totals of events, and of what the recorder did
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_TALLY_H
#define DELETE_GUARD_TALLY_H

/* Adds the events that a query names to the totals; columns as in event */
#define DG_TALLY_ADD(events) \
	"INSERT INTO delete_guard.event_total AS t" \
	" (operation, outcome, table_name, events, row_count, last_at)" \
	" SELECT operation, outcome, coalesce(table_name, ''), count(*)," \
	" coalesce(sum(row_count), 0), max(occurred_at)" \
	" FROM " events " GROUP BY 1, 2, 3" \
	" ON CONFLICT (operation, outcome, table_name) DO UPDATE SET" \
	" events = t.events + excluded.events," \
	" row_count = t.row_count + excluded.row_count," \
	" last_at = greatest(t.last_at, excluded.last_at)"

/* The number of the last event that is in the totals */
#define DG_TALLY_MARK \
	"coalesce((SELECT upto FROM delete_guard.tally WHERE kind = 'folded'), 0)"

extern void dg_tally_before_purge(void);
extern bool dg_tally_fold(void);
extern void dg_tally_save_counters(void);
extern int64 dg_tally_backlog(void);
extern bool dg_tally_counters_changed(void);

#endif							/* DELETE_GUARD_TALLY_H */
