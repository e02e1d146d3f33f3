/*-------------------------------------------------------------------------
 *
 * suspect.c
 *	  columns that are named like references and are none
 *
 * A "suspect" is a column that is part of no foreign key and of no declared
 * reference, and whose name and type fit a key of a table.  Only names and
 * types are looked at here, which everybody may know; no row is read.
 *
 * Of several tables that a name fits, those in the column's own schema count,
 * and of these the ones that it fits best.
 *
 * Everything lives in the context in which dg_suspects is called.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "lookup.h"
#include "naming.h"
#include "sql.h"
#include "suspect.h"

/* A column with a unique index of its own */
typedef struct Key
{
	int16		attnum;
	char	   *words;
	Oid			type;
	bool		primary;
} Key;

/* A table that may be referred to */
typedef struct Target
{
	Oid			relid;
	Oid			schema;
	char	   *words;
	List	   *keys;			/* the primary key first */
} Target;

/* Which tables have a name */
typedef struct NameEntry
{
	char		name[NAMEDATALEN * 2];
	List	   *targets;		/* called so */
	List	   *prefixed;		/* with something in front */
	List	   *keyed;			/* whose primary key is called so */
} NameEntry;

/* A column of a table, and what is known of it */
typedef struct Column
{
	Oid			relid;
	Oid			schema;
	int16		attnum;
	Oid			type;
	char		category;
	bool		settled;		/* inherited, or part of a foreign key */
	bool		is_key;			/* the table's primary key */
	List	   *declared;		/* to which tables */
	List	   *ignored;		/* for which tables; InvalidOid: for all */
	DgColumnName name;
} Column;

#define ELIGIBLE \
	" c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'" \
	" AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'delete_guard')" \
	" AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass" \
	"  AND e.objid = c.oid AND e.deptype = 'e')"

static void load_targets(DgSuspects *suspects);
static NameEntry *name_entry(struct HTAB *names, const char *name, bool create);
static void add_target(DgSuspects *suspects, Target *target);
static List *load_columns(void);
static List *oid_list(HeapTuple tuple, TupleDesc desc, int attno);
static void judge_column(DgSuspects *suspects, const Column *column, List *columns,
						 int first);
static const Column *type_column(const Column *column, List *columns, int first);
static void judge_name(DgSuspects *suspects, const Column *column);
static bool suspect_tables(DgSuspects *suspects, const Column *column, List *targets,
						   const char *key, double strength, const char *why);
static List *called(const DgSuspects *suspects, const Column *column,
					const char *words, bool prefixed);
static List *neighbours(const DgSuspects *suspects, const Column *column);
static List *nearest(List *targets, Oid schema);
static bool suspect_keys(DgSuspects *suspects, const Column *column, const Target *target,
						 const char *key, double strength, const char *why);
static bool key_fits(const Key *key, const Column *column, const char *word);
static bool means_identity(const char *word);
static bool suspect_values(DgSuspects *suspects, const Column *column);
static bool suspect_roles(DgSuspects *suspects, const Column *column);
static DgSuspect *add_suspect(DgSuspects *suspects, const Column *column, Oid referenced,
							  int16 key, double strength, const char *why);
static char *column_literal(Oid relid, int16 attnum);

/*
 * All suspects, or those from or to one table.
 */
DgSuspects *
dg_suspects(Oid relid)
{
	DgSuspects *suspects = palloc0(sizeof(DgSuspects));
	DgSuspects *result = palloc0(sizeof(DgSuspects));
	List	   *columns;
	int			first = 0;
	ListCell   *lc;

	load_targets(suspects);
	columns = load_columns();
	for (int i = 0; i < list_length(columns); i++)
	{
		const Column *column = list_nth(columns, i);

		CHECK_FOR_INTERRUPTS();
		if (column->relid != ((Column *) list_nth(columns, first))->relid)
			first = i;
		judge_column(suspects, column, columns, first);
	}
	*result = *suspects;
	result->list = NIL;
	foreach(lc, suspects->list)
	{
		DgSuspect  *suspect = lfirst(lc);

		if (!OidIsValid(relid) || suspect->referencing == relid ||
			suspect->referenced == relid || !OidIsValid(suspect->referenced))
			result->list = lappend(result->list, suspect);
	}
	return result;
}

