/*
 * Answers: traffic() against plain SQL on the table, whatever serves it; top lists,
 * reports, percentiles, candidates for peering; who may ask.  (What is not written
 * yet is tested in src/test/t/070_answers.pl, pictures in sql/plot.sql.)
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
SET client_min_messages = error;    -- the collector's database is another one
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET extra_float_digits = 0;

/* Without a table there are no rows. */

SELECT lastfluss.set('table', 'asked');
SELECT * FROM lastfluss.traffic('2024-03-01');
SELECT * FROM lastfluss.top_asns();
SELECT * FROM lastfluss.asn_report(1);
SELECT * FROM lastfluss.interface_report();
SELECT * FROM lastfluss.percentile('A', '2024-03-01');

/* The original's seven columns: bytes by the period */

CREATE TABLE asked (
    id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text,
    ingress boolean NOT NULL, remote_asn bigint, local_asn bigint);
SELECT * FROM lastfluss.traffic('2024-03-01');
SELECT * FROM lastfluss.top_asns();
INSERT INTO asked ("time", bandwidth, iface, ingress, remote_asn, local_asn) VALUES
    ('2024-03-01 00:00', 800, 'A', true, 1, 10), ('2024-03-01 00:01', 1600, 'A', true, 1, 10),
    ('2024-03-01 00:01', 80, 'A', true, NULL, NULL), ('2024-03-01 00:04', 400, 'A', false, 0, 10),
    ('2024-03-01 00:05', 8, NULL, false, 2, 20);
SELECT * FROM lastfluss.traffic('2024-03-01', '2024-03-02', '5 min') ORDER BY "time", ingress, remote_asn;
SELECT * FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 min', by => '{ingress}');
SELECT * FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 hour', by => '{}');
SELECT rank, asn, name, ingress, egress, share, incoming, outgoing FROM lastfluss.top_asns(from_time => '2024-03-01', until => '2024-03-01 00:10');
SELECT iface, ipv6, share FROM lastfluss.asn_report(2, from_time => '2024-03-01', until => '2024-03-01 00:10');

/* Buckets are whole: those that the range touches. */

SELECT "time", bytes FROM lastfluss.traffic('2024-03-01 00:01:30', '2024-03-01 00:04:01', '2 min', by => '{}');
SELECT "time", bytes FROM lastfluss.traffic('2024-03-01 00:03:59.5', '2024-03-01 00:04', '1 min', by => '{}');
SELECT count(*) FROM lastfluss.traffic('2024-03-01 00:01', '2024-03-01 00:01');
SELECT count(*) FROM lastfluss.traffic('2024-03-02', '2024-03-01');
SELECT sum(bytes) FROM lastfluss.traffic('-infinity', 'infinity', '7 days');
-- the step is rounded up to whole periods
SELECT "time", bytes FROM lastfluss.traffic('2024-03-01', '2024-03-01 00:06', '61 s', by => '{}');
SELECT "time", bytes FROM lastfluss.traffic('2024-03-01', '2024-03-01 00:06', '20 ms', by => '{}');
-- what no step was told for
SELECT s AS span, lastfluss._step(s, NULL) FROM unnest('{5 min,1 hour,6 hours,1 day,7 days,30 days,1 year,10 years}'::interval[]) s;

/* Only this traffic */

SELECT bytes, remote_asn FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', remote_asn => '{1}', by => '{remote_asn}');
SELECT bytes, remote_asn FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', remote_asn => '{NULL}', by => '{remote_asn}');
SELECT bytes, remote_asn FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', remote_asn => '{0,NULL}', by => '{remote_asn}') ORDER BY 2;
SELECT count(*) FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', remote_asn => '{}');
SELECT bytes, iface FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', iface => '{NULL,B}', by => '{iface}');
SELECT bytes FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', iface => '{A}', ingress => false, local_asn => '{10}', by => '{}');
SELECT count(*) FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', family => 4);

/* What cannot be asked */

SELECT * FROM lastfluss.traffic(NULL);
SELECT * FROM lastfluss.traffic('2024-03-01', step => '0');
SELECT * FROM lastfluss.traffic('2024-03-01', step => '1 month');
SELECT * FROM lastfluss.traffic('2024-03-01', by => '{asn}');
SELECT * FROM lastfluss.traffic('2024-03-01', by => '{NULL}');
SELECT * FROM lastfluss.top_asns('-1 hour');
SELECT * FROM lastfluss.top_asns(NULL);
SELECT * FROM lastfluss.top_asns(n => -1);
SELECT * FROM lastfluss.top_asns(from_time => '2024-03-02', until => '2024-03-01');
SELECT * FROM lastfluss.percentile('A', '2024-03-01', 95);
SELECT * FROM lastfluss.percentile('A', '2024-03-01', missing => 'null');
SELECT * FROM lastfluss.percentile('A', '2024-03-01', zone => 'nowhere');
SELECT * FROM lastfluss.peering_candidates(tolerance => 2);
SELECT * FROM lastfluss.peering_candidates(n => NULL);
DROP TABLE asked;

/*
 * Four days of made-up traffic, in our columns, with the rollups that maintenance
 * would make of it.
 */

CREATE TABLE asked (
    id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text, ingress boolean NOT NULL, remote_asn bigint,
    local_asn bigint, family smallint, bytes bigint, packets bigint, flows bigint);
