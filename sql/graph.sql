/*
 * graph() and its relatives, which the dashboards ask: on a table of a few rows, without
 * rollups and without a collector.  Exact sums on a filled database are in t/071_dashboards.pl.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
SET client_min_messages = error;    -- the collector's database is another one
\set SHOW_CONTEXT never
\pset null (null)
SET timezone = 'UTC';
DELETE FROM lastfluss.interface;
DELETE FROM lastfluss.asn;

-- Without a table there is nothing.
SELECT lastfluss.set('table', 'drawn');
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour');
SELECT * FROM lastfluss.graph_health('2024-03-01', '2024-03-02', '1 hour');
SELECT * FROM lastfluss.losses('2024-03-01', '2024-03-02', '1 hour');

CREATE TABLE drawn (id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text, ingress boolean NOT NULL,
    remote_asn bigint, local_asn bigint, family smallint, bytes bigint, packets bigint, flows bigint);
CREATE TABLE drawn_health ("time" timestamptz NOT NULL, host inet, domain bigint, protocol text, datagrams bigint NOT NULL,
    records bigint NOT NULL, lost bigint NOT NULL, dropped bigint NOT NULL, undecoded bigint NOT NULL, unmatched bigint NOT NULL,
    unknown_sampling bigint NOT NULL, late_bytes bigint NOT NULL, future_bytes bigint NOT NULL, folded bigint NOT NULL);
INSERT INTO lastfluss.interface (name, host, id, role, speed, color)
VALUES ('A', '192.0.2.1', 1, 'transit', 1000000, NULL), ('B', '192.0.2.1', 2, 'ixp', NULL, '#123456'), ('C', '192.0.2.1', 3, NULL, 2000000, NULL);
INSERT INTO lastfluss.asn (asn, name, country) VALUES (1, 'ONE Level', 'US'), (2, 'TWO Delaware', 'US');
INSERT INTO drawn ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT t, bytes * 8 / 60.0, iface, ingress, remote_asn, 64500, family, bytes, packets, 1
FROM (VALUES ('2024-03-01 00:00'::timestamptz, 'A', true, 1, 4, 600, 6), ('2024-03-01 00:00', 'A', true, 2, 6, 60, 1), ('2024-03-01 00:00', 'A', false, 1, 4, 6, 1),
             ('2024-03-01 00:01', 'A', true, 1, 4, 1200, 12), ('2024-03-01 00:01', 'B', true, 3, 4, 30, 1), ('2024-03-01 00:01', 'C', false, NULL, NULL, 15, 1),
             ('2024-03-01 00:04', 'X', true, 1, 4, 45, 1)) v(t, iface, ingress, remote_asn, family, bytes, packets);
-- The collector ran in the minutes 0, 1, 2 and 4.
INSERT INTO drawn_health
SELECT '2024-03-01 00:00'::timestamptz + m * interval '1 min', h, 0, 'IPFIX', 60, 600, CASE WHEN m = 1 AND h IS NOT NULL THEN 30 ELSE 0 END, 0, 0, 0, 0, 0, 0, 0
FROM unnest('{0,1,2,4}'::integer[]) m, unnest('{NULL,192.0.2.1}'::inet[]) h;

CREATE FUNCTION pg_temp.draw(VARIADIC more text[] DEFAULT '{}') RETURNS TABLE (metric text, "values" text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT g.metric, string_agg(coalesce(round(g.value::numeric, 3)::text, ''-''), '' '' ORDER BY g.time)'
                                ' FROM lastfluss.graph(''2024-03-01 00:00'', ''2024-03-01 00:06'', ''1 min'', %s) g GROUP BY 1 ORDER BY 1',
                                coalesce(nullif(array_to_string(more, ', '), ''), 'direction => NULL'));
END;
$$;

-- Silence is zero, a gap is none; X is not configured.
SELECT * FROM pg_temp.draw();
SELECT * FROM pg_temp.draw('by => ''total''');
SELECT * FROM pg_temp.draw('by => ''role''', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''role and interface''', 'direction => ''not in''');
SELECT * FROM pg_temp.draw('by => ''family''', 'direction => ''not out''');
SELECT * FROM pg_temp.draw('by => ''remote asn''', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''remote asn''', 'n => 1');
SELECT * FROM pg_temp.draw('by => ''remote asn''', 'n => 0', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''local asn''', 'direction => ''out''');
SELECT * FROM pg_temp.draw('by => ''interface''', 'role => ''{ixp,none}''');
SELECT * FROM pg_temp.draw('by => ''interface''', 'remote_asn => 1', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''total''', 'iface => ''{A}''', 'measure => ''packets''');
SELECT * FROM pg_temp.draw('by => ''total''', 'measure => ''flows''', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''total''', 'measure => ''peak''', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''interface''', 'measure => ''utilisation''', 'direction => ''in''');
SELECT * FROM pg_temp.draw('by => ''total''', 'measure => ''share''', 'remote_asn => 2', 'direction => ''in''');
SELECT * FROM lastfluss.graph('2024-03-01 00:00', '2024-03-01 00:15', '5 min', 'total', 'in', measure => '95th percentile');
SELECT * FROM lastfluss.graph('2024-03-01 00:00', '2024-03-01 00:10', '5 min', 'total', measure => 'peak');
SELECT count(*) FROM lastfluss.graph('2024-03-01 00:00', '2024-03-01 00:00', '5 min');

-- A list, a range, a search.
SELECT * FROM lastfluss.graph_top('2024-03-01', '2024-03-02', 'remote asn', 2);
SELECT rank, asn, bytes_in, bytes_out, share FROM lastfluss.graph_top('2024-03-01', '2024-03-02', 'local asn', 2, '{A}');
SELECT interface, belongs_to, speed, peak_in, bytes_in, bytes_out FROM lastfluss.graph_interfaces('2024-03-01', '2024-03-02');
SELECT interface, bytes_in FROM lastfluss.graph_interfaces('2024-03-01', '2024-03-02', role => '{transit}', remote_asn => 2);
SELECT * FROM lastfluss.graph_search('', '2024-03-01', '2024-03-02');
SELECT * FROM lastfluss.graph_search('delaWARE', '2024-03-01', '2024-03-02');
SELECT * FROM lastfluss.graph_search('AS2', '2024-03-01', '2024-03-02');
SELECT * FROM lastfluss.graph_search('64999', '2024-03-01', '2024-03-02');
SELECT * FROM lastfluss.graph_search('9999999999', '2024-03-01', '2024-03-02');
SELECT * FROM lastfluss.graph_search('nobody', '2024-03-01', '2024-03-02');
SELECT * FROM lastfluss.graph_search('50%_\', '2024-03-01', '2024-03-02');
SELECT rank, asn, transit > 0 AS transit, peering > 0 AS peering, transit_share FROM lastfluss.graph_peering('2024-03-01', '2024-03-02');
SELECT interface, "in" > 0 AS "in", billed = greatest("in", "out") AS billed, speed FROM lastfluss.graph_billing('2024-03-01', percent => 100);
SELECT host, string_agg(coalesce(lost::text, '-'), ' ' ORDER BY "time") AS lost FROM lastfluss.graph_health('2024-03-01 00:00', '2024-03-01 00:06', '1 min') GROUP BY 1 ORDER BY 1;
SELECT * FROM lastfluss.losses('2024-03-01 00:00', '2024-03-01 00:06', '1 min');
SELECT * FROM lastfluss.losses('2024-03-01 00:00', '2024-03-01 00:06', '5 min');

-- A gap also before what was noted last, behind it, and in a range that has nothing.
SELECT * FROM lastfluss.losses('2024-03-01 00:03', '2024-03-01 00:04', '1 min');
SELECT * FROM lastfluss.losses('2024-03-01 00:03', '2024-03-01 00:05', '1 min');
SELECT * FROM lastfluss.losses('2024-03-01 00:04', '2024-03-02 00:00', '1 min');
SELECT * FROM lastfluss.losses('2024-03-01 00:04:30', '2024-03-01 00:05', '1 min');
SELECT * FROM lastfluss.losses('2024-02-28', '2024-02-29', '1 hour');
-- Nobody collects here: it goes on until now.
SELECT "time", time_end = now() AS until_now, text, tags FROM lastfluss.losses('2024-03-01 00:04', now() + interval '1 hour', '1 day');

/*
 * What retention has left: an hour's, a day's row is drawn as what it stands for.
 * Some days of constant traffic, of which finer and finer sums remain.
 */