/* Read the tables that have a key of one column */
static void
load_targets(DgSuspects *suspects)
{
	static const char *const query =
		"SELECT c.oid, c.relnamespace, c.relname, a.attnum, a.attname, a.atttypid, i.indisprimary"
		" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
		" JOIN pg_index i ON i.indrelid = c.oid"
		" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
		" WHERE" ELIGIBLE " AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1"
		" AND i.indpred IS NULL AND a.attnum > 0"
		" ORDER BY c.oid, i.indisprimary DESC, a.attnum";
	MemoryContext caller = CurrentMemoryContext;
	HASHCTL		ctl = {.keysize = sizeof(((NameEntry *) NULL)->name),
		.entrysize = sizeof(NameEntry), .hcxt = CurrentMemoryContext};
	DgRoleState saved;
	Target	   *target = NULL;

	suspects->names = hash_create("delete_guard names of tables", 256, &ctl,
								  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	dg_own_connect(&saved);
	dg_own_query(query, 0, NULL, NULL, NULL, true, 0);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Key		   *key = palloc0(sizeof(Key));
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));

		if (target == NULL || target->relid != relid)
		{
			target = palloc0(sizeof(Target));
			target->relid = relid;
			target->schema = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
			target->words = dg_name_words(SPI_getvalue(tuple, desc, 3));
		}
		key->attnum = DatumGetInt16(SPI_getbinval(tuple, desc, 4, &isnull));
		key->words = dg_name_words(SPI_getvalue(tuple, desc, 5));
		key->type = DatumGetObjectId(SPI_getbinval(tuple, desc, 6, &isnull));
		key->primary = DatumGetBool(SPI_getbinval(tuple, desc, 7, &isnull));
		target->keys = lappend(target->keys, key);
		if (list_length(target->keys) == 1)
			add_target(suspects, target);
	}
	dg_own_finish(&saved);
	MemoryContextSwitchTo(caller);
}

/* The entry of a name; NULL if there is none and none is to be made */
static NameEntry *
name_entry(struct HTAB *names, const char *name, bool create)
{
	char		padded[sizeof(((NameEntry *) NULL)->name)] = {0};
	NameEntry  *entry;
	bool		found;

	strlcpy(padded, name, sizeof(padded));
	entry = hash_search(names, padded, create ? HASH_ENTER : HASH_FIND, &found);
	if (create && !found)
		entry->targets = entry->prefixed = entry->keyed = NIL;
	return entry;
}

/* Enter a table under everything that it may be called */
static void
add_target(DgSuspects *suspects, Target *target)
{
	const char *suffix = dg_name_suffix(target->words);
	const Key  *primary = linitial(target->keys);
	ListCell   *lc;

	suspects->targets = lappend(suspects->targets, target);
	foreach(lc, dg_name_forms(target->words))
	{
		NameEntry  *entry = name_entry(suspects->names, lfirst(lc), true);

		entry->targets = list_append_unique_ptr(entry->targets, target);
	}
	for (; suffix; suffix = dg_name_suffix(suffix))
	{
		foreach(lc, dg_name_forms(suffix))
		{
			NameEntry  *entry = name_entry(suspects->names, lfirst(lc), true);

			entry->prefixed = list_append_unique_ptr(entry->prefixed, target);
		}
	}
	if (primary->primary && !dg_name_is_generic(primary->words))
	{
		NameEntry  *entry = name_entry(suspects->names, primary->words, true);

		entry->keyed = lappend(entry->keyed, target);
	}
}

