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
#include "ownrow.h"
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

extern void dg_event_values(const DgEvent *event, Datum *values, bool *isnull);
extern Jsonb *dg_event_part(DgTable *table, const char *effect);
extern Jsonb *dg_event_reached_part(DgTable *table, const char *effect,
									int depth, const DgReference *ref,
									const Bitmapset *changed);
extern Jsonb *dg_event_packed_row_jsonb(const DgPackedRow *row);

#endif							/* DELETE_GUARD_EVENT_H */
