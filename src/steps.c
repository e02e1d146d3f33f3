/*-------------------------------------------------------------------------
 *
 * steps.c
 *	  what the SQL functions that change settings and requests share
 *
 * Arguments, rights, and the event that each step leaves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "journal.h"
#include "ownrow.h"
#include "sql.h"
#include "steps.h"

static bool is_somebody_named(Oid table_id, bool able);
static bool is_able(Oid roleid, const char *name);
static bool finds_any(const char *query);

/*
 * A regclass argument, which must not be NULL and must exist; what names it in
 * messages.
 */
Oid
dg_table_argument(FunctionCallInfo fcinfo, int argno, const char *what)
{
	Oid			relid;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", what)));
	relid = PG_GETARG_OID(argno);
	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return relid;
}

/*
 * A name[] argument as numbers of columns of a table, at most DG_MAX_KEYS;
 * returns how many.  Each must exist and be named once.
 */
int
dg_columns_argument(FunctionCallInfo fcinfo, int argno, Oid relid, int16 *attnums)
{
	Datum	   *name;
	bool	   *isnull;
	int			n;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("referencing columns must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argno), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &name, &isnull, &n);
	if (n < 1 || n > DG_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of columns must be between 1 and %d", DG_MAX_KEYS)));
	for (int i = 0; i < n; i++)
	{
		attnums[i] = isnull[i] ? InvalidAttrNumber :
			get_attnum(relid, NameStr(*DatumGetName(name[i])));
		if (attnums[i] <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							isnull[i] ? "" : NameStr(*DatumGetName(name[i])), get_rel_name(relid))));
		for (int j = 0; j < i; j++)
		{
			if (attnums[j] == attnums[i])
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice", NameStr(*DatumGetName(name[i])))));
		}
	}
	return n;
}

/*
 * A text argument as a string in the current context, NULL for NULL.
 */
char *
dg_text_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * Raise an error unless the current role has the rights of the table's owner.
 */
void
dg_require_owner(Oid relid)
{
	if (!has_privs_of_role(GetUserId(), dg_relation_owner(relid)))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
}

/*
 * Lock a table against removals of its rows (SHARE ROW EXCLUSIVE), to the end
 * of the transaction.  The current role must own it; that is checked before
 * too, so that nobody else can queue for the lock.
 */
void
dg_lock_owned(Oid relid)
{
	dg_require_owner(relid);
	LockRelationOid(relid, ShareRowExclusiveLock);
	dg_require_owner(relid);
}

/*
 * Is there an approver for the table, or for all?  InvalidOid asks for one of
 * changes that concern all tables.
 */
bool
dg_has_approver(Oid table_id)
{
	return OidIsValid(table_id) ? is_somebody_named(table_id, false) :
		finds_any("SELECT FROM delete_guard._approver_for WHERE coalesce(for_table, 0) = 0");
}

/*
 * Is one of those who may approve for a table, or for all for InvalidOid, still
 * there under his name, and able to log in?
 */
bool
dg_has_able_approver(Oid table_id)
{
	return OidIsValid(table_id) ? is_somebody_named(table_id, true) :
		finds_any("SELECT FROM delete_guard._approver_for p JOIN pg_catalog.pg_roles r"
				  " ON r.oid = p.role AND r.rolname = p.role_name AND r.rolcanlogin"
				  " WHERE coalesce(p.for_table, 0) = 0");
}

/*
 * What _approver_for says of a table, without SQL, as each refusal asks: is
 * somebody named for it, or for all?  With able, somebody who can log in.
 */
static bool
is_somebody_named(Oid table_id, bool able)
{
	Relation	rel = table_open(dg_own_relation("approver"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	bool		found = false;
	HeapTuple	tuple;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			scope = DatumGetObjectId(dg_ownrow_get(rel, tuple, "table_id", &isnull));

		if (scope == InvalidOid || scope == table_id)
			found = !able ||
				is_able(DatumGetObjectId(dg_ownrow_get(rel, tuple, "role", &isnull)),
						NameStr(*DatumGetName(dg_ownrow_get(rel, tuple, "role_name", &isnull))));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* Is there still a role of this number and name that can log in? */
static bool
is_able(Oid roleid, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(roleid));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);

		result = role->rolcanlogin && strcmp(NameStr(role->rolname), name) == 0;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Has an own query any row? */
static bool
finds_any(const char *query)
{
	DgRoleState saved;
	bool		result;

	dg_own_connect(&saved);
	dg_own_query(query, 0, NULL, NULL, NULL, true, 1);
	result = SPI_processed > 0;
	dg_own_finish(&saved);
	return result;
}

/*
 * A string as a JSON string; in the current context.
 */
char *
dg_quote_json(const char *string)
{
	StringInfoData buf;

	initStringInfo(&buf);
	escape_json(&buf, string);
	return buf.data;
}

/*
 * Journal a step that is no removal: what was done to which table (or
 * InvalidOid), with details as JSON.
 */
void
dg_journal_step(const char *operation, Oid table_id, const char *details)
{
	DgEvent		event = {0};

	event.operation = operation;
	event.outcome = "done";
	event.table_id = table_id;
	event.row_count = -1;
	event.details = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(details)));
	dg_journal_event(dg_journal_reserve(), &event, false);
}
