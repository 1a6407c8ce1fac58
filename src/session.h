/*
 * session.h
 *	  The life of a worker that is connected to the database: it waits until there is
 *	  one, runs transactions that may fail, and leaves when somebody wants to drop it.
 *
 * Include postgres.h first.
 */
#ifndef SESSION_H
#define SESSION_H

#include "utils/elog.h"

#include "lastfluss.h"
#include "shared.h"

/* Work in a transaction; an error rolls it back. */
typedef void (*SessionWork) (void *argument);

/* Is told of an error, outside of any transaction. */
typedef void (*SessionFailed) (const ErrorData *error, void *argument);

/*
 * Waits for the database, and connects to it.  From then on SIGTERM cancels what is
 * under way.
 */
extern void session_start(WorkerSeat *seat);

/* A setting of this session, over those of the database. */
extern void session_set(const char *name, const char *value);

/*
 * Runs work, in memory that is freed afterwards.  False where it failed, and nothing
 * happened; "failed" (may be NULL) is told, unless the worker was ended meanwhile.
 * "activity" is what pg_stat_activity shows.
 */
extern bool session_try(const char *activity, SessionWork work, SessionFailed failed,
						void *argument);

/* "could not ...", with the hint; text has SHARED_ERROR_SIZE octets. */
extern void session_error_text(const char *what, const ErrorData *error, char *text);
extern void session_log_error(LogRank rank, const char *what, const ErrorData *error);

/* A lock that others hold for longer than lock_timeout. */
extern bool session_is_lock_error(const ErrorData *error);

/* After SIGTERM, transactions may begin until then; without a call, none. */
extern void session_drain_until(TimestampTz until);

/* No transaction begins any more. */
extern bool session_must_stop(void);

/* Between transactions: there is nothing that pg_cancel_backend() could cancel. */
extern void session_check_interrupts(void);

/* Waits for the latch, and follows the server's configuration; true when it was set. */
extern bool session_sleep(long milliseconds);

/* Exits when somebody wants to drop the database, or use it as a template. */
extern void session_leave_when_asked(void);

#endif							/* SESSION_H */
