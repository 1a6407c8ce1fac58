/* sql/lastfluss--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION lastfluss" to load this file. \quit

/*
 * Configuration: three tables.  INSERT, UPDATE and DELETE work as well as the
 * functions; a change takes effect at COMMIT.
 */

CREATE TABLE lastfluss.interface (
    name        text NOT NULL,
    host        inet NOT NULL,
    id          bigint NOT NULL,
    vlan        integer,
    sample      bigint,
    sample_out  bigint,
    role        text,
    speed       bigint,
    description text,
    CONSTRAINT interface_host_id_vlan_key UNIQUE NULLS NOT DISTINCT (host, id, vlan)
);
COMMENT ON TABLE lastfluss.interface IS 'interfaces whose traffic is counted; several may share a name, and are then counted as one';
COMMENT ON COLUMN lastfluss.interface.name IS 'traffic.iface; at most 255 octets';
COMMENT ON COLUMN lastfluss.interface.host IS 'source address of the exporter''s datagrams';
COMMENT ON COLUMN lastfluss.interface.id IS 'SNMP ifIndex';
COMMENT ON COLUMN lastfluss.interface.vlan IS 'only this VLAN of the interface; null: the whole interface, less the VLANs that have entries of their own';
COMMENT ON COLUMN lastfluss.interface.sample IS 'sampling rate, 1 in N, which overrides what the exporter says; null: as the exporter says';
COMMENT ON COLUMN lastfluss.interface.sample_out IS 'sampling rate of egress traffic, where it differs from sample';
COMMENT ON COLUMN lastfluss.interface.role IS 'transit, ixp, pni, customer, core or your own word';
COMMENT ON COLUMN lastfluss.interface.speed IS 'bit/s';

CREATE TABLE lastfluss.listener (
    address inet NOT NULL DEFAULT '::',
    port    integer NOT NULL DEFAULT 2055,
    PRIMARY KEY (address, port)
);
COMMENT ON TABLE lastfluss.listener IS 'UDP addresses and ports that datagrams are received on';
COMMENT ON COLUMN lastfluss.listener.address IS 'a local address; ''::'' is all, IPv4 too; ''0.0.0.0'' is all of IPv4';

CREATE TABLE lastfluss.setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE lastfluss.setting IS 'settings that differ from their defaults; lastfluss.settings shows them all';

SELECT pg_catalog.pg_extension_config_dump('lastfluss.interface', '');
SELECT pg_catalog.pg_extension_config_dump('lastfluss.listener', '');
SELECT pg_catalog.pg_extension_config_dump('lastfluss.setting', '');

CREATE FUNCTION lastfluss._require_collector() RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_require_collector' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._require_collector() IS 'raises an error where the server did not preload the library, a warning in another database than the collector''s';

/* Interfaces */

