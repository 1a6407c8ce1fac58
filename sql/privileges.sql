/*
 * Who may do what: nothing for PUBLIC, the status for pg_monitor, and roles are
 * granted rights as in any schema.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
SET client_min_messages = error;    -- the collector's database is another one
\set SHOW_CONTEXT never

CREATE ROLE regress_lastfluss_stranger;
CREATE ROLE regress_lastfluss_monitor IN ROLE pg_monitor;
CREATE ROLE regress_lastfluss_reader;
CREATE ROLE regress_lastfluss_admin;

CREATE TEMPORARY VIEW granted AS
SELECT 'schema' AS kind, nspname::text AS name, a.grantee, a.privilege_type
FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
WHERE nspname = 'lastfluss'
UNION ALL
SELECT 'relation', relname, a.grantee, a.privilege_type
FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) a
WHERE relnamespace = 'lastfluss'::regnamespace
UNION ALL
SELECT 'function', proname, a.grantee, a.privilege_type
FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
WHERE pronamespace = 'lastfluss'::regnamespace;

-- PUBLIC
SELECT kind, name, privilege_type FROM granted WHERE grantee = 0;

-- pg_monitor
SELECT kind, name, privilege_type FROM granted
WHERE grantee = 'pg_monitor'::regrole
ORDER BY kind, name COLLATE "C", privilege_type;

-- The table is made by whoever comes first, and belongs to the database's owner.
SELECT * FROM lastfluss.replay('\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001');
SELECT relowner = datdba FROM pg_class, pg_database
WHERE pg_class.oid = 'traffic'::regclass AND datname = current_database();

-- With the owner's rights, or in a language that looks names up when it runs: none by the caller's search_path.
SELECT p.oid::regprocedure AS by_search_path FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'lastfluss'::regnamespace AND (p.prosecdef OR l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL)
    AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}';

-- What runs with the owner's rights.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'lastfluss'::regnamespace AND p.prosecdef ORDER BY p.proname COLLATE "C";

/* Somebody */

SET ROLE regress_lastfluss_stranger;
SELECT * FROM lastfluss.status;
SELECT * FROM lastfluss.interface;
SELECT * FROM lastfluss.rollups;
SELECT lastfluss.set('period', '1');
SELECT lastfluss.add_interface('DE-CIX', '192.0.2.1', 23);
SELECT * FROM lastfluss.read_pcap('');
SELECT * FROM traffic;

/* A member of pg_monitor */

SET ROLE regress_lastfluss_monitor;
SELECT count(*) FROM lastfluss.status;
SELECT count(*) >= 0 AS may FROM lastfluss.exporters;
SELECT count(*) >= 0 AS may FROM lastfluss.templates;
SELECT count(*) >= 0 AS may FROM lastfluss.seen_interfaces;
SELECT count(*) >= 0 AS may FROM lastfluss.live;
SELECT value FROM lastfluss.settings WHERE name = 'period';
SELECT * FROM lastfluss.interface;
SELECT * FROM lastfluss._written;
SELECT name, relation, waiting, last_error FROM lastfluss.rollups ORDER BY step;
SELECT count(*) >= 0 AS may FROM lastfluss.maintenance;
SELECT count(*) FROM lastfluss.upgrade;
SELECT * FROM lastfluss._rollup;
SELECT lastfluss.rollup_again(now() - interval '1 h', now());
SELECT lastfluss.upgrade_table();
SELECT lastfluss.upgrade_cancel();
SELECT lastfluss.set('period', '1');
SELECT lastfluss.add_interface('DE-CIX', '192.0.2.1', 23);
SELECT lastfluss.add_listener();
SELECT * FROM lastfluss.read_datagrams('{}');
SELECT * FROM lastfluss.replay('');
SELECT * FROM traffic;

/* A reader of the rows, such as a dashboard */

RESET ROLE;
GRANT SELECT ON traffic TO regress_lastfluss_reader;
SET ROLE regress_lastfluss_reader;
SELECT count(*) FROM traffic;
INSERT INTO traffic ("time", bandwidth, ingress) VALUES (now(), 0, true);
SELECT * FROM lastfluss.live;

/* An administrator of the collector, who owns nothing of it */

RESET ROLE;
GRANT USAGE ON SCHEMA lastfluss TO regress_lastfluss_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lastfluss TO regress_lastfluss_admin;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lastfluss TO regress_lastfluss_admin;
SET ROLE regress_lastfluss_admin;
SELECT lastfluss.add_interface('DE-CIX', '192.0.2.1', 23);
INSERT INTO lastfluss.interface (name, host, id) VALUES ('Transit', '192.0.2.1', 42);
SELECT lastfluss.add_listener();
SELECT lastfluss.set('period', '300');
UPDATE lastfluss.setting SET value = '1 min' RETURNING *;
SELECT lastfluss.reset('period');
SELECT lastfluss.rollup_again('2026-01-01', '2026-01-02');
SELECT lastfluss.rollup_again('2026-01-02', '2026-01-01');
SELECT lastfluss.upgrade_table();
SELECT lastfluss.upgrade_cancel();
SELECT lastfluss.remove_listener();
SELECT lastfluss.remove_interface('192.0.2.1', 23);
DELETE FROM lastfluss.interface RETURNING name;

-- replay() needs what INSERT needs.
SELECT * FROM lastfluss.replay('\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001');
RESET ROLE;
GRANT INSERT ON traffic TO regress_lastfluss_admin;
SET ROLE regress_lastfluss_admin;
SELECT * FROM lastfluss.replay('\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001');

RESET ROLE;
DROP TABLE traffic;
DROP OWNED BY regress_lastfluss_reader, regress_lastfluss_admin;
DROP ROLE regress_lastfluss_stranger, regress_lastfluss_monitor, regress_lastfluss_reader,
    regress_lastfluss_admin;
