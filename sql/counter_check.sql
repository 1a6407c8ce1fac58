/*
 * counter_check(): flows against the interfaces' own counters; and what doctor()
 * makes of it.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
SET client_min_messages = error;    -- the collector's database is another one
\set SHOW_CONTEXT never
SET timezone = 'UTC';

CREATE TABLE checked (
    id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text,
    ingress boolean NOT NULL, remote_asn bigint, local_asn bigint);
SELECT lastfluss.set('table', 'checked');

-- The minute in which the samples begin, and what a check of it shows: slots by
-- their distance from it in seconds.
CREATE TEMPORARY TABLE origin AS SELECT date_bin('10 min', now() - interval '45 min', 'epoch') AS at;
CREATE FUNCTION pg_temp.checked(step interval DEFAULT NULL, overhead integer DEFAULT NULL)
RETURNS TABLE (iface text, ingress boolean, second integer, slot interval, flows bigint, counters bigint, ratio numeric,
    flow_packets bigint, counter_packets bigint, packet_ratio numeric) LANGUAGE sql AS $$
    SELECT c.iface, c.ingress, extract(epoch FROM c."time" - o.at)::integer, c.slot, c.flow_bytes, c.counter_bytes,
           trim_scale(c.ratio), c.flow_packets, c.counter_packets, trim_scale(c.packet_ratio)
    FROM lastfluss.counter_check('1 hour', $1, $2) c, origin o;
$$;

-- Samples every "distance" seconds, from "start" on, of a counter that grows by
-- "rate" octets, and by a packet for 1000 octets, in a second; out: a tenth of it.
CREATE PROCEDURE pg_temp.samples(host inet, id bigint, start integer, distance integer, count integer, rate numeric,
    base numeric DEFAULT 0, packets boolean DEFAULT true) LANGUAGE sql AS $$
    INSERT INTO lastfluss.counters (host, id, "time", in_octets, out_octets, in_packets, out_packets)
    SELECT $1, $2, at + make_interval(secs => s), $7 + $6 * (s - $3), $6 / 10 * (s - $3),
           CASE WHEN $8 THEN $6 / 1000 * (s - $3) END, CASE WHEN $8 THEN $6 / 10000 * (s - $3) END
    FROM origin, generate_series($3, $3 + $4 * ($5 - 1), $4) s;
$$;

-- No counters: no rows.
SELECT * FROM pg_temp.checked();

/* The original's seven columns */

SELECT lastfluss.add_interface('A', '192.0.2.1', 1);
CALL pg_temp.samples('192.0.2.1', 1, 7, 30, 11, 1000);
INSERT INTO checked ("time", bandwidth, iface, ingress)
SELECT at + make_interval(secs => 60 * m), 4000, 'A', true
FROM origin, generate_series(0, 5) m, generate_series(1, 2);
-- Slots that samples cover: not the first, which begins 7 s before them.
SELECT * FROM pg_temp.checked();

/* Packets, and the overhead of framing */

ALTER TABLE checked ADD bytes bigint, ADD packets bigint;
TRUNCATE checked;
INSERT INTO checked ("time", bandwidth, iface, ingress, bytes, packets)
SELECT at + make_interval(secs => 60 * m), 1, 'A', d, b * 982, b
FROM origin, generate_series(0, 5) m, (VALUES (true, 40), (true, 20), (false, 6)) v (d, b);
SELECT * FROM pg_temp.checked();
SELECT DISTINCT ingress, ratio FROM pg_temp.checked(overhead => 0);
-- Rows of before the columns have nothing in them.
UPDATE checked SET bytes = NULL, packets = NULL, bandwidth = 4000 WHERE ingress AND bytes = 40 * 982;
SELECT DISTINCT ingress, flows, flow_packets FROM pg_temp.checked();
UPDATE checked SET bytes = 40 * 982, packets = 40 WHERE bytes IS NULL;

/* The step */

SELECT * FROM pg_temp.checked(step => '2 min') WHERE ingress;
SELECT * FROM lastfluss.counter_check(step => '90 s');
SELECT * FROM lastfluss.counter_check(step => '0');
SELECT * FROM lastfluss.counter_check('-1 hour');
SELECT * FROM lastfluss.counter_check(NULL);
SELECT * FROM lastfluss.counter_check(overhead => -1);
-- SNMP every five minutes, by a clock that is a little fast.
SELECT lastfluss.add_interface('B', '192.0.2.1', 2);
CALL pg_temp.samples('192.0.2.1', 2, 10, 299, 5, 1000, packets => false);
SELECT * FROM pg_temp.checked() WHERE iface = 'B' AND ingress;
-- With samples that are rarer than the slots, their mean.
SELECT second, counters FROM pg_temp.checked('1 min') WHERE iface = 'B' AND ingress AND second < 300;

