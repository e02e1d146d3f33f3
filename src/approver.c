/*-------------------------------------------------------------------------
 *
 * approver.c
 *	  SQL functions add_approver and remove_approver
 *
 * Rights: approvers of one table are named by its owner; approvers of every
 * table by the owner of the extension.  Once there is one for a table in block
 * mode, changing them needs an approval (see change.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "identity.h"
#include "setting.h"
#include "sql.h"
#include "steps.h"

PG_FUNCTION_INFO_V1(delete_guard_add_approver);
PG_FUNCTION_INFO_V1(delete_guard_remove_approver);

static char *role_argument(FunctionCallInfo fcinfo, int argno);
static Oid	scope_argument(FunctionCallInfo fcinfo, int argno, bool must_be_protected);
static bool role_can_login(Oid roleid);
static void permit(const char *function, const char *role, Oid table_id, bool no_change);
static bool is_named(Oid roleid, const char *role, Oid table_id);

/*
 * add_approver(role name, table regclass)
 */
Datum
delete_guard_add_approver(PG_FUNCTION_ARGS)
{
	char	   *role = role_argument(fcinfo, 0);
	Oid			roleid = get_role_oid(role, false);
	Oid			table_id = scope_argument(fcinfo, 1, true);
	Oid			argtypes[4] = {OIDOID, TEXTOID, OIDOID, TEXTOID};
	Datum		args[4] = {ObjectIdGetDatum(roleid), CStringGetTextDatum(role),
	ObjectIdGetDatum(table_id), CStringGetTextDatum(dg_person_current().name)};
	DgRoleState saved;

	if (!role_can_login(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role \"%s\" cannot log in", role),
				 errdetail("An approver is a person: approvals count for the role that authenticated, not for roles it is a member of.")));
	permit("add_approver", role, table_id, is_named(roleid, role, table_id));
	dg_own_connect(&saved);
	dg_own_query("INSERT INTO delete_guard.approver (role, role_name, table_id, added_by, added_at)"
				 " VALUES ($1::regrole, $2, $3::regclass, $4, clock_timestamp())"
				 " ON CONFLICT (role, table_id) DO UPDATE SET role_name = excluded.role_name,"
				 " added_by = excluded.added_by, added_at = excluded.added_at"
				 " WHERE approver.role_name <> excluded.role_name",
				 4, argtypes, args, NULL, false, 0);
	dg_own_finish(&saved);
	PG_RETURN_VOID();
}

/*
 * remove_approver(role name, table regclass)
 */
Datum
delete_guard_remove_approver(PG_FUNCTION_ARGS)
{
	char	   *role = role_argument(fcinfo, 0);
	Oid			table_id = scope_argument(fcinfo, 1, false);
	Oid			argtypes[2] = {TEXTOID, OIDOID};
	Datum		args[2] = {CStringGetTextDatum(role), ObjectIdGetDatum(table_id)};
	DgRoleState saved;
	bool		found;

	dg_own_connect(&saved);
	dg_own_query("SELECT FROM delete_guard.approver WHERE role_name = $1 AND table_id::oid = $2",
				 2, argtypes, args, NULL, false, 1);
	found = SPI_processed > 0;
	dg_own_finish(&saved);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 OidIsValid(table_id) ?
				 errmsg("role \"%s\" is not an approver for table \"%s\"", role,
						get_rel_name(table_id) ? get_rel_name(table_id) : psprintf("%u", table_id)) :
				 errmsg("role \"%s\" is not an approver for all tables", role)));
	permit("remove_approver", role, table_id, false);
	dg_own_connect(&saved);
	dg_own_query("DELETE FROM delete_guard.approver WHERE role_name = $1 AND table_id::oid = $2",
				 2, argtypes, args, NULL, false, 0);
	dg_own_finish(&saved);
	PG_RETURN_VOID();
}

/*
 * Returns if the approvers may be changed, with an event; no_change says that
 * nothing will be.
 */
static void
permit(const char *function, const char *role, Oid table_id, bool no_change)
{
	char	   *details = psprintf("{\"role\":%s}", dg_quote_json(role));

	if (OidIsValid(table_id) && get_rel_name(table_id) == NULL)
		dg_journal_step(function, InvalidOid, details);
	else if (no_change)
		dg_journal_step(function, table_id, details);
	else
		dg_setting_permit(function, table_id, dg_setting_call(function, role, table_id),
						  dg_setting_role(role), details);
}

/* Is the role an approver for the table, or for all, already? */
static bool
is_named(Oid roleid, const char *role, Oid table_id)
{
	Oid			argtypes[3] = {OIDOID, TEXTOID, OIDOID};
	Datum		args[3] = {ObjectIdGetDatum(roleid), CStringGetTextDatum(role),
	ObjectIdGetDatum(table_id)};
	DgRoleState saved;
	bool		result;

	dg_own_connect(&saved);
	dg_own_query("SELECT FROM delete_guard.approver WHERE role::oid = $1 AND role_name = $2"
				 " AND table_id::oid IN (0, $3)", 3, argtypes, args, NULL, false, 1);
	result = SPI_processed > 0;
	dg_own_finish(&saved);
	return result;
}

/* The role's name; must not be NULL */
static char *
role_argument(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("role must not be null")));
	return pstrdup(NameStr(*PG_GETARG_NAME(argno)));
}

/*
 * The table, InvalidOid for all; raises an error unless the current role may
 * name approvers for it.
 */
static Oid
scope_argument(FunctionCallInfo fcinfo, int argno, bool must_be_protected)
{
	DgProtection protection;
	Oid			table_id;

	/* what is left of a table that is gone is the owner of the extension's to remove */
	if (!must_be_protected && !PG_ARGISNULL(argno) && get_rel_name(PG_GETARG_OID(argno)) == NULL)
	{
		dg_require_owner(dg_own_relation("approver"));
		return PG_GETARG_OID(argno);
	}
	table_id = PG_ARGISNULL(argno) ? InvalidOid : dg_table_argument(fcinfo, argno, "table");
	if (OidIsValid(table_id))
	{
		dg_require_owner(table_id);
		if (must_be_protected && !dg_protection_read(table_id, &protection))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("table \"%s\" is not protected", get_rel_name(table_id))));
	}
	else if (!has_privs_of_role(GetUserId(), dg_own_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change the approvers for all tables"),
				 errhint("The owner of the extension delete_guard can do this; the owner of a table can name approvers for that table.")));
	return table_id;
}

/* May the role log in? */
static bool
role_can_login(Oid roleid)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(roleid));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
		ReleaseSysCache(tuple);
	}
	return result;
}
