/*-------------------------------------------------------------------------
 *
 * safely.c
 *	  do something whose failure is an answer
 *
 * The step runs in a subtransaction, which goes on to the end of the
 * transaction if it succeeds, and is rolled back if it fails.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "safely.h"
#include "utils/resowner.h"

/*
 * Run step(arg) in the current memory context.  Returns NULL, or the error that
 * it ended with, in that context.  The user's own wish to stop is no answer and
 * is raised again.
 */
ErrorData *
dg_safely(void (*step) (void *), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		step(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (QueryCancelPending || ProcDiePending ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return error;
}