/* Read all columns; list of Column, those of one table together */
static List *
load_columns(void)
{
	static const char *const query =
		"SELECT c.oid, c.relnamespace, a.attnum, a.attname, a.atttypid,"
		" a.attinhcount > 0 OR EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f'"
		"  AND f.conrelid = c.oid AND f.conkey @> ARRAY[a.attnum]),"
		" EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary"
		"  AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),"
		" ARRAY(SELECT d.referenced::oid FROM delete_guard.declared_reference d"
		"  WHERE d.referencing::oid = c.oid AND CASE WHEN d.referencing_oid = c.oid"
		"   THEN d.referencing_attnums @> ARRAY[a.attnum]"
		"   ELSE d.referencing_columns @> ARRAY[a.attname] END),"
		" ARRAY(SELECT g.referenced::oid FROM delete_guard.ignored_suggestion g"
		"  WHERE g.referencing::oid = c.oid AND g.referencing_columns = ARRAY[a.attname])"
		" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
		" JOIN pg_attribute a ON a.attrelid = c.oid"
		" WHERE" ELIGIBLE " AND a.attnum > 0 AND NOT a.attisdropped"
		" ORDER BY n.nspname, c.relname, a.attnum";
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;
	DgRoleState saved;

	dg_own_connect(&saved);
	dg_own_query(query, 0, NULL, NULL, NULL, true, 0);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Column	   *column = palloc0(sizeof(Column));
		bool		isnull;
		bool		preferred;

		column->relid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
		column->schema = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
		column->attnum = DatumGetInt16(SPI_getbinval(tuple, desc, 3, &isnull));
		column->name = dg_name_column(SPI_getvalue(tuple, desc, 4));
		column->type = getBaseType(DatumGetObjectId(SPI_getbinval(tuple, desc, 5, &isnull)));
		column->settled = DatumGetBool(SPI_getbinval(tuple, desc, 6, &isnull));
		column->is_key = DatumGetBool(SPI_getbinval(tuple, desc, 7, &isnull));
		column->declared = oid_list(tuple, desc, 8);
		column->ignored = oid_list(tuple, desc, 9);
		get_type_category_preferred(column->type, &column->category, &preferred);
		result = lappend(result, column);
	}
	dg_own_finish(&saved);
	MemoryContextSwitchTo(caller);
	return result;
}

/* An oid[] of a row as a list */
static List *
oid_list(HeapTuple tuple, TupleDesc desc, int attno)
{
	bool		isnull;
	Datum		array = SPI_getbinval(tuple, desc, attno, &isnull);
	List	   *result = NIL;
	Datum	   *elements;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		result = lappend_oid(result, DatumGetObjectId(elements[i]));
	return result;
}

/*
 * Add what one column may refer to.  The columns of its table begin at
 * "first".
 */
static void
judge_column(DgSuspects *suspects, const Column *column, List *columns, int first)
{
	const Column *type;
	int			nbefore;

	if (column->settled || list_member_oid(column->ignored, InvalidOid))
		return;
	type = type_column(column, columns, first);
	if (type)
	{
		DgSuspect  *suspect = add_suspect(suspects, column, InvalidOid, 0, DG_NAMED_VALUE,
										  "the column beside it says of which table");

		suspect->type_attnum = type->attnum;
		suspect->known = list_concat_copy(column->declared, column->ignored);
		/* where there are accounts, account_type may be a kind of account */
		suspect->or_plain = called(suspects, column, column->name.stem, false) != NIL;
		if (!suspect->or_plain)
			return;
	}
	if (column->declared != NIL)
		return;
	nbefore = list_length(suspects->list);
	judge_name(suspects, column);
	for (int i = nbefore; type && i < list_length(suspects->list); i++)
		((DgSuspect *) list_nth(suspects->list, i))->beside_type = true;
}

/*
 * The column that says to which table this one refers: about_type, or just
 * about, for about_id.  NULL if there is none.
 */
