/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  shared memory between backends and the recorder of a database: bytes
 *	  in, bytes out, acknowledgement
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_QUEUE_H
#define DELETE_GUARD_QUEUE_H

#include "datatype/timestamp.h"
#include "storage/dsm.h"

/* Most records on their way at one time, in the whole cluster */
#define DG_QUEUE_SLOTS 256

/* What became of a record that was handed over */
typedef enum DgReceiptStatus
{
	DG_RECEIPT_STORED,			/* committed, and on disk */
	DG_RECEIPT_TIMEOUT,			/* no acknowledgement within the deadline */
	DG_RECEIPT_NO_WORKER,		/* the recorder could not be started */
	DG_RECEIPT_FAILED			/* the recorder raised an error */
} DgReceiptStatus;

typedef struct DgReceipt
{
	DgReceiptStatus status;
	int64		event_id;		/* 0 unless stored */
	int64		request_id;		/* 0 if none was opened or found */
	uint32		repeats;		/* made before, since that event */
} DgReceipt;

/* One record as the recorder sees it */
typedef struct DgQueueItem
{
	int			slot;
	const void *data;			/* in shared memory, MAXALIGNed, unchanging */
	Size		length;
	dsm_segment *segment;		/* of a large record; for desk.c only */
	DgReceipt	receipt;		/* what to answer */
	bool		repeat;			/* counted on an older event, not stored anew */
	bool		late;			/* out: answered when nobody waited any more */
} DgQueueItem;

/* What a backend finds when it calls for the recorder of its database */
typedef enum DgQueueCall
{
	DG_CALL_PRESENT,			/* it is there or on its way */
	DG_CALL_START,				/* the caller has to start it */
	DG_CALL_NO_ROOM				/* too many databases have one */
} DgQueueCall;

/* What is counted for each database while the server runs */
typedef enum DgCount
{
	DG_COUNT_STORED,			/* records stored as new events */
	DG_COUNT_REPEATS,			/* records counted on an older event */
	DG_COUNT_NOT_STORED,		/* records written to the server log instead */
	DG_COUNT_STARTS,			/* recorders that came up */
	DG_COUNT_FAILURES			/* recorders not started, or ended early */
} DgCount;

#define DG_COUNTERS 5

/* One of these counters */
typedef struct DgCounter
{
	const char *name;
	int64		value;
} DgCounter;

/* both sides */
extern Size dg_queue_shmem_size(void);
extern void dg_queue_attach(void);
extern void dg_queue_counters(Oid dboid, DgCounter *counters,
							  TimestampTz *since);
extern void dg_queue_counters_kept(Oid dboid, const DgCounter *counters);

/* backends */
extern bool dg_queue_accepts(Size length);
extern int	dg_queue_put(Oid dboid, const void *data, Size length);
extern bool dg_queue_collect(int slot, DgReceipt *receipt);
extern bool dg_queue_withdraw(int slot, DgReceipt *receipt);
extern void dg_queue_count_not_stored(void);
extern DgQueueCall dg_queue_call_worker(Oid dboid, uint32 *generation);
extern void dg_queue_worker_missing(Oid dboid, uint32 generation,
									bool counted);
extern void dg_queue_ask_for_room(Oid dboid);

/* the recorder; in desk.c */
extern bool dg_queue_enter(Oid dboid, uint32 generation);
extern void dg_queue_ready(void);
extern void dg_queue_take(DgQueueItem *items, int *nitems, int max);
extern void dg_queue_answer(DgQueueItem *items, int nitems);
extern bool dg_queue_leave(void);
extern bool dg_queue_room_wanted(void);

#endif							/* DELETE_GUARD_QUEUE_H */
