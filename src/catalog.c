/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  protected tables and declared references, as stored; cache signals
 *
 * Words.  A "protection" is one row of protected_table; it covers the table
 * and everything below it (partitions, inheritance children).  A
 * "declaration" is one row of declared_reference.  The "generation" is a
 * number that grows whenever something that was watched may have changed;
 * caches built from what this module reads compare it.
 *
 * Invalidation.  Every change to an own table sends a relcache invalidation
 * for it (dg_catalog_changed), so that other backends see it when they next
 * accept messages, which is at the latest when they lock a relation.  Changes
 * to foreign keys, indexes and columns of the tables concerned send relcache
 * invalidations by themselves.  The callbacks only bump the generation; so
 * does a change to a schema, whose name is part of what caches hold.
 *
 * Own tables are read by a sequential scan under a fresh catalog snapshot:
 * they hold a row per protected table or association, and are read only when
 * a cache entry is built.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "compat.h"
#include "sql.h"

/* Column numbers of the own tables read here */
#define Anum_protected_table_table_id 1
#define Anum_protected_table_mode 2
#define Anum_protected_table_scope 3
#define Anum_protected_table_approvals 4
#define Natts_protected_table 6

#define Anum_declared_name 1
#define Anum_declared_referencing 2
#define Anum_declared_referencing_columns 3
#define Anum_declared_referencing_attnums 4
#define Anum_declared_referencing_oid 5
#define Anum_declared_referenced 6
#define Anum_declared_referenced_columns 7
#define Anum_declared_referenced_attnums 8
#define Anum_declared_referenced_oid 9
#define Anum_declared_condition 10
#define Natts_declared 12

/* Relations whose invalidation bumps the generation; lives for the backend */
static HTAB *watched = NULL;
static uint64 generation = 1;
static bool callback_registered = false;

/* Name looked up last, by dg_qualified_name */
static Oid	named_relid = InvalidOid;
static char named[2 * (2 * NAMEDATALEN + 2) + 2];
static uint64 names_generation = 1;

static List *read_protections(Oid relid);
static DgProtection *protection_from_tuple(HeapTuple tuple, TupleDesc desc);
static char *make_qualified_name(Oid relid);
static void names_callback(Datum arg, int cacheid, uint32 hashvalue);
static void catalog_callback(Datum arg, int cacheid, uint32 hashvalue);
static void relcache_callback(Datum arg, Oid relid);
static void prepare_watching(void);
static bool declaration_from_tuple(HeapTuple tuple, TupleDesc desc,
								   List *relids, DgDeclaration *declaration);
static int	resolve_columns(Oid relid, Datum names, Datum attnums,
							Oid recorded_oid, int16 *result);

/*
 * The relation itself and everything it is a partition or a child of, nearest
 * first.  List of OIDs in the current context.
 */
