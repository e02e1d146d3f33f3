/*-------------------------------------------------------------------------
 *
 * capture.c
 *	  what a removal takes along, stored before it is gone
 *
 * When the guard allows a removal, no foreign key has acted yet.  So the walk
 * (walk.c) finds everything that the removal will reach, and the event stores
 * it: the whole row where a cascade removes it, the old values where columns
 * are set to NULL or to a default.  Tables need not be protected for that.
 *
 * A row is stored once.  A cascade that reaches another protected table fires
 * that table's own guard later in the same query; it finds the rows stored
 * already, and its event names the one that they are under.
 *
 * Lifetime.  What was stored is remembered with the memory context of the
 * query, which tells the query, and forgotten with it: RI triggers queue theirs
 * for the outermost query, so everything that a statement cascades to comes in
 * one.  Memory: the walk's, and of rows of protected tables their digests, up to
 * DG_STORED_MAX; further ones are stored once more when their table's own guard
 * sees them.
 *
 * Where session_replication_role is replica, foreign keys do not act, so there
 * is nothing to be stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "capture.h"
#include "compat.h"
#include "describe.h"
#include "rowset.h"
#include "walk.h"

/* A row of a protected table that is stored */
typedef struct DgStored
{
	Oid			table_id;		/* hash key: the protected table and the key */
	uint8		key[DG_KEY_DIGEST_LEN];
	int64		event_id;
} DgStored;

/* Rows of protected tables that are remembered: some 30 MB */
#define DG_STORED_MAX 500000

#define DG_STORED_KEY_SIZE offsetof(DgStored, event_id)

/* Tells rows of one relation apart */
typedef struct DgKeyImager
{
	Oid			relid;
	DgImager   *imager;
} DgKeyImager;

/* What was stored during one query */
typedef struct DgCapture
{
	dlist_node	node;
	MemoryContext query;
	MemoryContext context;
	MemoryContextCallback callback;
	DgWalk	   *walk;
	HTAB	   *stored;			/* of DgStored; NULL before the first */
	List	   *imagers;		/* of DgKeyImager */
	List	   *truncated;		/* OIDs of relations stored whole */
	DgParts    *parts;			/* that the current run adds to */
} DgCapture;

static dlist_head captures = DLIST_STATIC_INIT(captures);

static DgCapture *capture_find(MemoryContext query);
static DgCapture *capture_begin(MemoryContext query);
static void capture_forget(void *arg);
static int	capture_reached(void *arg, const DgReached *reached);
static void stored_digest(DgCapture *capture, const DgTable *table,
						  TupleTableSlot *slot, DgStored *key);
static void remember_stored(DgCapture *capture, const DgReached *reached);
static void truncated_add(DgCapture *capture, const DgTable *table);
static void store_relation(DgCapture *capture, Oid relid);

/* ---------------------------------------------------------------------
 * The query
 * ---------------------------------------------------------------------
 */

/* What was stored during a query; NULL if nothing was */
static DgCapture *
capture_find(MemoryContext query)
{
	dlist_iter	iter;

	dlist_foreach(iter, &captures)
	{
		DgCapture  *capture = dlist_container(DgCapture, node, iter.cur);

		if (capture->query == query)
			return capture;
	}
	return NULL;
}

/* The same, begun if there is nothing yet */
static DgCapture *
capture_begin(MemoryContext query)
{
	DgCapture  *capture = capture_find(query);
	MemoryContext context;

	if (capture)
		return capture;
	context = AllocSetContextCreate(query, "delete_guard capture", ALLOCSET_SMALL_SIZES);
	capture = MemoryContextAllocZero(context, sizeof(DgCapture));
	capture->context = context;
	capture->query = query;
	capture->walk = dg_walk_create(context, capture_reached, capture);
	capture->callback.func = capture_forget;
	capture->callback.arg = capture;
	dlist_push_head(&captures, &capture->node);
	MemoryContextRegisterResetCallback(context, &capture->callback);
	return capture;
}

/* Context callback: the query is over */
static void
capture_forget(void *arg)
{
	dlist_delete(&((DgCapture *) arg)->node);
}

/* ---------------------------------------------------------------------
 * Rows that foreign keys act on
 * ---------------------------------------------------------------------
 */

