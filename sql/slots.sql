/*
 * Sums by slots of time: what percentiles and peaks are made of.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;

-- Each slot has its sum, in whatever order the rows come; nulls are not rows.
SELECT lastfluss._slots(v, s, 1, 5) FROM (VALUES (1::float8, 3::bigint), (2, 0), (4, 3), (NULL, 1), (8, NULL), (16, 2), (32, 0)) r(v, s);
-- A wide row goes into all of its slots, and what is not in the range is left out.
SELECT lastfluss._slots(v, s, w, 4) FROM (VALUES (8::float8, -1::bigint, 4::bigint), (12, 2, 3), (100, 4, 1), (100, -9, 3)) r(v, s, w);
SELECT lastfluss._slots(v, 0, 1, 3) FROM (VALUES (1::float8)) r(v) WHERE v > 1;
-- Where the rows do not agree, it is as long as the longest.
SELECT lastfluss._slots(1, n - 1, 1, n) FROM unnest(ARRAY[2, 6, 1]) n;
SELECT lastfluss._slots(1, 0, 1, 0);
SELECT lastfluss._slots(1, 0, 1, -1);
SELECT lastfluss._slots(1, 0, 1, 9223372036854775807);
-- As GROUP BY has it, where rows of all times are mixed.
SELECT count(*), bool_and(s.slots[g.slot + 1] IS NOT DISTINCT FROM g.sum) AS same
FROM (SELECT k, lastfluss._slots(i, i * 7919 % 1000, 1, 1000) AS slots FROM generate_series(1, 5000) i CROSS JOIN generate_series(1, 2) k WHERE i % k = 0 GROUP BY 1) s
JOIN (SELECT k, slot, sum(i)::float8 AS sum
      FROM generate_series(0, 999) slot CROSS JOIN generate_series(1, 2) k
      LEFT JOIN generate_series(1, 5000) i ON i * 7919 % 1000 = slot AND i % k = 0 GROUP BY 1, 2) g USING (k);

-- By time: a row that begins before the range reaches into it, and one that is shorter than a slot is one of its sum.
SELECT lastfluss._slots(v, to_timestamp(t), s, 1200, 300, 4)
FROM (VALUES (8::float8, 600, 1200), (1, 1200, 60), (2, 1260, 60), (4, 1499.4, 60), (16, 1499.6, 60), (100, 2400, 300), (NULL, 1800, 300), (32, 2100, 600)) r(v, t, s);
SELECT lastfluss._slots(1, to_timestamp(0), 60, 0, 0, 1);

-- The largest sum of a time.
SELECT lastfluss._peak(v, t) FROM (VALUES (5::float8, '2024-03-01'::timestamptz), (7, '2024-03-02'), (3, '2024-03-01'), (NULL, '2024-03-02')) r(v, t);
SELECT lastfluss._peak(-5, '2024-03-01'), lastfluss._peak(NULL, '2024-03-01'), lastfluss._peak(1, NULL);

SELECT lastfluss._less('{1,2,NULL,4}', '{1,NULL,3,1.5}'), lastfluss._less('{1,2}', '{1}'), lastfluss._less('{1}', '{1,2}'), lastfluss._less('{1,NULL}', NULL), lastfluss._less(NULL, '{1}'), lastfluss._less('{}', '{1}');
SELECT n, lastfluss._lowest('{3,NULL,-1,2}', n) FROM generate_series(0, 5) n;
SELECT lastfluss._lowest('{}', 1), lastfluss._lowest(NULL, 1);
SELECT bool_and(lastfluss._lowest(a, n) = (SELECT v FROM unnest(a) v ORDER BY 1 LIMIT 1 OFFSET n - 1)) AS same
FROM (SELECT array_agg((i * 7919 % 1009)::float8) AS a FROM generate_series(1, 3000) i) s CROSS JOIN generate_series(1, 3000, 37) n;
-- However they lie: the last one is what a median of three does worst with.
SELECT lies, bool_and(lastfluss._lowest(a, n) = (SELECT v FROM unnest(a) v ORDER BY 1 LIMIT 1 OFFSET n - 1)) AS same
FROM (SELECT lies, array_agg(v ORDER BY i) AS a
      FROM generate_series(1, 3000) i, LATERAL (VALUES ('ascending', i::float8), ('descending', -i), ('equal', 7), ('rising and falling', least(i, 3001 - i)),
          ('worst', CASE WHEN i > 1500 THEN 2 * (i - 1500) WHEN i % 2 = 1 THEN i ELSE 1499 + i END)) o(lies, v) GROUP BY 1) s CROSS JOIN generate_series(1, 3000, 37) n
GROUP BY 1 ORDER BY 1;
-- Nobody has to be careful with them.
SELECT lastfluss._lowest('{{1,2},{3,4}}', 1);
SELECT lastfluss._slots(1, f, w, 2) FROM (VALUES (-9223372036854775808, 9223372036854775807), (9223372036854775807, 1), (0, 0), (1, -9223372036854775808)) r(f, w);

-- The largest sum of a time in each bucket; a null is 0, what is not in the range is left out.
SELECT lastfluss._peaks(v, to_timestamp(t), 1000, 300, 4)
FROM (VALUES (5::float8, 1000), (7, 1060), (3, 1000), (NULL, 1120), (NULL, 1300), (-2, 1899), (1, 999), (1, 2200), (1, NULL)) r(v, t);
SELECT lastfluss._peaks(1, to_timestamp(n), 0, 60, 2) FROM generate_series(119, 0, -1) n;
SELECT lastfluss._peaks(1, now(), 0, 60, 0), lastfluss._peaks(1, NULL, 0, 60, 1);
SELECT count(*), bool_and(s.peaks[b.bucket + 1] IS NOT DISTINCT FROM b.peak) AS same
FROM (SELECT lastfluss._peaks(i % 13, to_timestamp(i * 7919 % 1000), 100, 50, 20) AS peaks FROM generate_series(1, 5000) i) s
CROSS JOIN (SELECT bucket, max(sum) AS peak
            FROM generate_series(0, 19) bucket
            LEFT JOIN (SELECT i * 7919 % 1000 AS at, sum(i % 13)::float8 AS sum FROM generate_series(1, 5000) i GROUP BY 1) t ON t.at >= 100 + bucket * 50 AND t.at < 150 + bucket * 50
            GROUP BY 1) b;
SELECT lastfluss._peaks(1, now(), 0, 0, 1);
SELECT lastfluss._peaks(1, now(), 0, 60, -1);
SELECT lastfluss._peaks(1, now(), 0, NULL, 1);
-- in microseconds, 2^58 seconds are none
SELECT lastfluss._peaks(1, now(), 0, 288230376151711744, 1);
SELECT lastfluss._peaks(1, now(), -9223372036854775808, 60, 1);
