/*-------------------------------------------------------------------------
 *
 * ddltext.h
 *	  canonical texts of DDL commands
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_DDLTEXT_H
#define DELETE_GUARD_DDLTEXT_H

#include "nodes/parsenodes.h"

extern Oid	dg_range_relation(const RangeVar *range);
extern char *dg_clause_text(const AlterTableCmd *cmd, Oid relid, bool before);
extern char *dg_using_functions(const AlterTableCmd *cmd, Oid relid);
extern char *dg_trigger_text(CreateTrigStmt *stmt, Oid relid);
extern char *dg_rule_text(RuleStmt *stmt, Oid relid);
extern char *dg_drop_text(DropStmt *stmt, Node *only);
extern char *dg_drop_owned_text(DropOwnedStmt *stmt);
extern char *dg_object_text(ObjectType type, Node *object);
extern void dg_command_source(const char *text);
extern char *dg_command_text(Node *parsetree, const char *object);

#endif							/* DELETE_GUARD_DDLTEXT_H */
