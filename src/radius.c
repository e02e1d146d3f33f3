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

#include "utils/memutils.h"

#include "describe.h"
#include "radius.h"

/* Members of a line as JSON */
#define LINE_MEMBERS 7

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
static JsonbValue line_object(const DgRadiusLine *line);
static JsonbValue cut_object(void);
static void add_member(JsonbValue *object, const char *key, JsonbValue value);
static JsonbValue string_value(const char *string);
static JsonbValue number_value(int64 number);
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
	JsonbValue	array = {.type = jbvArray};
	JsonbValue *elements = palloc(sizeof(JsonbValue) * (list_length(radius->lines) + 1));
	ListCell   *lc;

	array.val.array.elems = elements;
	foreach(lc, radius->lines)
		elements[array.val.array.nElems++] = line_object(lfirst(lc));
	if (dg_walk_stopped(radius->walk))
		elements[array.val.array.nElems++] = cut_object();
	return JsonbValueToJsonb(&array);
}

/* A line as an object; jsonb wants shorter keys first, and then in byte order */
static JsonbValue
line_object(const DgRadiusLine *line)
{
	JsonbValue	object = {.type = jbvObject};

	object.val.object.pairs = palloc(sizeof(JsonbPair) * LINE_MEMBERS);
	add_member(&object, "kind", string_value(dg_kind_name(line->kind)));
	add_member(&object, "rows", number_value(line->rows));
	add_member(&object, "depth", number_value(line->depth));
	add_member(&object, "table", string_value(dg_qualified_name(line->referencing)));
	add_member(&object, "effect", string_value(dg_effect_name(line->effect)));
	add_member(&object, "columns", string_value(line->columns));
	add_member(&object, "reference", string_value(line->name));
	Assert(object.val.object.nPairs == LINE_MEMBERS);
	return object;
}

/* The last element of a radius that is not complete */
static JsonbValue
cut_object(void)
{
	JsonbValue	object = {.type = jbvObject};
	JsonbValue	yes = {.type = jbvBool};

	yes.val.boolean = true;
	object.val.object.pairs = palloc(sizeof(JsonbPair));
	add_member(&object, "cut", yes);
	return object;
}

/* Add a member to an object that has room for it; key is a string constant */
static void
add_member(JsonbValue *object, const char *key, JsonbValue value)
{
	JsonbPair  *pair = &object->val.object.pairs[object->val.object.nPairs];

	pair->key = string_value(key);
	pair->value = value;
	pair->order = object->val.object.nPairs++;
}

/* Scalars */
static JsonbValue
string_value(const char *string)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, string);
	value.val.string.len = strlen(string);
	return value;
}

static JsonbValue
number_value(int64 number)
{
	JsonbValue	value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric(number);
	return value;
}

/*
 * Free a radius.
 */
void
dg_radius_free(DgRadius *radius)
{
	MemoryContextDelete(radius->context);
}
