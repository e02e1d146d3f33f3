/*-------------------------------------------------------------------------
 *
 * lookup.c
 *	  keys of tables, operators for columns, conditions
 *
 * What can be told of tables, types and expressions from the system catalogs
 * alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "lookup.h"

/* What makes a statement of an expression */
#define DG_SELECT "SELECT "

static bool index_is_partial(Relation index);
static void condition_error(void *arg);

/*
 * The columns that identify a row of this relation: its primary key, else a
 * unique index over NOT NULL columns that is neither partial nor deferrable
 * nor on expressions.  Returns how many, 0 if there is no such key.
 */
int
dg_identity_columns(Oid relid, int16 *attnums)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	int			natts = 0;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool		usable = form->indisunique && form->indisvalid &&
			form->indimmediate && !index_is_partial(index);

		for (int i = 0; usable && i < form->indnkeyatts; i++)
			usable = form->indkey.values[i] > 0 &&
				TupleDescAttr(RelationGetDescr(rel), form->indkey.values[i] - 1)->attnotnull;
		if (usable && (natts == 0 || form->indisprimary))
		{
			natts = form->indnkeyatts;
			memcpy(attnums, form->indkey.values, sizeof(int16) * natts);
		}
		index_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return natts;
}

/*
 * Is an index partial?  Asked of the catalog row: to fetch the predicate itself
 * evaluates constant parts of it, in whoever's name.
 */
static bool
index_is_partial(Relation index)
{
	return !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/*
 * Is there a unique index over exactly these columns, in any order, that is
 * valid, not partial and not on expressions?
 */
bool
dg_has_unique_index(Oid relid, const int16 *attnums, int nattnums)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		int			matched = 0;

		for (int i = 0; i < form->indnkeyatts; i++)
		{
			for (int j = 0; j < nattnums; j++)
				matched += (form->indkey.values[i] == attnums[j]);
		}
		if (form->indisunique && form->indisvalid &&
			form->indnkeyatts == nattnums && matched == nattnums &&
			!index_is_partial(index))
			found = true;
		index_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return found;
}

/*
 * The equality operator for a referenced and a referencing type, from the
 * default btree operator class of the referenced type: exactly that pair, or
 * one that the referencing type can be implicitly cast to.  False if there is
 * none.
 */
bool
dg_column_operator(Oid referenced_type, Oid referencing_type, Oid *eq_op)
{
	Oid			opclass = GetDefaultOpClass(referenced_type, BTREE_AM_OID);
	Oid			base = getBaseType(referencing_type);
	Oid			family;
	Oid			input;

	*eq_op = InvalidOid;
	if (!OidIsValid(opclass))
		return false;
	family = get_opclass_family(opclass);
	input = get_opclass_input_type(opclass);
	*eq_op = get_opfamily_member(family, input, base, BTEqualStrategyNumber);
	if (IsPolymorphicType(input) && base != getBaseType(referenced_type))
		return false;
	if (!OidIsValid(*eq_op) &&
		can_coerce_type(1, &base, &input, COERCION_IMPLICIT))
		*eq_op = get_opfamily_member(family, input, input, BTEqualStrategyNumber);
	return OidIsValid(*eq_op);
}

/*
 * An operator as SQL writes it whatever the search_path: OPERATOR(schema.name);
 * in the current context.
 */
char *
dg_operator_sql(Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

/* Error context: which condition; positions are in its own text */
static void
condition_error(void *arg)
{
	const char *condition = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position - (int) strlen(DG_SELECT));
		internalerrquery(condition);
	}
	errcontext("condition of a declared reference: %s", condition);
}

/*
 * The parse tree of a text that must be one expression and nothing more, so
 * that it cannot end the clause it is put into.  Raises an error otherwise.
 */
Node *
dg_single_expression(const char *text)
{
	List	   *parsed = raw_parser(psprintf(DG_SELECT "%s", text), RAW_PARSE_DEFAULT);
	SelectStmt *select = list_length(parsed) == 1 ?
		(SelectStmt *) linitial_node(RawStmt, parsed)->stmt : NULL;

	if (select == NULL || !IsA(select, SelectStmt) ||
		list_length(select->targetList) != 1 || select->fromClause ||
		select->whereClause || select->groupClause || select->sortClause ||
		select->limitCount || select->limitOffset || select->op != SETOP_NONE ||
		select->withClause || select->intoClause || select->distinctClause ||
		select->havingClause || select->windowClause || select->lockingClause)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("condition must be a single expression")));
	return linitial_node(ResTarget, select->targetList)->val;
}

/*
 * Parse the condition of a declared reference: a boolean expression over the
 * columns of the referencing table, with immutable functions only.  Raises an
 * error otherwise.  Names are resolved by the search_path in force.  Nothing of
 * it is evaluated.
 */
Expr *
dg_condition_parse(Oid relid, const char *condition)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	ErrorContextCallback callback;
	Node	   *expr;

	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, item, true, true, true);
	callback.callback = condition_error;
	callback.arg = unconstify(char *, condition);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	expr = transformWhereClause(pstate, dg_single_expression(condition),
								EXPR_KIND_OTHER, "condition");
	if (pstate->p_hasSubLinks || pstate->p_hasAggs || pstate->p_hasWindowFuncs ||
		pstate->p_hasTargetSRFs)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("condition must not use subqueries, aggregates, window functions or set-returning functions")));
	assign_expr_collations(pstate, expr);
	if (contain_mutable_functions(expr))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("condition must use only immutable functions")));
	error_context_stack = callback.previous;
	free_parsestate(pstate);
	relation_close(rel, AccessShareLock);
	return (Expr *) expr;
}

/*
 * Text of a parsed condition, with every name qualified that the search_path
 * in force does not find.
 */
char *
dg_condition_deparse(Oid relid, Expr *condition)
{
	return deparse_expression((Node *) condition,
							  deparse_context_for(get_rel_name(relid), relid),
							  false, false);
}
