/*-------------------------------------------------------------------------
 *
 * sql.h
 *	  run queries on delete_guard's own tables as their owner; locks and ids
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_SQL_H
#define DELETE_GUARD_SQL_H

#include "executor/spi.h"

/* Saved identity and settings while acting as another role */
typedef struct DgRoleState
{
	Oid			userid;
	int			sec_context;
	int			guc_nestlevel;
} DgRoleState;

extern void dg_act_as(Oid roleid, DgRoleState *saved);
extern void dg_act_back(const DgRoleState *saved);
extern Oid	dg_relation_owner(Oid relid);
extern bool dg_may_read(Oid relid, const int16 *attnums, int nattnums);
extern bool dg_owner_may_read(Oid relid);
extern void dg_connect_as(Oid roleid, DgRoleState *saved);
extern void dg_finish_as(const DgRoleState *saved);
extern int	dg_latest_query(const char *query, int nargs, Oid *argtypes,
							Datum *values, const char *nulls, bool read_only,
							long count);
extern Oid	dg_own_relation(const char *name);
extern Oid	dg_own_schema(void);
extern Oid	dg_own_relation_if_any(const char *name);
extern Oid	dg_own_owner(void);
extern bool dg_own_used(void);
extern int64 dg_own_nextval(const char *sequence);
extern bool dg_own_write_active(void);
extern int	dg_own_query(const char *query, int nargs, Oid *argtypes,
						 Datum *values, const char *nulls, bool read_only,
						 long count);
extern void dg_own_connect(DgRoleState *saved);
extern void dg_own_finish(const DgRoleState *saved);

#endif							/* DELETE_GUARD_SQL_H */
