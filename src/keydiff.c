/*-------------------------------------------------------------------------
 *
 * keydiff.c
 *	  which keys an UPDATE changed, and which references it leaves behind
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "utils/datum.h"
#include "utils/typcache.h"

#include "keydiff.h"

/*
 * Did a column change, by its type's own equality?  Its number in the new row
 * is given, as that may be of another partition.
 */
bool
dg_column_changed(Form_pg_attribute att, TupleTableSlot *slot,
				  TupleTableSlot *new_slot, int16 new_attnum)
{
	bool		isnull_old;
	bool		isnull_new;
	Datum		old = slot_getattr(slot, att->attnum, &isnull_old);
	Datum		new = slot_getattr(new_slot, new_attnum, &isnull_new);
	TypeCacheEntry *type;

	if (isnull_old || isnull_new)
		return isnull_old != isnull_new;
	if (datum_image_eq(old, new, att->attbyval, att->attlen))
		return false;
	type = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR_FINFO);
	/* an equality that a user defined is not asked */
	if (!OidIsValid(type->eq_opr_finfo.fn_oid) ||
		type->eq_opr_finfo.fn_oid >= FirstNormalObjectId)
		return true;
	return !DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, att->attcollation, old, new));
}

/*
 * Given which key columns changed, sets which references are left behind:
 * concerned has room for one flag a reference.  False if no key changed.
 */
bool
dg_references_concerned(const DgTable *table, const bool *changed, bool *concerned)
{
	bool		any = false;

	for (int i = 0; i < table->nkey_columns; i++)
		any |= changed[i];
	for (int i = 0; i < table->nreferences; i++)
	{
		const DgReference *ref = &table->references[i];

		concerned[i] = false;
		for (int c = 0; c < ref->ncolumns; c++)
			concerned[i] |= changed[ref->columns[c].key_position];
		if (ref->on_update == DG_EFFECT_FOLLOW)
			concerned[i] = false;
	}
	return any;
}

/*
 * The same, given the row before and after, both of the table's own shape.
 */
bool
dg_keys_differ(const DgTable *table, TupleTableSlot *slot, TupleTableSlot *new_slot,
			   bool *concerned)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	bool	   *changed = palloc(sizeof(bool) * Max(table->nkey_columns, 1));
	bool		any;

	for (int i = 0; i < table->nkey_columns; i++)
	{
		int16		attnum = table->key_columns[i];

		changed[i] = dg_column_changed(TupleDescAttr(desc, attnum - 1), slot, new_slot, attnum);
	}
	any = dg_references_concerned(table, changed, concerned);
	pfree(changed);
	return any;
}
