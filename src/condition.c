/*-------------------------------------------------------------------------
 *
 * condition.c
 *	  commands that change what the conditions of declared references call
 *
 * A condition is stored as a text.  Whoever replaces a function or an operator
 * that it names, or puts another in its place, changes which rows refer, as
 * forget_reference() does; so this needs a verdict too.  Looked at is the end of
 * the command, when the text is parsed as it will be from now on.  What such a
 * function itself calls is not known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "change.h"
#include "condition.h"
#include "ddlstate.h"
#include "ddltext.h"
#include "guarded.h"
#include "lookup.h"
#include "safely.h"
#include "sql.h"

/* Functions and operators that a command has made or changed */
typedef struct Changed
{
	List	   *functions;
	List	   *operators;
	char	   *identity;		/* of the first object in the command */
} Changed;

/* A condition being parsed */
typedef struct Parsing
{
	const DgDeclaration *declaration;
	Expr	   *parsed;
} Parsing;

static bool changes_routines(Node *parsetree);
static void changed_by_command(Changed *changed);
static void judge_table(Node *parsetree, Oid table_id, Changed *changed);
static void parse_condition(void *arg);
static bool calls_changed(Node *node, void *context);
static bool is_changed_function(Oid function, void *context);

/*
 * A command has ended: ask for a verdict if it has changed what a condition of
 * a reference to a protected table calls.  Raises an error if it may not be.
 */
void
dg_judge_conditions(Node *parsetree)
{
	Changed		changed = {0};
	ListCell   *lc;

	if (!changes_routines(parsetree))
		return;
	changed_by_command(&changed);
	if (changed.functions == NIL && changed.operators == NIL)
		return;
	foreach(lc, dg_guarded_tables())
		judge_table(parsetree, lfirst_oid(lc), &changed);
}

/* Is this a command that can change what a name of a function or operator means? */
static bool
changes_routines(Node *parsetree)
{
	switch (nodeTag(parsetree))
	{
		case T_CreateFunctionStmt:
		case T_AlterFunctionStmt:
		case T_CreateCastStmt:
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterOwnerStmt:
			return true;
		case T_DefineStmt:
			return ((DefineStmt *) parsetree)->kind == OBJECT_OPERATOR;
		default:
			return false;
	}
}

/* Functions and operators among the objects of the command that ends, or in its schema */
static void
changed_by_command(Changed *changed)
{
	static const char *const query =
		"SELECT p.oid, false, d.object_identity"
		" FROM pg_catalog.pg_event_trigger_ddl_commands() AS d"
		" LEFT JOIN pg_catalog.pg_cast AS c ON c.oid OPERATOR(pg_catalog.=) d.objid"
		"  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_cast'::pg_catalog.regclass"
		" JOIN pg_catalog.pg_proc AS p ON"
		"  (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid OPERATOR(pg_catalog.=) d.objid)"
		"  OR (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass AND p.pronamespace OPERATOR(pg_catalog.=) d.objid)"
		"  OR (p.oid OPERATOR(pg_catalog.=) c.castfunc AND p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)"
		" UNION ALL SELECT o.oid, true, d.object_identity"
		" FROM pg_catalog.pg_event_trigger_ddl_commands() AS d JOIN pg_catalog.pg_operator AS o ON"
		"  (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid OPERATOR(pg_catalog.=) d.objid)"
		"  OR (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass AND o.oprnamespace OPERATOR(pg_catalog.=) d.objid)";
	MemoryContext caller = CurrentMemoryContext;
	DgRoleState saved;

	dg_own_connect(&saved);
	dg_own_query(query, 0, NULL, NULL, NULL, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(caller);
		bool		isnull;
		Oid			oid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));

		if (DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull)))
			changed->operators = lappend_oid(changed->operators, oid);
		else
			changed->functions = lappend_oid(changed->functions, oid);
		if (changed->identity == NULL)
			changed->identity = MemoryContextStrdup(caller, SPI_getvalue(tuple, desc, 3));
		MemoryContextSwitchTo(old);
	}
	dg_own_finish(&saved);
}

/* Ask about the references to one protected table, to what is above and below it */
static void
judge_table(Node *parsetree, Oid table_id, Changed *changed)
{
	List	   *relids = list_concat_unique_oid(dg_ancestors(table_id),
												find_all_inheritors(table_id, NoLock, NULL));
	ListCell   *lc;

	foreach(lc, dg_declarations_to(relids))
	{
		Parsing		parsing = {lfirst(lc), NULL};

		if (parsing.declaration->condition == NULL)
			continue;
		/* one that cannot be parsed counts no row: nothing can be deleted by it */
		if (dg_safely(parse_condition, &parsing) != NULL ||
			!calls_changed((Node *) parsing.parsed, changed))
			continue;
		/* a function that is made anew has another number each time */
		dg_ddl_ask(table_id,
				   dg_command_text(parsetree,
								   psprintf("%s in the condition of declared reference %s",
											changed->identity, quote_identifier(parsing.declaration->name))),
				   dg_object_number(RelationRelationId, parsing.declaration->referencing, 0));
	}
}

/* Parse a condition as when it is used */
static void
parse_condition(void *arg)
{
	Parsing    *parsing = arg;
	DgRoleState saved;

	dg_act_as(dg_relation_owner(parsing->declaration->referencing), &saved);
	parsing->parsed = dg_condition_parse(parsing->declaration->referencing,
										 parsing->declaration->condition);
	dg_act_back(&saved);
}

/* Expression walker: is something called that was changed? */
static bool
calls_changed(Node *node, void *context)
{
	Changed    *changed = context;
	Oid			operator = InvalidOid;

	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
		operator = ((OpExpr *) node)->opno;
	else if (IsA(node, ScalarArrayOpExpr))
		operator = ((ScalarArrayOpExpr *) node)->opno;
	return (OidIsValid(operator) && list_member_oid(changed->operators, operator)) ||
		check_functions_in_node(node, is_changed_function, changed) ||
		expression_tree_walker(node, calls_changed, context);
}

/* Was this function changed? */
static bool
is_changed_function(Oid function, void *context)
{
	return list_member_oid(((Changed *) context)->functions, function);
}
