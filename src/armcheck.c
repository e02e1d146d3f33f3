/*-------------------------------------------------------------------------
 *
 * armcheck.c
 *	  are the triggers on protected tables as they should be
 *
 * Compares pg_trigger with what arm.c makes: is each trigger there, of that
 * kind, with that function and condition, and ENABLE ALWAYS?  It reads the
 * catalog itself, not the relation cache, which knows nothing of catalogs that
 * were edited.  No locks on the tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/prs2lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "arm.h"
#include "armcheck.h"
#include "named.h"

/* A trigger as it should be */
typedef struct Expected
{
	const char *name;
	int16		type;
	const char *function;
	bool		old_table;
} Expected;

/* What key triggers compare, in updates that they are made for */
typedef struct Watched
{
	Bitmapset  *columns;
	bool		otherwise;		/* something that arm.c does not make */
} Watched;

static void check_relation(Oid relid, Oid root, List **faults);
static void check_trigger(Oid relid, const Expected *expected, List **faults);
static bool is_as_expected(HeapTuple tuple, TupleDesc desc, const Expected *expected);
static void check_watched(Oid relid, Oid root, List **faults);
static void add_watched(Oid relid, const char *name, Watched *watched);
static void walk_condition(Node *node, Watched *watched);
static AttrNumber compared_column(Node *left, Node *right);
static Node *strip(Node *node);
static HeapTuple find_trigger(Oid relid, const char *name, TupleDesc *desc);
static void add_fault(Oid relid, List **faults, char *problem);

/*
 * What is wrong with the triggers of a protected table and everything below
 * it: list of DgArmFault.
 */
List *
dg_arm_faults(Oid root)
{
	List	   *faults = NIL;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(root, NoLock, NULL))
		check_relation(lfirst_oid(lc), root, &faults);
	return faults;
}

/*
 * The relations with faults among one of a hierarchy and those below it: list
 * of OIDs.
 */
List *
dg_arm_faulty_below(Oid relid, Oid root)
{
	List	   *faults = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		check_relation(lfirst_oid(lc), root, &faults);
	foreach(lc, faults)
		result = list_append_unique_oid(result, ((DgArmFault *) lfirst(lc))->relid);
	return result;
}

/* Add the faults of one relation of a hierarchy */
static void
check_relation(Oid relid, Oid root, List **faults)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		plain = dg_arm_is_plain(relid, root);
	Expected	expected[] = {
		{DG_TRIGGER_DELETE, TRIGGER_TYPE_ROW | TRIGGER_TYPE_DELETE, "_guard_rows", plain},
		{DG_TRIGGER_KEY, TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE, "_guard_rows", false},
		{DG_TRIGGER_KEY_UNNAMED, TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE, "_guard_rows", false},
		{DG_TRIGGER_TRUNCATE, TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_TRUNCATE, "_guard_truncate", false},
		{DG_TRIGGER_END_UPDATE, TRIGGER_TYPE_UPDATE, "_guard_end", false},
		{DG_TRIGGER_END_DELETE, TRIGGER_TYPE_DELETE, "_guard_end", false},
	};

	if (!HeapTupleIsValid(tuple))
		return;
	if (!((Form_pg_class) GETSTRUCT(tuple))->relhastriggers)
		add_fault(relid, faults, pstrdup("the catalog says that it has no triggers"));
	if (((Form_pg_class) GETSTRUCT(tuple))->relpersistence == RELPERSISTENCE_UNLOGGED)
		add_fault(relid, faults, pstrdup("it is unlogged, and emptied after a crash"));
	ReleaseSysCache(tuple);
	for (int i = 0; i < lengthof(expected) - (plain ? 2 : 0); i++)
		check_trigger(relid, &expected[i], faults);
	check_watched(relid, root, faults);
}

/* Add the fault of one trigger, if it has one */
static void
check_trigger(Oid relid, const Expected *expected, List **faults)
{
	TupleDesc	desc;
	HeapTuple	tuple = find_trigger(relid, expected->name, &desc);

	if (tuple == NULL)
		add_fault(relid, faults, psprintf("trigger \"%s\" is missing", expected->name));
	else if (!is_as_expected(tuple, desc, expected))
		add_fault(relid, faults, psprintf("trigger \"%s\" has another definition", expected->name));
	else if (((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled != dg_arm_enabled(expected->name))
		add_fault(relid, faults,
				  psprintf("trigger \"%s\" is not enabled %s", expected->name,
						   dg_arm_enabled(expected->name) == TRIGGER_FIRES_ALWAYS ? "ALWAYS" : "REPLICA"));
}

/* Is a trigger defined as arm.c does it?  Conditions are looked at elsewhere. */
static bool
is_as_expected(HeapTuple tuple, TupleDesc desc, const Expected *expected)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
	bool		is_key = strcmp(expected->name, DG_TRIGGER_KEY) == 0;
	bool		no_condition = heap_attisnull(tuple, Anum_pg_trigger_tgqual, desc);
	oidvector  *no_arguments = buildoidvector(NULL, 0);
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum(expected->function),
										   PointerGetDatum(no_arguments),
										   ObjectIdGetDatum(get_namespace_oid("delete_guard", true)));

	return form->tgtype == expected->type && form->tgfoid == function &&
		!form->tgdeferrable && (is_key || form->tgattr.dim1 == 0) && no_condition == !is_key &&
		heap_attisnull(tuple, Anum_pg_trigger_tgoldtable, desc) == !expected->old_table;
}