/* Slots that are over, and whose flows can be there */

SELECT lastfluss.add_interface('now', '192.0.2.1', 3);
INSERT INTO lastfluss.counters (host, id, "time", in_octets, out_octets)
SELECT '192.0.2.1', 3, now() + make_interval(secs => 30 * s), 1000 * s + 100000, 0 FROM generate_series(-12, 4) s;
SELECT max("time") + 2 * interval '1 min' <= now() - interval '1 s' * coalesce((SELECT value FROM lastfluss.settings WHERE name = 'window')::integer, 0)
    AND max("time") + 4 * interval '1 min' > now() - interval '1 s' * coalesce((SELECT value FROM lastfluss.settings WHERE name = 'window')::integer, 0) AS edge
FROM lastfluss.counter_check() WHERE iface = 'now';
SELECT lastfluss.remove_interface('192.0.2.1', 3);
-- and not before "since"
SELECT count(*) FROM lastfluss.counter_check('10 min');

/* Several ports of one name: the sum, where all have samples */

SELECT lastfluss.add_interface('B', '192.0.2.2', 2);
SELECT count(*) FROM pg_temp.checked() WHERE iface = 'B';
CALL pg_temp.samples('192.0.2.2', 2, 250, 60, 10, 500, packets => false);
SELECT second, slot, flows, counters, ratio, flow_packets, counter_packets FROM pg_temp.checked() WHERE iface = 'B' AND ingress;

/* VLANs: a port's counters are not theirs */

SELECT lastfluss.add_interface('VLAN 5', '192.0.2.2', 2, vlan => 5);
SELECT DISTINCT iface FROM pg_temp.checked();
DELETE FROM lastfluss.interface WHERE name <> 'A';

/* Counters that go back */

CREATE FUNCTION pg_temp.seconds(id bigint) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(c.second || ':' || c.counters, ' ' ORDER BY c.second)
    FROM pg_temp.checked() c JOIN lastfluss.interface i ON i.name = c.iface
    WHERE i.id = $1 AND c.ingress;
$$;
-- a 32-bit counter wraps
SELECT lastfluss.add_interface('wraps', '192.0.2.1', 11);
CALL pg_temp.samples('192.0.2.1', 11, 0, 60, 6, 1000000, 4294967296 - 150000000);
UPDATE lastfluss.counters SET in_octets = in_octets % 4294967296 WHERE id = 11;
SELECT pg_temp.seconds(11);
-- it would have grown by more than half of the range
SELECT lastfluss.add_interface('anew', '192.0.2.1', 12);
CALL pg_temp.samples('192.0.2.1', 12, 0, 60, 6, 1000000, 1000000000);
UPDATE lastfluss.counters c SET in_octets = c.in_octets - 1150000000 FROM origin WHERE id = 12 AND "time" > at + interval '150 s';
SELECT pg_temp.seconds(12);
-- a 64-bit counter does not wrap there
SELECT lastfluss.add_interface('wide', '192.0.2.1', 13);
CALL pg_temp.samples('192.0.2.1', 13, 0, 60, 6, 1000000, 4294967296 - 150000000);
UPDATE lastfluss.counters c SET in_octets = c.in_octets - 4294967296 FROM origin WHERE id = 13 AND "time" > at + interval '210 s';
SELECT pg_temp.seconds(13);
-- when the other direction starts anew, so does this one
SELECT lastfluss.add_interface('other', '192.0.2.1', 14);
CALL pg_temp.samples('192.0.2.1', 14, 0, 60, 6, 1000000, 1000);
UPDATE lastfluss.counters c SET out_octets = c.out_octets - 15000000 FROM origin WHERE id = 14 AND "time" > at + interval '150 s';
SELECT pg_temp.seconds(14);
-- faster than the port: it started anew, unseen
SELECT lastfluss.add_interface('fast', '192.0.2.1', 15);
CALL pg_temp.samples('192.0.2.1', 15, 0, 60, 6, 1000000);
UPDATE lastfluss.counters c SET speed = 10000000, in_octets = c.in_octets + CASE WHEN "time" > at + interval '150 s' THEN 1000000000 ELSE 0 END
FROM origin WHERE id = 15;
SELECT pg_temp.seconds(15);
UPDATE lastfluss.counters c SET speed = 4294967295 WHERE id = 15;
SELECT pg_temp.seconds(15);
-- 32-bit packets wrap by themselves
SELECT lastfluss.add_interface('packets', '192.0.2.1', 16);
CALL pg_temp.samples('192.0.2.1', 16, 0, 60, 3, 1000000);
UPDATE lastfluss.counters SET in_packets = (in_packets + 4294900000) % 4294967296 WHERE id = 16;
SELECT second, counters, counter_packets FROM pg_temp.checked() WHERE iface = 'packets' AND ingress;
-- a gap much longer than usual; one sample that is missing is none
SELECT lastfluss.add_interface('gap', '192.0.2.1', 17);
CALL pg_temp.samples('192.0.2.1', 17, 0, 30, 31, 1000);
DELETE FROM lastfluss.counters USING origin WHERE id = 17
    AND "time" - at IN ('90 s', '300 s', '330 s', '360 s', '390 s', '420 s');
