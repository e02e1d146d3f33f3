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
 * Calls only PostgreSQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "rowimage.h"

#define DG_APART_FORMAT		1

/* No value that make_room() is not told of is longer than this, with padding */
#define DG_SHORT_VALUE		160

/* Up to this size the working buffer is kept from row to row */
#define DG_KEPT_BUFFER		(64 * 1024)

/* From this size on, printing a value may fail for its length */
#define DG_GUARDED_SIZE		(64 * 1024)

/* Type bits that no JEntry has: the value must be stored apart */
#define DG_DOES_NOT_FIT		((JEntry) JENTRY_TYPEMASK)

/* The settings that output functions obey */
#define DG_SETTING_DATE		0x01	/* DateStyle, TimeZone */
#define DG_SETTING_INTERVAL 0x02	/* IntervalStyle */
#define DG_SETTING_FLOAT	0x04	/* extra_float_digits */
#define DG_SETTING_BYTEA	0x08	/* bytea_output */
#define DG_SETTING_MONEY	0x10	/* lc_monetary */
#define DG_SETTING_NAME		0x20	/* search_path, quote_all_identifiers */
#define DG_SETTING_ALL		0x3F

/* What is done with a column's value */
typedef enum DgForm
{
	DG_FORM_BOOL,
	DG_FORM_INT2,
	DG_FORM_INT4,
	DG_FORM_INT8,
	DG_FORM_OID,
	DG_FORM_NUMERIC,
	DG_FORM_FLOAT4,
	DG_FORM_FLOAT8,
	DG_FORM_DATETIME,
	DG_FORM_CHAR,
	DG_FORM_NAME,
	DG_FORM_TEXT,
	DG_FORM_BYTEA,
	DG_FORM_UUID,
	DG_FORM_JSONB,
	DG_FORM_OUTPUT				/* through the output function */
} DgForm;

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
	MemoryContext scratch;		/* reset after each column that used it */
	bool		scratch_used;
	MemoryContext result_context;	/* of the present row's image */
	int			settings;		/* DG_SETTING_xxx that matter */

	/* the image under construction, length word included */
	char	   *data;
	Size		len;
	Size		size;
	Size		slack;			/* room that is always left after len */
	char	   *kept;			/* buffer used while it suffices, which it
								 * does at least for all keys and short values */
	Size		kept_size;

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
static DgForm form_of_type(Oid typid);
static void prepare_output(DgImager *imager, DgImageColumn *column);
static int	settings_of_type(Oid typid);
static int	compare_columns(const void *a, const void *b);
static void pin(int *nestlevel, const char *name, const char *value);

/* one row */
static bool encode_object(DgImager *imager, const Datum *values,
						  const bool *isnull);
static void begin_object(DgImager *imager);
static void write_keys(DgImager *imager);
static Jsonb *finish_object(DgImager *imager);
static void forget_apart(DgImager *imager);
static bytea *collect_apart(DgImager *imager, const Datum *values);
static void append_apart(StringInfo buf, DgImager *imager,
						 DgImageColumn *column, Datum value);
static char apart_form(DgImager *imager, DgImageColumn *column, Datum value,
					   const char **bytes, Size *nbytes);

/* one value: appends it and returns its JEntry's type bits */
static JEntry encode_value(DgImager *imager, DgImageColumn *column,
						   Datum value);
static JEntry put_string(DgImager *imager, const char *bytes, Size nbytes);
static JEntry put_aligned(DgImager *imager, JEntry type, const char *bytes,
						  Size nbytes);
static JEntry put_int64(DgImager *imager, int64 value);
static JEntry put_numeric(DgImager *imager, Datum value);
static JEntry put_float4(DgImager *imager, float4 value);
static JEntry put_float8(DgImager *imager, float8 value);
static JEntry put_datetime(DgImager *imager, Oid typid, Datum value);
static JEntry put_char(DgImager *imager, DgImageColumn *column, Datum value);
static JEntry put_text(DgImager *imager, Datum value);
static JEntry put_bytea(DgImager *imager, Datum value);
static JEntry put_uuid(DgImager *imager, Datum value);
static JEntry put_jsonb(DgImager *imager, Datum value);
static JEntry put_output(DgImager *imager, DgImageColumn *column,
						 Datum value);

