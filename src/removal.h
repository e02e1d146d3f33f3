/*-------------------------------------------------------------------------
 *
 * removal.h
 *	  judge what a statement did to rows, and journal what is allowed
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_REMOVAL_H
#define DELETE_GUARD_REMOVAL_H

#include "access/tableam.h"
#include "policy.h"
#include "rekeyed.h"
#include "utils/tuplestore.h"

/* Where rows come from; one of the four */
typedef struct DgRowSource
{
	Tuplestorestate *store;		/* transition table */
	int			pointer;		/* read pointer of it */
	Relation	scanned;		/* whole relation */
	TableScanDesc scan;
	Snapshot	snapshot;		/* of the scan */
	const DgRekeyedRow *rekeyed;	/* rows with changed keys of this relation */
	Relation	rekeyed_rel;
	BlockNumber rekeyed_blocks; /* blocks that it has */
	const DgTable *rekeyed_table;
	int64		nrekeyed;
	CommandId	rekeying;		/* command that changed them */
	int64		next_rekeyed;
	bool	   *concerned;		/* references that the row's change leaves behind */
	TupleTableSlot *slot;		/* where rows appear; or the one row */
	TupleTableSlot *new_slot;	/* what the row becomes; or NULL */
	bool		given;			/* the one row has been given */
} DgRowSource;

extern void dg_removal_begin(DgRemoval *removal, Relation rel,
							 const char *operation, CommandId removing,
							 MemoryContext query);
extern DgVerdict *dg_removal_judge(DgRemoval *removal, DgRowSource *source);
extern void dg_removal_accept(const DgRemoval *removal,
							  const DgVerdict *verdict, int64 event_id);
extern const DgRequest *dg_removal_request(const DgRemoval *removal,
										   const DgVerdict *verdict);
extern void dg_removal_journal(DgRemoval *removal, DgVerdict *verdict,
							   DgRowSource *source);
extern bool dg_source_fetch(DgRowSource *source, const DgRekeyedRow *row);
extern void dg_source_end(DgRowSource *source);

#endif							/* DELETE_GUARD_REMOVAL_H */