/* Add a fault if a column that can be referred to can change unseen */
static void
check_watched(Oid relid, Oid root, List **faults)
{
	Watched		watched = {0};
	ListCell   *lc;

	add_watched(relid, DG_TRIGGER_KEY, &watched);
	add_watched(relid, DG_TRIGGER_KEY_OWN, &watched);
	if (watched.otherwise)
		add_fault(relid, faults, pstrdup("the condition of a key trigger is another"));
	if (!dg_keys_seen(relid))
		add_fault(relid, faults, pstrdup("keys can change in an UPDATE that does not name them, which no trigger sees"));
	foreach(lc, dg_arm_key_columns(relid))
	{
		if (!bms_is_member(lfirst_int(lc), watched.columns))
			add_fault(relid, faults, psprintf("no trigger watches column \"%s\", which rows can refer to",
											  get_attname(relid, lfirst_int(lc), false)));
	}
}

/* Add the columns that a key trigger compares and is made for; none if it is not there */
static void
add_watched(Oid relid, const char *name, Watched *watched)
{
	TupleDesc	desc;
	HeapTuple	tuple = find_trigger(relid, name, &desc);
	Form_pg_trigger form;
	Watched		compared = {0};
	Bitmapset  *named = NULL;
	bool		isnull = true;
	Datum		qual;

	if (tuple == NULL)
		return;
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	qual = heap_getattr(tuple, Anum_pg_trigger_tgqual, desc, &isnull);
	if (isnull || form->tgenabled != TRIGGER_FIRES_ALWAYS)
		return;
	walk_condition(stringToNode(TextDatumGetCString(qual)), &compared);
	for (int i = 0; i < form->tgattr.dim1; i++)
		named = bms_add_member(named, form->tgattr.values[i]);
	if (named)
		compared.columns = bms_intersect(compared.columns, named);
	watched->columns = bms_add_members(watched->columns, compared.columns);
	watched->otherwise = watched->otherwise || compared.otherwise;
}

/*
 * Go through a condition: comparisons of columns, joined by OR.  After AND
 * there may stand what arm.c adds: a call of a function of the extension, or
 * NOT, for what another trigger sees.
 */
static void
walk_condition(Node *node, Watched *watched)
{
	AttrNumber	column = InvalidAttrNumber;
	ListCell   *lc;

	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == OR_EXPR)
	{
		foreach(lc, ((BoolExpr *) node)->args)
			walk_condition(lfirst(lc), watched);
		return;
	}
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == AND_EXPR)
	{
		foreach(lc, ((BoolExpr *) node)->args)
		{
			Node	   *arg = lfirst(lc);

			if (lc == list_head(((BoolExpr *) node)->args))
				walk_condition(arg, watched);
			else if (!(IsA(arg, FuncExpr) &&
					   get_func_namespace(((FuncExpr *) arg)->funcid) == get_namespace_oid("delete_guard", true)) &&
					 !(IsA(arg, BoolExpr) && ((BoolExpr *) arg)->boolop == NOT_EXPR))
				watched->otherwise = true;
		}
		return;
	}
	if (IsA(node, DistinctExpr))
		column = compared_column(linitial(((DistinctExpr *) node)->args),
								 lsecond(((DistinctExpr *) node)->args));
	else if (IsA(node, OpExpr) && ((OpExpr *) node)->opfuncid == F_RECORD_IMAGE_NE)
		column = compared_column(linitial(((OpExpr *) node)->args),
								 lsecond(((OpExpr *) node)->args));
	if (column > 0)
		watched->columns = bms_add_member(watched->columns, column);
	else
		watched->otherwise = true;
}

/* The column whose old and new values are compared; invalid if it is no such comparison */
static AttrNumber
compared_column(Node *left, Node *right)
{
	Var		   *old = (Var *) strip(left);
	Var		   *new = (Var *) strip(right);

	if (IsA(old, Var) && IsA(new, Var) && old->varattno == new->varattno &&
		old->varno == PRS2_OLD_VARNO && new->varno == PRS2_NEW_VARNO)
		return old->varattno;
	return InvalidAttrNumber;
}

/* Take off casts, and a row of one column */
static Node *
strip(Node *node)
{
	for (;;)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, ConvertRowtypeExpr))
			node = (Node *) ((ConvertRowtypeExpr *) node)->arg;
		else if (IsA(node, RowExpr) && list_length(((RowExpr *) node)->args) == 1)
			node = linitial(((RowExpr *) node)->args);
		else if (IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) == 1 &&
				 ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL)
			node = linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

/* A trigger's row of the catalog, copied; NULL if there is none */
static HeapTuple
find_trigger(Oid relid, const char *name, TupleDesc *desc)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 2, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	*desc = CreateTupleDescCopy(RelationGetDescr(rel));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

/* Add one fault */
static void
add_fault(Oid relid, List **faults, char *problem)
{
	DgArmFault *fault = palloc(sizeof(DgArmFault));

	fault->relid = relid;
	fault->problem = problem;
	*faults = lappend(*faults, fault);
}
