/*-------------------------------------------------------------------------
 *
 * jsonbwrite.h
 *	  write jsonb in its binary form, value by value
 *
 * The inline functions are on the path of every value of every image.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_JSONBWRITE_H
#define DELETE_GUARD_JSONBWRITE_H

#include "utils/jsonb.h"
#include "utils/numeric.h"

/* Values that dg_jsonb_make_room() is not told of are no longer, with padding */
#define DG_SHORT_VALUE		160

/* Type bits that no JEntry has: the value does not fit in a jsonb */
#define DG_DOES_NOT_FIT		((JEntry) JENTRY_TYPEMASK)

/* One jsonb after another under construction, the length word included */
typedef struct DgJsonbWriter
{
	char	   *data;
	Size		len;
	Size		size;
	Size		slack;			/* room that is always left after len */
	char	   *kept;			/* buffer used while it suffices, which it
								 * does at least for all keys and short values */
	Size		kept_size;
	MemoryContext result_context;	/* of the present jsonb */
	MemoryContext scratch;		/* for the user to reset, if used */
	bool		scratch_used;
} DgJsonbWriter;

/* one jsonb */
extern void dg_jsonb_writer_init(DgJsonbWriter *writer, int nvalues,
								 Size keys_size, MemoryContext context);
extern Jsonb *dg_jsonb_finish(DgJsonbWriter *writer);
extern void dg_jsonb_discard(DgJsonbWriter *writer);

/* one value: appends it and returns its JEntry's type bits */
extern JEntry dg_jsonb_put_numeric(DgJsonbWriter *writer, Datum value);
extern JEntry dg_jsonb_put_float4(DgJsonbWriter *writer, float4 value);
extern JEntry dg_jsonb_put_float8(DgJsonbWriter *writer, float8 value);
extern JEntry dg_jsonb_put_datetime(DgJsonbWriter *writer, Oid typid,
									Datum value);
extern JEntry dg_jsonb_put_bytea(DgJsonbWriter *writer, Datum value);
extern JEntry dg_jsonb_put_uuid(DgJsonbWriter *writer, Datum value);
extern JEntry dg_jsonb_put_jsonb(DgJsonbWriter *writer, Datum value);

/* an array of finished ones */
extern Jsonb *dg_jsonb_array(Jsonb *const *elements, int nelements);

/* for the inline functions below */
extern void dg_jsonb_grow(DgJsonbWriter *writer, Size nbytes);
extern struct varlena *dg_jsonb_detoast(DgJsonbWriter *writer, Datum value);

/*
 * The JEntry of a container's index'th child: every JB_OFFSET_STRIDE'th tells
 * where the child ends, the others how long it is.
 */
static inline JEntry
dg_jsonb_entry(int index, JEntry type, Size len, Size end)
{
	if (index % JB_OFFSET_STRIDE == 0)
		return type | JENTRY_HAS_OFF | (JEntry) end;
	return type | (JEntry) len;
}

/*
 * Ensure that nbytes can be appended, and all short values after that.
 */
static inline void
dg_jsonb_make_room(DgJsonbWriter *writer, Size nbytes)
{
	if (unlikely(writer->len + nbytes + writer->slack > writer->size))
		dg_jsonb_grow(writer, nbytes);
}

/* Would the jsonb stay within its limit with nbytes and padding more? */
static inline bool
dg_jsonb_fits(DgJsonbWriter *writer, Size nbytes)
{
	return writer->len + nbytes + writer->slack <= JENTRY_OFFLENMASK;
}

/* Switch to the scratch context, which is to be reset; returns the old one. */
static inline MemoryContext
dg_jsonb_use_scratch(DgJsonbWriter *writer)
{
	writer->scratch_used = true;
	return MemoryContextSwitchTo(writer->scratch);
}

/*
 * The value as a varlena that may have a short header but is neither
 * compressed nor stored elsewhere; lives until the scratch context's reset.
 */
static inline struct varlena *
dg_jsonb_plain(DgJsonbWriter *writer, Datum value)
{
	struct varlena *plain = (struct varlena *) DatumGetPointer(value);

	if (unlikely(VARATT_IS_COMPRESSED(plain) || VARATT_IS_EXTERNAL(plain)))
		return dg_jsonb_detoast(writer, value);
	return plain;
}

/* Append a string. */
static inline JEntry
dg_jsonb_put_string(DgJsonbWriter *writer, const char *bytes, Size nbytes)
{
	if (unlikely(!dg_jsonb_fits(writer, nbytes)))
		return DG_DOES_NOT_FIT;
	dg_jsonb_make_room(writer, nbytes);
	memcpy(writer->data + writer->len, bytes, nbytes);
	writer->len += nbytes;
	return JENTRY_ISSTRING;
}

/* Append a number or container, after the padding that belongs to it. */
static inline JEntry
dg_jsonb_put_aligned(DgJsonbWriter *writer, JEntry type, const char *bytes,
					 Size nbytes)
{
	if (unlikely(!dg_jsonb_fits(writer, nbytes)))
		return DG_DOES_NOT_FIT;
	dg_jsonb_make_room(writer, nbytes);
	while (writer->len != INTALIGN(writer->len))
		writer->data[writer->len++] = '\0';
	memcpy(writer->data + writer->len, bytes, nbytes);
	writer->len += nbytes;
	return type;
}

/*
 * Start a jsonb, of which only the length word's place is there.  The current
 * context will be that of the jsonb.
 */
static inline void
dg_jsonb_begin(DgJsonbWriter *writer)
{
	writer->result_context = CurrentMemoryContext;
	writer->data = writer->kept;
	writer->size = writer->kept_size;
	writer->len = VARHDRSZ;
}

/* Append an integer. */
static inline JEntry
dg_jsonb_put_int64(DgJsonbWriter *writer, int64 value)
{
	Numeric		number = int64_to_numeric(value);
	JEntry		type = dg_jsonb_put_aligned(writer, JENTRY_ISNUMERIC,
											(const char *) number, VARSIZE(number));

	pfree(number);
	return type;
}

/* Append a value that is stored as it prints. */
static inline JEntry
dg_jsonb_put_text(DgJsonbWriter *writer, Datum value)
{
	struct varlena *plain = dg_jsonb_plain(writer, value);

	return dg_jsonb_put_string(writer, VARDATA_ANY(plain),
							   VARSIZE_ANY_EXHDR(plain));
}

#endif							/* DELETE_GUARD_JSONBWRITE_H */
