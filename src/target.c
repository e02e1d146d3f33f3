/*-------------------------------------------------------------------------
 *
 * target.c
 *	  where rows of the past belong now: table and columns
 *
 * In the database that recorded them, a table is the one with the recorded OID
 * and a column the one with the recorded number, whatever they are called
 * now.  In another one, or if the table was made again, names are all there
 * is.  Rows of a partition go to the partitioned table at the top, which
 * finds the partition that is right now; its columns have the partition's
 * names.
 *
 * Locks: none; the caller locks the target and then looks again whether he
 * may do what he does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "rewrite/prs2lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "catalog.h"
#include "target.h"

static Oid	source_relation(const DgPastEvent *event, const DgPastPart *part, bool *by_number);
static bool is_table(Oid relid);
static Oid	table_by_name(const char *name);
static void map_columns(DgTarget *target, const DgPastPart *part, Oid source,
						bool by_number, Relation rel);
static AttrNumber column_now(Oid source, bool by_number, const DgPastColumn *past, Oid target);
static bool has_rules(Relation rel, CmdType event);

/*
 * Find table and columns for the rows of a part.  In the current context.
 */
DgTarget *
dg_target_resolve(const DgPastEvent *event, const DgPastPart *part)
{
	DgTarget   *target = palloc0(sizeof(DgTarget));
	bool		by_number;
	Oid			source = source_relation(event, part, &by_number);
	List	   *ancestors;
	Relation	rel;

	target->name = part->table;
	if (!OidIsValid(source))
		return target;
	ancestors = get_rel_relispartition(source) ? get_partition_ancestors(source) : NIL;
	target->relid = ancestors != NIL ? llast_oid(ancestors) : source;
	target->name = dg_qualified_name(target->relid);
	rel = table_open(target->relid, AccessShareLock);
	target->partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	target->insert_rules = has_rules(rel, CMD_INSERT);
	target->update_rules = has_rules(rel, CMD_UPDATE);
	map_columns(target, part, source, by_number, rel);
	table_close(rel, NoLock);
	return target;
}

/*
 * The relation whose rows these were, or the one that stands in its place;
 * *by_number tells whether column numbers are those that were recorded.
 */
static Oid
source_relation(const DgPastEvent *event, const DgPastPart *part, bool *by_number)
{
	Oid			relid;

	*by_number = part->here && is_table(part->table_id);
	if (*by_number)
		return part->table_id;
	relid = table_by_name(part->table);
	if (OidIsValid(relid) || part->depth > 0)
		return relid;
	/* a partition that is gone: its rows are still rows of the whole */
	if (part->here && is_table(event->table_id))
		return event->table_id;
	return event->table_name ? table_by_name(event->table_name) : InvalidOid;
}

/* Is there such a table? */
static bool
is_table(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE;
}

/* The table with this qualified name; InvalidOid if there is none */
static Oid
table_by_name(const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	Oid			relid = RangeVarGetRelid(range, NoLock, true);

	return is_table(relid) ? relid : InvalidOid;
}

/* Find each column of the past in the target, and what is new there */
static void
map_columns(DgTarget *target, const DgPastPart *part, Oid source, bool by_number,
			Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool	   *known = palloc0(sizeof(bool) * (desc->natts + 1));

	target->columns = palloc0(sizeof(DgTargetColumn) * part->ncolumns);
	for (int i = 0; i < part->ncolumns; i++)
	{
		const DgPastColumn *past = &part->columns[i];
		DgTargetColumn *column = &target->columns[target->ncolumns];
		AttrNumber	attnum = column_now(source, by_number, past, target->relid);
		Form_pg_attribute att;

		if (attnum == InvalidAttrNumber)
		{
			target->lost = lappend(target->lost, past->name);
			continue;
		}
		att = TupleDescAttr(desc, attnum - 1);
		known[attnum] = true;
		column->past = past;
		column->attnum = attnum;
		column->name = pstrdup(NameStr(att->attname));
		column->typid = att->atttypid;
		column->typmod = att->atttypmod;
		column->collation = att->attcollation;
		column->generated = att->attgenerated != '\0';
		column->identity_always = att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
		target->ncolumns++;
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !known[att->attnum] && att->attgenerated == '\0')
			target->added = lappend(target->added, pstrdup(NameStr(att->attname)));
	}
}

/* The number in the target of a column of the past; InvalidAttrNumber if none */
static AttrNumber
column_now(Oid source, bool by_number, const DgPastColumn *past, Oid target)
{
	char	   *name = past->name;

	if (by_number)
		name = get_attname(source, past->attnum, true);
	return name ? get_attnum(target, name) : InvalidAttrNumber;
}

/* Do rules of the table rewrite an INSERT? */
static bool
has_rules(Relation rel, CmdType event)
{
	for (int i = 0; rel->rd_rules && i < rel->rd_rules->numLocks; i++)
	{
		if (rel->rd_rules->rules[i]->event == event)
			return true;
	}
	return false;
}

/*
 * The column that had this name; NULL if it is gone.
 */
DgTargetColumn *
dg_target_column(const DgTarget *target, const char *past_name)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (strcmp(target->columns[i].past->name, past_name) == 0)
			return &target->columns[i];
	}
	return NULL;
}
