/*-------------------------------------------------------------------------
 *
 * alert.c
 *	  one event -> NOTIFY and a server log line
 *
 * The notification is part of the transaction that stores the event, so it
 * arrives if and only if the event is stored.  Its payload is a JSON object:
 * version, event, outcome, operation, table, rows, person, request, radius
 * (rows per effect).  The log line has the prefix "delete_guard: " and
 * key=value fields in that order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "alert.h"
#include "compat.h"

#define DG_CHANNEL "delete_guard"
#define DG_PAYLOAD_VERSION 1
/* Bytes of any one string in an alert; keeps the payload under 8000 bytes */
#define DG_ALERT_STRING_MAX 300

static void log_line(const char *line);
static char *field_text(Jsonb *object, const char *key);
static char *radius_totals(Jsonb *event_image);
static void append_json(StringInfo buf, const char *key, const char *value,
						bool is_number);
static void append_field(StringInfo buf, const char *key, const char *value);

/*
 * Raise the alert for an event, given as its image.  Must be in a
 * transaction.
 */
void
dg_alert_raise(Jsonb *event_image, int64 event_id, int64 request_id)
{
	static const char *const fields[] = {"outcome", "operation", "table_name",
	"row_count", "person"};
	static const char *const names[] = {"outcome", "operation", "table",
	"rows", "person"};
	StringInfoData payload;
	StringInfoData line;
	char	   *request = request_id > 0 ? psprintf(INT64_FORMAT, request_id) : NULL;

	initStringInfo(&payload);
	initStringInfo(&line);
	appendStringInfo(&payload, "{\"version\":%d,\"event\":" INT64_FORMAT,
					 DG_PAYLOAD_VERSION, event_id);
	appendStringInfo(&line, "event=" INT64_FORMAT, event_id);
	for (int i = 0; i < lengthof(fields); i++)
	{
		char	   *value = field_text(event_image, fields[i]);

		append_json(&payload, names[i], value, strcmp(names[i], "rows") == 0);
		append_field(&line, names[i], value);
	}
	append_json(&payload, "request", request, true);
	append_field(&line, "request", request);
	append_json(&payload, "radius", radius_totals(event_image), true);
	appendStringInfoChar(&payload, '}');

	Async_Notify(DG_CHANNEL, payload.data);
	log_line(line.data);
}

/* Write the line, also where log_min_messages would keep it out */
static void
log_line(const char *line)
{
	int			saved = DG_LOG_MIN_MESSAGES;

	DG_LOG_MIN_MESSAGES = Min(saved, LOG);
	ereport(LOG_SERVER_ONLY,
			(errmsg("delete_guard: %s", line),
			 errhidestmt(true), errhidecontext(true)));
	DG_LOG_MIN_MESSAGES = saved;
}

/* A top-level field as text, cut; NULL if it is absent or null */
static char *
field_text(Jsonb *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, key,
													 strlen(key), &buffer);

	if (value == NULL)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val,
						pg_mbcliplen(value->val.string.val,
									 value->val.string.len, DG_ALERT_STRING_MAX));
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value->val.numeric)));
	return NULL;
}

/* Rows per effect, as a JSON object */
static char *
radius_totals(Jsonb *event_image)
{
	static const char *const effects[] = {"delete", "set null", "set default",
	"refuse", "dangle"};
	int64		totals[lengthof(effects)] = {0};
	StringInfoData buf;
	JsonbValue	buffer;
	JsonbValue *radius;

	radius = getKeyJsonValueFromContainer(&event_image->root, "blast_radius",
										  strlen("blast_radius"), &buffer);
	if (radius && radius->type == jbvBinary &&
		JsonContainerIsArray(radius->val.binary.data))
	{
		JsonbContainer *array = radius->val.binary.data;

		for (int i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbValue *line = getIthJsonbValueFromContainer(array, i);
			Jsonb	   *object;
			char	   *effect;
			char	   *rows;

			if (line->type != jbvBinary)
				continue;
			object = JsonbValueToJsonb(line);
			effect = field_text(object, "effect");
			rows = field_text(object, "rows");
			for (int e = 0; effect && rows && e < lengthof(effects); e++)
			{
				if (strcmp(effect, effects[e]) == 0)
					totals[e] += strtoll(rows, NULL, 10);
			}
		}
	}
	initStringInfo(&buf);
	for (int e = 0; e < lengthof(effects); e++)
		appendStringInfo(&buf, "%s\"%s\":" INT64_FORMAT, e > 0 ? "," : "{",
						 effects[e], totals[e]);
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* Append ,"key":value; a number or object stands bare, NULL is null */
static void
append_json(StringInfo buf, const char *key, const char *value, bool is_number)
{
	appendStringInfo(buf, ",\"%s\":", key);
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else if (is_number)
		appendStringInfoString(buf, value);
	else
		escape_json(buf, value);
}

/* Append " key=value", quoted as JSON if it is not a plain word */
static void
append_field(StringInfo buf, const char *key, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(buf, " %s=", key);
	if (value[0] != '\0' && strpbrk(value, " \"\\=\t\r\n") == NULL)
		appendStringInfoString(buf, value);
	else
		escape_json(buf, value);
}
