/*-------------------------------------------------------------------------
 *
 * naming.c
 *	  how columns that refer to a table are named
 *
 * Pure text, no catalogs.  Words: a name "in words" is lower case with
 * underscores, whatever it was before: architectureId, ArchitectureID and
 * architecture_id are the same.  The "forms" of a name are the ways its last
 * word may be meant in the singular; two names mean the same thing if they
 * have a form in common.  Forms that are no words do no harm, as nothing else
 * has them.  All results are in the current context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "naming.h"

/* Plurals that no rule makes */
static const char *const irregular[][2] = {
	{"people", "person"}, {"children", "child"}, {"men", "man"}, {"women", "woman"},
	{"mice", "mouse"}, {"data", "datum"}, {"media", "medium"}, {"criteria", "criterion"},
	{"indices", "index"}, {"matrices", "matrix"}, {"vertices", "vertex"}, {"feet", "foot"}
};

/* Endings of plurals, and what they were in the singular */
static const char *const endings[][2] = {
	{"ies", "y"}, {"ies", "ie"}, {"ves", "f"}, {"ves", "fe"}, {"ses", "sis"},
	{"zzes", "z"}, {"sses", "s"}, {"es", ""}, {"s", ""}
};

static bool ends_with(const char *string, const char *ending);
static char *replace_end(const char *string, const char *ending, const char *with);

/*
 * A name in words.  A capital begins a word after a small letter or a digit,
 * and before a small letter in a row of capitals (HTTPServer, ServerID).
 * Everything that is no letter, digit or byte of a longer character separates
 * words.
 */
char *
dg_name_words(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = name; *c; c++)
	{
		bool		capital = *c >= 'A' && *c <= 'Z';
		bool		small = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
			IS_HIGHBIT_SET(*c);
		bool		after_small = c > name && !(c[-1] >= 'A' && c[-1] <= 'Z');
		bool		before_small = c[1] >= 'a' && c[1] <= 'z';

		if ((!capital && !small) || (capital && c > name && (after_small || before_small)))
		{
			if (buf.len > 0 && buf.data[buf.len - 1] != '_')
				appendStringInfoChar(&buf, '_');
		}
		if (capital || small)
			appendStringInfoChar(&buf, pg_ascii_tolower((unsigned char) *c));
	}
	while (buf.len > 0 && buf.data[buf.len - 1] == '_')
		buf.data[--buf.len] = '\0';
	return buf.data;
}

/*
 * The forms of a name in words: itself first, then what it may be in the
 * singular.  List of strings.
 */
List *
dg_name_forms(const char *words)
{
	const char *last = strrchr(words, '_') ? strrchr(words, '_') + 1 : words;
	List	   *forms = list_make1(pstrdup(words));

	for (int i = 0; i < lengthof(irregular); i++)
	{
		if (strcmp(last, irregular[i][0]) == 0)
			forms = lappend(forms, replace_end(words, irregular[i][0], irregular[i][1]));
	}
	for (int i = 0; i < lengthof(endings); i++)
	{
		/* "address" is no plural, and two letters are left at least */
		if (ends_with(last, endings[i][0]) && !ends_with(last, "ss") &&
			strlen(last) >= strlen(endings[i][0]) + 2)
			forms = lappend(forms, replace_end(words, endings[i][0], endings[i][1]));
	}
	return forms;
}

/* Does a string end so? */
static bool
ends_with(const char *string, const char *ending)
{
	Size		len = strlen(string);
	Size		n = strlen(ending);

	return len >= n && strcmp(string + len - n, ending) == 0;
}

/* The string with another ending */
static char *
replace_end(const char *string, const char *ending, const char *with)
{
	return psprintf("%.*s%s", (int) (strlen(string) - strlen(ending)), string, with);
}

/*
 * Take the name of a column apart.  project_id is the "id" of a "project",
 * country_code the "code" of a "country"; fk_project, id_project and projectid
 * are project_id; "arch" stands for itself.
 */
DgColumnName
dg_name_column(const char *column)
{
	DgColumnName result = {0};
	char	   *cut;

	result.whole = dg_name_words(column);
	if (strncmp(result.whole, "id_", 3) == 0 || strncmp(result.whole, "fk_", 3) == 0)
	{
		result.stem = result.whole + 3;
		result.key = pstrdup("id");
		if (ends_with(result.stem, "_id"))
			result.stem = replace_end(result.stem, "_id", "");
		return result;
	}
	cut = strrchr(result.whole, '_');
	if (cut && cut > result.whole)
	{
		result.stem = pnstrdup(result.whole, cut - result.whole);
		result.key = pstrdup(cut + 1);
		if (strcmp(result.key, "fk") == 0 || strcmp(result.key, "ref") == 0 ||
			strcmp(result.key, "pk") == 0)
			strcpy(result.key, "id");
		/* project_id_fk, and project_ids has no place here */
		if (ends_with(result.stem, "_id"))
			result.stem = replace_end(result.stem, "_id", "");
	}
	else if (ends_with(result.whole, "id") && strlen(result.whole) > 4)
	{
		result.stem = replace_end(result.whole, "id", "");
		result.key = pstrdup("id");
	}
	return result;
}

/*
 * The name without its first word, or NULL if there is one only: db_project
 * says "project" with something in front.
 */
const char *
dg_name_suffix(const char *words)
{
	const char *cut = strchr(words, '_');

	return cut && cut[1] ? cut + 1 : NULL;
}

/*
 * What a class is called in words, with its name space or without: BsRequest,
 * Admin::User, App\Models\Post, org.example.Order.
 */
char *
dg_name_of_class(const char *class, bool with_namespace)
{
	const char *name = class;

	for (const char *c = class; *c && !with_namespace; c++)
	{
		if ((*c == ':' || *c == '\\' || *c == '.' || *c == '/') && c[1])
			name = c + 1;
	}
	return dg_name_words(name);
}

/*
 * Does a column name the part that a person plays: created_by, owner_id?
 */
bool
dg_name_is_person_role(const DgColumnName *name)
{
	static const char *const roles[] = {"owner", "author", "creator", "assignee",
		"reviewer", "approver", "sender", "recipient"};
	const char *stem = name->key && strcmp(name->key, "id") == 0 ? name->stem : name->whole;

	if (ends_with(stem, "_by"))
		return true;
	for (int i = 0; i < lengthof(roles); i++)
	{
		if (strcmp(stem, roles[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Is this a name that columns have whatever they hold?
 */
bool
dg_name_is_generic(const char *words)
{
	static const char *const names[] = {"id", "pk", "uuid", "guid", "oid", "key", "code",
		"name", "no", "nr", "number", "slug", "value", "type", "position", "version"};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(words, names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Is a name short for a longer one: "arch" for "architecture"?  From three
 * letters on, and not for most of a word.
 */
bool
dg_name_abbreviates(const char *words, const char *singular)
{
	Size		len = strlen(words);

	return len >= 3 && strlen(singular) >= len + 2 && strncmp(words, singular, len) == 0 &&
		strchr(singular, '_') == NULL;
}
