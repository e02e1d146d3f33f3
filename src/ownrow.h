/*-------------------------------------------------------------------------
 *
 * ownrow.h
 *	  rows of the own tables, without SQL: found by index, inserted, and packed
 *	  for another process
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_OWNROW_H
#define DELETE_GUARD_OWNROW_H

#include "access/genam.h"
#include "catalog/indexing.h"
#include "utils/rel.h"

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

/* Column numbers of delete_guard.event_rows */
#define Anum_event_rows_event_id 1
#define Anum_event_rows_part 2
#define Anum_event_rows_first_row 3
#define Anum_event_rows_keys 4
#define Anum_event_rows_images 5
#define Anum_event_rows_apart 6
#define Natts_event_rows 6

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

/* Column numbers of delete_guard.attempt */
#define Anum_attempt_fingerprint 1
#define Anum_attempt_event_id 2
#define Anum_attempt_request_id 3
#define Anum_attempt_occurred_at 4
#define Natts_attempt 4

/* An own table that rows are inserted into; rel is NULL while it is not open */
typedef struct DgOwnTable
{
	Relation	rel;
	CatalogIndexState indexes;
} DgOwnTable;

/* A row on its way to another process */
typedef struct DgPackedRow
{
	int32		vl_len_;
	uint32		shape;			/* hash of the table's column types */
	char		tuple[FLEXIBLE_ARRAY_MEMBER];	/* MAXALIGNed if the row is */
} DgPackedRow;

/* rows that are there */
extern SysScanDesc dg_ownrow_lookup(Relation rel, const char *index,
									const char *column, RegProcedure equals,
									Datum value);
extern AttrNumber dg_ownrow_column_number(Relation rel, const char *column);
extern Datum dg_ownrow_get(Relation rel, HeapTuple tuple, const char *column,
						   bool *isnull);

/* new rows */
extern DgOwnTable dg_ownrow_open(const char *table);
extern HeapTuple dg_ownrow_form(Relation rel, const Datum *values,
								const bool *isnull, int ncolumns);
extern void dg_ownrow_insert(const DgOwnTable *table, const Datum *values,
							 const bool *isnull, int ncolumns);
extern void dg_ownrow_close(DgOwnTable *table);

/* packed rows */
extern DgPackedRow *dg_ownrow_pack(const char *table, const Datum *values,
								   const bool *isnull, int ncolumns);
extern void dg_ownrow_unpack(Relation rel, const DgPackedRow *row, Datum *values,
							 bool *isnull);
extern TupleDesc dg_ownrow_unpack_own(const DgPackedRow *row, Datum **values,
									  bool **isnull);

#endif							/* DELETE_GUARD_OWNROW_H */
