/*-------------------------------------------------------------------------
 *
 * keydiff.h
 *	  which keys an UPDATE changed, and which references it leaves behind
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_KEYDIFF_H
#define DELETE_GUARD_KEYDIFF_H

#include "executor/tuptable.h"
#include "reference.h"

extern bool dg_column_changed(Form_pg_attribute att, TupleTableSlot *slot,
							  TupleTableSlot *new_slot, int16 new_attnum);
extern bool dg_references_concerned(const DgTable *table, const bool *changed,
									bool *concerned);
extern bool dg_keys_differ(const DgTable *table, TupleTableSlot *slot,
						   TupleTableSlot *new_slot, bool *concerned);

#endif							/* DELETE_GUARD_KEYDIFF_H */
