/*
 * version.c
 *	  Are the library and the extension's objects of the same release?
 *
 * They are not between the update of a package and the restart of the server, or
 * ALTER EXTENSION.  Collecting goes on meanwhile; the log and the doctor say what is left
 * to be done.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "lastfluss.h"

/* "1.10" is later than "1.9", and the same as "1.10.0". */
static int
version_compare(const char *a, const char *b)
{
	while (*a != '\0' || *b != '\0')
	{
		char	   *rest;
		long		first = strtol(a, &rest, 10);
		long		second;

		a = *rest == '.' ? rest + 1 : "";
		second = strtol(b, &rest, 10);
		b = *rest == '.' ? rest + 1 : "";
		if (first != second)
			return first < second ? -1 : 1;
	}
	return 0;
}

/* What is to be done, or NULL. */
static const char *
version_advice(const char *extension)
{
	int			order = version_compare(LASTFLUSS_VERSION, extension);

	if (order == 0)
		return NULL;
	if (order > 0)
		return psprintf("Run \"ALTER EXTENSION lastfluss UPDATE\" in database \"%s\".",
						get_database_name(MyDatabaseId));
	return psprintf("Install the library of version %s where it is not yet, and restart the server.",
					extension);
}

static const char *
version_finding(const char *extension)
{
	return psprintf("the library that the server has loaded is of version %s, the extension in this database of %s",
					LASTFLUSS_VERSION, extension);
}

/* lastfluss._version_mismatch(extension text, OUT finding text, OUT advice text) */
PG_FUNCTION_INFO_V1(lastfluss_version_mismatch);
Datum
lastfluss_version_mismatch(PG_FUNCTION_ARGS)
{
	const char *extension = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *advice = version_advice(extension);
	TupleDesc	type;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (advice == NULL)
		PG_RETURN_NULL();
	values[0] = CStringGetTextDatum(version_finding(extension));
	values[1] = CStringGetTextDatum(advice);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(type), values, nulls)));
}

/* Once for each version that is met. */
void
version_log(void)
{
	static char logged[64] = "";
	const char *extension;
	const char *advice;

	if (SPI_execute("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'lastfluss'",
					true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		return;
	extension = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (strcmp(extension, logged) == 0)
		return;
	strlcpy(logged, extension, sizeof(logged));
	advice = version_advice(extension);
	if (advice)
		ereport(lastfluss_elevel(LOG_RANK_WARNING),
				(errmsg("lastfluss: %s", version_finding(extension)),
				 errdetail("Collecting goes on meanwhile."),
				 errhint("%s", advice)));
}
