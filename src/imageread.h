/*-------------------------------------------------------------------------
 *
 * imageread.h
 *	  image of a row -> values, exact
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_IMAGEREAD_H
#define DELETE_GUARD_IMAGEREAD_H

#include "utils/jsonb.h"

/* Decoder for images of one table's rows; opaque */
typedef struct DgReader DgReader;

extern DgReader *dg_reader_create(MemoryContext parent);
extern void dg_reader_add(DgReader *reader, const char *name,
						  const char *recorded_type, Oid typid, int32 typmod);
extern void dg_reader_read(DgReader *reader, JsonbContainer *image,
						   bytea *apart, Datum *values, bool *isnull);
extern char *dg_image_value_text(JsonbValue *value);
extern JsonbValue *dg_image_member(JsonbContainer *image, const char *name,
								   JsonbValue *buffer);

#endif							/* DELETE_GUARD_IMAGEREAD_H */
