/*-------------------------------------------------------------------------
 *
 * radius.c
 *	  what a removal would reach, counted by reference and level
 *
 * The radius is what an approver is shown and an approval is measured by: one
 * line for each reference and level of the walk (walk.c), with the rows that
 * refer by it.  A row that is reached in several ways counts in each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "describe.h"
#include "radius.h"

/* One line of the radius */
typedef struct DgRadiusLine
{
	Oid			constraint;		/* identifies the reference, with the name */
	Oid			referencing;
	char	   *name;
	DgReferenceKind kind;
	char	   *columns;
	DgEffect	effect;
	int			depth;
	int64		rows;
} DgRadiusLine;

struct DgRadius
{
	MemoryContext context;
	List	   *lines;
	DgWalk	   *walk;
	DgCascadeCallback callback;
	void	   *callback_arg;
};

static DgRadiusLine *radius_line(DgRadius *radius, const DgReached *reached);
static int	radius_reached(void *arg, const DgReached *reached);

/* The line for a reference at a level, added if new */
static DgRadiusLine *
radius_line(DgRadius *radius, const DgReached *reached)
{
	const DgReference *ref = reached->ref;
	DgRadiusLine *line;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, radius->lines)
	{
		line = lfirst(lc);
		if (line->depth == reached->depth && line->constraint == ref->constraint &&
			line->effect == reached->effect &&
			line->referencing == ref->referencing && strcmp(line->name, ref->name) == 0)
			return line;
	}
	old = MemoryContextSwitchTo(radius->context);
	line = palloc0(sizeof(DgRadiusLine));
	line->constraint = ref->constraint;
	line->referencing = ref->referencing;
	line->name = pstrdup(ref->name);
	line->kind = ref->kind;
	line->columns = dg_reference_columns(ref);
	line->effect = reached->effect;
	line->depth = reached->depth;
	radius->lines = lappend(radius->lines, line);
	MemoryContextSwitchTo(old);
	return line;
}

/* Reached callback: count the row, and show one that a cascade removes */
static int
radius_reached(void *arg, const DgReached *reached)
{
	DgRadius   *radius = arg;

	radius_line(radius, reached)->rows++;
	if (radius->callback && reached->first && reached->effect == DG_EFFECT_DELETE)
		radius->callback(radius->callback_arg, reached->table, reached->slot);
	return 0;
}

/*
 * An empty radius, in a context of its own below parent.  callback, if not
 * NULL, sees each row that a cascade would delete.
 */
DgRadius *
dg_radius_create(MemoryContext parent, DgCascadeCallback callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(parent, "delete_guard radius",
												  ALLOCSET_SMALL_SIZES);
	DgRadius   *radius = MemoryContextAllocZero(context, sizeof(DgRadius));

	radius->context = context;
	radius->walk = dg_walk_create(context, radius_reached, radius);
	radius->callback = callback;
	radius->callback_arg = arg;
	return radius;
}

/*
 * Add what hangs on the keys, level by level.
 */
void
dg_radius_add(DgRadius *radius, DgDependents *dep, const DgKeys *keys)
{
	dg_walk_start(radius->walk, dep, keys, NULL, NULL);
	dg_walk_run(radius->walk);
}

/*
 * The radius as a jsonb array in the current context: table, columns,
 * reference, kind, effect, depth and rows of each line.  A last element
 * {"cut": true} says that it stopped early.
 */
Jsonb *
dg_radius_jsonb(const DgRadius *radius)
{
	StringInfoData buf;
	ListCell   *lc;
	Jsonb	   *result;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	foreach(lc, radius->lines)
	{
		DgRadiusLine *line = lfirst(lc);

		appendStringInfoString(&buf, buf.len > 1 ? ",{\"table\":" : "{\"table\":");
		escape_json(&buf, dg_qualified_name(line->referencing));
		appendStringInfoString(&buf, ",\"columns\":");
		escape_json(&buf, line->columns);
		appendStringInfoString(&buf, ",\"reference\":");
		escape_json(&buf, line->name);
		appendStringInfo(&buf, ",\"kind\":\"%s\",\"effect\":\"%s\",\"depth\":%d,\"rows\":" INT64_FORMAT "}",
						 dg_kind_name(line->kind), dg_effect_name(line->effect),
						 line->depth, line->rows);
	}
	if (dg_walk_stopped(radius->walk))
		appendStringInfo(&buf, "%s{\"cut\":true}", buf.len > 1 ? "," : "");
	appendStringInfoChar(&buf, ']');
	result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
	pfree(buf.data);
	return result;
}

/*
 * Free a radius.
 */
void
dg_radius_free(DgRadius *radius)
{
	MemoryContextDelete(radius->context);
}
