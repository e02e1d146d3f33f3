/*-------------------------------------------------------------------------
 *
 * render.c
 *	  the impact of a delete, to be looked at
 *
 * As a tree of text, as JSON, as a graph for Graphviz (dot) or for Mermaid.  The
 * tree is plain ASCII, so that it comes through every encoding.  In a graph each
 * line of the tree is a node, and what happens to its rows is on the arrow that
 * leads there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "describe.h"
#include "render.h"

static List *render_text(const DgImpact *impact);
static List *text_line(List *result, const DgImpactLine *line, const char *indent, bool last);
static char *text_total(const DgImpact *impact);
static void add_count(StringInfo buf, int64 n, const char *what);
static char *guard_summary(const DgImpact *impact);
static char *postgres_summary(const DgImpact *impact);
static List *render_json(const DgImpact *impact);
static void json_line(StringInfo buf, const DgImpactLine *line);
static void json_text(StringInfo buf, const char *key, const char *value);
static List *render_dot(const DgImpact *impact);
static List *render_mermaid(const DgImpact *impact);
static const char *effect_phrase(const DgImpactLine *line);
static const char *effect_color(const DgImpactLine *line);
static char *printable(const char *text);
static char *dot_escaped(const char *text);
static char *mermaid_escaped(const char *text);

/*
 * Lines of text in the current context, in one of the formats text, json, dot
 * and mermaid.
 */
List *
dg_render(const DgImpact *impact, const char *format)
{
	if (strcmp(format, "text") == 0)
		return render_text(impact);
	if (strcmp(format, "json") == 0)
		return render_json(impact);
	if (strcmp(format, "dot") == 0)
		return render_dot(impact);
	if (strcmp(format, "mermaid") == 0)
		return render_mermaid(impact);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized format \"%s\"", format),
			 errhint("Use text, json, dot or mermaid.")));
}

/*
 * The way from the rows themselves to a line: tables with referring columns,
 * each referring to the one before.  before is the way to the line above.
 */
char *
dg_render_path(const DgImpactLine *line, const char *before)
{
	if (line->parent == NULL)
		return pstrdup(line->table);
	return psprintf("%s <- %s (%s)", before, line->table, line->columns);
}

/*
 * The keys that a line shows, as a JSON array; NULL if the caller may not see
 * them.
 */
char *
dg_render_samples(const DgImpactLine *line)
{
	StringInfoData buf;
	ListCell   *lc;

	if (!line->readable && line->samples == NIL)
		return NULL;
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	foreach(lc, line->samples)
	{
		Jsonb	   *key = lfirst(lc);

		appendStringInfoString(&buf, foreach_current_index(lc) > 0 ? ", " : "");
		(void) JsonbToCString(&buf, &key->root, VARSIZE(key));
	}
	appendStringInfoChar(&buf, ']');
	return buf.data;
}

/* What happens to the rows of a line, in words */
static const char *
effect_phrase(const DgImpactLine *line)
{
	switch (line->effect)
	{
		case DG_EFFECT_DELETE:
			return "deleted";
		case DG_EFFECT_SET_NULL:
			return "set to NULL";
		case DG_EFFECT_SET_DEFAULT:
			return "set to the default";
		case DG_EFFECT_REFUSE:
			return line->in_the_way > 0 ? "in the way" : "in the way, but gone by then";
		case DG_EFFECT_DANGLE:
			return "left dangling";
		default:
			return dg_effect_name(line->effect);
	}
}

/* ---------------------------------------------------------------------
 * Text
 * ---------------------------------------------------------------------
 */

/* A tree, and totals */
static List *
render_text(const DgImpact *impact)
{
	List	   *result = text_line(NIL, impact->root, NULL, true);
	ListCell   *lc;

	result = lappend(result, pstrdup(""));
	result = lappend(result, text_total(impact));
	result = lappend(result, psprintf("delete_guard: %s", guard_summary(impact)));
	result = lappend(result, psprintf("PostgreSQL:   %s", postgres_summary(impact)));
	if (impact->stopped)
		result = lappend(result,
						 psprintf("Stopped early: there may be more (%s).", impact->stopped_by));
	foreach(lc, result)
		lfirst(lc) = printable(lfirst(lc));
	return result;
}

