/*-------------------------------------------------------------------------
 *
 * alert.c
 *	  one event -> NOTIFY and a server log line
 *
 * The notification is part of the transaction that stores the event, so it
 * arrives if and only if that commits.  Its payload is a JSON object;
 * the log line has the prefix "delete_guard: event=" and the same fields as
 * key=value.  Both are described in doc/reference.md, and others rely on them:
 * a field that goes or changes its meaning takes a new DG_PAYLOAD_VERSION.
 *
 * A payload has to be shorter than 8000 bytes.  So each string in it is cut
 * where it would take more than DG_ALERT_STRING_MAX bytes with its escapes.
 * Names of roles and databases may come from a database of another encoding;
 * who listens must be able to read them, so what is not valid here becomes "?".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "alert.h"
#include "compat.h"

#define DG_CHANNEL "delete_guard"
#define DG_PAYLOAD_VERSION 1
/* Bytes of one string or of the details in an alert; there are 10 of them */
#define DG_ALERT_STRING_MAX 600

/* How the value of a field is written */
typedef enum FieldKind
{
	FIELD_STRING,
	FIELD_NUMBER,				/* stands bare */
	FIELD_JSON					/* bare in JSON, a string in the log line */
} FieldKind;

/* An alert under construction */
typedef struct Alert
{
	StringInfoData payload;
	StringInfoData line;
} Alert;

/* Rows that refer to those of an event, by what would become of them */
#define NEFFECTS 5
static const char *const effects[NEFFECTS] = {"delete", "set null", "set default",
"refuse", "dangle"};

/* Fields of an event's image, in the order in which they follow "event" */
static const struct
{
	const char *column;
	const char *name;
	FieldKind	kind;
}			fields[] =

{
	{"outcome", "outcome", FIELD_STRING},
	{"operation", "operation", FIELD_STRING},
	{"table_name", "table", FIELD_STRING},
	{"row_count", "rows", FIELD_NUMBER},
	{"person", "person", FIELD_STRING},
	{NULL, "request", FIELD_NUMBER},	/* the image of an attempt has none yet */
	{"approved_by", "approved_by", FIELD_STRING},
	{"client_addr", "client", FIELD_STRING},
	{"application_name", "application", FIELD_STRING},
	{"reason", "reason", FIELD_STRING},
};

static void log_line(const char *line, bool with_statement);
static char *field_text(Jsonb *object, const char *key);
static char *details_text(Jsonb *event_image);
static char *cut(const char *string, int room);
static void sum_radius(Jsonb *event_image, int64 *totals);
static void add_radius(Alert *alert, Jsonb *event_image);
static void begin(Alert *alert, int64 event_id);
static void add_field(Alert *alert, const char *name, const char *value,
					  FieldKind kind);
static bool is_plain(const char *value);

/*
 * Does an event raise an alert?  What was refused, what needed an approval and
 * went through, what waits for one; what was put back; and what weakens the guard.
 */
bool
dg_alert_is_due(const char *operation, const char *outcome)
{
	static const char *const outcomes[] = {"blocked", "approved", "break_glass",
	"not_enforced", "weakened", "requested", "restored"};
	static const char *const operations[] = {"unprotect", "forget_reference",
	"add_approver", "remove_approver", "purge", "ddl"};

	for (int i = 0; i < lengthof(outcomes); i++)
	{
		if (strcmp(outcome, outcomes[i]) == 0)
			return true;
	}
	for (int i = 0; i < lengthof(operations); i++)
	{
		if (strcmp(operation, operations[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Raise the alert for an event, given as its image.  Must be in a
 * transaction.
 */
void
dg_alert_raise(Jsonb *event_image, int64 event_id, int64 request_id)
{
	Alert		alert;
	char	   *request = request_id > 0 ? psprintf(INT64_FORMAT, request_id) : NULL;

	begin(&alert, event_id);
	for (int i = 0; i < lengthof(fields); i++)
		add_field(&alert, fields[i].name,
				  fields[i].column ? field_text(event_image, fields[i].column) : request,
				  fields[i].kind);
	add_radius(&alert, event_image);
	add_field(&alert, "details", details_text(event_image), FIELD_JSON);
	add_field(&alert, "database", get_database_name(MyDatabaseId), FIELD_STRING);
	appendStringInfoChar(&alert.payload, '}');

	Async_Notify(DG_CHANNEL, alert.payload.data);
	log_line(alert.line.data, false);
}

/*
 * Tell the server log alone, with the statement, of what is no event.
 */
void
dg_alert_log(const char *operation, const char *outcome, const char *table,
			 const char *person, const char *details)
{
	Alert		alert;

	begin(&alert, 0);
	add_field(&alert, "outcome", outcome, FIELD_STRING);
	add_field(&alert, "operation", operation, FIELD_STRING);
	add_field(&alert, "table", table, FIELD_STRING);
	add_field(&alert, "person", person, FIELD_STRING);
	add_field(&alert, "details", details, FIELD_JSON);
	add_field(&alert, "database", get_database_name(MyDatabaseId), FIELD_STRING);
	log_line(alert.line.data, true);
}

/* Begin an alert with the event's number */
static void
begin(Alert *alert, int64 event_id)
{
	initStringInfo(&alert->payload);
	initStringInfo(&alert->line);
	appendStringInfo(&alert->payload, "{\"version\":%d,\"event\":" INT64_FORMAT,
					 DG_PAYLOAD_VERSION, event_id);
	appendStringInfo(&alert->line, "event=" INT64_FORMAT, event_id);
}

/* Write the line, also where log_min_messages would keep it out */
static void
log_line(const char *line, bool with_statement)
{
	int			saved = DG_LOG_MIN_MESSAGES;

	DG_LOG_MIN_MESSAGES = Min(saved, LOG);
	ereport(LOG_SERVER_ONLY,
			(errmsg("delete_guard: %s", line),
			 errhidestmt(!with_statement), errhidecontext(true)));
	DG_LOG_MIN_MESSAGES = saved;
}

/* A top-level field as text; NULL if it is absent or null */
static char *
field_text(Jsonb *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, key,
													 strlen(key), &buffer);

	if (value == NULL)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value->val.numeric)));
	return NULL;
}

/* The event's details as JSON; NULL if there are none, or more than fit */
static char *
details_text(Jsonb *event_image)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(&event_image->root, "details",
													 strlen("details"), &buffer);
	char	   *text;

	if (value == NULL || value->type != jbvBinary)
		return NULL;
	text = JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
	return strlen(text) <= DG_ALERT_STRING_MAX ? text : NULL;
}

