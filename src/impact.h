/*-------------------------------------------------------------------------
 *
 * impact.h
 *	  what a delete would do, and what would stand in its way
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_IMPACT_H
#define DELETE_GUARD_IMPACT_H

#include "policy.h"
#include "utils/jsonb.h"

/* Rows that refer by one reference to rows of the line above */
typedef struct DgImpactLine
{
	int			number;			/* in the order found; 0: the rows themselves */
	struct DgImpactLine *parent;	/* NULL for the rows themselves */
	List	   *children;		/* of DgImpactLine, those with most rows first */
	int			depth;
	Oid			table_id;
	char	   *table;
	Oid			constraint;
	char	   *reference;		/* name; NULL for the rows themselves */
	char	   *columns;
	const char *kind;
	DgEffect	effect;
	bool		deferred;		/* PostgreSQL would refuse at commit only */
	int64		rows;
	int64		again;			/* of them, removed in another way before */
	int64		in_the_way;		/* of them, those for which PostgreSQL refuses */
	char	   *not_null;		/* column that could not be set to NULL */
	int64		not_null_rows;
	bool		has_default;	/* columns are set to something not NULL */
	int64		weight;			/* rows here and below */
	List	   *samples;		/* of Jsonb: keys */
	bool		readable;		/* may the caller see keys? */
	int64		nprotected;		/* rows that have a guard of their own */
	int64		nheld;			/* of them, those that need an approval */
	DgProtection protection;
	char	   *guard;			/* what the guard would say; NULL: not protected */
	char	   *postgres;		/* why PostgreSQL would refuse; NULL: it would not */
} DgImpactLine;

/* What becomes of the rows of one table, each counted once */
typedef struct DgImpactTotal
{
	Oid			table_id;
	char	   *table;
	int64		deleted;
	int64		set_null;
	int64		set_default;
	int64		dangling;
	int64		in_the_way;
} DgImpactTotal;

typedef struct DgImpact
{
	DgImpactLine *root;
	List	   *lines;			/* of DgImpactLine, by number */
	List	   *totals;			/* of DgImpactTotal */
	bool		stopped;		/* not everything was followed */
	const char *stopped_by;		/* which bound it was; NULL: not stopped */
	bool		guard_refuses;
	bool		postgres_refuses;
} DgImpact;

extern DgImpact *dg_impact_find(Oid relid, const char *condition, int samples);

#endif							/* DELETE_GUARD_IMPACT_H */
