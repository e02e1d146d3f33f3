/*-------------------------------------------------------------------------
 *
 * alert.h
 *	  one event -> NOTIFY and a server log line
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ALERT_H
#define DELETE_GUARD_ALERT_H

extern bool dg_alert_is_due(const char *operation, const char *outcome);
extern void dg_alert_raise(const Datum *values, const bool *isnull);
extern void dg_alert_log(const char *operation, const char *outcome,
						 const char *table, const char *person,
						 const char *details);

#endif							/* DELETE_GUARD_ALERT_H */
