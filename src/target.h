/*-------------------------------------------------------------------------
 *
 * target.h
 *	  where rows of the past belong now: table and columns
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_TARGET_H
#define DELETE_GUARD_TARGET_H

#include "recall.h"

/* A column of the past, and what it is now */
typedef struct DgTargetColumn
{
	const DgPastColumn *past;
	AttrNumber	attnum;			/* in the target */
	char	   *name;			/* now */
	Oid			typid;
	int32		typmod;
	Oid			collation;
	bool		generated;		/* computed, so no value can be given */
	bool		identity_always;	/* can be inserted, but not updated */
} DgTargetColumn;

typedef struct DgTarget
{
	Oid			relid;			/* InvalidOid: there is no such table any more */
	char	   *name;			/* qualified; as it was if it is gone */
	bool		partitioned;
	bool		insert_rules;	/* INSERT is rewritten by rules of the user's */
	bool		update_rules;	/* UPDATE likewise */
	int			ncolumns;
	DgTargetColumn *columns;	/* of the past and of now, by number then */
	List	   *lost;			/* names (char *) then of columns that are gone */
	List	   *added;			/* names of columns that came later */
} DgTarget;

extern DgTarget *dg_target_resolve(const DgPastEvent *event,
								   const DgPastPart *part);
extern DgTargetColumn *dg_target_column(const DgTarget *target,
										const char *past_name);

#endif							/* DELETE_GUARD_TARGET_H */
