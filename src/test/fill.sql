-- fill.sql: a believable year in traffic, its rollups, traffic_health and the counters.
--
--   psql -1 -d DATABASE -v asns=40 -v days=366 -v days_5m=30 -v hours_raw=26 -f src/test/fill.sql
--
-- asns: remote ASes, of a long tail.  days, days_5m, hours_raw: how far the rows by hour,
-- by five minutes and by minute go back; rows by day as those by hour.  until: the end, a
-- whole hour; the last one that is over unless told.  AS names are those of the demo
-- (-v names=FILE: its list).
--
--   psql -1 ... -v capture=FILE -v asns=6 -v hours_raw=0 -v health_until=EPOCH ...
--
-- Who exchanges how much with whom is then what the records of a capture say, by the
-- interfaces that are configured: of each interface and direction so many remote ASes, and
-- the others as one.  So a year ends as what is replayed after it begins (make demo).
-- traffic_health goes on until then, for routers that send "datagrams" a second at the mean.
--
-- In one transaction (-1), and the collector must not be at work in this database: its
-- maintenance would do the rollups as well.  What it knows of them is written here, so that
-- it may begin afterwards.  Rollups are sums of the finer rows where there are any.
--
-- The evening is the peak, weekends have more, and the traffic grows by a third in the
-- year.  Yesterday nobody collected from 04:00 to 04:40, and from 19:05 to 19:20 an
-- exporter's datagrams were lost.

\set ON_ERROR_STOP on
\if :{?asns}
\else
\set asns 40
\endif
\if :{?days}
\else
\set days 366
\endif
\if :{?days_5m}
\else
\set days_5m 30
\endif
\if :{?hours_raw}
\else
\set hours_raw 26
\endif
\if :{?until}
\else
SELECT date_trunc('hour', now()) AS until \gset
\endif
\if :{?health_until}
SELECT to_timestamp(:health_until) AS health_until \gset
\else
\set health_until :until
\endif
\if :{?datagrams}
\else
\set datagrams 1000
\endif

SET timezone = 'UTC';
SET synchronous_commit = off;
SET jit = off;

\if :{?capture}
\else
INSERT INTO lastfluss.interface (name, host, id, sample, role, speed, description)
VALUES ('Transit Cogent',   '127.0.1.1',   1, 1000, 'transit',  10e9, 'edge1, NetFlow v5'),
       ('Transit Arelion',  '127.0.1.3', 526, 2000, 'transit',  20e9, 'edge3, IPFIX'),
       ('DE-CIX Frankfurt', '127.0.1.2',  23,  512, 'ixp',     100e9, 'edge2, NetFlow v9'),
       ('AMS-IX',           '127.0.1.2',  25,  512, 'ixp',      40e9, 'edge2, NetFlow v9'),
       ('PNI Google',       '127.0.1.2',  24,  512, 'pni',     100e9, 'edge2, NetFlow v9'),
       ('PNI Netflix',      '127.0.1.3', 527, 2000, 'pni',      20e9, 'edge3, IPFIX'),
       ('Customer Alpha',   '127.0.1.1',   7, 1000, 'customer', 10e9, 'edge1, NetFlow v5'),
       ('Customer Beta',    '127.0.1.3', 530, 2000, 'customer', NULL, 'edge3, IPFIX')
ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO NOTHING;

INSERT INTO lastfluss.asn (asn, name, country)
VALUES (64500, 'EXAMPLE-NET Our own', 'DE'), (64510, 'ALPHA-NET Customer Alpha', 'DE'), (64511, 'BETA-NET Customer Beta', 'NL')
ON CONFLICT DO NOTHING;
\if :{?names}
\set list `cat :names`
SELECT lastfluss.import_asns(:'list') IS NOT NULL AS imported \gset
\endif
\endif

/*
 * Tables, as the collector makes them.
 */