/* helpers */
static bool guarded_output(DgImager *imager, Oid typid, bool binary,
						   Datum value, const char **bytes, Size *nbytes);
static void call_output(Oid typid, bool binary, Datum value,
						const char **bytes, Size *nbytes);
static struct varlena *detoast_to_scratch(DgImager *imager, Datum value);
static MemoryContext use_scratch(DgImager *imager);
static JEntry jsonb_node(const char *jsonb, Size size, const char **bytes,
						 Size *nbytes);
static void grow_buffer(DgImager *imager, Size nbytes);

/*
 * The JEntry of a container's index'th child: every JB_OFFSET_STRIDE'th tells
 * where the child ends, the others how long it is.
 */
static inline JEntry
make_entry(int index, JEntry type, Size len, Size end)
{
	if (index % JB_OFFSET_STRIDE == 0)
		return type | JENTRY_HAS_OFF | (JEntry) end;
	return type | (JEntry) len;
}

/*
 * Ensure that nbytes can be appended, and short values for all columns after
 * that.
 */
static inline void
make_room(DgImager *imager, Size nbytes)
{
	if (unlikely(imager->len + nbytes + imager->slack > imager->size))
		grow_buffer(imager, nbytes);
}

/* Would the image stay within jsonb's limit with nbytes and padding more? */
static inline bool
fits(DgImager *imager, Size nbytes)
{
	return imager->len + nbytes + imager->slack <= JENTRY_OFFLENMASK;
}

/*
 * The value as a varlena that may have a short header but is neither
 * compressed nor stored elsewhere; lives until the scratch context's reset.
 */
static inline struct varlena *
plain_varlena(DgImager *imager, Datum value)
{
	struct varlena *plain = (struct varlena *) DatumGetPointer(value);

	if (unlikely(VARATT_IS_COMPRESSED(plain) || VARATT_IS_EXTERNAL(plain)))
		return detoast_to_scratch(imager, value);
	return plain;
}

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
	MemoryContext context;
	DgImager   *imager;

	context = AllocSetContextCreate(parent, "delete_guard row imager",
									ALLOCSET_SMALL_SIZES);
	imager = MemoryContextAllocZero(context, offsetof(DgImager, columns) +
									nlisted * sizeof(DgImageColumn));
	imager->context = context;
	imager->scratch = AllocSetContextCreate(context, "delete_guard row values",
											ALLOCSET_SMALL_SIZES);
	for (int i = 0; i < nlisted; i++)
	{
		AttrNumber	attnum = attnums ? attnums[i] : i + 1;

		Assert(attnum > 0 && attnum <= desc->natts);
		add_column(imager, TupleDescAttr(desc, attnum - 1));
	}
	qsort(imager->columns, imager->ncolumns, sizeof(DgImageColumn),
		  compare_columns);

	imager->slack = imager->ncolumns * DG_SHORT_VALUE;
	imager->kept_size = VARHDRSZ + sizeof(uint32) + imager->ncolumns *
		(2 * sizeof(JEntry) + NAMEDATALEN) + imager->slack;
	imager->kept = MemoryContextAlloc(context, imager->kept_size);
	imager->data = imager->kept;
	imager->size = imager->kept_size;
	write_keys(imager);
	imager->prefix_len = imager->len;
	imager->prefix = MemoryContextAlloc(context, imager->len);
	memcpy(imager->prefix, imager->data, imager->len);
	return imager;
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
	int			settings = imager->settings;
	int			nestlevel = -1;

	if (settings & DG_SETTING_DATE)
	{
		if (DateStyle != USE_ISO_DATES)
			pin(&nestlevel, "DateStyle", "ISO");
		if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0)
			pin(&nestlevel, "TimeZone", "UTC");
	}
	if ((settings & DG_SETTING_INTERVAL) && IntervalStyle != INTSTYLE_POSTGRES)
		pin(&nestlevel, "IntervalStyle", "postgres");
	if ((settings & DG_SETTING_FLOAT) && extra_float_digits < 1)
		pin(&nestlevel, "extra_float_digits", "1");
	if ((settings & DG_SETTING_BYTEA) && bytea_output != BYTEA_OUTPUT_HEX)
		pin(&nestlevel, "bytea_output", "hex");
	if ((settings & DG_SETTING_MONEY) &&
		strcmp(GetConfigOption("lc_monetary", false, false), "C") != 0)
		pin(&nestlevel, "lc_monetary", "C");
	if (settings & DG_SETTING_NAME)
	{
		if (strcmp(namespace_search_path, "pg_catalog, pg_temp") != 0)
			pin(&nestlevel, "search_path", "pg_catalog, pg_temp");
		if (quote_all_identifiers)
			pin(&nestlevel, "quote_all_identifiers", "off");
	}
	return nestlevel;
}

