-- AS-Stats' knownlinks file.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
DELETE FROM lastfluss.interface;
RESET client_min_messages;
\pset format unaligned
\pset null (null)

-- The example: comments, runs of tabs, a VLAN, and rates by direction.
\set links `cat "$PG_ABS_SRCDIR/examples/as-stats/knownlinks"`
SELECT lastfluss.import_knownlinks(:'links');
SELECT name, host, id, vlan, sample, sample_out, role, description, color FROM lastfluss.interface ORDER BY host, id, vlan NULLS FIRST;
SELECT lastfluss.export_interfaces();

-- And back through YAML.
SELECT lastfluss.export_interfaces() AS yaml \gset
SELECT lastfluss.import_interfaces(:'yaml', replace => true);
SELECT lastfluss.export_interfaces() = :'yaml' AS same;

-- What the file does not have stays; what it has is changed.
UPDATE lastfluss.interface SET role = 'transit', speed = 10000000000, count = 'ingress' WHERE id = 23;
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t23\tnew_tag\tNew\tAABBCC\t7\r\n');
SELECT name, sample, role, speed, count, description, color FROM lastfluss.interface WHERE id = 23;

-- Old files have no rates; CR LF; blanks; an IPv4 router behind an IPv6 socket; the same tag twice.
SELECT lastfluss.import_knownlinks(E'\uFEFF# comment\r\n\r\n  ::ffff:192.0.2.9\t\t 1 \tboth\tTwo words \t#A6CEE3\r\n2001:db8::1\t1\tboth\r\n', replace => true);
SELECT name, host, id, vlan, sample, sample_out, description, color FROM lastfluss.interface ORDER BY host, id;
SELECT lastfluss.import_knownlinks(E'192.0.2.9\t1\ta\tA\tA6CEE3\t5\tand\tmore', replace => true);
SELECT name, host, id, sample FROM lastfluss.interface;
SELECT lastfluss.import_knownlinks(E'# nothing\n');
SELECT lastfluss.import_knownlinks('', replace => true);
SELECT count(*) FROM lastfluss.interface;

-- What is wrong with a file: line, field, reason.  Nothing is changed.
INSERT INTO lastfluss.interface (name, host, id) VALUES ('stays', '192.0.2.1', 1);
SELECT lastfluss.import_knownlinks('192.0.2.1 15 uplink1 Uplink A6CEE3 1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t15\n', true);
SELECT lastfluss.import_knownlinks(E'\n# router\nrouter1\t15\ta\tA\tA6CEE3\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.0/24\t15\ta\tA\tA6CEE3\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\teth0\ta\tA\tA6CEE3\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t4294967296\ta\tA\tA6CEE3\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1/4096\ta\tA\tA6CEE3\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1/\ta\tA\tA6CEE3\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1\ta\tA\tred\t1', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1\ta\tA\tA6CEE3\t0', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1\ta\tA\tA6CEE3\t1:512', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1\ta\tA\tA6CEE3\t512/', true);
SELECT lastfluss.import_knownlinks(format(E'192.0.2.1\t1\t%s\tA\tA6CEE3\t1', repeat('ä', 128)), true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1\ta\tA\tA6CEE3\t1\n\n::FFFF:192.0.2.1\t1\tb\tB\tA6CEE3\t1\n', true);
SELECT lastfluss.import_knownlinks(E'192.0.2.1\t1/2\ta\tA\tA6CEE3\t1\n192.0.2.1\t1\tb\tB\tA6CEE3\t1\n192.0.2.1\t1/2\tc\tB\tA6CEE3\t1\n', true);
SELECT lastfluss.import_knownlinks(E'x\ty\ta\tA\tz\tw', true);
SELECT lastfluss.import_knownlinks(string_agg(format(E'x%s\t1\ta', i), E'\n'), true) FROM generate_series(1, 30) AS i;
SELECT lastfluss.import_knownlinks(NULL) IS NULL AS strict;
SELECT name, host, id FROM lastfluss.interface;

-- The colour of an interface.
SET client_min_messages = error;    -- the collector's database is another one
\set SHOW_CONTEXT never
UPDATE lastfluss.interface SET color = 'red';
UPDATE lastfluss.interface SET color = '#1F78b4' RETURNING color;
SELECT lastfluss.add_interface('coloured', '192.0.2.1', 2, color => '#1f78b');
SELECT lastfluss.add_interface('coloured', '192.0.2.1', 2, color => '#1f78b4');
SELECT name, color FROM lastfluss.interface ORDER BY id;
DELETE FROM lastfluss.interface;