CREATE TABLE steady (LIKE drawn);
CREATE TABLE steady_5m (LIKE drawn, peak real NOT NULL);
CREATE TABLE steady_1h (LIKE steady_5m);
CREATE TABLE steady_1d (LIKE steady_5m);
CREATE TABLE steady_5m_total (LIKE steady_5m);
CREATE TABLE steady_1h_total (LIKE steady_5m);
CREATE TABLE steady_1d_total (LIKE steady_5m);
SELECT lastfluss.set('table', 'steady');
CREATE PROCEDURE pg_temp.roll(name text, seconds integer, since timestamptz, until timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    -- 80 bit/s of AS 1, 40 of AS 2, each through A and B
    EXECUTE format('INSERT INTO steady_%s SELECT 1, t, v.bits, i, true, v.asn, 64500, 4, v.bits * $1 / 8, v.bits * $1 / 80, $1, v.bits
        FROM generate_series($2, $3 - interval ''1 s'', $1 * interval ''1 s'') t, (VALUES (1, 80), (2, 40)) v(asn, bits), unnest(''{A,B}''::text[]) i', name) USING seconds, since, until;
    EXECUTE format('INSERT INTO steady_%s_total SELECT 1, "time", sum(bandwidth), iface, ingress, NULL, NULL, family, sum(bytes), sum(packets), sum(flows), sum(bandwidth)
        FROM steady_%1$s WHERE "time" >= $1 AND "time" < $2 GROUP BY 2, 4, 5, 8', name) USING since, until;
    INSERT INTO lastfluss._rollup (traffic, name, relation, complete_from, complete_until, kept_from)
    SELECT 'steady'::regclass, n, ('steady_' || n)::regclass, since, until, since FROM unnest(ARRAY[name, name || '_total']) n;
END;
$$;
INSERT INTO lastfluss._rollup (traffic, name, relation, kept_from) VALUES ('steady'::regclass, 'raw', 'steady'::regclass, '2024-03-05');
CALL pg_temp.roll('5m', 300, '2024-03-03', '2024-03-05');
CALL pg_temp.roll('1h', 3600, '2024-03-02', '2024-03-05');
CALL pg_temp.roll('1d', 86400, '2024-02-29', '2024-03-05');
CREATE FUNCTION pg_temp.steady(VARIADIC more text[]) RETURNS TABLE (step text, metric text, buckets bigint, without bigint, lowest numeric, highest numeric) LANGUAGE plpgsql AS $$
DECLARE
    range text;
BEGIN
    FOREACH step IN ARRAY '{1 min,5 min,7 min,1 hour,5 hours}'::text[] LOOP
        -- within a day's row, in hours' rows, from one to the next, and all
        FOREACH range IN ARRAY ARRAY['''2024-03-01 10:33'', ''2024-03-01 20:01''', '''2024-03-02 10:33'', ''2024-03-02 11:54''',
                                     '''2024-03-01 23:17'', ''2024-03-03 00:11''', '''2024-03-01'', ''2024-03-04'''] LOOP
            RETURN QUERY EXECUTE format('SELECT %L, g.metric, count(*), count(*) FILTER (WHERE g.value IS NULL), round(min(g.value)::numeric, 3), round(max(g.value)::numeric, 3)
                FROM lastfluss.graph(%s, %L, %s) g GROUP BY 2', step, range, step, array_to_string(more, ', '));
        END LOOP;
    END LOOP;
END;
$$;
SELECT * FROM pg_temp.steady('by => ''remote asn''', 'direction => ''in''', 'iface => ''{A}''') ORDER BY step, metric, buckets;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''interface''', 'direction => ''in''') GROUP BY 1 ORDER BY 1;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''total''', 'direction => ''in''', 'measure => ''share''', 'remote_asn => 2') GROUP BY 1;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''total''', 'direction => ''in''', 'measure => ''packets''') GROUP BY 1;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''local asn''', 'direction => ''in''', 'measure => ''peak''', 'remote_asn => 1') GROUP BY 1;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''total''', 'direction => ''in''', 'measure => ''95th percentile''') GROUP BY 1;
-- Lists count the range's part of such a row: 15 and 5 bytes a second of each of the two interfaces.
CREATE FUNCTION pg_temp.listed() RETURNS TABLE (span text, wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
    range text;
BEGIN
    FOREACH range IN ARRAY ARRAY['''2024-03-01 10:33'', ''2024-03-01 20:01''', '''2024-03-01'', ''2024-03-01 20:01''', '''2024-03-01 10:33'', ''2024-03-02''', '''2024-03-02 10:33'', ''2024-03-02 10:54''',
                                 '''2024-03-01 23:17'', ''2024-03-03 00:11''', '''2024-03-03 00:11'', ''2024-03-03 00:12''', '''2024-03-01'', ''2024-03-04'''] LOOP
        RETURN QUERY EXECUTE format('SELECT %1$L, count(*) FROM (
                SELECT t.bytes_in = s.seconds * CASE t.asn WHEN 1 THEN 10 WHEN 2 THEN 5 ELSE 0 END * s.n AND round(t."in"::numeric, 6) = CASE t.asn WHEN 1 THEN 80 ELSE 40 END * s.n AS good
                FROM (VALUES (NULL::text[], 2), (''{A}'', 1)) n(iface, n) CROSS JOIN LATERAL (SELECT extract(epoch FROM u.b::timestamptz - u.a::timestamptz) AS seconds, n.n FROM (VALUES (%1$s)) u(a, b)) s
                CROSS JOIN LATERAL lastfluss.graph_top(%1$s, ''remote asn'', 5, n.iface) t
                UNION ALL SELECT i.bytes_in = s.seconds * 15 AND round(i."in"::numeric, 6) = 120 AND round(i.peak_in::numeric, 6) = 120
                FROM (SELECT extract(epoch FROM u.b::timestamptz - u.a::timestamptz) AS seconds FROM (VALUES (%1$s)) u(a, b)) s, lastfluss.graph_interfaces(%1$s) i
                UNION ALL SELECT i.bytes_in = s.seconds * 5 AND round(i.peak_in::numeric, 6) = 40
                FROM (SELECT extract(epoch FROM u.b::timestamptz - u.a::timestamptz) AS seconds FROM (VALUES (%1$s)) u(a, b)) s, lastfluss.graph_interfaces(%1$s, remote_asn => 2) i
                UNION ALL SELECT round(p.transit::numeric, 6) = round(p.peering::numeric, 6) AND round(p.transit::numeric, 6) = CASE p.asn WHEN 1 THEN 80 ELSE 40 END FROM lastfluss.graph_peering(%1$s) p
                UNION ALL SELECT count(*) = 2 FROM lastfluss.graph_search('''', %1$s)
            ) g WHERE NOT coalesce(good, false)', range);
        RETURN QUERY EXECUTE format('SELECT %L, count(*) FROM lastfluss.graph_interfaces(%1$s) HAVING count(*) <> 2', range);
    END LOOP;
END;
$$;
SELECT * FROM pg_temp.listed();
-- Only the sums of interfaces are left of the finer ones: ASes come from the coarser.
DELETE FROM lastfluss._rollup WHERE traffic = 'steady'::regclass AND name IN ('5m', '1h');
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''remote asn''', 'direction => ''in''', 'iface => ''{A}''') GROUP BY 1 ORDER BY 1;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''total''', 'direction => ''in''', 'measure => ''share''', 'remote_asn => 2') GROUP BY 1;
SELECT metric, min(lowest), max(highest), sum(without) AS without FROM pg_temp.steady('by => ''interface''', 'direction => ''in''') GROUP BY 1 ORDER BY 1;
DELETE FROM lastfluss._rollup WHERE traffic = 'steady'::regclass;
DROP TABLE steady, steady_5m, steady_1h, steady_1d, steady_5m_total, steady_1h_total, steady_1d_total;
SELECT lastfluss.set('table', 'drawn');

/*
 * The bucket that runs, at any time of the day: traffic of 80 bit/s until now, of which what
 * is not over may be half reported.  Without a collector here, 150 s are not over.
 */

CREATE TABLE running (LIKE drawn);
SELECT lastfluss.set('table', 'running');
BEGIN;
INSERT INTO running
SELECT 1, t, 80, i, d, 1, 64500, 4, CASE WHEN t < to_timestamp(floor((extract(epoch FROM now()) - 150) / 60) * 60) THEN 600 ELSE 7 END, 60, 60
FROM generate_series(date_trunc('minute', now()) - interval '3 days', now(), interval '1 min') t, unnest('{A,B}'::text[]) i, unnest('{true,false}'::boolean[]) d;
SELECT lastfluss._graph_over() = floor((extract(epoch FROM now()) - 150) / 60) * 60 AS over;
-- Until when and of what step ever: all points are the same, the last one is not behind that, and is there once a tenth of it is over.
SELECT measure, count(*) AS graphs, bool_and(lowest = highest) AS level, min(lowest) AS value, bool_and(begins < over) AS ends, bool_and(begins + 1.1 * step >= least(until, CASE WHEN step < '1 day' THEN over ELSE date_trunc('day', over) END)) AS reaches
FROM (SELECT u.until, s AS step, g.measure, min(g.value) AS lowest, max(g.value) AS highest, max(g.time) AS begins, to_timestamp(lastfluss._graph_over()) AS over
      FROM unnest(ARRAY[now(), now() + interval '8 hours', now() - interval '1 min', now() - interval '5 hours']) u(until)
      CROSS JOIN unnest('{1 min,5 min,30 min,1 hour,6 hours,1 day}'::interval[]) s
      CROSS JOIN LATERAL (SELECT 'bandwidth' AS measure, b.* FROM lastfluss.graph(now() - interval '2 days', u.until, s, 'interface') b
                          UNION ALL SELECT 'packets', b.* FROM lastfluss.graph(now() - interval '2 days', u.until, s, 'total', 'in', '{A}', measure => 'packets') b
                          UNION ALL SELECT 'share', b.* FROM lastfluss.graph(now() - interval '2 days', u.until, s, 'total', 'in', '{A}', measure => 'share', remote_asn => 1) b
                          UNION ALL SELECT 'utilisation', b.* FROM lastfluss.graph(now() - interval '2 days', u.until, s, 'interface', 'in', '{A}', measure => 'utilisation') b) g
      GROUP BY 1, 2, 3) o
GROUP BY 1 ORDER BY 1;
SELECT metric, count(*), min(value), max(value) FROM lastfluss.graph(now() - interval '2 hours', now(), '1 min', 'total', measure => '1th percentile') GROUP BY 1 ORDER BY 1;
-- A sum over the buckets is the table's, to the byte.
SELECT round(sum(g.value * least(300, lastfluss._graph_over() - extract(epoch FROM g.time)) / 8)::numeric)
       = (SELECT sum(bytes) FROM running r WHERE r.time >= to_timestamp(floor(extract(epoch FROM now() - interval '3 hours') / 300) * 300)
          AND r.time < to_timestamp(lastfluss._graph_over()) AND r.time < max(g.time) + interval '5 min') AS same
FROM lastfluss.graph(now() - interval '3 hours', now(), '5 min', 'total') g;
-- Lists and means end there as well.
SELECT interface, round("in"::numeric, 6) AS "in", round("out"::numeric, 6) AS "out", peak_in FROM lastfluss.graph_interfaces(to_timestamp(lastfluss._graph_over() - 600), now() + interval '3 hours');
SELECT asn, round("in"::numeric, 6) AS "in", bytes_out FROM lastfluss.graph_top(to_timestamp(lastfluss._graph_over() - 600), now(), 'remote asn', 2);
-- What plot() and svg() draw, too.
SELECT count(*) > 100 AS points, bool_and(ingress = 160 AND egress = 160) AS level, max(ends) <= to_timestamp(lastfluss._graph_over()) AS over FROM lastfluss._series(NULL, NULL, now() - interval '1 day', now());
SELECT count(*) FROM lastfluss.graph_interfaces(to_timestamp(lastfluss._graph_over()), now());
SELECT count(*) FROM lastfluss.graph(to_timestamp(lastfluss._graph_over()), now(), '1 min');
ROLLBACK;
DROP TABLE running;
SELECT lastfluss.set('table', 'drawn');

-- The step that the span tells, with periods that no clock has.
BEGIN;
SELECT lastfluss.set('period', '45');
SELECT s AS span, lastfluss._step(s, NULL) AS step, round(extract(epoch FROM s) / lastfluss._step(s, NULL)) AS points
FROM unnest('{1 hour,6 hours,1 day,2 days,7 days,30 days,366 days}'::interval[]) s;
ROLLBACK;

-- What cannot be drawn.
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour', by => 'colour');
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour', by => NULL);
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour', direction => 'up');
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour', measure => 'money');
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour', measure => '101th percentile');
SELECT * FROM lastfluss.graph('2024-03-01', '2024-03-02', '1 hour', by => 'total', measure => 'utilisation');
SELECT * FROM lastfluss.graph(NULL, '2024-03-02', '1 hour');
SELECT * FROM lastfluss.graph_top('2024-03-01', '2024-03-02', 'iface', 2);
SELECT lastfluss.dashboard('everything');
SELECT lastfluss.dashboard(NULL);

-- The generated dashboard: a panel for all, and one for each role.
SELECT p->>'title' AS title, p->'gridPos' AS place, p #>> '{targets,0,rawSql}' LIKE '%role => ARRAY[''transit'']%' AS transit
FROM jsonb_array_elements(lastfluss.dashboard('interfaces')->'panels') p;
SELECT o #>> '{matcher,options}' AS matcher, o #>> '{properties,0,value,fixedColor}' AS color
FROM jsonb_array_elements(lastfluss.dashboard('interfaces') #> '{panels,0,fieldConfig,overrides}') o WHERE o #>> '{matcher,id}' = 'byRegexp';
DELETE FROM lastfluss.interface;
SELECT jsonb_array_length(lastfluss.dashboard('interfaces')->'panels') AS panels;

DROP TABLE drawn, drawn_health;
SELECT lastfluss.reset('table');
DELETE FROM lastfluss.asn;