/* Undo dg_imager_pin_settings(). */
void
dg_imager_unpin_settings(int nestlevel)
{
	if (nestlevel >= 0)
		AtEOXact_GUC(true, nestlevel);
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

	imager->result_context = CurrentMemoryContext;
	if (imager->napart > 0)
		forget_apart(imager);

	/* once more without the values that turned out not to fit */
	while (!encode_object(imager, values, isnull))
	{
		if (imager->data != imager->kept)
			pfree(imager->data);
		CHECK_FOR_INTERRUPTS();
	}

	image = finish_object(imager);
	*apart = imager->napart > 0 ? collect_apart(imager, values) : NULL;
	return image;
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
		entries[i] = make_entry(i, type, len - before, len - start);
	}
	SET_VARSIZE(data, len);
	return (Jsonb *) data;
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
#ifdef ATTRIBUTE_GENERATED_VIRTUAL
	if (att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		return;
#endif
	column->attnum = att->attnum;
	column->name = att->attname;
	column->namelen = strlen(NameStr(att->attname));
	column->varlena = (att->attlen == -1);
	column->typid = att->atttypid;
	column->form = form_of_type(column->typid);
	if (column->form == DG_FORM_OUTPUT)
	{
		column->typid = getBaseType(att->atttypid);
		column->form = form_of_type(column->typid);
	}
	if (column->form == DG_FORM_OUTPUT || column->form == DG_FORM_CHAR)
		prepare_output(imager, column);
	imager->max_attnum = Max(imager->max_attnum, att->attnum);
	imager->ncolumns++;
}

/* What is done with values of a type, as far as its OID alone tells. */
static DgForm
form_of_type(Oid typid)
{
	switch (typid)
	{
		case BOOLOID:
			return DG_FORM_BOOL;
		case INT2OID:
			return DG_FORM_INT2;
		case INT4OID:
			return DG_FORM_INT4;
		case INT8OID:
			return DG_FORM_INT8;
		case OIDOID:
			return DG_FORM_OID;
		case NUMERICOID:
			return DG_FORM_NUMERIC;
		case FLOAT4OID:
			return DG_FORM_FLOAT4;
		case FLOAT8OID:
			return DG_FORM_FLOAT8;
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return DG_FORM_DATETIME;
		case CHAROID:
			return DG_FORM_CHAR;
		case NAMEOID:
			return DG_FORM_NAME;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
		case XMLOID:
			return DG_FORM_TEXT;
		case BYTEAOID:
			return DG_FORM_BYTEA;
		case UUIDOID:
			return DG_FORM_UUID;
		case JSONBOID:
			return DG_FORM_JSONB;
		default:
			return DG_FORM_OUTPUT;
	}
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
		imager->settings |= settings_of_type(column->typid);
}

/*
 * Which settings may change what a type's output function prints: none for
 * the types that are known to obey none, all for those that are not known.
 */
