-- interfaces.yaml and settings.yaml, both ways.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
DELETE FROM lastfluss.interface;
DELETE FROM lastfluss.listener;
DELETE FROM lastfluss.setting;
RESET client_min_messages;
\pset format unaligned
\pset null (null)

-- The examples.
\set interfaces `cat "$PG_ABS_SRCDIR/examples/interfaces.yaml"`
SELECT lastfluss.import_interfaces(:'interfaces');
SELECT * FROM lastfluss.interface ORDER BY host, id, vlan NULLS FIRST;
SELECT lastfluss.export_interfaces();
\set settings `cat "$PG_ABS_SRCDIR/examples/settings.yaml"`
SELECT lastfluss.import_settings(:'settings');
SELECT * FROM lastfluss.listener ORDER BY address, port;
SELECT lastfluss.export_settings();

-- The original's interfaces.yaml; no sample, 0 and null are "as the exporter says".
SELECT lastfluss.import_interfaces($$
- name: some transit provider
  host: 1.2.3.4
  id: 23
  sample: 1024
- name: 42
  host: 1.2.3.4
  id: 24
  sample: 0
- {name: "42", host: 1.2.3.4, id: 25, sample: ~, role: , vlan: null, speed: Null}
$$, replace => true);
SELECT name, host, id, vlan, sample, role, speed FROM lastfluss.interface ORDER BY host, id;

-- Rows are updated by host, id and vlan; the others stay without replace.
SELECT lastfluss.import_interfaces($$[{name: new name, host: 1.2.3.4, id: 23}, {name: vlan 5, host: 1.2.3.4, id: 23, vlan: 5}]$$);
SELECT name, host, id, vlan, sample FROM lastfluss.interface ORDER BY host, id, vlan NULLS FIRST;
SELECT lastfluss.import_interfaces($$[{name: only, host: 1.2.3.4, id: 23, vlan: 5}]$$, true);
SELECT name, host, id, vlan, sample FROM lastfluss.interface ORDER BY host, id, vlan NULLS FIRST;
SELECT lastfluss.import_interfaces('[]');
SELECT count(*) FROM lastfluss.interface;
SELECT lastfluss.import_interfaces('[]', true);
SELECT count(*) FROM lastfluss.interface;
SELECT lastfluss.export_interfaces();

-- Rolled back is never happened.
BEGIN;
SELECT lastfluss.import_interfaces('[{name: a, host: "::1", id: 1}]');
ROLLBACK;
SELECT count(*) FROM lastfluss.interface;

-- What is wrong with a file: line, field, reason.  Nothing is changed.
INSERT INTO lastfluss.interface (name, host, id) VALUES ('stays', '192.0.2.1', 1);
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 1\n  sampel: 512\n', true);
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: abc\n', true);
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: "1"\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: [1]\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 4294967296\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 010\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 1.5\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: -1\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 1\n  vlan: 4096\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 1\n  speed: 10G\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: router1.example.net\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.0/24\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n');
SELECT lastfluss.import_interfaces(E'- name: ~\n  host: 192.0.2.1\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: ""\n  host: 192.0.2.1\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: {a: b}\n  host: 192.0.2.1\n  id: 1\n  role: ""\n');
SELECT lastfluss.import_interfaces(format(E'- name: %s\n  host: 192.0.2.1\n  id: 1\n', repeat('ä', 128)));
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 1\n  id: 2\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n  id: 1\n\n- name: b\n  host: 192.0.2.1\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- {name: a, host: "::1", id: 1, vlan: 3}\n- {name: b, host: "::1", id: 1}\n- {name: b, host: 0::1, id: 1, vlan: 3}\n');
SELECT lastfluss.import_interfaces(E'- name:a\n- b\n');
SELECT lastfluss.import_interfaces(E'name: a\nhost: 192.0.2.1\n');
SELECT lastfluss.import_interfaces('just text');
SELECT lastfluss.import_interfaces(string_agg(format('- {name: a, host: x%s, id: 1}', i), E'\n'))
FROM generate_series(1, 30) AS i;

