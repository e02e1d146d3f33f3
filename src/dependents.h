/*-------------------------------------------------------------------------
 *
 * dependents.h
 *	  what hangs on rows: which references still point at them, how many
 *	  rows, and what a delete would reach
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_DEPENDENTS_H
#define DELETE_GUARD_DEPENDENTS_H

#include "probe.h"

typedef struct DgDependents DgDependents;

/* Called for each row found for keys[row] */
typedef void (*DgFoundCallback) (void *arg, int row, Oid relid,
								 TupleTableSlot *slot);

extern DgDependents *dg_dependents_begin(Oid relid, CommandId removing,
										 MemoryContext parent);
extern void dg_dependents_end(DgDependents *dependents);
extern DgTable *dg_dependents_table(DgDependents *dependents);
extern void dg_dependents_count(DgDependents *dependents, const DgKeys *keys,
								int64 *counts);
extern void dg_dependents_find_rows(DgDependents *dependents,
									const DgKeys *keys,
									DgFoundCallback callback, void *arg);
extern bool dg_dependents_needs_scan(const DgDependents *dependents);
extern bool dg_dependents_exclude(DgDependents *dependents, Oid relid,
								  ItemPointer tid);
extern void dg_dependents_exclude_same(DgDependents *dependents,
									   const DgDependents *other);
extern void dg_dependents_for_truncate(DgDependents *dependents, Oid relid);
extern void dg_dependents_for_update(DgDependents *dependents,
									 const bool *concerned);
extern void dg_dependents_visit(DgDependents *dependents, int refno,
								const DgKeys *keys,
								DgMatchCallback callback, void *arg);
extern bool dg_dependents_updating(const DgDependents *dependents);
extern CommandId dg_dependents_removing(const DgDependents *dependents);
extern DgEffect dg_dependents_effect(const DgDependents *dependents,
									 const DgReference *ref);
extern void dg_dependents_same_kind(DgDependents *dependents,
									const DgDependents *other);

#endif							/* DELETE_GUARD_DEPENDENTS_H */
