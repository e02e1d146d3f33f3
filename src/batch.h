/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  rows of the past as a relation that queries can read
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_BATCH_H
#define DELETE_GUARD_BATCH_H

#include "access/tupdesc.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "target.h"

/* How rows are put back */
typedef enum DgBatchKind
{
	DG_BATCH_INSERT,			/* the row is gone */
	DG_BATCH_SET,				/* columns were nulled or got their default */
	DG_BATCH_KEY				/* the row has another key */
} DgBatchKind;

/* What is known of a row */
typedef enum DgRowState
{
	DG_ROW_WANTED,
	DG_ROW_TAKEN,				/* its key is taken, or it is there, see DgBatch.taken */
	DG_ROW_DONE,				/* put back, or would be */
	DG_ROW_LEFT,				/* there is nothing to put back */
	DG_ROW_UNKNOWN				/* its new key was not recorded */
} DgRowState;

typedef struct DgBatch
{
	MemoryContext context;
	const DgPastPart *part;
	DgTarget   *target;
	DgBatchKind kind;
	Oid			owner;			/* of the target */
	char	   *impossible;		/* why no row can be put back, else NULL */

	/* the relation: ordinal, columns, and for changed keys the new values */
	char	   *name;
	char	   *ordinal;		/* name of the column that numbers the rows */
	int			ncolumns;
	DgTargetColumn **columns;
	char	  **new_names;		/* what columns were changed to, in the order of
								 * columns; NULL for DG_BATCH_INSERT */
	TupleDesc	desc;
	Tuplestorestate *store;
	EphemeralNamedRelation relation;

	int64		nrows;
	uint8	   *state;			/* DgRowState of each row */
	uint16	   *taken;			/* position in reasons, from 1 */
	List	   *reasons;		/* texts: why rows cannot be put back */
	bool	   *told;			/* rows that a key tells from others; NULL: none */
	bool		unsure;			/* some of those untold were put back, not known which */
	bool		shifts;			/* keys are to go back to where other rows of it are */
	List	   *siblings;		/* batches that set other columns of the same rows */
} DgBatch;

extern DgBatch *dg_batch_create(const DgPastPart *part, DgTarget *target,
								MemoryContext parent);
extern void dg_batch_fill(DgBatch *batch, int64 event_id);
extern void dg_batch_link_siblings(List *batches);
extern void dg_batch_register(DgBatch *batch);
extern bool dg_batch_sets(const DgBatch *batch, const DgTargetColumn *column);
extern bool dg_batch_has_column(const DgBatch *batch, AttrNumber attnum);
extern void dg_batch_reset(DgBatch *batch);
extern bool dg_batch_untold(const DgBatch *batch, int64 row);
extern void dg_batch_take(DgBatch *batch, int64 row, DgRowState state);
extern int64 dg_batch_count(const DgBatch *batch, DgRowState state);
extern Datum dg_batch_excluded(const DgBatch *batch, DgRowState state);
extern char *dg_batch_excluded_text(const DgBatch *batch, DgRowState state);
extern char *dg_batch_unused_name(const DgBatch *batch, const char *base);
extern void dg_batch_free(DgBatch *batch);

#endif							/* DELETE_GUARD_BATCH_H */
