/*-------------------------------------------------------------------------
 *
 * constant.h
 *	  the value of a column's default, where it is always the same
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_CONSTANT_H
#define DELETE_GUARD_CONSTANT_H

#include "utils/relcache.h"

extern bool dg_constant_default(Relation rel, AttrNumber attnum, Datum *value,
								bool *isnull);

#endif							/* DELETE_GUARD_CONSTANT_H */
