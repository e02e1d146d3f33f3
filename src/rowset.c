/*-------------------------------------------------------------------------
 *
 * rowset.c
 *	  exact rows: their keys, and digests that tell whether they changed
 *
 * A row set is what a request names and what an approval is checked against.
 * The key digest is taken over the image of the identity columns, the row
 * digest over the image of the whole row (for a change of key: of the old and
 * the new row).  Images name columns, so the digests are the same in every
 * partition, whatever the order of its columns.
 *
 * Bounded: DG_ROWSET_MAX rows and DG_ROWSET_MAX_BYTES of their keys are kept,
 * further ones only counted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "rowset.h"

static Jsonb *key_image(DgRowSet *set, DgImager *imager, TupleTableSlot *slot);
static DgImager *new_key_imager(DgRowSet *set);
static void rowset_make_room(DgRowSet *set);
static void *make_array(void *array, Size size);
static void row_digest(DgRowSet *set, TupleTableSlot *slot,
					   TupleTableSlot *new_slot, uint8 *digest);

/*
 * An empty set of rows of the given table and shape, in a context of its own
 * below parent.  The table must stay pinned as long as the set lives.
 */
DgRowSet *
dg_rowset_create(const DgTable *table, TupleDesc desc, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard row set",
												  ALLOCSET_DEFAULT_SIZES);
	DgRowSet   *set = MemoryContextAllocZero(context, sizeof(DgRowSet));

	set->context = context;
	set->table = table;
	set->desc = desc;
	set->key_imager = dg_imager_create(desc, table->identity, table->nidentity, context);
	set->row_imager = dg_imager_create(desc, NULL, 0, context);
	set->keys = dg_keys_create(table, 16, context);
	return set;
}

/*
 * Add a row; new_slot is what it becomes, or NULL if it goes; concerned says
 * which references are to be looked at, NULL for all.
 */
void
dg_rowset_add(DgRowSet *set, TupleTableSlot *slot, TupleTableSlot *new_slot,
			  const bool *concerned)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);
	int			n = set->nkept;

	set->nrows++;
	if (n < DG_ROWSET_MAX && set->key_bytes < DG_ROWSET_MAX_BYTES)
	{
		int			pin = dg_imager_pin_settings(set->row_imager);

		rowset_make_room(set);
		dg_keys_add(set->keys, slot);
		if (concerned)
			dg_keys_concern(set->keys, set->keys->nrows - 1, concerned);
		dg_row_entry(set, slot, new_slot, &set->entries[n]);
		set->key_images[n] = key_image(set, set->key_imager, slot);
		set->new_key_images[n] = new_slot ? key_image(set, new_key_imager(set), new_slot) : NULL;
		dg_imager_unpin_settings(pin);
		set->nkept++;
	}
	MemoryContextSwitchTo(old);
}

/* Image of a key, charged to what the set may keep */
static Jsonb *
key_image(DgRowSet *set, DgImager *imager, TupleTableSlot *slot)
{
	bytea	   *apart;
	Jsonb	   *image = dg_imager_encode(imager, slot, &apart);

	set->key_bytes += VARSIZE(image);
	return image;
}

/* Encodes all columns that references point at, not only the identity */
static DgImager *
new_key_imager(DgRowSet *set)
{
	if (set->new_key_imager == NULL)
		set->new_key_imager = dg_imager_create(set->desc, set->table->key_columns,
											   set->table->nkey_columns, set->context);
	return set->new_key_imager;
}

/* Room for one more row that is kept: the arrays grow by powers of two */
static void
rowset_make_room(DgRowSet *set)
{
	int			n = set->nkept;
	int			room = Max(n * 2, 1);

	if ((n & (n - 1)) != 0)
		return;
	set->entries = make_array(set->entries, sizeof(DgRowEntry) * room);
	set->key_images = make_array(set->key_images, sizeof(Jsonb *) * room);
	set->new_key_images = make_array(set->new_key_images, sizeof(Jsonb *) * room);
}

/* An array of that size, in the current context if there was none */
static void *
make_array(void *array, Size size)
{
	return array ? repalloc(array, size) : palloc(size);
}

/*
 * Add the entries and key images of another set, not its keys: it may be of
 * another partition.  The other set must live as long as this one.
 */