List *
dg_ancestors(Oid relid)
{
	List	   *result = list_make1_oid(relid);
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);

	for (int i = 0; i < list_length(result); i++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(list_nth_oid(result, i)));
		scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true,
								  NULL, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			result = list_append_unique_oid(result,
											((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
		systable_endscan(scan);
	}
	table_close(inherits, AccessShareLock);
	return result;
}

/*
 * Read the protection registered for exactly this relation.  False if there
 * is none.
 */
bool
dg_protection_read(Oid relid, DgProtection *protection)
{
	List	   *found = read_protections(relid);

	if (found == NIL)
		return false;
	*protection = *(DgProtection *) linitial(found);
	list_free_deep(found);
	return true;
}

/*
 * All protections: list of DgProtection in the current context.
 */
List *
dg_protections_all(void)
{
	return read_protections(InvalidOid);
}

/* The protections of one table, or of all */
static List *
read_protections(Oid relid)
{
	Relation	rel = table_open(dg_own_relation("protected_table"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key, Anum_protected_table_table_id, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, OidIsValid(relid) ? 1 : 0, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = lappend(result, protection_from_tuple(tuple, RelationGetDescr(rel)));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* A row of protected_table */
static DgProtection *
protection_from_tuple(HeapTuple tuple, TupleDesc desc)
{
	DgProtection *protection = palloc(sizeof(DgProtection));
	Datum		values[Natts_protected_table];
	bool		nulls[Natts_protected_table];
	char	   *mode;
	char	   *scope;

	heap_deform_tuple(tuple, desc, values, nulls);
	mode = TextDatumGetCString(values[Anum_protected_table_mode - 1]);
	scope = TextDatumGetCString(values[Anum_protected_table_scope - 1]);
	protection->relid = DatumGetObjectId(values[Anum_protected_table_table_id - 1]);
	protection->mode = strcmp(mode, "log") == 0 ? DG_MODE_LOG : DG_MODE_BLOCK;
	protection->scope = strcmp(scope, "referenced") == 0 ? DG_SCOPE_REFERENCED : DG_SCOPE_ALL;
	protection->approvals = DatumGetInt32(values[Anum_protected_table_approvals - 1]);
	return protection;
}

/*
 * Find the protection that covers a relation: its own, or that of a table above
 * it.  If there are several, as a table has become a partition or a child since
 * it was protected, it is that of the nearest in block mode, if any is, so that
 * its approvers stay who they were; with as wide a scope and as many approvals as
 * any above it has in the same mode.
 */
bool
dg_protection_find(Oid relid, DgProtection *protection)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, dg_ancestors(relid))
	{
		DgProtection one;

		if (!dg_protection_read(lfirst_oid(lc), &one))
			continue;
		if (!found || one.mode > protection->mode)
			*protection = one;
		else if (one.mode == protection->mode)
		{
			protection->approvals = Max(one.approvals, protection->approvals);
			protection->scope = Max(one.scope, protection->scope);
		}
		found = true;
	}
	return found;
}

/*
 * All declarations that refer to one of these relations.  List of
 * DgDeclaration in the current context.  A declaration whose columns or
 * tables are gone is left out; health() reports it.
 */
List *
dg_declarations_to(List *relids)
{
	Relation	rel = table_open(dg_own_relation("declared_reference"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *result = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		DgDeclaration *declaration = palloc0(sizeof(DgDeclaration));

		if (declaration_from_tuple(tuple, RelationGetDescr(rel), relids, declaration))
			result = lappend(result, declaration);
		else
			pfree(declaration);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Fill a declaration; false if it does not refer to relids or is void */
static bool
declaration_from_tuple(HeapTuple tuple, TupleDesc desc, List *relids,
					   DgDeclaration *declaration)
{
	Datum		values[Natts_declared];
	bool		nulls[Natts_declared];

	heap_deform_tuple(tuple, desc, values, nulls);
	declaration->referenced = DatumGetObjectId(values[Anum_declared_referenced - 1]);
	if (!list_member_oid(relids, declaration->referenced))
		return false;
	declaration->referencing = DatumGetObjectId(values[Anum_declared_referencing - 1]);
	declaration->ncolumns =
		resolve_columns(declaration->referencing,
						values[Anum_declared_referencing_columns - 1],
						values[Anum_declared_referencing_attnums - 1],
						DatumGetObjectId(values[Anum_declared_referencing_oid - 1]),
						declaration->referencing_attnums);
	if (declaration->ncolumns == 0 ||
		resolve_columns(declaration->referenced,
						values[Anum_declared_referenced_columns - 1],
						values[Anum_declared_referenced_attnums - 1],
						DatumGetObjectId(values[Anum_declared_referenced_oid - 1]),
						declaration->referenced_attnums) != declaration->ncolumns)
		return false;
	declaration->name = TextDatumGetCString(values[Anum_declared_name - 1]);
	if (!nulls[Anum_declared_condition - 1])
		declaration->condition = TextDatumGetCString(values[Anum_declared_condition - 1]);
	return true;
}

/*
 * Today's numbers of recorded columns; returns how many, 0 if one is gone.
 * The recorded numbers lead as long as the table is the one they were
 * recorded for; after a dump and restore the names do.
 */
static int
resolve_columns(Oid relid, Datum names, Datum attnums, Oid recorded_oid,
				int16 *result)
{
	Datum	   *name;
	Datum	   *attnum;
	int			nnames;
	int			nattnums;

	deconstruct_array(DatumGetArrayTypeP(names), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &name, NULL, &nnames);
	deconstruct_array(DatumGetArrayTypeP(attnums), INT2OID, sizeof(int16), true,
					  TYPALIGN_SHORT, &attnum, NULL, &nattnums);
	if (nnames > DG_MAX_KEYS || (relid == recorded_oid && nattnums != nnames))
		return 0;
	for (int i = 0; i < nnames; i++)
	{
		if (relid == recorded_oid)
		{
			result[i] = DatumGetInt16(attnum[i]);
			if (!OidIsValid(get_atttype(relid, result[i])))
				return 0;
		}
		else
		{
			result[i] = get_attnum(relid, NameStr(*DatumGetName(name[i])));
			if (result[i] == InvalidAttrNumber)
				return 0;
		}
	}
	return nnames;
}

/*
 * Store the names that declared columns of a table have now, so that a dump
 * knows them by these.  Their numbers stay.
 */
void
dg_declarations_follow_names(Oid relid)
{
	static const char *const query =
		"UPDATE delete_guard.declared_reference d SET"
		" referencing_columns = ARRAY(SELECT a.attname"
		"  FROM unnest(d.referencing_attnums) WITH ORDINALITY AS u(n, o)"
		"  JOIN pg_attribute a ON a.attrelid = d.referencing::oid AND a.attnum = u.n ORDER BY o),"
		" referenced_columns = ARRAY(SELECT a.attname"
		"  FROM unnest(d.referenced_attnums) WITH ORDINALITY AS u(n, o)"
		"  JOIN pg_attribute a ON a.attrelid = d.referenced::oid AND a.attnum = u.n ORDER BY o)"
		" WHERE $1 IN (d.referencing::oid, d.referenced::oid)"
		" AND d.referencing::oid = d.referencing_oid AND d.referenced::oid = d.referenced_oid";
	Oid			argtype = OIDOID;
	Datum		arg = ObjectIdGetDatum(relid);
	DgRoleState saved;
	bool		changed;

	dg_own_connect(&saved);
	dg_own_query(query, 1, &argtype, &arg, NULL, false, 0);
	changed = SPI_processed > 0;
	dg_own_finish(&saved);
	if (changed)
		dg_catalog_changed("declared_reference");
}

/* The word stored for a mode */
const char *
dg_mode_name(DgMode mode)
{
	return mode == DG_MODE_LOG ? "log" : "block";
}

/* The word stored for a scope */
const char *
dg_scope_name(DgScope scope)
{
	return scope == DG_SCOPE_REFERENCED ? "referenced" : "all";
}

/*
 * Schema-qualified name of a relation, quoted only where it must be whatever
 * quote_all_identifiers says; in the current context.  Its OID as text if it is
 * gone.
 */
char *
dg_qualified_name(Oid relid)
{
	static bool registered = false;
	uint64		before;
	char	   *name;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(RELOID, names_callback, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, names_callback, (Datum) 0);
		registered = true;
	}
	if (relid == named_relid && OidIsValid(relid))
		return pstrdup(named);
	before = names_generation;
	name = make_qualified_name(relid);
	if (before == names_generation && strlen(name) < sizeof(named))
	{
		strcpy(named, name);
		named_relid = relid;
	}
	return name;
}

/* Syscache callback: some relation or schema was made, changed or dropped */
static void
names_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	names_generation++;
	named_relid = InvalidOid;
}

/* Look the name up */
static char *
make_qualified_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema;
	bool		quote_all = quote_all_identifiers;
	char	   *volatile result = NULL;

	if (name == NULL)
		return psprintf("%u", relid);
	schema = get_namespace_name(get_rel_namespace(relid));
	quote_all_identifiers = false;
	PG_TRY();
	{
		result = quote_qualified_identifier(schema, name);
	}
	PG_FINALLY();
	{
		quote_all_identifiers = quote_all;
	}
	PG_END_TRY();
	return result;
}

/*
 * Names of columns as name[], in the current context.
 */
Datum
dg_column_names(Oid relid, const int16 *attnums, int n)
{
	Datum		elements[DG_MAX_KEYS];

	for (int i = 0; i < n; i++)
		elements[i] = DirectFunctionCall1(namein,
										  CStringGetDatum(get_attname(relid, attnums[i], false)));
	return PointerGetDatum(construct_array(elements, n, NAMEOID, NAMEDATALEN,
										   false, TYPALIGN_CHAR));
}

/*
 * Names of columns, separated by commas; in the current context.
 */
char *
dg_column_list(Oid relid, const int16 *attnums, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", get_attname(relid, attnums[i], false));
	return buf.data;
}

/*
 * The number that was made when the extension was created in this database,
 * and that no dump takes along: where it stands, OIDs and attribute numbers
 * are this database's own.  0 if it is not there.
 */
int64
dg_origin(void)
{
	Relation	rel = table_open(dg_own_relation("origin"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple = systable_getnext(scan);
	int64		origin = 0;

	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		origin = DatumGetInt64(heap_getattr(tuple, 1, RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return origin;
}

/*
 * Tell every backend that one of the own tables changed, effective when this
 * transaction commits (and in this backend with the next command).
 */
void
dg_catalog_changed(const char *own_table)
{
	CacheInvalidateRelcacheByRelid(dg_own_relation(own_table));
	generation++;
}

/*
 * From now on a relcache invalidation of relid bumps the generation.
 */
void
dg_catalog_watch(Oid relid)
{
	prepare_watching();
	(void) hash_search(watched, &relid, HASH_ENTER, NULL);
}

/*
 * From now on a change to any function bumps the generation: conditions are
 * kept with the bodies of simple functions in them.
 */
void
dg_catalog_watch_functions(void)
{
	static bool registered = false;

	if (!registered)
		CacheRegisterSyscacheCallback(PROCOID, catalog_callback, (Datum) 0);
	registered = true;
}

/*
 * The number that caches compare.
 */
uint64
dg_catalog_generation(void)
{
	return generation;
}

/*
 * Forget what is watched; for the owner of a cache that starts afresh.  The
 * own tables stay watched.
 */
void
dg_catalog_unwatch_all(void)
{
	if (watched)
		hash_destroy(watched);
	watched = NULL;
	prepare_watching();
	dg_catalog_watch(dg_own_relation("protected_table"));
	dg_catalog_watch(dg_own_relation("declared_reference"));
}

/* Create the table of watched relations; register the callback once */
static void
prepare_watching(void)
{
	HASHCTL		ctl;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_callback, (Datum) 0);
		if (DG_KEYS_MAY_LACK_TRIGGERS)
			CacheRegisterSyscacheCallback(CONSTROID, catalog_callback, (Datum) 0);
		callback_registered = true;
	}
	if (watched == NULL)
	{
		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(Oid);
		ctl.hcxt = CacheMemoryContext;
		watched = hash_create("delete_guard watched relations", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
}

/*
 * Syscache callback: caches hold names of schemas, and foreign keys that not every
 * relation's invalidation tells of
 */
static void
catalog_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
}

/* Relcache callback: relid 0 stands for every relation */
static void
relcache_callback(Datum arg, Oid relid)
{
	if (watched == NULL)
		return;
	if (relid == InvalidOid ||
		hash_search(watched, &relid, HASH_FIND, NULL) != NULL)
		generation++;
}
