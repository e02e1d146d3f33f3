/*-------------------------------------------------------------------------
 *
 * rowimage.c
 *	  row -> jsonb image, exact; key subsets; digests
 *
 * An image is a jsonb object, column name -> value, from which the row can be
 * made again to the last bit:
 *
 *	boolean							true, false
 *	smallint, integer, bigint, oid	number
 *	numeric							number, scale kept (NaN, infinity: string)
 *	jsonb							the value itself, not a string of it
 *	SQL NULL						null
 *	all others						string, as the type's output function prints
 *									it under the settings pinned below; the
 *									date and time types in ISO 8601, timestamptz
 *									in UTC; json and xml as their unchanged text
 *
 * A domain is treated as its base type.  So for a jsonb column the value is
 * what "->" gives, and for all others the input function reads what "->>"
 * gives, provided it runs under the same settings.  A virtual generated
 * column is stored nowhere, hence it is not in the image.  Nothing here
 * consults a cast or an operator, because users can define those.
 *
 * Rows of identical values have identical images, byte by byte, so digests may
 * be taken of them.
 *
 * Values apart: jsonb cannot hold more than 256 MB in one value or one
 * object, a jsonb null could not be told from SQL NULL, some values have no
 * text form of less than 1 GB, and some text forms are not valid in the
 * database's encoding (type "char").  The image then lacks the key, and the
 * value is in a bytea next to the image, integers in network byte order:
 *
 *	byte	format of what follows, DG_APART_FORMAT
 *	then for each value:
 *	int16	attribute number
 *	int16	length of the column name, then the name
 *	byte	kind: 't' for the input function, 'b' for the receive function,
 *			'r' for the type's storage format without the length word, which
 *			is used only if there is no other way
 *	int64	length, then the bytes
 *
 * Memory: an imager and all it needs is one context, a child of the caller's.
 * Images are in the caller's current context.  A row that fails with an error
 * leaves the imager usable.
 *
 * May call: imagetype, jsonbwrite.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/cryptohash.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "imagetype.h"
#include "jsonbwrite.h"
#include "rowimage.h"

#define DG_APART_FORMAT		1

/* From this size on, printing a value may fail for its length */
#define DG_GUARDED_SIZE		(64 * 1024)

typedef struct DgImageColumn
{
	AttrNumber	attnum;
	DgForm		form;
	bool		apart;			/* does not fit, in the present row */
	bool		varlena;
	Oid			typid;			/* base type */
	FmgrInfo	output;			/* of DG_FORM_OUTPUT and DG_FORM_CHAR */
	int			namelen;
	NameData	name;
} DgImageColumn;

struct DgImager
{
	MemoryContext context;		/* of this struct and all it points to */
	int			settings;		/* that matter, see dg_image_settings() */
	DgJsonbWriter writer;		/* of the image under construction */

	/* what all images begin with unless values are stored apart */
	char	   *prefix;
	Size		prefix_len;

	AttrNumber	max_attnum;
	int			napart;
	int			ncolumns;
	DgImageColumn columns[FLEXIBLE_ARRAY_MEMBER];	/* in jsonb's key order */
};

/* set up */
static void add_column(DgImager *imager, Form_pg_attribute att);
static void prepare_output(DgImager *imager, DgImageColumn *column);
static int	compare_columns(const void *a, const void *b);

/* one row */
static bool encode_object(DgImager *imager, const Datum *values,
						  const bool *isnull);
static void begin_object(DgImager *imager);
static void write_keys(DgImager *imager);
static void forget_apart(DgImager *imager);
static bytea *collect_apart(DgImager *imager, const Datum *values);
static void append_apart(StringInfo buf, DgImager *imager,
						 DgImageColumn *column, Datum value);
static char apart_form(DgImager *imager, DgImageColumn *column, Datum value,
					   const char **bytes, Size *nbytes);

/* one value: appends it and returns its JEntry's type bits */
static JEntry encode_value(DgImager *imager, DgImageColumn *column,
						   Datum value);
static JEntry put_char(DgImager *imager, DgImageColumn *column, Datum value);
static JEntry put_output(DgImager *imager, DgImageColumn *column,
						 Datum value);