void
dg_rowset_absorb(DgRowSet *set, const DgRowSet *other)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);

	for (int i = 0; i < other->nkept && set->nkept < DG_ROWSET_MAX; i++)
	{
		rowset_make_room(set);
		set->entries[set->nkept] = other->entries[i];
		set->key_images[set->nkept] = other->key_images[i];
		set->new_key_images[set->nkept] = other->new_key_images[i];
		set->nkept++;
	}
	set->nrows += other->nrows;
	MemoryContextSwitchTo(old);
}

/*
 * Which row, in which state: digests of its key, and of the whole row and what
 * it becomes.
 */
void
dg_row_entry(DgRowSet *set, TupleTableSlot *slot, TupleTableSlot *new_slot,
			 DgRowEntry *entry)
{
	int			pin = dg_imager_pin_settings(set->row_imager);

	dg_key_digest(set->key_imager, slot, entry->key);
	row_digest(set, slot, new_slot, entry->row);
	dg_imager_unpin_settings(pin);
}

/* Digest of the whole row, and of what it becomes */
static void
row_digest(DgRowSet *set, TupleTableSlot *slot, TupleTableSlot *new_slot,
		   uint8 *digest)
{
	uint8		parts[4 * DG_DIGEST_LEN] = {0};
	uint8		whole[DG_DIGEST_LEN];
	TupleTableSlot *slots[2] = {slot, new_slot};

	for (int i = 0; i < 2 && slots[i]; i++)
	{
		bytea	   *apart = NULL;
		Jsonb	   *image = dg_imager_encode(set->row_imager, slots[i], &apart);

		dg_digest(image, VARSIZE(image), parts + (2 * i) * DG_DIGEST_LEN);
		if (apart)
		{
			dg_digest(apart, VARSIZE(apart), parts + (2 * i + 1) * DG_DIGEST_LEN);
			pfree(apart);
		}
		pfree(image);
	}
	dg_digest(parts, sizeof(parts), whole);
	memcpy(digest, whole, DG_KEY_DIGEST_LEN);
}

/*
 * Digest of the key of the row in the slot; key_imager encodes the identity
 * columns.
 */
void
dg_key_digest(DgImager *key_imager, TupleTableSlot *slot,
			  uint8 digest[DG_KEY_DIGEST_LEN])
{
	bytea	   *apart = NULL;
	int			pin = dg_imager_pin_settings(key_imager);
	Jsonb	   *image = dg_imager_encode(key_imager, slot, &apart);
	uint8		whole[DG_DIGEST_LEN];

	dg_imager_unpin_settings(pin);
	dg_digest(image, VARSIZE(image), whole);
	memcpy(digest, whole, DG_KEY_DIGEST_LEN);
	pfree(image);
}

/*
 * Are all rows that were added also kept?
 */
bool
dg_rowset_complete(const DgRowSet *set)
{
	return set->nrows == set->nkept;
}

/*
 * Order of entries: by key, then by row.
 */
int
dg_entry_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(DgRowEntry));
}

/*
 * The entries, sorted; in the set's own context.
 */
DgRowEntry *
dg_rowset_sorted(const DgRowSet *set)
{
	Size		size = sizeof(DgRowEntry) * Max(set->nkept, 1);
	DgRowEntry *sorted = MemoryContextAlloc(set->context, size);

	memcpy(sorted, set->entries, sizeof(DgRowEntry) * set->nkept);
	qsort(sorted, set->nkept, sizeof(DgRowEntry), dg_entry_compare);
	return sorted;
}

/*
 * Some of the keys, as a jsonb array of objects; in the current context.
 */
Jsonb *
dg_rowset_keys_array(const DgRowSet *set, int from, int max)
{
	int			n = Min(max, set->nkept - from);

	return dg_jsonb_array(set->key_images + from, Max(n, 0));
}

/*
 * What the keys become, in the same order, as a jsonb array of objects; NULL
 * where that is not known.  In the current context.
 */
Jsonb *
dg_rowset_new_keys_array(const DgRowSet *set)
{
	if (set->nkept == 0 || set->new_key_images[0] == NULL)
		return NULL;
	return dg_jsonb_array(set->new_key_images, set->nkept);
}
