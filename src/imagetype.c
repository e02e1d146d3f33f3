/*-------------------------------------------------------------------------
 *
 * imagetype.c
 *	  how values of a type are printed exactly: form, settings, functions
 *
 * Words.  A "form" is the way in which values of a type are written into an
 * image (see rowimage.c).  "Settings" are those that change what output
 * functions print, a set of bits; to "pin" them is to give them the values
 * under which everything prints exactly and always the same.
 *
 * A type that nothing is known of goes through its output function under all
 * settings, so a new one only costs time.  Nothing here consults a cast or an
 * operator, because users can define those.
 *
 * Lifetime: nothing is kept.  Pinned settings last until they are unpinned or
 * the (sub)transaction fails.
 *
 * May call: PostgreSQL only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/xml.h"

#include "imagetype.h"

/* The settings that output functions obey */
#define DG_SETTING_DATE		0x01	/* DateStyle, TimeZone */
#define DG_SETTING_INTERVAL 0x02	/* IntervalStyle */
#define DG_SETTING_FLOAT	0x04	/* extra_float_digits */
#define DG_SETTING_BYTEA	0x08	/* bytea_output */
#define DG_SETTING_MONEY	0x10	/* lc_monetary */
#define DG_SETTING_NAME		0x20	/* search_path, quote_all_identifiers */
#define DG_SETTING_ALL		0x3F

static void pin(int *nestlevel, const char *name, const char *value);
static void call_output(Oid typid, bool binary, Datum value,
						const char **bytes, Size *nbytes);

/* What is done with values of a type, as far as its OID alone tells. */
DgForm
dg_image_form(Oid typid)
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
 * Which settings may change what a type's output function prints: none for
 * the types that are known to obey none, all for those that are not known.
 */
int
dg_image_settings(Oid typid)
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
		return dg_image_settings(element);
	return type_is_enum(getBaseType(typid)) ? 0 : DG_SETTING_ALL;
}

/*
 * Pin settings; returns what dg_image_unpin() wants.  Cheap if nothing has to
 * be set.  On error, the end of the (sub)transaction undoes it.
 */
int
dg_image_pin(int settings)
{
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

/*
 * Pin all that input functions obey, so that each value reads as what was
 * printed under dg_image_pin().  Returns what dg_image_unpin() wants.
 */
int
dg_image_pin_reading(void)
{
	int			nestlevel = dg_image_pin(DG_SETTING_ALL);

	if (xmloption != XMLOPTION_CONTENT)
		pin(&nestlevel, "xmloption", "content");
	if (!Array_nulls)
		pin(&nestlevel, "array_nulls", "on");
	return nestlevel;
}

/*
 * Pin what makes different values print alike, while rows are told by their text:
 * no more, since triggers may run meanwhile that see it.  Returns what
 * dg_image_unpin() wants.
 */
int
dg_image_pin_telling(void)
{
	int			nestlevel = dg_image_pin(DG_SETTING_FLOAT);

	/* other styles name time zones, which may have one name for two offsets */
	if (DateStyle != USE_ISO_DATES)
		pin(&nestlevel, "DateStyle", "ISO");
	return nestlevel;
}

/* Undo any of these pins. */
void
dg_image_unpin(int nestlevel)
{
	if (nestlevel >= 0)
		AtEOXact_GUC(true, nestlevel);
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
 * Print a value by its type's output function, or send it if binary, in a
 * subtransaction because the result may be longer than PostgreSQL can handle,
 * in which case this returns false.  The bytes are in context.
 */
bool
dg_image_print(Oid typid, bool binary, Datum value, MemoryContext context,
			   const char **bytes, Size *nbytes)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
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
