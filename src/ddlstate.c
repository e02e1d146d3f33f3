/*-------------------------------------------------------------------------
 *
 * ddlstate.c
 *	  the DDL commands that are under way, and what they may do
 *
 * A command reaches us several times: at its start with its parse tree, then
 * for each object that it drops or alters, and at its end.  Here is kept what
 * was found out, so that a verdict is asked for once, and what is to be put
 * right at the end.  Commands nest (a function that an event trigger or a
 * default calls may run others), so they are a stack; the top one is the one
 * that objects are dropped for.
 *
 * Something that happens outside of any command that has a start (with event
 * triggers switched off, say) belongs to a nameless one, which lasts as long as
 * the client's statement.
 *
 * Lifetime: the transaction, or the subtransaction that a command began in.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "arm.h"
#include "catalog.h"
#include "change.h"
#include "ddlstate.h"
#include "ddltext.h"
#include "named.h"
#include "sql.h"
#include "steps.h"

static DgDdlCommand *current = NULL;
static DgDdlCommand *nameless = NULL;
static TimestampTz nameless_since = 0;
static bool judging = false;

static DgDdlCommand *new_command(Node *parsetree);
static DgDdlCommand *command_under_way(void);
static bool is_permitted(const DgDdlCommand *command, Oid table_id, const char *action,
						 const char *objects);
static char *command_text(const DgDdlCommand *command, const char *object);
static void record_lost(const DgDdlCommand *command, Oid table_id, Oid referencing,
						const char *kind, const char *name);
static void at_xact_event(XactEvent event, void *arg);
static void at_subxact_event(SubXactEvent event, SubTransactionId subid,
							 SubTransactionId parent, void *arg);
static void refuse_unarmed(const DgDdlCommand *command);

/*
 * Is there anything to do at all for what goes on in this process?  Nothing is
 * asked of commands that make our own triggers, of a server that is being
 * upgraded, and while a verdict is being found.
 */
bool
dg_ddl_is_our_business(void)
{
	return !dg_arming() && !judging && !IsBinaryUpgrade && IsNormalProcessingMode() &&
		IsTransactionState() && OidIsValid(MyDatabaseId) && !IsParallelWorker();
}

/*
 * A command begins.
 */
DgDdlCommand *
dg_ddl_begin(Node *parsetree)
{
	DgDdlCommand *command = new_command(parsetree);

	command->outer = current;
	current = command;
	return command;
}

/* Room for what is known of a command */
static DgDdlCommand *
new_command(Node *parsetree)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "delete_guard DDL command",
												  ALLOCSET_SMALL_SIZES);
	DgDdlCommand *command = MemoryContextAllocZero(context, sizeof(DgDdlCommand));

	command->context = context;
	command->nestlevel = GetCurrentTransactionNestLevel();
	command->parsetree = parsetree;
	return command;
}

/*
 * What is known of a command that is under way, or NULL.
 */
DgDdlCommand *
dg_ddl_find(Node *parsetree)
{
	DgDdlCommand *command = current;

	while (command && command->parsetree != parsetree)
		command = command->outer;
	return command;
}

/*
 * A command has ended.  Returns what is known of it, or NULL; it stays until
 * the caller deletes its context.  Commands within it whose end did not come
 * are forgotten.
 */
DgDdlCommand *
dg_ddl_end(Node *parsetree)
{
	DgDdlCommand *command = dg_ddl_find(parsetree);

	if (command)
		current = command->outer;
	return command;
}

/* The command that what happens now belongs to */
static DgDdlCommand *
command_under_way(void)
{
	if (current)
		return current;
	if (nameless == NULL || nameless_since != GetCurrentStatementStartTimestamp())
	{
		nameless = new_command(NULL);
		nameless_since = GetCurrentStatementStartTimestamp();
	}
	return nameless;
}

