/*-------------------------------------------------------------------------
 *
 * impact.c
 *	  what a delete would do, and what would stand in its way
 *
 * The walk (walk.c) that the guard itself uses, over rows that are still there,
 * put into a tree: one line for each reference by which rows refer to the rows
 * of the line above.  What the guard would say comes from policy.c.  Nothing is
 * written or locked, and nothing of it is planned for later: the answer is of
 * this moment.
 *
 * Words.  A row is "in the way" if a foreign key with RESTRICT or NO ACTION
 * would find it when it looks.  PostgreSQL looks in the round after the one in
 * which the row referred to has gone, and within that round in the order of
 * triggers; a referring row that has itself gone by then is not in the way.
 *
 * Rights.  Which rows meet the condition is asked with the caller's rights;
 * what hangs on them is found whatever the caller may read, as the guard does
 * it.  Keys are shown only to somebody who may read them.
 *
 * Bounded by delete_guard.preview_limit: rows to start from, rows followed,
 * rows that stay.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "describe.h"
#include "guc.h"
#include "impact.h"
#include "lookup.h"
#include "matching.h"
#include "sql.h"
#include "walk.h"

/* Levels that are followed */
#define DG_IMPACT_MAX_DEPTH 1000
/* Lines that are kept */
#define DG_IMPACT_MAX_LINES 10000

/* Why not everything was followed */
enum
{
	DG_STOPPED_ROWS,
	DG_STOPPED_LEVELS,
	DG_STOPPED_LINES
};

/* The rows to be deleted in one relation */
typedef struct DgRootPart
{
	Relation	rel;
	TupleTableSlot *slot;
	DgDependents *dependents;
	DgKeys	   *keys;
	DgRowId    *ids;
	int			capacity;
	bool	   *held;			/* which need an approval; NULL: none looked at */
	int64		nreferenced;
} DgRootPart;

/* How keys of one relation are shown, on lines of a table */
typedef struct DgKeyReader
{
	Oid			relid;
	Oid			table_id;		/* the relation itself or one above it */
	bool		readable;
	DgImager   *imager;
} DgKeyReader;

/* A row that stays, and what happens to it */
typedef struct DgStaying
{
	DgRowId		id;				/* hash key */
	DgImpactTotal *total;
	bool		set_null;
	bool		set_default;
	bool		dangling;
	bool		in_the_way;
} DgStaying;

/* A row that may be in the way, when PostgreSQL looks */
typedef struct DgObstacle
{
	DgImpactLine *line;
	DgRowId		id;
	int			round;
	uint64		order;
	bool		not_null;		/* in the way of SET NULL, not of a check */
} DgObstacle;

/* A row on a line */
typedef struct DgOnLine
{
	DgRowId		id;
	int			line;
} DgOnLine;

typedef struct DgFinding
{
	MemoryContext context;
	Oid			reader;			/* the caller */
	int			samples;
	DgImpact   *impact;
	DgWalk	   *walk;
	List	   *parts;			/* of DgRootPart */
	List	   *readers;		/* of DgKeyReader */
	HTAB	   *staying;
	HTAB	   *on_line;		/* of DgOnLine, where a row can come again; or NULL */
	DgObstacle *obstacles;
	int64		nobstacles;
	int64		room;
} DgFinding;

static void found_root(void *arg, Oid relid, ItemPointer tid);
static DgRootPart *root_part(DgFinding *finding, Oid relid);
static int	reached_row(void *arg, const DgReached *reached);
static bool may_come_again(const DgReference *ref);
static bool first_on_line(DgFinding *finding, const DgImpactLine *line, const DgRowId *id);
static void stop_early(DgImpact *impact, int why);
static DgImpactLine *line_find(DgFinding *finding, DgImpactLine *parent, const DgReached *reached);
static DgImpactTotal *total_find(DgImpact *impact, Oid table_id);
static DgStaying *staying_find(DgFinding *finding, const DgReached *reached);
static void obstacle_add(DgFinding *finding, DgImpactLine *line, const DgReached *reached,
						 bool not_null);
