-- The history of AS-Stats, from the lines of fetch-history.sh on standard input:
--
--   sh fetch-history.sh /var/lib/as-stats/rrd | psql -d lastfluss -f import-history.sql
--
-- The interface is the tag, as import_knownlinks() names it.  An archive's row is divided
-- into rows of at most "slot" seconds, to the octet: -v slot=3600 makes it smoother, and
-- larger.  packets, flows and local_asn are not known, and stay null.
--
-- Only what is older than the oldest row of these interfaces is taken, so that nothing is
-- counted twice: run it again, or after the collector began, as you like.  All of it
-- happens in one transaction.

\set ON_ERROR_STOP on
\if :{?slot}
\else
\set slot 14400
\endif

BEGIN;
SET LOCAL timezone = 'UTC';

CREATE TEMPORARY TABLE history (
    asn       bigint NOT NULL,
    tag       text NOT NULL,
    direction text NOT NULL,
    family    smallint NOT NULL,
    start     bigint NOT NULL,
    step      integer NOT NULL,
    rate      float8 NOT NULL
) ON COMMIT DROP;
\copy history FROM pstdin

-- replay() of an empty capture makes the table where it is missing.
SELECT FROM lastfluss.replay('\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001');
SELECT lastfluss._table() AS traffic \gset

DELETE FROM history h
USING (SELECT extract(epoch FROM min("time")) AS oldest FROM :traffic
       WHERE iface IN (SELECT tag FROM history)) t
WHERE h.start + h.step > t.oldest;

-- Partitions are made ahead, but not for the past.
DO $$
DECLARE
    traffic regclass := lastfluss._table();
    space   name;
    parent  name;
    day     date;
BEGIN
    SELECT n.nspname, c.relname INTO space, parent
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = traffic AND c.relkind = 'p';
    FOR day IN
        SELECT d::date FROM (SELECT min(start) AS first, max(start + step) - 1 AS last FROM history) h,
            generate_series(date_trunc('day', to_timestamp(h.first)), to_timestamp(h.last), '1 day') d
        WHERE parent IS NOT NULL
          AND NOT EXISTS (SELECT FROM lastfluss._partitions(traffic) p
                          WHERE p.starts < d + interval '1 day' AND p.ends > d)
    LOOP
        EXECUTE format('CREATE TABLE %I.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                       space, left(parent, 54) || to_char(day, '_YYYYMMDD'), traffic, day::timestamptz, (day + 1)::timestamptz);
    END LOOP;
END;
$$;

WITH part AS (
    SELECT h.*, n, round(h.rate * h.step)::numeric AS octets, ceil(h.step::float8 / :slot)::integer AS parts
    FROM history h, generate_series(0, ceil(h.step::float8 / :slot)::integer - 1) AS n
)
INSERT INTO :traffic ("time", bandwidth, iface, ingress, remote_asn, family, bytes)
SELECT to_timestamp(start + step::float8 * n / parts), 8 * rate, tag, direction = 'in', asn, family,
       div(octets * (n + 1), parts) - div(octets * n, parts)
FROM part ORDER BY 1;

-- The rollups of that time are to be done again, where they were done already.
SELECT coalesce((SELECT lastfluss.rollup_again(to_timestamp(min(start)), to_timestamp(max(start + step)))
                 FROM history HAVING count(*) > 0), 0) AS again \gset

COMMIT;
