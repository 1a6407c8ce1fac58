/*
 * Who may do what: an administrator, a reader (such as Grafana), and customers, each of
 * whom sees the traffic of its own ports only.
 *
 *     psql lastfluss -f examples/roles.sql
 *
 * Run it as a superuser, when the table traffic is there, and again when functions or
 * rollups have come with an update.  The first two are groups; whoever logs in is in one:
 *
 *     CREATE ROLE alice LOGIN PASSWORD '...' IN ROLE lastfluss_admin;
 *     CREATE ROLE grafana LOGIN PASSWORD '...' BYPASSRLS IN ROLE lastfluss_reader;
 *
 * With BYPASSRLS a reader sees what is not written yet, too, which policies do not know.
 */

\set ON_ERROR_STOP on
\set QUIET on
BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastfluss_reader') THEN
        CREATE ROLE lastfluss_reader;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastfluss_admin') THEN
        CREATE ROLE lastfluss_admin;
    END IF;
END;
$$;

/*
 * The reader: answers, graphs, the rows, and the status, but not the rest of what
 * pg_monitor may see.
 */

SELECT lastfluss.grant_read('lastfluss_reader');
GRANT SELECT ON lastfluss.counters TO lastfluss_reader;

DO $$
DECLARE
    granted text;
BEGIN
    FOR granted IN
        SELECT format('GRANT SELECT ON %s TO lastfluss_reader', c.oid::regclass) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'lastfluss'::regnamespace AND a.grantee = 'pg_monitor'::regrole AND a.privilege_type = 'SELECT'
        UNION ALL
        SELECT format('GRANT EXECUTE ON FUNCTION %s TO lastfluss_reader', p.oid::regprocedure) FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.pronamespace = 'lastfluss'::regnamespace AND a.grantee = 'pg_monitor'::regrole
    LOOP
        EXECUTE granted;
    END LOOP;
END;
$$;

/*
 * The administrator: all of that, and the configuration.  Not the rows of traffic, nor
 * what makes others' rights, a hub or a site (grant_read(), publish(), subscribe()): these
 * take a superuser.
 */

GRANT lastfluss_reader TO lastfluss_admin;
GRANT pg_monitor TO lastfluss_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON lastfluss.interface, lastfluss.listener, lastfluss.setting,
    lastfluss.asn, lastfluss.prefix, lastfluss.counters TO lastfluss_admin;

DO $$
DECLARE
    granted text;
BEGIN
    FOR granted IN
        SELECT format('GRANT EXECUTE ON FUNCTION %s TO lastfluss_admin', p.oid::regprocedure) FROM pg_proc p
        WHERE p.pronamespace = 'lastfluss'::regnamespace AND p.proname = ANY (ARRAY[
            'add_interface', 'remove_interface', 'add_listener', 'remove_listener', 'set', 'reset',
            'import_interfaces', 'export_interfaces', 'import_knownlinks', 'import_settings', 'export_settings',
            'import_asns', 'import_prefixes', 'adopt_interfaces', 'rollup_again', 'upgrade_table', 'upgrade_cancel',
            'read_pcap', 'read_datagrams', '_require_collector', '_address', '_settings', '_setting_value', '_check_settings'])
    LOOP
        EXECUTE granted;
    END LOOP;
END;
$$;

COMMIT;

/* Customers: their ports, and policies by which each sees these only. */

\ir customers.sql

-- Policies concern whoever is not BYPASSRLS: the two roles above see all rows.
DO $$
DECLARE
    relation text;
BEGIN
    FOR relation IN SELECT t FROM lastfluss._tables() t LOOP
        EXECUTE format('DROP POLICY IF EXISTS readers ON %s', relation);
        EXECUTE format('CREATE POLICY readers ON %s FOR SELECT TO lastfluss_reader USING (true)', relation);
    END LOOP;
END;
$$;
