/*-------------------------------------------------------------------------
 *
 * queueshm.h
 *	  shared memory of the queue: what lies in it, for queue.c and desk.c only
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_QUEUESHM_H
#define DELETE_GUARD_QUEUESHM_H

#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "queue.h"

/* Databases that can have a recorder at one time */
#define DG_QUEUE_DESKS 64

/* A slot's part of the arena; larger records get a segment of their own */
#define DG_QUEUE_PAGE_BYTES 8192

typedef enum DgSlotState
{
	DG_SLOT_FREE,
	DG_SLOT_FILLED,
	DG_SLOT_TAKEN,
	DG_SLOT_ANSWERED,
	DG_SLOT_ABANDONED
} DgSlotState;

typedef struct DgQueueSlot
{
	uint8		state;			/* DgSlotState */
	uint8		status;			/* DgReceiptStatus, once answered */
	uint8		deaths;			/* recorders that died while it was taken */
	Oid			dboid;
	uint32		length;
	dsm_handle	large;			/* own segment; invalid: in the arena */
	Latch	   *owner;			/* of the backend that waits */
	int64		event_id;
	int64		request_id;
	uint32		repeats;
} DgQueueSlot;

typedef enum DgDeskState
{
	DG_DESK_EMPTY,
	DG_DESK_STARTING,
	DG_DESK_MANNED
} DgDeskState;

typedef struct DgQueueDesk
{
	Oid			dboid;
	DgDeskState state;
	uint32		generation;		/* tells one recorder from the next */
	bool		room_wanted;	/* somebody lacks a worker slot */
	Latch	   *latch;			/* of the recorder, while manned */
	TimestampTz since;			/* when it was started */
} DgQueueDesk;

/*
 * Databases that are counted for at one time.  One more takes the place of one
 * whose counts are kept on disk, else of the one that was counted for longest ago.
 */
#define DG_QUEUE_TALLIES 256

typedef struct DgQueueTally
{
	Oid			dboid;			/* invalid: not in use */
	bool		kept;			/* these counts are on disk */
	TimestampTz since;			/* when counting began */
	TimestampTz counted;		/* when something was counted last */
	int64		counts[DG_COUNTERS];
} DgQueueTally;

typedef struct DgQueue
{
	LWLock		lock;
	dsm_handle	arena;
	uint32		last_generation;
	Size		large_bytes;	/* in segments of their own */
	DgQueueTally tallies[DG_QUEUE_TALLIES];
	DgQueueDesk desks[DG_QUEUE_DESKS];
	DgQueueSlot slots[DG_QUEUE_SLOTS];
} DgQueue;

/* What this process works on; set by dg_queue_attach for its life */
extern DgQueue *dg_queue;
extern char *dg_queue_arena;

/* of queue.c; these need the lock, the last one its release */
extern void dg_queue_free_slot(DgQueueSlot *slot);
extern DgQueueDesk *dg_queue_find_desk(Oid dboid);
extern void dg_queue_count(Oid dboid, DgCount what);
extern void dg_queue_set_latches(Latch **latches, int nlatches);

#endif							/* DELETE_GUARD_QUEUESHM_H */
