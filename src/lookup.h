/*-------------------------------------------------------------------------
 *
 * lookup.h
 *	  keys of tables, operators for columns, conditions
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_LOOKUP_H
#define DELETE_GUARD_LOOKUP_H

#include "nodes/primnodes.h"

extern int	dg_identity_columns(Oid relid, int16 *attnums);
extern bool dg_has_unique_index(Oid relid, const int16 *attnums, int nattnums);
extern bool dg_column_operator(Oid referenced_type, Oid referencing_type,
							   Oid *eq_op);
extern char *dg_operator_sql(Oid operator);
extern Node *dg_single_expression(const char *text);
extern Expr *dg_condition_parse(Oid relid, const char *condition);
extern char *dg_condition_deparse(Oid relid, Expr *condition);

#endif							/* DELETE_GUARD_LOOKUP_H */
