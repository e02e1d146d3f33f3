/*-------------------------------------------------------------------------
 *
 * named.h
 *	  does an UPDATE that changes a key name the column?
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_NAMED_H
#define DELETE_GUARD_NAMED_H

#include "nodes/pg_list.h"

extern bool dg_is_key_trigger(const char *name);
extern bool dg_keys_change_named(Oid relid, List *attnums);
extern bool dg_keys_named(Oid relid);
extern bool dg_keys_seen(Oid relid);
extern bool dg_all_keys_seen(Oid root);

#endif							/* DELETE_GUARD_NAMED_H */
