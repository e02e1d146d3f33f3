/*-------------------------------------------------------------------------
 *
 * tidset.c
 *	  which rows of which relations, as bits
 *
 * A "page" here is 256 row numbers of one block of one relation, for one
 * purpose; it has a bit a row.  So memory is in proportion to the blocks that
 * the rows are in, some 70 bytes each, and not to the rows: five million rows
 * that fill their blocks take 3 MB.
 *
 * Lifetime: a context of its own below the parent's; nothing else is held.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "tidset.h"

/* Row numbers of one page; a block has more than one only in odd table AMs */
#define DG_PAGE_ROWS 256

typedef struct DgPageKey
{
	Oid			relid;
	Oid			purpose;
	BlockNumber block;
	uint32		part;			/* row numbers from part * DG_PAGE_ROWS on */
} DgPageKey;

typedef struct DgPage
{
	DgPageKey	key;
	uint8		bits[DG_PAGE_ROWS / 8];
} DgPage;

struct DgTidSet
{
	HTAB	   *pages;
};

static DgPage *find_page(const DgTidSet *set, Oid relid, Oid purpose,
						 const ItemPointerData *tid, HASHACTION action);

/*
 * An empty set.
 */
DgTidSet *
dg_tidset_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard set of rows",
												  ALLOCSET_SMALL_SIZES);
	DgTidSet   *set = MemoryContextAlloc(context, sizeof(DgTidSet));
	HASHCTL		ctl;

	ctl.keysize = sizeof(DgPageKey);
	ctl.entrysize = sizeof(DgPage);
	ctl.hcxt = context;
	set->pages = hash_create("delete_guard pages of rows", 16, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return set;
}

/* The page that a row is in; NULL if it is not there and not to be made */
static DgPage *
find_page(const DgTidSet *set, Oid relid, Oid purpose, const ItemPointerData *tid,
		  HASHACTION action)
{
	DgPageKey	key;
	DgPage	   *page;
	bool		found;

	key.relid = relid;
	key.purpose = purpose;
	key.block = ItemPointerGetBlockNumberNoCheck(tid);
	key.part = ItemPointerGetOffsetNumberNoCheck(tid) / DG_PAGE_ROWS;
	page = hash_search(set->pages, &key, action, &found);
	if (page && !found)
		memset(page->bits, 0, sizeof(page->bits));
	return page;
}

/*
 * Is a row in the set?  purpose tells apart what one row may be in for.
 */
bool
dg_tidset_has(const DgTidSet *set, Oid relid, Oid purpose, const ItemPointerData *tid)
{
	int			n = ItemPointerGetOffsetNumberNoCheck(tid) % DG_PAGE_ROWS;
	DgPage	   *page = find_page(set, relid, purpose, tid, HASH_FIND);

	return page && (page->bits[n / 8] & (1 << (n % 8))) != 0;
}

/*
 * Add a row.  False if it was there.
 */
bool
dg_tidset_add(DgTidSet *set, Oid relid, Oid purpose, const ItemPointerData *tid)
{
	int			n = ItemPointerGetOffsetNumberNoCheck(tid) % DG_PAGE_ROWS;
	DgPage	   *page = find_page(set, relid, purpose, tid, HASH_ENTER);
	bool		was_there = (page->bits[n / 8] & (1 << (n % 8))) != 0;

	page->bits[n / 8] |= 1 << (n % 8);
	return !was_there;
}
