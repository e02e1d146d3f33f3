/*-------------------------------------------------------------------------
 *
 * parts.h
 *	  the row images of one event, table by table
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_PARTS_H
#define DELETE_GUARD_PARTS_H

#include "journal.h"
#include "rowimage.h"
#include "utils/relcache.h"

typedef struct DgParts DgParts;
typedef struct DgPart DgPart;

extern DgParts *dg_parts_begin(int64 event_id, MemoryContext parent);
extern int64 dg_parts_event(const DgParts *parts);
extern DgPart *dg_parts_own(DgParts *parts, DgTable *table, Relation rel,
							const char *effect, bool pinned);
extern DgPart *dg_parts_cascade(DgParts *parts, DgTable *table, Relation rel,
								int depth);
extern DgPart *dg_parts_changed(DgParts *parts, DgTable *table, Relation rel,
								const char *effect, int depth,
								const DgReference *ref,
								const Bitmapset *changed);
extern int	dg_part_pin(const DgPart *part);
extern void dg_part_unpin(int pin);
extern bool dg_part_add(DgPart *part, TupleTableSlot *slot);
extern bool dg_part_add_rekeyed(DgPart *part, TupleTableSlot *slot,
								TupleTableSlot *new_slot);
extern bool dg_parts_cut(const DgParts *parts);
extern int64 dg_parts_stored(const DgParts *parts);
extern Jsonb *dg_parts_end(DgParts *parts, Jsonb **images);

#endif							/* DELETE_GUARD_PARTS_H */
