/*-------------------------------------------------------------------------
 *
 * guarded.h
 *	  which protected table an object of the catalogs belongs to
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_GUARDED_H
#define DELETE_GUARD_GUARDED_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

/* A trigger on a guarded relation that is ours by its name or its function */
typedef struct DgOwnTrigger
{
	Oid			relid;			/* what it stands on */
	bool		enabled;		/* does it fire when it should? */
	bool		own_name;		/* has it one of our names? */
	bool		own_function;	/* does it call one of our functions? */
} DgOwnTrigger;

/* A foreign key that refers to a protected table */
typedef struct DgGuardedKey
{
	Oid			constraint;
	Oid			table_id;		/* the protected table as registered */
	Oid			referencing;
	Oid			referenced;
	int			ncolumns;
	int16	   *columns;
	int16	   *referenced_columns;
	char	   *name;
} DgGuardedKey;

extern Oid	dg_own_extension(void);
extern Oid	dg_extension_owner(void);
extern bool dg_in_own_script(void);
extern List *dg_guarded_tables(void);
extern List *dg_gone_tables(void);
extern Oid	dg_guarded_by(Oid relid);
extern List *dg_guarded_touched(Oid relid);
extern List *dg_guarded_typed(Oid type);
extern bool dg_is_key_column(Oid relid, AttrNumber attnum);
extern bool dg_is_watched_column(Oid relid, AttrNumber attnum);
extern bool dg_is_key_index(Oid indexoid, Oid *relid);
extern bool dg_is_trigger_name(const char *name);
extern bool dg_has_own_trigger(Oid relid);
extern bool dg_own_trigger(Oid trigger, DgOwnTrigger *result);
extern Oid	dg_trigger_relation(Oid trigger);
extern bool dg_own_table_trigger_intact(Oid relid, const char *name);
extern Oid	dg_rule_relation(Oid rule);
extern bool dg_event_trigger_intact(Oid event_trigger);
extern bool dg_function_intact(Oid function);
extern bool dg_is_own_function(Oid function);
extern bool dg_is_own_object(Oid class_id, Oid object);
extern DgGuardedKey *dg_guarded_key(Oid constraint);
extern AttrNumber dg_not_null_column(Oid constraint);
extern bool dg_guarded_key_is_lost(const DgGuardedKey *key, bool *along);

#endif							/* DELETE_GUARD_GUARDED_H */
