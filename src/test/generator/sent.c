/*
 * sent.c
 *	  The account of what was sent.
 */
#include "sent.h"

static void
add_to_tally(Tally *tally, const Account *account)
{
	tally->records++;
	tally->octets += account->octets;
	tally->packets += account->packets;
}

void
sent_add(Sent *sent, Router *router, const Account *accounts, uint32_t records)
{
	sent->datagrams++;
	if (records == 0)
		sent->template_datagrams++;
	for (uint32_t i = 0; i < records; i++)
	{
		const Account *account = &accounts[i];

		add_to_tally(&router->interfaces[account->in].in, account);
		add_to_tally(&router->interfaces[account->out].out, account);
		add_to_tally(&sent->total, account);
	}
}