/*
 * Text without control characters, which names may hold, and which would break a
 * line or command a terminal: a space stands for each.
 */
static char *
printable(const char *text)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;
	char	   *result = pstrdup(text);

	for (char *c = result; *c; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			*c = ' ';
		/* U+0080 to U+009F */
		else if (utf8 && (unsigned char) c[0] == 0xc2 && (unsigned char) c[1] < 0xa0)
			c[0] = c[1] = ' ';
	}
	return result;
}

/* One line with all below it; indent is NULL for the first */
static List *
text_line(List *result, const DgImpactLine *line, const char *indent, bool last)
{
	StringInfoData buf;
	char	   *samples = dg_render_samples(line);
	const char *below = indent == NULL ? "" : psprintf("%s%s", indent, last ? "   " : "|  ");
	const char *rest = psprintf("%s%s", below, line->children != NIL ? "|  " : "   ");
	ListCell   *lc;

	check_stack_depth();
	initStringInfo(&buf);
	if (indent)
		appendStringInfo(&buf, "%s%s", indent, last ? "`- " : "+- ");
	appendStringInfo(&buf, "%s", line->table);
	if (line->columns)
		appendStringInfo(&buf, " (%s)", line->columns);
	appendStringInfo(&buf, ": " INT64_FORMAT " %s %s", line->rows,
					 line->rows == 1 ? "row" : "rows", effect_phrase(line));
	if (line->again > 0)
		appendStringInfo(&buf, ", " INT64_FORMAT " of them in another way already", line->again);
	if (line->reference && strcmp(line->kind, "foreign key") != 0)
		appendStringInfo(&buf, " [%s]", line->kind);
	if (samples && line->samples != NIL)
		appendStringInfo(&buf, "  %.*s%s", (int) strlen(samples) - 2, samples + 1,
						 line->rows > list_length(line->samples) ? ", ..." : "");
	result = lappend(result, buf.data);
	if (line->guard)
		result = lappend(result, psprintf("%s> delete_guard: %s", rest, line->guard));
	if (line->postgres)
		result = lappend(result, psprintf("%s> PostgreSQL: %s", rest, line->postgres));
	foreach(lc, line->children)
		result = text_line(result, lfirst(lc), below,
						   foreach_current_index(lc) == list_length(line->children) - 1);
	return result;
}

