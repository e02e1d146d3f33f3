/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  a refused removal: recorded, then raised as an error
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_REFUSAL_H
#define DELETE_GUARD_REFUSAL_H

#include "lib/stringinfo.h"
#include "policy.h"
#include "queue.h"

extern void dg_refuse(const DgRemoval *removal, const DgVerdict *verdict);
extern void dg_append_approval_hint(StringInfo buf, const char *what,
									const char *operation, Oid table_id,
									const DgReceipt *receipt, const char *ask_with);

#endif							/* DELETE_GUARD_REFUSAL_H */
