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
    count       text NOT NULL DEFAULT 'both',
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
COMMENT ON COLUMN lastfluss.interface.count IS 'both: all records count; ingress or egress: only those observed there (element 61), for a router that watches both and so reports each packet twice';

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
    vlan integer DEFAULT NULL, sample_out bigint DEFAULT NULL, count text DEFAULT 'both',
    description text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    INSERT INTO lastfluss.interface (name, host, id, sample, role, speed, vlan, sample_out, count, description)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is an interface % of host % already', concat_ws(' vlan ', $3::text, $7::text), host($2)
        USING ERRCODE = 'unique_violation',
              HINT = 'UPDATE lastfluss.interface changes it, and lastfluss.remove_interface() removes it.';
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.add_interface(text, inet, bigint, bigint, text, bigint, integer, bigint, text, text) IS
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
'receives NetFlow, IPFIX and sFlow on a UDP port; the first one starts the collector';

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

/* AS numbers: names, and prefixes for records that lack them */

CREATE TABLE lastfluss.asn (
    asn     bigint PRIMARY KEY CHECK (asn BETWEEN 0 AND 4294967295),
    name    text,
    country text
);
COMMENT ON TABLE lastfluss.asn IS 'names of ASes; lastfluss.import_asns() fills it';
COMMENT ON COLUMN lastfluss.asn.country IS 'ISO 3166 code, as the file has it';

CREATE TABLE lastfluss.prefix (
    prefix cidr PRIMARY KEY,
    asn    bigint NOT NULL CHECK (asn BETWEEN 0 AND 4294967295)
);
COMMENT ON TABLE lastfluss.prefix IS 'origin AS of prefixes, for addresses whose AS a record does not tell (setting asn_source); lastfluss.import_prefixes() fills it, and a change takes effect at COMMIT';
COMMENT ON COLUMN lastfluss.prefix.prefix IS 'of those that cover an address the longest counts';
COMMENT ON COLUMN lastfluss.prefix.asn IS 'origin AS; 0: none';

SELECT pg_catalog.pg_extension_config_dump('lastfluss.asn', '');
SELECT pg_catalog.pg_extension_config_dump('lastfluss.prefix', '');

CREATE FUNCTION lastfluss.import_asns(file text, replace boolean DEFAULT false) RETURNS bigint
AS 'MODULE_PATHNAME', 'lastfluss_import_asns' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss.import_asns(text, boolean) IS
'adds or updates names of ASes from lines such as "64500 NAME, CC" (RIPE''s asn.txt), "64500<tab>Name<tab>CC" or 64500,"Name",CC, and with replace removes all others; returns how many the file has; an error names the line, and nothing is changed';

CREATE FUNCTION lastfluss.import_prefixes(file text, replace boolean DEFAULT false) RETURNS bigint
AS 'MODULE_PATHNAME', 'lastfluss_import_prefixes' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss.import_prefixes(text, boolean) IS
'adds or updates prefixes from lines such as "192.0.2.0<tab>24<tab>64500" (pfx2as) or "192.0.2.0/24 AS64500", and with replace removes all others; returns how many the file has; an error names the line, and nothing is changed';

/* Status */

