/*
 * config.c
 *	  Configuration: the catalogue of settings, and the tables as a snapshot for
 *	  the receivers.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"
#include "utils/inet.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "lastfluss.h"
#include "prefixes.h"
#include "shared.h"

/*
 * The catalogue of settings.  A row for each; "check" raises an error, or gives
 * the value in the form in which it is kept.
 */
typedef struct SettingType
{
	const char *name;
	const char *default_value;	/* NULL: the host's name */
	const char *unit;
	const char *description;
	char	   *(*check) (const struct SettingType *setting, const char *value);
} SettingType;

static char *config_check_period(const SettingType *setting, const char *value);
static char *config_check_window(const SettingType *setting, const char *value);
static char *config_check_attribution(const SettingType *setting, const char *value);
static char *config_check_count(const SettingType *setting, const char *value);
static char *config_check_megabytes(const SettingType *setting, const char *value);
static char *config_check_table(const SettingType *setting, const char *value);
static char *config_check_as_source(const SettingType *setting, const char *value);
static char *config_check_as(const SettingType *setting, const char *value);
static char *config_check_share(const SettingType *setting, const char *value);
static char *config_check_switch(const SettingType *setting, const char *value);
static char *config_check_retention(const SettingType *setting, const char *value);
static char *config_check_collector(const SettingType *setting, const char *value);

static const SettingType setting_types[] = {
	{"period", "60", "s",
		"length of an interval; intervals start at multiples of it (UTC)",
	config_check_period},
	{"attribution", "spread", NULL,
		"spread: a flow's bytes are laid over the intervals in which it lasted; arrival: they count in the interval in which its record came",
	config_check_attribution},
	{"window", "90", "s",
		"how long an interval stays open after its end, for flows that are exported late; with attribution arrival it is 0",
	config_check_window},
	{"keep_top", "0", NULL,
		"remote ASNs that keep rows of their own, by interface, direction and interval; the others become one row with remote_asn null; 0: all",
	config_check_count},
	{"keep_top_share", "0", "%",
		"remote ASNs with more than this share of their interface, direction and interval keep their rows beside those of keep_top; 0: none",
	config_check_share},
	{"rollups", "on", NULL,
		"on: traffic is summed up in tables of 5 minutes, 1 hour and 1 day beside it; off: they stay as they are",
	config_check_switch},
	{"rollup_keep_top", "0", NULL,
		"as keep_top, with the same keep_top_share, for each 5 minutes, hour and day of the rollups; 0: all",
	config_check_count},
	{"retention", "keep", NULL,
		"how long traffic, traffic_health and the interfaces' counters are kept: an interval such as 30 days, or keep",
	config_check_retention},
	{"retention_5m", "keep", NULL,
		"how long the rollup of 5 minutes is kept",
	config_check_retention},
	{"retention_1h", "keep", NULL,
		"how long the rollup of 1 hour is kept",
	config_check_retention},
	{"retention_1d", "keep", NULL,
		"how long the rollup of 1 day is kept",
	config_check_retention},
	{"spool_limit", "1024", "MB",
		"room in the data directory for finished intervals that cannot be written to the table",
	config_check_megabytes},
	{"table", "public.traffic", NULL,
		"table that the traffic is written to; made when it is missing",
	config_check_table},
	{"asn_source", "exporter_then_prefix", NULL,
		"where AS numbers come from: exporter, prefix (lastfluss.prefix, where it has rows), or exporter_then_prefix, which fills what is missing, 0 or 23456",
	config_check_as_source},
	{"own_asn", "0", NULL,
		"your own AS number, for the local side where it would be 0",
	config_check_as},
	{"collector", NULL, NULL,
		"name of this collector at a hub, where it stands before the interfaces' names; the default is the host's name",
	config_check_collector}
};

#define CONFIG_KEEP			"keep"
#define CONFIG_MAX_PERIOD	3600
#define CONFIG_MAX_WINDOW	86400