/*
 * Can the removal (or the change of keys) that is looked at take anything
 * along?
 */
bool
dg_capture_wanted(const DgDependents *dependents)
{
	DgTable    *table = dg_dependents_table(unconstify(DgDependents *, dependents));

	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return false;
	for (int i = 0; i < table->nreferences; i++)
	{
		switch (dg_dependents_effect(dependents, &table->references[i]))
		{
			case DG_EFFECT_DELETE:
			case DG_EFFECT_SET_NULL:
			case DG_EFFECT_SET_DEFAULT:
				return true;
			default:
				break;
		}
	}
	return false;
}

/*
 * Store what the removal of rows with these keys takes along, as far as this
 * query has not stored it yet.
 */
void
dg_capture_rows(DgParts *parts, MemoryContext query, DgDependents *dependents,
				const DgKeys *keys)
{
	DgCapture  *capture = capture_begin(query);

	capture->parts = parts;
	dg_walk_limit(capture->walk, PG_INT64_MAX, PG_INT32_MAX);
	dg_walk_start(capture->walk, dependents, keys, NULL, NULL);
	dg_walk_run(capture->walk);
	capture->parts = NULL;
}

/* Reached callback: store the row, or what is changed of it */
static int
capture_reached(void *arg, const DgReached *reached)
{
	DgCapture  *capture = arg;
	DgPart	   *part;
	bool		added;
	int			pin;

	if (!reached->first || reached->table == NULL || dg_parts_cut(capture->parts))
		return 0;
	part = reached->effect == DG_EFFECT_DELETE ?
		dg_parts_cascade(capture->parts, reached->table, reached->rel, reached->depth) :
		dg_parts_changed(capture->parts, reached->table, reached->rel,
						 dg_effect_name(reached->effect), reached->depth,
						 reached->ref, reached->changed);
	added = part != NULL;
	if (added)
	{
		pin = dg_part_pin(part);
		added = dg_part_add(part, reached->slot);
		dg_part_unpin(pin);
	}
	if (!added)
		dg_walk_limit(capture->walk, 0, 0);
	else if (reached->effect == DG_EFFECT_DELETE && reached->table->is_protected)
		remember_stored(capture, reached);
	return 0;
}

/*
 * What tells a row of a protected table: the digest of its key, or of all of it
 * if it has none.  Sets the key of an entry.
 */
static void
stored_digest(DgCapture *capture, const DgTable *table, TupleTableSlot *slot, DgStored *key)
{
	DgKeyImager *found = NULL;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, capture->imagers)
	{
		if (((DgKeyImager *) lfirst(lc))->relid == table->relid)
			found = lfirst(lc);
	}
	old = MemoryContextSwitchTo(capture->context);
	if (found == NULL)
	{
		found = palloc(sizeof(DgKeyImager));
		found->relid = table->relid;
		found->imager = dg_imager_create(slot->tts_tupleDescriptor,
										 table->nidentity > 0 ? table->identity : NULL,
										 table->nidentity, capture->context);
		capture->imagers = lappend(capture->imagers, found);
	}
	MemoryContextSwitchTo(old);
	memset(key, 0, sizeof(DgStored));
	key->table_id = table->protection.relid;
	dg_key_digest(found->imager, slot, key->key);
}

