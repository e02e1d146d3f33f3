/*-------------------------------------------------------------------------
 *
 * change.h
 *	  may DDL, or a change of settings, go on?
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_CHANGE_H
#define DELETE_GUARD_CHANGE_H

#include "approval.h"

typedef struct DgChange
{
	Oid			table_id;		/* protected table as registered; InvalidOid:
								 * concerns all of them */
	const char *operation;		/* "ddl", or the function that changes a
								 * setting */
	const char *action;			/* canonical text of exactly this command on
								 * exactly this object: what an approval binds
								 * to and a person reads */
	const char *objects;		/* which objects its names mean, so that
								 * another of the same name is another change;
								 * or NULL if the table is all */
	bool		free_without_approver;	/* settings are free to change while
										 * no approver exists; DDL is not */
	const char *details;		/* more for the event, a JSON object; or NULL */
	const char *instead;		/* if no approval can be used for it: a hint what
								 * can be done instead; or NULL */
} DgChange;

#define DG_OPERATION_DDL "ddl"

/* A change that may go on */
typedef struct DgPermit
{
	bool		held;			/* it needed an approval */
	const char *outcome;
	int64		event_id;		/* of the event that is still to be written */
	DgRequest  *request;		/* used; or NULL */
} DgPermit;

extern void dg_change_init(void);
extern char *dg_object_number(Oid class_id, Oid object, int subobject);
extern bool dg_change_permit(const DgChange *change);
extern DgPermit dg_change_decide(const DgChange *change);
extern void dg_change_journal(const DgChange *change, const DgPermit *permit);
extern bool dg_change_is_held(const DgChange *change);
extern int64 dg_change_request(const DgChange *change, const char *reason);

#endif							/* DELETE_GUARD_CHANGE_H */