static void note_change(DgFinding *finding, DgImpactLine *line, const DgReached *reached);
static bool has_default(Oid relid, const char *name);
static bool domain_not_null(Oid type);
static void add_sample(DgFinding *finding, DgImpactLine *line, Relation rel, TupleTableSlot *slot);
static DgKeyReader *key_reader(DgFinding *finding, Relation rel, Oid table_id);
static bool may_read_key(Relation rel, Oid table_id, const int16 *attnums, int natts);
static void seen_rows(void *arg, DgTable *table, int nrows, const int *tags,
					  const bool *referenced);
static void weigh_obstacles(DgFinding *finding);
static void sum_up(DgFinding *finding);
static void ask_guard(DgFinding *finding);
static const DgVerdict *judge_root(DgFinding *finding, List *requests);
static void hold_rows(DgRootPart *part, DgRowSet *held);
static void ask_postgres(DgImpact *impact);
static int64 weigh_line(DgImpactLine *line);
static int	compare_lines(const ListCell *a, const ListCell *b);
static int	compare_totals(const ListCell *a, const ListCell *b);

/* ---------------------------------------------------------------------
 * Finding
 * ---------------------------------------------------------------------
 */

/*
 * What would happen if the rows of a table that meet a condition were deleted.
 * The table is locked by the caller.  samples: how many keys each line shows.
 * In the current context.
 */
DgImpact *
dg_impact_find(Oid relid, const char *condition, int samples)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "delete_guard preview",
											   ALLOCSET_DEFAULT_SIZES);
	DgFinding	finding = {0};
	DgImpact   *impact = palloc0(sizeof(DgImpact));
	HASHCTL		ctl;
	ListCell   *lc;

	finding.context = work;
	finding.reader = GetUserId();
	finding.samples = samples;
	finding.impact = impact;
	finding.walk = dg_walk_create(work, reached_row, &finding);
	dg_walk_limit(finding.walk, dg_preview_limit, DG_IMPACT_MAX_DEPTH);
	dg_walk_in_order(finding.walk, seen_rows);
	ctl.keysize = DG_ROW_ID_SIZE;
	ctl.entrysize = sizeof(DgStaying);
	ctl.hcxt = work;
	finding.staying = hash_create("delete_guard rows that stay", 256, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	impact->root = palloc0(sizeof(DgImpactLine));
	impact->root->table_id = relid;
	impact->root->table = dg_qualified_name(relid);
	impact->root->effect = DG_EFFECT_DELETE;
	impact->root->readable = true;
	impact->lines = list_make1(impact->root);

	if (!dg_matching_rows(relid, condition, dg_preview_limit, found_root, &finding))
		stop_early(impact, DG_STOPPED_ROWS);
	foreach(lc, finding.parts)
	{
		DgRootPart *part = lfirst(lc);

		dg_walk_start(finding.walk, part->dependents, part->keys, part->ids, NULL);
	}
	dg_walk_run(finding.walk);
	if (dg_walk_stopped(finding.walk))
		stop_early(impact, dg_walk_too_deep(finding.walk) ? DG_STOPPED_LEVELS : DG_STOPPED_ROWS);
	weigh_obstacles(&finding);
	sum_up(&finding);
	ask_guard(&finding);
	ask_postgres(impact);
	foreach(lc, finding.parts)
	{
		DgRootPart *part = lfirst(lc);

		ExecDropSingleTupleTableSlot(part->slot);
		dg_dependents_end(part->dependents);
		table_close(part->rel, NoLock);
	}
	MemoryContextDelete(work);
	return impact;
}

/*
 * Not everything was followed.  What the caller can change counts before what he
 * cannot.
 */
static void
stop_early(DgImpact *impact, int why)
{
	static const char *const reasons[] = {
		[DG_STOPPED_ROWS] = "see delete_guard.preview_limit",
		[DG_STOPPED_LEVELS] = "more than " CppAsString2(DG_IMPACT_MAX_DEPTH) " levels",
		[DG_STOPPED_LINES] = "more than " CppAsString2(DG_IMPACT_MAX_LINES) " lines"
	};

	if (!impact->stopped || why == DG_STOPPED_ROWS)
		impact->stopped_by = reasons[why];
	impact->stopped = true;
}

