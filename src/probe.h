/*-------------------------------------------------------------------------
 *
 * probe.h
 *	  look for the rows of one leaf that refer to keys
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_PROBE_H
#define DELETE_GUARD_PROBE_H

#include "access/genam.h"
#include "access/skey.h"
#include "keys.h"
#include "nodes/execnodes.h"
#include "utils/snapshot.h"

/* Functions of one reference, ready to call */
typedef struct DgMatcher
{
	FmgrInfo   *eq;				/* one a column */
	FmgrInfo   *cast;
	FmgrInfo   *hash_referenced;
	FmgrInfo   *hash_referencing;
} DgMatcher;

/* One leaf, opened */
typedef struct DgProbe
{
	const DgReference *ref;
	const DgReferenceLeaf *leaf;
	const DgMatcher *matcher;
	Relation	rel;
	Relation	index;			/* NULL without one */
	TupleTableSlot *slot;
	IndexScanDesc scan[2];		/* for the active and the latest snapshot */
	ScanKey		scankeys;		/* leaf->nindexkeys */
	bool		look_twice;
	ExprState  *condition;
} DgProbe;

/* What the probes of one walk share */
typedef struct DgProbing
{
	MemoryContext context;
	MemoryContext scratch;		/* reset per key or per scanned row */
	CommandId	removing;		/* InvalidCommandId if no row is being removed */
	bool		replaced_too;	/* rows that it updated do not count either */
	Snapshot	snapshot[2];	/* active, latest */
	EState	   *estate;			/* for conditions; made with the first */
	ExprContext *econtext;
	bool		in_user_code;	/* runs what a user may have defined, on values of a row */
	HTAB	   *excluded;		/* of DgRowId: rows that never count; or NULL */
	Oid			excluded_relation;	/* all rows of it never count */
	HTAB	   *counted;		/* of DgRowId: later versions of rows counted */
} DgProbing;

/* Which row */
typedef struct DgRowId
{
	Oid			relid;
	ItemPointerData tid;
} DgRowId;

/* As a hash key: without the padding at its end, which holds anything */
#define DG_ROW_ID_SIZE (offsetof(DgRowId, tid) + sizeof(ItemPointerData))

/* Called for each row, in the probe's slot, that refers to keys[row] */
typedef void (*DgMatchCallback) (void *arg, int row, DgProbe *probe);

extern void dg_probe_open(DgProbing *probing, DgProbe *probe, DgTable *table,
						  DgReference *ref, DgReferenceLeaf *leaf, LOCKMODE lockmode);
extern void dg_probe_close(DgProbe *probe);
extern void dg_probe_leaf(DgProbing *probing, DgProbe *probe,
						  const DgKeys *keys,
						  DgMatchCallback callback, void *arg);
extern void dg_probe_leaf_latest(DgProbing *probing, DgProbe *probe,
								 const DgKeys *keys,
								 DgMatchCallback callback, void *arg);
extern DgRowId dg_probe_row_id(const DgProbe *probe);
extern bool dg_removed_by_command(TupleTableSlot *slot, CommandId removing);

#endif							/* DELETE_GUARD_PROBE_H */
