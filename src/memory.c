/*
 * memory.c
 *	  Memory that a session keeps from one answer to the next.
 *
 * An answer takes some megabytes, and frees them after each of its statements.  glibc
 * gives that back to the system, and the next statement gets it anew, page by page:
 * where that is dear, as in many virtual machines, it takes longer than to read the
 * rows.  So a session that has asked keeps what an answer may take.
 */
#include "postgres.h"

#include "fmgr.h"

#include "lastfluss.h"

/* lastfluss._keep_memory() */
PG_FUNCTION_INFO_V1(lastfluss_memory_keep);
Datum
lastfluss_memory_keep(PG_FUNCTION_ARGS)
{
	static bool kept = false;

	if (!kept)
		lastfluss_keep_memory();
	kept = true;
	PG_RETURN_VOID();
}
