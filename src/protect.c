/*-------------------------------------------------------------------------
 *
 * protect.c
 *	  SQL functions protect and unprotect
 *
 * Rights: the settings of a table are its owner's to make; weaker ones, and
 * none, need an approval (see change.c).
 *
 * Locks: SHARE ROW EXCLUSIVE on the table and everything below it, as ADD
 * FOREIGN KEY takes, so that no removal is under way meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "arm.h"
#include "catalog.h"
#include "describe.h"
#include "identity.h"
#include "lookup.h"
#include "reference.h"
#include "setting.h"
#include "sql.h"
#include "steps.h"
#include "suspect.h"

PG_FUNCTION_INFO_V1(delete_guard_protect);
PG_FUNCTION_INFO_V1(delete_guard_unprotect);

static bool is_weaker(const DgProtection *after, const DgProtection *before);
static char *settings_details(const DgProtection *protection);
static void raise_not_protected(Oid relid);
static void rearm_below(Oid relid);
static void check_protectable(Oid relid);
static void check_relation_kind(Relation rel);
static DgMode parse_mode(const char *mode);
static DgScope parse_scope(const char *scope);
static void store_protection(const DgProtection *protection);
static void report_protection(const DgProtection *protection);
static void report_reference(const DgReference *ref, const char *table);
static void report_suspects(Oid relid);

/*
 * protect(table regclass, mode text, scope text, approvals integer)
 */
Datum
delete_guard_protect(PG_FUNCTION_ARGS)
{
	Oid			relid = dg_table_argument(fcinfo, 0, "table");
	DgProtection protection;
	DgProtection before;
	DgProtection above;

	protection.relid = relid;
	protection.mode = parse_mode(PG_ARGISNULL(1) ? "block" : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	protection.scope = parse_scope(PG_ARGISNULL(2) ? "referenced" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	protection.approvals = PG_ARGISNULL(3) ? 1 : PG_GETARG_INT32(3);
	if (protection.approvals < 1 || protection.approvals > 100)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of approvals must be between 1 and 100")));
	dg_lock_owned(relid);
	check_protectable(relid);
	if (dg_protection_find(relid, &above) && above.relid != relid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is protected through \"%s\" already",
						get_rel_name(relid), get_rel_name(above.relid)),
				 errhint("Change the settings of \"%s\" instead.", get_rel_name(above.relid))));

	if (dg_protection_read(relid, &before) && is_weaker(&protection, &before))
		dg_setting_permit("protect", relid, dg_setting_protect(&protection), NULL,
						  settings_details(&protection));
	else
		dg_journal_step("protect", relid, settings_details(&protection));
	store_protection(&protection);
	dg_catalog_changed("protected_table");
	dg_arm(relid);
	report_protection(&protection);
	PG_RETURN_VOID();
}

/*
 * unprotect(table regclass)
 *
 * Also takes the number of a table that is gone, whose row is then removed;
 * that is for the owner of the extension.
 */
Datum
delete_guard_unprotect(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? dg_table_argument(fcinfo, 0, "table") : PG_GETARG_OID(0);
	DgProtection protection;
	DgProtection above;
	Oid			argtype = OIDOID;
	Datum		arg = ObjectIdGetDatum(relid);
	DgRoleState saved;

	if (get_rel_name(relid))
		dg_lock_owned(relid);
	else
		dg_require_owner(dg_own_relation("protected_table"));
	if (!dg_protection_read(relid, &protection))
		raise_not_protected(relid);
	if (get_rel_name(relid))
		dg_setting_permit("unprotect", relid, dg_setting_call("unprotect", NULL, relid), NULL,
						  settings_details(&protection));
	else
		dg_journal_step("unprotect", InvalidOid, settings_details(&protection));
	dg_own_connect(&saved);
	dg_own_query("DELETE FROM delete_guard.protected_table WHERE table_id::oid = $1",
				 1, &argtype, &arg, NULL, false, 0);
	dg_own_finish(&saved);
	dg_catalog_changed("protected_table");
	if (get_rel_name(relid))
	{
		dg_disarm(relid);
		rearm_below(relid);
		if (dg_protection_find(relid, &above))
			dg_arm(above.relid);
	}
	PG_RETURN_VOID();
}