static const Column *
type_column(const Column *column, List *columns, int first)
{
	static const char *const endings[] = {"type", "class", "model", "table", "kind"};

	if (column->name.key == NULL || strcmp(column->name.key, "id") != 0)
		return NULL;
	for (int n = first; n < list_length(columns); n++)
	{
		const Column *other = list_nth(columns, n);

		if (other->relid != column->relid)
			break;
		if (other->category != TYPCATEGORY_STRING)
			continue;
		if (strcmp(other->name.whole, column->name.stem) == 0)
			return other;
		if (other->name.key == NULL || strcmp(other->name.stem, column->name.stem) != 0)
			continue;
		for (int i = 0; i < lengthof(endings); i++)
		{
			if (strcmp(other->name.key, endings[i]) == 0)
				return other;
		}
	}
	return NULL;
}

/* Go through the ways of naming a column, from the plainest on */
static void
judge_name(DgSuspects *suspects, const Column *column)
{
	const DgColumnName *name = &column->name;
	NameEntry  *entry;

	if (name->stem && !dg_name_is_generic(name->stem))
	{
		if (suspect_tables(suspects, column, called(suspects, column, name->stem, false),
						   name->key, DG_NAMED_AFTER, "named after the table"))
		{
			/* values tell orders from shop_order in shop_orderline */
			(void) suspect_tables(suspects, column, neighbours(suspects, column), name->key,
								  DG_NAMED_WITH_MORE, "named after the end of the table's name");
			return;
		}
		if (suspect_tables(suspects, column, called(suspects, column, name->stem, true),
						   name->key, DG_NAMED_WITH_MORE, "named after the end of the table's name"))
			return;
		for (const char *suffix = dg_name_suffix(name->stem); suffix; suffix = dg_name_suffix(suffix))
		{
			if (suspect_tables(suspects, column, called(suspects, column, suffix, false),
							   name->key, DG_NAMED_WITH_MORE, "its name ends with the table's"))
				return;
		}
	}
	if (suspect_values(suspects, column) || suspect_roles(suspects, column) || column->is_key)
		return;
	for (const char *suffix = dg_name_suffix(name->whole); suffix; suffix = dg_name_suffix(suffix))
	{
		entry = name_entry(suspects->names, suffix, false);
		if (entry && list_length(nearest(entry->keyed, column->schema)) == 1 &&
			suspect_tables(suspects, column, nearest(entry->keyed, column->schema), "id",
						   DG_NAMED_LIKE_KEY, "its name ends with the table's primary key"))
			return;
	}
	entry = name_entry(suspects->names, name->whole, false);
	if (entry && list_length(nearest(entry->keyed, column->schema)) == 1)
		(void) suspect_tables(suspects, column, nearest(entry->keyed, column->schema), "id",
							  DG_NAMED_LIKE_KEY, "named like the table's primary key");
}

/* Suspect a column of referring to tables; true if it fits one of them */
static bool
suspect_tables(DgSuspects *suspects, const Column *column, List *targets,
			   const char *key, double strength, const char *why)
{
	bool		result = false;
	ListCell   *lc;

	foreach(lc, targets)
	{
		const Target *target = lfirst(lc);

		if (!list_member_oid(column->ignored, target->relid) &&
			suspect_keys(suspects, column, target, key, strength, why))
			result = true;
	}
	return result;
}

/* Tables that are called so, or have something in front of it */
static List *
called(const DgSuspects *suspects, const Column *column, const char *words, bool prefixed)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, dg_name_forms(words))
	{
		NameEntry  *entry = name_entry(suspects->names, lfirst(lc), false);

		if (entry)
			result = list_concat_unique_ptr(result, prefixed ? entry->prefixed : entry->targets);
	}
	return nearest(result, column->schema);
}

/* Tables whose name ends like the column's, and begins with the same word as its table's */
static List *
neighbours(const DgSuspects *suspects, const Column *column)
{
	const char *own = dg_name_words(get_rel_name(column->relid));
	Size		len = strcspn(own, "_");
	List	   *result = NIL;
	ListCell   *lc;

	if (own[len] == '\0')
		return NIL;
	foreach(lc, called(suspects, column, column->name.stem, true))
	{
		Target	   *target = lfirst(lc);

		if (strncmp(target->words, own, len + 1) == 0)
			result = lappend(result, target);
	}
	return result;
}

