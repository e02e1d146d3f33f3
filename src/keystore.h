/*-------------------------------------------------------------------------
 *
 * keystore.h
 *	  the key columns of many rows of one table, on disk if need be
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_KEYSTORE_H
#define DELETE_GUARD_KEYSTORE_H

#include "keys.h"

typedef struct DgKeyStore DgKeyStore;

extern DgKeyStore *dg_keystore_create(const DgTable *table, int at_once,
									  MemoryContext parent);
extern void dg_keystore_add(DgKeyStore *store, TupleTableSlot *slot);
extern const DgKeys *dg_keystore_next(DgKeyStore *store);
extern void dg_keystore_free(DgKeyStore *store);

#endif							/* DELETE_GUARD_KEYSTORE_H */