/* Matching callback: a row to be deleted */
static void
found_root(void *arg, Oid relid, ItemPointer tid)
{
	DgFinding  *finding = arg;
	DgImpactLine *root = finding->impact->root;
	DgRootPart *part = root_part(finding, relid);
	int			n = part->keys->nrows;

	if (!table_tuple_fetch_row_version(part->rel, tid, GetActiveSnapshot(), part->slot) ||
		!dg_walk_removed(finding->walk, relid, &part->slot->tts_tid))
		return;
	if (n == part->capacity)
	{
		part->capacity *= 2;
		part->ids = repalloc_huge(part->ids, sizeof(DgRowId) * part->capacity);
	}
	memset(&part->ids[n], 0, sizeof(DgRowId));
	part->ids[n].relid = relid;
	part->ids[n].tid = part->slot->tts_tid;
	dg_keys_add(part->keys, part->slot);
	root->rows++;
	total_find(finding->impact, root->table_id)->deleted++;
	add_sample(finding, root, part->rel, part->slot);
	ExecClearTuple(part->slot);
}

/* The rows to be deleted in one relation, begun if new */
static DgRootPart *
root_part(DgFinding *finding, Oid relid)
{
	MemoryContext old;
	DgRootPart *part;
	ListCell   *lc;

	foreach(lc, finding->parts)
	{
		part = lfirst(lc);
		if (RelationGetRelid(part->rel) == relid)
			return part;
	}
	old = MemoryContextSwitchTo(finding->context);
	part = palloc0(sizeof(DgRootPart));
	part->rel = table_open(relid, AccessShareLock);
	part->slot = table_slot_create(part->rel, NULL);
	part->dependents = dg_dependents_begin(relid, InvalidCommandId, finding->context);
	part->keys = dg_keys_create(dg_dependents_table(part->dependents), 64, finding->context);
	part->capacity = 64;
	part->ids = palloc(sizeof(DgRowId) * part->capacity);
	finding->parts = lappend(finding->parts, part);
	MemoryContextSwitchTo(old);
	return part;
}

/* Reached callback: a row that refers to one above; returns its line's number */
static int
reached_row(void *arg, const DgReached *reached)
{
	DgFinding  *finding = arg;
	DgImpact   *impact = finding->impact;
	DgImpactLine *line = line_find(finding, list_nth(impact->lines, reached->from_tag), reached);
	DgStaying  *staying;

	if (line == NULL)
		return reached->from_tag;
	if (may_come_again(reached->ref) && !first_on_line(finding, line, &reached->id))
		return line->number;
	line->rows++;
	switch (reached->effect)
	{
		case DG_EFFECT_DELETE:
			if (reached->first)
				total_find(impact, line->table_id)->deleted++;
			else if (dg_walk_deleted(finding->walk, &reached->id, &(int) {0}, &(uint64) {0}))
				line->again++;
			break;
		case DG_EFFECT_SET_NULL:
		case DG_EFFECT_SET_DEFAULT:
			note_change(finding, line, reached);
			break;
		case DG_EFFECT_DANGLE:
			if ((staying = staying_find(finding, reached)) != NULL)
				staying->dangling = true;
			break;
		default:
			obstacle_add(finding, line, reached, false);
			break;
	}
	add_sample(finding, line, reached->rel, reached->slot);
	return line->number;
}

/*
 * Can one row refer by this reference to several rows?  By a period to all that
 * it overlaps; equality, which can be merged, finds one.
 */
static bool
may_come_again(const DgReference *ref)
{
	Oid			op = ref->columns[ref->ncolumns - 1].eq_op;
	Oid			left;
	Oid			right;

	op_input_types(op, &left, &right);
	return !op_mergejoinable(op, left);
}

