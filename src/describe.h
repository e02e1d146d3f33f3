/*-------------------------------------------------------------------------
 *
 * describe.h
 *	  words for references
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_DESCRIBE_H
#define DELETE_GUARD_DESCRIBE_H

#include "reference.h"

extern bool dg_reference_has_index(const DgReference *reference);
extern char *dg_reference_columns(const DgReference *reference);
extern char *dg_quoted_columns(const DgReference *reference);
extern const char *dg_effect_name(DgEffect effect);
extern const char *dg_kind_name(DgReferenceKind kind);

#endif							/* DELETE_GUARD_DESCRIBE_H */
