/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  shared memory between backends and the recorder of a database
 *
 * Words.  A "record" is a run of bytes that a backend hands over and a
 * recorder stores; nothing here looks into it.  A "slot" carries one record
 * and then its receipt.  A "desk" is the place of one database's recorder.
 *
 * A record's bytes lie in the slot's page of the "arena", one DSM segment for
 * all slots, or, if they are too many, in a DSM segment of their own, which
 * lasts as long as the backend or the recorder is attached to it.  A slot goes
 * through these states; its page is not written to while it is not FREE, so
 * nobody ever writes over what a recorder still reads:
 *
 *		FREE -> FILLED		backend puts a record in
 *		FILLED -> TAKEN		recorder takes it
 *		TAKEN -> ANSWERED	recorder has stored it, or could not
 *		ANSWERED -> FREE	backend collects the receipt
 *		FILLED -> FREE		backend withdraws it: deadline over
 *		TAKEN -> ABANDONED	the same, but it is being stored
 *		ABANDONED -> FREE	recorder is through with it
 *		TAKEN -> FILLED		recorder died; the next one takes it up
 *
 * Locks: one LWLock covers desks, slots and counters; nothing that can raise
 * an error or wait runs under it, except the creation of the arena.  Latches
 * are set after its release.
 *
 * Lifetime: until the server (re)starts.  No preloading is needed: about 15 kB
 * of shared memory (see dg_shared_memory) and the 2 MB of the arena.
 *
 * May call: PostgreSQL only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "queue.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

/* Databases that can have a recorder at one time */
#define DESKS 64

/* A slot's part of the arena; larger records get a segment of their own */
#define PAGE_BYTES 8192

/* All larger records together may take so much shared memory */
#define LARGE_LIMIT ((Size) 256 * 1024 * 1024)

/* A recorder that has not come by then is taken for lost */
#define START_LIMIT_MS 1000

/* So many recorders may die with a record before it is given up */
#define MAX_DEATHS 2

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_FILLED,
	SLOT_TAKEN,
	SLOT_ANSWERED,
	SLOT_ABANDONED
} SlotState;

typedef struct Slot
{
	uint8		state;			/* SlotState */
	uint8		status;			/* DgReceiptStatus, once answered */
	uint8		deaths;			/* recorders that died while it was taken */
	Oid			dboid;
	uint32		length;
	dsm_handle	large;			/* own segment; invalid: in the arena */
	Latch	   *owner;			/* of the backend that waits */
	int64		event_id;
	int64		request_id;
} Slot;

typedef enum DeskState
{
	DESK_EMPTY,
	DESK_STARTING,
	DESK_MANNED
} DeskState;

typedef struct Desk
{
	Oid			dboid;
	DeskState	state;
	uint32		generation;		/* tells one recorder from the next */
	bool		room_wanted;	/* somebody lacks a worker slot */
	Latch	   *latch;			/* of the recorder, while manned */
	TimestampTz since;			/* when it was started */
} Desk;

typedef struct Queue
{
	LWLock		lock;
	dsm_handle	arena;
	uint32		last_generation;
	Size		large_bytes;	/* in segments of their own */
	DgQueueCounters counters;
	Desk		desks[DESKS];
	Slot		slots[DG_QUEUE_SLOTS];
} Queue;

/* What this process works on; set by dg_queue_attach for its life */
static Queue *queue = NULL;
static char *arena = NULL;

/* In a backend: segment of the record on its way, if that is a large one */
static dsm_segment *large_segment = NULL;

/* In a recorder: its desk, NULL if it has none or left it; is it connected? */
static Desk *my_desk = NULL;
static bool my_desk_ready = false;

