/*-------------------------------------------------------------------------
 *
 * recorder.h
 *	  hand a record to the recorder of this database and wait until it is
 *	  on disk
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_RECORDER_H
#define DELETE_GUARD_RECORDER_H

#include "queue.h"
#include "record.h"

extern DgReceipt dg_recorder_record(const DgRecord *record);
extern void dg_recorder_wake(void);
extern DgReceipt dg_recorder_log(const DgRecord *record);

#endif							/* DELETE_GUARD_RECORDER_H */