-- Broken YAML, and what is not supported.
SELECT lastfluss.import_interfaces('');
SELECT lastfluss.import_interfaces(E'# nothing\n');
SELECT lastfluss.import_interfaces(E'---\n');
SELECT lastfluss.import_interfaces(E'- name: a\n\thost: 192.0.2.1\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\n id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: a: b\n');
SELECT lastfluss.import_interfaces(E'- name: "a\n  host: 192.0.2.1\n');
SELECT lastfluss.import_interfaces(E'- name: a\n  host: 192.0.2.1\x01\n');
SELECT lastfluss.import_interfaces(E'- name: "a\\0b"\n  host: 192.0.2.1\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- name: "\\ud800"\n  host: 192.0.2.1\n  id: 1\n');
SELECT lastfluss.import_interfaces(E'- &a {name: a, host: 192.0.2.1, id: 1}\n- *a\n');
SELECT lastfluss.import_interfaces(E'- name: !!binary aGFsbG8=\n');
SELECT lastfluss.import_interfaces(E'- {name: a, host: 192.0.2.1, id: 1}\n---\n- {name: b, host: 192.0.2.1, id: 2}\n');
SELECT lastfluss.import_interfaces(E'- ? [a]\n  : b\n');
SELECT lastfluss.import_interfaces(repeat('[', 100000));
SELECT lastfluss.import_interfaces(repeat(' ', 4 * 1024 * 1024 + 1));
SELECT name, host, id FROM lastfluss.interface;

-- The original's syntax with everything that YAML allows around it.
SELECT lastfluss.import_interfaces(E'\uFEFF%YAML 1.1\r\n---\r\n- &anchor\r\n  "name": ''it''''s''\r\n  host: \r\n    1.2.3.4\r\n  id: 23 # comment\r\n...\r\n', true);
SELECT name, host, id FROM lastfluss.interface;
SELECT lastfluss.import_interfaces(E'\uFEFF- name: a\n  host: 192.0.2.1\n  id: 1\n- name: b\n  host: 192.0.2.1\n  id: 2\n', true);

-- What the triggers refuse comes with the line.
DO $$
DECLARE
	place text;
BEGIN
	PERFORM lastfluss.import_interfaces(string_agg(format(E'- name: a\n  host: 192.0.2.1\n  id: %s\n', i), ''), true)
	FROM generate_series(1, 4097) AS i;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS place = PG_EXCEPTION_CONTEXT;
	RAISE NOTICE '%: %', SQLERRM, substring(place FROM 'interfaces file, line \d+');
END;
$$;
SELECT name, host, id FROM lastfluss.interface;

-- Export and import give the same rows, whatever is in them.
DELETE FROM lastfluss.interface;
INSERT INTO lastfluss.interface (name, host, id, role, description)
SELECT text, '2001:db8::1', row_number() OVER (), text, text
FROM unnest(ARRAY['plain', 'two words', 'Größe', '日本', '🙂', '1', '1.5', '0x10', '1e3', '007', '+1', '.5',
	'null', 'NULL', '~', 'true', 'No', 'on', 'y', '.inf', '.NaN', '2001-01-01', '12:30:45', '<<', '=',
	' leading', 'trailing ', '  ', E'\t', E'a\tb', E'a\nb', E'\n', E'a\n', E'a\n\n', E'\r', E'a\r\nb', E'a\n b\n  c\n',
	'it''s', '"quoted"', '''', '"', '\', '\n', 'a: b', 'a:', ':a', ': ', 'a #b', '#a', 'a#b', '- a', '-', '--- a', '---', '...',
	'? a', '?', '[a]', '{a}', 'a, b', ',', ']', '}', '&a', '*a', '!a', '!!str a', '|', '>', '@a', '`a`', '%a', '%YAML 1.1',
	E'\u0001', E'\u007f', E'\u0085', E'a\u0085b', E'\u00a0', E'a\u00a0', E'a\u2028b', E'a\u2029b', E'\u200b', E'\ufeff', E'a\ufeff', E'\ufffd', E'\uffff',
	E'\U0010ffff', repeat('long words and ', 17)]) AS text;
