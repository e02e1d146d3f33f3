/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  the only place that knows PostgreSQL's version
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_COMPAT_H
#define DELETE_GUARD_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "delete_guard needs PostgreSQL 15 or later"
#endif

/* index_beginscan: 18 added instrumentation, 19 flags */
#if PG_VERSION_NUM >= 190000
#define dg_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0, 0)
#elif PG_VERSION_NUM >= 180000
#define dg_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define dg_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#endif

/* table_beginscan: 19 added flags */
#if PG_VERSION_NUM >= 190000
#define dg_table_beginscan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL, 0)
#else
#define dg_table_beginscan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL)
#endif

/* log_min_messages: 19 has one for each kind of process */
#if PG_VERSION_NUM >= 190000
#define DG_LOG_MIN_MESSAGES log_min_messages[MyBackendType]
#else
#define DG_LOG_MIN_MESSAGES log_min_messages
#endif

/* find_option: exported from 16 on */
#if PG_VERSION_NUM >= 160000
#define DG_HAVE_FIND_OPTION 1
#endif

/* pg_constraint.contype of NOT NULL: CONSTRAINT_NOTNULL from 17 on, in use from 18 on */
#define DG_CONSTRAINT_NOT_NULL 'n'

/*
 * From 18 on a foreign key may be NOT ENFORCED.  Such a one has no triggers on
 * the table that it refers to, so making it invalidates nothing about that
 * table (see CreateFKCheckTrigger's callers in tablecmds.c).
 */
#if PG_VERSION_NUM >= 180000
#define DG_KEYS_MAY_LACK_TRIGGERS true
#else
#define DG_KEYS_MAY_LACK_TRIGGERS false
#endif

/* Right on a schema: 16 has one function for all kinds of object */
#if PG_VERSION_NUM >= 160000
#define dg_schema_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#else
#define dg_schema_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#endif

/* build_attrmap_by_name_if_req: 16 added missing_ok */
#if PG_VERSION_NUM >= 160000
#define DG_MISSING_OK , false
#else
#define DG_MISSING_OK
#endif

/* A type by its name as SQL writes it; InvalidOid if there is none */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define DG_PARSE_TYPE(name, typid, typmod) \
	do { \
		ErrorSaveContext escontext_ = {T_ErrorSaveContext}; \
		if (!parseTypeString(name, typid, typmod, (Node *) &escontext_)) \
			*(typid) = InvalidOid; \
	} while (0)
#else
#define DG_PARSE_TYPE(name, typid, typmod) parseTypeString(name, typid, typmod, true)
#endif

/* A hash of the number and types of columns: 17 has another name for it */
#if PG_VERSION_NUM >= 170000
#define dg_hash_row_type(desc) hashRowType(desc)
#else
#define dg_hash_row_type(desc) hashTupleDesc(desc)
#endif

/* A tuple descriptor that was made column by column is complete: 19 asks */
#if PG_VERSION_NUM >= 190000
#define dg_tupledesc_finish(desc) TupleDescFinalize(desc)
#else
#define dg_tupledesc_finish(desc) ((void) (desc))
#endif

/* Is a column generated and not stored?  From 18 on. */
#if PG_VERSION_NUM >= 180000
#define DG_IS_VIRTUAL(attgenerated) ((attgenerated) == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define DG_IS_VIRTUAL(attgenerated) ((void) (attgenerated), false)
#endif

/* Is the foreign key enforced?  18 has NOT ENFORCED ones. */
#if PG_VERSION_NUM >= 180000
#define DG_CONSTRAINT_ENFORCED(con) ((con)->conenforced)
#else
#define DG_CONSTRAINT_ENFORCED(con) true
#endif

/* Does the foreign key compare periods?  From 18 on. */
#if PG_VERSION_NUM >= 180000
#define DG_CONSTRAINT_PERIOD(con) ((con)->conperiod)
#else
#define DG_CONSTRAINT_PERIOD(con) false
#endif

/* The authenticated name: SYSTEM_USER from 16 on, the bare name in 15 */
#if PG_VERSION_NUM >= 160000
#define DG_AUTHENTICATED_NAME() GetSystemUser()
#else
#define DG_AUTHENTICATED_NAME() (MyProcPort ? MyProcPort->authn_id : NULL)
#endif

/* ALTER COLUMN ... SET EXPRESSION: from 17 on; -1 is no subcommand */
#if PG_VERSION_NUM >= 170000
#define DG_AT_SET_EXPRESSION AT_SetExpression
#else
#define DG_AT_SET_EXPRESSION ((AlterTableType) -1)
#endif

/* A named wait event; before 17 an extension has one for all */
#if PG_VERSION_NUM >= 170000
#define dg_wait_event(name) WaitEventExtensionNew(name)
#else
#define dg_wait_event(name) PG_WAIT_EXTENSION
#endif

/* A worker that does not stand in the way of DROP DATABASE: from 19 on */
#if PG_VERSION_NUM >= 190000
#define DG_BGWORKER_INTERRUPTIBLE BGWORKER_INTERRUPTIBLE
#else
#define DG_BGWORKER_INTERRUPTIBLE 0
#endif

/* LWLock tranches: 19 names them at creation, for all processes */
#if PG_VERSION_NUM >= 190000
#define dg_new_tranche(name) LWLockNewTrancheId(name)
#define dg_name_tranche(id, name) ((void) (id))
#else
#define dg_new_tranche(name) LWLockNewTrancheId()
#define dg_name_tranche(id, name) LWLockRegisterTranche(id, name)
#endif

/*
 * Named shared memory without preloading, created by whoever is first: the
 * DSM registry from 17 on; before, what main shared memory has to spare, as
 * pg_prewarm does.  init is a function (DG_SHARED_INIT_ARGS) that sets up
 * *state.
 */
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#if PG_VERSION_NUM >= 190000
#define DG_SHARED_INIT_ARGS void *state, void *arg
#define DG_SHARED_INIT_ARG , NULL
#else
#define DG_SHARED_INIT_ARGS void *state
#define DG_SHARED_INIT_ARG
#endif
#define dg_shared_memory(pointer, name, size, init) \
	do { \
		bool		found_; \
		(pointer) = GetNamedDSMSegment(name, size, init, \
									   &found_ DG_SHARED_INIT_ARG); \
	} while (0)
#else
#define DG_SHARED_INIT_ARGS void *state
#define dg_shared_memory(pointer, name, size, init) \
	do { \
		bool		found_; \
		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE); \
		(pointer) = ShmemInitStruct(name, size, &found_); \
		if (!found_) \
			init(pointer); \
		LWLockRelease(AddinShmemInitLock); \
	} while (0)
#endif

#endif							/* DELETE_GUARD_COMPAT_H */
