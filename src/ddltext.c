/*-------------------------------------------------------------------------
 *
 * ddltext.c
 *	  canonical texts of DDL commands
 *
 * An approval binds to such a text, and a person reads it: it is the same for
 * every spelling of the same command on the same objects, and different for any
 * other.  Names are qualified and quoted, types are written out, and
 * expressions are parsed and written out again.  Where a part cannot be written
 * out (the actions of a rule, the condition of a trigger) a digest of its parse
 * tree stands for it.
 *
 * Names are looked up without locks, as the command has yet to begin: what they
 * mean to the command is checked again when it is done (ddl.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parse_utilcmd.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"
#include "ddltext.h"
#include "rowimage.h"

/* Bytes of a digest that a text shows */
#define DG_DIGEST_SHOWN 8

static const char *source = NULL;

static const char *switch_words(AlterTableType subtype);
static char *type_clause(const AlterTableCmd *cmd, Oid relid, bool before);
static char *using_text(Oid relid, Node *expr);
static Node *using_parse(Oid relid, Node *expr);
static bool note_functions(Node *node, void *context);
static bool note_function(Oid function, void *context);
static const char *relation_text(const RangeVar *range);
static char *tree_digest(const void *node);
static char *hex_digest(const char *text, Size len);
static char *source_digest(void);
static char *skip_locations(char *text);

/*
 * The relation that a name means now, InvalidOid if there is none.
 */
Oid
dg_range_relation(const RangeVar *range)
{
	return range ? RangeVarGetRelid(range, NoLock, true) : InvalidOid;
}

/*
 * One subcommand of ALTER TABLE.  Before the command has run, expressions in it
 * can be written out; after, a digest stands for them.
 */
char *
dg_clause_text(const AlterTableCmd *cmd, Oid relid, bool before)
{
	const char *name = cmd->name ? quote_identifier(cmd->name) : "DEFAULT";
	const char *cascade = cmd->behavior == DROP_CASCADE ? " CASCADE" : "";

	switch (cmd->subtype)
	{
		case AT_DropColumn:
			return psprintf("DROP COLUMN %s%s", name, cascade);
		case AT_DropConstraint:
			return psprintf("DROP CONSTRAINT %s%s", name, cascade);
		case AT_DropNotNull:
			return psprintf("ALTER COLUMN %s DROP NOT NULL", name);
		case AT_AlterColumnType:
			return type_clause(cmd, relid, before);
		case AT_SetAccessMethod:
			return psprintf("SET ACCESS METHOD %s", name);
		case AT_DropInherit:
			return psprintf("NO INHERIT %s", relation_text((RangeVar *) cmd->def));
		case AT_DetachPartition:
			return psprintf("DETACH PARTITION %s%s",
							relation_text(((PartitionCmd *) cmd->def)->name),
							((PartitionCmd *) cmd->def)->concurrent ? " CONCURRENTLY" : "");
		case AT_DetachPartitionFinalize:
			return psprintf("DETACH PARTITION %s FINALIZE",
							relation_text(((PartitionCmd *) cmd->def)->name));
		case AT_ChangeOwner:
			return psprintf("OWNER TO %s",
							quote_identifier(get_rolespec_name(cmd->newowner)));
		default:
			break;
	}
	if (cmd->subtype == DG_AT_SET_EXPRESSION)
		return psprintf("ALTER COLUMN %s SET EXPRESSION AS (%s)", name,
						before ? using_text(relid, cmd->def) : tree_digest(cmd->def));
	if (switch_words(cmd->subtype))
		return psprintf("%s%s%s", switch_words(cmd->subtype), cmd->name ? " " : "",
						cmd->name ? name : "");
	return psprintf("(statement %s)", source_digest());
}