/*
 * Ask for a verdict on an action on these objects, unless it was given in this
 * command already.
 * Raises an error if it may not be.
 */
void
dg_ddl_ask(Oid table_id, const char *action, const char *objects)
{
	DgDdlCommand *command = command_under_way();
	DgChange	change = {0};
	DgDdlChange *permitted;
	MemoryContext old;
	bool		pushed = false;
	volatile bool held = false;

	if (is_permitted(command, table_id, action, objects))
		return;
	change.table_id = table_id;
	change.operation = DG_OPERATION_DDL;
	change.action = action;
	change.objects = objects;
	change.instead = command->ddl ? command->ddl->instead : NULL;
	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		pushed = true;
	}
	judging = true;
	PG_TRY();
	{
		held = dg_change_permit(&change);
	}
	PG_FINALLY();
	{
		judging = false;
	}
	PG_END_TRY();
	if (pushed)
		PopActiveSnapshot();

	old = MemoryContextSwitchTo(command->context);
	permitted = palloc(sizeof(DgDdlChange));
	permitted->table_id = table_id;
	permitted->action = pstrdup(action);
	permitted->objects = pstrdup(objects);
	permitted->held = held;
	command->permitted = lappend(command->permitted, permitted);
	MemoryContextSwitchTo(old);
}

/*
 * Has the command a verdict on a table, on whatever it does to it?
 */
bool
dg_ddl_is_judged(const DgDdlCommand *command, Oid table_id)
{
	return is_permitted(command, table_id, NULL, NULL);
}

/*
 * Was this permitted in this command?  Any action of a table without action.
 * What was permitted in mode log is not if another session has made it block.
 */
static bool
is_permitted(const DgDdlCommand *command, Oid table_id, const char *action,
			 const char *objects)
{
	DgChange	change = {table_id, DG_OPERATION_DDL};
	ListCell   *lc;

	foreach(lc, command->permitted)
	{
		DgDdlChange *permitted = lfirst(lc);

		if (permitted->table_id == table_id &&
			(action == NULL || (strcmp(permitted->action, action) == 0 &&
								strcmp(permitted->objects, objects) == 0)) &&
			(permitted->held || !dg_change_is_held(&change)))
			return true;
	}
	return false;
}

/*
 * The command under way is about to drop an object.  When it is the first of a
 * DROP, its text is made: afterwards some of its names mean nothing any more.
 */
void
dg_ddl_dropping(void)
{
	DgDdlCommand *command = command_under_way();
	MemoryContext old;

	if (command->text || command->parsetree == NULL || !IsA(command->parsetree, DropStmt))
		return;
	old = MemoryContextSwitchTo(command->context);
	command->text = dg_drop_text((DropStmt *) command->parsetree, NULL);
	MemoryContextSwitchTo(old);
}

/* The text of a command, by the object of it that is concerned */
static char *
command_text(const DgDdlCommand *command, const char *object)
{
	return command->text ? command->text : dg_command_text(command->parsetree, object);
}

/*
 * The command under way is about to drop, or has changed, something that a
 * protected table rests on.  Asks for a verdict unless the command has one on
 * that table, or on all.
 */
void
dg_ddl_reach(Oid table_id, Oid class_id, Oid object, int subobject)
{
	DgDdlCommand *command = command_under_way();
	ObjectAddress address;
	char	   *identity;

	if ((command->ddl && (command->ddl->loading || command->ddl->mending)) ||
		is_permitted(command, table_id, NULL, NULL) || is_permitted(command, InvalidOid, NULL, NULL))
		return;
	ObjectAddressSubSet(address, class_id, object, subobject);
	identity = getObjectIdentity(&address, true);
	dg_ddl_ask(table_id, command_text(command, identity ? identity : "an object"),
			   dg_object_number(class_id, object, subobject));
}

/*
 * A relation is losing a trigger of ours to the command under way, or gets one
 * of somebody else's that ours cannot be as they are with: at the end its
 * triggers are made again, if it is still there.
 */
