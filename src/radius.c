/*-------------------------------------------------------------------------
 *
 * radius.c
 *	  what a removal would reach, level by level
 *
 * The radius starts from keys and follows every reference to them.  Rows that
 * a cascade would delete have dependents of their own, which are the next
 * level.  Rows that would be set to NULL or to a default, that would have the
 * removal refused or that would dangle end there.
 *
 * Each row is followed once, so cycles and diamonds end.  Bounded by rows and
 * by levels; a radius that stopped early says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "describe.h"
#include "radius.h"

/* Rows that the radius follows before it stops and says so */
#define DG_RADIUS_MAX_ROWS 100000
/* Levels that the radius follows */
#define DG_RADIUS_MAX_DEPTH 50

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

/* Rows of one leaf that the next level starts from */
typedef struct DgFrontier
{
	Oid			relid;
	DgDependents *dep;
	DgKeys	   *keys;
} DgFrontier;

struct DgRadius
{
	MemoryContext context;
	List	   *lines;
	int			depth;
	HTAB	   *visited;
	int64		nvisited;
	bool		cut;			/* stopped early */
	List	   *frontier;		/* of DgFrontier: the next level */
	DgDependents *current;
	DgCascadeCallback callback;
	void	   *callback_arg;
};

/* The line for a reference at the current depth, added if new */
static DgRadiusLine *
radius_line(DgRadius *radius, const DgReference *ref)
{
	DgRadiusLine *line;
	ListCell   *lc;

	foreach(lc, radius->lines)
	{
		line = lfirst(lc);
		if (line->depth == radius->depth && line->constraint == ref->constraint &&
			line->referencing == ref->referencing && strcmp(line->name, ref->name) == 0)
			return line;
	}
	line = palloc0(sizeof(DgRadiusLine));
	line->constraint = ref->constraint;
	line->referencing = ref->referencing;
	line->name = pstrdup(ref->name);
	line->kind = ref->kind;
	line->columns = dg_reference_columns(ref);
	line->effect = dg_dependents_effect(radius->current, ref);
	line->depth = radius->depth;
	radius->lines = lappend(radius->lines, line);
	return line;
}

/* The collecting set of keys for a leaf on the next level, added if new */
static DgFrontier *
radius_frontier(DgRadius *radius, Oid relid)
{
	DgFrontier *frontier;
	ListCell   *lc;

	foreach(lc, radius->frontier)
	{
		frontier = lfirst(lc);
		if (frontier->relid == relid)
			return frontier;
	}
	frontier = palloc0(sizeof(DgFrontier));
	frontier->relid = relid;
	frontier->dep = dg_dependents_begin(relid, dg_dependents_removing(radius->current), radius->context);
	dg_dependents_exclude_same(frontier->dep, radius->current);
	dg_dependents_same_kind(frontier->dep, radius->current);
	frontier->keys = dg_keys_create(dg_dependents_table(frontier->dep), 64, radius->context);
	radius->frontier = lappend(radius->frontier, frontier);
	return frontier;
}

/* Match callback: count the row; a row that a cascade deletes is followed */
static void
radius_match(void *arg, int row, DgProbe *probe)
{
	DgRadius   *radius = arg;
	MemoryContext old = MemoryContextSwitchTo(radius->context);
	bool		seen = false;

	/* a cycle has come back to a row that the command itself removed */
	if (radius->depth > 1 && dg_dependents_removing(radius->current) != InvalidCommandId &&
		dg_removed_by_command(probe->slot, dg_dependents_removing(radius->current), false))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	radius_line(radius, probe->ref)->rows++;
	if (dg_dependents_effect(radius->current, probe->ref) == DG_EFFECT_DELETE)
	{
		DgRowId		id = dg_probe_row_id(probe);

		if (radius->nvisited >= DG_RADIUS_MAX_ROWS)
			radius->cut = true;
		else
		{
			(void) hash_search(radius->visited, &id, HASH_ENTER, &seen);
			if (!seen)
			{
				DgFrontier *frontier = radius_frontier(radius, id.relid);

				radius->nvisited++;
				dg_keys_add(frontier->keys, probe->slot);
				if (radius->callback)
					radius->callback(radius->callback_arg, dg_dependents_table(frontier->dep),
									 probe->slot);
			}
		}
	}
	MemoryContextSwitchTo(old);
}

/* One level: everything that refers to these keys */
static void
radius_level(DgRadius *radius, DgDependents *dep, const DgKeys *keys)
{
	radius->current = dep;
	for (int i = 0; i < dg_dependents_table(dep)->nreferences; i++)
		dg_dependents_visit(dep, i, keys, radius_match, radius);
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
	HASHCTL		ctl;

	radius->context = context;
	radius->callback = callback;
	radius->callback_arg = arg;
	ctl.keysize = DG_ROW_ID_SIZE;
	ctl.entrysize = sizeof(DgRowId);
	ctl.hcxt = context;
	radius->visited = hash_create("delete_guard visited rows", 64, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return radius;
}

/*
 * Add what hangs on the keys, level by level.
 */
void
dg_radius_add(DgRadius *radius, DgDependents *dep, const DgKeys *keys)
{
	MemoryContext old = MemoryContextSwitchTo(radius->context);

	radius->depth = 1;
	radius_level(radius, dep, keys);
	while (radius->frontier != NIL)
	{
		List	   *level = radius->frontier;
		ListCell   *lc;

		radius->frontier = NIL;
		radius->depth++;
		foreach(lc, level)
		{
			DgFrontier *frontier = lfirst(lc);

			if (radius->depth <= DG_RADIUS_MAX_DEPTH)
				radius_level(radius, frontier->dep, frontier->keys);
			else
				radius->cut = true;
			MemoryContextDelete(frontier->keys->context);
			dg_dependents_end(frontier->dep);
			pfree(frontier);
		}
		list_free(level);
	}
	MemoryContextSwitchTo(old);
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
	if (radius->cut)
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