/* Does a table that is in block mode lose anything with these settings? */
static bool
is_weaker(const DgProtection *after, const DgProtection *before)
{
	return before->mode == DG_MODE_BLOCK &&
		(after->mode != DG_MODE_BLOCK || after->approvals < before->approvals ||
		 (before->scope == DG_SCOPE_ALL && after->scope != DG_SCOPE_ALL));
}

/* Settings as details of an event */
static char *
settings_details(const DgProtection *protection)
{
	return psprintf("{\"mode\":\"%s\",\"scope\":\"%s\",\"approvals\":%d}",
					dg_mode_name(protection->mode), dg_scope_name(protection->scope),
					protection->approvals);
}

/* Say that a table is not protected, or through which other one it is */
static void
raise_not_protected(Oid relid)
{
	DgProtection above;

	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (dg_protection_find(relid, &above))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is protected through \"%s\"",
						get_rel_name(relid), get_rel_name(above.relid)),
				 errhint("Unprotect \"%s\" instead.", get_rel_name(above.relid))));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" is not protected", get_rel_name(relid))));
}

/* Arm again what lies below a table and is protected in its own right */
static void
rearm_below(Oid relid)
{
	ListCell   *lc;

	foreach(lc, dg_hierarchy(relid))
	{
		DgProtection protection;

		if (lfirst_oid(lc) != relid && dg_protection_read(lfirst_oid(lc), &protection))
			dg_arm(lfirst_oid(lc));
	}
}

/* Can this table, with everything below it, be protected? */
static void
check_protectable(Oid relid)
{
	int16		identity[DG_MAX_KEYS];
	ListCell   *lc;

	foreach(lc, dg_hierarchy(relid))
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);

		check_relation_kind(rel);
		relation_close(rel, NoLock);
	}
	if (dg_identity_columns(relid, identity) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key or unique key", get_rel_name(relid)),
				 errdetail("A key is a primary key, or a unique index over NOT NULL columns that is not partial."),
				 errhint("Rows of a protected table are named by their key.  Add one first.")));
}

/* Kinds of relations that can be protected */
static void
check_relation_kind(Relation rel)
{
	const char *name = RelationGetRelationName(rel);
	char		relkind = rel->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect relation \"%s\"", name),
				 errdetail_relkind_not_supported(relkind)));
	if (IsSystemRelation(rel) ||
		RelationGetNamespace(rel) == get_namespace_oid("information_schema", true) ||
		RelationGetNamespace(rel) == get_namespace_oid("delete_guard", true))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect system table \"%s\"", name)));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect temporary table \"%s\"", name)));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect unlogged table \"%s\"", name),
				 errdetail("An unlogged table is emptied after a crash."),
				 errhint("Run ALTER TABLE ... SET LOGGED first.")));
	if (relkind == RELKIND_RELATION && rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot protect table \"%s\"", name),
				 errdetail("Only tables with the access method \"heap\" can be protected.")));
}

/* The mode that a word means */
static DgMode
parse_mode(const char *mode)
{
	if (strcmp(mode, dg_mode_name(DG_MODE_LOG)) == 0)
		return DG_MODE_LOG;
	if (strcmp(mode, dg_mode_name(DG_MODE_BLOCK)) == 0)
		return DG_MODE_BLOCK;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid mode: \"%s\"", mode),
			 errhint("Modes are \"log\" and \"block\".")));
}

