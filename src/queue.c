/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  shared memory between backends and the recorder of a database: its life,
 *	  and the side of the backends; desk.c is the side of the recorder
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
 * Lifetime: until the server (re)starts.  No preloading is needed: about 40 kB
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
#include "queueshm.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

/* All larger records together may take so much shared memory */
#define LARGE_LIMIT ((Size) 256 * 1024 * 1024)

/* A recorder that has not come by then is taken for lost */
#define START_LIMIT_MS 1000

DgQueue    *dg_queue = NULL;
char	   *dg_queue_arena = NULL;

/* In a backend: segment of the record on its way, if that is a large one */
static dsm_segment *large_segment = NULL;

static void init_queue(DG_SHARED_INIT_ARGS);
static void attach_arena(void);
static void fill_slot(DgQueueSlot *slot, Oid dboid, Size length);
static int	find_free_slot(Size large_length);
static void drop_large_segment(void);
static bool start_is_stale(const DgQueueDesk *desk);
static void read_receipt(DgQueueSlot *slot, DgReceipt *receipt);
static DgQueueTally *find_tally(Oid dboid);
static DgQueueTally *free_tally(void);

/*
 * Bytes of main shared memory for a postmaster that preloads the library.
 */
Size
dg_queue_shmem_size(void)
{
	return MAXALIGN(sizeof(DgQueue));
}

/*
 * Connect this process to the queue, and create the queue if it is the first.
 * To be called before anything else here.  Raises an error if shared memory
 * is short.  A library of another version that is installed while the server
 * runs has a queue of its own, as the structures may differ.
 */
void
dg_queue_attach(void)
{
	if (dg_queue_arena != NULL)
		return;
	dg_shared_memory(dg_queue, "delete_guard " DELETE_GUARD_VERSION, sizeof(DgQueue), init_queue);
	dg_name_tranche(dg_queue->lock.tranche, "delete_guard");
	attach_arena();
}

/* Set up the queue in new shared memory */
static void
init_queue(DG_SHARED_INIT_ARGS)
{
	DgQueue    *new_queue = (DgQueue *) state;

	memset(new_queue, 0, sizeof(DgQueue));
	LWLockInitialize(&new_queue->lock, dg_new_tranche("delete_guard"));
}

/* Create the arena or attach to it, for the life of this process */
static void
attach_arena(void)
{
	dsm_segment *segment;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	if (dg_queue->arena != DSM_HANDLE_INVALID)
		segment = dsm_attach(dg_queue->arena);
	else
	{
		segment = dsm_create((Size) DG_QUEUE_SLOTS * DG_QUEUE_PAGE_BYTES, 0);
		dsm_pin_segment(segment);
		dg_queue->arena = dsm_segment_handle(segment);
	}
	LWLockRelease(&dg_queue->lock);
	if (segment == NULL)
		elog(ERROR, "unexpected end of a pinned segment");
	dsm_pin_mapping(segment);
	dg_queue_arena = dsm_segment_address(segment);
}

/*
 * The counters of a database, DG_COUNTERS of them, and when counting began;
 * that is the beginning of time if nothing has been counted.
 */
void
dg_queue_counters(Oid dboid, DgCounter *counters, TimestampTz *since)
{
	static const char *const names[DG_COUNTERS] = {"stored", "repeats", "not_stored",
	"starts", "failures"};
	const DgQueueTally *tally;

	dg_queue_attach();
	LWLockAcquire(&dg_queue->lock, LW_SHARED);
	tally = find_tally(dboid);
	*since = tally ? tally->since : DT_NOBEGIN;
	for (int c = 0; c < DG_COUNTERS; c++)
	{
		counters[c].name = names[c];
		counters[c].value = tally ? tally->counts[c] : 0;
	}
	LWLockRelease(&dg_queue->lock);
}

/*
 * The counters of a database are on disk with these values.
 */
void
dg_queue_counters_kept(Oid dboid, const DgCounter *counters)
{
	DgQueueTally *tally;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	tally = find_tally(dboid);
	if (tally)
	{
		tally->kept = true;
		for (int c = 0; c < DG_COUNTERS; c++)
			tally->kept &= tally->counts[c] == counters[c].value;
	}
	LWLockRelease(&dg_queue->lock);
}

/* Count something for a database.  Caller holds the lock. */
void
dg_queue_count(Oid dboid, DgCount what)
{
	DgQueueTally *tally = find_tally(dboid);
	TimestampTz now = GetCurrentTimestamp();

	if (tally == NULL)
	{
		tally = free_tally();
		memset(tally, 0, sizeof(DgQueueTally));
		tally->dboid = dboid;
		tally->since = now;
	}
	tally->kept = false;
	tally->counted = now;
	tally->counts[what]++;
}

/* The tally of a database, NULL if there is none.  Caller holds the lock. */
static DgQueueTally *
find_tally(Oid dboid)
{
	for (int i = 0; i < DG_QUEUE_TALLIES; i++)
	{
		if (dg_queue->tallies[i].dboid == dboid)
			return &dg_queue->tallies[i];
	}
	return NULL;
}