/* Subcommands that are a few words and perhaps a name; NULL for others */
static const char *
switch_words(AlterTableType subtype)
{
	switch (subtype)
	{
		case AT_SetUnLogged:
			return "SET UNLOGGED";
		case AT_EnableTrig:
			return "ENABLE TRIGGER";
		case AT_EnableReplicaTrig:
			return "ENABLE REPLICA TRIGGER";
		case AT_EnableTrigAll:
			return "ENABLE TRIGGER ALL";
		case AT_EnableTrigUser:
			return "ENABLE TRIGGER USER";
		case AT_DisableTrig:
			return "DISABLE TRIGGER";
		case AT_DisableTrigAll:
			return "DISABLE TRIGGER ALL";
		case AT_DisableTrigUser:
			return "DISABLE TRIGGER USER";
		case AT_EnableRule:
			return "ENABLE RULE";
		case AT_EnableAlwaysRule:
			return "ENABLE ALWAYS RULE";
		case AT_EnableReplicaRule:
			return "ENABLE REPLICA RULE";
		case AT_EnableRowSecurity:
			return "ENABLE ROW LEVEL SECURITY";
		case AT_DisableRowSecurity:
			return "DISABLE ROW LEVEL SECURITY";
		case AT_ForceRowSecurity:
			return "FORCE ROW LEVEL SECURITY";
		case AT_NoForceRowSecurity:
			return "NO FORCE ROW LEVEL SECURITY";
		default:
			return NULL;
	}
}

/* ALTER COLUMN name TYPE type [COLLATE collation] [USING expression] */
static char *
type_clause(const AlterTableCmd *cmd, Oid relid, bool before)
{
	ColumnDef  *def = castNode(ColumnDef, cmd->def);
	int32		typmod = -1;
	Type		type = LookupTypeName(NULL, def->typeName, &typmod, true);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "ALTER COLUMN %s TYPE ", quote_identifier(cmd->name));
	if (type)
	{
		Oid			typeid = typeTypeId(type);

		ReleaseSysCache(type);
		appendStringInfoString(&buf,
							   format_type_extended(typeid, typmod,
													FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	}
	else
		appendStringInfoString(&buf, TypeNameToString(def->typeName));
	if (def->collClause)
		appendStringInfo(&buf, " COLLATE %s", NameListToQuotedString(def->collClause->collname));
	if (def->raw_default)
		appendStringInfo(&buf, " USING %s", before ? using_text(relid, def->raw_default) :
						 tree_digest(def->raw_default));
	return buf.data;
}

/*
 * An expression over the columns of a relation, written out with all names
 * qualified that are not PostgreSQL's own.
 */
static char *
using_text(Oid relid, Node *expr)
{
	Node	   *parsed = using_parse(relid, expr);
	int			nestlevel = NewGUCNestLevel();
	char	   *result;

	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	result = deparse_expression(parsed, deparse_context_for(get_rel_name(relid), relid),
								false, false);
	AtEOXact_GUC(true, nestlevel);
	return result;
}

/* Parse an expression over the columns of a relation */
static Node *
using_parse(Oid relid, Node *expr)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Node	   *result;

	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, item, false, true, true);
	result = transformExpr(pstate, copyObject(expr), EXPR_KIND_ALTER_COL_TRANSFORM);
	assign_expr_collations(pstate, result);
	free_parsestate(pstate);
	relation_close(rel, NoLock);
	return result;
}

/*
 * The functions that the expression of a clause calls, but for PostgreSQL's own,
 * each in the version that is there now: numbers in a text, empty if there are
 * none.
 */
char *
dg_using_functions(const AlterTableCmd *cmd, Oid relid)
{
	Node	   *expr = cmd->subtype == DG_AT_SET_EXPRESSION ? cmd->def :
		castNode(ColumnDef, cmd->def)->raw_default;
	StringInfoData buf;

	initStringInfo(&buf);
	if (expr)
		(void) note_functions(using_parse(relid, expr), &buf);
	return buf.data;
}

/* Expression walker: append the functions that are called */
static bool
note_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, note_function, context);
	return expression_tree_walker(node, note_functions, context);
}

/* Append one function and the transaction that made this version of it */
static bool
note_function(Oid function, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	if (HeapTupleIsValid(tuple) &&
		((Form_pg_proc) GETSTRUCT(tuple))->pronamespace != PG_CATALOG_NAMESPACE)
		appendStringInfo((StringInfo) context, "function %u/%u ", function,
						 HeapTupleHeaderGetRawXmin(tuple->t_data));
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return false;
}

