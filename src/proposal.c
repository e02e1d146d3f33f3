/*-------------------------------------------------------------------------
 *
 * proposal.c
 *	  SQL function request_change: ask for a change without trying it first
 *
 * The action is the command that is to be run.  It is read here, never run,
 * and turned into the very text that the command itself asks about when it is
 * run (see setting.c).  Its arguments must be constants.
 *
 * Rights: for a table its owner; for what concerns all tables the owner of the
 * extension, or whoever may execute the function.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "change.h"
#include "command.h"
#include "setting.h"
#include "sql.h"
#include "steps.h"

PG_FUNCTION_INFO_V1(delete_guard_request_change);

#define MAX_PARAMETERS 4

/* Functions whose calls can be asked for, and their parameters */
typedef struct Callable
{
	const char *name;
	const char *parameters[MAX_PARAMETERS];
} Callable;

static const Callable callables[] = {
	{"protect", {"table", "mode", "scope", "approvals"}},
	{"unprotect", {"table"}},
	{"forget_reference", {"name"}},
	{"add_approver", {"role", "table"}},
	{"remove_approver", {"role", "table"}},
	{"purge", {"older_than"}},
};

static FuncCall *parse_call(const char *action);
static const Callable *find_callable(List *name);
static void read_arguments(FuncCall *call, const Callable *callable, char **values);
static char *constant_text(Node *node);
static char *canonical_action(const Callable *callable, char **values, Oid *table_id);
static char *protect_action(char **values, Oid table_id);
static void require_reference(const char *name);
static char *need(const char *value, const char *parameter);
static bool is_select(const char *action);
static int64 request_ddl(Oid table_id, const char *command, const char *reason);
static void require_right(const Callable *callable, Oid table_id);

/*
 * request_change(table regclass, action text, reason text) returns bigint
 */
Datum
delete_guard_request_change(PG_FUNCTION_ARGS)
{
	Oid			table_id = PG_ARGISNULL(0) ? InvalidOid : dg_table_argument(fcinfo, 0, "table");
	char	   *action = dg_text_argument(fcinfo, 1);
	char	   *reason = dg_text_argument(fcinfo, 2);
	char	   *values[MAX_PARAMETERS] = {0};
	Oid			named = InvalidOid;
	const Callable *callable;
	DgChange	change;
	FuncCall   *call;

	if (action == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("action must not be null")));
	if (!is_select(action))
		PG_RETURN_INT64(request_ddl(table_id, action, reason));
	call = parse_call(action);
	callable = call ? find_callable(call->funcname) : NULL;
	if (callable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("action is not a change that can be asked for"),
				 errdetail("The action is: %s", action),
				 errhint("It is the command as it is to be run, such as SELECT delete_guard.unprotect('teams').")));
	read_arguments(call, callable, values);
	action = canonical_action(callable, values, &named);
	if (OidIsValid(named) && named != table_id)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("action is about another table"),
				 errdetail("The action is: %s", action)));
	require_right(callable, table_id);
	change = dg_setting_change(callable->name, table_id, action,
							   strcmp(callable->parameters[0], "role") == 0 ? dg_setting_role(values[0]) : NULL,
							   NULL);
	if (!dg_change_is_held(&change))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this change needs no approval"),
				 errdetail("The action is: %s", action)));
	PG_RETURN_INT64(dg_change_request(&change, reason));
}

/* Is a text a SELECT, as calls are, or several commands?  Else it is taken as DDL */
static bool
is_select(const char *action)
{
	List	   *statements = raw_parser(action, RAW_PARSE_DEFAULT);

	return list_length(statements) != 1 ||
		IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt);
}

/* Ask for a DDL command on a table, or on all of them */
static int64
request_ddl(Oid table_id, const char *command, const char *reason)
{
	DgChange	change = {0};
	DgDdlChange *ddl = dg_ddl_action(command, table_id);

	change.table_id = table_id;
	change.operation = DG_OPERATION_DDL;
	change.action = ddl->action;
	change.objects = ddl->objects;
	if (!dg_change_is_held(&change))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this change needs no approval"),
				 errdetail("The action is: %s", change.action)));
	return dg_change_request(&change, reason);
}

/* The one function call that a text is: SELECT f(...); else NULL */
static FuncCall *
parse_call(const char *action)
{
	List	   *statements = raw_parser(action, RAW_PARSE_DEFAULT);
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(statements) != 1 ||
		!IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		return NULL;
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (select->op != SETOP_NONE || select->fromClause || select->whereClause ||
		select->withClause || select->valuesLists || select->intoClause ||
		list_length(select->targetList) != 1)
		return NULL;
	target = linitial_node(ResTarget, select->targetList);
	return IsA(target->val, FuncCall) ? (FuncCall *) target->val : NULL;
}

