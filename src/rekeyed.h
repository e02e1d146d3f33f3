/*-------------------------------------------------------------------------
 *
 * rekeyed.h
 *	  which rows an UPDATE has changed the keys of
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_REKEYED_H
#define DELETE_GUARD_REKEYED_H

#include "storage/itemptr.h"
#include "utils/palloc.h"

/* A row before and after */
typedef struct DgRekeyedRow
{
	ItemPointerData before;
	ItemPointerData after;
} DgRekeyedRow;

/* Rows of one relation that one query changed the keys of */
typedef struct DgRekeyed DgRekeyed;

extern void dg_rekeyed_note(MemoryContext query, Oid relid,
							ItemPointer before, ItemPointer after);
extern DgRekeyed *dg_rekeyed_take(MemoryContext query, Oid relid,
								  ItemPointer before, ItemPointer after,
								  bool *first);
extern int64 dg_rekeyed_rows(const DgRekeyed *set, const DgRekeyedRow **rows);
extern bool dg_rekeyed_distinct(const DgRekeyed *set);
extern void dg_rekeyed_release(DgRekeyed *set);
extern void dg_rekeyed_forget(DgRekeyed *set);

#endif							/* DELETE_GUARD_REKEYED_H */