/* What becomes of how many rows, each counted once */
static char *
text_total(const DgImpact *impact)
{
	DgImpactTotal sum = {0};
	int			ntables = 0;
	StringInfoData buf;
	ListCell   *lc;

	foreach(lc, impact->totals)
	{
		const DgImpactTotal *total = lfirst(lc);

		ntables += total->deleted > 0;
		sum.deleted += total->deleted;
		sum.set_null += total->set_null;
		sum.set_default += total->set_default;
		sum.dangling += total->dangling;
		sum.in_the_way += total->in_the_way;
	}
	initStringInfo(&buf);
	appendStringInfo(&buf, "Total: " INT64_FORMAT " %s of %d %s deleted", sum.deleted,
					 sum.deleted == 1 ? "row" : "rows", ntables, ntables == 1 ? "table" : "tables");
	add_count(&buf, sum.set_null, "set to NULL");
	add_count(&buf, sum.set_default, "set to the default");
	add_count(&buf, sum.dangling, "left dangling");
	add_count(&buf, sum.in_the_way, "in the way");
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* Add a number of rows, if there are any */
static void
add_count(StringInfo buf, int64 n, const char *what)
{
	if (n > 0)
		appendStringInfo(buf, ", " INT64_FORMAT " %s", n, what);
}

/* What the guard would say to all of it */
static char *
guard_summary(const DgImpact *impact)
{
	ListCell   *lc;

	foreach(lc, impact->lines)
	{
		const DgImpactLine *line = lfirst(lc);

		if (line->guard && strncmp(line->guard, "would be refused", strlen("would be refused")) == 0)
			return line == impact->root ? line->guard :
				psprintf("would be refused because of table %s", line->table);
	}
	foreach(lc, impact->lines)
	{
		const DgImpactLine *line = lfirst(lc);

		if (line->guard)
			return line->guard;
	}
	return pstrdup("nothing here is protected");
}

/* What PostgreSQL would say to all of it */
static char *
postgres_summary(const DgImpact *impact)
{
	ListCell   *lc;

	if (!impact->postgres_refuses)
		return pstrdup("would not refuse");
	foreach(lc, impact->lines)
	{
		const DgImpactLine *line = lfirst(lc);

		if (line->in_the_way > 0 || line->not_null_rows > 0)
			return psprintf("%s in table %s", line->postgres, line->table);
	}
	return pstrdup("would refuse");
}

/* ---------------------------------------------------------------------
 * JSON
 * ---------------------------------------------------------------------
 */

/* One JSON object */
static List *
render_json(const DgImpact *impact)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"tree\": ");
	json_line(&buf, impact->root);
	appendStringInfoString(&buf, ", \"totals\": [");
	foreach(lc, impact->totals)
	{
		const DgImpactTotal *total = lfirst(lc);

		appendStringInfoString(&buf, foreach_current_index(lc) > 0 ? ", {\"table\": " : "{\"table\": ");
		escape_json(&buf, total->table);
		appendStringInfo(&buf, ", \"deleted\": " INT64_FORMAT ", \"set_null\": " INT64_FORMAT
						 ", \"set_default\": " INT64_FORMAT ", \"dangling\": " INT64_FORMAT
						 ", \"in_the_way\": " INT64_FORMAT "}",
						 total->deleted, total->set_null, total->set_default,
						 total->dangling, total->in_the_way);
	}
	appendStringInfo(&buf, "], \"stopped_early\": %s, \"guard_refuses\": %s, \"postgres_refuses\": %s}",
					 impact->stopped ? "true" : "false", impact->guard_refuses ? "true" : "false",
					 impact->postgres_refuses ? "true" : "false");
	return list_make1(buf.data);
}

/* One line with all below it */
static void
json_line(StringInfo buf, const DgImpactLine *line)
{
	char	   *samples = dg_render_samples(line);
	ListCell   *lc;

	check_stack_depth();
	appendStringInfoString(buf, "{\"table\": ");
	escape_json(buf, line->table);
	json_text(buf, "columns", line->columns);
	json_text(buf, "reference", line->reference);
	json_text(buf, "kind", line->kind);
	json_text(buf, "effect", dg_effect_name(line->effect));
	appendStringInfo(buf, ", \"depth\": %d, \"rows\": " INT64_FORMAT, line->depth, line->rows);
	if (line->again > 0)
		appendStringInfo(buf, ", \"again\": " INT64_FORMAT, line->again);
	if (line->effect == DG_EFFECT_REFUSE)
		appendStringInfo(buf, ", \"in_the_way\": " INT64_FORMAT, line->in_the_way);
	appendStringInfo(buf, ", \"sample_keys\": %s", samples ? samples : "null");
	json_text(buf, "guard", line->guard);
	json_text(buf, "postgres", line->postgres);
	appendStringInfoString(buf, ", \"below\": [");
	foreach(lc, line->children)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(buf, ", ");
		json_line(buf, lfirst(lc));
	}
	appendStringInfoString(buf, "]}");
}

/* A member of text, if there is any */
static void
json_text(StringInfo buf, const char *key, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(buf, ", \"%s\": ", key);
	escape_json(buf, value);
}

/* ---------------------------------------------------------------------
 * Graphs
 * ---------------------------------------------------------------------
 */

/* The color of an effect, of an arrow and of the border it leads to */
static const char *
effect_color(const DgImpactLine *line)
{
	switch (line->effect)
	{
		case DG_EFFECT_DELETE:
			return "#b3261e";
		case DG_EFFECT_REFUSE:
			return line->in_the_way > 0 ? "#1b6e3c" : "#777777";
		case DG_EFFECT_DANGLE:
			return "#b26a00";
		default:
			return "#1f5fa8";
	}
}