static int
settings_of_type(Oid typid)
{
	Oid			element;

	switch (getBaseType(typid))
	{
		case BOOLOID:
		case CHAROID:
		case NAMEOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
		case JSONBOID:
		case UUIDOID:
		case INETOID:
		case CIDROID:
		case MACADDROID:
		case MACADDR8OID:
		case BITOID:
		case VARBITOID:
		case INT4RANGEOID:
		case INT8RANGEOID:
		case NUMRANGEOID:
		case INT4MULTIRANGEOID:
		case INT8MULTIRANGEOID:
		case NUMMULTIRANGEOID:
		case TSVECTOROID:
		case PG_LSNOID:
		case XID8OID:
			return 0;
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case DATERANGEOID:
		case TSRANGEOID:
		case TSTZRANGEOID:
		case DATEMULTIRANGEOID:
		case TSMULTIRANGEOID:
		case TSTZMULTIRANGEOID:
			return DG_SETTING_DATE;
		case INTERVALOID:
			return DG_SETTING_INTERVAL;
		case FLOAT4OID:
		case FLOAT8OID:
		case POINTOID:
		case LSEGOID:
		case PATHOID:
		case BOXOID:
		case POLYGONOID:
		case LINEOID:
		case CIRCLEOID:
			return DG_SETTING_FLOAT;
		case BYTEAOID:
			return DG_SETTING_BYTEA;
		case MONEYOID:
			return DG_SETTING_MONEY;
	}
	element = get_base_element_type(typid);
	if (OidIsValid(element))
		return settings_of_type(element);
	return type_is_enum(getBaseType(typid)) ? 0 : DG_SETTING_ALL;
}

/* qsort comparator: the order that jsonb_util.c wants of an object's keys */
static int
compare_columns(const void *a, const void *b)
{
	const DgImageColumn *left = a;
	const DgImageColumn *right = b;

	if (left->namelen != right->namelen)
		return left->namelen > right->namelen ? 1 : -1;
	return memcmp(NameStr(left->name), NameStr(right->name), left->namelen);
}

/* Set a setting until *nestlevel ends, which is opened if need be. */
static void
pin(int *nestlevel, const char *name, const char *value)
{
	if (*nestlevel < 0)
		*nestlevel = NewGUCNestLevel();
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
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
	int			index = imager->ncolumns - imager->napart;
	Size		entries = VARHDRSZ + sizeof(uint32);
	Size		start = entries + 2 * index * sizeof(JEntry);
	bool		complete = true;

	begin_object(imager);
	for (int i = 0; i < imager->ncolumns; i++)
	{
		DgImageColumn *column = &imager->columns[i];
		Size		before = imager->len;
		JEntry		type = JENTRY_ISNULL;

		if (column->apart)
			continue;
		if (!isnull[column->attnum - 1])
			type = encode_value(imager, column, values[column->attnum - 1]);
		Assert(imager->len <= imager->size);
		if (imager->scratch_used)
		{
			MemoryContextReset(imager->scratch);
			imager->scratch_used = false;
		}
		if (unlikely(type == DG_DOES_NOT_FIT))
		{
			column->apart = true;
			imager->napart++;
			imager->len = before;
			complete = false;
			continue;
		}
		((JEntry *) (imager->data + entries))[index] =
			make_entry(index, type, imager->len - before, imager->len - start);
		index++;
	}
	return complete;
}

/* Start an image: all but the values' JEntries and the values. */
static void
begin_object(DgImager *imager)
{
	imager->data = imager->kept;
	imager->size = imager->kept_size;
	if (unlikely(imager->napart > 0))
	{
		write_keys(imager);
		return;
	}
	memcpy(imager->data, imager->prefix, imager->prefix_len);
	imager->len = imager->prefix_len;
}

