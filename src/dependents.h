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

#include "executor/tuptable.h"
#include "reference.h"
#include "utils/jsonb.h"

/* The key columns of some rows of one table */
typedef struct DgKeys
{
	const DgTable *table;
	MemoryContext context;
	int			nrows;
	int			capacity;
	Datum	   *values;			/* nrows * table->nkey_columns */
	bool	   *isnull;
} DgKeys;

typedef struct DgDependents DgDependents;
typedef struct DgRadius DgRadius;

/* Called for each row found for keys[row] */
typedef void (*DgFoundCallback) (void *arg, int row, Oid relid,
								 TupleTableSlot *slot);

/* Called once for each row that a cascade would delete */
typedef void (*DgCascadeCallback) (void *arg, const DgTable *table,
								   TupleTableSlot *slot);

extern DgDependents *dg_dependents_begin(Oid relid, CommandId removing,
										 MemoryContext parent);
extern void dg_dependents_end(DgDependents *dependents);
extern DgTable *dg_dependents_table(DgDependents *dependents);
extern void dg_dependents_count(DgDependents *dependents, const DgKeys *keys,
								int64 *counts);
extern bool dg_dependents_key_remains(DgDependents *dependents,
									  const DgKeys *keys);
extern void dg_dependents_find_rows(DgDependents *dependents,
									const DgKeys *keys,
									DgFoundCallback callback, void *arg);
extern bool dg_dependents_needs_scan(const DgDependents *dependents);
extern void dg_dependents_exclude(DgDependents *dependents, Oid relid,
								  ItemPointer tid);
extern void dg_dependents_exclude_same(DgDependents *dependents,
									   const DgDependents *other);
extern void dg_dependents_exclude_relation(DgDependents *dependents,
										   Oid relid);
extern void dg_dependents_for_update(DgDependents *dependents,
									 const bool *concerned);

extern DgRadius *dg_radius_create(MemoryContext parent,
								  DgCascadeCallback callback, void *arg);
extern void dg_radius_add(DgRadius *radius, DgDependents *dependents,
						  const DgKeys *keys);
extern Jsonb *dg_radius_jsonb(const DgRadius *radius);
extern void dg_radius_free(DgRadius *radius);

extern DgKeys *dg_keys_create(const DgTable *table, int capacity,
							  MemoryContext parent);
extern void dg_keys_reset(DgKeys *keys);
extern void dg_keys_add(DgKeys *keys, TupleTableSlot *slot);
extern void dg_keys_add_datums(DgKeys *keys, const Datum *values,
							   const bool *isnull);

#endif							/* DELETE_GUARD_DEPENDENTS_H */
