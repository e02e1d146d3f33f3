/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  the person behind the session
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_IDENTITY_H
#define DELETE_GUARD_IDENTITY_H

/* An authenticated identity; strings live in the caller's context */
typedef struct DgPerson
{
	Oid			roleid;
	char	   *name;			/* role name when it was taken */
	char	   *authn;			/* authenticated name, NULL if not known */
} DgPerson;

extern DgPerson dg_person_current(void);
extern bool dg_person_differs(const DgPerson *a, const DgPerson *b);
extern Datum dg_client_address(bool *isnull);

#endif							/* DELETE_GUARD_IDENTITY_H */
