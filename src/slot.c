/*
 * slot.c
 *	  The replication slot that a hub's subscription reads from, at the site.
 *
 * CREATE SUBSCRIPTION makes it only where it is a statement of its own, and so cannot
 * be called by a function.  So the subscription is made without one, and then the slot,
 * as the last thing that can fail.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "lastfluss.h"

/* What is made or dropped elsewhere cannot be rolled back. */
static void
slot_require_no_block(const char *function)
{
	if (IsTransactionBlock() || IsSubTransaction())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("lastfluss.%s() cannot run inside a transaction block", function)));
}

/* As CREATE SUBSCRIPTION: without a password the server's own account would do. */
static void
slot_require_right(void)
{
	if (!compat_may_subscribe(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to connect to another server")));
}

static WalReceiverConn *
slot_connect(const char *conninfo)
{
	WalReceiverConn *connection;
	char	   *error;

	load_file("libpqwalreceiver", false);
	connection = compat_walrcv_connect(conninfo, !superuser(), "lastfluss", &error);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not connect to the site: %s", error)));
	return connection;
}

/* A slot waits for all transactions to end, and this one would be among them. */
static void
slot_require_another_server(WalReceiverConn *connection)
{
	TimeLineID	timeline;

	if (strtoull(walrcv_identify_system(connection, &timeline), NULL, 10) == GetSystemIdentifier())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the site is a database of this server")));
}

static void
slot_execute(const char *conninfo, const char *what, const char *command, int columns, WalRcvExecStatus expected)
{
	WalReceiverConn *connection = slot_connect(conninfo);
	WalRcvExecResult *result;
	Oid			types[] = {TEXTOID};

	PG_TRY();
	{
		slot_require_another_server(connection);
		result = walrcv_exec(connection, command, columns, types);
		if (result->status != expected)
			ereport(ERROR,
					(errcode(result->sqlstate ? result->sqlstate : ERRCODE_CONNECTION_FAILURE),
					 errmsg("could not %s at the site: %s", what, result->err ? result->err : "unexpected answer")));
		walrcv_clear_result(result);
	}
	PG_FINALLY();
	{
		walrcv_disconnect(connection);
	}
	PG_END_TRY();
}

/*
 * lastfluss._require_no_block(function text)
 */
PG_FUNCTION_INFO_V1(lastfluss_require_no_block);
Datum
lastfluss_require_no_block(PG_FUNCTION_ARGS)
{
	slot_require_no_block(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

/*
 * lastfluss._create_slot(conninfo text, slot text)
 */
PG_FUNCTION_INFO_V1(lastfluss_create_slot);
Datum
lastfluss_create_slot(PG_FUNCTION_ARGS)
{
	const char *conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *slot = text_to_cstring(PG_GETARG_TEXT_PP(1));

	slot_require_right();
	slot_require_no_block("subscribe");
	slot_execute(conninfo, "make the replication slot",
				 psprintf("SELECT slot_name::text FROM pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput')",
						  quote_literal_cstr(slot)), 1, WALRCV_OK_TUPLES);
	PG_RETURN_VOID();
}

/*
 * lastfluss._drop_slot(conninfo text, slot text): waits until nobody reads from it.
 */
PG_FUNCTION_INFO_V1(lastfluss_drop_slot);
Datum
lastfluss_drop_slot(PG_FUNCTION_ARGS)
{
	const char *conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *slot = text_to_cstring(PG_GETARG_TEXT_PP(1));

	slot_require_right();
	slot_require_no_block("unsubscribe");
	slot_execute(conninfo, "drop the replication slot",
				 psprintf("DROP_REPLICATION_SLOT %s WAIT", quote_identifier(slot)), 0, WALRCV_OK_COMMAND);
	PG_RETURN_VOID();
}

/*
 * lastfluss._slot_name(name text): told apart from another hub's by this server's
 * identity.
 */
PG_FUNCTION_INFO_V1(lastfluss_slot_name);
Datum
lastfluss_slot_name(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("lastfluss_%s_%08x", text_to_cstring(PG_GETARG_TEXT_PP(0)),
											  (uint32) (GetSystemIdentifier() ^ (GetSystemIdentifier() >> 32)))));
}
