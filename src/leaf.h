/*-------------------------------------------------------------------------
 *
 * leaf.h
 *	  how to look for referencing rows in one relation
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_LEAF_H
#define DELETE_GUARD_LEAF_H

#include "reference.h"

extern void dg_leaf_build(DgReference *ref, DgReferenceLeaf *leaf,
						  Expr *condition);

#endif							/* DELETE_GUARD_LEAF_H */
