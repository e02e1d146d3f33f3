/*-------------------------------------------------------------------------
 *
 * rowset.h
 *	  exact rows: their keys, and digests that tell whether they changed
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ROWSET_H
#define DELETE_GUARD_ROWSET_H

#include "keys.h"
#include "rowimage.h"

/* Most rows that one request can name */
#define DG_ROWSET_MAX 10000
/* Most bytes of their keys */
#define DG_ROWSET_MAX_BYTES (8 * 1024 * 1024)

#define DG_KEY_DIGEST_LEN 16

/* Which row, in which state */
typedef struct DgRowEntry
{
	uint8		key[DG_KEY_DIGEST_LEN];
	uint8		row[DG_KEY_DIGEST_LEN];
} DgRowEntry;

typedef struct DgRowSet
{
	MemoryContext context;
	const DgTable *table;
	DgImager   *key_imager;
	DgImager   *row_imager;
	DgImager   *new_key_imager; /* made when first needed */
	TupleDesc	desc;
	int64		nrows;			/* all that were added */
	int			nkept;			/* of them, what is kept: up to DG_ROWSET_MAX */
	Size		key_bytes;		/* of the key images kept */
	DgKeys	   *keys;
	Jsonb	  **key_images;
	Jsonb	  **new_key_images;	/* of a change of keys; else NULL */
	DgRowEntry *entries;		/* in the order added */
} DgRowSet;

extern DgRowSet *dg_rowset_create(const DgTable *table, TupleDesc desc,
								  MemoryContext parent);
extern void dg_rowset_add(DgRowSet *set, TupleTableSlot *slot,
						  TupleTableSlot *new_slot, const bool *concerned);
extern void dg_rowset_absorb(DgRowSet *set, const DgRowSet *other);
extern bool dg_rowset_complete(const DgRowSet *set);
extern DgRowEntry *dg_rowset_sorted(const DgRowSet *set);
extern int	dg_entry_compare(const void *a, const void *b);
extern void dg_row_entry(DgRowSet *set, TupleTableSlot *slot,
						 TupleTableSlot *new_slot, DgRowEntry *entry);
extern Jsonb *dg_rowset_keys_array(const DgRowSet *set, int from, int max);
extern Jsonb *dg_rowset_new_keys_array(const DgRowSet *set);
extern void dg_key_digest(DgImager *key_imager, TupleTableSlot *slot,
						  uint8 digest[DG_KEY_DIGEST_LEN]);

#endif							/* DELETE_GUARD_ROWSET_H */