/* helpers */
static bool print_guarded(DgImager *imager, DgImageColumn *column, bool binary,
						  Datum value, const char **bytes, Size *nbytes);
static void reset_scratch(DgImager *imager);

/*
 * Make an encoder for the listed columns of rows of type desc, or for all
 * columns if attnums is NULL.  The list must not name a column twice.
 * Dropped and virtual generated columns are left out.  Keeps no pointer into
 * desc.  Lives as long as parent, unless freed.
 */
DgImager *
dg_imager_create(TupleDesc desc, const AttrNumber *attnums, int natts,
				 MemoryContext parent)
{
	int			nlisted = attnums ? natts : desc->natts;
	Form_pg_attribute *sorted = palloc(sizeof(Form_pg_attribute) * Max(nlisted, 1));
	MemoryContext context;
	DgImager   *imager;

	context = AllocSetContextCreate(parent, "delete_guard row imager",
									ALLOCSET_SMALL_SIZES);
	imager = MemoryContextAllocZero(context, offsetof(DgImager, columns) +
									nlisted * sizeof(DgImageColumn));
	imager->context = context;
	for (int i = 0; i < nlisted; i++)
	{
		AttrNumber	attnum = attnums ? attnums[i] : i + 1;

		Assert(attnum > 0 && attnum <= desc->natts);
		sorted[i] = TupleDescAttr(desc, attnum - 1);
	}
	qsort(sorted, nlisted, sizeof(Form_pg_attribute), compare_columns);
	for (int i = 0; i < nlisted; i++)
		add_column(imager, sorted[i]);
	pfree(sorted);

	dg_jsonb_writer_init(&imager->writer, imager->ncolumns, imager->ncolumns *
						 (sizeof(JEntry) + NAMEDATALEN), context);
	write_keys(imager);
	imager->prefix_len = imager->writer.len;
	imager->prefix = MemoryContextAlloc(context, imager->prefix_len);
	memcpy(imager->prefix, imager->writer.data, imager->prefix_len);
	return imager;
}

/*
 * Does the encoder know all the types itself?  Then it calls no function that
 * could be replaced, or be in use twice, and depends on no setting.
 */
bool
dg_imager_is_plain(const DgImager *imager)
{
	for (int i = 0; i < imager->ncolumns; i++)
	{
		if (imager->columns[i].form == DG_FORM_OUTPUT || imager->columns[i].form == DG_FORM_CHAR)
			return false;
	}
	return imager->settings == 0;
}

/* Free an encoder; its images stay. */
void
dg_imager_free(DgImager *imager)
{
	MemoryContextDelete(imager->context);
}

/*
 * Set what this encoder's output functions obey, for one or more calls of
 * dg_imager_encode().  Returns what dg_imager_unpin_settings() wants.  Cheap
 * if nothing has to be set.  On error, the end of the (sub)transaction undoes
 * it.
 */
int
dg_imager_pin_settings(const DgImager *imager)
{
	return dg_image_pin(imager->settings);
}

/* Undo dg_imager_pin_settings(). */
void
dg_imager_unpin_settings(int nestlevel)
{
	dg_image_unpin(nestlevel);
}

/*
 * The image of the row in slot; otherwise as dg_imager_encode_values().
 */
Jsonb *
dg_imager_encode(DgImager *imager, TupleTableSlot *slot, bytea **apart)
{
	slot_getsomeattrs(slot, imager->max_attnum);
	return dg_imager_encode_values(imager, slot->tts_values, slot->tts_isnull,
								   apart);
}

/*
 * The image of a row of which values and isnull are indexed by attribute
 * number - 1.  *apart becomes the values that the image cannot hold, or NULL
 * if there are none.  Both are allocated in the current memory context.  The
 * settings must be pinned.  Detoasting needs an active snapshot.
 */