INSERT INTO lastfluss.interface (name, host, id, vlan, sample, sample_out, role, speed, description, count) VALUES
	('all', '192.0.2.1', 4294967295, 4095, 4294967295, 1, 'r', 9223372036854775807, '', 'egress'),
	('none', '192.0.2.1', 0, NULL, NULL, NULL, NULL, NULL, NULL, 'both'),
	('none', '1:2:3:4:5:6:7:8', 0, 0, NULL, NULL, NULL, NULL, NULL, 'ingress');
CREATE TEMP TABLE before AS SELECT * FROM lastfluss.interface;
CREATE TEMP TABLE exported AS SELECT lastfluss.export_interfaces() AS yaml;
DELETE FROM lastfluss.interface;
SELECT lastfluss.import_interfaces(yaml) = (SELECT count(*) FROM before) AS complete FROM exported;
TABLE before EXCEPT TABLE lastfluss.interface;
TABLE lastfluss.interface EXCEPT TABLE before;
SELECT yaml = lastfluss.export_interfaces() AS same FROM exported;
SELECT regexp_matches(yaml, '- name: (?:all|none)\n(?:  .*\n)*', 'gn') FROM exported;

-- Settings.
DELETE FROM lastfluss.listener;
SELECT lastfluss.import_settings($$
aggregation: {period: 1 min}
netflow: {address: "192.0.2.1:2055"}
settings: {table: flows.traffic}
listeners: [{address: "::", port: 2056}, {address: 192.0.2.1, port: 2055}, {address: "2001:db8::1", port: 6343}]
$$);
SELECT name, value FROM lastfluss.settings WHERE name IN ('period', 'table') ORDER BY name;
TABLE lastfluss.setting;
SELECT address, port FROM lastfluss.listener ORDER BY address, port;
SELECT lastfluss.export_settings();
SELECT lastfluss.import_settings(lastfluss.export_settings());
TABLE lastfluss.setting;
SELECT lastfluss.import_settings('{aggregation: {period: 300}, settings: ~, listeners: , netflow: }');
SELECT name, value FROM lastfluss.settings WHERE name IN ('period', 'table') ORDER BY name;
SELECT lastfluss.import_settings('{}');
DELETE FROM lastfluss.listener;
SELECT lastfluss.import_settings(format('netflow: {address: "%s"}', address))
FROM unnest(ARRAY[':2055', '192.0.2.1:2055', '[::1]:2055', '0.0.0.0:2055', '[::]:2055']) AS address;
SELECT address, port FROM lastfluss.listener ORDER BY address, port;
SELECT lastfluss.export_settings();

-- What is wrong with them.
SELECT lastfluss.import_settings(E'netflow:\n  address: localhost:2055\n');
SELECT lastfluss.import_settings(E'netflow:\n  address: 2055\n');
SELECT lastfluss.import_settings(E'netflow:\n  address: ::1:2055\n');
SELECT lastfluss.import_settings(E'netflow:\n  address: ":0"\n');
SELECT lastfluss.import_settings(E'netflow:\n  address: ":65536"\n');
SELECT lastfluss.import_settings(E'netflow:\n  address: "192.0.2.0/24:2055"\n');
SELECT lastfluss.import_settings(E'netflow:\n  adress: ":2055"\n');
SELECT lastfluss.import_settings(E'netflow:\n  address: ":2055"\n  address: ":2056"\n');
SELECT lastfluss.import_settings(E'netflow: ":2055"\n');
SELECT lastfluss.import_settings(E'agregation:\n  period: 60\n');
SELECT lastfluss.import_settings(E'database:\ndatabase:\n');
SELECT lastfluss.import_settings(E'aggregation:\n  period: [60]\n');
SELECT lastfluss.import_settings(E'aggregation:\n  period: sixty\n');
SELECT lastfluss.import_settings(E'settings:\n  period: 60\naggregation:\n  period: 60\n');
SELECT lastfluss.import_settings(E'listeners:\n- address: "::"\n- port: 2055\n- 2055\n- address: "::"\n  port: 70000\n  name: a\n');
SELECT lastfluss.import_settings(E'listeners: 2055\n');
SELECT lastfluss.import_settings('- a');
SELECT lastfluss.import_settings('');
DO $$
BEGIN
	PERFORM lastfluss.import_settings(E'netflow: {address: ":9999"}\nsettings:\n  no_such_setting: 1\n');