/* A tally that can be taken for another database.  Caller holds the lock. */
static DgQueueTally *
free_tally(void)
{
	DgQueueTally *best = find_tally(InvalidOid);

	if (best)
		return best;
	best = &dg_queue->tallies[0];
	for (int i = 1; i < DG_QUEUE_TALLIES; i++)
	{
		DgQueueTally *tally = &dg_queue->tallies[i];

		if (tally->kept != best->kept ? tally->kept : tally->counted < best->counted)
			best = tally;
	}
	return best;
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
	if (length > DG_QUEUE_PAGE_BYTES)
	{
		large_segment = dsm_create(length, 0);
		memcpy(dsm_segment_address(large_segment), data, length);
	}

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	index = find_free_slot(large_segment != NULL ? length : 0);
	if (index >= 0)
	{
		if (large_segment == NULL)
			memcpy(dg_queue_arena + (Size) index * DG_QUEUE_PAGE_BYTES, data, length);
		fill_slot(&dg_queue->slots[index], dboid, length);
	}
	LWLockRelease(&dg_queue->lock);

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
	if (dg_queue->large_bytes + large_length > LARGE_LIMIT)
		return -1;
	for (int i = 0; i < DG_QUEUE_SLOTS; i++)
	{
		if (dg_queue->slots[i].state == DG_SLOT_FREE)
			return i;
	}
	return -1;
}

/* Make a free slot a filled one.  Caller holds the lock. */
static void
fill_slot(DgQueueSlot *slot, Oid dboid, Size length)
{
	memset(slot, 0, sizeof(DgQueueSlot));
	slot->dboid = dboid;
	slot->length = (uint32) length;
	slot->owner = MyLatch;
	if (large_segment != NULL)
	{
		slot->large = dsm_segment_handle(large_segment);
		dg_queue->large_bytes += length;
	}
	slot->state = DG_SLOT_FILLED;
}

/* Make any slot a free one.  Caller holds the lock. */
void
dg_queue_free_slot(DgQueueSlot *slot)
{
	if (slot->large != DSM_HANDLE_INVALID)
		dg_queue->large_bytes -= slot->length;
	slot->state = DG_SLOT_FREE;
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

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	answered = dg_queue->slots[slot].state == DG_SLOT_ANSWERED;
	if (answered)
		read_receipt(&dg_queue->slots[slot], receipt);
	LWLockRelease(&dg_queue->lock);
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
	DgQueueSlot *mine = &dg_queue->slots[slot];
	bool		answered = false;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	if (mine->state == DG_SLOT_ANSWERED)
	{
		answered = true;
		read_receipt(mine, receipt);
	}
	else if (mine->state == DG_SLOT_FILLED)
		dg_queue_free_slot(mine);
	else if (mine->state == DG_SLOT_TAKEN)
		mine->state = DG_SLOT_ABANDONED;
	LWLockRelease(&dg_queue->lock);
	drop_large_segment();
	return answered;
}

/* Read an answered slot's receipt and free the slot.  Caller holds the lock. */
static void
read_receipt(DgQueueSlot *slot, DgReceipt *receipt)
{
	receipt->status = (DgReceiptStatus) slot->status;
	receipt->event_id = slot->event_id;
	receipt->request_id = slot->request_id;
	receipt->repeats = slot->repeats;
	dg_queue_free_slot(slot);
}

/*
 * Count a record that went to the server log.  Does nothing as long as this
 * process could not attach.
 */
void
dg_queue_count_not_stored(void)
{
	if (dg_queue == NULL)
		return;
	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	dg_queue_count(MyDatabaseId, DG_COUNT_NOT_STORED);
	LWLockRelease(&dg_queue->lock);
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
	DgQueueDesk *desk;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	desk = dg_queue_find_desk(dboid);
	if (desk == NULL)
		result = DG_CALL_NO_ROOM;
	else if (desk->state == DG_DESK_MANNED)
		latch = desk->latch;
	else if (desk->state == DG_DESK_EMPTY || start_is_stale(desk))
	{
		desk->dboid = dboid;
		desk->state = DG_DESK_STARTING;
		desk->generation = *generation = ++dg_queue->last_generation;
		desk->room_wanted = false;
		desk->since = GetCurrentTimestamp();
		result = DG_CALL_START;
	}
	LWLockRelease(&dg_queue->lock);

	if (latch != NULL)
		SetLatch(latch);
	return result;
}

/*
 * Desk of a database, else an empty one, else NULL.  Caller holds the lock.
 */
DgQueueDesk *
dg_queue_find_desk(Oid dboid)
{
	DgQueueDesk *empty = NULL;

	for (int i = 0; i < DG_QUEUE_DESKS; i++)
	{
		DgQueueDesk *desk = &dg_queue->desks[i];

		if (desk->state == DG_DESK_EMPTY)
			empty = desk;
		else if (desk->dboid == dboid)
			return desk;
	}
	return empty;
}

/* Has a recorder been starting for too long (or from a future clock)? */
static bool
start_is_stale(const DgQueueDesk *desk)
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
	DgQueueDesk *desk;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	desk = dg_queue_find_desk(dboid);
	if (desk != NULL && desk->state == DG_DESK_STARTING &&
		desk->generation == generation)
	{
		desk->state = DG_DESK_EMPTY;
		if (counted)
			dg_queue_count(dboid, DG_COUNT_FAILURES);
	}
	LWLockRelease(&dg_queue->lock);
}

/*
 * Ask the recorders of other databases that have nothing to do to end, as the
 * server has no worker slot left, or we no desk.
 */
void
dg_queue_ask_for_room(Oid dboid)
{
	Latch	   *latches[DG_QUEUE_DESKS];
	int			nlatches = 0;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < DG_QUEUE_DESKS; i++)
	{
		DgQueueDesk *desk = &dg_queue->desks[i];

		if (desk->state == DG_DESK_MANNED && desk->dboid != dboid)
		{
			desk->room_wanted = true;
			latches[nlatches++] = desk->latch;
		}
	}
	LWLockRelease(&dg_queue->lock);
	dg_queue_set_latches(latches, nlatches);
}

/* Set each latch that is not NULL.  Caller has released the lock. */
void
dg_queue_set_latches(Latch **latches, int nlatches)
{
	for (int i = 0; i < nlatches; i++)
	{
		if (latches[i] != NULL)
			SetLatch(latches[i]);
	}
}