static void init_queue(DG_SHARED_INIT_ARGS);
static void attach_arena(void);
static void fill_slot(Slot *slot, Oid dboid, Size length);
static int	find_free_slot(Size large_length);
static void free_slot(Slot *slot);
static void drop_large_segment(void);
static void find_data(DgQueueItem *item);
static Desk *find_desk(Oid dboid);
static bool start_is_stale(const Desk *desk);
static void read_receipt(Slot *slot, DgReceipt *receipt);
static Latch *answer_slot(Slot *slot, const DgReceipt *receipt);
static void set_latches(Latch **latches, int nlatches);
static Latch *put_back(Slot *slot);
static void recorder_gone(int code, Datum arg);

/*
 * Bytes of main shared memory for a postmaster that preloads the library.
 */
Size
dg_queue_shmem_size(void)
{
	return MAXALIGN(sizeof(Queue));
}

/*
 * Connect this process to the queue, and create the queue if it is the first.
 * To be called before anything else here.  Raises an error if shared memory
 * is short.
 */
void
dg_queue_attach(void)
{
	if (arena != NULL)
		return;
	dg_shared_memory(queue, "delete_guard", sizeof(Queue), init_queue);
	dg_name_tranche(queue->lock.tranche, "delete_guard");
	attach_arena();
}

/* Set up the queue in new shared memory */
static void
init_queue(DG_SHARED_INIT_ARGS)
{
	Queue	   *new_queue = (Queue *) state;

	memset(new_queue, 0, sizeof(Queue));
	LWLockInitialize(&new_queue->lock, dg_new_tranche("delete_guard"));
}

/* Create the arena or attach to it, for the life of this process */
static void
attach_arena(void)
{
	dsm_segment *segment;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	if (queue->arena != DSM_HANDLE_INVALID)
		segment = dsm_attach(queue->arena);
	else
	{
		segment = dsm_create((Size) DG_QUEUE_SLOTS * PAGE_BYTES, 0);
		dsm_pin_segment(segment);
		queue->arena = dsm_segment_handle(segment);
	}
	LWLockRelease(&queue->lock);
	if (segment == NULL)
		elog(ERROR, "unexpected end of a pinned segment");
	dsm_pin_mapping(segment);
	arena = dsm_segment_address(segment);
}

/*
 * Copy of the counters.
 */
void
dg_queue_counters(DgQueueCounters *counters)
{
	dg_queue_attach();
	LWLockAcquire(&queue->lock, LW_SHARED);
	*counters = queue->counters;
	LWLockRelease(&queue->lock);
}

/*
 * Can a record of this length ever be put?
 */
bool
dg_queue_accepts(Size length)
{
	return length <= LARGE_LIMIT;
}

/*
 * Put a record for the recorder of a database.  Returns its slot, or -1 if
 * there is no free slot or not enough memory at present; may raise an error
 * if the record is large.  The backend has to end the slot by dg_queue_collect
 * or dg_queue_withdraw, and must not be interrupted in between.
 */
int
dg_queue_put(Oid dboid, const void *data, Size length)
{
	int			index;

	Assert(dg_queue_accepts(length) && large_segment == NULL);
	if (length > PAGE_BYTES)
	{
		large_segment = dsm_create(length, 0);
		memcpy(dsm_segment_address(large_segment), data, length);
	}

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	index = find_free_slot(large_segment != NULL ? length : 0);
	if (index >= 0)
	{
		if (large_segment == NULL)
			memcpy(arena + (Size) index * PAGE_BYTES, data, length);
		fill_slot(&queue->slots[index], dboid, length);
	}
	LWLockRelease(&queue->lock);

	if (index < 0)
		drop_large_segment();
	return index;
}

/*
 * Index of a free slot, -1 if there is none, or no room for a large record of
 * this length.  Caller holds the lock.
 */
static int
find_free_slot(Size large_length)
{
	if (queue->large_bytes + large_length > LARGE_LIMIT)
		return -1;
	for (int i = 0; i < DG_QUEUE_SLOTS; i++)
	{
		if (queue->slots[i].state == SLOT_FREE)
			return i;
	}
	return -1;
}