/* Is this the first time that a row comes to a line? */
static bool
first_on_line(DgFinding *finding, const DgImpactLine *line, const DgRowId *id)
{
	DgOnLine	key;
	bool		found;

	memset(&key, 0, sizeof(key));
	memcpy(&key.id, id, DG_ROW_ID_SIZE);
	key.line = line->number;
	if (finding->on_line == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = ctl.entrysize = sizeof(DgOnLine);
		ctl.hcxt = finding->context;
		finding->on_line = hash_create("delete_guard rows of lines", 256, &ctl,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_get_num_entries(finding->on_line) >= dg_preview_limit)
	{
		stop_early(finding->impact, DG_STOPPED_ROWS);
		return false;
	}
	(void) hash_search(finding->on_line, &key, HASH_ENTER, &found);
	return !found;
}

/* The line for a reference below another line, added if new; NULL if there are too many */
static DgImpactLine *
line_find(DgFinding *finding, DgImpactLine *parent, const DgReached *reached)
{
	const DgReference *ref = reached->ref;
	DgImpact   *impact = finding->impact;
	DgImpactLine *line;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, parent->children)
	{
		line = lfirst(lc);
		if (line->constraint == ref->constraint && line->table_id == ref->referencing &&
			line->effect == reached->effect && strcmp(line->reference, ref->name) == 0)
			return line;
	}
	/* further lines are not kept apart */
	if (list_length(impact->lines) >= DG_IMPACT_MAX_LINES)
	{
		stop_early(impact, DG_STOPPED_LINES);
		return NULL;
	}
	old = MemoryContextSwitchTo(GetMemoryChunkContext(impact));
	line = palloc0(sizeof(DgImpactLine));
	line->number = list_length(impact->lines);
	line->parent = parent;
	line->depth = parent->depth + 1;
	line->table_id = ref->referencing;
	line->table = dg_qualified_name(ref->referencing);
	line->constraint = ref->constraint;
	line->reference = pstrdup(ref->name);
	line->columns = dg_reference_columns(ref);
	line->kind = dg_kind_name(ref->kind);
	line->effect = reached->effect;
	line->deferred = ref->deferred;
	line->readable = true;
	parent->children = lappend(parent->children, line);
	impact->lines = lappend(impact->lines, line);
	MemoryContextSwitchTo(old);
	return line;
}

/* The totals of a table, added if new */
static DgImpactTotal *
total_find(DgImpact *impact, Oid table_id)
{
	DgImpactTotal *total;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, impact->totals)
	{
		total = lfirst(lc);
		if (total->table_id == table_id)
			return total;
	}
	old = MemoryContextSwitchTo(GetMemoryChunkContext(impact));
	total = palloc0(sizeof(DgImpactTotal));
	total->table_id = table_id;
	total->table = dg_qualified_name(table_id);
	impact->totals = lappend(impact->totals, total);
	MemoryContextSwitchTo(old);
	return total;
}

/* What is known of a row that stays, begun if new; NULL if there are too many */
static DgStaying *
staying_find(DgFinding *finding, const DgReached *reached)
{
	bool		found;
	DgStaying  *staying = hash_search(finding->staying, &reached->id, HASH_FIND, NULL);

	if (staying)
		return staying;
	if (hash_get_num_entries(finding->staying) >= dg_preview_limit)
	{
		stop_early(finding->impact, DG_STOPPED_ROWS);
		return NULL;
	}
	staying = hash_search(finding->staying, &reached->id, HASH_ENTER, &found);
	staying->total = total_find(finding->impact, reached->ref->referencing);
	staying->set_null = staying->set_default = false;
	staying->dangling = staying->in_the_way = false;
	return staying;
}

/* Columns of a row would be set */
static void
note_change(DgFinding *finding, DgImpactLine *line, const DgReached *reached)
{
	TupleDesc	desc = RelationGetDescr(reached->rel);
	DgStaying  *staying = staying_find(finding, reached);
	int			attnum = -1;

	if (staying && reached->effect == DG_EFFECT_SET_NULL)
		staying->set_null = true;
	else if (staying)
		staying->set_default = true;
	while ((attnum = bms_next_member(reached->changed, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);

		if (reached->effect == DG_EFFECT_SET_DEFAULT &&
			has_default(reached->ref->referencing, NameStr(att->attname)))
			line->has_default = true;
		else if (att->attnotnull || domain_not_null(att->atttypid))
		{
			if (line->not_null == NULL)
				line->not_null = MemoryContextStrdup(GetMemoryChunkContext(finding->impact),
													 NameStr(att->attname));
			obstacle_add(finding, line, reached, true);
			break;
		}
	}
}

/*
 * Does a column have a default, of its own or of its domain?  That of the table
 * that the foreign key is on counts, whatever partition the row is in.
 */
static bool
has_default(Oid relid, const char *name)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		result = build_column_default(rel, get_attnum(relid, name)) != NULL;

	table_close(rel, NoLock);
	return result;
}

