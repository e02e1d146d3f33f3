/*-------------------------------------------------------------------------
 *
 * overlap.h
 *	  how many values of a column are keys of a table: by sample
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_OVERLAP_H
#define DELETE_GUARD_OVERLAP_H

#include "nodes/pg_list.h"

/* What a sample is taken of at most */
#define DG_SAMPLE_PAGES		2000
#define DG_SAMPLE_ROWS		20000
#define DG_SAMPLE_VALUES	1000
/* Tables that one type column may name */
#define DG_SAMPLE_TYPES		50

typedef enum DgSampleState
{
	DG_SAMPLE_TAKEN,
	DG_SAMPLE_NOT_ALLOWED,		/* the caller, or the owner, may not read it */
	DG_SAMPLE_NOT_BUILT_IN		/* values of such a type are not compared */
} DgSampleState;

/* dg_sample_found() without a count */
#define DG_FOUND_NOT_ALLOWED	(-1)
#define DG_FOUND_NOT_BUILT_IN	(-2)

/* Different values of a column */
typedef struct DgSample
{
	DgSampleState state;
	Oid			type;
	Datum		values;			/* array */
	int			nvalues;
	int64		nrows;			/* in which they were found */
	bool		partial;		/* not all of the table was read */
} DgSample;

extern DgSample dg_sample(Oid relid, int16 attnum, int16 type_attnum, const char *type);
extern List *dg_sample_types(Oid relid, int16 attnum, int16 type_attnum);
extern int	dg_sample_found(const DgSample *sample, Oid referenced, int16 key);

#endif							/* DELETE_GUARD_OVERLAP_H */
