/*-------------------------------------------------------------------------
 *
 * ask.h
 *	  make a request
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ASK_H
#define DELETE_GUARD_ASK_H

#include "event.h"
#include "queue.h"
#include "rowset.h"
#include "utils/jsonb.h"

extern void dg_request_values(const char *operation, Oid table_id,
							  const DgRowSet *rows, int64 statement_rows,
							  Jsonb *radius, const char *reason,
							  int approvals_needed,
							  Datum *values, bool *isnull);
extern void dg_request_values_change(const char *operation, Oid table_id,
									 const char *action, const char *objects,
									 const char *reason,
									 int approvals_needed,
									 Datum *values, bool *isnull);
extern DgReceipt dg_request_record_attempt(const DgEvent *event, const Jsonb *keys,
										   const Datum *values, const bool *isnull,
										   bool open);
extern DgReceipt dg_record_attempt(const DgEvent *event, const char *what,
								   bool log_only);
extern int64 dg_request_insert(Datum *values, bool *isnull, int64 event_id);

#endif							/* DELETE_GUARD_ASK_H */
