/*-------------------------------------------------------------------------
 *
 * imageread.c
 *	  image of a row -> values, exact
 *
 * The reverse of rowimage.c, whose file header describes the formats.  A
 * "reader" knows for each column its name in the image, its type as recorded
 * then and the type that is wanted now.  If the type was changed since, the
 * value's text is read by the present type's input function, as ALTER TABLE
 * would read it from a text column.
 *
 * Input functions check the constraints of domains, which users define: the
 * caller acts as the owner of the table concerned.  He also pins the settings
 * that input functions obey, by dg_image_pin_reading().
 *
 * Memory: a reader is one context, a child of the caller's.  Values are in the
 * caller's current context.
 *
 * May call: imagetype.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "nodes/pg_list.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "imageread.h"
#include "imagetype.h"

#define DG_APART_FORMAT		1

/* A column to be read */
typedef struct DgReadColumn
{
	char	   *name;			/* in the image */
	Oid			typid;
	int32		typmod;
	Oid			base;			/* of typid, if that is a domain */
	bool		same_type;		/* as the one recorded */
	bool		was_jsonb;		/* so its value is not a string of it */
	FmgrInfo	input;
	Oid			ioparam;
	void	   *domain;			/* cache of domain_check() */
} DgReadColumn;

struct DgReader
{
	MemoryContext context;
	List	   *columns;		/* of DgReadColumn */
	DgReadColumn *present;		/* being read, for error messages */
};

/* A value that stands apart */
typedef struct DgApartValue
{
	char	   *name;
	char		kind;
	Size		len;
	const char *bytes;
} DgApartValue;

static Oid	base_type_by_name(const char *name);
static void reader_error(void *arg);
static Datum read_member(DgReader *reader, DgReadColumn *column, JsonbValue *value);
static Datum read_text(DgReadColumn *column, const char *text, Size len);
static Datum check_domain(DgReader *reader, DgReadColumn *column, Datum value);
static void read_apart(DgReader *reader, bytea *apart, Datum *values, bool *isnull);
static void next_apart(StringInfo buf, DgApartValue *value);
static Datum read_apart_value(DgReader *reader, DgReadColumn *column, DgApartValue *value);

/*
 * Make a reader without columns.
 */
DgReader *
dg_reader_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard image reader",
												  ALLOCSET_SMALL_SIZES);
	DgReader   *reader = MemoryContextAllocZero(context, sizeof(DgReader));

	reader->context = context;
	return reader;
}

/*
 * Add a column: its name in images, the type recorded with them (as
 * format_type_be_qualified() names it), and the type that is wanted.
 */
void
dg_reader_add(DgReader *reader, const char *name, const char *recorded_type,
			  Oid typid, int32 typmod)
{
	MemoryContext old = MemoryContextSwitchTo(reader->context);
	DgReadColumn *column = palloc0(sizeof(DgReadColumn));
	Oid			input;

	column->name = pstrdup(name);
	column->typid = typid;
	column->typmod = typmod;
	column->base = getBaseType(typid);
	column->same_type = strcmp(recorded_type, format_type_be_qualified(typid)) == 0;
	if (column->same_type)
		column->was_jsonb = column->base == JSONBOID;
	else
		column->was_jsonb = base_type_by_name(recorded_type) == JSONBOID;
	getTypeInputInfo(typid, &input, &column->ioparam);
	fmgr_info_cxt(input, &column->input, reader->context);
	reader->columns = lappend(reader->columns, column);
	MemoryContextSwitchTo(old);
}

/* The base type of a recorded name; InvalidOid if it is gone */
static Oid
base_type_by_name(const char *name)
{
	Oid			typid = InvalidOid;
	int32		typmod;

	DG_PARSE_TYPE(name, &typid, &typmod);
	return OidIsValid(typid) ? getBaseType(typid) : InvalidOid;
}

/*
 * Read one image and what stands apart of it (or NULL).  values and isnull are
 * in the order in which the columns were added; a column that is in neither is
 * null.
 */
void
dg_reader_read(DgReader *reader, JsonbContainer *image, bytea *apart,
			   Datum *values, bool *isnull)
{
	ErrorContextCallback callback = {error_context_stack, reader_error, reader};
	ListCell   *lc;

	error_context_stack = &callback;
	foreach(lc, reader->columns)
	{
		DgReadColumn *column = lfirst(lc);
		int			i = foreach_current_index(lc);
		JsonbValue	buffer;
		JsonbValue *value = dg_image_member(image, column->name, &buffer);

		reader->present = column;
		isnull[i] = value == NULL || value->type == jbvNull;
		values[i] = isnull[i] ? (Datum) 0 : read_member(reader, column, value);
	}
	if (apart)
		read_apart(reader, apart, values, isnull);
	reader->present = NULL;
	error_context_stack = callback.previous;
}

