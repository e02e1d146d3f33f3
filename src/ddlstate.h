/*-------------------------------------------------------------------------
 *
 * ddlstate.h
 *	  the DDL commands that are under way, and what they may do
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_DDLSTATE_H
#define DELETE_GUARD_DDLSTATE_H

#include "command.h"
#include "guarded.h"

/* A column that a command has dropped */
typedef struct DgLostColumn
{
	Oid			relid;
	AttrNumber	attnum;
} DgLostColumn;

/* A command between its start and its end */
typedef struct DgDdlCommand
{
	struct DgDdlCommand *outer;
	int			nestlevel;		/* of transactions */
	Node	   *parsetree;
	char	   *text;			/* of a DROP, while all its names mean something */
	MemoryContext context;
	Oid			relid;			/* what an ALTER TABLE's name meant at its start */
	DgDdl	   *ddl;			/* NULL if it was not looked at */
	bool		keep_dropped;	/* triggers of ours are not made again */
	List	   *permitted;		/* DgDdlChange: what had a favourable verdict */
	List	   *rearm;			/* relations whose triggers are to be made again */
	List	   *lost_keys;		/* DgGuardedKey: foreign keys dropped */
	List	   *lost_columns;	/* DgLostColumn */
} DgDdlCommand;

extern DgDdlCommand *dg_ddl_begin(Node *parsetree);
extern DgDdlCommand *dg_ddl_find(Node *parsetree);
extern DgDdlCommand *dg_ddl_end(Node *parsetree);
extern bool dg_ddl_is_judged(const DgDdlCommand *command, Oid table_id);
extern void dg_ddl_ask(Oid table_id, const char *action, const char *objects);
extern void dg_ddl_dropping(void);
extern void dg_ddl_reach(Oid table_id, Oid class_id, Oid object, int subobject);
extern void dg_ddl_lost_trigger(Oid relid);
extern List *dg_ddl_nameless_rearm(void);
extern void dg_ddl_lost_key(Oid constraint);
extern void dg_ddl_lost_column(Oid relid, AttrNumber attnum);
extern void dg_ddl_judge_lost_keys(DgDdlCommand *command);
extern void dg_ddl_judge_lost_columns(DgDdlCommand *command);
extern void dg_ddl_record_lost_columns(DgDdlCommand *command);
extern bool dg_ddl_is_our_business(void);
extern void dg_ddl_init(void);

#endif							/* DELETE_GUARD_DDLSTATE_H */
