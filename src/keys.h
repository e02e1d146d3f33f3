/*-------------------------------------------------------------------------
 *
 * keys.h
 *	  the key columns of some rows of one table
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_KEYS_H
#define DELETE_GUARD_KEYS_H

#include "executor/tuptable.h"
#include "reference.h"

typedef struct DgKeys
{
	const DgTable *table;
	MemoryContext context;
	int			nrows;
	int			capacity;
	Datum	   *values;			/* nrows * table->nkey_columns */
	bool	   *isnull;
	bool	   *concerned;		/* nrows * table->nreferences; NULL: all are */
} DgKeys;

extern DgKeys *dg_keys_create(const DgTable *table, int capacity,
							  MemoryContext parent);
extern int	dg_keys_at_once(const DgTable *table, bool scan);
extern void dg_keys_reset(DgKeys *keys);
extern void dg_keys_add(DgKeys *keys, TupleTableSlot *slot);
extern void dg_keys_add_datums(DgKeys *keys, const Datum *values,
							   const bool *isnull);
extern void dg_keys_add_from(DgKeys *keys, const DgKeys *other, int row);
extern void dg_keys_concern(DgKeys *keys, int row, const bool *concerned);
extern bool dg_keys_skip(const DgKeys *keys, int row,
						 const DgReference *reference);
extern Datum dg_keys_value(const DgKeys *keys, int row,
						   const DgReferenceColumn *column);

#endif							/* DELETE_GUARD_KEYS_H */