/* Qualified name of the relation that a name means, else the name itself */
static const char *
relation_text(const RangeVar *range)
{
	Oid			relid = dg_range_relation(range);

	return OidIsValid(relid) ? dg_qualified_name(relid) :
		quote_qualified_identifier(range->schemaname, range->relname);
}

/*
 * CREATE [OR REPLACE] TRIGGER on a relation.
 */
char *
dg_trigger_text(CreateTrigStmt *stmt, Oid relid)
{
	static const struct
	{
		int16		bit;
		const char *word;
	}			events[] = {{TRIGGER_TYPE_INSERT, " INSERT"}, {TRIGGER_TYPE_UPDATE, " UPDATE"},
	{TRIGGER_TYPE_DELETE, " DELETE"}, {TRIGGER_TYPE_TRUNCATE, " TRUNCATE"}};
	Oid			function = LookupFuncName(stmt->funcname, 0, NULL, true);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE%s%s TRIGGER %s %s", stmt->replace ? " OR REPLACE" : "",
					 stmt->isconstraint ? " CONSTRAINT" : "", quote_identifier(stmt->trigname),
					 stmt->timing & TRIGGER_TYPE_BEFORE ? "BEFORE" : "AFTER");
	for (int i = 0; i < lengthof(events); i++)
	{
		if (stmt->events & events[i].bit)
			appendStringInfoString(&buf, events[i].word);
	}
	if (stmt->columns)
		appendStringInfo(&buf, " OF %s", tree_digest(stmt->columns));
	appendStringInfo(&buf, " ON %s", dg_qualified_name(relid));
	if (stmt->transitionRels)
		appendStringInfoString(&buf, " REFERENCING");
	appendStringInfo(&buf, " FOR EACH %s", stmt->row ? "ROW" : "STATEMENT");
	if (stmt->whenClause)
		appendStringInfo(&buf, " WHEN (%s)", tree_digest(stmt->whenClause));
	appendStringInfo(&buf, " EXECUTE FUNCTION %s(", OidIsValid(function) ?
					 quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
												get_func_name(function)) :
					 NameListToQuotedString(stmt->funcname));
	foreach(lc, stmt->args)
		appendStringInfo(&buf, "%s%s", lc == list_head(stmt->args) ? "" : ", ",
						 quote_literal_cstr(strVal(lfirst(lc))));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/*
 * CREATE [OR REPLACE] RULE on a relation.  Its parts are parsed as the command
 * itself will do next, which locks the relation.
 */
char *
dg_rule_text(RuleStmt *stmt, Oid relid)
{
	static const char *const events[] = {"", "SELECT", "UPDATE", "INSERT", "DELETE"};
	List	   *actions;
	Node	   *condition;

	transformRuleStmt(copyObject(stmt), "", &actions, &condition);
	return psprintf("CREATE%s RULE %s AS ON %s TO %s DO %s%s", stmt->replace ? " OR REPLACE" : "",
					quote_identifier(stmt->rulename),
					stmt->event < lengthof(events) ? events[stmt->event] : "",
					dg_qualified_name(relid), stmt->instead ? "INSTEAD " : "ALSO ",
					stmt->actions == NIL && condition == NULL ? "NOTHING" :
					tree_digest(list_make2(actions, condition)));
}

/*
 * DROP of objects.  With only, of just that one of them; but a CASCADE may
 * reach anything from any of them, so then all are named.
 */
char *
dg_drop_text(DropStmt *stmt, Node *only)
{
	bool		cascade = stmt->behavior == DROP_CASCADE;
	StringInfoData buf;
	ListCell   *lc;
	int			n = 0;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s%s ", GetCommandTagName(CreateCommandTag((Node *) stmt)),
					 stmt->concurrent ? " CONCURRENTLY" : "");
	foreach(lc, stmt->objects)
	{
		if (only == NULL || cascade || lfirst(lc) == only)
			appendStringInfo(&buf, "%s%s", n++ > 0 ? ", " : "",
							 dg_object_text(stmt->removeType, lfirst(lc)));
	}
	if (cascade)
		appendStringInfoString(&buf, " CASCADE");
	return buf.data;
}

/*
 * The identity of an object, or its name as given if it is not found.
 */