CREATE FUNCTION pg_temp.make(relation text, width interval, since timestamptz, until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz;
BEGIN
    IF relation LIKE '%total' THEN
        EXECUTE format('CREATE TABLE public.%I ("time" timestamptz NOT NULL, bytes bigint, packets bigint, flows bigint,'
                       ' family smallint, ingress boolean NOT NULL, iface text) PARTITION BY RANGE ("time")', relation);
    ELSE
        EXECUTE format('CREATE TABLE public.%I (id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text,'
                       ' ingress boolean NOT NULL, remote_asn bigint, local_asn bigint, family smallint, bytes bigint,'
                       ' packets bigint, flows bigint%s, PRIMARY KEY (id, "time")) PARTITION BY RANGE ("time")',
                       relation, CASE WHEN relation = 'traffic' THEN '' ELSE ', peak real' END);
    END IF;
    EXECUTE format('CREATE INDEX ON public.%I USING brin ("time")', relation);
    FOR first IN SELECT generate_series(CASE width WHEN '1 day' THEN date_trunc('day', since) WHEN '7 days' THEN date_trunc('week', since)
                                                   WHEN '1 month' THEN date_trunc('month', since) ELSE date_trunc('year', since) END,
                                        until + interval '3 days', width) LOOP
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
                       relation || to_char(first, '_YYYYMMDD'), relation, first, first + width);
    END LOOP;
END;
$$;
SELECT pg_temp.make('traffic', '1 day', :'until'::timestamptz - make_interval(hours => :hours_raw), :'until') AS made \gset
SELECT pg_temp.make('traffic_5m', '7 days', :'until'::timestamptz - make_interval(days => :days_5m), :'until') AS made \gset
SELECT pg_temp.make('traffic_1h', '1 month', :'until'::timestamptz - make_interval(days => :days), :'until') AS made \gset
SELECT pg_temp.make('traffic_1d', '1 year', :'until'::timestamptz - make_interval(days => :days), :'until') AS made \gset
SELECT pg_temp.make('traffic_5m_total', '1 month', :'until'::timestamptz - make_interval(days => :days_5m), :'until') AS made \gset
SELECT pg_temp.make('traffic_1h_total', '1 year', :'until'::timestamptz - make_interval(days => :days), :'until') AS made \gset
SELECT pg_temp.make('traffic_1d_total', '1 year', :'until'::timestamptz - make_interval(days => :days), :'until') AS made \gset
CREATE TABLE public.traffic_health (
    "time" timestamptz NOT NULL, host inet, domain bigint, protocol text, datagrams bigint NOT NULL, records bigint NOT NULL,
    lost bigint NOT NULL, dropped bigint NOT NULL, undecoded bigint NOT NULL, unmatched bigint NOT NULL,
    unknown_sampling bigint NOT NULL, late_bytes bigint NOT NULL, future_bytes bigint NOT NULL, folded bigint NOT NULL);
CREATE INDEX ON public.traffic_health ("time"); -- as the collector makes it

-- The day's rhythm at a time, as a factor with a mean of 1: that of the generator (its
-- network.c), times what the week and the year add.
CREATE FUNCTION pg_temp.rhythm(at timestamptz) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT r.hours[1 + h.at::integer] * (1 - h.part) + r.hours[1 + (h.at::integer + 1) % 24] * h.part
    FROM (SELECT floor(s) AS at, s - floor(s) AS part FROM (SELECT (extract(epoch FROM at)::float8 / 3600)::numeric % 24 AS s) o) h
    CROSS JOIN (SELECT '{0.75, 0.54, 0.41, 0.35, 0.34, 0.42, 0.60, 0.80, 0.92, 0.99, 1.03, 1.07,
                         1.10, 1.10, 1.12, 1.18, 1.28, 1.42, 1.58, 1.70, 1.68, 1.45, 1.19, 0.98}'::float8[] AS hours) r;
$$;

CREATE FUNCTION pg_temp.level(at timestamptz, until timestamptz) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT (1 + extract(epoch FROM at - until)::float8 / 86400 / 366 / 3)
           * CASE WHEN extract(isodow FROM at) >= 6 THEN 1.12 ELSE 1 END / CASE WHEN extract(isodow FROM until) >= 6 THEN 1.12 ELSE 1 END;
$$;

/*
 * Who exchanges how much with whom, in bit/s at the mean.
 */