/* Write header, JEntries of the keys, room for those of the values, keys. */
static void
write_keys(DgImager *imager)
{
	int			nkeys = imager->ncolumns - imager->napart;
	int			index = 0;
	Size		end = 0;
	JEntry	   *entries;

	imager->len = VARHDRSZ;
	*(uint32 *) (imager->data + imager->len) = nkeys | JB_FOBJECT;
	imager->len += sizeof(uint32);
	entries = (JEntry *) (imager->data + imager->len);
	imager->len += 2 * nkeys * sizeof(JEntry);

	for (int i = 0; i < imager->ncolumns; i++)
	{
		DgImageColumn *column = &imager->columns[i];

		if (column->apart)
			continue;
		memcpy(imager->data + imager->len, NameStr(column->name),
			   column->namelen);
		imager->len += column->namelen;
		end += column->namelen;
		entries[index] = make_entry(index, JENTRY_ISSTRING, column->namelen,
									end);
		index++;
	}
}

/* The finished image, in the caller's context; large ones are not copied. */
static Jsonb *
finish_object(DgImager *imager)
{
	char	   *image = imager->data;

	if (image == imager->kept)
	{
		image = palloc(imager->len);
		memcpy(image, imager->data, imager->len);
	}
	SET_VARSIZE(image, imager->len);
	return (Jsonb *) image;
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
		MemoryContextReset(imager->scratch);
		imager->scratch_used = false;
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
		if (guarded_output(imager, column->typid, false, value, bytes, nbytes))
			return 't';
		if (guarded_output(imager, column->typid, true, value, bytes, nbytes))
			return 'b';
		/* values of fixed length are far too short to come here */
		if (!column->varlena)
			/* should not happen */
			elog(ERROR, "value of column \"%s\" can be neither printed nor sent",
				 NameStr(column->name));
	}
	plain = plain_varlena(imager, value);
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
	switch (column->form)
	{
		case DG_FORM_BOOL:
			return DatumGetBool(value) ? JENTRY_ISBOOL_TRUE :
				JENTRY_ISBOOL_FALSE;
		case DG_FORM_INT2:
			return put_int64(imager, DatumGetInt16(value));
		case DG_FORM_INT4:
			return put_int64(imager, DatumGetInt32(value));
		case DG_FORM_INT8:
			return put_int64(imager, DatumGetInt64(value));
		case DG_FORM_OID:
			return put_int64(imager, DatumGetObjectId(value));
		case DG_FORM_NUMERIC:
			return put_numeric(imager, value);
		case DG_FORM_FLOAT4:
			return put_float4(imager, DatumGetFloat4(value));
		case DG_FORM_FLOAT8:
			return put_float8(imager, DatumGetFloat8(value));
		case DG_FORM_DATETIME:
			return put_datetime(imager, column->typid, value);
		case DG_FORM_CHAR:
			return put_char(imager, column, value);
		case DG_FORM_NAME:
			return put_string(imager, NameStr(*DatumGetName(value)),
							  strlen(NameStr(*DatumGetName(value))));
		case DG_FORM_TEXT:
			return put_text(imager, value);
		case DG_FORM_BYTEA:
			return put_bytea(imager, value);
		case DG_FORM_UUID:
			return put_uuid(imager, value);
		case DG_FORM_JSONB:
			return put_jsonb(imager, value);
		case DG_FORM_OUTPUT:
			return put_output(imager, column, value);
	}
	pg_unreachable();
}

/* Append a string. */
static JEntry
put_string(DgImager *imager, const char *bytes, Size nbytes)
{
	if (unlikely(!fits(imager, nbytes)))
		return DG_DOES_NOT_FIT;
	make_room(imager, nbytes);
	memcpy(imager->data + imager->len, bytes, nbytes);
	imager->len += nbytes;
	return JENTRY_ISSTRING;
}

/* Append a number or container, after the padding that belongs to it. */
static JEntry
put_aligned(DgImager *imager, JEntry type, const char *bytes, Size nbytes)
{
	if (unlikely(!fits(imager, nbytes)))
		return DG_DOES_NOT_FIT;
	make_room(imager, nbytes);
	while (imager->len != INTALIGN(imager->len))
		imager->data[imager->len++] = '\0';
	memcpy(imager->data + imager->len, bytes, nbytes);
	imager->len += nbytes;
	return type;
}