/* Is this one of our functions, with its schema? */
static const Callable *
find_callable(List *name)
{
	if (list_length(name) != 2 || strcmp(strVal(linitial(name)), "delete_guard") != 0)
		return NULL;
	for (int i = 0; i < lengthof(callables); i++)
	{
		if (strcmp(strVal(lsecond(name)), callables[i].name) == 0)
			return &callables[i];
	}
	return NULL;
}

/* Fill in what the call gives for each parameter, NULL for nothing */
static void
read_arguments(FuncCall *call, const Callable *callable, char **values)
{
	int			position = 0;
	ListCell   *lc;

	foreach(lc, call->args)
	{
		Node	   *node = lfirst(lc);
		int			i = position++;

		if (IsA(node, NamedArgExpr))
		{
			for (i = 0; i < MAX_PARAMETERS && callable->parameters[i]; i++)
			{
				if (strcmp(callable->parameters[i], ((NamedArgExpr *) node)->name) == 0)
					break;
			}
			node = (Node *) ((NamedArgExpr *) node)->arg;
		}
		if (i >= MAX_PARAMETERS || callable->parameters[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("action has an argument that %s() does not have", callable->name)));
		values[i] = constant_text(node);
	}
}

/* A constant as text, NULL for NULL */
static char *
constant_text(Node *node)
{
	A_Const    *constant;

	if (IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (!IsA(node, A_Const))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments of an action must be constants")));
	constant = (A_Const *) node;
	if (constant->isnull)
		return NULL;
	if (IsA(&constant->val, Integer))
		return psprintf("%d", intVal(&constant->val));
	if (!IsA(&constant->val, String))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments of an action must be strings or integers")));
	return pstrdup(strVal(&constant->val));
}

/* The text that the call itself will ask about; *table_id: the table it names */
static char *
canonical_action(const Callable *callable, char **values, Oid *table_id)
{
	const char *function = callable->name;

	for (int i = 0; i < MAX_PARAMETERS && callable->parameters[i]; i++)
	{
		if (strcmp(callable->parameters[i], "table") == 0 && values[i])
			*table_id = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(values[i])));
	}
	if (strcmp(function, "protect") == 0)
		return protect_action(values, *table_id);
	if (strcmp(function, "unprotect") == 0)
	{
		(void) need(values[0], "table");
		return dg_setting_call(function, NULL, *table_id);
	}
	if (strcmp(function, "purge") == 0)
	{
		Datum		age = DirectFunctionCall3(interval_in, CStringGetDatum(need(values[0], "older_than")),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

		return dg_setting_call(function, dg_setting_interval(age), InvalidOid);
	}
	if (strcmp(function, "forget_reference") == 0)
		require_reference(need(values[0], "name"));
	if (strcmp(function, "add_approver") == 0)
		(void) get_role_oid(need(values[0], "role"), false);
	return dg_setting_call(function, need(values[0], callable->parameters[0]), *table_id);
}

/* The same for protect(), with its defaults */
static char *
protect_action(char **values, Oid table_id)
{
	DgProtection protection;
	const char *mode = values[1] ? values[1] : "block";
	const char *scope = values[2] ? values[2] : "referenced";

	(void) need(values[0], "table");
	protection.relid = table_id;
	protection.mode = strcmp(mode, "log") == 0 ? DG_MODE_LOG : DG_MODE_BLOCK;
	protection.scope = strcmp(scope, "all") == 0 ? DG_SCOPE_ALL : DG_SCOPE_REFERENCED;
	protection.approvals = values[3] ? pg_strtoint32(values[3]) : 1;
	if (strcmp(mode, dg_mode_name(protection.mode)) != 0 ||
		strcmp(scope, dg_scope_name(protection.scope)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("action has an invalid mode or scope")));
	return dg_setting_protect(&protection);
}

/* Raise an error unless there is such a declared reference */
static void
require_reference(const char *name)
{
	Oid			argtype = TEXTOID;
	Datum		arg = CStringGetTextDatum(name);
	DgRoleState saved;
	bool		found;

	dg_own_connect(&saved);
	dg_own_query("SELECT FROM delete_guard.declared_reference WHERE name = $1",
				 1, &argtype, &arg, NULL, false, 1);
	found = SPI_processed > 0;
	dg_own_finish(&saved);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("declared reference \"%s\" does not exist", name)));
}

/* A value that must not be missing */
static char *
need(const char *value, const char *parameter)
{
	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("action lacks a value for \"%s\"", parameter)));
	return pstrdup(value);
}

/* Raise an error unless the current role could make this change */
static void
require_right(const Callable *callable, Oid table_id)
{
	if (OidIsValid(table_id))
		dg_require_owner(table_id);
	else if (strcmp(callable->name, "purge") == 0)
	{
		if (!DatumGetBool(DirectFunctionCall2(has_function_privilege_name,
											  CStringGetTextDatum("delete_guard.purge(interval)"),
											  CStringGetTextDatum("EXECUTE"))))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for function purge")));
	}
	else
		dg_require_owner(dg_own_relation("protected_table"));
}
