/*
 * lastfluss.c
 *	  Module magic, server settings, registration of the workers.
 */
#include "postgres.h"

#include <limits.h>
#include <malloc.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "utils/guc.h"
#include "utils/pidfile.h"

#include "lastfluss.h"
#include "shared.h"

/* Octets that lastfluss_keep_memory() keeps at the most; glibc takes no more. */
#define LASTFLUSS_KEPT	(32 * 1024 * 1024)

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

char	   *lastfluss_database = NULL;
int			lastfluss_receivers = 1;
int			lastfluss_max_entries = 131072;
int			lastfluss_buffers = 8;
static int	lastfluss_log_level = LOG_RANK_INFO;

static const struct config_enum_entry log_levels[] = {
	{"error", LOG_RANK_ERROR, false},
	{"warning", LOG_RANK_WARNING, false},
	{"info", LOG_RANK_INFO, false},
	{"debug", LOG_RANK_DEBUG, false},
	{NULL, 0, false}
};

int
lastfluss_elevel(LogRank rank)
{
	return (int) rank <= lastfluss_log_level ? LOG : DEBUG1;
}

void
lastfluss_require_preload(void)
{
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("lastfluss is not loaded by the server"),
				 errdetail("The collector runs in background workers, which the server starts only for libraries named in \"shared_preload_libraries\"."),
				 errhint("Put the line  shared_preload_libraries = 'lastfluss'  into postgresql.conf (append it to what is there), and restart the server.")));
}

/*
 * The postmaster says so in its lock file, in our working directory, before it
 * signals anybody.
 */
bool
lastfluss_server_is_stopping(void)
{
	FILE	   *file = AllocateFile("postmaster.pid", "r");
	char		line[MAXPGPATH];
	bool		stopping = false;

	for (int i = 1; file && fgets(line, sizeof(line), file); i++)
	{
		if (i == LOCK_FILE_LINE_PM_STATUS)
			stopping = strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
	}
	if (file)
		FreeFile(file);
	return stopping;
}

/*
 * As much again is soon needed, by a worker that copies intervals and by a session that
 * asks.  Page by page, new memory costs more to come by than to fill.
 */
void
lastfluss_keep_memory(void)
{
#ifdef M_TRIM_THRESHOLD
	(void) mallopt(M_MMAP_THRESHOLD, LASTFLUSS_KEPT);
	(void) mallopt(M_TRIM_THRESHOLD, LASTFLUSS_KEPT);
#endif
}

static void
define_settings(void)
{
	DefineCustomStringVariable("lastfluss.database",
							   "Database that the collector works in.",
							   "It is where CREATE EXTENSION lastfluss belongs.",
							   &lastfluss_database, "lastfluss",
							   PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("lastfluss.receivers",
							"Number of processes that receive and decode datagrams.",
							"Each exporter is served by one of them.",
							&lastfluss_receivers, 1, 1, SHARED_MAX_RECEIVERS,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("lastfluss.max_entries",
							"Paths, by interfaces and ASNs, that an open interval of a receiver can hold.",
							"What does not fit is added to the rows whose remote_asn is NULL.",
							&lastfluss_max_entries, 131072, 16, 16777216,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("lastfluss.buffers",
							"Intervals that each receiver can hold in shared memory.",
							NULL,
							&lastfluss_buffers, 8, 2, 1024,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("lastfluss.log_level",
							 "Which messages of the workers go to the server log.",
							 "Messages that matter less are logged as DEBUG1.",
							 &lastfluss_log_level, LOG_RANK_INFO, log_levels,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("lastfluss");
}

/*
 * Workers wait for the end of recovery: a standby is silent.  They always leave
 * with exit code 1, for 0 would mean "never start me again".
 */
static void
register_worker(const char *name, const char *function, int number, int flags)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | flags;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	worker.bgw_main_arg = Int32GetDatum(number);
	strlcpy(worker.bgw_library_name, "lastfluss", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker.bgw_type, name, BGW_MAXLEN);
	if (number >= 0)
		snprintf(worker.bgw_name, BGW_MAXLEN, "%s %d", name, number);
	else
		strlcpy(worker.bgw_name, name, BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
_PG_init(void)
{
	/* CREATE EXTENSION loads us too, where we were not preloaded. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	define_settings();
	shared_register();
	/* pg_upgrade starts both servers: what would be received there would be lost. */
	if (IsBinaryUpgrade)
		return;
	register_worker("lastfluss launcher", "lastfluss_launcher_main", -1,
					BGWORKER_BACKEND_DATABASE_CONNECTION);
	register_worker("lastfluss writer", "lastfluss_writer_main", -1,
					BGWORKER_BACKEND_DATABASE_CONNECTION);
	register_worker("lastfluss maintenance", "lastfluss_maintenance_main", -1,
					BGWORKER_BACKEND_DATABASE_CONNECTION);
	register_worker("lastfluss keeper", "lastfluss_keeper_main", -1, 0);
	for (int i = 0; i < lastfluss_receivers; i++)
		register_worker("lastfluss receiver", "lastfluss_receiver_main", i, 0);
}