/* Make a free slot a filled one.  Caller holds the lock. */
static void
fill_slot(Slot *slot, Oid dboid, Size length)
{
	memset(slot, 0, sizeof(Slot));
	slot->dboid = dboid;
	slot->length = (uint32) length;
	slot->owner = MyLatch;
	if (large_segment != NULL)
	{
		slot->large = dsm_segment_handle(large_segment);
		queue->large_bytes += length;
	}
	slot->state = SLOT_FILLED;
}

/* Make any slot a free one.  Caller holds the lock. */
static void
free_slot(Slot *slot)
{
	if (slot->large != DSM_HANDLE_INVALID)
		queue->large_bytes -= slot->length;
	slot->state = SLOT_FREE;
}

/* Detach from the segment of a large record, if there is one */
static void
drop_large_segment(void)
{
	if (large_segment != NULL)
		dsm_detach(large_segment);
	large_segment = NULL;
}

/*
 * Has the record in this slot been answered?  Then its receipt is returned
 * and the slot is free.
 */
bool
dg_queue_collect(int slot, DgReceipt *receipt)
{
	bool		answered;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	answered = queue->slots[slot].state == SLOT_ANSWERED;
	if (answered)
		read_receipt(&queue->slots[slot], receipt);
	LWLockRelease(&queue->lock);
	if (answered)
		drop_large_segment();
	return answered;
}

/*
 * Give a record up.  Returns true if it has been answered after all, with its
 * receipt.  A record that is being stored at this moment may still be stored.
 */
bool
dg_queue_withdraw(int slot, DgReceipt *receipt)
{
	Slot	   *mine = &queue->slots[slot];
	bool		answered = false;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	if (mine->state == SLOT_ANSWERED)
	{
		answered = true;
		read_receipt(mine, receipt);
	}
	else if (mine->state == SLOT_FILLED)
		free_slot(mine);
	else if (mine->state == SLOT_TAKEN)
		mine->state = SLOT_ABANDONED;
	LWLockRelease(&queue->lock);
	drop_large_segment();
	return answered;
}

/* Read an answered slot's receipt and free the slot.  Caller holds the lock. */
static void
read_receipt(Slot *slot, DgReceipt *receipt)
{
	receipt->status = (DgReceiptStatus) slot->status;
	receipt->event_id = slot->event_id;
	receipt->request_id = slot->request_id;
	free_slot(slot);
}

/*
 * Count a record that went to the server log.  Does nothing as long as this
 * process could not attach.
 */
void
dg_queue_count_not_stored(void)
{
	if (queue == NULL)
		return;
	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	queue->counters.not_stored++;
	LWLockRelease(&queue->lock);
}

/*
 * Wake the recorder of a database.  On DG_CALL_START there is none and the
 * caller has to start it with *generation, which makes the desk STARTING so
 * that nobody else does; if it cannot, it says dg_queue_worker_missing.
 */
DgQueueCall
dg_queue_call_worker(Oid dboid, uint32 *generation)
{
	DgQueueCall result = DG_CALL_PRESENT;
	Latch	   *latch = NULL;
	Desk	   *desk;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	desk = find_desk(dboid);
	if (desk == NULL)
		result = DG_CALL_NO_ROOM;
	else if (desk->state == DESK_MANNED)
		latch = desk->latch;
	else if (desk->state == DESK_EMPTY || start_is_stale(desk))
	{
		desk->dboid = dboid;
		desk->state = DESK_STARTING;
		desk->generation = *generation = ++queue->last_generation;
		desk->room_wanted = false;
		desk->since = GetCurrentTimestamp();
		result = DG_CALL_START;
	}
	LWLockRelease(&queue->lock);

	if (latch != NULL)
		SetLatch(latch);
	return result;
}

/*
 * Desk of a database, else an empty one, else NULL.  Caller holds the lock.
 */
static Desk *
find_desk(Oid dboid)
{
	Desk	   *empty = NULL;

	for (int i = 0; i < DESKS; i++)
	{
		Desk	   *desk = &queue->desks[i];

		if (desk->state == DESK_EMPTY)
			empty = desk;
		else if (desk->dboid == dboid)
			return desk;
	}
	return empty;
}

