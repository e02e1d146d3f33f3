/*-------------------------------------------------------------------------
 *
 * recall.h
 *	  a removal of the past, read back from the audit log
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_RECALL_H
#define DELETE_GUARD_RECALL_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A column as it was */
typedef struct DgPastColumn
{
	char	   *name;
	AttrNumber	attnum;
	char	   *type;
} DgPastColumn;

/* Rows of one relation with one effect: an element of event.parts */
typedef struct DgPastPart
{
	int			number;			/* in the event, from 0 */
	Oid			table_id;
	bool		here;			/* table_id and attnums are this database's own */
	char	   *table;			/* qualified name */
	char	   *effect;
	int			depth;			/* 0: rows of the statement's own table */
	List	   *key;			/* names (char *) of the identity columns */
	List	   *set;			/* names of columns that were nulled or defaulted */
	JsonbContainer *set_to;		/* what they were set to, where not NULL; or NULL */
	List	   *computed;		/* names of those that were set to what is not known */
	int			ncolumns;
	DgPastColumn *columns;		/* by number */
} DgPastPart;

typedef struct DgPastEvent
{
	int64		event_id;
	char	   *operation;
	char	   *outcome;
	Oid			table_id;
	char	   *table_name;		/* NULL if no table is concerned */
	int64		row_count;		/* -1: does not apply */
	int64		images_stored;	/* -1: all */
	List	   *stored_under;	/* events (int64 *) that hold rows of this one */
	List	   *parts;			/* of DgPastPart */
} DgPastEvent;

/*
 * Called for each row of a part: its image, what is apart of it (or NULL), and
 * its new key (or NULL) if the event is a change of keys.
 */
typedef void (*DgPastRowFunction) (void *arg, JsonbContainer *image,
								   bytea *apart, JsonbContainer *new_key);

extern DgPastEvent *dg_past_event_load(int64 event_id);
extern int64 dg_past_rows(int64 event_id, int part, DgPastRowFunction callback,
						  void *arg);
extern char *dg_past_key_json(const DgPastPart *part, JsonbContainer *image);

#endif							/* DELETE_GUARD_RECALL_H */