Jsonb *
dg_imager_encode_values(DgImager *imager, const Datum *values,
						const bool *isnull, bytea **apart)
{
	Jsonb	   *image;

	if (imager->napart > 0)
		forget_apart(imager);

	/* once more without the values that turned out not to fit */
	while (!encode_object(imager, values, isnull))
	{
		dg_jsonb_discard(&imager->writer);
		CHECK_FOR_INTERRUPTS();
	}

	image = dg_jsonb_finish(&imager->writer);
	*apart = imager->napart > 0 ? collect_apart(imager, values) : NULL;
	return image;
}

/* SHA-256 of len bytes of data. */
void
dg_digest(const void *data, Size len, uint8 digest[DG_DIGEST_LEN])
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, data, len) < 0 ||
		pg_cryptohash_final(ctx, digest, DG_DIGEST_LEN) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute SHA-256: %s",
						pg_cryptohash_error(ctx))));
	pg_cryptohash_free(ctx);
}

/*
 * Local functions: setting an encoder up.
 */

/* Add a column to the encoder unless it has no stored value. */
static void
add_column(DgImager *imager, Form_pg_attribute att)
{
	DgImageColumn *column = &imager->columns[imager->ncolumns];

	if (att->attisdropped)
		return;
	if (DG_IS_VIRTUAL(att->attgenerated))
		return;
	column->attnum = att->attnum;
	column->name = att->attname;
	column->namelen = strlen(NameStr(att->attname));
	column->varlena = (att->attlen == -1);
	column->typid = att->atttypid;
	column->form = dg_image_form(column->typid);
	if (column->form == DG_FORM_OUTPUT)
	{
		column->typid = getBaseType(att->atttypid);
		column->form = dg_image_form(column->typid);
	}
	if (column->form == DG_FORM_OUTPUT || column->form == DG_FORM_CHAR)
		prepare_output(imager, column);
	imager->max_attnum = Max(imager->max_attnum, att->attnum);
	imager->ncolumns++;
}

/*
 * Look the column's output function up.  A type that prints with text's own
 * function, as citext does, is treated as text.
 */
static void
prepare_output(DgImager *imager, DgImageColumn *column)
{
	Oid			function;
	bool		is_varlena;

	getTypeOutputInfo(column->typid, &function, &is_varlena);
	fmgr_info_cxt(function, &column->output, imager->context);
	if (is_varlena && column->output.fn_addr == textout)
		column->form = DG_FORM_TEXT;
	else
		imager->settings |= dg_image_settings(column->typid);
}

/* qsort comparator: the order that jsonb_util.c wants of an object's keys */
static int
compare_columns(const void *a, const void *b)
{
	const char *left = NameStr((*(const Form_pg_attribute *) a)->attname);
	const char *right = NameStr((*(const Form_pg_attribute *) b)->attname);
	int			left_length = strlen(left);
	int			right_length = strlen(right);

	if (left_length != right_length)
		return left_length > right_length ? 1 : -1;
	return memcmp(left, right, left_length);
}

/*
 * Local functions: one row.
 */

/*
 * Build the image in the buffer, without the columns marked as apart.  Returns
 * false if it had to mark more of them; then the buffer's content is useless
 * and the caller must try again.
 */
static bool
encode_object(DgImager *imager, const Datum *values, const bool *isnull)
{
	DgJsonbWriter *writer = &imager->writer;
	int			index = imager->ncolumns - imager->napart;
	Size		entries = VARHDRSZ + sizeof(uint32);
	Size		start = entries + 2 * index * sizeof(JEntry);
	bool		complete = true;

	begin_object(imager);
	for (int i = 0; i < imager->ncolumns; i++)
	{
		DgImageColumn *column = &imager->columns[i];
		Size		before = writer->len;
		JEntry		type = JENTRY_ISNULL;

		if (column->apart)
			continue;
		if (!isnull[column->attnum - 1])
			type = encode_value(imager, column, values[column->attnum - 1]);
		Assert(writer->len <= writer->size);
		if (writer->scratch_used)
			reset_scratch(imager);
		if (unlikely(type == DG_DOES_NOT_FIT))
		{
			column->apart = true;
			imager->napart++;
			writer->len = before;
			complete = false;
			continue;
		}
		((JEntry *) (writer->data + entries))[index] =
			dg_jsonb_entry(index, type, writer->len - before, writer->len - start);
		index++;
	}
	return complete;
}

