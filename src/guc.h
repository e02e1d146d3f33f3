/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  settings of delete_guard
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_GUC_H
#define DELETE_GUARD_GUC_H

extern char *dg_approval;			/* '' or 'N[,N...]' */
extern char *dg_claimed_user;		/* '' or a name, unverified */
extern int	dg_request_lifetime;	/* seconds */
extern int	dg_approval_lifetime;	/* seconds */
extern int	dg_record_timeout;		/* milliseconds */
extern int	dg_capture_limit;		/* rows; -1 is no limit */
extern int	dg_preview_limit;		/* rows */
extern bool dg_enforce;

extern void dg_guc_define(void);
extern const char *dg_approval_in_force(void);

#endif							/* DELETE_GUARD_GUC_H */