CREATE FUNCTION lastfluss.add_interface(name text, host inet, id bigint,
    sample bigint DEFAULT NULL, role text DEFAULT NULL, speed bigint DEFAULT NULL,
    vlan integer DEFAULT NULL, sample_out bigint DEFAULT NULL, description text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    INSERT INTO lastfluss.interface (name, host, id, sample, role, speed, vlan, sample_out, description)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is an interface % of host % already', concat_ws(' vlan ', $3::text, $7::text), host($2)
        USING ERRCODE = 'unique_violation',
              HINT = 'UPDATE lastfluss.interface changes it, and lastfluss.remove_interface() removes it.';
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.add_interface(text, inet, bigint, bigint, text, bigint, integer, bigint, text) IS
'counts the traffic of an interface: host is the exporter''s source address, id the SNMP ifIndex, sample the rate 1 in N where the exporter does not tell it, speed in bit/s';

CREATE FUNCTION lastfluss.remove_interface(host inet, id bigint, vlan integer DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    DELETE FROM lastfluss.interface i
    WHERE i.host = $1 AND i.id = $2 AND i.vlan IS NOT DISTINCT FROM $3;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no interface % of host %', concat_ws(' vlan ', $2::text, $3::text), host($1)
        USING ERRCODE = 'undefined_object',
              HINT = 'SELECT * FROM lastfluss.interface shows what is configured.';
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.remove_interface(inet, bigint, integer) IS
'stops counting an interface; the rows in traffic stay';

/* Listeners */

CREATE FUNCTION lastfluss.add_listener(address text DEFAULT '::', port integer DEFAULT 2055)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    INSERT INTO lastfluss.listener (address, port) VALUES (lastfluss._address($1), $2)
    ON CONFLICT ON CONSTRAINT listener_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is a listener on address % port % already', $1, $2
        USING ERRCODE = 'unique_violation',
              HINT = 'SELECT * FROM lastfluss.listener shows what is configured.';
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.add_listener(text, integer) IS
'receives NetFlow and IPFIX on a UDP port; the first one starts the collector';

CREATE FUNCTION lastfluss.remove_listener(address text DEFAULT '::', port integer DEFAULT 2055)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    DELETE FROM lastfluss.listener l WHERE l.address = lastfluss._address($1) AND l.port = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no listener on address % port %', $1, $2
        USING ERRCODE = 'undefined_object',
              HINT = 'SELECT * FROM lastfluss.listener shows what is configured.';
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.remove_listener(text, integer) IS
'stops receiving on a UDP port';

/* Settings */

CREATE FUNCTION lastfluss._settings(OUT name text, OUT default_value text, OUT unit text, OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_settings' LANGUAGE C STABLE;
COMMENT ON FUNCTION lastfluss._settings() IS 'the catalogue of settings';

CREATE FUNCTION lastfluss._setting_value(name text, value text) RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_setting_value' LANGUAGE C STABLE;
COMMENT ON FUNCTION lastfluss._setting_value(text, text) IS 'the value in the form in which it is kept, or an error';

CREATE VIEW lastfluss.settings AS
SELECT c.name, coalesce(s.value, c.default_value) AS value, c.default_value, c.unit, c.description
FROM lastfluss._settings() c LEFT JOIN lastfluss.setting s USING (name);
COMMENT ON VIEW lastfluss.settings IS 'all settings, with the values in force';

CREATE FUNCTION lastfluss.set(name text, value text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'the name of a setting must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    INSERT INTO lastfluss.setting AS s (name, value)
    VALUES ($1, lastfluss._setting_value($1, $2))
    ON CONFLICT ON CONSTRAINT setting_pkey DO UPDATE SET value = excluded.value;
END;
$$;
COMMENT ON FUNCTION lastfluss.set(text, text) IS
'changes a setting; lastfluss.settings lists them with their units';

CREATE FUNCTION lastfluss.reset(name text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'the name of a setting must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM lastfluss._setting_value($1, s.default_value) FROM lastfluss._settings() s WHERE s.name = $1;
    IF NOT FOUND THEN
        PERFORM lastfluss._setting_value($1, '');
    END IF;
    DELETE FROM lastfluss.setting s WHERE s.name = $1;
END;
$$;
COMMENT ON FUNCTION lastfluss.reset(text) IS
'takes a setting back to its default';

/* Files of the original */

CREATE FUNCTION lastfluss.import_interfaces(yaml text, replace boolean DEFAULT false) RETURNS integer
AS 'MODULE_PATHNAME', 'lastfluss_import_interfaces' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss.import_interfaces(text, boolean) IS
'adds or updates the interfaces in an interfaces.yaml, and with replace removes all others; returns how many the file has; an error names line and field, and nothing is changed';

CREATE FUNCTION lastfluss.export_interfaces() RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_export_interfaces' LANGUAGE C STABLE;
COMMENT ON FUNCTION lastfluss.export_interfaces() IS
'the interfaces as YAML, for import_interfaces()';

CREATE FUNCTION lastfluss.import_settings(yaml text) RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_import_settings' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss.import_settings(text) IS
'takes period and listener from a settings.yaml; keys that have no meaning here are named in a notice';

CREATE FUNCTION lastfluss.export_settings() RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_export_settings' LANGUAGE C STABLE;
COMMENT ON FUNCTION lastfluss.export_settings() IS
'settings and listeners as YAML, for import_settings()';

/* Status */

CREATE FUNCTION lastfluss._status(
    OUT state text, OUT since timestamptz, OUT listeners text[], OUT receivers integer,
    OUT datagrams bigint, OUT records bigint, OUT unmatched bigint, OUT unknown_sampling bigint,
    OUT lost bigint, OUT kernel_drops bigint, OUT folded bigint, OUT stretched bigint,
    OUT intervals_waiting integer, OUT last_interval timestamptz, OUT intervals bigint,
    OUT rows bigint, OUT write_ms double precision, OUT memory bigint,
    OUT last_error text, OUT last_error_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_status' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._status() IS 'the row of lastfluss.status';

CREATE VIEW lastfluss.status AS SELECT * FROM lastfluss._status();
COMMENT ON VIEW lastfluss.status IS 'what the collector is doing; counters since the server''s start';
COMMENT ON COLUMN lastfluss.status.state IS 'collecting; starting; no listener; cannot listen (see listeners); cannot write (see last_error); other database; not preloaded';
COMMENT ON COLUMN lastfluss.status.since IS 'start of the collector';
COMMENT ON COLUMN lastfluss.status.listeners IS 'addresses and ports, with the reason where one could not be opened';
COMMENT ON COLUMN lastfluss.status.receivers IS 'receiver processes that run';
COMMENT ON COLUMN lastfluss.status.datagrams IS 'datagrams received, good or bad';
COMMENT ON COLUMN lastfluss.status.records IS 'data records decoded';
COMMENT ON COLUMN lastfluss.status.unmatched IS 'records of which neither interface is configured';
COMMENT ON COLUMN lastfluss.status.unknown_sampling IS 'records counted with rate 1, because nobody told the sampling rate';
COMMENT ON COLUMN lastfluss.status.lost IS 'missing by the exporters'' sequence numbers: records (v5, IPFIX) or datagrams (v9)';
COMMENT ON COLUMN lastfluss.status.kernel_drops IS 'datagrams that the kernel dropped because the receive buffer was full';
COMMENT ON COLUMN lastfluss.status.folded IS 'additions that went to rows with remote_asn null, because an interval had lastfluss.max_entries rows';
COMMENT ON COLUMN lastfluss.status.stretched IS 'datagrams counted in an earlier interval than theirs, because all buffers waited for the writer';
COMMENT ON COLUMN lastfluss.status.intervals_waiting IS 'finished intervals that are not written yet';
COMMENT ON COLUMN lastfluss.status.last_interval IS 'start of the interval that was written last';
COMMENT ON COLUMN lastfluss.status.intervals IS 'intervals written';
COMMENT ON COLUMN lastfluss.status.rows IS 'rows written';
COMMENT ON COLUMN lastfluss.status.write_ms IS 'time spent in writing them, in milliseconds';
COMMENT ON COLUMN lastfluss.status.memory IS 'shared memory in octets';
COMMENT ON COLUMN lastfluss.status.last_error IS 'why intervals cannot be written now; null when all is well';

CREATE FUNCTION lastfluss._exporters(
    OUT host inet, OUT domain bigint, OUT protocol text, OUT port integer, OUT configured boolean,
    OUT datagrams bigint, OUT records bigint, OUT no_octets bigint, OUT options bigint,
    OUT lost bigint, OUT sampling bigint, OUT sampling_origin text, OUT clock_skew interval,
    OUT first_seen timestamptz, OUT last_seen timestamptz, OUT errors jsonb)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_exporters' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._exporters() IS 'the rows of lastfluss.exporters';

CREATE FUNCTION lastfluss._templates(
    OUT host inet, OUT port integer, OUT domain bigint, OUT id integer, OUT protocol text,
    OUT kind text, OUT fields integer, OUT record_length bigint, OUT variable_length boolean,
    OUT records bigint, OUT first_seen timestamptz, OUT last_seen timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_templates' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._templates() IS 'the rows of lastfluss.templates';

CREATE VIEW lastfluss.exporters AS
SELECT e.host, e.domain, e.protocol, e.port, e.configured, e.datagrams, e.records, e.lost,
       e.sampling, e.sampling_origin, coalesce(t.templates, 0) AS templates, e.clock_skew,
       e.first_seen, e.last_seen, e.options, e.no_octets, e.errors
FROM lastfluss._exporters() e
LEFT JOIN (SELECT host, domain, protocol, count(*) AS templates
           FROM lastfluss._templates() GROUP BY 1, 2, 3) t
    ON t.host = e.host AND t.domain = e.domain AND t.protocol = e.protocol;
COMMENT ON VIEW lastfluss.exporters IS 'who sends datagrams: a row for each host, observation domain and protocol';
COMMENT ON COLUMN lastfluss.exporters.domain IS 'observation domain (IPFIX), source id (v9), engine type * 256 + engine id (v5)';
COMMENT ON COLUMN lastfluss.exporters.protocol IS 'null: datagrams of no format that is known';
COMMENT ON COLUMN lastfluss.exporters.port IS 'source port of the last datagram';
COMMENT ON COLUMN lastfluss.exporters.configured IS 'an interface of this host is configured';
COMMENT ON COLUMN lastfluss.exporters.lost IS 'missing by sequence numbers: records (v5, IPFIX) or datagrams (v9)';
COMMENT ON COLUMN lastfluss.exporters.sampling IS 'the rate 1 in N that it announced last';
COMMENT ON COLUMN lastfluss.exporters.templates IS 'templates that are known now';
COMMENT ON COLUMN lastfluss.exporters.clock_skew IS 'its clock minus ours';
COMMENT ON COLUMN lastfluss.exporters.options IS 'options records received';
COMMENT ON COLUMN lastfluss.exporters.no_octets IS 'data records without any octet counter, which count for nothing';
COMMENT ON COLUMN lastfluss.exporters.errors IS 'what could not be decoded, by cause';

CREATE VIEW lastfluss.templates AS SELECT * FROM lastfluss._templates();
COMMENT ON VIEW lastfluss.templates IS 'templates of NetFlow v9 and IPFIX that were learned';
COMMENT ON COLUMN lastfluss.templates.kind IS 'data or options';
COMMENT ON COLUMN lastfluss.templates.record_length IS 'octets; with variable-length fields the least';
COMMENT ON COLUMN lastfluss.templates.last_seen IS 'when the exporter sent it last';

CREATE FUNCTION lastfluss._seen_interfaces(
    OUT host inet, OUT id bigint, OUT in_bytes bigint, OUT out_bytes bigint,
    OUT in_records bigint, OUT out_records bigint,
    OUT first_seen timestamptz, OUT last_seen timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_seen_interfaces' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._seen_interfaces() IS 'the rows of lastfluss.seen_interfaces, without the configuration';

CREATE VIEW lastfluss.seen_interfaces AS
SELECT s.host, s.id, i.names IS NOT NULL AS configured, i.names,
       s.in_bytes, s.out_bytes, s.in_records, s.out_records, s.first_seen, s.last_seen
FROM lastfluss._seen_interfaces() s
LEFT JOIN (SELECT host, id, array_agg(name ORDER BY vlan NULLS FIRST) AS names
           FROM lastfluss.interface GROUP BY 1, 2) i
    ON i.host = s.host AND i.id = s.id;
COMMENT ON VIEW lastfluss.seen_interfaces IS 'interfaces that records have named, configured or not; lastfluss.add_interface() takes host and id';
COMMENT ON COLUMN lastfluss.seen_interfaces.names IS 'the configured names';
COMMENT ON COLUMN lastfluss.seen_interfaces.in_bytes IS 'octets of records that entered there, multiplied by the sampling rate as far as it is known';

CREATE FUNCTION lastfluss._live(
    OUT run timestamptz, OUT receiver integer, OUT sequence bigint, OUT written boolean,
    OUT "time" timestamptz, OUT bandwidth real, OUT iface text, OUT ingress boolean,
    OUT remote_asn bigint, OUT local_asn bigint, OUT family smallint,
    OUT bytes bigint, OUT packets bigint, OUT flows bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_live' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._live() IS 'the rows in shared memory';

CREATE TABLE lastfluss._written (
    run      timestamptz,
    receiver integer,
    sequence bigint NOT NULL,
    "time"   timestamptz,
    PRIMARY KEY (run, receiver)
);
COMMENT ON TABLE lastfluss._written IS 'the last interval that each receiver had written, in each run of the server; what is noted here is never written again';

CREATE VIEW lastfluss.live AS
SELECT NULL::bigint AS id, l."time", l.bandwidth, l.iface, l.ingress, l.remote_asn, l.local_asn,
       l.family, l.bytes, l.packets, l.flows
FROM lastfluss._live() l
-- What is in traffic by the query's own snapshot is told by _written; without a
-- row there, nobody knows of what was written before, and it is left out.
WHERE CASE WHEN l.written
      THEN (SELECT w.sequence < l.sequence FROM lastfluss._written w
            WHERE w.run = l.run AND w.receiver = l.receiver)
      ELSE NOT EXISTS (SELECT FROM lastfluss._written w
                       WHERE w.run = l.run AND w.receiver = l.receiver AND w.sequence >= l.sequence)
      END;
COMMENT ON VIEW lastfluss.live IS 'the open and not yet written intervals, in the columns of traffic';

/* Captures */

CREATE FUNCTION lastfluss.read_pcap(file bytea,
    OUT "time" timestamptz, OUT exporter inet, OUT protocol text, OUT domain bigint,
    OUT in_if bigint, OUT out_if bigint, OUT src_as bigint, OUT dst_as bigint,
    OUT src_addr inet, OUT dst_addr inet, OUT family smallint,
    OUT bytes bigint, OUT packets bigint, OUT sampling bigint, OUT sampling_origin text,
    OUT first timestamptz, OUT last timestamptz, OUT direction text, OUT reverse boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_read_pcap' LANGUAGE C STRICT IMMUTABLE;
COMMENT ON FUNCTION lastfluss.read_pcap(bytea) IS
'the flow records in a capture file (pcap), decoded as a receiver would; bytes and packets as exported; what a record lacks is null';

CREATE FUNCTION lastfluss.read_datagrams(datagrams bytea[], host inet DEFAULT '192.0.2.1',
    OUT "time" timestamptz, OUT exporter inet, OUT protocol text, OUT domain bigint,
    OUT in_if bigint, OUT out_if bigint, OUT src_as bigint, OUT dst_as bigint,
    OUT src_addr inet, OUT dst_addr inet, OUT family smallint,
    OUT bytes bigint, OUT packets bigint, OUT sampling bigint, OUT sampling_origin text,
    OUT first timestamptz, OUT last timestamptz, OUT direction text, OUT reverse boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_read_datagrams' LANGUAGE C STRICT VOLATILE;
COMMENT ON FUNCTION lastfluss.read_datagrams(bytea[], inet) IS
'the flow records in raw datagrams of one exporter, decoded in order; a value may hold several messages one after the other; time is null';

CREATE FUNCTION lastfluss.replay(file bytea, OUT datagrams bigint, OUT records bigint, OUT rows bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'lastfluss_replay' LANGUAGE C STRICT VOLATILE;
COMMENT ON FUNCTION lastfluss.replay(bytea) IS
'writes a capture file into traffic, as if its datagrams had arrived at the times that it holds; needs the right to INSERT there';

/* Checks of the configuration */

CREATE FUNCTION lastfluss._address(address text) RETURNS inet LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN $1::inet;
EXCEPTION WHEN invalid_text_representation THEN
    RAISE EXCEPTION '"%" is no IP address', $1
    USING ERRCODE = 'invalid_parameter_value',
          HINT = 'Give a local address, ''::'' for all, or ''0.0.0.0'' for all of IPv4; the port is an argument of its own.';
END;
$$;
COMMENT ON FUNCTION lastfluss._address(text) IS 'an address, or an error that helps';

CREATE FUNCTION lastfluss._check_interface() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    field text;
    value text;
    advice text;
BEGIN
    CASE
    WHEN NEW.name IS NULL OR NEW.name = '' OR octet_length(NEW.name) > 255 THEN
        field := 'name'; value := NEW.name; advice := 'Give a name of 1 to 255 octets.';
    WHEN NEW.host IS NULL OR NEW.host <> host(NEW.host)::inet THEN
        field := 'host'; value := NEW.host; advice := 'Give the address from which the router sends its datagrams, without a netmask.';
    WHEN NEW.host <<= '::ffff:0.0.0.0/96' THEN
        field := 'host'; value := host(NEW.host); advice := 'Give it as an IPv4 address, without ::ffff:.';
    WHEN NEW.id IS NULL OR NEW.id NOT BETWEEN 0 AND 4294967295 THEN
        field := 'id'; value := NEW.id; advice := 'Give the SNMP ifIndex: 0 to 4294967295.';
    WHEN NEW.vlan NOT BETWEEN 0 AND 4095 THEN
        field := 'vlan'; value := NEW.vlan; advice := 'Give a VLAN number from 0 to 4095, or null.';
    WHEN NEW.sample NOT BETWEEN 1 AND 4294967295 THEN
        field := 'sample'; value := NEW.sample; advice := 'Give N of 1 in N, or null where the exporter tells it.';
    WHEN NEW.sample_out NOT BETWEEN 1 AND 4294967295 THEN
        field := 'sample_out'; value := NEW.sample_out; advice := 'Give N of 1 in N, or null where it is that of sample.';
    WHEN NEW.role = '' THEN
        field := 'role'; value := NEW.role; advice := 'Give transit, ixp, pni, customer, core or your own word, or null.';
    WHEN NEW.speed < 1 THEN
        field := 'speed'; value := NEW.speed; advice := 'Give the speed in bit/s, or null.';
    ELSE
        RETURN NEW;
    END CASE;
    RAISE EXCEPTION 'invalid % of an interface: %', field, coalesce('"' || value || '"', 'null')
    USING ERRCODE = 'invalid_parameter_value', COLUMN = field, HINT = advice;
END;
$$;
COMMENT ON FUNCTION lastfluss._check_interface() IS 'trigger: refuses what cannot be an interface';

CREATE FUNCTION lastfluss._check_interfaces() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT count(*) FROM lastfluss.interface) > 4096 THEN
        RAISE EXCEPTION 'too many interfaces'
        USING ERRCODE = 'program_limit_exceeded', DETAIL = 'At most 4096 can be configured.';
    END IF;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION lastfluss._check_interfaces() IS 'trigger: refuses more interfaces than the shared memory holds';

CREATE FUNCTION lastfluss._check_listener() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.port IS NULL OR NEW.port NOT BETWEEN 1 AND 65535 THEN
        RAISE EXCEPTION 'invalid port of a listener: %', coalesce(NEW.port::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', COLUMN = 'port',
              HINT = 'Give a UDP port from 1 to 65535; below 1024 the server may not be allowed to listen.';
    END IF;
    IF NEW.address IS NULL OR NEW.address <> host(NEW.address)::inet THEN
        RAISE EXCEPTION 'invalid address of a listener: %', coalesce('"' || NEW.address || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value', COLUMN = 'address',
              HINT = 'Give a local address without a netmask, ''::'' for all, or ''0.0.0.0'' for all of IPv4.';
    END IF;
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION lastfluss._check_listener() IS 'trigger: refuses what cannot be a listener';

CREATE FUNCTION lastfluss._check_listeners() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT count(*) FROM lastfluss.listener) > 64 THEN
        RAISE EXCEPTION 'too many listeners'
        USING ERRCODE = 'program_limit_exceeded', DETAIL = 'At most 64 can be configured.';
    END IF;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION lastfluss._check_listeners() IS 'trigger: refuses more listeners than the shared memory holds';

CREATE FUNCTION lastfluss._check_setting() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.value := lastfluss._setting_value(coalesce(NEW.name, ''), NEW.value);
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION lastfluss._check_setting() IS 'trigger: refuses unknown settings and bad values';

CREATE FUNCTION lastfluss._config_changed() RETURNS trigger
AS 'MODULE_PATHNAME', 'lastfluss_config_changed' LANGUAGE C;
COMMENT ON FUNCTION lastfluss._config_changed() IS 'trigger: tells the collector at COMMIT';

CREATE TRIGGER check_row BEFORE INSERT OR UPDATE ON lastfluss.interface
    FOR EACH ROW EXECUTE FUNCTION lastfluss._check_interface();
CREATE TRIGGER check_count AFTER INSERT ON lastfluss.interface
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._check_interfaces();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lastfluss.interface
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._config_changed();
CREATE TRIGGER check_row BEFORE INSERT OR UPDATE ON lastfluss.listener
    FOR EACH ROW EXECUTE FUNCTION lastfluss._check_listener();
CREATE TRIGGER check_count AFTER INSERT ON lastfluss.listener
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._check_listeners();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lastfluss.listener
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._config_changed();
CREATE TRIGGER check_row BEFORE INSERT OR UPDATE ON lastfluss.setting
    FOR EACH ROW EXECUTE FUNCTION lastfluss._check_setting();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lastfluss.setting
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._config_changed();

/* Privileges: nothing for PUBLIC; pg_monitor reads the status. */

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA lastfluss FROM PUBLIC;
GRANT USAGE ON SCHEMA lastfluss TO pg_monitor;
GRANT SELECT ON lastfluss.status, lastfluss.exporters, lastfluss.templates,
    lastfluss.seen_interfaces, lastfluss.live, lastfluss.settings TO pg_monitor;
GRANT EXECUTE ON FUNCTION lastfluss._status(), lastfluss._exporters(), lastfluss._templates(),
    lastfluss._seen_interfaces(), lastfluss._live(), lastfluss._settings() TO pg_monitor;
