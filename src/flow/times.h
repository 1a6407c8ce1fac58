/*
 * times.h
 *	  The clocks of exporters: everything to microseconds since 1970.
 *
 * Results lie within TIMES_LIMIT of 1970, so that nonsense from the wire cannot
 * overflow when somebody subtracts two of them.
 */
#ifndef LASTFLUSS_TIMES_H
#define LASTFLUSS_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* 2283 years. */
#define TIMES_LIMIT		(INT64_C(1) << 56)

/* From 1900, where NTP's era 0 starts, to 1970. */
#define TIMES_NTP_TO_UNIX	INT64_C(2208988800)

/* "value" units of so many microseconds each. */
static inline int64_t
times_scale(uint64_t value, uint32_t microseconds)
{
	if (value > (uint64_t) TIMES_LIMIT / microseconds)
		return TIMES_LIMIT;
	return (int64_t) (value * microseconds);
}

static inline int64_t
times_clamp(int64_t time)
{
	if (time > TIMES_LIMIT)
		return TIMES_LIMIT;
	return time < -TIMES_LIMIT ? -TIMES_LIMIT : time;
}

static inline int64_t
times_from_seconds(uint64_t seconds)
{
	return times_scale(seconds, 1000000);
}

static inline int64_t
times_from_milliseconds(uint64_t milliseconds)
{
	return times_scale(milliseconds, 1000);
}

/*
 * NTP's 64 bit format (RFC 7011, 6.1.9 and 6.1.10): seconds since 1900 and
 * their fraction.  With the topmost bit clear it is era 1, which starts in 2036
 * (RFC 4330, 3).
 */
static inline int64_t
times_from_ntp(uint64_t timestamp)
{
	int64_t		seconds = (int64_t) (timestamp >> 32);
	uint64_t	fraction = timestamp & UINT32_MAX;

	if (timestamp >> 63 == 0)
		seconds += INT64_C(1) << 32;
	fraction = (fraction * 1000000 + (UINT64_C(1) << 31)) >> 32;
	return (seconds - TIMES_NTP_TO_UNIX) * 1000000 + (int64_t) fraction;
}

/* So many microseconds before "now". */
static inline int64_t
times_before(int64_t now, uint64_t microseconds)
{
	return times_clamp(times_clamp(now) - times_scale(microseconds, 1));
}

/*
 * A sysUptime in milliseconds, which wraps every 49.7 days, placed by the
 * uptime at "now": the nearest moment at which the exporter showed it.
 */
static inline int64_t
times_from_uptime(uint32_t uptime, int64_t now, uint32_t uptime_now)
{
	int64_t		difference = (int32_t) (uptime - uptime_now);

	return times_clamp(times_clamp(now) + difference * 1000);
}

/* None of them is beyond the limits then, and times_from_uptime_near() is the same. */
static inline bool
times_uptimes_are_near(int64_t now)
{
	const int64_t most = TIMES_LIMIT + INT64_C(1000) * INT32_MIN;

	return now <= most && now >= -most;
}

static inline int64_t
times_from_uptime_near(uint32_t uptime, int64_t now, uint32_t uptime_now)
{
	return now + INT64_C(1000) * (int32_t) (uptime - uptime_now);
}

#endif							/* LASTFLUSS_TIMES_H */
