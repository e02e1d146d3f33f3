/*-------------------------------------------------------------------------
 *
 * jsonbwrite.c
 *	  write jsonb in its binary form, value by value
 *
 * Words.  A "writer" is a buffer in which one jsonb after another grows; its
 * user writes header, JEntries and keys, and the functions here append values.
 * Each returns its JEntry's type bits, or DG_DOES_NOT_FIT if jsonb cannot hold
 * the value beside what is there already; then the buffer's content after the
 * value's start is undefined.  "Slack" is room for short values that need not
 * ask for it: so much is always left that each value of a jsonb may be one.
 *
 * Equal values are written as equal bytes, padding included.  A value that is
 * printed here reads as the same value, whatever the settings.
 *
 * Memory: a writer's buffer and its scratch context are children of the
 * context given to dg_jsonb_writer_init().  A buffer that is too large to be
 * kept is in the context that was current at the beginning of its jsonb, and
 * becomes that jsonb; others are copied.
 *
 * May call: PostgreSQL only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

#include "jsonbwrite.h"

/* Up to this size the working buffer is kept from jsonb to jsonb */
#define DG_KEPT_BUFFER		(64 * 1024)

static JEntry jsonb_node(const char *jsonb, Size size, const char **bytes,
						 Size *nbytes);

/*
 * Set a writer up for jsonb of at most nvalues values and, JEntries included,
 * keys_size bytes of keys.  What it needs is allocated in context.
 */
void
dg_jsonb_writer_init(DgJsonbWriter *writer, int nvalues, Size keys_size,
					 MemoryContext context)
{
	writer->scratch = AllocSetContextCreate(context, "delete_guard row values",
											ALLOCSET_SMALL_SIZES);
	writer->scratch_used = false;
	writer->slack = nvalues * DG_SHORT_VALUE;
	writer->kept_size = VARHDRSZ + sizeof(uint32) + nvalues * sizeof(JEntry) +
		keys_size + writer->slack;
	writer->kept = MemoryContextAlloc(context, writer->kept_size);
	dg_jsonb_begin(writer);
}

/*
 * The finished jsonb, in the current context, which must be that of its
 * beginning.
 */
Jsonb *
dg_jsonb_finish(DgJsonbWriter *writer)
{
	char	   *jsonb = writer->data;

	if (jsonb == writer->kept)
	{
		jsonb = palloc(writer->len);
		memcpy(jsonb, writer->data, writer->len);
	}
	SET_VARSIZE(jsonb, writer->len);
	return (Jsonb *) jsonb;
}

/* Drop the jsonb under construction. */
void
dg_jsonb_discard(DgJsonbWriter *writer)
{
	if (writer->data != writer->kept)
		pfree(writer->data);
}

/*
 * Append a numeric, always with a four-byte header.  NaN and the infinities
 * are no jsonb numbers and become strings.
 */
JEntry
dg_jsonb_put_numeric(DgJsonbWriter *writer, Datum value)
{
	struct varlena *plain = dg_jsonb_plain(writer, value);
	Size		before = writer->len;
	Size		nbytes = VARSIZE_ANY_EXHDR(plain);
	Size		start = INTALIGN(before);
	Numeric		number;

	if (!dg_jsonb_fits(writer, nbytes))
		return DG_DOES_NOT_FIT;
	dg_jsonb_make_room(writer, nbytes);
	memset(writer->data + before, 0, start - before);
	number = (Numeric) (writer->data + start);
	SET_VARSIZE(number, VARHDRSZ + nbytes);
	memcpy(VARDATA(number), VARDATA_ANY(plain), nbytes);
	writer->len = start + VARHDRSZ + nbytes;
	if (unlikely(numeric_is_nan(number) || numeric_is_inf(number)))
	{
		MemoryContext caller = dg_jsonb_use_scratch(writer);
		char	   *printed = DatumGetCString(DirectFunctionCall1(numeric_out,
																  value));

		MemoryContextSwitchTo(caller);
		writer->len = before;
		return dg_jsonb_put_string(writer, printed, strlen(printed));
	}
	return JENTRY_ISNUMERIC;
}

/* Append a real as the shortest string that reads as the same value. */
JEntry
dg_jsonb_put_float4(DgJsonbWriter *writer, float4 value)
{
	writer->len += float_to_shortest_decimal_buf(value,
												 writer->data + writer->len);
	return JENTRY_ISSTRING;
}

/* Append a double precision as the shortest string that reads the same. */
JEntry
dg_jsonb_put_float8(DgJsonbWriter *writer, float8 value)
{
	writer->len += double_to_shortest_decimal_buf(value,
												  writer->data + writer->len);
	return JENTRY_ISSTRING;
}

/* Append a date or time in ISO 8601, a timestamptz in UTC. */
JEntry
dg_jsonb_put_datetime(DgJsonbWriter *writer, Oid typid, Datum value)
{
	static const int utc = 0;

	StaticAssertStmt(DG_SHORT_VALUE > MAXDATELEN + 1, "no room for a date");
	JsonEncodeDateTime(writer->data + writer->len, value, typid,
					   typid == TIMESTAMPTZOID ? &utc : NULL);
	writer->len += strlen(writer->data + writer->len);
	return JENTRY_ISSTRING;
}