static const SettingType *
config_find_setting(const char *name)
{
	StringInfoData known;

	for (int i = 0; i < (int) lengthof(setting_types); i++)
	{
		if (strcmp(setting_types[i].name, name) == 0)
			return &setting_types[i];
	}
	initStringInfo(&known);
	for (int i = 0; i < (int) lengthof(setting_types); i++)
		appendStringInfo(&known, "%s%s", i ? ", " : "", setting_types[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is no setting \"%s\"", name),
			 errdetail("Settings are: %s.", known.data),
			 errhint("SELECT * FROM lastfluss.settings shows them all.")));
}

/* A whole number of seconds, or an interval such as '1 min'; -1: neither. */
static int64
config_parse_seconds(const char *value)
{
	char	   *end;
	long		number;
	char		work[256];		/* as interval_in() has it */
	char	   *fields[MAXDATEFIELDS];
	int			types[MAXDATEFIELDS];
	int			count;
	int			type;
	struct pg_itm_in interval;

	errno = 0;
	number = strtol(value, &end, 10);
	if (end != value && *end == '\0' && errno == 0)
		return number;
	/* not interval_in(): its error would not name the setting */
	if (ParseDateTime(value, work, sizeof(work), fields, types, MAXDATEFIELDS, &count) != 0 ||
		DecodeInterval(fields, types, count, INTERVAL_FULL_RANGE, &type, &interval) != 0 ||
		type != DTK_DELTA)
		return -1;
	if (interval.tm_year != 0 || interval.tm_mon != 0 || interval.tm_mday != 0 ||
		interval.tm_usec % USECS_PER_SEC != 0)
		return -1;
	return interval.tm_usec / USECS_PER_SEC;
}

static char *
config_check_seconds(const SettingType *setting, const char *value, int least, int most)
{
	int64		seconds = config_parse_seconds(value);

	if (seconds < least || seconds > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give a whole number of seconds from %d to %d, or an interval such as '1 min'.",
						 least, most)));
	return psprintf(INT64_FORMAT, seconds);
}

static char *
config_check_period(const SettingType *setting, const char *value)
{
	return config_check_seconds(setting, value, 1, CONFIG_MAX_PERIOD);
}

static char *
config_check_window(const SettingType *setting, const char *value)
{
	return config_check_seconds(setting, value, 0, CONFIG_MAX_WINDOW);
}

static char *
config_check_attribution(const SettingType *setting, const char *value)
{
	if (strcmp(value, "spread") != 0 && strcmp(value, "arrival") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give spread or arrival.")));
	return pstrdup(value);
}

static char *
config_check_number(const SettingType *setting, const char *value, const char *hint)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || number < 0 || number > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("%s", hint)));
	return psprintf("%ld", number);
}

static char *
config_check_count(const SettingType *setting, const char *value)
{
	return config_check_number(setting, value, "Give a number of ASNs, or 0 for all.");
}

static char *
config_check_megabytes(const SettingType *setting, const char *value)
{
	return config_check_number(setting, value, "Give a whole number of megabytes.");
}

/* In percent, which may have a fraction; -1: it is none. */
static double
config_parse_share(const char *value)
{
	char	   *end;
	double		share;

	errno = 0;
	share = strtod(value, &end);
	if (end == value || *end != '\0' || errno != 0 || !(share >= 0 && share <= 100))
		return -1;
	return share;
}

