/*
 * disk.c
 *	  How much room is left where the tables lie.
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "catalog/pg_tablespace_d.h"
#include "common/relpath.h"
#include "fmgr.h"
#include "miscadmin.h"

/* A tablespace's directory, from the data directory, in which we are. */
static char *
disk_path(Oid tablespace)
{
	if (!OidIsValid(tablespace))
		tablespace = MyDatabaseTableSpace;
	if (tablespace == DEFAULTTABLESPACE_OID || tablespace == GLOBALTABLESPACE_OID)
		return pstrdup("base");
	return psprintf("pg_tblspc/%u", tablespace);
}

/* lastfluss._free_disk(tablespace oid); NULL where it cannot be told. */
PG_FUNCTION_INFO_V1(lastfluss_free_disk);
Datum
lastfluss_free_disk(PG_FUNCTION_ARGS)
{
	struct statvfs system;

	if (statvfs(disk_path(PG_GETARG_OID(0)), &system) != 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) Min((uint64) system.f_bavail * system.f_frsize, (uint64) PG_INT64_MAX));
}
