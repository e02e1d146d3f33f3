/*-------------------------------------------------------------------------
 *
 * record.h
 *	  record of a refused attempt, as bytes that go to another process
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_RECORD_H
#define DELETE_GUARD_RECORD_H

/* What a record may hold, each a varlena */
typedef enum DgRecordPart
{
	DG_RECORD_EVENT,			/* packed row of event */
	DG_RECORD_KEYS,				/* jsonb, array of the keys of the rows held */
	DG_RECORD_REQUEST,			/* packed row of request */
	DG_RECORD_FINGERPRINT		/* bytea, what makes two attempts the same */
} DgRecordPart;

#define DG_RECORD_PARTS 4

/* MAXALIGNed; the parts follow, each MAXALIGNed too */
typedef struct DgRecord
{
	Size		length;			/* bytes in all */
	Size		offsets[DG_RECORD_PARTS];	/* 0: there is no such part */
} DgRecord;

extern DgRecord *dg_record_make(const void *const *parts);
extern void *dg_record_part(const DgRecord *record, DgRecordPart part);
extern char *dg_record_json(const DgRecord *record);

#endif							/* DELETE_GUARD_RECORD_H */
