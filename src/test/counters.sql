-- counters.sql: the interfaces' counters of the last three hours (until: their end), made of
-- the traffic that is there, with the framing that counters count, and an error of a percent.

INSERT INTO lastfluss.counters (host, id, "time", in_octets, out_octets, in_packets, out_packets)
SELECT i.host, i.id, m.at,
       sum(coalesce(t.b_in * e.error, 0)) OVER series, sum(coalesce(t.b_out * e.error, 0)) OVER series,
       sum(coalesce(t.p_in, 0)) OVER series, sum(coalesce(t.p_out, 0)) OVER series
FROM lastfluss.interface i
CROSS JOIN generate_series(:'until'::timestamptz - interval '3 hours', :'until', interval '1 min') AS m(at)
LEFT JOIN (SELECT iface, date_trunc('minute', "time") AS "time",
                  sum(bytes + 18 * packets) FILTER (WHERE ingress) AS b_in, sum(bytes + 18 * packets) FILTER (WHERE NOT ingress) AS b_out,
                  sum(packets) FILTER (WHERE ingress) AS p_in, sum(packets) FILTER (WHERE NOT ingress) AS p_out
           FROM traffic WHERE "time" >= :'until'::timestamptz - interval '3 hours' GROUP BY 1, 2) t
    ON t.iface = i.name AND t."time" = m.at - interval '1 min'
CROSS JOIN LATERAL (SELECT 1 + ((hashint8(i.id * 31 + extract(minute FROM m.at)::bigint) & 255) / 255.0 - 0.5) * 0.02 AS error) e
WHERE i.host <<= '127.0.1.0/24'
WINDOW series AS (PARTITION BY i.host, i.id ORDER BY m.at);