static char *
config_check_share(const SettingType *setting, const char *value)
{
	if (config_parse_share(value) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give a share in percent, such as 0.5, or 0 for none.")));
	return pstrdup(value);
}

static char *
config_check_switch(const SettingType *setting, const char *value)
{
	bool		on;

	if (!parse_bool(value, &on))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give on or off.")));
	return pstrdup(on ? "on" : "off");
}

/* An interval longer than nothing; months and years count as such. */
static bool
config_is_duration(const char *value)
{
	char		work[256];		/* as interval_in() has it */
	char	   *fields[MAXDATEFIELDS];
	int			types[MAXDATEFIELDS];
	int			count;
	int			type;
	struct pg_itm_in interval;

	if (ParseDateTime(value, work, sizeof(work), fields, types, MAXDATEFIELDS, &count) != 0 ||
		DecodeInterval(fields, types, count, INTERVAL_FULL_RANGE, &type, &interval) != 0 ||
		type != DTK_DELTA)
		return false;
	return interval.tm_year >= 0 && interval.tm_mon >= 0 && interval.tm_mday >= 0 &&
		interval.tm_usec >= 0 &&
		(interval.tm_year > 0 || interval.tm_mon > 0 || interval.tm_mday > 0 ||
		 interval.tm_usec >= USECS_PER_HOUR);
}

static char *
config_check_retention(const SettingType *setting, const char *value)
{
	char	   *end;

	if (pg_strcasecmp(value, CONFIG_KEEP) == 0 || *value == '\0')
		return pstrdup(CONFIG_KEEP);
	/* A number alone would be seconds. */
	(void) strtod(value, &end);
	if (*end == '\0' || !config_is_duration(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give an interval of at least an hour, such as '30 days' or '1 year', or keep.")));
	return pstrdup(value);
}

static char *
config_check_table(const SettingType *setting, const char *value)
{
	List	   *parts;

	if (!SplitIdentifierString(pstrdup(value), '.', &parts) ||
		parts == NIL || list_length(parts) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give a table's name, with its schema where that is not \"public\".")));
	return pstrdup(value);
}

/* As they are written, by AccountAsSource. */
static const char *const config_as_sources[] = {
	[ACCOUNT_AS_EXPORTER_THEN_PREFIX] = "exporter_then_prefix",
	[ACCOUNT_AS_EXPORTER] = "exporter",
	[ACCOUNT_AS_PREFIX] = "prefix"
};

/* -1: there is none of that name. */
static int
config_as_source(const char *value)
{
	for (int i = 0; i < (int) lengthof(config_as_sources); i++)
	{
		if (strcmp(config_as_sources[i], value) == 0)
			return i;
	}
	return -1;
}

static char *
config_check_as_source(const SettingType *setting, const char *value)
{
	if (config_as_source(value) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give exporter, prefix or exporter_then_prefix.")));
	return pstrdup(value);
}

/* "64500", or "AS64500". */
static char *
config_check_as(const SettingType *setting, const char *value)
{
	const char *digits = pg_strncasecmp(value, "as", 2) == 0 ? value + 2 : value;
	char	   *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(digits, &end, 10);
	if (*digits < '0' || *digits > '9' || *end != '\0' || errno != 0 || number > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give an AS number from 1 to 4294967295, or 0 for none.")));
	return psprintf("%llu", number);
}

#define CONFIG_NAME_SIZE	64

static bool
config_is_collector(const char *name)
{
	return *name != '\0' && strlen(name) < CONFIG_NAME_SIZE &&
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(name);
}

/* It is a part of interfaces' names, up to a "/". */
static char *
config_check_collector(const SettingType *setting, const char *value)
{
	if (!config_is_collector(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", setting->name, value),
				 errhint("Give a name of letters, digits, points, hyphens and underscores.")));
	return pstrdup(value);
}

/* The host's name, as far as it can be a collector's. */
static const char *
config_host_name(void)
{
	char		name[CONFIG_NAME_SIZE] = "";

	if (gethostname(name, sizeof(name) - 1) != 0 || !config_is_collector(name))
		return "collector";
	return pstrdup(name);
}

static const char *
config_default(const SettingType *setting)
{
	return setting->default_value ? setting->default_value : config_host_name();
}

const char *
config_collector(void)
{
	if (SPI_execute("SELECT value FROM lastfluss.settings WHERE name = 'collector'", true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read the setting \"collector\"");
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/*
 * lastfluss._settings(): the catalogue.
 */
PG_FUNCTION_INFO_V1(lastfluss_settings);
Datum
lastfluss_settings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(setting_types); i++)
	{
		const SettingType *setting = &setting_types[i];
		bool		nulls[] = {false, false, setting->unit == NULL, false};
		Datum		values[] = {
			CStringGetTextDatum(setting->name),
			CStringGetTextDatum(config_default(setting)),
			setting->unit ? CStringGetTextDatum(setting->unit) : (Datum) 0,
			CStringGetTextDatum(setting->description)
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * lastfluss._setting_value(name, value): the value as it is kept, or an error.
 */
PG_FUNCTION_INFO_V1(lastfluss_setting_value);
Datum
lastfluss_setting_value(PG_FUNCTION_ARGS)
{
	const SettingType *setting = config_find_setting(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("setting \"%s\" needs a value", setting->name),
				 errhint("SELECT lastfluss.reset('%s') goes back to the default.", setting->name)));
	PG_RETURN_TEXT_P(cstring_to_text(setting->check(setting,
													text_to_cstring(PG_GETARG_TEXT_PP(1)))));
}

/* ", or the period to at least so much", where that would help. */
static const char *
config_advise_period(const IntervalRule *rule)
{
	for (int period = rule->period; period <= CONFIG_MAX_PERIOD; period++)
	{
		if (intervals_longest_window(lastfluss_buffers, period) >= rule->window)
			return psprintf(", or the period to at least %d s", period);
	}
	return "";
}

/* "or lastfluss.buffers", likewise. */
static const char *
config_advise_buffers(const IntervalRule *rule)
{
	if (intervals_needed_open(rule) > INTERVALS_MAX_OPEN)
		return "";
	return psprintf(", or lastfluss.buffers to at least %u in postgresql.conf (and restart the server)",
					intervals_needed(rule));
}

/*
 * lastfluss._check_settings(): an error where period and window need more
 * buffers than there are.  Silent without the collector, so that a dump can be
 * restored anywhere.
 */
PG_FUNCTION_INFO_V1(lastfluss_check_settings);
Datum
lastfluss_check_settings(PG_FUNCTION_ARGS)
{
	Settings	settings;
	IntervalRule rule;
	int			longest;

	if (shared == NULL)
		PG_RETURN_VOID();
	SPI_connect();
	config_read_settings(&settings);
	SPI_finish();
	rule = (IntervalRule) {.period = settings.period,.window = settings.window};
	longest = intervals_longest_window(lastfluss_buffers, settings.period);
	if (settings.by_arrival || settings.window <= longest)
		PG_RETURN_VOID();

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a window of %d s with a period of %d s needs %u buffers", settings.window,
					settings.period, intervals_needed(&rule)),
			 errdetail("lastfluss.buffers is %d, and %d intervals can be open at the most.",
					   lastfluss_buffers, INTERVALS_MAX_OPEN),
			 errhint("Set the window to at most %d s%s%s.", longest,
					 config_advise_period(&rule), config_advise_buffers(&rule))));
}

/*
 * lastfluss._require_collector(): an error where the library is not preloaded,
 * a warning where this is not the collector's database.
 */
PG_FUNCTION_INFO_V1(lastfluss_require_collector);
Datum
lastfluss_require_collector(PG_FUNCTION_ARGS)
{
	char	   *name;

	lastfluss_require_preload();
	name = get_database_name(MyDatabaseId);
	if (name && strcmp(name, lastfluss_database) != 0)
		ereport(WARNING,
				(errmsg("the collector works in database \"%s\", not in \"%s\"",
						lastfluss_database, name),
				 errhint("Connect to \"%s\", or set lastfluss.database = '%s' in postgresql.conf and restart the server.",
						 lastfluss_database, name)));
	PG_RETURN_VOID();
}

/*
 * Telling the writer, at COMMIT.
 */

static bool config_change_pending = false;

static void
config_at_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && config_change_pending)
	{
		pg_atomic_write_u32(&shared->config_changed, 1);
		shared_wake_writer();
		shared_wake_maintenance();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		config_change_pending = false;
}

/*
 * lastfluss._config_changed(): trigger on the configuration tables.  Silent
 * without the collector, so that a dump can be restored anywhere.
 */
PG_FUNCTION_INFO_V1(lastfluss_config_changed);
Datum
lastfluss_config_changed(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger", "lastfluss._config_changed")));
	if (shared != NULL)
	{
		if (!registered)
			RegisterXactCallback(config_at_commit, NULL);
		registered = true;
		config_change_pending = true;
	}
	return PointerGetDatum(NULL);
}

/*
 * The tables as a snapshot.
 */

static void
config_select(const char *query)
{
	int			result = SPI_execute(query, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read the configuration: %s", SPI_result_code_string(result));
}

static Datum
config_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

static uint32
config_number(uint64 row, int column, uint32 if_null)
{
	bool		isnull;
	Datum		value = config_value(row, column, &isnull);

	return isnull ? if_null : (uint32) DatumGetInt64(value);
}

/* NULL: for ever. */
static char *
config_retention(char *value)
{
	return strcmp(value, CONFIG_KEEP) == 0 ? NULL : value;
}

void
config_read_settings(Settings *settings)
{
	*settings = (Settings) {0};
	config_select("SELECT name, coalesce(value, default_value) FROM lastfluss.settings");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		char	   *name = TextDatumGetCString(config_value(row, 1, &isnull));
		char	   *value = TextDatumGetCString(config_value(row, 2, &isnull));

		if (strcmp(name, "period") == 0)
			settings->period = atoi(value);
		else if (strcmp(name, "window") == 0)
			settings->window = atoi(value);
		else if (strcmp(name, "attribution") == 0)
			settings->by_arrival = strcmp(value, "arrival") == 0;
		else if (strcmp(name, "keep_top") == 0)
			settings->keep_top = (uint32) atoi(value);
		else if (strcmp(name, "keep_top_share") == 0)
			settings->keep_top_share = (uint32) (config_parse_share(value) * 10000 + 0.5);
		else if (strcmp(name, "rollups") == 0)
			settings->rollups = strcmp(value, "on") == 0;
		else if (strcmp(name, "rollup_keep_top") == 0)
			settings->rollup_keep_top = (uint32) atoi(value);
		else if (strcmp(name, "retention") == 0)
			settings->retention[0] = config_retention(value);
		else if (strcmp(name, "retention_5m") == 0)
			settings->retention[1] = config_retention(value);
		else if (strcmp(name, "retention_1h") == 0)
			settings->retention[2] = config_retention(value);
		else if (strcmp(name, "retention_1d") == 0)
			settings->retention[3] = config_retention(value);
		else if (strcmp(name, "spool_limit") == 0)
			settings->spool_limit = atoi(value);
		else if (strcmp(name, "table") == 0)
			settings->table = value;
		else if (strcmp(name, "asn_source") == 0)
			settings->as_source = config_as_source(value);
		else if (strcmp(name, "own_asn") == 0)
			settings->own_as = (uint32) strtoull(value, NULL, 10);
	}
}

/*
 * A window that the buffers allow: lastfluss.buffers may have been lowered since
 * the setting was checked.  Member by member, because snapshots are compared with the
 * padding, which is zero.
 */
static void
config_use_rule(const Settings *settings, IntervalRule *rule)
{
	int			longest = intervals_longest_window(lastfluss_buffers, settings->period);

	rule->period = settings->period;
	rule->window = settings->by_arrival ? 0 : Min(settings->window, longest);
	rule->by_arrival = settings->by_arrival;
}

static void
config_use_settings(const Settings *settings, ConfigSnapshot *config)
{
	config_use_rule(settings, &config->rule);
	config->spool_limit = (int64) settings->spool_limit * 1024 * 1024;
	config->as_source = settings->as_source;
	config->own_as = settings->own_as;
}

static void
config_read_listeners(ConfigSnapshot *config)
{
	config_select("SELECT address, port::bigint FROM lastfluss.listener ORDER BY port, address");
	config->listener_count = (uint32) Min(SPI_processed, SHARED_MAX_LISTENERS);
	for (uint32 row = 0; row < config->listener_count; row++)
	{
		ListenerConfig *listener = &config->listeners[row];
		bool		isnull;
		Datum		address = config_value(row, 1, &isnull);

		status_flow_address(address, &listener->address);
		listener->ipv4 = ip_family(DatumGetInetPP(address)) == PGSQL_AF_INET;
		listener->port = (uint16) config_number(row, 2, 0);
	}
}

/* Interfaces, without the numbers of their names; "names" becomes these. */
static void
config_read_interfaces(ConfigSnapshot *config, char ***names)
{
	config_select("SELECT name, host, id, vlan::bigint, sample, sample_out,"
				  " CASE count WHEN 'ingress' THEN 1 WHEN 'egress' THEN 2 ELSE 0 END::bigint"
				  " FROM lastfluss.interface ORDER BY host, id, vlan");
	config->interface_count = (uint32) Min(SPI_processed, SHARED_MAX_INTERFACES);
	*names = palloc0((config->interface_count + 1) * sizeof(char *));
	for (uint32 row = 0; row < config->interface_count; row++)
	{
		Interface  *interface = &config->interfaces[row];
		bool		isnull;

		(*names)[row] = TextDatumGetCString(config_value(row, 1, &isnull));
		status_flow_address(config_value(row, 2, &isnull), &interface->host);
		interface->id = config_number(row, 3, 0);
		interface->vlan = (int32) config_number(row, 4, (uint32) INTERFACE_ANY_VLAN);
		interface->sample = config_number(row, 5, 0);
		interface->sample_out = config_number(row, 6, 0);
		interface->count = config_number(row, 7, INTERFACE_COUNT_BOTH);
	}
}

/*
 * Settings and interfaces as the caller's snapshot sees them, for work outside
 * of the collector.  The number of a name is the first row that has it.
 */
void
config_read(Settings *settings, ConfigSnapshot *config, char ***names)
{
	config_read_settings(settings);
	config_use_settings(settings, config);
	config_read_interfaces(config, names);
	for (uint32 i = 0; i < config->interface_count; i++)
	{
		uint32		first = 0;

		while (strcmp((*names)[first], (*names)[i]) != 0)
			first++;
		config->interfaces[i].name = first;
	}
}

/* The oldest configuration that a receiver or one of its buffers refers to. */
static uint64
config_oldest_generation(uint64 current)
{
	uint64		oldest = current;

	for (int i = 0; i < lastfluss_receivers; i++)
	{
		const ReceiverShared *receiver = &shared->receivers[i];

		LWLockAcquire(shared->receiver_locks[i], LW_SHARED);
		if (receiver->pid != 0)
			oldest = Min(oldest, receiver->generation);
		for (int j = 0; j < lastfluss_buffers; j++)
		{
			const FlowInterval *interval = &receiver->intervals->all[j];

			/* FREE ones are still read by lastfluss.live */
			if (interval->state != INTERVAL_FREE || aggregate_count(interval->sums) > 0)
				oldest = Min(oldest, interval->generation);
		}
		LWLockRelease(shared->receiver_locks[i]);
	}
	return oldest;
}

typedef struct NameEntry
{
	char		name[SHARED_NAME_SIZE];
	uint32		number;
} NameEntry;

/* The numbers that names have now. */
static HTAB *
config_known_names(void)
{
	HASHCTL		control = {.keysize = SHARED_NAME_SIZE,.entrysize = sizeof(NameEntry),.hcxt = CurrentMemoryContext};
	HTAB	   *known = hash_create("lastfluss names", 1024, &control,
								   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);

	for (uint32 i = 0; i < SHARED_MAX_NAMES; i++)
	{
		NameEntry  *entry;

		if (shared->names[i].generation == 0)
			continue;
		entry = hash_search(known, shared->names[i].name, HASH_ENTER, NULL);
		entry->number = i;
	}
	return known;
}

/* A number that nothing refers to, from "*next" on. */
static uint32
config_free_number(uint32 *next, uint64 oldest, const bool *wanted)
{
	for (; *next < SHARED_MAX_NAMES; (*next)++)
	{
		uint64		used = shared->names[*next].generation;

		if (!wanted[*next] && (used == 0 || used < oldest))
			return (*next)++;
	}
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many names of interfaces wait to be written"),
			 errdetail("The configuration of before stays in force.")));
}

/*
 * Numbers for the names.  Only the writer changes shared->names, so it may read
 * them without the lock.
 */
static void
config_number_names(ConfigSnapshot *config, char **names, uint64 current)
{
	HTAB	   *known = config_known_names();
	bool	   *wanted = palloc0(SHARED_MAX_NAMES * sizeof(bool));
	uint64		oldest = config_oldest_generation(current);
	uint32		next = 0;

	for (uint32 i = 0; i < config->interface_count; i++)
	{
		NameEntry  *entry = hash_search(known, names[i], HASH_FIND, NULL);

		if (entry)
			wanted[entry->number] = true;
	}
	for (uint32 i = 0; i < config->interface_count; i++)
	{
		bool		found;
		NameEntry  *entry = hash_search(known, names[i], HASH_ENTER, &found);

		if (!found)
			entry->number = config_free_number(&next, oldest, wanted);
		wanted[entry->number] = true;
		config->interfaces[i].name = entry->number;
	}
}

static void
config_publish_snapshot(const ConfigSnapshot *config, char **names, uint64 generation)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	memcpy(&shared->config, config, sizeof(ConfigSnapshot));
	for (uint32 i = 0; i < config->interface_count; i++)
	{
		NameSlot   *slot = &shared->names[config->interfaces[i].name];

		slot->generation = generation;
		if (names)
			strlcpy(slot->name, names[i], SHARED_NAME_SIZE);
	}
	pg_atomic_write_u64(&shared->generation, generation);
	LWLockRelease(shared->lock);
	shared_wake_receivers();
}

/*
 * Reads the tables and gives the receivers what has changed.  False where the
 * extension is missing: then nothing is listened to.  Needs a transaction with
 * a snapshot, and SPI connected.
 */
bool
config_publish(Settings *settings)
{
	ConfigSnapshot *config = palloc0(sizeof(ConfigSnapshot));
	uint64		current = pg_atomic_read_u64(&shared->generation);
	char	  **names = NULL;
	bool		present = OidIsValid(get_extension_oid("lastfluss", true));

	config->rule = shared->config.rule;
	config->spool_limit = shared->config.spool_limit;
	if (present)
	{
		config_read_settings(settings);
		config_use_settings(settings, config);
		config_read_listeners(config);
		config_read_interfaces(config, &names);
		config_number_names(config, names, current);
	}
	if (current == 0 || memcmp(config, &shared->config, sizeof(ConfigSnapshot)) != 0)
		config_publish_snapshot(config, names, current + 1);
	return present;
}

/*
 * Closes all listeners and forgets the prefixes, because the database is gone.
 * For the launcher, while there is no writer.
 */
void
config_publish_nothing(void)
{
	ConfigSnapshot *config;

	prefixes_withdraw();
	if (shared->config.listener_count == 0)
		return;
	config = palloc0(sizeof(ConfigSnapshot));
	config->rule = shared->config.rule;
	config->spool_limit = shared->config.spool_limit;
	config_publish_snapshot(config, NULL, pg_atomic_read_u64(&shared->generation) + 1);
	pfree(config);
}
