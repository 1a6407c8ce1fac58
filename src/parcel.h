/*
 * parcel.h
 *	  An interval on its way from a site to a hub.
 */
#ifndef LASTFLUSS_PARCEL_H
#define LASTFLUSS_PARCEL_H

#include "copy.h"

/*
 * Sends the rows of an interval to the hubs, where there is a publication.  Needs a
 * transaction with a snapshot, and SPI connected.
 */
extern void parcel_send(const IntervalCopy *interval, TimestampTz time);

/*
 * All intervals that began before have come from the collectors that send something
 * at all; DT_NOEND where none does.
 */
extern TimestampTz parcel_arrived_until(void);

#endif							/* LASTFLUSS_PARCEL_H */