/* The tables in this schema; if there are none, all of them */
static List *
nearest(List *targets, Oid schema)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, targets)
	{
		if (((Target *) lfirst(lc))->schema == schema)
			result = lappend(result, lfirst(lc));
	}
	return result ? result : targets;
}

/* Suspect a column of referring to keys of a table; true if one fits */
static bool
suspect_keys(DgSuspects *suspects, const Column *column, const Target *target,
			 const char *key, double strength, const char *why)
{
	bool		result = false;
	ListCell   *lc;

	/* its own key is no reference to itself, nor what is just called so */
	if (target->relid == column->relid && (column->is_key || strength == DG_NAMED_AFTER))
		return false;
	foreach(lc, target->keys)
	{
		const Key  *candidate = lfirst(lc);

		if (!key_fits(candidate, column, key) ||
			(target->relid == column->relid && candidate->attnum == column->attnum))
			continue;
		add_suspect(suspects, column, target->relid, candidate->attnum, strength, why)->by_value =
			column->category == TYPCATEGORY_STRING && !means_identity(key);
		result = true;
		if (key)
			break;
	}
	return result;
}

/*
 * Is this the key that a word in the column's name means?  "id" is whatever
 * the primary key is called; no word means a text by its value.
 */
static bool
key_fits(const Key *key, const Column *column, const char *word)
{
	Oid			base = getBaseType(key->type);
	bool		preferred;
	char		category;
	Oid			op;

	get_type_category_preferred(base, &category, &preferred);
	if (category != column->category || !dg_column_operator(key->type, column->type, &op))
		return false;
	if (word == NULL)
		return key->primary || category == TYPCATEGORY_STRING;
	return strcmp(key->words, word) == 0 || strcmp(key->words, column->name.whole) == 0 ||
		(means_identity(word) && key->primary);
}

/* Is this word in a column's name one for whatever the primary key is? */
static bool
means_identity(const char *word)
{
	return word && (strcmp(word, "id") == 0 || strcmp(word, "uuid") == 0 ||
					strcmp(word, "guid") == 0);
}

/* Columns that hold a name: project, arch, source_project */
static bool
suspect_values(DgSuspects *suspects, const Column *column)
{
	const char *whole = column->name.whole;
	bool		text = column->category == TYPCATEGORY_STRING;
	HASH_SEQ_STATUS status;
	NameEntry  *entry;
	List	   *longer = NIL;

	if (dg_name_is_generic(whole) || column->is_key)
		return false;
	if (suspect_tables(suspects, column, called(suspects, column, whole, false), NULL,
					   text ? DG_NAMED_VALUE : DG_NAMED_WHOLE, "named after the table"))
		return true;
	if (!text)
		return false;
	for (const char *suffix = dg_name_suffix(whole); suffix; suffix = dg_name_suffix(suffix))
	{
		if (!dg_name_is_generic(suffix) &&
			suspect_tables(suspects, column, called(suspects, column, suffix, false), NULL,
						   DG_NAMED_SHORT, "its name ends with the table's"))
			return true;
	}
	if (strchr(whole, '_'))
		return false;
	hash_seq_init(&status, suspects->names);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (dg_name_abbreviates(whole, entry->name))
			longer = list_concat_unique_ptr(longer, entry->targets);
	}
	return suspect_tables(suspects, column, nearest(longer, column->schema), NULL,
						  DG_NAMED_SHORT, "short for the table's name");
}

/* Columns that name a part: parent_id, created_by */
static bool
suspect_roles(DgSuspects *suspects, const Column *column)
{
	static const char *const persons[] = {"user", "account", "person", "member", "employee"};
	const DgColumnName *name = &column->name;
	const char *key = column->category == TYPCATEGORY_STRING ? NULL : "id";

	if (name->stem && key && strcmp(name->stem, "parent") == 0 && strcmp(name->key, "id") == 0)
	{
		List	   *own = NIL;
		ListCell   *lc;

		foreach(lc, suspects->targets)
		{
			if (((Target *) lfirst(lc))->relid == column->relid)
				own = list_make1(lfirst(lc));
		}
		return suspect_tables(suspects, column, own, key, DG_NAMED_WITH_MORE, "a parent of the same kind");
	}
	if (!dg_name_is_person_role(name))
		return false;
	for (int i = 0; i < lengthof(persons); i++)
	{
		if (suspect_tables(suspects, column, called(suspects, column, persons[i], false), key,
						   DG_NAMED_ROLE, "a person's part in it"))
			return true;
	}
	return false;
}

