/*-------------------------------------------------------------------------
 *
 * parts.c
 *	  the row images of one event, table by table
 *
 * A "part" is what an event stores of one relation with one effect: the rows
 * that the statement removed itself, those that a cascade removes, and for
 * each reference those of which it sets columns.  Parts are numbered in the
 * order in which their first rows come.
 *
 * Of rows that stay, the key and the columns that are set are stored; of a row
 * without a key all of it, as it could not be found again otherwise.
 *
 * Bounded: all parts together store up to delete_guard.capture_limit images,
 * and then say that they were cut.  Memory is that of the writers (journal.c);
 * with many parts only one holds back what it has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "guc.h"
#include "parts.h"

/* From so many parts on, only one keeps rows in memory */
#define DG_PARTS_BUFFERED 16
/* The number of a part is an int2 */
#define DG_PARTS_MAX PG_INT16_MAX

struct DgPart
{
	DgParts    *parts;
	Oid			relid;
	const char *effect;
	Oid			constraint;
	Bitmapset  *changed;
	DgImager   *imager;
	DgImager   *key_imager;		/* of what keys were changed to, else NULL */
	DgRowWriter *writer;
	Jsonb	   *description;
};

struct DgParts
{
	MemoryContext context;
	MemoryContext row_context;	/* one image at a time */
	int64		event_id;
	List	   *list;			/* of DgPart */
	DgPart	   *last;			/* that a row was added to */
	int64		stored;
	bool		cut;
};

static DgPart *part_find(DgParts *parts, Oid relid, const char *effect,
						 Oid constraint, const Bitmapset *changed);
static DgPart *part_create(DgParts *parts, Relation rel, const char *effect,
						   Oid constraint, const Bitmapset *changed,
						   const Jsonb *description);
static DgImager *imager_for(DgParts *parts, DgTable *table, Relation rel, bool pinned);
static int	columns_kept(const DgTable *table, const Bitmapset *changed,
						 AttrNumber *attnums);

/*
 * The images of an event with a reserved number; none yet.  In a context of its
 * own below parent.
 */
DgParts *
dg_parts_begin(int64 event_id, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard event parts",
												  ALLOCSET_SMALL_SIZES);
	DgParts    *parts = MemoryContextAllocZero(context, sizeof(DgParts));

	parts->context = context;
	parts->row_context = AllocSetContextCreate(context, "delete_guard row image",
											   ALLOCSET_DEFAULT_SIZES);
	parts->event_id = event_id;
	return parts;
}

/*
 * Which event they are of.
 */
int64
dg_parts_event(const DgParts *parts)
{
	return parts->event_id;
}

/* The part there is, or NULL */
static DgPart *
part_find(DgParts *parts, Oid relid, const char *effect, Oid constraint,
		  const Bitmapset *changed)
{
	ListCell   *lc;

	foreach(lc, parts->list)
	{
		DgPart	   *part = lfirst(lc);

		if (part->relid == relid && part->constraint == constraint &&
			strcmp(part->effect, effect) == 0 && bms_equal(part->changed, changed))
			return part;
	}
	return NULL;
}

/* A new part; description is copied, effect is a string constant */
static DgPart *
part_create(DgParts *parts, Relation rel, const char *effect, Oid constraint,
			const Bitmapset *changed, const Jsonb *description)
{
	MemoryContext old = MemoryContextSwitchTo(parts->context);
	DgPart	   *part = palloc0(sizeof(DgPart));

	part->parts = parts;
	part->relid = RelationGetRelid(rel);
	part->effect = effect;
	part->constraint = constraint;
	part->changed = bms_copy(changed);
	part->writer = dg_journal_rows_begin(parts->event_id, list_length(parts->list),
										 parts->context);
	part->description = memcpy(palloc(VARSIZE(description)), description, VARSIZE(description));
	parts->list = lappend(parts->list, part);
	MemoryContextSwitchTo(old);
	return part;
}

/*
 * The part for rows of a relation that the statement removed or changed itself.
 * pinned: the table stays pinned as long as the parts are there.
 */
DgPart *
dg_parts_own(DgParts *parts, DgTable *table, Relation rel, const char *effect, bool pinned)
{
	DgPart	   *part = part_find(parts, RelationGetRelid(rel), effect, InvalidOid, NULL);

	if (part)
		return part;
	part = part_create(parts, rel, effect, InvalidOid, NULL, dg_event_part(table, effect));
	part->imager = imager_for(parts, table, rel, pinned);
	if (strcmp(effect, "key change") == 0)
		part->key_imager = dg_imager_create(RelationGetDescr(rel), table->key_columns,
											table->nkey_columns, parts->context);
	return part;
}

/*
 * The encoder of whole rows.  It is kept with the table, as single-row
 * statements would spend more on making it than on the image; but not if it
 * calls output functions.
 */
static DgImager *
imager_for(DgParts *parts, DgTable *table, Relation rel, bool pinned)
{
	DgImager   *imager;

	if (pinned && table->imager)
		return table->imager;
	imager = dg_imager_create(RelationGetDescr(rel), NULL, 0, parts->context);
	if (pinned && dg_imager_is_plain(imager))
	{
		dg_imager_free(imager);
		imager = table->imager = dg_imager_create(RelationGetDescr(rel), NULL, 0, table->context);
	}
	return imager;
}

/*
 * The part for rows of a relation that a cascade removes; NULL if there are too
 * many parts.  depth is noted if the part is new.
 */
