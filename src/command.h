/*-------------------------------------------------------------------------
 *
 * command.h
 *	  what a DDL command means for protected tables
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_COMMAND_H
#define DELETE_GUARD_COMMAND_H

#include "nodes/parsenodes.h"

/* One thing that a command does to one protected table */
typedef struct DgDdlChange
{
	Oid			table_id;		/* as registered; InvalidOid: all of them */
	char	   *action;
	char	   *objects;		/* which objects the names in it mean */
	bool		held;			/* once permitted: it needed an approval */
} DgDdlChange;

/* What a command means; in the memory context that it was classified in */
typedef struct DgDdl
{
	bool		before;			/* has the command yet to run? */
	bool		loading;		/* is it a part of a restore that may be? */
	const char *instead;		/* hint, if it cannot run in a transaction block, and so
								 * no approval can be used for it; else NULL */
	bool		mending;		/* does it put back what the extension has made? */
	Oid			mended;			/* own table that gets a trigger back, if any */
	const char *mended_trigger;	/* which */
	List	   *changes;		/* DgDdlChange: need a verdict */
	List	   *notes;			/* DgDdlChange: allowed and recorded */
	List	   *loosen;			/* tables whose key triggers name a column that
								 * the command changes */
	List	   *swap;			/* tables that become a partition or a child */
	List	   *released;		/* relations that leave their hierarchy */
} DgDdl;

extern DgDdl *dg_command_classify(Node *parsetree, Oid relid);
extern DgDdlChange *dg_ddl_action(const char *command, Oid table_id);

#endif							/* DELETE_GUARD_COMMAND_H */
