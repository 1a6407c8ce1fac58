-- Prefixes and names of ASes: import_prefixes(), import_asns(), and their settings.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
DELETE FROM lastfluss.prefix;
DELETE FROM lastfluss.asn;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null (null)

/* Prefixes */

-- pfx2as, with prefixes of several origins and an AS set
SELECT lastfluss.import_prefixes(E'1.0.0.0\t24\t13335\n1.0.4.0\t22\t38803_56203\n2001:200::\t32\t2500\n2.0.0.0\t16\t4608,1221\n3.0.0.0\t8\t{64501,64502}_64503\n');
TABLE lastfluss.prefix ORDER BY prefix;

-- "prefix asn" in all kinds of writing; the rest stays
SELECT lastfluss.import_prefixes(E'\uFEFF# comment\r\n; another\r\n\r\n192.0.2.0/24 64500\r\n  198.51.100.0/24\tAS64501  \n203.0.113.0/24,as4294967295\n2001:db8::/32, 0\n0.0.0.0/0 1\n::/0   2\n192.0.2.1/32 3\n2001:db8::1/128 4');
TABLE lastfluss.prefix ORDER BY prefix;

-- the last one counts, and what is there is updated
SELECT lastfluss.import_prefixes(E'192.0.2.0/24 1\n198.51.100.0/24 2\n192.0.2.0\t24\t3\n192.0.2.0/25 4\n');
SELECT * FROM lastfluss.prefix WHERE prefix <<= '192.0.2.0/24' OR prefix = '198.51.100.0/24' ORDER BY prefix;

-- replace
SELECT lastfluss.import_prefixes(E'192.0.2.0/24 7\n2001:db8::/33 8\n', true);
TABLE lastfluss.prefix ORDER BY prefix;
SELECT lastfluss.import_prefixes('');
SELECT lastfluss.import_prefixes(E'# nothing\n', replace => true);
TABLE lastfluss.prefix;
SELECT lastfluss.import_prefixes(NULL);

-- more than a chunk, and what changes within another chunk
SELECT lastfluss.import_prefixes(string_agg(format('10.%s.%s.0/24 %s', i / 256, i % 256, i), E'\n'))
FROM generate_series(0, 25000) AS i;
SELECT count(*), sum(asn), min(prefix), max(prefix) FROM lastfluss.prefix;
SELECT lastfluss.import_prefixes(string_agg(format('10.%s.%s.0/24 %s', i / 256, i % 256, i % 2), E'\n'), true)
FROM generate_series(0, 12000) AS i;
SELECT count(*), sum(asn), min(prefix), max(prefix) FROM lastfluss.prefix;
DELETE FROM lastfluss.prefix;

-- What is wrong with a file; nothing of it is taken.
INSERT INTO lastfluss.prefix VALUES ('192.0.2.0/24', 1);
SELECT lastfluss.import_prefixes(E'198.51.100.0/24 2\n192.0.2.0 64500\n');
SELECT lastfluss.import_prefixes('192.0.2.0/24');
SELECT lastfluss.import_prefixes('192.0.2.0');
SELECT lastfluss.import_prefixes('router 24 64500');
SELECT lastfluss.import_prefixes('192.0.2/24 64500');
SELECT lastfluss.import_prefixes('192.0.2.0/33 64500');
SELECT lastfluss.import_prefixes('2001:db8::/129 64500');
SELECT lastfluss.import_prefixes('192.0.2.0/ 64500');
SELECT lastfluss.import_prefixes('192.0.2.0/-1 64500');
SELECT lastfluss.import_prefixes('192.0.2.77/24 64500');
SELECT lastfluss.import_prefixes('2001:db8::1/127 64500');
SELECT lastfluss.import_prefixes('192.0.2.0/24 AS');
SELECT lastfluss.import_prefixes('192.0.2.0/24 64500 64501');
SELECT lastfluss.import_prefixes('192.0.2.0/24 4294967296');
SELECT lastfluss.import_prefixes('192.0.2.0/24 99999999999999999999');
SELECT lastfluss.import_prefixes('192.0.2.0/24 -1');
SELECT lastfluss.import_prefixes('192.0.2.0/24 64500_');
SELECT lastfluss.import_prefixes('192.0.2.0/24 {64500');
SELECT lastfluss.import_prefixes(E'192.0.2.0/24 1\n\n# comment\n1.2.3.4/24 2\n192.0.2.0/24 x\n', true);
SELECT lastfluss.import_prefixes(repeat(E'bad\n', 20));
SELECT lastfluss.import_prefixes(repeat(E'bad\n', 21));
SELECT lastfluss.import_prefixes(repeat('x', 200) || '/24 1');
TABLE lastfluss.prefix;
INSERT INTO lastfluss.prefix VALUES ('198.51.100.0/24', 4294967296);
INSERT INTO lastfluss.prefix VALUES ('198.51.100.0/24', -1);
INSERT INTO lastfluss.prefix VALUES ('198.51.100.0/24', NULL);

