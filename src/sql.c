/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  run queries on delete_guard's own tables as their owner
 *
 * Words.  "Own" tables, sequences and queries are those in the schema
 * delete_guard.  "Acting as" a role means: that user id, a security-restricted
 * operation, and search_path pinned, as the server itself does for index
 * expressions and maintenance (see SECURITY_RESTRICTED_OPERATION in
 * miscadmin.h), so that nothing a user defined runs with more rights than its
 * author has.
 *
 * Own queries see the latest snapshot, whatever the isolation level of the
 * transaction: an approval that somebody else used must never look unused.
 *
 * Acting is undone by dg_act_back; after an error the abort of the
 * (sub)transaction restores user id and settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "sql.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define DG_SCHEMA "delete_guard"

/* Depth of own writes in progress; their triggers let these through */
static int	own_write_depth = 0;

/* Own relations looked up lately, by the address of their name */
#define DG_OWN_MAX 16
static struct
{
	const char *name;
	Oid			relid;
}			own[DG_OWN_MAX];
static int	nown = 0;
static bool own_callback_registered = false;

static void remember_own(const char *name, Oid relid);
static void forget_own(Datum arg, int cacheid, uint32 hashvalue);

/*
 * Switch to a role, restricted, with search_path pinned.  *saved receives
 * what dg_act_back needs.
 */
void
dg_act_as(Oid roleid, DgRoleState *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(roleid,
						   saved->sec_context | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
	saved->guc_nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Go back to the role and the settings from before dg_act_as.
 */
void
dg_act_back(const DgRoleState *saved)
{
	AtEOXact_GUC(false, saved->guc_nestlevel);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}

/*
 * Owner of a relation.  Raises an error if it does not exist.
 */
Oid
dg_relation_owner(Oid relid)
{
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * May the current role see what is in these columns, of all rows?
 */
bool
dg_may_read(Oid relid, const int16 *attnums, int nattnums)
{
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < nattnums; i++)
	{
		if (pg_attribute_aclcheck(relid, attnums[i], GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return nattnums > 0;
}

/*
 * Can the owner of a table read it?  He may have taken the right from himself.
 */
bool
dg_owner_may_read(Oid relid)
{
	Oid			owner = dg_relation_owner(relid);
	Datum		usage = DirectFunctionCall3(has_schema_privilege_id_id, ObjectIdGetDatum(owner),
											ObjectIdGetDatum(get_rel_namespace(relid)),
											CStringGetTextDatum("USAGE"));

	return pg_class_aclcheck(relid, owner, ACL_SELECT) == ACLCHECK_OK && DatumGetBool(usage);
}

/*
 * OID of one of delete_guard's own relations, InvalidOid if it is not there.
 */
Oid
dg_own_relation_if_any(const char *name)
{
	Oid			schema = get_namespace_oid(DG_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

/*
 * OID of one of delete_guard's own relations; name is a string constant.
 * Raises an error if the extension is not (or no longer) there.
 */
Oid
dg_own_relation(const char *name)
{
	Oid			relid;

	for (int i = 0; i < nown; i++)
	{
		if (own[i].name == name)
			return own[i].relid;
	}
	relid = dg_own_relation_if_any(name);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", DG_SCHEMA, name),
				 errhint("Create the extension delete_guard in this database.")));
	remember_own(name, relid);
	return relid;
}

/* Remember an OID until the catalogs change */
static void
remember_own(const char *name, Oid relid)
{
	if (!own_callback_registered)
	{
		CacheRegisterSyscacheCallback(RELOID, forget_own, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget_own, (Datum) 0);
		own_callback_registered = true;
	}
	if (nown == DG_OWN_MAX)
		nown = 0;
	own[nown].name = name;
	own[nown++].relid = relid;
}

/* Syscache callback: some relation or schema was made, changed or dropped */
static void
forget_own(Datum arg, int cacheid, uint32 hashvalue)
{
	nown = 0;
}

/*
 * The schema of delete_guard's own objects; InvalidOid if there is none.
 */
Oid
dg_own_schema(void)
{
	return get_namespace_oid(DG_SCHEMA, true);
}

/*
 * The role that owns delete_guard's tables.
 */
Oid
dg_own_owner(void)
{
	return dg_relation_owner(dg_own_relation("event"));
}

/*
 * Next value of one of delete_guard's own sequences, without a privilege
 * check: the caller of a guarded statement has none there.  The transaction has
 * an xid before it has the number; tally.c builds on that.
 */
int64
dg_own_nextval(const char *sequence)
{
	if (!XactReadOnly && !IsInParallelMode())	/* nextval says no to these */
		(void) GetTopTransactionId();
	return nextval_internal(dg_own_relation(sequence), false);
}

/*
 * Is an own query running?  The triggers on the own tables ask this.
 */
bool
dg_own_write_active(void)
{
	return own_write_depth > 0;
}

/*
 * Connect to SPI, acting as a role.
 */
void
dg_connect_as(Oid roleid, DgRoleState *saved)
{
	dg_act_as(roleid, saved);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/*
 * End what dg_connect_as began.  Results of queries are gone after it.
 */
void
dg_finish_as(const DgRoleState *saved)
{
	SPI_finish();
	dg_act_back(saved);
}

/*
 * Run a query on the latest snapshot, between dg_connect_as and dg_finish_as.
 * nulls is as for SPI_execute_with_args.  Returns the SPI result code;
 * SPI_processed and SPI_tuptable hold the result.
 */
int
dg_latest_query(const char *query, int nargs, Oid *argtypes, Datum *values,
				const char *nulls, bool read_only, long count)
{
	SPIPlanPtr	plan;
	int			result;

	plan = SPI_prepare(query, nargs, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	result = SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot,
								  read_only, true, count);
	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	return result;
}

/*
 * Connect to SPI as the owner of the own tables.  Own queries are short, whatever
 * the planner thinks of a small table that nobody has analyzed: to compile them
 * would take a hundred times as long.
 */
void
dg_own_connect(DgRoleState *saved)
{
	dg_connect_as(dg_own_owner(), saved);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * End what dg_own_connect began.  Results of own queries are gone after it.
 */
void
dg_own_finish(const DgRoleState *saved)
{
	dg_finish_as(saved);
}

/*
 * dg_latest_query on own tables, between dg_own_connect and dg_own_finish.
 */
int
dg_own_query(const char *query, int nargs, Oid *argtypes, Datum *values,
			 const char *nulls, bool read_only, long count)
{
	int			result;

	own_write_depth++;
	PG_TRY();
	{
		result = dg_latest_query(query, nargs, argtypes, values, nulls, read_only, count);
	}
	PG_FINALLY();
	{
		own_write_depth--;
	}
	PG_END_TRY();
	return result;
}

/*
 * Has the library written an event in this database?  Until then, what is in
 * the own tables has been loaded from a dump.  use_count tells, or, should it
 * have been set back, what no dump takes along.
 */
bool
dg_own_used(void)
{
	DgRoleState saved;
	bool		isnull;
	bool		result;

	dg_own_connect(&saved);
	dg_own_query("SELECT is_called OR EXISTS (SELECT FROM delete_guard.attempt)"
				 " OR EXISTS (SELECT FROM delete_guard.tally WHERE kind = 'pending')"
				 " FROM delete_guard.use_count", 0, NULL, NULL, NULL, false, 1);
	result = SPI_processed != 1 ||
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	dg_own_finish(&saved);
	return result;
}
