/*-------------------------------------------------------------------------
 *
 * rowimage.h
 *	  row -> jsonb image, exact; key subsets; digests
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_ROWIMAGE_H
#define DELETE_GUARD_ROWIMAGE_H

#include "executor/tuptable.h"
#include "utils/jsonb.h"

#include "jsonbwrite.h"			/* for dg_jsonb_array() too */

/* Encoder for rows of one tuple descriptor; opaque */
typedef struct DgImager DgImager;

#define DG_DIGEST_LEN 32

extern DgImager *dg_imager_create(TupleDesc desc, const AttrNumber *attnums,
								  int natts, MemoryContext parent);
extern bool dg_imager_is_plain(const DgImager *imager);
extern void dg_imager_free(DgImager *imager);
extern int	dg_imager_pin_settings(const DgImager *imager);
extern void dg_imager_unpin_settings(int nestlevel);
extern Jsonb *dg_imager_encode(DgImager *imager, TupleTableSlot *slot,
							   bytea **apart);
extern Jsonb *dg_imager_encode_values(DgImager *imager, const Datum *values,
									  const bool *isnull, bytea **apart);
extern void dg_digest(const void *data, Size len,
					  uint8 digest[DG_DIGEST_LEN]);

#endif							/* DELETE_GUARD_ROWIMAGE_H */
