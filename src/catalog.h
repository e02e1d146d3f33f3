/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  protected tables and declared references, as stored; cache signals
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_CATALOG_H
#define DELETE_GUARD_CATALOG_H

#include "nodes/pg_list.h"

typedef enum DgMode
{
	DG_MODE_LOG,
	DG_MODE_BLOCK
} DgMode;

typedef enum DgScope
{
	DG_SCOPE_REFERENCED,
	DG_SCOPE_ALL
} DgScope;

/* One row of protected_table */
typedef struct DgProtection
{
	Oid			relid;			/* the table that was registered */
	DgMode		mode;
	DgScope		scope;
	int			approvals;
} DgProtection;

#define DG_MAX_KEYS 32			/* INDEX_MAX_KEYS */

/* One row of declared_reference, columns resolved to today's numbers */
typedef struct DgDeclaration
{
	char	   *name;
	Oid			referencing;
	Oid			referenced;
	int			ncolumns;
	int16		referencing_attnums[DG_MAX_KEYS];
	int16		referenced_attnums[DG_MAX_KEYS];
	char	   *condition;		/* NULL if none */
} DgDeclaration;

extern List *dg_ancestors(Oid relid);
extern bool dg_protection_read(Oid relid, DgProtection *protection);
extern bool dg_protection_find(Oid relid, DgProtection *protection);
extern List *dg_protections_all(void);
extern List *dg_declarations_to(List *relids);
extern void dg_declarations_follow_names(Oid relid);
extern const char *dg_mode_name(DgMode mode);
extern const char *dg_scope_name(DgScope scope);
extern char *dg_qualified_name(Oid relid);
extern Datum dg_column_names(Oid relid, const int16 *attnums, int n);
extern char *dg_column_list(Oid relid, const int16 *attnums, int n);
extern int64 dg_origin(void);
extern void dg_catalog_changed(const char *own_table);
extern void dg_catalog_watch(Oid relid);
extern void dg_catalog_watch_functions(void);
extern uint64 dg_catalog_generation(void);
extern void dg_catalog_unwatch_all(void);

#endif							/* DELETE_GUARD_CATALOG_H */