\if :{?capture}
CREATE TEMPORARY TABLE pair AS
WITH record AS (
    SELECT r.exporter, r.in_if, r.out_if, r.src_as, r.dst_as, r.family, r."time", r.bytes * coalesce(s.sample, r.sampling, 1) AS bytes, r.packets * coalesce(s.sample, r.sampling, 1) AS packets
    FROM lastfluss.read_pcap(pg_read_binary_file(:'capture')) r
    LEFT JOIN (SELECT i.host, min(i.sample) AS sample FROM lastfluss.interface i GROUP BY 1) s ON s.host = r.exporter
), side AS (
    SELECT i.name AS iface, true AS ingress, r.src_as AS remote_asn, r.dst_as AS local_asn, r.family, r.bytes, r.packets
    FROM record r JOIN lastfluss.interface i ON i.host = r.exporter AND i.id = r.in_if
    UNION ALL
    SELECT i.name, false, r.dst_as, r.src_as, r.family, r.bytes, r.packets
    FROM record r JOIN lastfluss.interface i ON i.host = r.exporter AND i.id = r.out_if
), ranked AS (
    SELECT g.*, dense_rank() OVER (PARTITION BY g.iface, g.ingress ORDER BY g.remote DESC, g.remote_asn) AS place
    FROM (SELECT s.iface, s.ingress, s.remote_asn, s.local_asn, s.family, sum(s.bytes) AS bytes, sum(s.packets) AS packets,
                 sum(sum(s.bytes)) OVER (PARTITION BY s.iface, s.ingress, s.remote_asn) AS remote
          FROM side s GROUP BY 1, 2, 3, 4, 5) g
), shown AS (
    -- Who is large in one direction is there in both.
    SELECT r.*, min(r.place) OVER (PARTITION BY r.iface, r.remote_asn) <= :asns AS large FROM ranked r
), span AS (
    -- Seconds, each as long as the traffic then is above the mean.
    SELECT sum(60 * pg_temp.rhythm(g.at)) AS seconds FROM (SELECT min(r."time") AS first, max(r."time") AS last FROM record r) r
    CROSS JOIN LATERAL generate_series(r.first, r.last, interval '1 min') AS g(at)
)
SELECT row_number() OVER (ORDER BY k.*) AS pair, k.iface, k.ingress, k.remote_asn, k.local_asn, k.family, k.bytes * 8e0 / s.seconds AS rate, (k.bytes / k.packets)::float8 AS size
FROM (SELECT r.iface, r.ingress, CASE WHEN r.large THEN r.remote_asn END AS remote_asn, r.local_asn, r.family, sum(r.bytes) AS bytes, sum(r.packets) AS packets
      FROM shown r GROUP BY 1, 2, 3, 4, 5) k CROSS JOIN span s;
\else
CREATE TEMPORARY TABLE remote AS
SELECT row_number() OVER (ORDER BY coalesce(array_position(ARRAY[15169, 2906, 20940, 32934, 13335, 16509], a.asn::integer), 99), hashint8(a.asn)) AS rank, a.asn
FROM (SELECT asn FROM lastfluss.asn WHERE asn NOT BETWEEN 64500 AND 64511
      UNION SELECT 65000 + g FROM generate_series(1, 500) g) a
ORDER BY asn > 65000 AND asn < 65536, 1 LIMIT :asns;

CREATE TEMPORARY TABLE pair AS
WITH path AS (
    SELECT r.rank, r.asn, i.iface, i.part
    FROM remote r CROSS JOIN LATERAL (
        SELECT CASE WHEN r.asn IN (15169, 36040, 43515) THEN 'PNI Google' WHEN r.asn = 2906 THEN 'PNI Netflix'
                    WHEN r.rank % 3 = 0 THEN 'DE-CIX Frankfurt' WHEN r.rank % 5 = 4 THEN 'AMS-IX'
                    WHEN r.rank % 4 = 2 THEN 'Transit Arelion' ELSE 'Transit Cogent' END AS iface, 0.85 AS part
        UNION ALL
        SELECT CASE WHEN r.rank % 2 = 0 THEN 'Transit Cogent' ELSE 'Transit Arelion' END, 0.15 WHERE r.rank % 3 = 0 OR r.rank < 6) i
), side AS (
    SELECT p.*, s.local_asn, s.part AS local_part FROM path p
    CROSS JOIN LATERAL (SELECT 64500::bigint AS local_asn, 0.8::numeric AS part
                        UNION ALL SELECT 64510, 0.12 WHERE p.rank <= 10 UNION ALL SELECT 64511, 0.08 WHERE p.rank <= 10) s
)
SELECT row_number() OVER () AS pair, s.iface, d.ingress, s.asn AS remote_asn, s.local_asn, f.family,
       (6e9 / power(s.rank, 1.15) * s.part * s.local_part * d.part * f.part)::float8 AS rate, CASE WHEN d.ingress THEN 1150e0 ELSE 310e0 END AS size
FROM side s
CROSS JOIN (VALUES (true, 1.0), (false, 0.18)) d(ingress, part)
CROSS JOIN LATERAL (SELECT 4::smallint AS family, CASE WHEN s.rank <= 12 THEN 0.6 ELSE 1 END AS part
                    UNION ALL SELECT 6, 0.4 WHERE s.rank <= 12) f