/* A string as far as there is room for it, with "?" for what is not valid */
static char *
cut(const char *string, int room)
{
	int			encoding = GetDatabaseEncoding();
	int			left = strlen(string);
	StringInfoData result;

	/* JSON is UTF-8 to those who cannot know better */
	if (encoding == PG_SQL_ASCII)
		encoding = PG_UTF8;
	initStringInfo(&result);
	while (left > 0)
	{
		unsigned char c = (unsigned char) *string;
		int			width = pg_encoding_verifymbchar(encoding, string, left);

		/* as escape_json writes it: \u001f, \", or itself */
		room -= c < ' ' ? 6 : c == '"' || c == '\\' ? 2 : Max(width, 1);
		if (room < 0)
			break;
		if (width > 0)
			appendBinaryStringInfo(&result, string, width);
		else
			appendStringInfoChar(&result, '?');
		string += Max(width, 1);
		left -= Max(width, 1);
	}
	return result.data;
}

/* Add the rows per effect, and in the log line their sum */
static void
add_radius(Alert *alert, Jsonb *event_image)
{
	int64		totals[NEFFECTS] = {0};
	int64		sum = 0;

	sum_radius(event_image, totals);
	for (int e = 0; e < NEFFECTS; e++)
	{
		appendStringInfo(&alert->payload, "%s\"%s\":" INT64_FORMAT,
						 e > 0 ? "," : ",\"radius\":{", effects[e], totals[e]);
		sum += totals[e];
	}
	appendStringInfoChar(&alert->payload, '}');
	add_field(alert, "dependents", psprintf(INT64_FORMAT, sum), FIELD_NUMBER);
}

/* Sum the rows of the blast radius up, per effect */
static void
sum_radius(Jsonb *event_image, int64 *totals)
{
	JsonbValue	buffer;
	JsonbValue *radius;

	radius = getKeyJsonValueFromContainer(&event_image->root, "blast_radius",
										  strlen("blast_radius"), &buffer);
	if (radius == NULL || radius->type != jbvBinary ||
		!JsonContainerIsArray(radius->val.binary.data))
		return;
	for (int i = 0; i < JsonContainerSize(radius->val.binary.data); i++)
	{
		JsonbValue *line = getIthJsonbValueFromContainer(radius->val.binary.data, i);
		Jsonb	   *object;
		char	   *effect;
		char	   *rows;

		if (line->type != jbvBinary)
			continue;
		object = JsonbValueToJsonb(line);
		effect = field_text(object, "effect");
		rows = field_text(object, "rows");
		for (int e = 0; effect && rows && e < NEFFECTS; e++)
		{
			if (strcmp(effect, effects[e]) == 0)
				totals[e] += strtoll(rows, NULL, 10);
		}
	}
}

/*
 * Add a field to both, cut.  Without a value it is null in the payload and not in
 * the line; there it is quoted as in JSON if it is not a plain word.
 */
static void
add_field(Alert *alert, const char *name, const char *value, FieldKind kind)
{
	appendStringInfo(&alert->payload, ",\"%s\":", name);
	if (value == NULL)
	{
		appendStringInfoString(&alert->payload, "null");
		return;
	}
	value = cut(value, kind == FIELD_JSON ? PG_INT32_MAX : DG_ALERT_STRING_MAX);
	if (kind == FIELD_STRING)
		escape_json(&alert->payload, value);
	else
		appendStringInfoString(&alert->payload, value);

	appendStringInfo(&alert->line, " %s=", name);
	if (is_plain(value))
		appendStringInfoString(&alert->line, value);
	else
		escape_json(&alert->line, value);
}

/* Can a value stand in the log line as it is? */
static bool
is_plain(const char *value)
{
	if (*value == '\0')
		return false;
	for (; *value != '\0'; value++)
	{
		if ((unsigned char) *value <= ' ' || strchr("\"\\=\177", *value) != NULL)
			return false;
	}
	return true;
}
