/*-------------------------------------------------------------------------
 *
 * desk.c
 *	  the queue's side of the recorder: taking records, answering them
 *
 * Words are those of queue.c.  A recorder enters its desk, takes records,
 * answers each, and leaves its desk when nothing waits; if it ends otherwise,
 * its records are given to the next recorder, or answered as failed.
 *
 * Locks: the queue's LWLock, under the rules of queue.c.
 *
 * Lifetime: a recorder has its desk until it leaves or ends.
 *
 * May call: queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "queue.h"
#include "queueshm.h"
#include "storage/ipc.h"

/* So many recorders may die with a record before it is given up */
#define MAX_DEATHS 2

/* This recorder's desk, NULL if it has none or left it; is it connected? */
static DgQueueDesk *my_desk = NULL;
static bool my_desk_ready = false;

static void find_data(DgQueueItem *item);
static Latch *answer_slot(DgQueueSlot *slot, const DgReceipt *receipt);
static Latch *put_back(DgQueueSlot *slot);
static void recorder_gone(int code, Datum arg);

/*
 * A recorder takes its desk.  Returns false if it was not waited for any
 * longer; it then has to end.  When this process ends without dg_queue_leave,
 * its desk is emptied and its records are given to the next recorder.
 */
bool
dg_queue_enter(Oid dboid, uint32 generation)
{
	DgQueueDesk *desk;

	before_shmem_exit(recorder_gone, (Datum) 0);
	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	desk = dg_queue_find_desk(dboid);
	if (desk != NULL && desk->state == DG_DESK_STARTING &&
		desk->generation == generation)
	{
		desk->state = DG_DESK_MANNED;
		desk->latch = MyLatch;
		my_desk = desk;
	}
	LWLockRelease(&dg_queue->lock);
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
	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	dg_queue_count(my_desk->dboid, DG_COUNT_STARTS);
	LWLockRelease(&dg_queue->lock);
}

/*
 * Take the records that wait for this recorder, behind the *nitems that are
 * there already, and count them in; max in all.  Each has to be answered.  One
 * that is withdrawn at this very moment may come without data.  So may those not
 * reached if this raises an error, as for want of memory.
 */
void
dg_queue_take(DgQueueItem *items, int *nitems, int max)
{
	int			first = *nitems;

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < DG_QUEUE_SLOTS && *nitems < max; i++)
	{
		DgQueueSlot *slot = &dg_queue->slots[i];
		DgQueueItem *item = &items[*nitems];

		if (slot->state != DG_SLOT_FILLED || slot->dboid != my_desk->dboid)
			continue;
		slot->state = DG_SLOT_TAKEN;
		memset(item, 0, sizeof(DgQueueItem));
		item->slot = i;
		item->length = slot->length;
		(*nitems)++;
	}
	LWLockRelease(&dg_queue->lock);

	for (int i = first; i < *nitems; i++)
		find_data(&items[i]);
}

/* Point a taken item at its bytes; that part of its slot does not change */
static void
find_data(DgQueueItem *item)
{
	dsm_handle	large = dg_queue->slots[item->slot].large;

	if (large == DSM_HANDLE_INVALID)
		item->data = dg_queue_arena + (Size) item->slot * DG_QUEUE_PAGE_BYTES;
	else
	{
		item->segment = dsm_attach(large);
		if (item->segment != NULL)
		{
			/* ours until it is answered, whatever becomes of the transaction */
			dsm_pin_mapping(item->segment);
			item->data = dsm_segment_address(item->segment);
		}
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
	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < nitems; i++)
	{
		DgQueueItem *item = &items[i];

		latches[i] = answer_slot(&dg_queue->slots[item->slot], &item->receipt);
		item->late = latches[i] == NULL;
		if (item->receipt.status != DG_RECEIPT_STORED)
			continue;
		dg_queue_count(my_desk->dboid,
					   item->repeat ? DG_COUNT_REPEATS : DG_COUNT_STORED);
	}
	LWLockRelease(&dg_queue->lock);

	dg_queue_set_latches(latches, nitems);
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
answer_slot(DgQueueSlot *slot, const DgReceipt *receipt)
{
	if (slot->state == DG_SLOT_ABANDONED)
	{
		dg_queue_free_slot(slot);
		return NULL;
	}
	slot->status = (uint8) receipt->status;
	slot->event_id = receipt->event_id;
	slot->request_id = receipt->request_id;
	slot->repeats = receipt->repeats;
	slot->state = DG_SLOT_ANSWERED;
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

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < DG_QUEUE_SLOTS; i++)
	{
		if (dg_queue->slots[i].state == DG_SLOT_FILLED &&
			dg_queue->slots[i].dboid == my_desk->dboid)
			leave = false;
	}
	if (leave)
	{
		my_desk->state = DG_DESK_EMPTY;
		my_desk = NULL;
	}
	LWLockRelease(&dg_queue->lock);
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

	LWLockAcquire(&dg_queue->lock, LW_EXCLUSIVE);
	dboid = my_desk->dboid;
	my_desk->state = DG_DESK_EMPTY;
	my_desk = NULL;
	dg_queue_count(dboid, DG_COUNT_FAILURES);
	for (int i = 0; i < DG_QUEUE_SLOTS; i++)
	{
		latches[i] = NULL;
		if (dg_queue->slots[i].dboid == dboid)
			latches[i] = put_back(&dg_queue->slots[i]);
	}
	LWLockRelease(&dg_queue->lock);
	dg_queue_set_latches(latches, DG_QUEUE_SLOTS);
}

/*
 * Give a slot of a recorder that is gone to the next one, or answer it if that
 * has no sense.  Returns the latch to set, or NULL.  Caller holds the lock.
 */
static Latch *
put_back(DgQueueSlot *slot)
{
	DgReceipt	receipt = {DG_RECEIPT_FAILED};

	switch ((DgSlotState) slot->state)
	{
		case DG_SLOT_FREE:
		case DG_SLOT_ANSWERED:
			return NULL;
		case DG_SLOT_FILLED:
			if (my_desk_ready)
				return slot->owner;
			receipt.status = DG_RECEIPT_NO_WORKER;
			break;
		case DG_SLOT_TAKEN:
			if (++slot->deaths < MAX_DEATHS)
			{
				slot->state = DG_SLOT_FILLED;
				return slot->owner;
			}
			break;
		case DG_SLOT_ABANDONED:
			break;
	}
	return answer_slot(slot, &receipt);
}
