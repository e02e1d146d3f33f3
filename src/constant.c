/*-------------------------------------------------------------------------
 *
 * constant.c
 *	  the value of a column's default, where it is always the same
 *
 * Nothing that a user can define is run to find it: a default that calls other
 * functions than immutable ones built into PostgreSQL is no constant here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/rel.h"

#include "constant.h"

static bool is_own_function(Oid function, void *context);
static bool calls_own_function(Node *node, void *context);

/*
 * What a column of a relation gets by SET ... = DEFAULT, if that is a constant;
 * no default is the constant NULL.  False if it is not known.  In the current
 * context.
 */
bool
dg_constant_default(Relation rel, AttrNumber attnum, Datum *value, bool *isnull)
{
	Node	   *expr = build_column_default(rel, attnum);

	*value = (Datum) 0;
	*isnull = true;
	if (expr == NULL)
		return true;
	/* a domain's constraints need not be checked to know the value */
	while (IsA(expr, CoerceToDomain))
		expr = (Node *) ((CoerceToDomain *) expr)->arg;
	if (calls_own_function(expr, NULL) || contain_mutable_functions(expr))
		return false;
	expr = eval_const_expressions(NULL, expr);
	if (!IsA(expr, Const))
		return false;
	*value = ((Const *) expr)->constvalue;
	*isnull = ((Const *) expr)->constisnull;
	return true;
}

/* Has somebody made this function? */
static bool
is_own_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Does an expression run something that somebody has made? */
static bool
calls_own_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) || check_functions_in_node(node, is_own_function, NULL))
		return true;
	return expression_tree_walker(node, calls_own_function, context);
}
