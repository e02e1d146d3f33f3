/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  may this go?
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_POLICY_H
#define DELETE_GUARD_POLICY_H

#include "approval.h"
#include "dependents.h"
#include "utils/relcache.h"

/* What one statement did to rows of one relation, as far as it is known */
typedef struct DgRemoval
{
	const char *operation;		/* "delete", "key change" or "truncate" */
	MemoryContext query;		/* of the query that did it */
	Relation	rel;
	DgDependents *dependents;
	DgTable    *table;
	int64		nrows;			/* removed, or with a changed key */
	int64		nreferenced;	/* of them, still referred to */
	DgKeys	   *referenced;		/* the keys of those, up to DG_ROWSET_MAX */
	DgRowSet   *held;			/* rows that need an approval; NULL in log mode */
	int64		ncovered;		/* rows that an approved removal cascades to */
	DgRequest	covering;		/* what is known of its request */
} DgRemoval;

/* A row of another protected table that goes along */
typedef struct DgCascadedRow
{
	Oid			table_id;
	uint8		key[DG_KEY_DIGEST_LEN];
} DgCascadedRow;

typedef struct DgVerdict
{
	const char *outcome;		/* NULL: refused */
	Jsonb	   *radius;			/* of the rows held or referenced; may be NULL */
	List	   *used;			/* of DgRequest: the approvals it rests on */
	char	   *problems;		/* why named requests do not help; or NULL */
	List	   *cascaded;		/* of DgCascadedRow */
} DgVerdict;

#define DG_OUTCOME_DONE "done"
#define DG_OUTCOME_WEAKENED "weakened"
#define DG_OUTCOME_LOGGED "logged"
#define DG_OUTCOME_BLOCKED "blocked"
#define DG_OUTCOME_APPROVED "approved"
#define DG_OUTCOME_BREAK_GLASS "break_glass"
#define DG_OUTCOME_NOT_ENFORCED "not_enforced"
#define DG_OUTCOME_REPLICATED "replicated"

#define DG_OPERATION_DELETE "delete"
#define DG_OPERATION_KEY_CHANGE "key change"
#define DG_OPERATION_TRUNCATE "truncate"

extern bool dg_policy_holds(const DgTable *table, bool referenced);
extern DgVerdict *dg_policy_decide(const DgRemoval *removal, List *requests);
extern char *dg_policy_words(const DgProtection *protection,
							 const DgVerdict *verdict, int64 nheld, int64 nrows);

#endif							/* DELETE_GUARD_POLICY_H */
