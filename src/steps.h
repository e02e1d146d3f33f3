/*-------------------------------------------------------------------------
 *
 * steps.h
 *	  what the SQL functions that change settings and requests share
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_STEPS_H
#define DELETE_GUARD_STEPS_H

#include "fmgr.h"

extern Oid	dg_table_argument(FunctionCallInfo fcinfo, int argno, const char *what);
extern int	dg_columns_argument(FunctionCallInfo fcinfo, int argno, Oid relid,
								int16 *attnums);
extern char *dg_text_argument(FunctionCallInfo fcinfo, int argno);
extern void dg_require_owner(Oid relid);
extern void dg_lock_owned(Oid relid);
extern bool dg_has_approver(Oid table_id);
extern bool dg_has_able_approver(Oid table_id);
extern char *dg_quote_json(const char *string);
extern void dg_journal_step(const char *operation, Oid table_id,
							const char *details);

#endif							/* DELETE_GUARD_STEPS_H */