char *
dg_object_text(ObjectType type, Node *object)
{
	Relation	rel = NULL;
	ObjectAddress address;

	if (type == OBJECT_TABLE || type == OBJECT_INDEX || type == OBJECT_VIEW ||
		type == OBJECT_MATVIEW || type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE)
		return pstrdup(relation_text(makeRangeVarFromNameList(castNode(List, object))));
	if (type == OBJECT_TRIGGER)
		return psprintf("%s ON %s", quote_identifier(strVal(llast(castNode(List, object)))),
						relation_text(makeRangeVarFromNameList(list_truncate(list_copy((List *) object),
																			 list_length((List *) object) - 1))));
	address = get_object_address(type, object, &rel, AccessShareLock, true);
	if (rel)
		relation_close(rel, NoLock);
	if (OidIsValid(address.objectId))
		return getObjectIdentity(&address, false);
	return IsA(object, List) ? NameListToQuotedString((List *) object) :
		IsA(object, String) ? pstrdup(quote_identifier(strVal(object))) :
		IsA(object, TypeName) ? TypeNameToString((TypeName *) object) : pstrdup("?");
}

/*
 * DROP OWNED BY roles.
 */
char *
dg_drop_owned_text(DropOwnedStmt *stmt)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "DROP OWNED BY ");
	foreach(lc, stmt->roles)
		appendStringInfo(&buf, "%s%s", lc == list_head(stmt->roles) ? "" : ", ",
						 quote_identifier(get_rolespec_name(lfirst_node(RoleSpec, lc))));
	if (stmt->behavior == DROP_CASCADE)
		appendStringInfoString(&buf, " CASCADE");
	return buf.data;
}

/*
 * Any command, by what it is and by the object of it that is concerned.
 */
char *
dg_command_text(Node *parsetree, const char *object)
{
	if (parsetree && IsA(parsetree, DropStmt))
		return dg_drop_text((DropStmt *) parsetree, NULL);
	if (parsetree && IsA(parsetree, DropOwnedStmt))
		return dg_drop_owned_text((DropOwnedStmt *) parsetree);
	return psprintf("%s concerning %s (statement %s)",
					parsetree ? GetCommandTagName(CreateCommandTag(parsetree)) : "command",
					object, source_digest());
}

/*
 * The text that a command is taken from, if it is not the client's statement:
 * what stands for commands that cannot be written out.  NULL: it is again.
 */
void
dg_command_source(const char *text)
{
	source = text;
}

/* Digest of the statement, without white space and semicolons at its ends */
static char *
source_digest(void)
{
	const char *text = source ? source : debug_query_string ? debug_query_string : "";
	Size		len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n;", text[len - 1]))
		len--;
	return hex_digest(text, len);
}

/*
 * Hexadecimal digest of a parse tree, wherever in a text it came from.
 */
static char *
tree_digest(const void *node)
{
	char	   *text = skip_locations(nodeToString(node));

	return hex_digest(text, strlen(text));
}

/* "digest" and the first bytes of a digest, hexadecimal */
static char *
hex_digest(const char *text, Size len)
{
	uint8		digest[DG_DIGEST_LEN];
	char	   *result = palloc(DG_DIGEST_SHOWN * 2 + sizeof("digest "));

	dg_digest(text, len, digest);
	strcpy(result, "digest ");
	for (int i = 0; i < DG_DIGEST_SHOWN; i++)
		sprintf(result + strlen("digest ") + i * 2, "%02x", digest[i]);
	return result;
}

/* Remove the numbers after "location", "stmt_location" and "stmt_len"; in place */
static char *
skip_locations(char *text)
{
	static const char *const fields[] = {"location ", ":stmt_len "};
	char	   *to = text;

	for (char *from = text; *from;)
	{
		bool		field = false;

		*to++ = *from++;
		for (int i = 0; i < lengthof(fields) && !field; i++)
		{
			Size		len = strlen(fields[i]);

			field = to - text >= len && memcmp(to - len, fields[i], len) == 0;
		}
		while (field && (*from == '-' || (*from >= '0' && *from <= '9')))
			from++;
	}
	*to = '\0';
	return text;
}
