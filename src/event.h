/*-------------------------------------------------------------------------
 *
 * event.h
 *	  the audit event: who, what, when, with what outcome
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_EVENT_H
#define DELETE_GUARD_EVENT_H

#include "nodes/bitmapset.h"
#include "reference.h"
#include "utils/jsonb.h"

/*
 * What an event says beyond who, when and from where.  Pointers may be NULL.
 */
typedef struct DgEvent
{
	const char *operation;
	const char *outcome;
	Oid			table_id;		/* InvalidOid: no table concerned */
	int64		row_count;		/* -1: does not apply */
	int64		request_id;		/* 0: none */
	const char *approved_by;
	const char *reason;
	Jsonb	   *blast_radius;
	Jsonb	   *parts;
	Jsonb	   *details;
	Jsonb	   *images;			/* see dg_parts_end */
} DgEvent;

/* Column numbers of delete_guard.event */
#define Anum_event_event_id 1
#define Anum_event_occurred_at 2
#define Anum_event_operation 3
#define Anum_event_outcome 4
#define Anum_event_table_id 5
#define Anum_event_table_name 6
#define Anum_event_row_count 7
#define Anum_event_person 8
#define Anum_event_person_id 9
#define Anum_event_authenticated_name 10
#define Anum_event_session_role 11
#define Anum_event_active_role 12
#define Anum_event_claimed_user 13
#define Anum_event_client_addr 14
#define Anum_event_application_name 15
#define Anum_event_backend_pid 16
#define Anum_event_backend_start 17
#define Anum_event_transaction_id 18
#define Anum_event_statement 19
#define Anum_event_request_id 20
#define Anum_event_approved_by 21
#define Anum_event_reason 22
#define Anum_event_blast_radius 23
#define Anum_event_parts 24
#define Anum_event_details 25
#define Anum_event_repeats 26
#define Anum_event_images 27
#define Natts_event 27

extern void dg_event_values(const DgEvent *event, Datum *values, bool *isnull);
extern Jsonb *dg_event_part(DgTable *table, const char *effect);
extern Jsonb *dg_event_reached_part(DgTable *table, const char *effect,
									int depth, const DgReference *ref,
									const Bitmapset *changed);
extern Jsonb *dg_event_encode(const Datum *values, const bool *isnull);
extern Jsonb *dg_own_row_encode(const char *own_table, const Datum *values,
								const bool *isnull);

#endif							/* DELETE_GUARD_EVENT_H */
