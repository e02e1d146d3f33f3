/*-------------------------------------------------------------------------
 *
 * record.c
 *	  record of a refused attempt, as bytes that go to another process
 *
 * A backend that refuses a statement puts all that is to be stored of it into
 * one record: its parts one behind the other, rows packed as they are to be
 * inserted, so that neither side spends time on taking apart what the other has
 * put together.  It is read where it lies.  Should it not be stored, it goes to
 * the server log as JSON.
 *
 * Lifetime: a record is one chunk and holds no pointer, so it can be copied.
 *
 * May call: ownrow, event.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "event.h"
#include "record.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

static void append_part(StringInfo buf, const DgRecord *record, DgRecordPart part);
static void append_jsonb(StringInfo buf, Jsonb *value);
static void append_bytes(StringInfo buf, const bytea *value);

/*
 * Make a record of parts, DG_RECORD_PARTS of them, in the current context.
 * They have four-byte length words; NULL leaves one out.
 */
DgRecord *
dg_record_make(const void *const *parts)
{
	Size		length = MAXALIGN(sizeof(DgRecord));
	DgRecord   *record;

	for (int i = 0; i < DG_RECORD_PARTS; i++)
		length += parts[i] ? MAXALIGN(VARSIZE(parts[i])) : 0;
	record = MemoryContextAllocHuge(CurrentMemoryContext, length);
	memset(record, 0, sizeof(DgRecord));
	record->length = length;

	length = MAXALIGN(sizeof(DgRecord));
	for (int i = 0; i < DG_RECORD_PARTS; i++)
	{
		if (parts[i] == NULL)
			continue;
		memcpy((char *) record + length, parts[i], VARSIZE(parts[i]));
		record->offsets[i] = length;
		length += MAXALIGN(VARSIZE(parts[i]));
	}
	return record;
}

/* A part of a record, in the record itself, to be read only; NULL if it has none */
void *
dg_record_part(const DgRecord *record, DgRecordPart part)
{
	if (record->offsets[part] == 0)
		return NULL;
	return (char *) unconstify(DgRecord *, record) + record->offsets[part];
}

/*
 * A record as a JSON object, in the current context; in the process that made
 * it.  Raises an error if that would be longer than a string can be.
 */
char *
dg_record_json(const DgRecord *record)
{
	static const char *const names[DG_RECORD_PARTS] = {"event", "keys", "request", "fingerprint"};
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < DG_RECORD_PARTS; i++)
	{
		if (record->offsets[i] == 0)
			continue;
		appendStringInfo(&buf, "%s\"%s\": ", buf.len > 0 ? ", " : "{", names[i]);
		append_part(&buf, record, (DgRecordPart) i);
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* Append a part as JSON */
static void
append_part(StringInfo buf, const DgRecord *record, DgRecordPart part)
{
	void	   *value = dg_record_part(record, part);

	switch (part)
	{
		case DG_RECORD_EVENT:
		case DG_RECORD_REQUEST:
			append_jsonb(buf, dg_event_packed_row_jsonb(value));
			break;
		case DG_RECORD_KEYS:
			append_jsonb(buf, value);
			break;
		case DG_RECORD_FINGERPRINT:
			append_bytes(buf, value);
			break;
	}
}

/* Append a jsonb, or null */
static void
append_jsonb(StringInfo buf, Jsonb *value)
{
	if (value)
		(void) JsonbToCString(buf, &value->root, VARSIZE(value));
	else
		appendStringInfoString(buf, "null");
}

/* Append bytes as a string, as bytea has them */
static void
append_bytes(StringInfo buf, const bytea *value)
{
	Size		length = VARSIZE(value) - VARHDRSZ;

	appendStringInfoString(buf, "\"\\\\x");
	enlargeStringInfo(buf, 2 * length);
	buf->len += hex_encode(VARDATA(value), length, buf->data + buf->len);
	appendStringInfoChar(buf, '"');
}
