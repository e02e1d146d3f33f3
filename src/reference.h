/*-------------------------------------------------------------------------
 *
 * reference.h
 *	  all references to a table, cached: foreign keys and declared ones
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_REFERENCE_H
#define DELETE_GUARD_REFERENCE_H

#include "catalog.h"
#include "nodes/primnodes.h"

typedef enum DgReferenceKind
{
	DG_REF_FOREIGN_KEY,
	DG_REF_NOT_ENFORCED,		/* foreign key, NOT ENFORCED (18) */
	DG_REF_DECLARED,
	DG_REF_SELF_KEY				/* a row's own key, seen from the root */
} DgReferenceKind;

/* What happens to a referencing row when the row it refers to goes */
typedef enum DgEffect
{
	DG_EFFECT_DELETE,
	DG_EFFECT_SET_NULL,
	DG_EFFECT_SET_DEFAULT,
	DG_EFFECT_REFUSE,
	DG_EFFECT_DANGLE,
	DG_EFFECT_FOLLOW			/* ON UPDATE CASCADE: nothing is lost */
} DgEffect;

/* One relation to look for referencing rows in, and how */
typedef struct DgReferenceLeaf
{
	Oid			relid;
	int16		attnums[DG_MAX_KEYS];	/* referencing columns, as numbered here */
	Oid			index;			/* usable index, or InvalidOid */
	int			nindexkeys;		/* its leading columns that are used */
	int			indexkeys[DG_MAX_KEYS]; /* position in the reference of each */
	Expr	   *condition;		/* as numbered here; NULL if none */
	struct ScanKeyData *scankeys;	/* probe.c's, kept where it may be, or NULL */
} DgReferenceLeaf;

/* One column pair of a reference */
typedef struct DgReferenceColumn
{
	int16		referenced;		/* column of this relation */
	int			key_position;	/* index into DgTable.key_columns */
	int16		referencing;	/* column of the referencing table */
	Oid			eq_op;			/* referenced = referencing */
	Oid			eq_proc;
	Oid			index_op;		/* referencing = referenced; may be invalid */
	Oid			cast_func;		/* applied to the referencing value, or invalid */
	Oid			collation;
	Oid			hash_referenced;	/* hash functions, or invalid */
	Oid			hash_referencing;
	bool		set_on_delete;	/* by SET NULL or SET DEFAULT, if it is that */
} DgReferenceColumn;

typedef struct DgReference
{
	DgReferenceKind kind;
	char	   *name;			/* constraint name or name of the declaration */
	Oid			constraint;		/* foreign keys only */
	Oid			referencing;
	Oid			referenced;		/* as recorded: this relation or one above */
	bool		on_itself;		/* refers from the same table or hierarchy */
	bool		hashable;
	bool		needs_owner;	/* may run code that a user defined */
	DgEffect	on_delete;
	DgEffect	on_update;
	bool		deferred;		/* is a refusal raised at commit only? */
	int			ncolumns;
	DgReferenceColumn *columns;
	char	   *condition;		/* text, NULL if none */
	int			nleaves;
	DgReferenceLeaf *leaves;
	struct DgMatcher *matcher;	/* probe.c's, kept where it may be, or NULL */
} DgReference;

/* What the guard knows of one relation.  Read-only for callers. */
typedef struct DgTable
{
	Oid			relid;
	bool		is_protected;
	DgProtection protection;
	bool		row_by_row;		/* partition or inheritance child */
	int			nidentity;		/* 0 if rows have no key */
	int16		identity[DG_MAX_KEYS];
	int			nkey_columns;	/* identity columns first, then the others */
	int16	   *key_columns;
	int16	   *key_typlen;		/* storage of each key column */
	bool	   *key_typbyval;
	int			nreferences;
	DgReference *references;
	bool		is_partition;
	DgReference *self_key;		/* NULL if rows have no key */
	void	   *parts;			/* how events describe it; event.c's */
	struct DgImager *imager;	/* of whole rows; parts.c's, kept where it may be, or NULL */
	MemoryContext context;
	uint64		generation;
	int			pins;
} DgTable;

extern DgTable *dg_table_acquire(Oid relid);
extern void dg_table_release(DgTable *table);
extern bool dg_table_is_stale(const DgTable *table);

#endif							/* DELETE_GUARD_REFERENCE_H */
