/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  append events and row images to the audit log in this transaction
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_JOURNAL_H
#define DELETE_GUARD_JOURNAL_H

#include "event.h"

typedef struct DgRowWriter DgRowWriter;

extern int64 dg_journal_reserve(void);
extern void dg_journal_event(int64 event_id, const DgEvent *event, bool alert);
extern DgRowWriter *dg_journal_rows_begin(int64 event_id, int part,
										  MemoryContext parent);
extern void dg_journal_rows_add(DgRowWriter *writer, Jsonb *image, bytea *apart);
extern void dg_journal_rows_add_rekeyed(DgRowWriter *writer, Jsonb *image,
										Jsonb *new_key, bytea *apart);
extern int64 dg_journal_rows_count(const DgRowWriter *writer);
extern Jsonb *dg_journal_rows_take(DgRowWriter *writer, Size other);
extern void dg_journal_rows_flush(DgRowWriter *writer);
extern void dg_journal_rows_end(DgRowWriter *writer);

#endif							/* DELETE_GUARD_JOURNAL_H */
