/*-------------------------------------------------------------------------
 *
 * delete_guard.c
 *	  what happens when the library is loaded
 *
 * Nobody calls this module.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "access.h"
#include "approval.h"
#include "change.h"
#include "ddlstate.h"
#include "guc.h"
#include "pending.h"
#include "utility.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(delete_guard_library_version);

void		_PG_init(void);

/*
 * Called by the server when the library is loaded.
 *
 * Callbacks run newest first: pending events must be written before the
 * approval flag is cleared, so theirs comes last.
 */
void
_PG_init(void)
{
	dg_guc_define();
	dg_approval_init();
	dg_change_init();
	dg_pending_init();
	dg_ddl_init();
	dg_access_init();
	if (process_shared_preload_libraries_in_progress)
		dg_utility_init();
}

/*
 * _library_version() returns text: the version the library was built as, to be
 * compared with the version of the SQL objects.
 */
Datum
delete_guard_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(DELETE_GUARD_VERSION));
}