-- numbers that look random, and are the same everywhere
CREATE FUNCTION pg_temp.random(seed text, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || substr(md5(seed), 1, 15))::bit(60)::bigint % below;
$$;
INSERT INTO asked ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT t, (b * 8 / 60.0)::real, (ARRAY['A', 'B', 'C'])[1 + pg_temp.random('i' || k, 3)], pg_temp.random('d' || k, 2) = 0,
       nullif(pg_temp.random('r' || k, 12), 11), 10 + pg_temp.random('l' || k, 2), (ARRAY[4, 6, NULL])[1 + pg_temp.random('f' || k, 3)], b, b / 700 + 1, 1
FROM generate_series(timestamptz '2024-03-01 00:00', '2024-03-04 23:59', '1 min') t
CROSS JOIN LATERAL (SELECT t || ' ' || n AS k FROM generate_series(1, 3) n) k
CROSS JOIN LATERAL (SELECT pg_temp.random('b' || k, 1000000007) AS b) b
WHERE pg_temp.random('x' || k, 10) < 8;

CREATE TABLE asked_5m (LIKE asked, peak real NOT NULL);
CREATE TABLE asked_1h (LIKE asked_5m);
CREATE TABLE asked_1d (LIKE asked_5m);
-- Sums as the collector makes them.
CREATE TABLE asked_5m_total ("time" timestamptz NOT NULL, bytes bigint, packets bigint, flows bigint, family smallint, ingress boolean NOT NULL, iface text);
CREATE TABLE asked_1h_total (LIKE asked_5m_total);
CREATE TABLE asked_1d_total (LIKE asked_5m_total);
CREATE TABLE asked_5m_remote (LIKE asked_5m_total, remote_asn bigint);
CREATE TABLE asked_1h_remote (LIKE asked_5m_remote);
CREATE TABLE asked_1d_remote (LIKE asked_5m_remote);
CREATE TABLE asked_6h_remote (LIKE asked_5m_remote);
CREATE TABLE asked_1w_remote (LIKE asked_5m_remote);
CREATE TABLE asked_5m_local (LIKE asked_5m_total, local_asn bigint);
CREATE TABLE asked_1h_local (LIKE asked_5m_local);
CREATE TABLE asked_1d_local (LIKE asked_5m_local);
CREATE TABLE asked_6h_local (LIKE asked_5m_local);
CREATE TABLE asked_1w_local (LIKE asked_5m_local);
CREATE PROCEDURE pg_temp.sum_up(name text, source text, step interval, key text, since timestamptz, until timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM asked_%s WHERE "time" >= $1 AND "time" < $2', name) USING since, until;
    EXECUTE format('INSERT INTO asked_%1$s ("time", iface, ingress, bytes, packets, flows%3$s)
        SELECT date_bin($3, "time", ''epoch''), iface, ingress, sum(bytes), sum(packets), sum(flows)%3$s
        FROM asked_%2$s WHERE "time" >= $1 AND "time" < $2 GROUP BY 1, 2, 3%3$s', name, source, key)
    USING since, until, step;
    INSERT INTO lastfluss._rollup AS r (traffic, name, relation, complete_from, complete_until)
    SELECT 'asked'::regclass, name, ('asked_' || name)::regclass, since, until
    ON CONFLICT ON CONSTRAINT _rollup_pkey DO UPDATE SET complete_from = least(r.complete_from, excluded.complete_from), complete_until = greatest(r.complete_until, excluded.complete_until);
END;
$$;
CREATE PROCEDURE pg_temp.roll(name text, step interval, since timestamptz, until timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM %I WHERE "time" >= $1 AND "time" < $2', 'asked_' || name) USING since, until;
    EXECUTE format('INSERT INTO %I SELECT 1, date_bin($3, "time", ''epoch''), sum(bytes) * 8 / extract(epoch FROM $3), iface, ingress, remote_asn, local_asn, family,
        sum(bytes), sum(packets), sum(flows), max(bandwidth) FROM asked WHERE "time" >= $1 AND "time" < $2 GROUP BY 2, 4, 5, 6, 7, 8', 'asked_' || name)
    USING since, until, step;
    INSERT INTO lastfluss._rollup AS r (traffic, name, relation, complete_from, complete_until)
    SELECT 'asked'::regclass, name, ('asked_' || name)::regclass, since, until
    ON CONFLICT ON CONSTRAINT _rollup_pkey DO UPDATE SET complete_from = least(r.complete_from, excluded.complete_from), complete_until = greatest(r.complete_until, excluded.complete_until);
    CALL pg_temp.sum_up(name || '_total', name, step, ', family', since, until);
    CALL pg_temp.sum_up(name || '_remote', name, step, ', family, remote_asn', since, until);
    CALL pg_temp.sum_up(name || '_local', name, step, ', family, local_asn', since, until);
    IF name = '1h' THEN
        CALL pg_temp.sum_up('6h_remote', '1h_remote', '6 hours', ', remote_asn', since, until);
        CALL pg_temp.sum_up('6h_local', '1h_local', '6 hours', ', local_asn', since, until);
    END IF;
END;
$$;

-- traffic() for many ranges, steps and filters, less plain SQL, and the other way
-- round: what differs.
CREATE FUNCTION pg_temp.differs(cases integer, steps text[], seed text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    since  timestamptz;
    until  timestamptz;
    step   interval;
    asns   bigint[];
    ifaces text[];
    way    boolean;
    dims   text[];
    n      bigint;
    result bigint := 0;
BEGIN
    FOR c IN 1 .. cases LOOP
        since := timestamptz '2024-02-29 20:00' + make_interval(secs => pg_temp.random(seed || 'since' || c, 4 * 86400));
        until := since + make_interval(secs => 1 + pg_temp.random(seed || 'until' || c, CASE WHEN c % 2 = 0 THEN 7200 ELSE 300000 END));
        step := steps[1 + pg_temp.random(seed || 'step' || c, cardinality(steps))];
        asns := (ARRAY[NULL, '{3}', '{NULL}', '{1,2,NULL}', '{4,5}'])[1 + pg_temp.random(seed || 'asns' || c, 5)];
        ifaces := (ARRAY[NULL, '{A}', '{B,C}'])[1 + pg_temp.random(seed || 'ifaces' || c, 3)];
        way := (ARRAY[NULL, true, false])[1 + pg_temp.random(seed || 'way' || c, 3)];
        dims := (ARRAY['{iface,ingress,family,remote_asn,local_asn}', '{iface,ingress}', '{remote_asn}', '{}', '{family,local_asn}'])[1 + pg_temp.random(seed || 'by' || c, 5)];
        WITH answer AS (
            SELECT t."time", t.iface, t.ingress, t.family, t.remote_asn, t.local_asn, t.bytes, t.packets, t.flows, t.bandwidth
            FROM lastfluss.traffic(since, until, step, ifaces, asns, ingress => way, by => dims) t
        ), naive AS (
            SELECT date_bin(step, a."time", 'epoch') AS "time", CASE WHEN 'iface' = ANY (dims) THEN a.iface END, CASE WHEN 'ingress' = ANY (dims) THEN a.ingress END,
                   CASE WHEN 'family' = ANY (dims) THEN a.family END, CASE WHEN 'remote_asn' = ANY (dims) THEN a.remote_asn END,
                   CASE WHEN 'local_asn' = ANY (dims) THEN a.local_asn END, sum(a.bytes)::bigint, sum(a.packets)::bigint, sum(a.flows)::bigint,
                   (sum(a.bytes)::float8 * 8 / extract(epoch FROM step)::float8)::real
            FROM asked a
            WHERE a."time" >= date_bin(step, since, 'epoch') AND a."time" < date_bin(step, until - interval '1 us', 'epoch') + step
              AND (ifaces IS NULL OR a.iface = ANY (ifaces)) AND (way IS NULL OR a.ingress = way)
              AND (asns IS NULL OR a.remote_asn = ANY (asns) OR a.remote_asn IS NULL AND array_position(asns, NULL) IS NOT NULL)
            GROUP BY 1, 2, 3, 4, 5, 6
        )
        SELECT count(*) INTO n FROM ((TABLE answer EXCEPT ALL TABLE naive) UNION ALL (TABLE naive EXCEPT ALL TABLE answer)) d;
        IF n > 0 THEN
            RAISE INFO 'differs: % to %, step %, asns %, ifaces %, ingress %, by %', since, until, step, asns, ifaces, way, dims;
        END IF;
        result := result + n;
    END LOOP;
    RETURN result;
END;
$$;
-- the same for ranges that are no buckets, as top lists have them
CREATE FUNCTION pg_temp.lists_differ(since timestamptz, until timestamptz, columns text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    list   CONSTANT text := array_to_string(columns, ', ');
    result bigint;
BEGIN
    EXECUTE format('WITH answer AS (SELECT %1$s, sum(bytes) AS bytes FROM (%2$s) r GROUP BY %1$s),
            naive AS (SELECT %1$s, sum(bytes) AS bytes FROM asked WHERE "time" >= $1 AND "time" < $2 GROUP BY %1$s)
        SELECT count(*) FROM ((TABLE answer EXCEPT ALL TABLE naive) UNION ALL (TABLE naive EXCEPT ALL TABLE answer)) d',
        list, lastfluss._rows(since, until, by_columns => columns))
    INTO result USING since, until;
    IF result > 0 THEN
        RAISE INFO 'differs: % to % by %', since, until, list;
    END IF;
    RETURN result;
END;
$$;
CREATE FUNCTION pg_temp.sums_differ(cases integer, seed text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    since  timestamptz;
    until  timestamptz;
    answer numeric;
    naive  numeric;
    result bigint := 0;
BEGIN
    FOR c IN 1 .. cases LOOP
        since := timestamptz '2024-02-29 20:00' + make_interval(secs => pg_temp.random(seed || 'since' || c, 4 * 86400));
        until := since + make_interval(secs => 1 + pg_temp.random(seed || 'until' || c, CASE WHEN c % 2 = 0 THEN 7200 ELSE 300000 END));
        EXECUTE format('SELECT coalesce(sum(bytes), 0) FROM (%s) r', lastfluss._rows(since, until)) INTO answer;
        SELECT coalesce(sum(a.bytes), 0) INTO naive FROM asked a WHERE a."time" >= since AND a."time" < until;
        IF answer <> naive THEN
            RAISE INFO 'differs: % to %: % %', since, until, answer, naive;
            result := result + 1;
        END IF;
        result := result + pg_temp.lists_differ(since, until, (ARRAY['{remote_asn}', '{ingress,local_asn}', '{family,remote_asn}', '{iface,family,local_asn}'])[1 + c % 4]::text[]);
    END LOOP;
    RETURN result;
END;
$$;

-- the table alone
SELECT pg_temp.differs(30, '{1 min,5 min,1 hour,1 day}', 'table'), pg_temp.sums_differ(10, 'table');
-- rollups that know a part of it
CALL pg_temp.roll('5m', '5 min', '2024-03-01 00:00', '2024-03-04 19:25');
CALL pg_temp.roll('1h', '1 hour', '2024-03-01 00:00', '2024-03-04 18:00');
CALL pg_temp.roll('1d', '1 day', '2024-03-01 00:00', '2024-03-04 00:00');
SELECT pg_temp.differs(60, '{1 min,5 min,15 min,1 hour,90 min,6 hours,1 day}', 'rollups'), pg_temp.sums_differ(40, 'rollups');

-- Which relation serves which time
CREATE FUNCTION pg_temp.pieces(since timestamptz, until timestamptz, step interval DEFAULT NULL, sums text[] DEFAULT '{}')
RETURNS TABLE (relation regclass, begins timestamp, ends timestamp) LANGUAGE sql AS $$
    SELECT p.relation, to_timestamp(p.begins)::timestamp, to_timestamp(p.ends)::timestamp
    FROM lastfluss._pieces($1, $2, extract(epoch FROM $3)::bigint, true, $4) p ORDER BY p.begins;
$$;
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '1 day');
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '2 hours');
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '90 min');
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '1 min');
SELECT * FROM pg_temp.pieces('2024-03-01 22:57:30', '2024-03-03 01:06');
SELECT * FROM pg_temp.pieces('2024-03-04 17:00', '2024-03-05', '5 min');
SELECT * FROM pg_temp.pieces('2024-03-01 22:57:30', '2024-03-03 01:06', NULL, '{remote,remote alone}');
-- of six hours: lists alone, without families
SELECT * FROM pg_temp.pieces('2024-03-01 16:57:30', '2024-03-02 13:06', NULL, lastfluss._sums('{ingress,remote_asn}'));
SELECT * FROM pg_temp.pieces('2024-03-01 16:57:30', '2024-03-02 13:06', NULL, lastfluss._sums('{family,local_asn}'));
SELECT * FROM pg_temp.pieces('2024-03-01 17:00', '2024-03-02 13:00', '6 hours', lastfluss._sums('{local_asn}'));
SELECT sum(pg_temp.lists_differ(t, t + '24 hours', ARRAY['iface', c])) FROM generate_series(timestamptz '2024-03-01 00:47', '2024-03-03 18:10', '3 hours 7 min') t, unnest('{remote_asn,local_asn}'::text[]) c;
SELECT * FROM pg_temp.pieces('2024-03-03 22:00', '2024-03-05', '1 hour', '{total}');
UPDATE lastfluss._rollup SET complete_from = '2024-03-04 08:00' WHERE traffic = 'asked'::regclass AND name = '1h_total';
SELECT * FROM pg_temp.pieces('2024-03-03 22:00', '2024-03-05', '1 hour', '{total}');
SELECT pg_temp.differs(10, '{1 hour}', 'totals');
UPDATE lastfluss._rollup SET complete_from = '2024-03-01' WHERE traffic = 'asked'::regclass AND name = '1h_total';

-- peak: of all columns the largest interval's, of fewer the rollup's buckets
SELECT bool_and(t.peak = a.peak) FROM lastfluss.traffic('2024-03-02', '2024-03-03', '6 hours') t
JOIN (SELECT date_bin('6 hours', "time", 'epoch') AS "time", iface, ingress, family, remote_asn, local_asn, max(bandwidth) AS peak FROM asked GROUP BY 1, 2, 3, 4, 5, 6) a
  ON (a."time", a.iface, a.ingress) = (t."time", t.iface, t.ingress) AND a.family IS NOT DISTINCT FROM t.family
     AND a.remote_asn IS NOT DISTINCT FROM t.remote_asn AND a.local_asn = t.local_asn;
SELECT t."time", t.peak = (SELECT max(s) FROM (SELECT (sum(bytes) * 8.0 / 3600)::real AS s FROM asked a WHERE date_bin('1 day', a."time", 'epoch') = t."time"
                           GROUP BY date_bin('1 hour', a."time", 'epoch')) h) AS of_hours
FROM lastfluss.traffic('2024-03-01', '2024-03-05', '12 hours', by => '{}') t WHERE t."time" = '2024-03-04';

-- Rows that come late: their buckets are read from below until they are done again.
INSERT INTO asked ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT t, 8, 'A', true, 3, 10, 4, 60, 1, 1 FROM unnest('{2024-03-01 11:11,2024-03-02 13:00,2024-03-02 13:04,2024-03-02 13:05}'::timestamptz[]) t;
INSERT INTO lastfluss._rollup_dirty SELECT 'asked'::regclass, '5m', t FROM unnest('{2024-03-01 11:11,2024-03-02 13:04,2024-03-02 13:05}'::timestamptz[]) t;
SELECT * FROM pg_temp.pieces('2024-03-01 06:00', '2024-03-02 18:00', '1 hour');
SELECT pg_temp.differs(30, '{5 min,15 min,1 hour,6 hours,1 day}', 'late'), pg_temp.sums_differ(20, 'late');
CALL pg_temp.roll('5m', '5 min', '2024-03-01 00:00', '2024-03-04 19:25');
DELETE FROM lastfluss._rollup_dirty WHERE traffic = 'asked'::regclass;
INSERT INTO lastfluss._rollup_dirty SELECT 'asked'::regclass, '1h', t FROM unnest('{2024-03-01 11:00,2024-03-02 13:00}'::timestamptz[]) t;
SELECT pg_temp.differs(30, '{5 min,15 min,1 hour,6 hours,1 day}', 'later'), pg_temp.sums_differ(20, 'later');
CALL pg_temp.roll('1h', '1 hour', '2024-03-01 00:00', '2024-03-04 18:00');
CALL pg_temp.roll('1d', '1 day', '2024-03-01 00:00', '2024-03-04 00:00');
DELETE FROM lastfluss._rollup_dirty WHERE traffic = 'asked'::regclass;

-- Retention: the finest that is left serves what is asked too finely.
CREATE TABLE kept AS TABLE asked;
INSERT INTO lastfluss._rollup (traffic, name, relation, kept_from) VALUES ('asked'::regclass, 'raw', 'asked'::regclass, '2024-03-03');
DELETE FROM asked WHERE "time" < '2024-03-03';
DELETE FROM asked_5m WHERE "time" < '2024-03-02';
DELETE FROM asked_5m_total WHERE "time" < '2024-03-02';
DELETE FROM asked_5m_remote WHERE "time" < '2024-03-02';
DELETE FROM asked_5m_local WHERE "time" < '2024-03-02';
UPDATE lastfluss._rollup SET kept_from = '2024-03-02', complete_from = '2024-03-02' WHERE traffic = 'asked'::regclass AND name LIKE '5m%';
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '1 min');
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '5 min');
SELECT * FROM pg_temp.pieces('2024-03-01', '2024-03-05', '1 hour');
SELECT * FROM pg_temp.pieces('2024-03-01 10:20', '2024-03-05');
SELECT * FROM pg_temp.pieces('2024-02-27', '2024-03-01 10:20');
SELECT (SELECT sum(bytes) FROM lastfluss.traffic('2024-03-01', '2024-03-05', s)) - (SELECT sum(bytes) FROM kept) AS differs FROM unnest('{1 min,5 min,15 min,1 hour,90 min,1 day}'::interval[]) s;
-- the mean over what such a row stands for
SELECT t."time", t.bandwidth, t.bytes * 8 / t.bandwidth AS seconds FROM lastfluss.traffic('2024-03-01 22:00', '2024-03-02 00:04', '5 min', by => '{}') t;
INSERT INTO asked SELECT * FROM kept WHERE "time" < '2024-03-03';
DELETE FROM lastfluss._rollup WHERE traffic = 'asked'::regclass AND name = 'raw';
UPDATE lastfluss._rollup SET kept_from = '-infinity' WHERE traffic = 'asked'::regclass;
CALL pg_temp.roll('5m', '5 min', '2024-03-01 00:00', '2024-03-04 19:25');
SELECT pg_temp.differs(10, '{5 min,1 hour}', 'again');

/* Top lists */

SELECT lastfluss.import_asns(E'64500 UNUSED\n1 First & Co, DE\n2 Second, AT\n');
CREATE TEMPORARY TABLE top AS SELECT * FROM lastfluss.top_asns(from_time => '2024-03-01 00:10:10', until => '2024-03-04 20:11', n => 4);
SELECT rank, asn, name, share, incoming, outgoing, bar FROM top;
SELECT t.rank, t.asn, t.ingress = round(a.ingress * 8 / s) AND t.egress = round(a.egress * 8 / s) AS exact
FROM top t JOIN (SELECT remote_asn, sum(bytes) FILTER (WHERE ingress)::float8 AS ingress, sum(bytes) FILTER (WHERE NOT ingress)::float8 AS egress,
                        row_number() OVER (ORDER BY sum(bytes) DESC) AS rank
                 FROM asked WHERE "time" >= '2024-03-01 00:10:10' AND "time" < '2024-03-04 20:11' AND remote_asn IS NOT NULL GROUP BY 1) a USING (rank),
     extract(epoch FROM timestamptz '2024-03-04 20:11' - '2024-03-01 00:10:10') s
WHERE t.asn = a.remote_asn ORDER BY 1;
SELECT sum(share), abs(sum(ingress + egress) - (SELECT sum(bytes) * 8 / extract(epoch FROM timestamptz '2024-03-04 20:11' - '2024-03-01 00:10:10')
    FROM asked WHERE "time" >= '2024-03-01 00:10:10' AND "time" < '2024-03-04 20:11')) < 10 AS all_of_it FROM top;
SELECT rank, asn, ingress = 0 AS out_only FROM lastfluss.top_asns('1 day', 2, 'B', until => '2024-03-04', ingress => false, family => 6);
SELECT rank, asn, share FROM lastfluss.top_downstream_asns('1 day', 1, until => '2024-03-04');
SELECT rank, asn, share FROM lastfluss.top_asns('1 day', 0, until => '2024-03-04');
-- roles, and names that interfaces share
INSERT INTO lastfluss.interface (name, host, id, role, speed) VALUES
    ('A', '192.0.2.1', 1, 'transit', 60000000), ('A', '192.0.2.1', 2, 'transit', 40000000), ('B', '192.0.2.1', 3, 'ixp', 100000000),
    ('B', '192.0.2.1', 4, 'ixp', NULL), ('silent', '192.0.2.1', 5, NULL, 1000);
SELECT rank, asn, incoming = (SELECT incoming FROM lastfluss.top_asns('1 day', 1, 'A', until => '2024-03-04') LIMIT 1) AS same
FROM lastfluss.top_asns('1 day', 1, until => '2024-03-04', role => 'transit');
SELECT count(*) FROM lastfluss.top_asns('1 day', 1, 'B', until => '2024-03-04', role => 'transit');

/* Reports */

SELECT iface, role, incoming, outgoing, share, of_interface, ipv6, bar FROM lastfluss.asn_report(3, from_time => '2024-03-01', until => '2024-03-05');
SELECT t.iface, t.share = round(100 * a.bytes / sum(a.bytes) OVER (), 2) AND t.of_interface = round(100 * a.bytes / a.whole, 2) AND t.ipv6 = round(100 * a.ipv6 / a.bytes, 1) AS exact
FROM lastfluss.asn_report(3, from_time => '2024-03-01', until => '2024-03-05') t
JOIN (SELECT iface, sum(bytes) FILTER (WHERE remote_asn = 3) AS bytes, sum(bytes) AS whole, sum(bytes) FILTER (WHERE remote_asn = 3 AND family = 6) AS ipv6
      FROM asked GROUP BY 1) a USING (iface) ORDER BY 1;
SELECT count(*), sum(share) FROM lastfluss.asn_report(NULL, from_time => '2024-03-01', until => '2024-03-05');
SELECT iface, share FROM lastfluss.asn_report(10, '1 hour', until => '2024-03-04', downstream => true);
SELECT iface, role, speed, incoming, outgoing, peak_in, peak_out, used_in, used_out, ipv6, bar FROM lastfluss.interface_report('1 day', until => '2024-03-04');
SELECT t.iface, t.ingress = round(8 / 86400.0 * (SELECT sum(bytes) FROM asked a WHERE a.iface = t.iface AND a.ingress AND a."time" >= '2024-03-03' AND a."time" < '2024-03-04')) AS exact
FROM lastfluss.interface_report('1 day', until => '2024-03-04') t WHERE t.ingress > 0;

/* The billing percentile, against a list of all slots */

CREATE FUNCTION pg_temp.billed(p float8, zone text, missing text) RETURNS TABLE (iface text, ingress boolean, percentile float8, slots bigint, without bigint) LANGUAGE sql AS $$
    WITH slot AS (
        SELECT i, d, s, a.bits
        FROM unnest('{A,B,C}'::text[]) i CROSS JOIN unnest('{t,f}'::boolean[]) d
        CROSS JOIN generate_series(timestamp '2024-03-01' AT TIME ZONE zone, timestamp '2024-04-01' AT TIME ZONE zone - interval '5 min', '5 min') s
        LEFT JOIN (SELECT iface, ingress, "time", sum(bytes)::float8 * 8 / 300 AS bits FROM asked_5m GROUP BY 1, 2, 3) a ON (a.iface, a.ingress, a."time") = (i, d, s)
    )
    SELECT i, d, round(percentile_disc(p) WITHIN GROUP (ORDER BY coalesce(bits, 0)) FILTER (WHERE bits IS NOT NULL OR missing = 'zero')),
           count(*) FILTER (WHERE bits IS NOT NULL OR missing = 'zero'), count(*) FILTER (WHERE bits IS NULL)
    FROM slot GROUP BY 1, 2;
$$;
CALL pg_temp.roll('5m', '5 min', '2024-03-04 19:25', '2024-03-05');
SELECT z, m, p, count(*), min(t.slots), max(t.slots), bool_and((t.percentile, t.slots, t.without) = (b.percentile, b.slots, b.without)) AS same
FROM unnest('{UTC,Europe/Berlin,Asia/Kolkata}'::text[]) z, unnest('{zero,skip}'::text[]) m, unnest('{0.95,0.999,1}'::float8[]) p,
     lastfluss.percentile(NULL, '2024-03-15', p, z, m) t JOIN pg_temp.billed(p, z, m) b USING (iface, ingress)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM lastfluss.percentile('A', '2024-03-31', 0.9, missing => 'skip');
-- an hour less in spring, one more in autumn
SELECT m, (SELECT max(slots) FROM lastfluss.percentile('silent', m, zone => 'Europe/Berlin'))
FROM unnest('{2023-02-01,2023-03-01,2023-10-01,2023-12-01}'::date[]) m;
-- no such interface; a month that has not begun
SELECT * FROM lastfluss.percentile('nobody', '2024-03-01');
SELECT * FROM lastfluss.percentile('A', (now() + interval '40 days')::date);
SELECT * FROM lastfluss.percentile('silent', '2024-03-01');
SELECT * FROM lastfluss.percentile('silent', '2024-03-01', missing => 'skip');
-- a month that runs has as many slots as are over
SELECT slots BETWEEN 0 AND floor(extract(epoch FROM now() - date_trunc('month', now())) / 300) AS so_far FROM lastfluss.percentile('silent') WHERE ingress
UNION ALL SELECT true LIMIT 1;
-- Where only hours are left, each counts as twelve slots of its mean.
UPDATE lastfluss._rollup SET complete_until = '2024-03-05', kept_from = '2024-03-05', complete_from = '2024-03-05' WHERE traffic = 'asked'::regclass AND name LIKE '5m%';
INSERT INTO lastfluss._rollup (traffic, name, relation, kept_from) VALUES ('asked'::regclass, 'raw', 'asked'::regclass, '2024-03-05');
CALL pg_temp.roll('1h', '1 hour', '2024-03-04', '2024-03-05');
SELECT t.iface, t.ingress, t.slots, t.without, t.slot,
       t.percentile = (SELECT round(percentile_disc(0.95) WITHIN GROUP (ORDER BY coalesce(h.bits, 0)))
                       FROM generate_series(timestamptz '2024-03-01', '2024-03-31 23:55', '5 min') s
                       LEFT JOIN (SELECT "time", sum(bytes)::float8 * 8 / 3600 AS bits FROM asked_1h a WHERE a.iface = t.iface AND a.ingress = t.ingress GROUP BY 1) h
                           ON h."time" = date_trunc('hour', s)) AS same
FROM lastfluss.percentile('C', '2024-03-01') t;
DELETE FROM lastfluss._rollup WHERE traffic = 'asked'::regclass;

/*
 * Periods that five minutes are no multiple of: buckets of as many intervals each, so
 * that constant traffic is constant, whether the table serves it or sums by 5 minutes,
 * where an interval counts as a whole in the one that it begins in.
 */

CREATE FUNCTION pg_temp.steps(period text) RETURNS TABLE (of_5_min bigint, of_10_min bigint, of_30_min bigint, of_1_hour bigint, of_1_day bigint, day bigint, year bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lastfluss.set('period', period);
    RETURN QUERY SELECT lastfluss._step(NULL, '5 min'), lastfluss._step(NULL, '10 min'), lastfluss._step(NULL, '30 min'), lastfluss._step(NULL, '1 hour'), lastfluss._step(NULL, '1 day'),
        lastfluss._step('1 day', NULL), lastfluss._step('1 year', NULL);
END;
$$;
SELECT * FROM unnest('{30,40,45,60,100,120,240,299,300,420,600,3600}'::text[]) period, pg_temp.steps(period);
CREATE TABLE steady (LIKE asked);
CREATE TABLE steady_5m_total (LIKE asked_5m_total);
SELECT lastfluss.set('table', 'steady');
CREATE FUNCTION pg_temp.steady(period integer) RETURNS TABLE (served_by text, bits_from float8, bits_until float8, highest real, billed float8, mean float8, slot interval) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lastfluss.set('period', period::text);
    TRUNCATE steady, steady_5m_total;
    -- 80 bit/s for a month, and longer, so that all slots are whole
    INSERT INTO steady SELECT 1, to_timestamp(t), 80, 'A', true, 1, 10, 4, 10 * period, 1, 1
    FROM generate_series(extract(epoch FROM timestamptz '2024-02-01')::bigint / period * period, extract(epoch FROM timestamptz '2024-03-02')::bigint, period) t;
    INSERT INTO steady_5m_total SELECT date_bin('5 min', "time", 'epoch'), sum(bytes), sum(packets), sum(flows), family, ingress, iface FROM steady GROUP BY 1, 5, 6, 7;
    INSERT INTO lastfluss._rollup (traffic, name, relation, complete_from, complete_until) VALUES ('steady'::regclass, '5m_total', 'steady_5m_total'::regclass, '2024-02-01', '2024-03-02')
    ON CONFLICT DO NOTHING;
    FOREACH served_by IN ARRAY '{rollup,table}'::text[] LOOP
        IF served_by = 'table' THEN
            DELETE FROM lastfluss._rollup WHERE traffic = 'steady'::regclass;
        END IF;
        RETURN QUERY SELECT (SELECT string_agg(DISTINCT e.kind, ' ') FROM lastfluss._pieces('2024-02-02', '2024-02-29', lastfluss._step(NULL, '5 min'), false, '{total}') e),
            t.*, b.percentile, b.mean, b.slot
        FROM (SELECT min(t.bandwidth)::float8, max(t.bandwidth)::float8, max(t.peak) FROM lastfluss.traffic('2024-02-02', '2024-02-29', '5 min', by => '{iface}') t) t,
            lastfluss.percentile('A', '2024-02-01', 1, 'UTC') b WHERE b.ingress;
    END LOOP;
END;
$$;
SELECT * FROM unnest('{40,45,60,120,420,600}'::integer[]) period, pg_temp.steady(period);
DROP TABLE steady, steady_5m_total;
SELECT lastfluss.reset('period');
SELECT lastfluss.set('table', 'asked');

/* Candidates for peering */

TRUNCATE asked;
-- 100 slots: AS 1 sends in the first five only, AS 2 always; AS 3 is on the exchange
-- too, AS 4 hardly is; 0, 23456, our own and all the others are no candidates.
INSERT INTO asked ("time", bandwidth, iface, ingress, remote_asn, bytes)
SELECT timestamptz '2024-03-01' + make_interval(mins => 5 * s), 0, v.iface, v.ingress, v.asn, v.bytes * 37500
FROM generate_series(0, 99) s,
     (VALUES ('A', true, 1, 9000, 5), ('A', true, 2, 1000, 100), ('A', false, 2, 100, 100), ('A', true, 3, 5000, 100), ('B', true, 3, 5000, 100),
             ('A', true, 4, 990, 100), ('B', true, 4, 10, 100), ('A', true, 0, 100, 100), ('A', true, 23456, 100, 100), ('A', true, 64500, 100, 100),
             ('A', true, NULL, 100, 100), ('C', true, 7, 50000, 100)) v (iface, ingress, asn, bytes, slots)
WHERE s < v.slots;
SELECT lastfluss.set('own_asn', '64500');
SELECT rank, asn, name, ingress, egress, share, transit, without, saved, saved_together, bar
FROM lastfluss.peering_candidates(from_time => '2024-03-01', until => timestamptz '2024-03-01' + interval '500 min');
-- of half as many slots AS 1 has ten percent
SELECT rank, asn, transit, without, saved_together
FROM lastfluss.peering_candidates(from_time => '2024-03-01', until => timestamptz '2024-03-01' + interval '250 min');
SELECT rank, asn FROM lastfluss.peering_candidates(from_time => '2024-03-01', until => '2024-03-02', tolerance => 0);
SELECT rank, asn FROM lastfluss.peering_candidates(n => 1, from_time => '2024-03-01', until => '2024-03-02', tolerance => 0.5);
SELECT rank, asn FROM lastfluss.peering_candidates();
UPDATE lastfluss.interface SET role = 'ixp' WHERE name = 'A';
SELECT rank, asn FROM lastfluss.peering_candidates();
SET client_min_messages = notice;
SELECT rank, asn FROM lastfluss.peering_candidates();
SET client_min_messages = error;
SELECT lastfluss.reset('own_asn');

/* Units and bars */

SELECT b, lastfluss.units(b) FROM unnest('{0,0.004,1,1.5,999.4,999.5,1000,9994,9995,12345,999499,999500,1234567,1e9,1.2e12,3e15,5e20,-1500,infinity,NaN,NULL}'::float8[]) b;
SELECT v, '[' || lastfluss._bar(v, 100, 5) || ']' FROM unnest('{0,0.01,1,50,99.9,100,200,-5,NULL}'::float8[]) v;
SELECT '[' || lastfluss._bar(1, 0) || ']', '[' || lastfluss._bar(1, NULL) || ']';

/* Columns that are dropped or renamed are null. */

ALTER TABLE asked DROP COLUMN family, DROP COLUMN packets, DROP COLUMN id;
SELECT iface, family, bytes, packets, flows FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', remote_asn => '{4}') ORDER BY 1;
SELECT iface, ipv6 FROM lastfluss.interface_report('1 day', until => '2024-03-02') ORDER BY 1;
SELECT count(*) FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 day', family => 4);

/* Who may ask: nobody; whoever is let; and what a policy shows. */

CREATE ROLE regress_lastfluss_grafana;
CREATE ROLE regress_lastfluss_customer;
SET ROLE regress_lastfluss_grafana;
SELECT * FROM lastfluss.top_asns();
RESET ROLE;
SELECT lastfluss.grant_read('regress_lastfluss_grafana');
SET ROLE regress_lastfluss_grafana;
SELECT count(*) FROM lastfluss.traffic('2024-03-01', '2024-03-02');
SELECT count(*) FROM lastfluss.top_asns('1 day', until => '2024-03-02');
SELECT count(*) FROM lastfluss.top_downstream_asns('1 day', until => '2024-03-02');
SELECT count(*) FROM lastfluss.asn_report(1, '1 day', until => '2024-03-02');
SELECT count(*) FROM lastfluss.interface_report('1 day', until => '2024-03-02');
SELECT count(*) FROM lastfluss.percentile('A', '2024-03-01');
SELECT count(*) FROM lastfluss.peering_candidates();
SELECT count(*) FROM lastfluss.plot('A', '1 day', until => '2024-03-02');
SELECT count(*) FROM lastfluss.svg('A', '1 day', until => '2024-03-02');
SELECT lastfluss.set('period', '1');
SELECT lastfluss.grant_read('regress_lastfluss_customer');
SELECT * FROM lastfluss._rollup;
RESET ROLE;

CREATE TABLE asked_1h_again (LIKE asked_1h);
INSERT INTO asked_1h_again SELECT 1, date_trunc('hour', "time"), 0, iface, ingress, remote_asn, local_asn, NULL, sum(bytes), NULL, NULL, 0 FROM asked GROUP BY 2, 4, 5, 6, 7;
INSERT INTO lastfluss._rollup (traffic, name, relation, complete_from, complete_until) VALUES ('asked'::regclass, '1h', 'asked_1h_again'::regclass, '2024-03-01', '2024-03-05');
SELECT lastfluss.grant_read('regress_lastfluss_customer', live => false);
ALTER TABLE asked ENABLE ROW LEVEL SECURITY;
CREATE POLICY customer ON asked TO regress_lastfluss_customer USING (iface = 'B');
SET ROLE regress_lastfluss_customer;
-- The rollup has no policy, so it is not used.
SELECT DISTINCT relation FROM lastfluss._pieces('2024-03-01', '2024-03-02', 3600, true, '{total}');
SELECT DISTINCT iface FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 hour');
SELECT iface FROM lastfluss.interface_report('1 day', until => '2024-03-02');
SELECT asn FROM lastfluss.top_asns('1 day', until => '2024-03-02');
SELECT count(*) FROM lastfluss.percentile('A', '2024-03-01');
SELECT DISTINCT iface FROM lastfluss.percentile(NULL, '2024-03-01');
SELECT * FROM lastfluss.live;
SELECT * FROM lastfluss.interface;
RESET ROLE;
ALTER TABLE asked_1h_again ENABLE ROW LEVEL SECURITY;
CREATE POLICY customer ON asked_1h_again TO regress_lastfluss_customer USING (iface = 'B');
SET ROLE regress_lastfluss_customer;
SELECT DISTINCT relation FROM lastfluss._pieces('2024-03-01', '2024-03-02', 3600, true, '{total}');
SELECT DISTINCT iface FROM lastfluss.traffic('2024-03-01', '2024-03-02', '1 hour');
RESET ROLE;
-- a rollup that may not be read is none
REVOKE SELECT ON asked_1h_again FROM regress_lastfluss_customer;
SET ROLE regress_lastfluss_customer;
SELECT DISTINCT relation FROM lastfluss._pieces('2024-03-01', '2024-03-02', 3600, true, '{total}');
RESET ROLE;
REVOKE SELECT ON asked FROM regress_lastfluss_customer;
SET ROLE regress_lastfluss_customer;
SELECT * FROM lastfluss.top_asns();
RESET ROLE;

DELETE FROM lastfluss._rollup WHERE traffic = 'asked'::regclass;
DROP TABLE asked, asked_5m, asked_1h, asked_1d, asked_5m_total, asked_1h_total, asked_1d_total, asked_5m_remote, asked_1h_remote, asked_1d_remote, asked_6h_remote, asked_1w_remote, asked_5m_local, asked_1h_local, asked_1d_local, asked_6h_local, asked_1w_local, asked_1h_again, kept;
DELETE FROM lastfluss.interface;
DELETE FROM lastfluss.asn;
SELECT lastfluss.reset('table');
DROP OWNED BY regress_lastfluss_grafana, regress_lastfluss_customer;
DROP ROLE regress_lastfluss_grafana, regress_lastfluss_customer;
