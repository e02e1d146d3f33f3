/*-------------------------------------------------------------------------
 *
 * leaf.c
 *	  how to look for referencing rows in one relation
 *
 * An index is usable if it is a valid btree or hash index whose leading
 * columns are columns of the reference, compares them by the reference's own
 * operator and under an equivalent collation, and holds every row that the
 * reference can match.  The one with the longest such prefix is chosen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "leaf.h"
#include "sql.h"

static void leaf_choose_index(DgReference *ref, DgReferenceLeaf *leaf);
static int	index_usable_prefix(DgReference *ref, DgReferenceLeaf *leaf,
								Relation index, int *indexkeys);
static int	index_column_match(DgReference *ref, DgReferenceLeaf *leaf,
							   Relation index, int column);
static bool index_predicate_implied(DgReference *ref, DgReferenceLeaf *leaf,
									Relation index);

/*
 * Set up a leaf whose relid is set: number the columns as there, map the
 * condition, choose an index.  In the current context.
 */
void
dg_leaf_build(DgReference *ref, DgReferenceLeaf *leaf, Expr *condition)
{
	for (int i = 0; i < ref->ncolumns; i++)
	{
		if (leaf->relid == ref->referencing)
			leaf->attnums[i] = ref->columns[i].referencing;
		else
			leaf->attnums[i] = get_attnum(leaf->relid,
										  get_attname(ref->referencing,
													  ref->columns[i].referencing, false));
	}
	if (condition)
	{
		Relation	root = relation_open(ref->referencing, AccessShareLock);
		Relation	rel = relation_open(leaf->relid, AccessShareLock);
		AttrMap    *map = build_attrmap_by_name_if_req(RelationGetDescr(rel),
													   RelationGetDescr(root) DG_MISSING_OK);
		bool		wholerow;

		leaf->condition = map == NULL ? condition :
			(Expr *) map_variable_attnos((Node *) condition, 1, 0, map,
										 RelationGetForm(rel)->reltype, &wholerow);
		relation_close(rel, AccessShareLock);
		relation_close(root, AccessShareLock);
	}
	leaf_choose_index(ref, leaf);
}

/* The index with the longest usable prefix, if any */
static void
leaf_choose_index(DgReference *ref, DgReferenceLeaf *leaf)
{
	Relation	rel = relation_open(leaf->relid, AccessShareLock);
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		int			indexkeys[DG_MAX_KEYS];
		int			n = index_usable_prefix(ref, leaf, index, indexkeys);

		if (n > leaf->nindexkeys && index_predicate_implied(ref, leaf, index))
		{
			leaf->index = lfirst_oid(lc);
			leaf->nindexkeys = n;
			memcpy(leaf->indexkeys, indexkeys, sizeof(int) * n);
		}
		index_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
}

/*
 * How many leading columns of the index can be compared with the reference's
 * own equality; indexkeys receives which column of the reference each is.
 */
static int
index_usable_prefix(DgReference *ref, DgReferenceLeaf *leaf, Relation index,
					int *indexkeys)
{
	Oid			am = index->rd_rel->relam;
	int			n;

	if ((am != BTREE_AM_OID && am != HASH_AM_OID) || !index->rd_index->indisvalid ||
		!index->rd_index->indisready || !index->rd_index->indislive)
		return 0;
	for (n = 0; n < index->rd_index->indnkeyatts; n++)
	{
		indexkeys[n] = index_column_match(ref, leaf, index, n);
		if (indexkeys[n] < 0)
			break;
	}
	return n;
}

/* The column of the reference that an index column can look up, or -1 */
static int
index_column_match(DgReference *ref, DgReferenceLeaf *leaf, Relation index,
				   int column)
{
	Oid			family = index->rd_opfamily[column];
	int			wanted = index->rd_rel->relam == HASH_AM_OID ?
		HTEqualStrategyNumber : BTEqualStrategyNumber;

	for (int i = 0; i < ref->ncolumns; i++)
	{
		DgReferenceColumn *col = &ref->columns[i];
		Oid			collation = index->rd_indcollation[column];
		Oid			left;
		Oid			right;

		if (leaf->attnums[i] != index->rd_index->indkey.values[column] ||
			!OidIsValid(col->index_op) || OidIsValid(col->cast_func) ||
			get_op_opfamily_strategy(col->index_op, family) != wanted)
			continue;
		op_input_types(col->index_op, &left, &right);
		if (left != index->rd_opcintype[column])
			continue;
		if (collation != col->collation &&
			(!get_collation_isdeterministic(collation) ||
			 !get_collation_isdeterministic(col->collation)))
			continue;
		return i;
	}
	return -1;
}

/*
 * Does every row that the reference can match stand in a partial index?  True
 * for a plain one.
 */
static bool
index_predicate_implied(DgReference *ref, DgReferenceLeaf *leaf, Relation index)
{
	List	   *clauses = NIL;
	DgRoleState saved;
	bool		result;

	if (heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return true;
	for (int i = 0; i < ref->ncolumns; i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;
		Oid			left;
		Oid			right;

		if (!OidIsValid(ref->columns[i].index_op))
			continue;
		get_atttypetypmodcoll(leaf->relid, leaf->attnums[i], &type, &typmod, &collation);
		op_input_types(ref->columns[i].index_op, &left, &right);
		clauses = lappend(clauses,
						  make_opclause(ref->columns[i].index_op, BOOLOID, false,
										(Expr *) makeVar(1, leaf->attnums[i], type, typmod, collation, 0),
										(Expr *) makeNullConst(right, -1, InvalidOid),
										InvalidOid, collation));
		((Const *) lsecond(((OpExpr *) llast(clauses))->args))->constisnull = false;
	}
	if (leaf->condition)
		clauses = lappend(clauses, leaf->condition);
	/* both may evaluate constant parts */
	dg_act_as(dg_relation_owner(leaf->relid), &saved);
	result = predicate_implied_by(RelationGetIndexPredicate(index), clauses, false);
	dg_act_back(&saved);
	return result;
}
