/*
 * upgrade.h
 *	  A plain table into partitions or a hypertable.
 */
#ifndef LASTFLUSS_UPGRADE_H
#define LASTFLUSS_UPGRADE_H

/*
 * The next step of what lastfluss.upgrade_table() has asked for, if it has; true
 * when there is more to do.  Needs a transaction and SPI connected.
 */
extern bool upgrade_step(Oid traffic);

#endif							/* LASTFLUSS_UPGRADE_H */