/* Is a type a domain that takes no NULL, or based on one? */
static bool
domain_not_null(Oid type)
{
	bool		result = false;

	while (OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN && !result)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for type %u", type);
		result = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
		type = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* A row that may be in the way */
static void
obstacle_add(DgFinding *finding, DgImpactLine *line, const DgReached *reached, bool not_null)
{
	DgObstacle *obstacle;

	if (staying_find(finding, reached) == NULL || finding->nobstacles >= dg_preview_limit)
	{
		stop_early(finding->impact, DG_STOPPED_ROWS);
		return;
	}
	if (finding->nobstacles == finding->room)
	{
		finding->room = Max(finding->room * 2, 256);
		finding->obstacles = finding->obstacles == NULL ?
			MemoryContextAllocHuge(finding->context, sizeof(DgObstacle) * finding->room) :
			repalloc_huge(finding->obstacles, sizeof(DgObstacle) * finding->room);
	}
	obstacle = &finding->obstacles[finding->nobstacles++];
	obstacle->line = line;
	obstacle->id = reached->id;
	obstacle->round = reached->depth;
	obstacle->order = reached->order;
	obstacle->not_null = not_null;
}

/* Show the key of a row, if the line has room for it and the caller may */
static void
add_sample(DgFinding *finding, DgImpactLine *line, Relation rel, TupleTableSlot *slot)
{
	DgKeyReader *reader;
	MemoryContext old;
	bytea	   *apart = NULL;
	int			pin;

	if (list_length(line->samples) >= finding->samples)
		return;
	reader = key_reader(finding, rel, line->table_id);
	if (!reader->readable)
	{
		line->readable = false;
		return;
	}
	old = MemoryContextSwitchTo(GetMemoryChunkContext(finding->impact));
	pin = dg_imager_pin_settings(reader->imager);
	line->samples = lappend(line->samples, dg_imager_encode(reader->imager, slot, &apart));
	dg_imager_unpin_settings(pin);
	MemoryContextSwitchTo(old);
}

/*
 * How keys of a relation are shown, and whether, on the lines of a table.  A row
 * without a key is shown whole.
 */
static DgKeyReader *
key_reader(DgFinding *finding, Relation rel, Oid table_id)
{
	MemoryContext old;
	DgKeyReader *reader;
	int16		attnums[DG_MAX_KEYS];
	int			natts;
	Oid			userid;
	int			sec_context;
	ListCell   *lc;

	foreach(lc, finding->readers)
	{
		reader = lfirst(lc);
		if (reader->relid == RelationGetRelid(rel) && reader->table_id == table_id)
			return reader;
	}
	old = MemoryContextSwitchTo(finding->context);
	reader = palloc0(sizeof(DgKeyReader));
	reader->relid = RelationGetRelid(rel);
	reader->table_id = table_id;
	natts = dg_identity_columns(reader->relid, attnums);
	/* the walk may be acting as the owner of a table just now */
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(finding->reader, sec_context);
	reader->readable = may_read_key(rel, reader->relid, attnums, natts) ||
		(table_id != reader->relid && may_read_key(rel, table_id, attnums, natts));
	SetUserIdAndSecContext(userid, sec_context);
	if (reader->readable)
		reader->imager = dg_imager_create(RelationGetDescr(rel), natts > 0 ? attnums : NULL,
										  natts, finding->context);
	finding->readers = lappend(finding->readers, reader);
	MemoryContextSwitchTo(old);
	return reader;
}

/*
 * May the current role read these columns of a relation (0: all of them) by way
 * of a table, which is the relation itself or one above it?
 */
static bool
may_read_key(Relation rel, Oid table_id, const int16 *attnums, int natts)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int16	   *there = palloc(sizeof(int16) * Max(desc->natts, 1));
	int			n = 0;

	for (int i = 0; i < (natts > 0 ? natts : desc->natts); i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, natts > 0 ? attnums[i] - 1 : i);

		if (att->attisdropped)
			continue;
		there[n] = get_attnum(table_id, NameStr(att->attname));
		if (there[n++] == InvalidAttrNumber)
			return false;
	}
	return dg_may_read(table_id, there, n);
}