/* Text within quotes in a dot file */
static char *
dot_escaped(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = printable(text); *c; c++)
	{
		if (*c == '"' || *c == '\\')
			appendStringInfoChar(&buf, '\\');
		appendStringInfoChar(&buf, *c);
	}
	return buf.data;
}

/*
 * Text within quotes in a Mermaid diagram: what could be taken for HTML, an
 * entity or Markdown becomes an entity.
 */
static char *
mermaid_escaped(const char *text)
{
	static const char *const entities[][2] = {
		{"\"", "#quot;"}, {"#", "#35;"}, {"&", "#amp;"}, {"<", "#lt;"}, {">", "#gt;"},
		{"`", "#96;"}, {"\\", "#92;"}
	};
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = printable(text); *c; c++)
	{
		const char *entity = NULL;

		for (int i = 0; i < lengthof(entities); i++)
		{
			if (*c == entities[i][0][0])
				entity = entities[i][1];
		}
		if (entity)
			appendStringInfoString(&buf, entity);
		else
			appendStringInfoChar(&buf, *c);
	}
	return buf.data;
}

/* For Graphviz */
static List *
render_dot(const DgImpact *impact)
{
	List	   *result = NIL;
	ListCell   *lc;

	result = lappend(result, pstrdup("digraph delete_guard {"));
	result = lappend(result, pstrdup("  rankdir=LR;"));
	result = lappend(result, pstrdup("  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11];"));
	result = lappend(result, pstrdup("  edge [fontname=\"Helvetica\", fontsize=10];"));
	foreach(lc, impact->lines)
	{
		const DgImpactLine *line = lfirst(lc);

		result = lappend(result,
						 psprintf("  n%d [label=\"%s\\n" INT64_FORMAT " %s%s%s%s%s\", color=\"%s\"%s];", line->number,
								  dot_escaped(line->table), line->rows,
								  line->rows == 1 ? "row" : "rows",
								  line->guard ? "\\ndelete_guard: " : "",
								  line->guard ? dot_escaped(line->guard) : "",
								  line->postgres ? "\\nPostgreSQL: " : "",
								  line->postgres ? dot_escaped(line->postgres) : "",
								  effect_color(line), line->parent ? "" : ", penwidth=2"));
		if (line->parent)
			result = lappend(result,
							 psprintf("  n%d -> n%d [label=\"%s\\n%s\", color=\"%s\"%s];",
									  line->parent->number, line->number,
									  dot_escaped(line->columns), effect_phrase(line),
									  effect_color(line),
									  strcmp(line->kind, "foreign key") == 0 ? "" : ", style=dashed"));
	}
	return lappend(result, pstrdup("}"));
}

/* For Mermaid */
static List *
render_mermaid(const DgImpact *impact)
{
	List	   *result = list_make1(pstrdup("flowchart LR"));
	ListCell   *lc;

	foreach(lc, impact->lines)
	{
		const DgImpactLine *line = lfirst(lc);

		result = lappend(result,
						 psprintf("  n%d[\"%s<br/>" INT64_FORMAT " %s%s%s%s%s\"]", line->number,
								  mermaid_escaped(line->table), line->rows,
								  line->rows == 1 ? "row" : "rows",
								  line->guard ? "<br/>delete_guard: " : "",
								  line->guard ? mermaid_escaped(line->guard) : "",
								  line->postgres ? "<br/>PostgreSQL: " : "",
								  line->postgres ? mermaid_escaped(line->postgres) : ""));
		if (line->parent)
			result = lappend(result,
							 psprintf("  n%d %s|\"%s: %s\"| n%d", line->parent->number,
									  strcmp(line->kind, "foreign key") == 0 ? "-->" : "-.->",
									  mermaid_escaped(line->columns), effect_phrase(line),
									  line->number));
		result = lappend(result, psprintf("  style n%d stroke:%s", line->number, effect_color(line)));
	}
	return result;
}
