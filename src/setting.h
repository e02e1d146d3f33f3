/*-------------------------------------------------------------------------
 *
 * setting.h
 *	  changes of delete_guard's own settings, and the texts that name them
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_SETTING_H
#define DELETE_GUARD_SETTING_H

#include "catalog.h"
#include "change.h"

extern char *dg_setting_protect(const DgProtection *protection);
extern char *dg_setting_call(const char *function, const char *name, Oid table_id);
extern char *dg_setting_role(const char *role);
extern char *dg_setting_interval(Datum interval);
extern DgChange dg_setting_change(const char *function, Oid table_id,
								  const char *action, const char *objects,
								  const char *details);
extern void dg_setting_permit(const char *function, Oid table_id,
							  const char *action, const char *objects,
							  const char *details);

#endif							/* DELETE_GUARD_SETTING_H */
