/*-------------------------------------------------------------------------
 *
 * arm.h
 *	  the triggers on protected tables
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ARM_H
#define DELETE_GUARD_ARM_H

#include "nodes/pg_list.h"

/* Names of the triggers */
#define DG_TRIGGER_DELETE "00_delete_guard_delete"
#define DG_TRIGGER_KEY "00_delete_guard_key"
#define DG_TRIGGER_KEY_OWN "00_delete_guard_key_own"
#define DG_TRIGGER_KEY_UNNAMED "00_delete_guard_key_unnamed"
#define DG_TRIGGER_TRUNCATE "00_delete_guard_truncate"
#define DG_TRIGGER_END_DELETE "00_delete_guard_end_delete"
#define DG_TRIGGER_END_UPDATE "00_delete_guard_end_update"

extern void dg_arm(Oid relid);
extern void dg_arm_new(List *added, Oid root);
extern void dg_arm_again(List *relids, Oid root);
extern void dg_fire_always(Oid relid, const char *trigger);
extern bool dg_is_armed(Oid relid);
extern bool dg_keys_watched(Oid relid);
extern bool dg_arm_is_plain(Oid relid, Oid root);
extern List *dg_arm_key_columns(Oid relid);
extern char dg_arm_enabled(const char *name);
extern bool dg_arming(void);
extern void dg_disarm(Oid relid);
extern void dg_make_way(Oid relid, bool deletes);
extern List *dg_hierarchy(Oid relid);

#endif							/* DELETE_GUARD_ARM_H */