EXCEPTION WHEN undefined_object THEN
	RAISE NOTICE '%', SQLERRM;
END;
$$;
SELECT count(*) FROM lastfluss.listener WHERE port = 9999;

-- The notice is one, and shows no value.
SELECT lastfluss.import_settings('database: {pass: secret}');
SELECT lastfluss.import_settings('database: {' || string_agg('key' || i, ', ') || '}') FROM generate_series(1, 25) AS i;

-- The tables' privileges apply.
CREATE ROLE regress_lastfluss_yaml;
GRANT USAGE ON SCHEMA lastfluss TO regress_lastfluss_yaml;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lastfluss TO regress_lastfluss_yaml;
\set SHOW_CONTEXT never
SET ROLE regress_lastfluss_yaml;
SELECT lastfluss.import_interfaces('[{name: a, host: 192.0.2.1, id: 1}]');
SELECT lastfluss.import_interfaces('[]', true);
SELECT lastfluss.export_interfaces();
SELECT lastfluss.import_settings('netflow: {address: ":2055"}');
RESET ROLE;
\set SHOW_CONTEXT errors
DROP OWNED BY regress_lastfluss_yaml;
DROP ROLE regress_lastfluss_yaml;

-- Files with one octet changed, put in or left out are taken or refused, and
-- never fail in another way.
CREATE FUNCTION pg_temp.mutate(file text, seed integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	octets text := E' \n\t:-,#"''[]{}&*!|>%@`?~\\0aé';
	at integer := 1 + seed * 7919 % length(file);
	octet text := substr(octets, 1 + seed % length(octets), 1);
BEGIN
	RETURN overlay(file PLACING CASE WHEN seed % 5 = 4 THEN '' ELSE octet END FROM at FOR seed % 3);
END;
$$;
SET client_min_messages = warning;
DO $$
DECLARE
	interfaces text := E'- name: a\n  host: 192.0.2.1\n  id: 1\n  role: "x: y"\n- {name: ''b'', host: "::1", id: 2, vlan: 3}\n';
	settings text := E'aggregation:\n  period: 60\nnetflow: {address: ":2055", threads: 8}\nlisteners:\n- address: ''::1''\n  port: 9995\n';
BEGIN
	FOR seed IN 1..1500 LOOP
		BEGIN
			PERFORM lastfluss.import_interfaces(pg_temp.mutate(interfaces, seed), seed % 2 = 0);
			PERFORM lastfluss.import_interfaces(lastfluss.export_interfaces());
		EXCEPTION WHEN syntax_error OR invalid_parameter_value THEN
			NULL;
		END;
		BEGIN
			DELETE FROM lastfluss.listener;
			PERFORM lastfluss.import_settings(pg_temp.mutate(settings, seed));
			PERFORM lastfluss.import_settings(lastfluss.export_settings());
		EXCEPTION WHEN syntax_error OR invalid_parameter_value THEN
			NULL;
		END;
	END LOOP;
END;
$$;

DELETE FROM lastfluss.interface;
DELETE FROM lastfluss.listener;
DELETE FROM lastfluss.setting;
DROP TABLE before, exported;