void
dg_ddl_lost_trigger(Oid relid)
{
	DgDdlCommand *command = command_under_way();
	MemoryContext old;

	if (command->keep_dropped)
		return;
	old = MemoryContextSwitchTo(command->context);
	command->rearm = list_append_unique_oid(command->rearm, relid);
	MemoryContextSwitchTo(old);
}

/*
 * Relations whose triggers are to be made again for a command that was not
 * looked at when it began, as nothing was protected then.
 */
List *
dg_ddl_nameless_rearm(void)
{
	return nameless ? list_copy(nameless->rearm) : NIL;
}

/*
 * The command under way is dropping a constraint.  If it is a foreign key that
 * refers to a protected table, whether that matters is judged at the end, when
 * it is known if the referencing table has gone with it.
 */
void
dg_ddl_lost_key(Oid constraint)
{
	DgDdlCommand *command = command_under_way();
	MemoryContext old = MemoryContextSwitchTo(command->context);
	DgGuardedKey *key = dg_guarded_key(constraint);

	if (key)
		command->lost_keys = lappend(command->lost_keys, key);
	MemoryContextSwitchTo(old);
}

/*
 * The command under way is dropping a column.  Whether a declared reference
 * rests on it is looked up at the end.
 */
void
dg_ddl_lost_column(Oid relid, AttrNumber attnum)
{
	DgDdlCommand *command = command_under_way();
	MemoryContext old = MemoryContextSwitchTo(command->context);
	DgLostColumn *column = palloc(sizeof(DgLostColumn));

	column->relid = relid;
	column->attnum = attnum;
	command->lost_columns = lappend(command->lost_columns, column);
	MemoryContextSwitchTo(old);
}

/*
 * Ask about columns that a declared reference refers to and that a command, now
 * at its end, has dropped: when it dropped them, nothing referred to them any
 * more, as the referencing columns had gone before.
 */
void
dg_ddl_judge_lost_columns(DgDdlCommand *command)
{
	static const char *const query =
		"SELECT FROM delete_guard.declared_reference"
		" WHERE referenced_oid = $1 AND $2 = ANY (referenced_attnums)";
	ListCell   *lc;

	foreach(lc, command->lost_columns)
	{
		DgLostColumn *column = lfirst(lc);
		Oid			table_id = dg_guarded_by(column->relid);
		Oid			argtypes[2] = {OIDOID, INT2OID};
		Datum		args[2] = {ObjectIdGetDatum(column->relid), Int16GetDatum(column->attnum)};
		DgRoleState saved;
		bool		referred_to;

		if (!OidIsValid(table_id) || is_permitted(command, table_id, NULL, NULL))
			continue;
		dg_own_connect(&saved);
		dg_own_query(query, 2, argtypes, args, NULL, true, 1);
		referred_to = SPI_processed > 0;
		dg_own_finish(&saved);
		if (referred_to)
			dg_ddl_ask(table_id, command_text(command, psprintf("a key column of %s", dg_qualified_name(column->relid))),
					   dg_object_number(RelationRelationId, column->relid, column->attnum));
	}
}

/*
 * Record the declared references that have lost a column to a command, now at
 * its end.
 */
void
dg_ddl_record_lost_columns(DgDdlCommand *command)
{
	static const char *const query =
		"SELECT referenced_oid, name FROM delete_guard.declared_reference"
		" WHERE referencing_oid = $1 AND $2 = ANY (referencing_attnums) ORDER BY name";
	ListCell   *lc;

	foreach(lc, command->lost_columns)
	{
		DgLostColumn *column = lfirst(lc);
		Oid			argtypes[2] = {OIDOID, INT2OID};
		Datum		args[2] = {ObjectIdGetDatum(column->relid), Int16GetDatum(column->attnum)};
		List	   *tables = NIL;
		List	   *names = NIL;
		DgRoleState saved;
		ListCell   *tc;

		dg_own_connect(&saved);
		dg_own_query(query, 2, argtypes, args, NULL, false, 0);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[i];
			MemoryContext old = MemoryContextSwitchTo(command->context);
			bool		isnull;

			tables = lappend_oid(tables, DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)));
			names = lappend(names, SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2));
			MemoryContextSwitchTo(old);
		}
		dg_own_finish(&saved);
		foreach(tc, tables)
			record_lost(command, lfirst_oid(tc), column->relid, "declared reference",
						list_nth(names, foreach_current_index(tc)));
	}
}

