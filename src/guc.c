/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  settings of delete_guard
 *
 * Storage and definition of every setting, and the syntax checks on them.
 * What a value means is decided elsewhere: nothing here reads a table.
 *
 * delete_guard.approval is the two-person session flag.  It may be set in a
 * session only (SET, SET LOCAL, set_config): a value that comes from a
 * configuration file, a role, a database or the connection's options is
 * refused, as it would name an approval for sessions that never asked for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "compat.h"
#include "guc.h"

char	   *dg_approval = NULL;
char	   *dg_claimed_user = NULL;
int			dg_request_lifetime = 3600;
int			dg_approval_lifetime = 900;
int			dg_record_timeout = 5000;
int			dg_capture_limit = -1;
int			dg_preview_limit = 100000;
bool		dg_enforce = true;

static bool check_approval(char **newval, void **extra, GucSource source);
static struct config_generic *approval_option(void);
static void define_lifetimes(void);
static void define_limits(void);

/*
 * Define all settings.  Called once, when the library is loaded.
 */
void
dg_guc_define(void)
{
	DefineCustomStringVariable("delete_guard.approval",
							   "Request whose approval the next statements of this transaction use.",
							   "One request number, or several separated by commas.  Cleared when the transaction ends.",
							   &dg_approval, "", PGC_USERSET,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_approval, NULL, dg_approval_in_force);
	DefineCustomStringVariable("delete_guard.claimed_user",
							   "Name that the application states for the person it acts for.",
							   "Stored with each event as an unverified claim.",
							   &dg_claimed_user, "", PGC_USERSET,
							   GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	define_lifetimes();
	define_limits();
	DefineCustomBoolVariable("delete_guard.enforce",
							 "Refuses what needs an approval and has none.",
							 "Off turns refusals into events with the outcome not_enforced.  Can only be set in the server's configuration.",
							 &dg_enforce, true, PGC_SIGHUP,
							 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("delete_guard");
}

/*
 * The flag, as far as this transaction set it; else "".  A flag set by an
 * earlier transaction, when the library was not loaded yet and could not clear
 * it, has nothing on its stack to go back to (see GucStack in guc_tables.h).
 */
const char *
dg_approval_in_force(void)
{
	struct config_generic *flag;

	if (dg_approval == NULL || dg_approval[0] == '\0')
		return "";
	flag = approval_option();
	return flag && flag->stack ? dg_approval : "";
}

/* What the server knows of the setting */
static struct config_generic *
approval_option(void)
{
#ifdef DG_HAVE_FIND_OPTION
	return find_option("delete_guard.approval", false, true, LOG);
#else
	struct config_generic **variables = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
	{
		if (strcmp(variables[i]->name, "delete_guard.approval") == 0)
			return variables[i];
	}
	return NULL;
#endif
}

/* How long a request waits for approval, and an approval for its use */
static void
define_lifetimes(void)
{
	DefineCustomIntVariable("delete_guard.request_lifetime",
							"How long a request can be approved.",
							NULL, &dg_request_lifetime,
							3600, 1, INT_MAX / 1000, PGC_SUSET,
							GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("delete_guard.approval_lifetime",
							"How long an approval can be used, from the last grant on.",
							NULL, &dg_approval_lifetime,
							900, 1, INT_MAX / 1000, PGC_SUSET,
							GUC_UNIT_S, NULL, NULL, NULL);
}

/* Bounds on recording and on capture */
static void
define_limits(void)
{
	DefineCustomIntVariable("delete_guard.record_timeout",
							"How long a refused statement waits for its record to be stored.",
							"After that the record is written to the server log instead.",
							&dg_record_timeout,
							5000, 10, 600000, PGC_SUSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("delete_guard.capture_limit",
							"Most rows of one statement whose images are stored.",
							"-1 means no limit.  An event whose images are cut says so in its details.",
							&dg_capture_limit,
							-1, -1, INT_MAX, PGC_SUSET,
							0, NULL, NULL, NULL);
	DefineCustomIntVariable("delete_guard.preview_limit",
							"Most rows that a preview follows before it stops and says so.",
							NULL, &dg_preview_limit,
							100000, 1, INT_MAX, PGC_USERSET,
							0, NULL, NULL, NULL);
}

/*
 * Check hook of delete_guard.approval: digits separated by commas and spaces,
 * set within a session.
 */
static bool
check_approval(char **newval, void **extra, GucSource source)
{
	const char *c = *newval;

	if (c == NULL || *c == '\0')
		return true;
	if (strspn(c, "0123456789, ") != strlen(c))
	{
		GUC_check_errdetail("The value must be a request number, or several separated by commas.");
		return false;
	}
	if (source != PGC_S_SESSION)
	{
		GUC_check_errdetail("The setting can only be changed within a session, with SET or SET LOCAL.");
		return false;
	}
	return true;
}
