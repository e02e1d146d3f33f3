/*-------------------------------------------------------------------------
 *
 * describe.c
 *	  words for references
 *
 * The words of this module are shown in messages and stored in the audit log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "describe.h"

/*
 * Does every leaf of the reference have a usable index?
 */
bool
dg_reference_has_index(const DgReference *reference)
{
	for (int i = 0; i < reference->nleaves; i++)
	{
		if (!OidIsValid(reference->leaves[i].index))
			return false;
	}
	return true;
}

/* The word for an effect, as shown and stored */
const char *
dg_effect_name(DgEffect effect)
{
	switch (effect)
	{
		case DG_EFFECT_DELETE:
			return "delete";
		case DG_EFFECT_SET_NULL:
			return "set null";
		case DG_EFFECT_SET_DEFAULT:
			return "set default";
		case DG_EFFECT_REFUSE:
			return "refuse";
		case DG_EFFECT_DANGLE:
			return "dangle";
		case DG_EFFECT_FOLLOW:
			return "follow";
	}
	return "unknown";
}

/* The words for a kind of reference, as shown and stored */
const char *
dg_kind_name(DgReferenceKind kind)
{
	switch (kind)
	{
		case DG_REF_FOREIGN_KEY:
			return "foreign key";
		case DG_REF_NOT_ENFORCED:
			return "foreign key, not enforced";
		case DG_REF_DECLARED:
			return "declared";
		case DG_REF_SELF_KEY:
			return "key";
	}
	return "unknown";
}

/*
 * The referencing columns, separated by commas; in the current context.
 */
char *
dg_reference_columns(const DgReference *reference)
{
	int16		attnums[DG_MAX_KEYS];

	for (int i = 0; i < reference->ncolumns; i++)
		attnums[i] = reference->columns[i].referencing;
	return dg_column_list(reference->referencing, attnums, reference->ncolumns);
}

/*
 * The referencing columns as they stand in a statement; in the current context.
 */
char *
dg_quoted_columns(const DgReference *reference)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < reference->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(reference->referencing,
													  reference->columns[i].referencing, false)));
	return buf.data;
}