/* Has a recorder been starting for too long (or from a future clock)? */
static bool
start_is_stale(const Desk *desk)
{
	TimestampTz now = GetCurrentTimestamp();

	return now < desk->since ||
		TimestampDifferenceExceeds(desk->since, now, START_LIMIT_MS);
}

/*
 * The recorder of this generation did not come: empty its desk, so that those
 * who wait start another when they next look.  Does nothing if it has arrived,
 * or another one was started since.  counted says whether it is a failure.
 */
void
dg_queue_worker_missing(Oid dboid, uint32 generation, bool counted)
{
	Desk	   *desk;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	desk = find_desk(dboid);
	if (desk != NULL && desk->state == DESK_STARTING &&
		desk->generation == generation)
	{
		desk->state = DESK_EMPTY;
		if (counted)
			queue->counters.worker_failures++;
	}
	LWLockRelease(&queue->lock);
}

/*
 * Ask the recorders of other databases that have nothing to do to end, as the
 * server has no worker slot left, or we no desk.
 */
void
dg_queue_ask_for_room(Oid dboid)
{
	Latch	   *latches[DESKS];
	int			nlatches = 0;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < DESKS; i++)
	{
		Desk	   *desk = &queue->desks[i];

		if (desk->state == DESK_MANNED && desk->dboid != dboid)
		{
			desk->room_wanted = true;
			latches[nlatches++] = desk->latch;
		}
	}
	LWLockRelease(&queue->lock);
	set_latches(latches, nlatches);
}

/* Set each latch that is not NULL.  Caller has released the lock. */
static void
set_latches(Latch **latches, int nlatches)
{
	for (int i = 0; i < nlatches; i++)
	{
		if (latches[i] != NULL)
			SetLatch(latches[i]);
	}
}

/*
 * A recorder takes its desk.  Returns false if it was not waited for any
 * longer; it then has to end.  When this process ends without dg_queue_leave,
 * its desk is emptied and its records are given to the next recorder.
 */
bool
dg_queue_enter(Oid dboid, uint32 generation)
{
	Desk	   *desk;

	before_shmem_exit(recorder_gone, (Datum) 0);
	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	desk = find_desk(dboid);
	if (desk != NULL && desk->state == DESK_STARTING &&
		desk->generation == generation)
	{
		desk->state = DESK_MANNED;
		desk->latch = MyLatch;
		my_desk = desk;
	}
	LWLockRelease(&queue->lock);
	return my_desk != NULL;
}

/*
 * The recorder is connected and can work.  One that ends before this fails
 * the records that wait for it: the next would fare no better.
 */
void
dg_queue_ready(void)
{
	my_desk_ready = true;
	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	queue->counters.worker_starts++;
	LWLockRelease(&queue->lock);
}

/*
 * Take the records that wait for this recorder.  Each has to be answered.  One
 * that is withdrawn at this very moment may come without data.
 */
int
dg_queue_take(DgQueueItem *items, int max)
{
	int			n = 0;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < DG_QUEUE_SLOTS && n < max; i++)
	{
		Slot	   *slot = &queue->slots[i];

		if (slot->state != SLOT_FILLED || slot->dboid != my_desk->dboid)
			continue;
		slot->state = SLOT_TAKEN;
		memset(&items[n], 0, sizeof(DgQueueItem));
		items[n].slot = i;
		items[n++].length = slot->length;
	}
	LWLockRelease(&queue->lock);

	for (int i = 0; i < n; i++)
		find_data(&items[i]);
	return n;
}

/* Point a taken item at its bytes; that part of its slot does not change */
static void
find_data(DgQueueItem *item)
{
	dsm_handle	large = queue->slots[item->slot].large;

	if (large == DSM_HANDLE_INVALID)
		item->data = arena + (Size) item->slot * PAGE_BYTES;
	else
	{
		item->segment = dsm_attach(large);
		if (item->segment != NULL)
			item->data = dsm_segment_address(item->segment);
	}
}

