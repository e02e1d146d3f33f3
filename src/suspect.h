/*-------------------------------------------------------------------------
 *
 * suspect.h
 *	  columns that are named like references and are none
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_SUSPECT_H
#define DELETE_GUARD_SUSPECT_H

#include "nodes/pg_list.h"

/* What the name of a column says, from 0 to 1 */
#define DG_NAMED_AFTER		1.0 /* project_id: the table projects */
#define DG_NAMED_VALUE		0.9 /* project, of text: a name of a project */
#define DG_NAMED_WHOLE		0.85	/* project, of a number */
#define DG_NAMED_WITH_MORE	0.8 /* db_project_id; parent_id */
#define DG_NAMED_LIKE_KEY	0.75	/* the name that only this table's key has */
#define DG_NAMED_SHORT		0.7 /* proj, of text */
#define DG_NAMED_ROLE		0.65	/* created_by: a person */

/* A column that may refer to a key of a table */
typedef struct DgSuspect
{
	Oid			referencing;
	int16		attnum;
	Oid			referenced;		/* InvalidOid: the column type_attnum says */
	int16		key;
	double		strength;
	bool		by_value;		/* holds a name or code: only values can tell */
	const char *why;
	int16		type_attnum;	/* polymorphic: the column that names the table */
	bool		or_plain;		/* polymorphic, or plain: types can tell */
	bool		beside_type;	/* the same seen from the plain one */
	List	   *known;			/* tables that are declared or ignored for it */
} DgSuspect;

/* What was found, and what tables are called */
typedef struct DgSuspects
{
	List	   *list;			/* of DgSuspect */
	List	   *targets;
	struct HTAB *names;
} DgSuspects;

extern DgSuspects *dg_suspects(Oid relid);
extern Oid	dg_suspects_class(const DgSuspects *suspects, const char *class,
							  const DgSuspect *suspect, int16 *key);
extern bool dg_suspects_plain(const DgSuspects *suspects, const DgSuspect *suspect, Oid referenced);
extern char *dg_suspect_call(const DgSuspect *suspect, const char *condition);

#endif							/* DELETE_GUARD_SUSPECT_H */