DgPart *
dg_parts_cascade(DgParts *parts, DgTable *table, Relation rel, int depth)
{
	DgPart	   *part = part_find(parts, RelationGetRelid(rel), "cascade", InvalidOid, NULL);

	if (part)
		return part;
	if (list_length(parts->list) >= DG_PARTS_MAX)
	{
		parts->cut = true;
		return NULL;
	}
	part = part_create(parts, rel, "cascade", InvalidOid, NULL,
					   dg_event_reached_part(table, "cascade", depth, NULL, NULL));
	part->imager = dg_imager_create(RelationGetDescr(rel), NULL, 0, parts->context);
	return part;
}

/*
 * The part for rows of which a reference sets columns; else as dg_parts_cascade.
 */
DgPart *
dg_parts_changed(DgParts *parts, DgTable *table, Relation rel, const char *effect,
				 int depth, const DgReference *ref, const Bitmapset *changed)
{
	DgPart	   *part = part_find(parts, RelationGetRelid(rel), effect, ref->constraint, changed);
	AttrNumber	attnums[DG_MAX_KEYS * 2];
	int			natts;

	if (part)
		return part;
	if (list_length(parts->list) >= DG_PARTS_MAX)
	{
		parts->cut = true;
		return NULL;
	}
	part = part_create(parts, rel, effect, ref->constraint, changed,
					   dg_event_reached_part(table, effect, depth, ref, changed));
	natts = columns_kept(table, changed, attnums);
	part->imager = dg_imager_create(RelationGetDescr(rel), natts > 0 ? attnums : NULL, natts,
									parts->context);
	return part;
}

/* The key's columns and those that are changed; 0 if there is no key */
static int
columns_kept(const DgTable *table, const Bitmapset *changed, AttrNumber *attnums)
{
	int			natts = 0;
	int			attnum = -1;

	if (table->nidentity == 0)
		return 0;
	for (int i = 0; i < table->nidentity; i++)
		attnums[natts++] = table->identity[i];
	while ((attnum = bms_next_member(changed, attnum)) >= 0)
	{
		bool		in_key = false;

		for (int i = 0; i < table->nidentity; i++)
			in_key |= table->identity[i] == attnum;
		if (!in_key)
			attnums[natts++] = attnum;
	}
	return natts;
}

/*
 * Pin the settings for rows that are added to a part; undone by dg_part_unpin.
 */
int
dg_part_pin(const DgPart *part)
{
	return dg_imager_pin_settings(part->imager);
}

/*
 * Undo dg_part_pin.
 */
void
dg_part_unpin(int pin)
{
	dg_imager_unpin_settings(pin);
}

/*
 * Store the image of the row in the slot.  False, and the parts are cut, if
 * they hold as many as they may.  The settings must be pinned.
 */
bool
dg_part_add(DgPart *part, TupleTableSlot *slot)
{
	return dg_part_add_rekeyed(part, slot, NULL);
}

/*
 * The same for a row that has another key now, as in new_slot; NULL if that is
 * not known.
 */
bool
dg_part_add_rekeyed(DgPart *part, TupleTableSlot *slot, TupleTableSlot *new_slot)
{
	DgParts    *parts = part->parts;
	MemoryContext old;
	bytea	   *apart = NULL;
	bytea	   *key_apart = NULL;
	Jsonb	   *image;
	Jsonb	   *new_key = NULL;

	if (dg_capture_limit >= 0 && parts->stored >= dg_capture_limit)
	{
		parts->cut = true;
		return false;
	}
	if (parts->last != part && parts->last && list_length(parts->list) > DG_PARTS_BUFFERED)
		dg_journal_rows_flush(parts->last->writer);
	parts->last = part;
	old = MemoryContextSwitchTo(parts->row_context);
	image = dg_imager_encode(part->imager, slot, &apart);
	if (part->key_imager && new_slot)
		new_key = dg_imager_encode(part->key_imager, new_slot, &key_apart);
	MemoryContextSwitchTo(old);
	/* a key that jsonb cannot hold fits into no index, so this is for safety */
	dg_journal_rows_add_rekeyed(part->writer, image, key_apart ? NULL : new_key, apart);
	MemoryContextReset(parts->row_context);
	parts->stored++;
	return true;
}

/*
 * Did the parts have to leave rows out?
 */
bool
dg_parts_cut(const DgParts *parts)
{
	return parts->cut;
}

/*
 * How many images they hold.
 */
int64
dg_parts_stored(const DgParts *parts)
{
	return parts->stored;
}

/*
 * Write what is left, free everything, and return the descriptions of all
 * parts, as an array in the current context.  If all images can stand in the
 * event itself they are not written; *images receives them, or NULL.
 */
Jsonb *
dg_parts_end(DgParts *parts, Jsonb **images)
{
	int			n = list_length(parts->list);
	Jsonb	  **descriptions = palloc(sizeof(Jsonb *) * Max(n, 1));
	Jsonb	   *result;

	*images = NULL;
	if (n == 1)
	{
		DgPart	   *part = linitial(parts->list);

		*images = dg_journal_rows_take(part->writer, VARSIZE(part->description));
	}
	for (int i = 0; i < n; i++)
	{
		DgPart	   *part = list_nth(parts->list, i);

		dg_journal_rows_end(part->writer);
		descriptions[i] = part->description;
	}
	result = dg_jsonb_array(descriptions, n);
	pfree(descriptions);
	MemoryContextDelete(parts->context);
	return result;
}
