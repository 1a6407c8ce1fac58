/*
 * Configuration: interfaces, listeners, settings.
 *
 * Nothing here listens: the collector works in another database.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
\set SHOW_CONTEXT never

-- The collector's database is another one, which is said every time.
SELECT lastfluss.add_interface('DE-CIX', '192.0.2.1', 23, sample => 512, role => 'ixp',
                               speed => 100000000000);
SET client_min_messages = error;

/* Interfaces */

SELECT lastfluss.add_interface('Transit', host => '2001:db8::1', id => 4294967295);
SELECT lastfluss.add_interface('Customers', '192.0.2.1', 24, vlan => 100, sample => 512,
                               sample_out => 1024, description => 'two of them');
-- A VLAN of an interface beside the rest of it, under a name used before.
SELECT lastfluss.add_interface('DE-CIX', '192.0.2.1', 24);
SELECT * FROM lastfluss.interface ORDER BY host, id, vlan;

-- The same interface twice.
SELECT lastfluss.add_interface('Again', '192.0.2.1', 24);
SELECT lastfluss.add_interface('Again', '192.0.2.1', 24, vlan => 100);

-- What cannot be an interface.
SELECT lastfluss.add_interface('Bad', 'router1', 1);
SELECT lastfluss.add_interface('Bad', '192.0.2.0/24', 1);
SELECT lastfluss.add_interface('Bad', '::ffff:192.0.2.1', 1);
SELECT lastfluss.add_interface('Bad', NULL, 1);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', -1);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 4294967296);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', NULL);
SELECT lastfluss.add_interface('', '192.0.2.1', 1);
SELECT lastfluss.add_interface(NULL, '192.0.2.1', 1);
SELECT lastfluss.add_interface(repeat('ä', 128), '192.0.2.1', 1);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, vlan => 4096);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, vlan => -1);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, sample => 0);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, sample => 4294967296);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, sample_out => 0);
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, role => '');
SELECT lastfluss.add_interface('Bad', '192.0.2.1', 1, speed => 0);

-- INSERT, UPDATE and DELETE are checked like the functions.
INSERT INTO lastfluss.interface (name, host, id) VALUES ('Peer', '192.0.2.2', 0);
INSERT INTO lastfluss.interface (name, host, id) VALUES ('Peer', '192.0.2.2', 0);
INSERT INTO lastfluss.interface (name, host, id) VALUES ('Peer', '192.0.2.2/31', 1);
UPDATE lastfluss.interface SET sample = 1000 WHERE name = 'Peer' RETURNING *;
UPDATE lastfluss.interface SET sample = -1 WHERE name = 'Peer';
DELETE FROM lastfluss.interface WHERE name = 'Peer';
INSERT INTO lastfluss.interface (name, host, id)
SELECT 'Many', '192.0.2.3', id FROM generate_series(1, 4097) AS id;

-- Rolled back means never happened.
BEGIN;
TRUNCATE lastfluss.interface;
ROLLBACK;
SELECT count(*) FROM lastfluss.interface;

SELECT lastfluss.remove_interface('192.0.2.1', 24, 100);
SELECT lastfluss.remove_interface('192.0.2.1', 24, 100);
SELECT lastfluss.remove_interface('192.0.2.1', 25);
SELECT lastfluss.remove_interface('192.0.2.1', 24);
SELECT lastfluss.remove_interface('192.0.2.1', 23);
SELECT lastfluss.remove_interface(host => '2001:db8::1', id => 4294967295);
TABLE lastfluss.interface;

/* Listeners */

SELECT lastfluss.add_listener();
SELECT lastfluss.add_listener('0.0.0.0', 9995);
SELECT lastfluss.add_listener(port => 4739);
SELECT * FROM lastfluss.listener ORDER BY address, port;

SELECT lastfluss.add_listener();
SELECT lastfluss.add_listener('localhost');
SELECT lastfluss.add_listener('192.0.2.1:2055');
SELECT lastfluss.add_listener('192.0.2.0/24');
SELECT lastfluss.add_listener(NULL);
SELECT lastfluss.add_listener(port => 0);
SELECT lastfluss.add_listener(port => 65536);
SELECT lastfluss.add_listener(port => NULL);

INSERT INTO lastfluss.listener DEFAULT VALUES;
INSERT INTO lastfluss.listener VALUES ('::1', -1);
INSERT INTO lastfluss.listener SELECT '::1', port FROM generate_series(1, 65) AS port;

