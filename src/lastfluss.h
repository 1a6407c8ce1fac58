/*
 * lastfluss.h
 *	  What the files of the PostgreSQL side call of each other, by file.
 *
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_H
#define LASTFLUSS_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/elog.h"

#include "flow.h"

/* lastfluss.c: server settings */
extern char *lastfluss_database;
extern int	lastfluss_receivers;
extern int	lastfluss_max_entries;
extern int	lastfluss_buffers;

/*
 * How much a log line of the workers matters; lastfluss.log_level says which
 * of them are written.
 */
typedef enum LogRank
{
	LOG_RANK_ERROR,				/* data is at risk */
	LOG_RANK_WARNING,			/* something needs a look */
	LOG_RANK_INFO,				/* listening, configured, stopped */
	LOG_RANK_DEBUG				/* each interval */
} LogRank;

/* The elevel for ereport(): LOG, or DEBUG1 where log_level leaves it out. */
extern int	lastfluss_elevel(LogRank rank);

/*
 * Raises an error with the line to put into postgresql.conf, when the server
 * did not preload the library.
 */
extern void lastfluss_require_preload(void);

/*
 * Is the server stopping, rather than the calling worker alone?
 */
extern bool lastfluss_server_is_stopping(void);

/* The calling process's allocator gives no memory back to the system, within a limit. */
extern void lastfluss_keep_memory(void);

/* launcher.c, receiver.c, writer.c, maintenance.c, keeper.c: entry points of the workers */
extern PGDLLEXPORT void lastfluss_launcher_main(Datum arg);
extern PGDLLEXPORT void lastfluss_receiver_main(Datum arg);
extern PGDLLEXPORT void lastfluss_writer_main(Datum arg);
extern PGDLLEXPORT void lastfluss_maintenance_main(Datum arg);
extern PGDLLEXPORT void lastfluss_keeper_main(Datum arg);

/* launcher.c */
extern bool launcher_lock_free(Oid database);
extern bool launcher_hold_extension(void);

/* version.c */
extern void version_log(void);

/* traffic itself, and its rollups */
#define LASTFLUSS_RELATIONS	4

/* config.c */
typedef struct Settings
{
	int			period;			/* seconds */
	int			window;			/* seconds */
	bool		by_arrival;		/* setting "attribution" */
	uint32		keep_top;		/* 0: all */
	uint32		keep_top_share; /* millionths; 0: none */
	bool		rollups;
	uint32		rollup_keep_top;	/* 0: all */
	char	   *retention[LASTFLUSS_RELATIONS]; /* NULL: for ever */
	int			spool_limit;	/* megabytes */
	char	   *table;			/* as the user wrote it */
	int			as_source;		/* AccountAsSource */
	uint32		own_as;			/* 0: not set */
} Settings;

struct ConfigSnapshot;
extern void config_read_settings(Settings *settings);
extern void config_read(Settings *settings, struct ConfigSnapshot *config, char ***names);
extern bool config_publish(Settings *settings);
extern void config_publish_nothing(void);

/* The setting "collector"; needs SPI connected. */
extern const char *config_collector(void);

/* state.c */
extern void state_save(int receiver);
extern void state_load(int receiver);

/* status.c: how things of src/flow/ look in SQL */
extern const char *status_protocol_name(uint8_t protocol);
extern const char *status_sampling_origin(uint8_t origin);
extern Datum status_numeric(uint64 value);
extern Datum status_inet(const FlowAddress *address);
extern void status_flow_address(Datum inet_value, FlowAddress *address);

/* Flow code counts microseconds since 1970, PostgreSQL since 2000. */
#define LASTFLUSS_EPOCH_SHIFT \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static inline TimestampTz
lastfluss_timestamp(int64 unix_microseconds)
{
	return (TimestampTz) (unix_microseconds - LASTFLUSS_EPOCH_SHIFT);
}

static inline int64
lastfluss_unix_time(TimestampTz timestamp)
{
	return (int64) timestamp + LASTFLUSS_EPOCH_SHIFT;
}

#endif							/* LASTFLUSS_H */
