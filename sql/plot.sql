/*
 * Pictures: plot() in the terminal, svg() as a document.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
SET client_min_messages = error;    -- the collector's database is another one
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
\pset format unaligned
\pset tuples_only on

SELECT lastfluss.set('table', 'plotted');
CREATE TABLE plotted ("time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text, ingress boolean NOT NULL, remote_asn bigint, bytes bigint);
-- a ramp up, and half of it the other way; then nothing; then two steps
INSERT INTO plotted
SELECT timestamptz '2024-06-01 12:00' + make_interval(mins => m), 0, 'A', d, 1, CASE WHEN m < 40 THEN m * 1000000 WHEN m < 50 THEN 20000000 ELSE 40000000 END / CASE WHEN d THEN 1 ELSE 2 END
FROM generate_series(0, 59) m, unnest('{t,f}'::boolean[]) d WHERE m NOT BETWEEN 40 AND 44;
INSERT INTO plotted VALUES ('2024-06-01 12:30', 0, 'B <"&">', true, 2, 750);

SELECT lastfluss.plot('A', '1 hour', until => '2024-06-01 13:00', width => 60, height => 4);
SELECT lastfluss.plot('A', '1 hour', until => '2024-06-01 13:00', width => 60, height => 2, style => 'blocks');
SELECT lastfluss.plot('A', '1 hour', until => '2024-06-01 13:00', width => 60, height => 5, style => 'ascii');
-- another time zone; all interfaces; one AS; a name that has no traffic
SET timezone = 'Europe/Berlin';
SELECT lastfluss.plot(since => '2 hours', until => '2024-06-01 13:30+00', width => 40, height => 2, asn => 2);
SELECT lastfluss.plot('nobody', '1 day', until => '2024-06-02', width => 40, height => 2);
SET timezone = 'UTC';
-- many buckets for a column: the mean
INSERT INTO plotted SELECT t, 0, 'C', true, 1, 1000000 * 60 / 8 FROM generate_series(timestamptz '2024-06-03', '2024-06-03 23:59', '1 min') t;
SELECT lastfluss.plot('C', from_time => '2024-06-02', until => '2024-06-05', width => 30, height => 2);
SELECT lastfluss.plot(width => 5);
SELECT lastfluss.plot(height => NULL);
SELECT lastfluss.plot(style => 'oil');
SELECT lastfluss.plot(since => '0');

-- Every dot of a cell
SELECT string_agg(lastfluss._cell('braille', u, l, r), '' ORDER BY l, r) FROM generate_series(0, 4) l, generate_series(0, 4) r, unnest('{t,f}'::boolean[]) u GROUP BY u ORDER BY u DESC;
SELECT string_agg(lastfluss._cell('blocks', u, (n + 1) / 2, n / 2), '' ORDER BY n) FROM generate_series(0, 8) n, unnest('{t,f}'::boolean[]) u GROUP BY u ORDER BY u DESC;
SELECT v, lastfluss._scale(v) FROM unnest('{0,0.3,1,1.1,2,3,4.5,7,9,99,101,2.1e9,3e12}'::float8[]) v;
SELECT lastfluss._scale(NULL);

-- The axis of time
SELECT s, string_agg(t.label, ' | ' ORDER BY t.at) FROM unnest('{1 min,10 min,1 hour,6 hours,1 day,4 days,14 days,90 days,400 days}'::interval[]) s,
    lastfluss._ticks('2024-03-30 22:31', timestamptz '2024-03-30 22:31' + s, 6) t GROUP BY s ORDER BY s;
-- over a change of the clocks
SET timezone = 'Europe/Berlin';
SELECT t.label, t.at AT TIME ZONE 'UTC' FROM lastfluss._ticks('2024-03-30 20:00', '2024-03-31 10:00', 6) t;
SET timezone = 'UTC';

-- The document
SELECT lastfluss.svg('B <"&">', '1 hour', until => '2024-06-01 13:00', width => 300, height => 200);
SELECT (SELECT count(*) FROM regexp_matches(s, 'class="in" d="M', 'g')) AS stretches_in, (SELECT count(*) FROM regexp_matches(s, 'class="out" d="M', 'g')) AS out,
       xmlparse(document s) IS DOCUMENT AS well_formed
FROM lastfluss.svg('A', '1 hour', until => '2024-06-01 13:00') s;
SELECT xmlparse(document lastfluss.svg(E'\x01\x1f', '1 hour')) IS DOCUMENT;
SELECT lastfluss.svg(width => 10);
SELECT lastfluss.svg(height => NULL);

DROP TABLE plotted;
SELECT lastfluss.reset('table');