SELECT lastfluss.remove_listener();
SELECT lastfluss.remove_listener();
SELECT lastfluss.remove_listener('0.0.0.0', 9995);
SELECT lastfluss.remove_listener('::', 4739);
SELECT lastfluss.remove_listener('nowhere', 4739);
TABLE lastfluss.listener;

/* Settings */

SELECT * FROM lastfluss.settings WHERE name IN ('period', 'table') ORDER BY name;
SELECT lastfluss.set('period', '1 min');
SELECT * FROM lastfluss.setting;
SELECT lastfluss.set('period', '300');
SELECT lastfluss.set('table', 'flows."Traffic"');
SELECT name, value, default_value FROM lastfluss.settings WHERE name IN ('period', 'table') ORDER BY name;

SELECT lastfluss.set('collector', 'fra/1');
SELECT lastfluss.set('collector', '');
SELECT default_value <> '' AS has_name FROM lastfluss.settings WHERE name = 'collector';
SELECT lastfluss.set('colour', 'red');
SELECT lastfluss.set(NULL, 'red');
SELECT lastfluss.set('period', NULL);
SELECT lastfluss.set('period', '');
SELECT lastfluss.set('period', '0');
SELECT lastfluss.set('period', '-60');
SELECT lastfluss.set('period', '3601');
SELECT lastfluss.set('period', '1.5');
SELECT lastfluss.set('period', '1 month');
SELECT lastfluss.set('period', 'often');
SELECT lastfluss.set('period', '99999999999999999999');
SELECT lastfluss.set('table', '');
SELECT lastfluss.set('table', 'a.b.c');

SELECT lastfluss.set('window', '-1');
SELECT lastfluss.set('window', '2 days');
SELECT lastfluss.set('attribution', 'sometimes');
SELECT lastfluss.set('keep_top', '-1');
SELECT lastfluss.set('spool_limit', '1 GB');
SELECT lastfluss.set('keep_top_share', '101');
SELECT lastfluss.set('keep_top_share', 'half');
SELECT lastfluss.set('keep_top_share', 'nan');
SELECT lastfluss.set('rollups', '5m');
SELECT lastfluss.set('rollup_keep_top', 'all');
SELECT lastfluss.set('retention', '30');
SELECT lastfluss.set('retention', '-1 day');
SELECT lastfluss.set('retention', '59 min');
SELECT lastfluss.set('retention', 'for ever');

-- How long something is kept, in the words of an interval.
SELECT lastfluss.set('retention', '1 year 6 months'), lastfluss.set('retention_5m', '36:00'),
       lastfluss.set('retention_1h', 'KEEP'), lastfluss.set('rollups', 'false'), lastfluss.set('keep_top_share', '0.25');
SELECT name, value FROM lastfluss.setting WHERE name LIKE 'retention%' OR name IN ('rollups', 'keep_top_share') ORDER BY name COLLATE "C";
DELETE FROM lastfluss.setting WHERE name LIKE 'retention%' OR name IN ('rollups', 'keep_top_share');

-- What needs more buffers than there are is refused, with the numbers that would work.
SELECT lastfluss.reset('period');
SELECT lastfluss.set('window', '10 min');
SELECT lastfluss.set('period', '10');
SELECT lastfluss.set('window', '50');
SELECT lastfluss.set('period', '10');
SELECT lastfluss.reset('window');
SELECT lastfluss.set('attribution', 'arrival');
SELECT lastfluss.set('period', '1');
SELECT lastfluss.reset('window');
SELECT lastfluss.reset('attribution');
SELECT lastfluss.set('window', '5');
SELECT lastfluss.reset('attribution');
SELECT lastfluss.set('period', '300');
SELECT lastfluss.reset('window');

-- Plain SQL keeps values in the same form.
UPDATE lastfluss.setting SET value = '00:02' WHERE name = 'period' RETURNING value;
UPDATE lastfluss.setting SET value = 'never' WHERE name = 'period';
INSERT INTO lastfluss.setting VALUES ('colour', 'red');

SELECT lastfluss.reset('period');
SELECT lastfluss.reset('period');
SELECT lastfluss.reset('table');
SELECT lastfluss.reset('colour');
SELECT lastfluss.reset(NULL);
SELECT name, value FROM lastfluss.settings WHERE value <> default_value;