/* Names */

SELECT lastfluss.import_asns($$
# RIPE's asn.txt
0 -Reserved-, ZZ
13335 CLOUDFLARENET - Cloudflare, Inc., US
AS64500 EXAMPLE, DE
as64501 Name only
64502
64503 , NL
64504 Größe, Co
64505 Ends with a comma,
; tabs, then commas
64510	Example, with tabs	US
64511	No country
64512	 blanks around 	 FR 
64513		GB
64520,"Cloudflare, Inc.",US
64521,Plain,DE
64522,"a ""quoted"" word",
AS64523,Two fields
"64524","All in quotes","NL"
4294967295 LAST, ZZ
$$);
SELECT * FROM lastfluss.asn ORDER BY asn;

-- the last one counts; the rest is kept, or replaced
SELECT lastfluss.import_asns(E'64500 first, DE\nAS64500\tlast\n13335 CLOUDFLARE\n');
SELECT count(*) FROM lastfluss.asn;
SELECT lastfluss.import_asns(E'64500 NEW, NL\n64501 OTHER, DE\n', true);
SELECT * FROM lastfluss.asn ORDER BY asn;
SELECT lastfluss.import_asns(string_agg(format(E'%s NAME-%s, US', i, i), E'\n')) FROM generate_series(1, 25000) AS i;
SELECT count(*), sum(asn), count(DISTINCT name) FROM lastfluss.asn;
SELECT lastfluss.import_asns('', true);
SELECT count(*) FROM lastfluss.asn;

-- What is wrong with a file.
SELECT lastfluss.import_asns('CLOUDFLARENET, US');
SELECT lastfluss.import_asns('AS 64500 EXAMPLE');
SELECT lastfluss.import_asns('1.0.0.0 24 13335');
SELECT lastfluss.import_asns('4294967296 EXAMPLE, DE');
SELECT lastfluss.import_asns(E'64500 EXAMPLE, DE\n64501,"open,DE\n64502,"closed"early,DE\n64503,a,b,c\n64504\ta\tb\tc\nx64505 a\n');
SELECT count(*) FROM lastfluss.asn;

/* Settings */

SELECT name, value, default_value FROM lastfluss.settings WHERE name IN ('asn_source', 'own_asn') ORDER BY name;
SET client_min_messages = error;	-- the collector's database is another one
SELECT lastfluss.set('asn_source', 'prefix');
SELECT lastfluss.set('asn_source', 'exporter');
SELECT lastfluss.set('asn_source', 'router');
SELECT lastfluss.set('asn_source', '');
SELECT lastfluss.set('own_asn', 'AS64500');
SELECT lastfluss.set('own_asn', '4294967296');
SELECT lastfluss.set('own_asn', '64500x');
SELECT lastfluss.set('own_asn', '-1');
SELECT lastfluss.set('own_asn', 'AS');
SELECT lastfluss.set('own_asn', '');
SELECT * FROM lastfluss.setting ORDER BY name;
SELECT lastfluss.reset('asn_source'), lastfluss.reset('own_asn');

/* The tables' privileges apply. */

CREATE ROLE regress_lastfluss_asn;
GRANT USAGE ON SCHEMA lastfluss TO regress_lastfluss_asn;
SET ROLE regress_lastfluss_asn;
SELECT lastfluss.import_prefixes('192.0.2.0/24 2');
SELECT lastfluss.import_asns('64500 EXAMPLE, DE');
TABLE lastfluss.prefix;
TABLE lastfluss.asn;
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lastfluss TO regress_lastfluss_asn;
SET ROLE regress_lastfluss_asn;
SELECT lastfluss.import_prefixes('192.0.2.0/24 2');
SELECT lastfluss.import_asns('64500 EXAMPLE, DE', true);
RESET ROLE;
DROP OWNED BY regress_lastfluss_asn;
DROP ROLE regress_lastfluss_asn;

DELETE FROM lastfluss.prefix;
