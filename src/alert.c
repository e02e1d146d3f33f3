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
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "alert.h"
#include "compat.h"
#include "ownrow.h"

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

static char *text_text(Datum value);
static char *int8_text(Datum value);
static char *inet_text(Datum value);

/* Fields of an event, in the order in which they follow "event" */
static const struct
{
	int			attnum;
	char	   *(*text) (Datum value);
	const char *name;
	FieldKind	kind;
}			fields[] =

{
	{Anum_event_outcome, text_text, "outcome", FIELD_STRING},
	{Anum_event_operation, text_text, "operation", FIELD_STRING},
	{Anum_event_table_name, text_text, "table", FIELD_STRING},
	{Anum_event_row_count, int8_text, "rows", FIELD_NUMBER},
	{Anum_event_person, text_text, "person", FIELD_STRING},
	{Anum_event_request_id, int8_text, "request", FIELD_NUMBER},
	{Anum_event_approved_by, text_text, "approved_by", FIELD_STRING},
	{Anum_event_client_addr, inet_text, "client", FIELD_STRING},
	{Anum_event_application_name, text_text, "application", FIELD_STRING},
	{Anum_event_reason, text_text, "reason", FIELD_STRING},
};

static void log_line(const char *line, bool with_statement);
static char *details_text(Jsonb *details);
static bool needs_no_escape(const char *string);
static const char *cut(const char *string, int room);
static void sum_radius(Jsonb *radius, int64 *totals);
static void add_to_totals(JsonbContainer *line, int64 *totals);
static void add_radius(Alert *alert, Jsonb *radius);
static Jsonb *jsonb_or_null(const Datum *values, const bool *isnull, int attnum);
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
 * Raise the alert for an event, given as the values of its row.  Must be in a
 * transaction.
 */
void
dg_alert_raise(const Datum *values, const bool *isnull)
{
	Alert		alert;

	begin(&alert, DatumGetInt64(values[Anum_event_event_id - 1]));
	for (int i = 0; i < lengthof(fields); i++)
	{
		int			column = fields[i].attnum - 1;

		add_field(&alert, fields[i].name,
				  isnull[column] ? NULL : fields[i].text(values[column]), fields[i].kind);
	}
	add_radius(&alert, jsonb_or_null(values, isnull, Anum_event_blast_radius));
	add_field(&alert, "details", details_text(jsonb_or_null(values, isnull, Anum_event_details)),
			  FIELD_JSON);
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

/* Values of columns as text */
static char *
text_text(Datum value)
{
	return TextDatumGetCString(value);
}

static char *
int8_text(Datum value)
{
	return psprintf(INT64_FORMAT, DatumGetInt64(value));
}

static char *
inet_text(Datum value)
{
	return DatumGetCString(DirectFunctionCall1(inet_out, value));
}

/* A jsonb column; NULL if it is null */
static Jsonb *
jsonb_or_null(const Datum *values, const bool *isnull, int attnum)
{
	return isnull[attnum - 1] ? NULL : DatumGetJsonbP(values[attnum - 1]);
}

/* An event's details as JSON; NULL if there are none, or more than fit */
static char *
details_text(Jsonb *details)
{
	char	   *text;

	if (details == NULL || JB_ROOT_IS_SCALAR(details))
		return NULL;
	text = JsonbToCString(NULL, &details->root, VARSIZE(details));
	return strlen(text) <= DG_ALERT_STRING_MAX ? text : NULL;
}

/* Is it printable ASCII that JSON writes as it is? */
static bool
needs_no_escape(const char *string)
{
	for (; *string != '\0'; string++)
	{
		if (*string < ' ' || *string > '~' || *string == '"' || *string == '\\')
			return false;
	}
	return true;
}

/* A string as far as there is room for it, with "?" for what is not valid */
static const char *
cut(const char *string, int room)
{
	int			encoding = GetDatabaseEncoding();
	int			left = strlen(string);
	StringInfoData result;

	if (left <= room && needs_no_escape(string))
		return string;

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
add_radius(Alert *alert, Jsonb *radius)
{
	int64		totals[NEFFECTS] = {0};
	int64		sum = 0;

	sum_radius(radius, totals);
	for (int e = 0; e < NEFFECTS; e++)
	{
		appendStringInfo(&alert->payload, "%s\"%s\":" INT64_FORMAT,
						 e > 0 ? "," : ",\"radius\":{", effects[e], totals[e]);
		sum += totals[e];
	}
	appendStringInfoChar(&alert->payload, '}');
	add_field(alert, "dependents", psprintf(INT64_FORMAT, sum), FIELD_NUMBER);
}

/* Sum the rows of the blast radius (or NULL) up, per effect */
static void
sum_radius(Jsonb *radius, int64 *totals)
{
	if (radius == NULL || !JB_ROOT_IS_ARRAY(radius) || JB_ROOT_IS_SCALAR(radius))
		return;
	for (int i = 0; i < JB_ROOT_COUNT(radius); i++)
	{
		JsonbValue *line = getIthJsonbValueFromContainer(&radius->root, i);

		if (line->type == jbvBinary && JsonContainerIsObject(line->val.binary.data))
			add_to_totals(line->val.binary.data, totals);
	}
}

/* Add the rows of a line of the blast radius to those of its effect */
static void
add_to_totals(JsonbContainer *line, int64 *totals)
{
	JsonbValue	effect;
	JsonbValue	rows;

	if (getKeyJsonValueFromContainer(line, "effect", strlen("effect"), &effect) == NULL ||
		getKeyJsonValueFromContainer(line, "rows", strlen("rows"), &rows) == NULL ||
		effect.type != jbvString || rows.type != jbvNumeric)
		return;
	for (int e = 0; e < NEFFECTS; e++)
	{
		if (strlen(effects[e]) == effect.val.string.len &&
			memcmp(effects[e], effect.val.string.val, effect.val.string.len) == 0)
			totals[e] += DatumGetInt64(DirectFunctionCall1(numeric_int8,
														   NumericGetDatum(rows.val.numeric)));
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
