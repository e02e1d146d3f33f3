/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  the person behind the session
 *
 * A person is who authenticated: the role that logged in, as
 * GetAuthenticatedUserId() tells, and the authenticated name where the server
 * knows one (peer, password, certificate, GSSAPI, ...; nothing under trust).
 * SET ROLE, SET SESSION AUTHORIZATION and SECURITY DEFINER change neither.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

/*
 * libpq-be.h wants the headers of these libraries, which server packages do
 * not bring along.  struct Port keeps its layout without them (see the comment
 * on its last fields).
 */
#undef ENABLE_GSS
#undef USE_OPENSSL
#undef USE_SSL

#include "fmgr.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "identity.h"

/*
 * The current person.  Strings are palloc'd in the current context.
 */
DgPerson
dg_person_current(void)
{
	DgPerson	person;
	const char *authn = DG_AUTHENTICATED_NAME();
	char	   *name;

	person.roleid = GetAuthenticatedUserId();
	name = GetUserNameFromId(person.roleid, true);
	person.name = name ? name : pstrdup("?");
	person.authn = authn ? pstrdup(authn) : NULL;
	return person;
}

/*
 * Are these two different persons?  Only if the roles differ (by OID and by
 * name) and the authenticated names, where both are known, differ too.
 */
bool
dg_person_differs(const DgPerson *a, const DgPerson *b)
{
	if (a->roleid == b->roleid || strcmp(a->name, b->name) == 0)
		return false;
	if (a->authn && b->authn && strcmp(a->authn, b->authn) == 0)
		return false;
	return true;
}

/*
 * The client's address as inet; *isnull for a Unix socket or no client.
 */
Datum
dg_client_address(bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum		result;

	*isnull = true;
	if (MyProcPort == NULL)
		return (Datum) 0;
	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	result = inet_client_addr(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}