/* The scope that a word means */
static DgScope
parse_scope(const char *scope)
{
	if (strcmp(scope, dg_scope_name(DG_SCOPE_REFERENCED)) == 0)
		return DG_SCOPE_REFERENCED;
	if (strcmp(scope, dg_scope_name(DG_SCOPE_ALL)) == 0)
		return DG_SCOPE_ALL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid scope: \"%s\"", scope),
			 errhint("Scopes are \"referenced\" and \"all\".")));
}

/* Insert or update the row of a protection */
static void
store_protection(const DgProtection *protection)
{
	Oid			argtypes[5] = {OIDOID, TEXTOID, TEXTOID, INT4OID, TEXTOID};
	Datum		args[5] = {ObjectIdGetDatum(protection->relid),
		CStringGetTextDatum(dg_mode_name(protection->mode)),
		CStringGetTextDatum(dg_scope_name(protection->scope)),
		Int32GetDatum(protection->approvals),
	CStringGetTextDatum(dg_person_current().name)};
	DgRoleState saved;

	dg_own_connect(&saved);
	dg_own_query("INSERT INTO delete_guard.protected_table"
				 " (table_id, mode, scope, approvals, protected_by, protected_at)"
				 " VALUES ($1::regclass, $2, $3, $4, $5, now())"
				 " ON CONFLICT (table_id) DO UPDATE SET mode = excluded.mode,"
				 " scope = excluded.scope, approvals = excluded.approvals,"
				 " protected_by = excluded.protected_by, protected_at = excluded.protected_at",
				 5, argtypes, args, NULL, false, 0);
	dg_own_finish(&saved);
}

/* Tell what was found about a table that is protected now */
static void
report_protection(const DgProtection *protection)
{
	DgTable    *table = dg_table_acquire(protection->relid);
	const char *name = get_rel_name(protection->relid);

	if (table->nreferences == 0)
		ereport(NOTICE,
				(errmsg("no references to table \"%s\" were found", name),
				 errhint("Declare associations without a foreign key with delete_guard.declare_reference().")));
	for (int i = 0; i < table->nreferences; i++)
		report_reference(&table->references[i], name);
	dg_table_release(table);
	report_suspects(protection->relid);
	if (protection->mode == DG_MODE_BLOCK && !dg_has_approver(protection->relid))
		ereport(NOTICE,
				(errmsg("there is no approver for table \"%s\" yet", name),
				 errhint("Name one with SELECT delete_guard.add_approver('role').")));
}

/* Tell about one reference, and whether it has an index */
static void
report_reference(const DgReference *ref, const char *table)
{
	char	   *columns = dg_reference_columns(ref);

	ereport(NOTICE,
			(errmsg("table \"%s\" is referenced by \"%s\" (%s), %s, on delete: %s", table,
					get_rel_name(ref->referencing), columns,
					dg_kind_name(ref->kind), dg_effect_name(ref->on_delete))));
	if (!dg_reference_has_index(ref))
		ereport(NOTICE,
				(errmsg("\"%s\" (%s) has no usable index", get_rel_name(ref->referencing), columns),
				 errdetail("Each statement that removes rows of \"%s\" scans all of it.", table),
				 errhint("Consider CREATE INDEX ON %s (%s).",
						 dg_qualified_name(ref->referencing), columns)));
}

/*
 * Tell which columns look like references to a table and are none: named
 * after it, of a type that can hold its key.
 */
static void
report_suspects(Oid relid)
{
	ListCell   *lc;

	foreach(lc, dg_suspects(relid)->list)
	{
		const DgSuspect *suspect = lfirst(lc);

		if (suspect->referenced != relid || suspect->by_value || suspect->beside_type ||
			suspect->strength < DG_NAMED_AFTER)
			continue;
		ereport(NOTICE,
				(errmsg("column %s of %s looks like a reference to \"%s\", but is neither a foreign key nor declared",
						get_attname(suspect->referencing, suspect->attnum, false),
						dg_qualified_name(suspect->referencing), get_rel_name(relid)),
				 errhint("If it is one: %s", dg_suspect_call(suspect, NULL))));
	}
}