/*
 * Seen callback: rows of a relation that would go, and which of them something
 * refers to.  Those that the guard would hold are counted on their lines.
 */
static void
seen_rows(void *arg, DgTable *table, int nrows, const int *tags, const bool *referenced)
{
	DgFinding  *finding = arg;
	DgRootPart *part = tags == NULL ? root_part(finding, table->relid) : NULL;

	if (!table->is_protected)
		return;
	if (part)
		part->held = MemoryContextAllocZero(finding->context, sizeof(bool) * Max(nrows, 1));
	for (int i = 0; i < nrows; i++)
	{
		DgImpactLine *line = list_nth(finding->impact->lines, tags ? tags[i] : 0);
		bool		held = dg_policy_holds(table, referenced[i]);

		line->protection = table->protection;
		line->nprotected++;
		line->nheld += held;
		if (part)
		{
			part->held[i] = held;
			part->nreferenced += referenced[i];
		}
	}
}

/* ---------------------------------------------------------------------
 * Judging
 * ---------------------------------------------------------------------
 */

/* Which rows would be in the way when PostgreSQL looks? */
static void
weigh_obstacles(DgFinding *finding)
{
	for (int64 i = 0; i < finding->nobstacles; i++)
	{
		DgObstacle *obstacle = &finding->obstacles[i];
		DgStaying  *staying;
		int			round;
		uint64		order;

		if (dg_walk_deleted(finding->walk, &obstacle->id, &round, &order) &&
			((obstacle->line->deferred && !obstacle->not_null) || round < obstacle->round ||
			 (round == obstacle->round && order < obstacle->order)))
			continue;
		if (obstacle->not_null)
			obstacle->line->not_null_rows++;
		else
			obstacle->line->in_the_way++;
		staying = hash_search(finding->staying, &obstacle->id, HASH_FIND, NULL);
		staying->in_the_way = true;
	}
}

/* Count each row that stays once, for its table; order lines and tables */
static void
sum_up(DgFinding *finding)
{
	HASH_SEQ_STATUS status;
	DgStaying  *staying;

	hash_seq_init(&status, finding->staying);
	while ((staying = hash_seq_search(&status)) != NULL)
	{
		int			round;
		uint64		order;
		DgImpactTotal *total = staying->total;

		total->in_the_way += staying->in_the_way;
		if (dg_walk_deleted(finding->walk, &staying->id, &round, &order))
			continue;
		total->set_null += staying->set_null;
		total->set_default += staying->set_default;
		total->dangling += staying->dangling;
	}
	(void) weigh_line(finding->impact->root);
	list_sort(finding->impact->totals, compare_totals);
}

/* Rows of a line and of all below; orders the lines below */
static int64
weigh_line(DgImpactLine *line)
{
	ListCell   *lc;

	check_stack_depth();
	line->weight = line->rows;
	foreach(lc, line->children)
		line->weight += weigh_line(lfirst(lc));
	list_sort(line->children, compare_lines);
	return line->weight;
}

/* list_sort comparator: most rows first, then by name */
static int
compare_lines(const ListCell *a, const ListCell *b)
{
	const DgImpactLine *left = lfirst(a);
	const DgImpactLine *right = lfirst(b);
	int			order;

	if (left->weight != right->weight)
		return left->weight > right->weight ? -1 : 1;
	order = strcmp(left->table, right->table);
	return order != 0 ? order : strcmp(left->reference, right->reference);
}

/* list_sort comparator: by name of the table */
static int
compare_totals(const ListCell *a, const ListCell *b)
{
	return strcmp(((const DgImpactTotal *) lfirst(a))->table,
				  ((const DgImpactTotal *) lfirst(b))->table);
}