/* The event of a reference that went with what referred */
static void
record_lost(const DgDdlCommand *command, Oid table_id, Oid referencing,
			const char *kind, const char *name)
{
	const char *what = psprintf("%s %s", kind, quote_identifier(name));
	const char *text = get_rel_name(referencing) == NULL ? what :
		psprintf("%s of %s", what, dg_qualified_name(referencing));

	dg_journal_step("ddl", table_id,
					psprintf("{\"action\": %s, \"lost_reference\": %s}",
							 dg_quote_json(command_text(command, text)),
							 dg_quote_json(text)));
}

/*
 * Ask about foreign keys that a command, now at its end, has dropped, and
 * record those that went with the table or column that referred.
 */
void
dg_ddl_judge_lost_keys(DgDdlCommand *command)
{
	ListCell   *lc;

	foreach(lc, command->lost_keys)
	{
		DgGuardedKey *key = lfirst(lc);
		char	   *name;
		bool		along;

		if (is_permitted(command, key->table_id, NULL, NULL))
			continue;
		if (!dg_guarded_key_is_lost(key, &along))
		{
			if (along)
				record_lost(command, key->table_id, key->referencing, "foreign key", key->name);
			continue;
		}
		name = psprintf("foreign key %s of %s", quote_identifier(key->name),
						dg_qualified_name(key->referencing));
		dg_ddl_ask(key->table_id, command_text(command, name),
				   dg_object_number(ConstraintRelationId, key->constraint, 0));
	}
}

/*
 * Called when the library is loaded.
 */
void
dg_ddl_init(void)
{
	RegisterXactCallback(at_xact_event, NULL);
	RegisterSubXactCallback(at_subxact_event, NULL);
}

/* Transaction callback: nothing outlives it */
static void
at_xact_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		if (nameless)
			refuse_unarmed(nameless);
		for (DgDdlCommand *command = current; command; command = command->outer)
			refuse_unarmed(command);
	}
	else if (event != XACT_EVENT_PARALLEL_PRE_COMMIT)
	{
		current = NULL;
		nameless = NULL;
	}
}

/* Subtransaction callback: forget commands that an error has ended */
static void
at_subxact_event(SubXactEvent event, SubTransactionId subid,
				 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (current && current->nestlevel >= level)
		current = current->outer;
	if (nameless && nameless->nestlevel >= level)
		nameless = NULL;
}

/*
 * A command that did not end as others do has taken triggers of ours away, or
 * made one that they would have to be different for: the transaction must not
 * commit.
 */
static void
refuse_unarmed(const DgDdlCommand *command)
{
	ListCell   *lc;

	foreach(lc, command->rearm)
	{
		Oid			relid = lfirst_oid(lc);

		if (get_rel_name(relid) == NULL || !OidIsValid(dg_guarded_by(relid)))
			continue;
		if (!dg_is_armed(relid))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("protected table \"%s\" has lost triggers of delete_guard",
							get_rel_name(relid)),
					 errhint("Call delete_guard.protect() for the table in the same transaction.")));
		if (!dg_all_keys_seen(relid))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("protected table \"%s\" has a new trigger that could change keys unseen",
							get_rel_name(relid)),
					 errhint("Call delete_guard.protect() for the table in the same transaction.")));
	}
}
