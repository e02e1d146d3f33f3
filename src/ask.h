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

/* Column numbers of delete_guard.request */
#define Anum_request_request_id 1
#define Anum_request_event_id 2
#define Anum_request_requested_at 3
#define Anum_request_expires_at 4
#define Anum_request_requester 5
#define Anum_request_requested_by 6
#define Anum_request_requester_authn 7
#define Anum_request_operation 8
#define Anum_request_table_id 9
#define Anum_request_table_name 10
#define Anum_request_key_columns 11
#define Anum_request_keys 12
#define Anum_request_new_keys 13
#define Anum_request_row_count 14
#define Anum_request_digests 15
#define Anum_request_fingerprint 16
#define Anum_request_blast_radius 17
#define Anum_request_reason 18
#define Anum_request_action 19
#define Anum_request_approvals_needed 20
#define Natts_request 20

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