/* Remember that a row of a protected table is stored, if there is room */
static void
remember_stored(DgCapture *capture, const DgReached *reached)
{
	DgStored	key;
	DgStored   *entry;
	bool		found;

	if (capture->stored == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = DG_STORED_KEY_SIZE;
		ctl.entrysize = sizeof(DgStored);
		ctl.hcxt = capture->context;
		capture->stored = hash_create("delete_guard stored rows", 64, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_get_num_entries(capture->stored) >= DG_STORED_MAX)
		return;
	stored_digest(capture, reached->table, reached->slot, &key);
	entry = hash_search(capture->stored, &key, HASH_ENTER, &found);
	if (!found)
		entry->event_id = dg_parts_event(capture->parts);
}

/*
 * Is the row in the slot, of a protected table, stored already in this query?
 * Then count it, and note under which event.
 */
bool
dg_capture_has(MemoryContext query, const DgTable *table, TupleTableSlot *slot,
			   DgElsewhere *elsewhere)
{
	DgCapture  *capture = capture_find(query);
	DgStored	key;
	DgStored   *entry;
	ListCell   *lc;

	if (capture == NULL || capture->stored == NULL)
		return false;
	stored_digest(capture, table, slot, &key);
	entry = hash_search(capture->stored, &key, HASH_FIND, NULL);
	if (entry == NULL)
		return false;
	elsewhere->nrows++;
	foreach(lc, elsewhere->events)
	{
		if (*(int64 *) lfirst(lc) == entry->event_id)
			return true;
	}
	elsewhere->events = lappend(elsewhere->events,
								memcpy(palloc(sizeof(int64)), &entry->event_id, sizeof(int64)));
	return true;
}

/* ---------------------------------------------------------------------
 * TRUNCATE
 * ---------------------------------------------------------------------
 */

/*
 * A relation is truncated, and with it every table that refers to it by a
 * foreign key, whatever its rows refer to: store those that are not protected.
 * The protected ones have a trigger of their own.
 */
void
dg_capture_truncated(DgParts *parts, MemoryContext query, const DgTable *table)
{
	DgCapture  *capture = capture_begin(query);

	capture->parts = parts;
	truncated_add(capture, table);
	capture->parts = NULL;
}

/* Everything that refers to a table by foreign keys, and to what does */
static void
truncated_add(DgCapture *capture, const DgTable *table)
{
	check_stack_depth();
	for (int i = 0; i < table->nreferences; i++)
	{
		const DgReference *ref = &table->references[i];

		for (int j = 0; ref->kind != DG_REF_DECLARED && j < ref->nleaves; j++)
			store_relation(capture, ref->leaves[j].relid);
	}
}

/* Store all rows of a relation, once, and of what refers to it */
static void
store_relation(DgCapture *capture, Oid relid)
{
	DgDependents *dep;
	DgTable    *table;
	MemoryContext old;

	if (list_member_oid(capture->truncated, relid))
		return;
	old = MemoryContextSwitchTo(capture->context);
	capture->truncated = lappend_oid(capture->truncated, relid);
	MemoryContextSwitchTo(old);
	dep = dg_dependents_begin(relid, InvalidCommandId, CurrentMemoryContext);
	table = dg_dependents_table(dep);
	if (!table->is_protected)
	{
		Relation	rel = table_open(relid, AccessShareLock);
		TupleTableSlot *slot = table_slot_create(rel, NULL);
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		TableScanDesc scan = dg_table_beginscan(rel, snapshot);
		DgPart	   *part = dg_parts_cascade(capture->parts, table, rel, 1);
		int			pin = part ? dg_part_pin(part) : 0;

		while (part && table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			CHECK_FOR_INTERRUPTS();
			if (!dg_part_add(part, slot))
				break;
		}
		if (part)
			dg_part_unpin(pin);
		table_endscan(scan);
		UnregisterSnapshot(snapshot);
		ExecDropSingleTupleTableSlot(slot);
		table_close(rel, NoLock);
		truncated_add(capture, table);
	}
	dg_dependents_end(dep);
}

/* ---------------------------------------------------------------------
 * Details
 * ---------------------------------------------------------------------
 */

/*
 * What an event's details say of its images: how many there are if some were
 * left out, and which events hold the rows that others store.  NULL if there is
 * nothing to say.  In the current context.
 */
Jsonb *
dg_capture_details(const DgParts *parts, const DgElsewhere *elsewhere)
{
	StringInfoData buf;
	ListCell   *lc;

	if (!dg_parts_cut(parts) && elsewhere->nrows == 0)
		return NULL;
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	if (dg_parts_cut(parts))
		appendStringInfo(&buf, "\"images_stored\": " INT64_FORMAT, dg_parts_stored(parts));
	if (elsewhere->nrows > 0)
	{
		appendStringInfo(&buf, "%s\"cascade_of\": [", dg_parts_cut(parts) ? ", " : "");
		foreach(lc, elsewhere->events)
			appendStringInfo(&buf, "%s" INT64_FORMAT, foreach_current_index(lc) > 0 ? ", " : "",
							 *(int64 *) lfirst(lc));
		appendStringInfoChar(&buf, ']');
	}
	appendStringInfoChar(&buf, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
}