/* Append a bytea in hex. */
JEntry
dg_jsonb_put_bytea(DgJsonbWriter *writer, Datum value)
{
	struct varlena *plain = dg_jsonb_plain(writer, value);
	Size		nbytes = VARSIZE_ANY_EXHDR(plain);

	if (!dg_jsonb_fits(writer, 2 + 2 * nbytes))
		return DG_DOES_NOT_FIT;
	dg_jsonb_make_room(writer, 2 + 2 * nbytes);
	writer->data[writer->len++] = '\\';
	writer->data[writer->len++] = 'x';
	writer->len += hex_encode(VARDATA_ANY(plain), nbytes,
							  writer->data + writer->len);
	return JENTRY_ISSTRING;
}

/* Append a uuid: 32 hex digits in groups of 8, 4, 4, 4, 12. */
JEntry
dg_jsonb_put_uuid(DgJsonbWriter *writer, Datum value)
{
	const char *bytes = (const char *) DatumGetUUIDP(value)->data;

	for (int i = 0; i < UUID_LEN; i += 2)
	{
		if (i >= 4 && i <= 10)
			writer->data[writer->len++] = '-';
		writer->len += hex_encode(bytes + i, 2, writer->data + writer->len);
	}
	return JENTRY_ISSTRING;
}

/* Append a jsonb as it is; a jsonb null would read as SQL NULL. */
JEntry
dg_jsonb_put_jsonb(DgJsonbWriter *writer, Datum value)
{
	struct varlena *plain = dg_jsonb_plain(writer, value);
	const char *bytes;
	Size		nbytes;
	JEntry		type = jsonb_node(VARDATA_ANY(plain),
								  VARSIZE_ANY_EXHDR(plain), &bytes, &nbytes);

	switch (type)
	{
		case JENTRY_ISNULL:
			return DG_DOES_NOT_FIT;
		case JENTRY_ISCONTAINER:
		case JENTRY_ISNUMERIC:
			return dg_jsonb_put_aligned(writer, type, bytes, nbytes);
		case JENTRY_ISSTRING:
			return dg_jsonb_put_string(writer, bytes, nbytes);
		default:
			return type;
	}
}

/*
 * Enlarge the buffer for dg_jsonb_make_room().  A small one is kept for the
 * next jsonb, a large one will be the jsonb itself.
 */
void
dg_jsonb_grow(DgJsonbWriter *writer, Size nbytes)
{
	Size		size = writer->len + nbytes + writer->slack;

	size = Max(size, Min(2 * writer->size, (Size) JENTRY_OFFLENMASK));
	if (writer->data != writer->kept)
		writer->data = repalloc(writer->data, size);
	else if (size <= DG_KEPT_BUFFER)
	{
		writer->kept = repalloc(writer->kept, size);
		writer->kept_size = size;
		writer->data = writer->kept;
	}
	else
	{
		writer->data = MemoryContextAlloc(writer->result_context, size);
		memcpy(writer->data, writer->kept, writer->len);
	}
	writer->size = size;
}

/* Fetch or decompress a value. */
struct varlena *
dg_jsonb_detoast(DgJsonbWriter *writer, Datum value)
{
	MemoryContext caller = dg_jsonb_use_scratch(writer);
	struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);

	MemoryContextSwitchTo(caller);
	return plain;
}

/*
 * A jsonb array of the given elements, which must have been detoasted; scalars
 * are unwrapped.  Allocated in the current memory context.
 */
Jsonb *
dg_jsonb_array(Jsonb *const *elements, int nelements)
{
	Size		start = VARHDRSZ + sizeof(uint32) + nelements * sizeof(JEntry);
	Size		len = start;
	char	   *data;
	JEntry	   *entries;

	/* elements are at least as long with their length words and padding */
	for (int i = 0; i < nelements; i++)
		len += INTALIGN(VARSIZE(elements[i]));
	if (len > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("total size of jsonb array elements exceeds the maximum of %u bytes",
						JENTRY_OFFLENMASK)));

	data = palloc0(len);
	*(uint32 *) (data + VARHDRSZ) = nelements | JB_FARRAY;
	entries = (JEntry *) (data + VARHDRSZ + sizeof(uint32));
	len = start;
	for (int i = 0; i < nelements; i++)
	{
		const char *bytes;
		Size		nbytes;
		Size		before = len;
		JEntry		type = jsonb_node(VARDATA(elements[i]),
									  VARSIZE(elements[i]) - VARHDRSZ,
									  &bytes, &nbytes);

		if (type == JENTRY_ISCONTAINER || type == JENTRY_ISNUMERIC)
			len = INTALIGN(len);
		memcpy(data + len, bytes, nbytes);
		len += nbytes;
		entries[i] = dg_jsonb_entry(i, type, len - before, len - start);
	}
	SET_VARSIZE(data, len);
	return (Jsonb *) data;
}

/*
 * What a jsonb datum (without its length word, aligned or not) is as a child
 * of another one: type bits as result, and its bytes.  A scalar is taken out
 * of the array of one element in which it is stored.
 */
static JEntry
jsonb_node(const char *jsonb, Size size, const char **bytes, Size *nbytes)
{
	uint32		header;
	JEntry		entry;

	memcpy(&header, jsonb, sizeof(uint32));
	if (!(header & JB_FSCALAR))
	{
		*bytes = jsonb;
		*nbytes = size;
		return JENTRY_ISCONTAINER;
	}
	memcpy(&entry, jsonb + sizeof(uint32), sizeof(JEntry));
	*bytes = jsonb + sizeof(uint32) + sizeof(JEntry);
	*nbytes = JBE_OFFLENFLD(entry);
	return entry & JENTRY_TYPEMASK;
}
