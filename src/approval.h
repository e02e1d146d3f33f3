/*-------------------------------------------------------------------------
 *
 * approval.h
 *	  requests, and what became of them
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_APPROVAL_H
#define DELETE_GUARD_APPROVAL_H

#include "datatype/timestamp.h"
#include "identity.h"
#include "rowset.h"

/* A request as stored, with what was decided; in the caller's context */
typedef struct DgRequest
{
	int64		request_id;
	DgPerson	requester;
	char	   *operation;
	Oid			table_id;
	char	   *table_name;
	char	   *action;			/* of a change; NULL for a removal */
	int			nentries;
	DgRowEntry *entries;		/* sorted */
	Jsonb	   *keys;
	int			approvals_needed;
	int			approvals;		/* given by persons who still may */
	char	   *approved_by;	/* their names, separated by commas */
	Jsonb	   *radius_now;		/* of the rows that are about to use it */
	Jsonb	   *radius_total;	/* with what the transaction used before */
	TimestampTz requested_at;
	bool		expired;		/* its time to be approved is over */
	bool		usable_until_over;	/* the time to be used is over */
	bool		closed;			/* denied or cancelled */
	bool		used_here;		/* used by this transaction */
	bool		used_elsewhere;
	bool		break_glass;
} DgRequest;

extern void dg_request_lock(int64 request_id);
extern DgRequest *dg_request_load(int64 request_id);
extern List *dg_requests_named(bool lock);
extern const char *dg_request_problem(const DgRequest *request,
									  const char *operation, Oid table_id);
extern bool dg_request_is_about(const DgRequest *request, const char *objects);
extern bool dg_request_covers(const DgRequest *request,
							  const DgRowEntry *entry, bool *key_known);
extern bool dg_request_radius_fits(DgRequest *request);
extern TimestampTz dg_decision_insert(int64 request_id, const char *kind,
									  const char *comment, Jsonb *radius,
									  int64 event_id);
extern void dg_request_use(const DgRequest *request, int64 event_id);
extern bool dg_is_approver(const DgPerson *person, Oid table_id,
						   TimestampTz since);
extern void dg_cover_add(MemoryContext query, Oid table_id,
						 const uint8 *key_digest, const DgRequest *request);
extern bool dg_cover_find(MemoryContext query, Oid table_id,
						  const uint8 *key_digest, DgRequest *request);
extern bool dg_cover_any(void);
extern void dg_approval_init(void);

#endif							/* DELETE_GUARD_APPROVAL_H */
