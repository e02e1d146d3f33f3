/*-------------------------------------------------------------------------
 *
 * setting.c
 *	  changes of delete_guard's own settings, and the texts that name them
 *
 * The action of a setting is the call that makes it, with all arguments by
 * position, tables by their qualified names, and every string quoted:
 * SELECT delete_guard.unprotect('public.teams').
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "setting.h"

/*
 * The action of protect() with these settings.
 */
char *
dg_setting_protect(const DgProtection *protection)
{
	return psprintf("SELECT delete_guard.protect(%s, '%s', '%s', %d)",
					quote_literal_cstr(dg_qualified_name(protection->relid)),
					dg_mode_name(protection->mode), dg_scope_name(protection->scope),
					protection->approvals);
}

/*
 * The action of a function that takes a name, or a table, or both; what it
 * does not take is NULL or InvalidOid.
 */
char *
dg_setting_call(const char *function, const char *name, Oid table_id)
{
	return psprintf("SELECT delete_guard.%s(%s%s%s)", function,
					name ? quote_literal_cstr(name) : "",
					name && OidIsValid(table_id) ? ", " : "",
					OidIsValid(table_id) ? quote_literal_cstr(dg_qualified_name(table_id)) : "");
}

/*
 * Which role a name means, for a call that takes one: dropped and made again,
 * or renamed, it is another.
 */
char *
dg_setting_role(const char *role)
{
	return dg_object_number(AuthIdRelationId, get_role_oid(role, true), 0);
}

/*
 * An interval as text that does not depend on IntervalStyle.
 */
char *
dg_setting_interval(Datum interval)
{
	int			nestlevel = NewGUCNestLevel();
	char	   *result;

	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	result = DatumGetCString(DirectFunctionCall1(interval_out, interval));
	AtEOXact_GUC(false, nestlevel);
	return result;
}

/*
 * A setting of a table, or of all for InvalidOid, as a change; the strings are
 * not copied.
 */
DgChange
dg_setting_change(const char *function, Oid table_id, const char *action,
				  const char *objects, const char *details)
{
	DgChange	change = {0};

	change.table_id = table_id;
	change.operation = function;
	change.action = action;
	change.objects = objects;
	change.free_without_approver = true;
	change.details = details;
	return change;
}

/*
 * Returns if the setting may be made weaker, with an event in this
 * transaction; see dg_change_permit.
 */
void
dg_setting_permit(const char *function, Oid table_id, const char *action,
				  const char *objects, const char *details)
{
	DgChange	change = dg_setting_change(function, table_id, action, objects, details);

	dg_change_permit(&change);
}
