/*-------------------------------------------------------------------------
 *
 * naming.h
 *	  how columns that refer to a table are named
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_NAMING_H
#define DELETE_GUARD_NAMING_H

#include "nodes/pg_list.h"

/* What the name of a column says */
typedef struct DgColumnName
{
	char	   *whole;			/* in words: lower case, underscores */
	char	   *stem;			/* without what stands for a key; NULL if nothing does */
	char	   *key;			/* that part: "id", "uuid", "name" …; NULL likewise */
} DgColumnName;

extern char *dg_name_words(const char *name);
extern List *dg_name_forms(const char *words);
extern DgColumnName dg_name_column(const char *column);
extern const char *dg_name_suffix(const char *words);
extern char *dg_name_of_class(const char *class, bool with_namespace);
extern bool dg_name_is_person_role(const DgColumnName *name);
extern bool dg_name_is_generic(const char *words);
extern bool dg_name_abbreviates(const char *words, const char *singular);

#endif							/* DELETE_GUARD_NAMING_H */