SELECT pg_temp.seconds(17);
-- what no counter can be
UPDATE lastfluss.counters SET in_octets = 18446744073709551615 WHERE id = 17 AND "time" = (SELECT at + interval '900 s' FROM origin);
SELECT pg_temp.seconds(17);
-- nothing counted, nothing to compare with
SELECT lastfluss.add_interface('idle', '192.0.2.1', 18);
CALL pg_temp.samples('192.0.2.1', 18, 0, 60, 3, 0);
SELECT * FROM pg_temp.checked() WHERE iface = 'idle';

/* What the doctor says */

TRUNCATE lastfluss.counters;
DELETE FROM lastfluss.interface;
TRUNCATE checked;
SELECT * FROM lastfluss._doctor_counters();
-- It looks at a quarter of an hour: a megabyte a second, 1000 octets a packet, and
-- how much of it flows tell.
UPDATE origin SET at = date_bin('1 min', now() - interval '20 min', 'epoch');
CREATE PROCEDURE pg_temp.interface(name text, id bigint, rate_in float8, rate_out float8, sample bigint DEFAULT NULL) LANGUAGE sql AS $$
    SELECT lastfluss.add_interface($1, '192.0.2.1', $2, sample => $5);
    CALL pg_temp.samples('192.0.2.1', $2, 0, 30, 50, 1000000);
    INSERT INTO checked ("time", bandwidth, iface, ingress, bytes, packets)
    SELECT at + make_interval(secs => 60 * m), 1, $1, d, b * 982 * 60, b * 60
    FROM origin, generate_series(0, 22) m, (VALUES (true, 1000 * $3), (false, 100 * $4)) v (d, b)
    WHERE b > 0;
$$;
CALL pg_temp.interface('right', 1, 1, 1);
SELECT * FROM lastfluss._doctor_counters();
CALL pg_temp.interface('unsampled', 2, 0.01, 0.01);
CALL pg_temp.interface('wrong sample', 3, 0.1, 0.1, 100);
CALL pg_temp.interface('too much', 4, 4, 4, 400);
CALL pg_temp.interface('twice', 5, 2, 2);
CALL pg_temp.interface('one direction', 6, 1, 0);
CALL pg_temp.interface('parts', 7, 0.7, 0.3);
CALL pg_temp.interface('nothing', 8, 0, 0);
-- Nothing is said of what is sampled too seldom to tell, of an interface that is
-- new or silent, and of the time in which nobody collected.
CALL pg_temp.interface('seldom', 9, 0.3, 0.3, 1000);
CALL pg_temp.interface('new', 10, 1, 1);
DELETE FROM checked USING origin WHERE iface = 'new' AND "time" < at + interval '14 min';
SELECT lastfluss.add_interface('silent', '192.0.2.1', 11);
CALL pg_temp.samples('192.0.2.1', 11, 0, 30, 50, 100);
DELETE FROM checked USING origin WHERE "time" - at IN ('11 min', '12 min', '13 min');
SELECT * FROM lastfluss._doctor_counters() ORDER BY finding COLLATE "C";

-- Whoever may not read all of it is told so.
CREATE ROLE regress_lastfluss_monitor IN ROLE pg_monitor;
SET ROLE regress_lastfluss_monitor;
SELECT * FROM lastfluss._doctor_counters();
SELECT * FROM lastfluss.counter_check();
RESET ROLE;
GRANT SELECT ON checked, lastfluss.interface, lastfluss.counters TO regress_lastfluss_monitor;
SET ROLE regress_lastfluss_monitor;
SELECT count(*) FROM lastfluss._doctor_counters();
RESET ROLE;

-- No table, no rows.
DROP TABLE checked;
SELECT * FROM lastfluss.counter_check();
TRUNCATE lastfluss.counters;
DELETE FROM lastfluss.interface;
SELECT lastfluss.reset('table');
DROP OWNED BY regress_lastfluss_monitor;
DROP ROLE regress_lastfluss_monitor;