UNION ALL
-- Customers: what came in elsewhere leaves there, and the other way round.
SELECT 100000 + row_number() OVER (), c.iface, d.ingress, c.asn, 64500, 4, d.rate::float8, CASE WHEN d.ingress THEN 1150e0 ELSE 310e0 END
FROM (VALUES ('Customer Alpha', 64510), ('Customer Beta', 64511)) c(iface, asn)
CROSS JOIN (VALUES (true, 0.25e9), (false, 1.1e9)) d(ingress, rate);
\endif
ANALYZE pair;

CREATE FUNCTION pg_temp.collected(at timestamptz, until timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT at < day - interval '20 hours' OR at >= day - interval '19 hours 20 min' FROM date_trunc('day', until - interval '1 min') AS day;
$$;

-- Rows of a step for a range, with some noise of each pair's own.
CREATE FUNCTION pg_temp.rows(since timestamptz, until timestamptz, step integer, last timestamptz, collected_until timestamptz)
RETURNS TABLE ("time" timestamptz, bandwidth real, iface text, ingress boolean, remote_asn bigint, local_asn bigint,
    family smallint, bytes bigint, packets bigint, flows bigint, peak real) LANGUAGE sql AS $$
    SELECT t.at, (b.bytes * 8e0 / step)::real, p.iface, p.ingress, p.remote_asn, p.local_asn, p.family,
           b.bytes, (b.bytes / p.size)::bigint + 1, b.bytes / 400000 + 1, (b.bytes * 8e0 / step * (1 + 0.35e0 * (1 - 60e0 / step)))::real
    FROM generate_series(since, until - make_interval(secs => step), make_interval(secs => step)) AS g(at)
    CROSS JOIN LATERAL (SELECT g.at, pg_temp.rhythm(g.at + make_interval(secs => step) / 2) * pg_temp.level(g.at, last) AS rhythm, extract(epoch FROM g.at)::bigint / step AS slot OFFSET 0) t
    CROSS JOIN pair p
    CROSS JOIN LATERAL (SELECT (p.rate / 8 * step * t.rhythm
        * (0.88e0 + 0.24e0 * ((hashint8(p.pair * 7919 + t.slot) & 65535) / 65536e0)
           + 0.15e0 * sin(t.slot * step / 5400e0 + p.pair)))::bigint AS bytes) b
    WHERE pg_temp.collected(t.at, collected_until)
$$;

/*
 * Rows, the finest first.
 */

INSERT INTO traffic ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT "time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows
FROM pg_temp.rows(:'until'::timestamptz - make_interval(hours => :hours_raw), :'until', 60, :'until', :'health_until');

INSERT INTO traffic_5m ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows, peak)
SELECT * FROM pg_temp.rows(:'until'::timestamptz - make_interval(days => :days_5m), :'until'::timestamptz - make_interval(hours => :hours_raw), 300, :'until', :'health_until');
INSERT INTO traffic_5m ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows, peak)
SELECT date_bin('5 min', "time", '2000-01-01'), (sum(bytes) * 8 / 300)::real, iface, ingress, remote_asn, local_asn, family,
       sum(bytes), sum(packets), sum(flows), max(bandwidth)
FROM traffic GROUP BY 1, 3, 4, 5, 6, 7 ORDER BY 1;

INSERT INTO traffic_1h ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows, peak)
SELECT * FROM pg_temp.rows(date_trunc('day', :'until'::timestamptz - make_interval(days => :days)), :'until'::timestamptz - make_interval(days => :days_5m), 3600, :'until', :'health_until');
INSERT INTO traffic_1h ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows, peak)
SELECT date_trunc('hour', "time"), (sum(bytes) * 8 / 3600)::real, iface, ingress, remote_asn, local_asn, family,
       sum(bytes), sum(packets), sum(flows), max(peak)
FROM traffic_5m GROUP BY 1, 3, 4, 5, 6, 7 ORDER BY 1;

INSERT INTO traffic_1d ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows, peak)
SELECT date_trunc('day', "time"), (sum(bytes) * 8 / 86400)::real, iface, ingress, remote_asn, local_asn, family,
       sum(bytes), sum(packets), sum(flows), max(peak)