/* Error context: which column */
static void
reader_error(void *arg)
{
	DgReader   *reader = arg;

	if (reader->present)
		errcontext("recorded value of column \"%s\"", reader->present->name);
}

/* A value that is in the image and is not null */
static Datum
read_member(DgReader *reader, DgReadColumn *column, JsonbValue *value)
{
	char	   *text;

	if (column->base == JSONBOID && column->was_jsonb)
		return check_domain(reader, column, JsonbPGetDatum(JsonbValueToJsonb(value)));
	if (value->type == jbvString && !column->was_jsonb)
		return read_text(column, value->val.string.val, value->val.string.len);
	if (column->was_jsonb)
	{
		Jsonb	   *jsonb = JsonbValueToJsonb(value);

		text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	}
	else
		text = dg_image_value_text(value);
	return InputFunctionCall(&column->input, text, column->ioparam, column->typmod);
}

/* A value from a string that may not end in a null byte */
static Datum
read_text(DgReadColumn *column, const char *text, Size len)
{
	char	   *copy;
	Datum		result;

	/* what textin() does, without a copy, since values may be large */
	if (column->typid == TEXTOID)
		return PointerGetDatum(cstring_to_text_with_len(text, len));
	copy = MemoryContextAllocHuge(CurrentMemoryContext, len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	result = InputFunctionCall(&column->input, copy, column->ioparam, column->typmod);
	pfree(copy);
	return result;
}

/* Check a value that no input function has seen, if its type is a domain */
static Datum
check_domain(DgReader *reader, DgReadColumn *column, Datum value)
{
	if (column->typid != column->base)
		domain_check(value, false, column->typid, &column->domain, reader->context);
	return value;
}

/* The values that stand apart; columns that the reader does not know are passed over */
static void
read_apart(DgReader *reader, bytea *apart, Datum *values, bool *isnull)
{
	StringInfoData buf;
	int			format;

	buf.data = VARDATA_ANY(apart);
	buf.len = buf.maxlen = VARSIZE_ANY_EXHDR(apart);
	buf.cursor = 0;
	format = pq_getmsgbyte(&buf);
	if (format != DG_APART_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("values of a row are stored in format %d, which this version does not know",
						format)));
	while (buf.cursor < buf.len)
	{
		DgApartValue value;
		ListCell   *lc;

		next_apart(&buf, &value);
		foreach(lc, reader->columns)
		{
			DgReadColumn *column = lfirst(lc);
			int			i = foreach_current_index(lc);

			if (strcmp(column->name, value.name) != 0)
				continue;
			reader->present = column;
			values[i] = read_apart_value(reader, column, &value);
			isnull[i] = false;
		}
	}
}

/* Take the next value off the buffer */
static void
next_apart(StringInfo buf, DgApartValue *value)
{
	int			namelen;

	(void) pq_getmsgint(buf, 2);	/* attribute number; names are unique too */
	namelen = pq_getmsgint(buf, 2);
	value->name = pnstrdup(pq_getmsgbytes(buf, namelen), namelen);
	value->kind = pq_getmsgbyte(buf);
	value->len = pq_getmsgint64(buf);
	value->bytes = pq_getmsgbytes(buf, value->len);
}

/* A value that stands apart; it is not null */
static Datum
read_apart_value(DgReader *reader, DgReadColumn *column, DgApartValue *value)
{
	struct varlena *result;
	StringInfoData buf;
	Oid			function;
	Oid			ioparam;

	if (value->kind == 't')
		return read_text(column, value->bytes, value->len);
	if (!column->same_type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has another type than when its row was recorded",
						column->name),
				 errdetail("The value was too long to be recorded as text and can be read by the same type only.")));
	if (value->kind == 'b')
	{
		buf.data = MemoryContextAllocHuge(CurrentMemoryContext, value->len + 1);
		memcpy(buf.data, value->bytes, value->len);
		buf.data[value->len] = '\0';
		buf.len = buf.maxlen = value->len;
		buf.cursor = 0;
		getTypeBinaryInputInfo(column->typid, &function, &ioparam);
		return OidReceiveFunctionCall(function, &buf, ioparam, column->typmod);
	}
	/* kind 'r': the storage format */
	result = palloc(VARHDRSZ + value->len);
	SET_VARSIZE(result, VARHDRSZ + value->len);
	memcpy(VARDATA(result), value->bytes, value->len);
	return check_domain(reader, column, PointerGetDatum(result));
}

/*
 * The value under a name in an image, NULL if there is none; valid as long as
 * *buffer.
 */
JsonbValue *
dg_image_member(JsonbContainer *image, const char *name, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(image, name, strlen(name), buffer);
}

/*
 * A value of an image that is not null as text for its type's input function,
 * if the type is not jsonb; in the current context.
 */
char *
dg_image_value_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			elog(ERROR, "unexpected type of value in the image of a row: %d",
				 (int) value->type);
			return NULL;
	}
}