/*
 * Answer records that were taken, and wake those who wait for them.  Sets
 * late where nobody does any more.
 */
void
dg_queue_answer(DgQueueItem *items, int nitems)
{
	Latch	   *latches[DG_QUEUE_SLOTS];

	Assert(nitems <= DG_QUEUE_SLOTS);
	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < nitems; i++)
	{
		DgQueueItem *item = &items[i];

		latches[i] = answer_slot(&queue->slots[item->slot], &item->receipt);
		item->late = latches[i] == NULL;
		if (item->receipt.status != DG_RECEIPT_STORED)
			continue;
		if (item->repeat)
			queue->counters.repeats++;
		else
			queue->counters.stored++;
	}
	LWLockRelease(&queue->lock);

	set_latches(latches, nitems);
	for (int i = 0; i < nitems; i++)
	{
		if (items[i].segment != NULL)
			dsm_detach(items[i].segment);
	}
}

/*
 * Put a receipt into a taken slot, or free it if it was abandoned.  Returns
 * the latch to set, or NULL.  Caller holds the lock.
 */
static Latch *
answer_slot(Slot *slot, const DgReceipt *receipt)
{
	if (slot->state == SLOT_ABANDONED)
	{
		free_slot(slot);
		return NULL;
	}
	slot->status = (uint8) receipt->status;
	slot->event_id = receipt->event_id;
	slot->request_id = receipt->request_id;
	slot->state = SLOT_ANSWERED;
	return slot->owner;
}

/*
 * The recorder wants to end.  Returns false, and it has to stay, if records
 * wait; else its desk is empty, and whoever comes now starts another.
 */
bool
dg_queue_leave(void)
{
	bool		leave = true;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < DG_QUEUE_SLOTS; i++)
	{
		if (queue->slots[i].state == SLOT_FILLED &&
			queue->slots[i].dboid == my_desk->dboid)
			leave = false;
	}
	if (leave)
	{
		my_desk->state = DESK_EMPTY;
		my_desk = NULL;
	}
	LWLockRelease(&queue->lock);
	return leave;
}

/*
 * Has somebody asked this recorder to end if it is idle?
 */
bool
dg_queue_room_wanted(void)
{
	return my_desk->room_wanted;
}

/*
 * At exit of a recorder that has not left its desk: an error, or it was
 * terminated.  Its transaction has been aborted by now, as callbacks run last
 * in, first out.
 */
static void
recorder_gone(int code, Datum arg)
{
	Latch	   *latches[DG_QUEUE_SLOTS];
	Oid			dboid;

	if (my_desk == NULL)
		return;

	LWLockAcquire(&queue->lock, LW_EXCLUSIVE);
	dboid = my_desk->dboid;
	my_desk->state = DESK_EMPTY;
	my_desk = NULL;
	queue->counters.worker_failures++;
	for (int i = 0; i < DG_QUEUE_SLOTS; i++)
	{
		latches[i] = NULL;
		if (queue->slots[i].dboid == dboid)
			latches[i] = put_back(&queue->slots[i]);
	}
	LWLockRelease(&queue->lock);
	set_latches(latches, DG_QUEUE_SLOTS);
}

/*
 * Give a slot of a recorder that is gone to the next one, or answer it if that
 * has no sense.  Returns the latch to set, or NULL.  Caller holds the lock.
 */
static Latch *
put_back(Slot *slot)
{
	DgReceipt	receipt = {DG_RECEIPT_FAILED, 0, 0};

	switch ((SlotState) slot->state)
	{
		case SLOT_FREE:
		case SLOT_ANSWERED:
			return NULL;
		case SLOT_FILLED:
			if (my_desk_ready)
				return slot->owner;
			receipt.status = DG_RECEIPT_NO_WORKER;
			break;
		case SLOT_TAKEN:
			if (++slot->deaths < MAX_DEATHS)
			{
				slot->state = SLOT_FILLED;
				return slot->owner;
			}
			break;
		case SLOT_ABANDONED:
			break;
	}
	return answer_slot(slot, &receipt);
}