/* Start an image: all but the values' JEntries and the values. */
static void
begin_object(DgImager *imager)
{
	dg_jsonb_begin(&imager->writer);
	if (unlikely(imager->napart > 0))
	{
		write_keys(imager);
		return;
	}
	memcpy(imager->writer.data, imager->prefix, imager->prefix_len);
	imager->writer.len = imager->prefix_len;
}

/* Write header, JEntries of the keys, room for those of the values, keys. */
static void
write_keys(DgImager *imager)
{
	DgJsonbWriter *writer = &imager->writer;
	int			nkeys = imager->ncolumns - imager->napart;
	int			index = 0;
	Size		end = 0;
	JEntry	   *entries;

	*(uint32 *) (writer->data + writer->len) = nkeys | JB_FOBJECT;
	writer->len += sizeof(uint32);
	entries = (JEntry *) (writer->data + writer->len);
	writer->len += 2 * nkeys * sizeof(JEntry);

	for (int i = 0; i < imager->ncolumns; i++)
	{
		DgImageColumn *column = &imager->columns[i];

		if (column->apart)
			continue;
		memcpy(writer->data + writer->len, NameStr(column->name),
			   column->namelen);
		writer->len += column->namelen;
		end += column->namelen;
		entries[index] = dg_jsonb_entry(index, JENTRY_ISSTRING, column->namelen,
										end);
		index++;
	}
}

/* All columns are to be tried in the image again. */
static void
forget_apart(DgImager *imager)
{
	for (int i = 0; i < imager->ncolumns; i++)
		imager->columns[i].apart = false;
	imager->napart = 0;
}

/* The columns marked as apart, in the format described at the file's top. */
static bytea *
collect_apart(DgImager *imager, const Datum *values)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	pq_sendbyte(&buf, DG_APART_FORMAT);
	for (int i = 0; i < imager->ncolumns; i++)
	{
		DgImageColumn *column = &imager->columns[i];

		if (!column->apart)
			continue;
		append_apart(&buf, imager, column, values[column->attnum - 1]);
		reset_scratch(imager);
	}
	SET_VARSIZE(buf.data, buf.len);
	return (bytea *) buf.data;
}

/* Append one value that the image cannot hold. */
static void
append_apart(StringInfo buf, DgImager *imager, DgImageColumn *column,
			 Datum value)
{
	const char *bytes;
	Size		nbytes;
	char		kind = apart_form(imager, column, value, &bytes, &nbytes);

	if (buf->len + nbytes + DG_SHORT_VALUE > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too large to be recorded"),
				 errdetail("The values that a jsonb object cannot hold exceed %zu bytes in total.",
						   (Size) MaxAllocSize)));
	pq_sendint16(buf, column->attnum);
	pq_sendint16(buf, column->namelen);
	pq_sendbytes(buf, NameStr(column->name), column->namelen);
	pq_sendbyte(buf, kind);
	pq_sendint64(buf, nbytes);
	enlargeStringInfo(buf, nbytes);
	memcpy(buf->data + buf->len, bytes, nbytes);
	buf->len += nbytes;
}

/*
 * The form in which a value is stored apart, its bytes (in the scratch context
 * or in the value itself), and the form's kind as result.
 */
static char
apart_form(DgImager *imager, DgImageColumn *column, Datum value,
		   const char **bytes, Size *nbytes)
{
	struct varlena *plain;

	if (column->form != DG_FORM_TEXT && column->form != DG_FORM_BYTEA)
	{
		if (print_guarded(imager, column, false, value, bytes, nbytes))
			return 't';
		if (print_guarded(imager, column, true, value, bytes, nbytes))
			return 'b';
		/* values of fixed length are far too short to come here */
		if (!column->varlena)
			/* should not happen */
			elog(ERROR, "value of column \"%s\" can be neither printed nor sent",
				 NameStr(column->name));
	}
	plain = dg_jsonb_plain(&imager->writer, value);
	*bytes = VARDATA_ANY(plain);
	*nbytes = VARSIZE_ANY_EXHDR(plain);
	if (column->form == DG_FORM_TEXT)
		return 't';
	return column->form == DG_FORM_BYTEA ? 'b' : 'r';
}