FROM traffic_1h WHERE "time" < date_trunc('day', :'until'::timestamptz) GROUP BY 1, 3, 4, 5, 6, 7 ORDER BY 1;

-- Sums of interfaces, without ASNs.
CREATE FUNCTION pg_temp.total(source text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO public.%I ("time", iface, ingress, family, bytes, packets, flows)'
                   ' SELECT "time", iface, ingress, family, sum(bytes), sum(packets), sum(flows)'
                   ' FROM public.%I GROUP BY 1, 2, 3, 4 ORDER BY 1', source || '_total', source);
END;
$$;
SELECT pg_temp.total('traffic_5m') AS made, pg_temp.total('traffic_1h') AS made, pg_temp.total('traffic_1d') AS made \gset

INSERT INTO lastfluss._rollup (traffic, name, relation, complete_from, complete_until, kept_from)
SELECT 'traffic'::regclass, r.name, r.relation::regclass, r.first, r.last, r.kept
FROM (VALUES ('raw', 'traffic', NULL::timestamptz, NULL::timestamptz, :'until'::timestamptz - make_interval(hours => :hours_raw)),
             ('5m', 'traffic_5m', :'until'::timestamptz - make_interval(days => :days_5m), :'until', :'until'::timestamptz - make_interval(days => :days_5m)),
             ('1h', 'traffic_1h', date_trunc('day', :'until'::timestamptz - make_interval(days => :days)), :'until', '-infinity'),
             ('1d', 'traffic_1d', date_trunc('day', :'until'::timestamptz - make_interval(days => :days)), date_trunc('day', :'until'::timestamptz), '-infinity')
     ) r(name, relation, first, last, kept);
INSERT INTO lastfluss._rollup (traffic, name, relation, complete_from, complete_until, clean_from, kept_from)
SELECT traffic, name || '_total', (relation::regclass || '_total')::regclass, complete_from, complete_until, '-infinity', kept_from
FROM lastfluss._rollup WHERE traffic = 'traffic'::regclass AND name <> 'raw';

INSERT INTO traffic_health
SELECT g.at, e.host, e.domain, e.protocol, d.datagrams, d.datagrams * 24,
       CASE WHEN e.host = '127.0.1.2' AND g.at >= l.day - interval '4 hours 55 min' AND g.at < l.day - interval '4 hours 40 min' THEN d.datagrams / 3 ELSE 0 END,
       CASE WHEN e.host IS NULL AND g.at = l.day - interval '4 hours 50 min' THEN 500 ELSE 0 END,
       CASE WHEN e.host = '127.0.1.3' AND g.at >= l.day - interval '19 hours 20 min' AND g.at < l.day - interval '19 hours 17 min' THEN 120 ELSE 0 END, 0,
       CASE WHEN e.host = '127.0.1.3' AND g.at >= l.day - interval '19 hours 20 min' AND g.at < l.day - interval '19 hours 10 min' THEN d.datagrams * 24 ELSE 0 END,
       CASE WHEN extract(minute FROM g.at) = 17 AND e.host = '127.0.1.1' THEN 2000000 ELSE 0 END, 0, 0
FROM (SELECT date_trunc('day', :'health_until'::timestamptz - interval '1 min') AS day) l
CROSS JOIN generate_series(:'until'::timestamptz - make_interval(days => :days_5m), :'health_until'::timestamptz - interval '1 min', interval '1 min') AS g(at)
CROSS JOIN (VALUES (NULL::inet, NULL::bigint, NULL, 0), ('127.0.1.1', 0, 'NetFlow v5', 0.16), ('127.0.1.2', 256, 'NetFlow v9', 0.75), ('127.0.1.3', 524288, 'IPFIX', 0.09))
    e(host, domain, protocol, part)
CROSS JOIN LATERAL (SELECT (e.part * :datagrams * 60 * pg_temp.rhythm(g.at) * pg_temp.level(g.at, :'until'))::bigint AS datagrams) d
WHERE pg_temp.collected(g.at, :'health_until');

\if :{?capture}
\else
\ir counters.sql
\endif

-- They are the database owner's, as those that the collector makes.
SELECT format('ALTER TABLE %s OWNER TO %s', c.oid::regclass, d.datdba::regrole)
FROM pg_class c CROSS JOIN pg_database d
WHERE d.datname = current_database() AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname ~ '^traffic(_|$)' \gexec

ANALYZE traffic, traffic_5m, traffic_1h, traffic_1d, traffic_5m_total, traffic_1h_total, traffic_1d_total, traffic_health;