CREATE FUNCTION lastfluss._status(
    OUT state text, OUT since timestamptz, OUT listeners text[], OUT receivers integer,
    OUT datagrams bigint, OUT records bigint, OUT unmatched bigint, OUT unknown_sampling bigint,
    OUT other_direction bigint, OUT lost bigint, OUT kernel_drops bigint, OUT folded bigint,
    OUT late_bytes bigint, OUT future_bytes bigint,
    OUT stretched bigint, OUT counters_dropped bigint, OUT templates_evicted bigint,
    OUT intervals_waiting integer, OUT spooled integer, OUT spool_bytes bigint,
    OUT spool_limit bigint, OUT spool text, OUT last_interval timestamptz, OUT intervals bigint,
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
COMMENT ON COLUMN lastfluss.status.other_direction IS 'records that an interface''s "count" has left out';
COMMENT ON COLUMN lastfluss.status.counters_dropped IS 'counter samples that found no room while they waited for the writer';
COMMENT ON COLUMN lastfluss.status.templates_evicted IS 'templates forgotten because there were too many, of one host or in all';
COMMENT ON COLUMN lastfluss.status.lost IS 'missing by the exporters'' sequence numbers: records (v5, v7, v8, IPFIX) or datagrams (v9, sFlow)';
COMMENT ON COLUMN lastfluss.status.kernel_drops IS 'datagrams that the kernel dropped because the receive buffer was full';
COMMENT ON COLUMN lastfluss.status.folded IS 'additions that went to rows with remote_asn null, because an interval had lastfluss.max_entries rows';
COMMENT ON COLUMN lastfluss.status.late_bytes IS 'bytes that came when their interval was closed, and were counted in the oldest open one; the setting window keeps intervals open longer';
COMMENT ON COLUMN lastfluss.status.future_bytes IS 'bytes of flows that end after their export, and were counted as they came';
COMMENT ON COLUMN lastfluss.status.stretched IS 'datagrams counted in an earlier interval than theirs, because no buffer was free: the spool is full too';
COMMENT ON COLUMN lastfluss.status.intervals_waiting IS 'finished intervals that are not written yet';
COMMENT ON COLUMN lastfluss.status.spooled IS 'of these, intervals that wait in files of the data directory';
COMMENT ON COLUMN lastfluss.status.spool_bytes IS 'size of these files';
COMMENT ON COLUMN lastfluss.status.spool_limit IS 'the setting spool_limit in octets';
COMMENT ON COLUMN lastfluss.status.spool IS 'what happens to intervals that cannot be written, and what will happen when the files are full; null: none waits in a file';
COMMENT ON COLUMN lastfluss.status.last_interval IS 'start of the interval that was written last';
COMMENT ON COLUMN lastfluss.status.intervals IS 'intervals written';
COMMENT ON COLUMN lastfluss.status.rows IS 'rows written';
COMMENT ON COLUMN lastfluss.status.write_ms IS 'time spent in writing them, in milliseconds';
COMMENT ON COLUMN lastfluss.status.memory IS 'shared memory in octets';
COMMENT ON COLUMN lastfluss.status.last_error IS 'why intervals cannot be written now; null when all is well';

CREATE FUNCTION lastfluss._exporters(
    OUT host inet, OUT domain bigint, OUT protocol text, OUT port integer, OUT configured boolean,
    OUT datagrams bigint, OUT records bigint, OUT no_octets bigint,
    OUT unmatched bigint, OUT unknown_sampling bigint, OUT late_bytes bigint, OUT future_bytes bigint,
    OUT options bigint, OUT lost bigint, OUT waiting_sets bigint, OUT late_sets bigint, OUT templates_pushed_out bigint,
    OUT discarded bigint, OUT multiple bigint,
    OUT sampling bigint, OUT sampling_origin text, OUT clock_skew interval,
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
       e.first_seen, e.last_seen, e.options, e.no_octets, e.unmatched, e.unknown_sampling,
       e.late_bytes, e.future_bytes, e.waiting_sets, e.late_sets,
       e.templates_pushed_out, e.discarded, e.multiple, e.errors
FROM lastfluss._exporters() e
LEFT JOIN (SELECT host, domain, protocol, count(*) AS templates
           FROM lastfluss._templates() GROUP BY 1, 2, 3) t
    ON t.host = e.host AND t.domain = e.domain AND t.protocol = e.protocol;
COMMENT ON VIEW lastfluss.exporters IS 'who sends datagrams: a row for each host, observation domain and protocol';
COMMENT ON COLUMN lastfluss.exporters.domain IS 'observation domain (IPFIX), source id (v9), engine type * 256 + engine id (v5), the same and scheme * 65536 (v8), sub-agent (sFlow)';
COMMENT ON COLUMN lastfluss.exporters.protocol IS 'null: datagrams of no format that is known';
COMMENT ON COLUMN lastfluss.exporters.port IS 'source port of the last datagram';
COMMENT ON COLUMN lastfluss.exporters.configured IS 'an interface of this host is configured';
COMMENT ON COLUMN lastfluss.exporters.lost IS 'missing by sequence numbers: records (v5, v7, v8, IPFIX) or datagrams (v9, sFlow)';
COMMENT ON COLUMN lastfluss.exporters.sampling IS 'the rate 1 in N that it announced last';
COMMENT ON COLUMN lastfluss.exporters.templates IS 'templates that are known now';
COMMENT ON COLUMN lastfluss.exporters.clock_skew IS 'its clock minus ours';
COMMENT ON COLUMN lastfluss.exporters.options IS 'options records received';
COMMENT ON COLUMN lastfluss.exporters.no_octets IS 'data records without any octet counter, which count for nothing';
COMMENT ON COLUMN lastfluss.exporters.unmatched IS 'data records of which neither interface is configured';
COMMENT ON COLUMN lastfluss.exporters.unknown_sampling IS 'data records counted with rate 1, because nobody told the sampling rate';
COMMENT ON COLUMN lastfluss.exporters.late_bytes IS 'bytes counted in a later interval than theirs, because they came after its window';
COMMENT ON COLUMN lastfluss.exporters.future_bytes IS 'bytes of flows that end after their export';
COMMENT ON COLUMN lastfluss.exporters.sampling_origin IS 'record: a field of the record, or sFlow''s sample; sampler: options data of the sampler that the record names; exporter: options data of its only sampler; header: of v5; unknown';
COMMENT ON COLUMN lastfluss.exporters.waiting_sets IS 'data sets that wait for their template now';
COMMENT ON COLUMN lastfluss.exporters.late_sets IS 'data sets decoded when their template had come';
COMMENT ON COLUMN lastfluss.exporters.templates_pushed_out IS 'templates forgotten because it sent too many';
COMMENT ON COLUMN lastfluss.exporters.discarded IS 'sFlow: samples of packets that were dropped, which have no output';
COMMENT ON COLUMN lastfluss.exporters.multiple IS 'sFlow: samples of packets that went to several interfaces, which count for none';
COMMENT ON COLUMN lastfluss.exporters.errors IS 'what could not be decoded, by cause';

CREATE FUNCTION lastfluss._waiting(
    OUT host inet, OUT port integer, OUT domain bigint, OUT id integer, OUT protocol text,
    OUT octets integer, OUT received timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_waiting' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._waiting() IS 'data sets that wait for their template';

CREATE VIEW lastfluss.templates AS
SELECT host, port, domain, id, protocol, kind, fields, record_length, variable_length, records,
       0::bigint AS waiting_sets, first_seen, last_seen
FROM lastfluss._templates()
UNION ALL
SELECT host, port, domain, id, protocol, 'awaited', NULL, NULL, NULL, 0,
       count(*), min(received), max(received)
FROM lastfluss._waiting() GROUP BY host, port, domain, id, protocol;
COMMENT ON VIEW lastfluss.templates IS 'templates of NetFlow v9 and IPFIX that were learned';
COMMENT ON COLUMN lastfluss.templates.kind IS 'data, options, or awaited: data sets wait for it';
COMMENT ON COLUMN lastfluss.templates.waiting_sets IS 'data sets that wait for it';
COMMENT ON COLUMN lastfluss.templates.record_length IS 'octets; with variable-length fields the least';
COMMENT ON COLUMN lastfluss.templates.last_seen IS 'when the exporter sent it last';

CREATE FUNCTION lastfluss._seen_interfaces(
    OUT host inet, OUT id bigint, OUT in_bytes bigint, OUT out_bytes bigint,
    OUT in_records bigint, OUT out_records bigint,
    OUT in_at_ingress bigint, OUT in_at_egress bigint,
    OUT out_at_ingress bigint, OUT out_at_egress bigint,
    OUT speed bigint, OUT if_name text, OUT if_description text,
    OUT first_seen timestamptz, OUT last_seen timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_seen_interfaces' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._seen_interfaces() IS 'the rows of lastfluss.seen_interfaces, without the configuration';

CREATE VIEW lastfluss.seen_interfaces AS
SELECT s.host, s.id, i.names IS NOT NULL AS configured, i.names,
       coalesce(i.both, true) AND (least(s.in_at_ingress, s.in_at_egress) > 0.1 * greatest(s.in_at_ingress, s.in_at_egress)
                                   OR least(s.out_at_ingress, s.out_at_egress) > 0.1 * greatest(s.out_at_ingress, s.out_at_egress))
           AS reported_twice,
       s.if_name, s.if_description, s.speed,
       s.in_bytes, s.out_bytes, s.in_records, s.out_records, s.first_seen, s.last_seen
FROM lastfluss._seen_interfaces() s
LEFT JOIN (SELECT host, id, array_agg(name ORDER BY vlan NULLS FIRST) AS names, bool_or(count = 'both') AS both
           FROM lastfluss.interface GROUP BY 1, 2) i
    ON i.host = s.host AND i.id = s.id;
COMMENT ON VIEW lastfluss.seen_interfaces IS 'interfaces that records have named, configured or not; lastfluss.add_interface() takes host and id';
COMMENT ON COLUMN lastfluss.seen_interfaces.names IS 'the configured names';
COMMENT ON COLUMN lastfluss.seen_interfaces.reported_twice IS 'its traffic is reported both at ingress and at egress (element 61), and both count';
COMMENT ON COLUMN lastfluss.seen_interfaces.if_name IS 'the router''s own name for it, from its options data';
COMMENT ON COLUMN lastfluss.seen_interfaces.if_description IS 'the description on the router, from its options data';
COMMENT ON COLUMN lastfluss.seen_interfaces.speed IS 'bit/s, from its sFlow counter samples';
COMMENT ON COLUMN lastfluss.seen_interfaces.in_bytes IS 'octets of records that entered there, multiplied by the sampling rate as far as it is known';

CREATE FUNCTION lastfluss.adopt_interfaces(host inet DEFAULT NULL) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    adopted integer;
BEGIN
    PERFORM lastfluss._require_collector();
    WITH found AS (
        SELECT s.host, s.id, s.speed, s.if_description,
               coalesce(nullif(s.if_name, ''), s.if_description) AS name
        FROM lastfluss.seen_interfaces s
        WHERE NOT s.configured AND ($1 IS NULL OR s.host = $1)
            AND coalesce(nullif(s.if_name, ''), s.if_description) <> ''
    )
    INSERT INTO lastfluss.interface (name, host, id, speed, description)
    -- routers use the same names: the host tells them apart
    SELECT CASE WHEN EXISTS (SELECT FROM found o WHERE o.name = f.name AND (o.host, o.id) <> (f.host, f.id))
                  OR EXISTS (SELECT FROM lastfluss.interface i WHERE i.name = f.name)
                THEN format('%s %s', host(f.host), f.name) ELSE f.name END,
           f.host, f.id, f.speed, nullif(f.if_description, '')
    FROM found f
    ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO NOTHING;
    GET DIAGNOSTICS adopted = ROW_COUNT;
    RETURN adopted;
END;
$$;
COMMENT ON FUNCTION lastfluss.adopt_interfaces(inet) IS
'adds the interfaces that were seen and whose name the router has told (lastfluss.seen_interfaces), of one host or of all; returns how many';

CREATE TABLE lastfluss.counters (
    host        inet NOT NULL,
    id          bigint NOT NULL,
    "time"      timestamptz NOT NULL,
    in_octets   numeric(20) NOT NULL,
    out_octets  numeric(20) NOT NULL,
    in_packets  numeric(20),
    out_packets numeric(20),
    speed       bigint,
    PRIMARY KEY (host, id, "time")
);
SELECT pg_catalog.pg_extension_config_dump('lastfluss.counters', '');
COMMENT ON TABLE lastfluss.counters IS 'interfaces'' own counters, from sFlow counter samples of configured hosts, or from your own SNMP import by INSERT';
COMMENT ON COLUMN lastfluss.counters.id IS 'SNMP ifIndex';
COMMENT ON COLUMN lastfluss.counters."time" IS 'when the counters had these values';
COMMENT ON COLUMN lastfluss.counters.in_octets IS 'ifHCInOctets: a counter that only grows, and starts anew at some time';
COMMENT ON COLUMN lastfluss.counters.speed IS 'bit/s';

CREATE FUNCTION lastfluss._live(
    OUT run timestamptz, OUT receiver integer, OUT sequence bigint, OUT written boolean,
    OUT "time" timestamptz, OUT bandwidth real, OUT iface text, OUT ingress boolean,
    OUT remote_asn bigint, OUT local_asn bigint, OUT family smallint,
    OUT bytes bigint, OUT packets bigint, OUT flows bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lastfluss_live' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._live() IS 'the rows in shared memory and in files that wait to be written';

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

CREATE FUNCTION lastfluss.doctor(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_is lastfluss.status%ROWTYPE;
BEGIN
    SELECT * INTO now_is FROM lastfluss.status;

    -- Is there a collector, and does it listen?
    IF now_is.state = 'not preloaded' THEN
        RETURN QUERY SELECT 'error', 'library', 'the server did not preload lastfluss',
            'Put shared_preload_libraries = ''lastfluss'' into postgresql.conf, and restart the server.';
        RETURN;
    ELSIF now_is.state = 'other database' THEN
        RETURN QUERY SELECT 'error', 'database',
            format('the collector works in database "%s", not in "%s"', current_setting('lastfluss.database'), current_database()),
            format('Connect to "%s", or change lastfluss.database in postgresql.conf and restart the server.', current_setting('lastfluss.database'));
        RETURN;
    END IF;
    RETURN QUERY SELECT 'error', 'listener', 'there is no listener', 'SELECT lastfluss.add_listener(port => 2055);'
        WHERE now_is.state = 'no listener';
    RETURN QUERY SELECT 'error', 'listener', l, 'Choose another address or port, or end the program that has it: ss -ulpn shows it.'
        FROM unnest(now_is.listeners) l WHERE l LIKE '%could not listen%';

    -- Does something come, and can it be decoded?
    RETURN QUERY SELECT 'warning', 'datagrams', 'no datagram has come',
            'Look at the export address and port on the router, and at the firewall: tcpdump -n udp port 2055 shows what arrives.'
        WHERE now_is.datagrams = 0 AND now_is.state = 'collecting';
    RETURN QUERY SELECT CASE WHEN sum(e.records) = 0 THEN 'error' ELSE 'warning' END, 'decoding',
            format('%s datagrams or sets of %s were not decoded: %s', sum(v.value::bigint), host(e.host), v.key),
            CASE v.key
            WHEN 'no_template' THEN 'Have the router send its templates more often (every minute or so).'
            WHEN 'unknown_version' THEN 'It sends something that is no flow format we know; is the port right?'
            WHEN 'unsupported' THEN 'It sends a NetFlow v8 scheme without AS numbers; use the scheme "as", or v9.'
            WHEN 'unknown_sampler' THEN 'Have the router export its sampler table as options data, or set "sample" of its interfaces.'
            ELSE 'The datagrams contradict themselves; the software of the router may have a bug.' END
        FROM lastfluss.exporters e, jsonb_each_text(e.errors) v
        GROUP BY e.host, v.key;

    -- Are its interfaces configured, and is what is counted right?
    RETURN QUERY SELECT 'warning', 'interfaces', format('%s interfaces of %s carry traffic and are not configured', count(*), host(s.host)),
            format('SELECT lastfluss.add_interface(''name'', ''%s'', %s);  -- all: SELECT * FROM lastfluss.seen_interfaces', host(s.host), (array_agg(s.id ORDER BY s.in_bytes::numeric + s.out_bytes DESC))[1])
        FROM lastfluss.seen_interfaces s WHERE NOT s.configured
          AND s.host NOT IN (SELECT o.host FROM lastfluss.seen_interfaces o WHERE o.configured)
        GROUP BY s.host;
    RETURN QUERY SELECT 'warning', 'sampling', format('%s records of %s were counted without a sampling rate', sum(e.unknown_sampling), host(e.host)),
            format('If it samples 1 in 1000: UPDATE lastfluss.interface SET sample = 1000 WHERE host = ''%s''; if it does not: SET sample = 1.', host(e.host))
        FROM lastfluss.exporters e GROUP BY e.host HAVING sum(e.unknown_sampling) > 0;
    RETURN QUERY SELECT 'warning', 'double counting',
            format('%s reports the traffic of interface %s (%s) at ingress and at egress', host(s.host), s.id, array_to_string(s.names, ', ')),
            format('Have the router watch one direction only, or: UPDATE lastfluss.interface SET count = ''ingress'' WHERE host = ''%s'';', host(s.host))
        FROM lastfluss.seen_interfaces s WHERE s.configured AND s.reported_twice;
    RETURN QUERY SELECT DISTINCT ON (e.host) 'warning', 'clock', format('the clock of %s is off by %s', host(e.host), e.clock_skew),
            'Nothing is lost by it; set its clock by NTP all the same.'
        FROM lastfluss.exporters e WHERE abs(extract(epoch FROM e.clock_skew)) > 30
        ORDER BY e.host, abs(extract(epoch FROM e.clock_skew)) DESC;

    -- Is something lost?
    RETURN QUERY SELECT 'warning', 'loss', format('%s datagrams or records of %s are missing by its sequence numbers', sum(e.lost), host(e.host)),
            'Look for drops on the way: on the router, in the network, and in kernel_drops of lastfluss.status.'
        FROM lastfluss.exporters e WHERE e.lost > 0 GROUP BY e.host;
    RETURN QUERY SELECT 'warning', 'loss', format('the kernel has dropped %s datagrams', now_is.kernel_drops),
            'Allow larger receive buffers: sysctl -w net.core.rmem_max=33554432, then restart the server.'
        WHERE now_is.kernel_drops > 0;

    -- Can it be written?
    RETURN QUERY SELECT 'error', 'writing', now_is.last_error, 'Intervals wait in memory, and are written when it is mended.'
        WHERE now_is.last_error IS NOT NULL;
    RETURN QUERY SELECT 'warning', 'writing', format('%s finished intervals wait', now_is.intervals_waiting),
            'See last_error in lastfluss.status; more lastfluss.buffers let more of them wait.'
        WHERE now_is.intervals_waiting > 1;
    RETURN QUERY SELECT 'warning', 'writing', format('%s datagrams were counted in an earlier interval than theirs', now_is.stretched),
            'All buffers had to wait for the writer: raise lastfluss.buffers.'
        WHERE now_is.stretched > 0;
    RETURN QUERY SELECT 'warning', 'memory', format('%s additions went to rows whose remote_asn is null', now_is.folded),
            'An interval had more rows than lastfluss.max_entries: raise it.'
        WHERE now_is.folded > 0;

    RETURN QUERY SELECT 'ok', 'collector', format('%s datagrams, %s records, %s rows written', now_is.datagrams, now_is.records, now_is.rows), NULL
        WHERE now_is.state = 'collecting' AND now_is.datagrams > 0;
END;
$$;
COMMENT ON FUNCTION lastfluss.doctor() IS
'why nothing shows, and what is wrong with what shows: status is ok, warning or error';

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
    WHEN NEW.count IS NULL OR NEW.count NOT IN ('both', 'ingress', 'egress') THEN
        field := 'count'; value := NEW.count; advice := 'Give both, ingress or egress.';
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

CREATE FUNCTION lastfluss._check_settings() RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_check_settings' LANGUAGE C;
COMMENT ON FUNCTION lastfluss._check_settings() IS 'raises an error where period and window need more buffers than there are';

CREATE FUNCTION lastfluss._check_settings_together() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._check_settings();
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION lastfluss._check_settings_together() IS 'trigger: refuses settings that cannot work together';

CREATE FUNCTION lastfluss._config_changed() RETURNS trigger
AS 'MODULE_PATHNAME', 'lastfluss_config_changed' LANGUAGE C;
COMMENT ON FUNCTION lastfluss._config_changed() IS 'trigger: tells the collector at COMMIT';

CREATE FUNCTION lastfluss._prefixes_changed() RETURNS trigger
AS 'MODULE_PATHNAME', 'lastfluss_prefixes_changed' LANGUAGE C;
COMMENT ON FUNCTION lastfluss._prefixes_changed() IS 'trigger: tells the collector at COMMIT to load the prefixes';

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
CREATE TRIGGER check_together AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lastfluss.setting
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._check_settings_together();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lastfluss.setting
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._config_changed();

CREATE TRIGGER prefixes_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lastfluss.prefix
    FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._prefixes_changed();

/* Privileges: nothing for PUBLIC; pg_monitor reads the status. */

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA lastfluss FROM PUBLIC;
GRANT USAGE ON SCHEMA lastfluss TO pg_monitor;
GRANT SELECT ON lastfluss.status, lastfluss.exporters, lastfluss.templates,
    lastfluss.seen_interfaces, lastfluss.live, lastfluss.settings TO pg_monitor;
GRANT EXECUTE ON FUNCTION lastfluss.doctor(), lastfluss._status(), lastfluss._exporters(), lastfluss._templates(),
    lastfluss._seen_interfaces(), lastfluss._live(), lastfluss._settings(), lastfluss._waiting() TO pg_monitor;