/* Append an integer. */
static JEntry
put_int64(DgImager *imager, int64 value)
{
	Numeric		number = int64_to_numeric(value);
	JEntry		type = put_aligned(imager, JENTRY_ISNUMERIC,
								   (const char *) number, VARSIZE(number));

	pfree(number);
	return type;
}

/*
 * Append a numeric, always with a four-byte header.  NaN and the infinities
 * are no jsonb numbers and become strings.
 */
static JEntry
put_numeric(DgImager *imager, Datum value)
{
	struct varlena *plain = plain_varlena(imager, value);
	Size		before = imager->len;
	Size		nbytes = VARSIZE_ANY_EXHDR(plain);
	Size		start = INTALIGN(before);
	Numeric		number;

	if (!fits(imager, nbytes))
		return DG_DOES_NOT_FIT;
	make_room(imager, nbytes);
	memset(imager->data + before, 0, start - before);
	number = (Numeric) (imager->data + start);
	SET_VARSIZE(number, VARHDRSZ + nbytes);
	memcpy(VARDATA(number), VARDATA_ANY(plain), nbytes);
	imager->len = start + VARHDRSZ + nbytes;
	if (unlikely(numeric_is_nan(number) || numeric_is_inf(number)))
	{
		MemoryContext caller = use_scratch(imager);
		char	   *printed = DatumGetCString(DirectFunctionCall1(numeric_out,
																  value));

		MemoryContextSwitchTo(caller);
		imager->len = before;
		return put_string(imager, printed, strlen(printed));
	}
	return JENTRY_ISNUMERIC;
}

/* Append a real as the shortest string that reads as the same value. */
static JEntry
put_float4(DgImager *imager, float4 value)
{
	imager->len += float_to_shortest_decimal_buf(value,
												 imager->data + imager->len);
	return JENTRY_ISSTRING;
}

/* Append a double precision as the shortest string that reads the same. */
static JEntry
put_float8(DgImager *imager, float8 value)
{
	imager->len += double_to_shortest_decimal_buf(value,
												  imager->data + imager->len);
	return JENTRY_ISSTRING;
}

/* Append a date or time in ISO 8601, a timestamptz in UTC. */
static JEntry
put_datetime(DgImager *imager, Oid typid, Datum value)
{
	static const int utc = 0;

	StaticAssertStmt(DG_SHORT_VALUE > MAXDATELEN + 1, "no room for a date");
	JsonEncodeDateTime(imager->data + imager->len, value, typid,
					   typid == TIMESTAMPTZOID ? &utc : NULL);
	imager->len += strlen(imager->data + imager->len);
	return JENTRY_ISSTRING;
}

/* Append a "char", of which zero prints as nothing. */
static JEntry
put_char(DgImager *imager, DgImageColumn *column, Datum value)
{
	char		byte = DatumGetChar(value);

	/* how these print depends on PostgreSQL's version */
	if (IS_HIGHBIT_SET(byte))
		return put_output(imager, column, value);
	return put_string(imager, &byte, byte == '\0' ? 0 : 1);
}

/* Append a value that is stored as it prints. */
static JEntry
put_text(DgImager *imager, Datum value)
{
	struct varlena *plain = plain_varlena(imager, value);

	return put_string(imager, VARDATA_ANY(plain),
					  VARSIZE_ANY_EXHDR(plain));
}

/* Append a bytea in hex. */
static JEntry
put_bytea(DgImager *imager, Datum value)
{
	struct varlena *plain = plain_varlena(imager, value);
	Size		nbytes = VARSIZE_ANY_EXHDR(plain);

	if (!fits(imager, 2 + 2 * nbytes))
		return DG_DOES_NOT_FIT;
	make_room(imager, 2 + 2 * nbytes);
	imager->data[imager->len++] = '\\';
	imager->data[imager->len++] = 'x';
	imager->len += hex_encode(VARDATA_ANY(plain), nbytes,
							  imager->data + imager->len);
	return JENTRY_ISSTRING;
}