/*
 * What the guard would say to each line.  An approval of the rows themselves
 * covers what goes along with them.
 */
static void
ask_guard(DgFinding *finding)
{
	DgImpact   *impact = finding->impact;
	List	   *requests = impact->root->nheld > 0 ? dg_requests_named(false) : NIL;
	const DgVerdict *allowed = NULL;
	ListCell   *lc;

	foreach(lc, impact->lines)
	{
		DgImpactLine *line = lfirst(lc);
		DgRowSet	held = {0};
		DgRemoval	removal = {0};
		const DgVerdict *verdict;

		if (line->nprotected == 0)
			continue;
		held.nrows = line->nheld;
		removal.nrows = line->nprotected;
		if (allowed)
		{
			removal.ncovered = line->nheld;
			removal.covering = *(DgRequest *) linitial(allowed->used);
		}
		else
			removal.held = &held;
		verdict = line == impact->root && requests != NIL ?
			judge_root(finding, requests) : dg_policy_decide(&removal, NIL);
		if (line == impact->root && verdict->used != NIL)
			allowed = verdict;
		line->guard = dg_policy_words(&line->protection, verdict, line->nheld, line->nprotected);
		if (verdict->outcome == NULL && dg_enforce)
			impact->guard_refuses = true;
	}
}

/*
 * The verdict on the rows themselves, with the requests that the session names:
 * the worst of all relations.
 */
static const DgVerdict *
judge_root(DgFinding *finding, List *requests)
{
	DgRootPart *first = linitial(finding->parts);
	const DgVerdict *result = NULL;
	ListCell   *lc;
	int			i;

	foreach(lc, finding->parts)
	{
		DgRootPart *part = lfirst(lc);

		for (i = 0; i < part->keys->nrows; i++)
			(void) dg_dependents_exclude(first->dependents, part->ids[i].relid, &part->ids[i].tid);
		dg_dependents_exclude_same(part->dependents, first->dependents);
	}
	foreach(lc, finding->parts)
	{
		DgRootPart *part = lfirst(lc);
		DgRemoval	removal = {0};
		const DgVerdict *verdict;

		if (part->held == NULL)
			continue;
		removal.operation = DG_OPERATION_DELETE;
		removal.rel = part->rel;
		removal.dependents = part->dependents;
		removal.table = dg_dependents_table(part->dependents);
		removal.nrows = part->keys->nrows;
		removal.nreferenced = part->nreferenced;
		removal.held = dg_rowset_create(removal.table, RelationGetDescr(part->rel),
										finding->context);
		hold_rows(part, removal.held);
		verdict = dg_policy_decide(&removal, requests);
		if (result == NULL || verdict->outcome == NULL ||
			(result->outcome != NULL && result->used == NIL))
			result = verdict;
	}
	return result;
}

/* Take keys and digests of the rows that need an approval */
static void
hold_rows(DgRootPart *part, DgRowSet *held)
{
	for (int i = 0; i < part->keys->nrows; i++)
	{
		if (part->held[i] &&
			table_tuple_fetch_row_version(part->rel, &part->ids[i].tid, GetActiveSnapshot(),
										  part->slot))
			dg_rowset_add(held, part->slot, NULL, NULL);
	}
	ExecClearTuple(part->slot);
}

/* What PostgreSQL itself would say to each line */
static void
ask_postgres(DgImpact *impact)
{
	ListCell   *lc;

	foreach(lc, impact->lines)
	{
		DgImpactLine *line = lfirst(lc);

		if (line->in_the_way > 0)
			line->postgres = psprintf("would refuse%s: " INT64_FORMAT " %s to what goes",
									  line->deferred ? " at commit" : "", line->in_the_way,
									  line->in_the_way == 1 ? "row still refers" : "rows still refer");
		else if (line->not_null_rows > 0)
			line->postgres = psprintf("would refuse: column \"%s\" of " INT64_FORMAT " %s cannot be null",
									  line->not_null, line->not_null_rows,
									  line->not_null_rows == 1 ? "row" : "rows");
		if (line->postgres)
			impact->postgres_refuses = true;
		else if (line->has_default)
			line->postgres = pstrdup("would refuse if no row has the default key");
	}
}