/*
 * Local functions: one value.
 */

/* Append a value that is not null. */
static JEntry
encode_value(DgImager *imager, DgImageColumn *column, Datum value)
{
	DgJsonbWriter *writer = &imager->writer;

	switch (column->form)
	{
		case DG_FORM_BOOL:
			return DatumGetBool(value) ? JENTRY_ISBOOL_TRUE :
				JENTRY_ISBOOL_FALSE;
		case DG_FORM_INT2:
			return dg_jsonb_put_int64(writer, DatumGetInt16(value));
		case DG_FORM_INT4:
			return dg_jsonb_put_int64(writer, DatumGetInt32(value));
		case DG_FORM_INT8:
			return dg_jsonb_put_int64(writer, DatumGetInt64(value));
		case DG_FORM_OID:
			return dg_jsonb_put_int64(writer, DatumGetObjectId(value));
		case DG_FORM_NUMERIC:
			return dg_jsonb_put_numeric(writer, value);
		case DG_FORM_FLOAT4:
			return dg_jsonb_put_float4(writer, DatumGetFloat4(value));
		case DG_FORM_FLOAT8:
			return dg_jsonb_put_float8(writer, DatumGetFloat8(value));
		case DG_FORM_DATETIME:
			return dg_jsonb_put_datetime(writer, column->typid, value);
		case DG_FORM_CHAR:
			return put_char(imager, column, value);
		case DG_FORM_NAME:
			return dg_jsonb_put_string(writer, NameStr(*DatumGetName(value)),
									   strlen(NameStr(*DatumGetName(value))));
		case DG_FORM_TEXT:
			return dg_jsonb_put_text(writer, value);
		case DG_FORM_BYTEA:
			return dg_jsonb_put_bytea(writer, value);
		case DG_FORM_UUID:
			return dg_jsonb_put_uuid(writer, value);
		case DG_FORM_JSONB:
			return dg_jsonb_put_jsonb(writer, value);
		case DG_FORM_OUTPUT:
			return put_output(imager, column, value);
	}
	pg_unreachable();
}

/* Append a "char", of which zero prints as nothing. */
static JEntry
put_char(DgImager *imager, DgImageColumn *column, Datum value)
{
	char		byte = DatumGetChar(value);

	/* how these print depends on PostgreSQL's version */
	if (IS_HIGHBIT_SET(byte))
		return put_output(imager, column, value);
	return dg_jsonb_put_string(&imager->writer, &byte, byte == '\0' ? 0 : 1);
}

/* Append what the type's output function prints. */
static JEntry
put_output(DgImager *imager, DgImageColumn *column, Datum value)
{
	DgJsonbWriter *writer = &imager->writer;
	const char *printed;
	Size		nbytes;

	if (column->varlena && toast_raw_datum_size(value) >= DG_GUARDED_SIZE)
	{
		if (!print_guarded(imager, column, false, value, &printed, &nbytes))
			return DG_DOES_NOT_FIT;
	}
	else
	{
		MemoryContext caller = dg_jsonb_use_scratch(writer);

		printed = OutputFunctionCall(&column->output, value);
		nbytes = strlen(printed);
		MemoryContextSwitchTo(caller);
	}
	if (!pg_verify_mbstr(GetDatabaseEncoding(), printed, nbytes, true))
		return DG_DOES_NOT_FIT;
	return dg_jsonb_put_string(writer, printed, nbytes);
}

/*
 * Print or send a value that may be too long for it; false if it is.  The
 * bytes are in the scratch context.
 */
static bool
print_guarded(DgImager *imager, DgImageColumn *column, bool binary,
			  Datum value, const char **bytes, Size *nbytes)
{
	imager->writer.scratch_used = true;
	return dg_image_print(column->typid, binary, value,
						  imager->writer.scratch, bytes, nbytes);
}

/* Free what the last value needed. */
static void
reset_scratch(DgImager *imager)
{
	MemoryContextReset(imager->writer.scratch);
	imager->writer.scratch_used = false;
}