/* Add one suspect, and return it */
static DgSuspect *
add_suspect(DgSuspects *suspects, const Column *column, Oid referenced, int16 key,
			double strength, const char *why)
{
	DgSuspect  *suspect = palloc0(sizeof(DgSuspect));

	suspect->referencing = column->relid;
	suspect->attnum = column->attnum;
	suspect->referenced = referenced;
	suspect->key = key;
	suspect->strength = strength;
	suspect->why = why;
	suspects->list = lappend(suspects->list, suspect);
	return suspect;
}

/*
 * The table that a class, or whatever a type column holds, stands for, and its
 * key that fits the suspect; InvalidOid if there is none, or more than one.
 */
Oid
dg_suspects_class(const DgSuspects *suspects, const char *class,
				  const DgSuspect *suspect, int16 *key)
{
	Column		column = {.relid = suspect->referencing,
		.schema = get_rel_namespace(suspect->referencing),
		.type = getBaseType(get_atttype(suspect->referencing, suspect->attnum)),
	.name = {.whole = ""}};
	bool		preferred;

	get_type_category_preferred(column.type, &column.category, &preferred);
	for (int way = 0; way < 4; way++)
	{
		List	   *targets = called(suspects, &column, dg_name_of_class(class, way % 2 == 0),
									 way >= 2);
		Target	   *target = list_length(targets) == 1 ? linitial(targets) : NULL;
		ListCell   *lc;

		foreach(lc, target ? target->keys : NIL)
		{
			const Key  *candidate = lfirst(lc);

			if (key_fits(candidate, &column, "id"))
			{
				*key = candidate->attnum;
				return target->relid;
			}
		}
	}
	return InvalidOid;
}

/*
 * Is this the table, or one of those, that the column of a polymorphic pair would
 * be named after if it were none?
 */
bool
dg_suspects_plain(const DgSuspects *suspects, const DgSuspect *suspect, Oid referenced)
{
	DgColumnName name = dg_name_column(get_attname(suspect->referencing, suspect->attnum, false));
	Column		column = {.schema = get_rel_namespace(suspect->referencing)};
	ListCell   *lc;

	foreach(lc, called(suspects, &column, name.stem, false))
	{
		if (((Target *) lfirst(lc))->relid == referenced)
			return true;
	}
	return false;
}

/*
 * The call that declares a suspect, with a condition or NULL.
 */
char *
dg_suspect_call(const DgSuspect *suspect, const char *condition)
{
	StringInfoData buf;
	int16		identity[DG_MAX_KEYS];

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT delete_guard.declare_reference(%s, %s, %s",
					 quote_literal_cstr(dg_qualified_name(suspect->referencing)),
					 column_literal(suspect->referencing, suspect->attnum),
					 quote_literal_cstr(dg_qualified_name(suspect->referenced)));
	if (dg_identity_columns(suspect->referenced, identity) != 1 || identity[0] != suspect->key)
		appendStringInfo(&buf, ", %s", column_literal(suspect->referenced, suspect->key));
	if (condition)
		appendStringInfo(&buf, ", condition => %s", quote_literal_cstr(condition));
	appendStringInfoString(&buf, ");");
	return buf.data;
}

/* A column as the literal of a name[] */
static char *
column_literal(Oid relid, int16 attnum)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(NAMEARRAYOID, &output, &varlena);
	return quote_literal_cstr(OidOutputFunctionCall(output, dg_column_names(relid, &attnum, 1)));
}