/* Append a uuid: 32 hex digits in groups of 8, 4, 4, 4, 12. */
static JEntry
put_uuid(DgImager *imager, Datum value)
{
	const char *bytes = (const char *) DatumGetUUIDP(value)->data;

	for (int i = 0; i < UUID_LEN; i += 2)
	{
		if (i >= 4 && i <= 10)
			imager->data[imager->len++] = '-';
		imager->len += hex_encode(bytes + i, 2, imager->data + imager->len);
	}
	return JENTRY_ISSTRING;
}

/* Append a jsonb as it is; a jsonb null would read as SQL NULL. */
static JEntry
put_jsonb(DgImager *imager, Datum value)
{
	struct varlena *plain = plain_varlena(imager, value);
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
			return put_aligned(imager, type, bytes, nbytes);
		case JENTRY_ISSTRING:
			return put_string(imager, bytes, nbytes);
		default:
			return type;
	}
}

/* Append what the type's output function prints. */
static JEntry
put_output(DgImager *imager, DgImageColumn *column, Datum value)
{
	const char *printed;
	Size		nbytes;

	if (column->varlena && toast_raw_datum_size(value) >= DG_GUARDED_SIZE)
	{
		if (!guarded_output(imager, column->typid, false, value, &printed,
							&nbytes))
			return DG_DOES_NOT_FIT;
	}
	else
	{
		MemoryContext caller = use_scratch(imager);

		printed = OutputFunctionCall(&column->output, value);
		nbytes = strlen(printed);
		MemoryContextSwitchTo(caller);
	}
	if (!pg_verify_mbstr(GetDatabaseEncoding(), printed, nbytes, true))
		return DG_DOES_NOT_FIT;
	return put_string(imager, printed, nbytes);
}

/*
 * Local functions: helpers.
 */

/*
 * Print or send a value, in a subtransaction because the result may be longer
 * than PostgreSQL can handle, in which case this returns false.  The bytes
 * are in the scratch context.
 */
static bool
guarded_output(DgImager *imager, Oid typid, bool binary, Datum value,
			   const char **bytes, Size *nbytes)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		(void) use_scratch(imager);
		call_output(typid, binary, value, bytes, nbytes);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
			ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return done;
}

/* The text form or the binary form of a value. */
static void
call_output(Oid typid, bool binary, Datum value, const char **bytes,
			Size *nbytes)
{
	Oid			function;
	bool		is_varlena;

	if (binary)
	{
		bytea	   *sent;

		getTypeBinaryOutputInfo(typid, &function, &is_varlena);
		sent = OidSendFunctionCall(function, value);
		*bytes = VARDATA(sent);
		*nbytes = VARSIZE(sent) - VARHDRSZ;
		return;
	}
	getTypeOutputInfo(typid, &function, &is_varlena);
	*bytes = OidOutputFunctionCall(function, value);
	*nbytes = strlen(*bytes);
}

/* Fetch or decompress a value. */
static struct varlena *
detoast_to_scratch(DgImager *imager, Datum value)
{
	MemoryContext caller = use_scratch(imager);
	struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);

	MemoryContextSwitchTo(caller);
	return plain;
}

/* Switch to the scratch context, which is to be reset; returns the old one. */
static MemoryContext
use_scratch(DgImager *imager)
{
	imager->scratch_used = true;
	return MemoryContextSwitchTo(imager->scratch);
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

/*
 * Enlarge the buffer for make_room().  A small one is kept for the next row,
 * a large one will be the image itself.
 */
static void
grow_buffer(DgImager *imager, Size nbytes)
{
	Size		size = imager->len + nbytes + imager->slack;

	size = Max(size, Min(2 * imager->size, (Size) JENTRY_OFFLENMASK));
	if (imager->data != imager->kept)
		imager->data = repalloc(imager->data, size);
	else if (size <= DG_KEPT_BUFFER)
	{
		imager->kept = repalloc(imager->kept, size);
		imager->kept_size = size;
		imager->data = imager->kept;
	}
	else
	{
		imager->data = MemoryContextAlloc(imager->result_context, size);
		memcpy(imager->data, imager->kept, imager->len);
	}
	imager->size = size;
}
