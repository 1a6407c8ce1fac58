/*
 * Sums by AS, of which the largest are shown: what the lists are made of.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;

CREATE TEMPORARY TABLE rows_ (asn bigint, apart boolean, bytes bigint);
INSERT INTO rows_ VALUES (1, true, 10), (2, false, 20), (1, false, 5), (3, NULL, 15), (NULL, true, 7), (4, true, 0), (1, NULL, NULL);

-- In descending order, and of those that are as large the lower number first; last what has no AS.
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, NULL) FROM rows_)) l;
-- Together with those that are not among the largest.
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, 2) FROM rows_)) l;
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, 0) FROM rows_)) l;
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, -1) FROM rows_)) l;
-- Without any there is nothing.
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, 1) FROM rows_ WHERE asn = 1)) l;
SELECT lastfluss._largest(asn, apart, bytes, 1) FROM rows_ WHERE false;
-- Parts of rows, exactly.
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes * 0.5, 2) FROM rows_)) l;
SELECT l.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, NULL)
                        FROM (VALUES (1, true, 1.5), (1, true, 2.25), (2, false, 3.76), (NULL, false, 0.1), (NULL, NULL, 0.2)) r(asn, apart, bytes))) l;
-- Sums that no bigint holds.
SELECT l.* FROM unnest((SELECT lastfluss._largest(n % 2, n % 3 = 0, 9223372036854775807 - n, 1) FROM generate_series(0::bigint, 9999) n)) l;
SELECT sum(9223372036854775807 - n) FILTER (WHERE n % 2 = 0) AS bytes, sum(9223372036854775807 - n) FILTER (WHERE n % 2 = 1) AS others FROM generate_series(0, 9999) n;
SELECT l.* FROM unnest((SELECT lastfluss._largest(n, true, (-9223372036854775808)::bigint + n, 2) FROM generate_series(0, 3) n)) l;

-- As GROUP BY has it, with parts and without, for as many ASes as there may be.
CREATE TEMPORARY TABLE many AS
SELECT nullif(n * 7919 % 30011, 0) * 138889 AS asn, CASE n % 7 WHEN 6 THEN NULL ELSE n % 2 = 0 END AS apart, n * 104729 % 1000003 AS bytes FROM generate_series(1::bigint, 100000) n;
CREATE TEMPORARY TABLE grouped AS
SELECT asn, coalesce(sum(bytes) FILTER (WHERE apart), 0) AS apart, coalesce(sum(bytes) FILTER (WHERE NOT apart), 0) AS others, sum(bytes) AS bytes,
       row_number() OVER (ORDER BY asn IS NULL, sum(bytes) DESC, asn) AS place
FROM many GROUP BY 1;
SELECT count(*), bool_and(g.bytes IS NOT NULL) AS same
FROM unnest((SELECT lastfluss._largest(asn, apart, bytes, NULL) FROM many)) WITH ORDINALITY l(asn, apart, others, bytes, place)
LEFT JOIN grouped g ON g.asn IS NOT DISTINCT FROM l.asn AND (g.apart, g.others, g.bytes, g.place) = (l.apart, l.others, l.bytes, l.place);
SELECT n, s.factor, count(*), bool_and(g.bytes IS NOT NULL) AS same
FROM generate_series(0, 40000, 10000) n CROSS JOIN (VALUES (1::numeric), (0.3)) s(factor)
CROSS JOIN LATERAL (SELECT u.* FROM unnest((SELECT lastfluss._largest(asn, apart, bytes * s.factor, n) FROM many)) WITH ORDINALITY u(asn, apart, others, bytes, place)) l
LEFT JOIN (SELECT o.n AS of, e.* FROM generate_series(0, 40000, 10000) o(n)
           CROSS JOIN LATERAL (SELECT CASE WHEN place <= o.n THEN asn END AS asn, sum(apart) AS apart, sum(others) AS others, sum(bytes) AS bytes, min(place) AS place FROM grouped GROUP BY 1) e) g
    ON g.of = n AND g.asn IS NOT DISTINCT FROM l.asn AND (g.apart * s.factor, g.others * s.factor, g.bytes * s.factor, g.place) = (l.apart, l.others, l.bytes, l.place)
GROUP BY 1, 2 ORDER BY 1, 2;
-- Each group has sums of its own.
SELECT g, count(*), sum(l.bytes) FROM (SELECT n % 3 AS g, lastfluss._largest(n % 10, true, n, 4) AS list FROM generate_series(1::bigint, 1000) n GROUP BY 1) s, unnest(s.list) l GROUP BY 1 ORDER BY 1;
