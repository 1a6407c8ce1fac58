/*
 * What the doctor says of the table: partitions, growth and disk.  The collector's
 * database is another one, so that its parts are called by themselves.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
SET client_min_messages = error;
SET timezone = 'America/New_York';
SET datestyle = 'SQL, DMY';

SELECT status, topic FROM lastfluss.doctor();
SELECT lastfluss.set('table', 'watched');

-- No table yet
SELECT * FROM lastfluss._doctor_partitions();
SELECT * FROM lastfluss._doctor_disk();

-- Free disk, where the table is
SELECT lastfluss._free_disk(0) > 0 AS has, lastfluss._free_disk((SELECT oid FROM pg_tablespace WHERE spcname = 'pg_default')) > 0 AS has,
    lastfluss._free_disk(99999) AS unknown;
CREATE PROCEDURE pg_temp.free(octets bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION lastfluss._free_disk(tablespace oid) RETURNS bigint LANGUAGE sql AS ''SELECT %s::bigint''', $1);
END;
$$;

/* Partitions */

CREATE TABLE watched (id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text, ingress boolean NOT NULL)
    PARTITION BY RANGE ("time");
-- days from "first" to before "last", counted from today
CREATE PROCEDURE pg_temp.partition(name text, first integer, last integer) LANGUAGE plpgsql AS $$
DECLARE
    today date := now() AT TIME ZONE 'UTC';
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF watched FOR VALUES FROM (%L) TO (%L)', $1,
                   (today + $2) || ' 00:00:00+00', (today + $3) || ' 00:00:00+00');
END;
$$;
CREATE FUNCTION pg_temp.said(part text, OUT status text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT status, regexp_replace(finding, ''[0-9.]+ (bytes|[kMGT]B)'', ''SIZE'', ''g''), regexp_replace(advice, ''20[0-9-]+'', ''DAY'', ''g'')
        FROM lastfluss.%I()', '_doctor_' || $1);
END;
$$;

SELECT * FROM lastfluss._doctor_partitions();       -- without any partition
CALL pg_temp.partition('today', 0, 1);
SELECT * FROM pg_temp.said('partitions');
-- The advice works.
DO $$ BEGIN EXECUTE (SELECT advice FROM lastfluss._doctor_partitions()); END $$;
SELECT * FROM pg_temp.said('partitions');
SELECT relname = to_char(now() AT TIME ZONE 'UTC' + interval '1 day', '"watched_"YYYYMMDD') FROM pg_class
WHERE oid IN (SELECT partition FROM lastfluss._partitions('watched') WHERE starts > now());
-- rows in the default partition, and those that will be there
CREATE TABLE "the rest" PARTITION OF watched DEFAULT;
SELECT * FROM pg_temp.said('partitions');
INSERT INTO watched SELECT 1, now() - interval '10 days', 1, 'A', true;
SELECT * FROM pg_temp.said('partitions');
DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', partition) FROM lastfluss._partitions('watched') WHERE starts > now()); END $$;
SELECT * FROM pg_temp.said('partitions') ORDER BY finding;
DROP TABLE "the rest";
CALL pg_temp.partition('the future', 1, 400);
SELECT * FROM pg_temp.said('partitions');

/* Disk */

-- Nothing is known of the growth yet.
CALL pg_temp.free(1024 * 1024 * 1024);
SELECT * FROM pg_temp.said('disk');
-- Three days with about a megabyte each, long before them one with more.
CALL pg_temp.partition('day 3', -3, -2);
CALL pg_temp.partition('day 2', -2, -1);
CALL pg_temp.partition('day 1', -1, 0);
CALL pg_temp.partition('long ago', -100, -99);
INSERT INTO watched ("time", bandwidth, ingress)
SELECT date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * d), 1, true
FROM (SELECT generate_series(1, 3) UNION ALL VALUES (100), (100)) v (d), generate_series(1, 20000);
SELECT status, substring(finding from 'grows by.*a day') ~ '^grows by (8..|9..|1[0-4]..) kB a day$' AS grows, advice FROM lastfluss._doctor_disk();
CALL pg_temp.free(20 * 1024 * 1024);
SELECT status, finding ~ '; 20 MB are free, enough for (1.|2.) days$' AS days, advice FROM lastfluss._doctor_disk();
CALL pg_temp.free(2 * 1024 * 1024);
SELECT status, finding ~ '; 2048 kB are free, enough for [12]\.. days$' AS days, advice FROM lastfluss._doctor_disk();
CALL pg_temp.free(100::bigint * 1024 * 1024 * 1024);
SELECT * FROM pg_temp.said('disk');

-- A plain table
DROP TABLE watched;
CREATE TABLE watched (id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text, ingress boolean NOT NULL);
SELECT * FROM lastfluss._doctor_partitions();
SELECT * FROM pg_temp.said('disk');

-- pg_monitor needs no right on the table.
CREATE ROLE regress_lastfluss_monitor IN ROLE pg_monitor;
GRANT CREATE, USAGE ON SCHEMA public TO regress_lastfluss_monitor;
SET ROLE regress_lastfluss_monitor;
SELECT status FROM lastfluss._doctor_disk();
RESET ROLE;

DROP TABLE watched;
SELECT lastfluss.reset('table');
DROP OWNED BY regress_lastfluss_monitor;
DROP ROLE regress_lastfluss_monitor;
CREATE OR REPLACE FUNCTION lastfluss._free_disk(tablespace oid) RETURNS bigint
AS '$libdir/lastfluss', 'lastfluss_free_disk' LANGUAGE C STRICT VOLATILE;
