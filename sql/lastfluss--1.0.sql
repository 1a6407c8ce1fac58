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
    color       text,
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
COMMENT ON COLUMN lastfluss.interface.color IS 'in graphs, as in #1f78b4; null: that of the role';

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
    description text DEFAULT NULL, color text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM lastfluss._require_collector();
    INSERT INTO lastfluss.interface (name, host, id, sample, role, speed, vlan, sample_out, count, description, color)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is an interface % of host % already', concat_ws(' vlan ', $3::text, $7::text), host($2)
        USING ERRCODE = 'unique_violation',
              HINT = 'UPDATE lastfluss.interface changes it, and lastfluss.remove_interface() removes it.';
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.add_interface(text, inet, bigint, bigint, text, bigint, integer, bigint, text, text, text) IS
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

/* Files of the original, and of AS-Stats */

CREATE FUNCTION lastfluss.import_interfaces(yaml text, replace boolean DEFAULT false) RETURNS integer
AS 'MODULE_PATHNAME', 'lastfluss_import_interfaces' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss.import_interfaces(text, boolean) IS
'adds or updates the interfaces in an interfaces.yaml, and with replace removes all others; returns how many the file has; an error names line and field, and nothing is changed';

CREATE FUNCTION lastfluss.export_interfaces() RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_export_interfaces' LANGUAGE C STABLE;
COMMENT ON FUNCTION lastfluss.export_interfaces() IS
'the interfaces as YAML, for import_interfaces()';

CREATE FUNCTION lastfluss.import_knownlinks(file text, replace boolean DEFAULT false) RETURNS integer
AS 'MODULE_PATHNAME', 'lastfluss_import_knownlinks' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss.import_knownlinks(text, boolean) IS
'adds or updates the interfaces in a knownlinks file of AS-Stats, and with replace removes all others: the tag becomes the name; role, speed and count, which the file does not have, stay as they are; returns how many the file has; an error names line and field, and nothing is changed';

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
FROM lastfluss._live() l LEFT JOIN lastfluss._written w ON w.run = l.run AND w.receiver = l.receiver
-- What is in traffic by the query's own snapshot is told by _written; without a
-- row there, nobody knows of what was written before, and it is left out.
WHERE CASE WHEN l.written THEN w.sequence < l.sequence
           ELSE w.sequence IS NULL OR w.sequence < l.sequence END;
COMMENT ON VIEW lastfluss.live IS 'the open and not yet written intervals, in the columns of traffic';

CREATE FUNCTION lastfluss._table() RETURNS regclass LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_regclass(CASE cardinality(parse_ident(value)) WHEN 1 THEN 'public.' ELSE '' END || value)
    FROM lastfluss.settings WHERE name = 'table';
$$;
COMMENT ON FUNCTION lastfluss._table() IS 'the table of the setting "table"; null: it is not made yet';

/* The counter check */

CREATE FUNCTION lastfluss._counter_growth(before numeric, after numeric, wraps boolean) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN after - before BETWEEN 0 AND 1e17 THEN after - before
            WHEN wraps AND after - before + 4294967296 BETWEEN 0 AND 2147483647 THEN after - before + 4294967296 END;
COMMENT ON FUNCTION lastfluss._counter_growth(numeric, numeric, boolean) IS
'what a counter has grown by; where it may wrap at 2^32, a step back is a wrap if the growth is below 2^31; null: it has started anew, or is none';

CREATE FUNCTION lastfluss.counter_check(since interval DEFAULT '1 hour', step interval DEFAULT NULL,
    overhead integer DEFAULT NULL,
    OUT "time" timestamptz, OUT iface text, OUT ingress boolean,
    OUT flow_bytes bigint, OUT counter_bytes bigint, OUT ratio numeric,
    OUT flow_packets bigint, OUT counter_packets bigint, OUT packet_ratio numeric, OUT slot interval)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off   -- compiling would take longer than the query
AS $_$
DECLARE
    traffic  regclass := lastfluss._table();
    period   integer;
    window_  integer;
    seconds  float8 := extract(epoch FROM $2);
    own      boolean;
    bytes    text := 'round(bandwidth::float8 * $3 / 8)::bigint';
    packets  text;
    rows     text;
    hosts    text := 'SELECT NULL::inet AS host, NULL::integer AS octets';
BEGIN
    SELECT max(s.value) FILTER (WHERE s.name = 'period')::integer,
           coalesce(max(s.value) FILTER (WHERE s.name = 'window')::integer, 0)
    INTO period, window_ FROM lastfluss.settings s;
    IF $1 IS NULL OR $1 <= interval '0' THEN
        RAISE EXCEPTION 'invalid interval to look back: %', coalesce('"' || $1 || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give how far to look back, such as ''1 hour''.';
    END IF;
    IF seconds <= 0 OR seconds::numeric % period <> 0 THEN
        RAISE EXCEPTION 'invalid step: "%"', $2
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('Give a multiple of the period, which is %s s.', period);
    END IF;
    IF $3 < 0 THEN
        RAISE EXCEPTION 'invalid overhead: "%"', $3
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the octets to add for each packet.';
    END IF;
    IF traffic IS NULL THEN
        RETURN;
    END IF;

    -- The table may lack our columns, or have rows from before it had them.
    IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = traffic AND a.attname = 'bytes' AND NOT a.attisdropped) THEN
        bytes := format('coalesce(bytes, %s)', bytes);
    END IF;
    IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = traffic AND a.attname = 'packets' AND NOT a.attisdropped) THEN
        packets := 'packets';
    END IF;
    rows := format('SELECT "time", iface, ingress, %s AS bytes, %s AS packets FROM %s', bytes, coalesce(packets, 'NULL::bigint'), traffic);
    -- What the shared memory holds belongs to the collector's database.
    SELECT s.state NOT IN ('not preloaded', 'other database') INTO own FROM lastfluss.status s;
    IF own THEN
        rows := rows || format(' UNION ALL SELECT "time", iface, ingress, bytes, %s FROM lastfluss.live', coalesce(packets, 'NULL'));
        hosts := $$
            SELECT host, CASE WHEN sum(records) FILTER (WHERE protocol LIKE 'sFlow%') > 0.5 * sum(records)
                         THEN 0 ELSE 18 END AS octets
            FROM lastfluss.exporters GROUP BY host$$;
    END IF;

    RETURN QUERY EXECUTE format($$
WITH sender AS (%s),
-- A port's counters say nothing of its VLANs.
port AS (
    SELECT i.name, i.host, i.id, coalesce($5, s.octets, 18) AS overhead
    FROM lastfluss.interface i LEFT JOIN sender s USING (host)
    WHERE i.name NOT IN (SELECT a.name FROM lastfluss.interface a JOIN lastfluss.interface v USING (host, id)
                         WHERE v.vlan IS NOT NULL)
), segment AS (
    SELECT p.name, p.host, p.id, c.*
    FROM port p CROSS JOIN LATERAL (
        SELECT extract(epoch FROM lag(n."time") OVER series)::float8 AS begins,
               extract(epoch FROM n."time")::float8 AS ends,
               lastfluss._counter_growth(lag(n.in_octets) OVER series, n.in_octets, max(n.in_octets) OVER () < 4294967296)::float8 AS in_bytes,
               lastfluss._counter_growth(lag(n.out_octets) OVER series, n.out_octets, max(n.out_octets) OVER () < 4294967296)::float8 AS out_bytes,
               lastfluss._counter_growth(lag(n.in_packets) OVER series, n.in_packets, true)::float8 AS in_packets,
               lastfluss._counter_growth(lag(n.out_packets) OVER series, n.out_packets, true)::float8 AS out_packets,
               -- RFC 2863, ifSpeed: the largest value stands for all that are larger
               coalesce(nullif(nullif(n.speed, 4294967295), 0)::float8, 'infinity') AS speed
        FROM lastfluss.counters n
        WHERE n.host = p.host AND n.id = p.id AND n."time" >= $1 - interval '15 min'
        WINDOW series AS (ORDER BY n."time")
    ) c
    WHERE c.begins IS NOT NULL
), distance AS (
    SELECT name, max(usual) AS usual
    FROM (SELECT name, percentile_cont(0.5) WITHIN GROUP (ORDER BY ends - begins) AS usual
          FROM segment GROUP BY name, host, id) p
    GROUP BY name
), grid AS (
    SELECT d.name, d.usual, coalesce($4, greatest(ceil(0.95 * d.usual / $3), 1) * $3) AS length,
           (SELECT count(*) FROM port p WHERE p.name = d.name) AS ports,
           (SELECT avg(p.overhead) FROM port p WHERE p.name = d.name) AS overhead
    FROM distance d
), piece AS (
    SELECT s.name, s.host, s.id, n.slot, g.length, s.in_bytes, s.out_bytes, s.in_packets, s.out_packets,
           s.ends - s.begins AS duration,
           least(s.ends, (n.slot + 1) * g.length) - greatest(s.begins, n.slot * g.length) AS part
    FROM segment s JOIN grid g USING (name)
    CROSS JOIN generate_series(greatest(floor(s.begins / g.length), ceil(extract(epoch FROM $1)::float8 / g.length))::bigint,
                               least(ceil(s.ends / g.length), floor(extract(epoch FROM $2)::float8 / g.length))::bigint - 1) AS n(slot)
    WHERE s.ends - s.begins <= 3 * g.usual
      AND s.in_bytes IS NOT NULL AND s.out_bytes IS NOT NULL
      AND greatest(s.in_bytes, s.out_bytes) * 8 <= 2 * s.speed * (s.ends - s.begins)
), port_slot AS (
    SELECT name, slot, length,
           sum(in_bytes * part / duration) AS in_bytes, sum(out_bytes * part / duration) AS out_bytes,
           CASE WHEN count(in_packets) = count(*) THEN sum(in_packets * part / duration) END AS in_packets,
           CASE WHEN count(out_packets) = count(*) THEN sum(out_packets * part / duration) END AS out_packets
    FROM piece GROUP BY name, host, id, slot, length
    HAVING sum(part) > length - 0.001
), counted AS (
    SELECT p.name, p.slot, p.length, g.overhead, d.ingress,
           sum(d.bytes) AS bytes, CASE WHEN count(d.packets) = count(*) THEN sum(d.packets) END AS packets
    FROM port_slot p JOIN grid g USING (name)
    CROSS JOIN LATERAL (VALUES (true, p.in_bytes, p.in_packets), (false, p.out_bytes, p.out_packets)) AS d(ingress, bytes, packets)
    GROUP BY p.name, p.slot, p.length, g.overhead, g.ports, d.ingress
    HAVING count(*) = g.ports
), flow AS (
    SELECT t.iface AS name, t.ingress, floor(extract(epoch FROM t."time")::float8 / g.length)::bigint AS slot,
           sum(t.bytes) AS bytes, CASE WHEN count(t.packets) = count(*) THEN sum(t.packets) END AS packets
    FROM (SELECT "time", iface, ingress, sum(bytes) AS bytes, CASE WHEN count(packets) = count(*) THEN sum(packets) END AS packets
          FROM (%s) r WHERE "time" >= $1 AND "time" < $2 AND iface IN (SELECT name FROM grid)
          GROUP BY 1, 2, 3) t
    JOIN grid g ON g.name = t.iface
    GROUP BY 1, 2, 3
), compared AS (
    SELECT c.*, coalesce(f.bytes, 0) AS flow_bytes, CASE WHEN f.bytes IS NULL AND $6 THEN 0 ELSE f.packets END AS flow_packets
    FROM counted c LEFT JOIN flow f USING (name, ingress, slot)
)
SELECT to_timestamp(slot * length), name, ingress, least(flow_bytes, 9223372036854775807)::bigint, bytes::bigint,
       round((flow_bytes + overhead * coalesce(flow_packets, 0)) / nullif(bytes, 0)::numeric, 6),
       CASE WHEN flow_packets <= 9223372036854775807 THEN flow_packets::bigint END, packets::bigint, round(flow_packets / nullif(packets, 0)::numeric, 6),
       make_interval(secs => length)
FROM compared ORDER BY slot * length, name, ingress DESC
$$, hosts, rows)
    USING now() - $1, now() - make_interval(secs => window_ + period), period, seconds, $3, packets IS NOT NULL;
END;
$_$;
COMMENT ON FUNCTION lastfluss.counter_check(interval, interval, integer) IS
'flows against the interfaces'' own counters (lastfluss.counters), for each interface, direction and slot of the last time; a ratio of 1 says that sampling and export are configured right.
since: how far to look back. step: length of the slots, a multiple of the period; null: for each interface the smallest that is no shorter (but for 5 %) than the usual (median) distance between its samples. overhead: octets of framing that the counters count for each packet and flows do not; null: 18 (Ethernet header and FCS) for hosts that send NetFlow or IPFIX, 0 for sFlow, and the mean where the hosts of a name differ.
flow_bytes, flow_packets: traffic and live. counter_bytes, counter_packets: what the counters have grown by, in_octets (ingress) or out_octets, by linear interpolation between samples at both ends of the slot; all ports of a name together. ratio: (flow_bytes + overhead * flow_packets) / counter_bytes. packet_ratio: flow_packets / counter_packets. slot: length of the slot. Packets are null where traffic or the counters lack them, and nothing is added then for the overhead.
Slots are left out that are not over for the window and a period; in which a port of the name has no samples, a gap of three times the usual distance, a counter that starts anew (a step back is a wrap of a 32-bit counter where it has then grown by less than 2^31), or growth beyond twice its speed. Names of ports that have entries with VLANs are left out.
Needs the right to read traffic, lastfluss.interface, lastfluss.counters and the status views';

/* The doctor: a function for each question, so that one which fails stops no other. */

CREATE FUNCTION lastfluss._doctor_collector(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_is lastfluss.status%ROWTYPE;
BEGIN
    SELECT * INTO now_is FROM lastfluss.status;

    IF now_is.state = 'starting' THEN
        IF pg_is_in_recovery() THEN
            RETURN QUERY SELECT 'warning', 'collector', 'a standby does not collect', 'It starts when the server is promoted.';
        ELSE
            RETURN QUERY SELECT 'warning', 'collector', format('the collector is starting: %s of %s receivers run', now_is.receivers, current_setting('lastfluss.receivers')),
                'When it stays so, look at the server''s log: max_worker_processes must leave room for three workers and one for each receiver.';
        END IF;
    END IF;
    RETURN QUERY SELECT 'error', 'listener', 'there is no listener', 'SELECT lastfluss.add_listener(port => 2055);'
        WHERE now_is.state = 'no listener';
    RETURN QUERY SELECT 'error', 'listener', l, 'Choose another address or port, or end the program that has it: ss -ulpn shows it.'
        FROM unnest(now_is.listeners) l WHERE l LIKE '%could not listen%';
    RETURN QUERY SELECT 'warning', 'datagrams', 'no datagram has come',
            'Look at the export address and port on the router, and at the firewall: tcpdump -n udp port 2055 shows what arrives.'
        WHERE now_is.datagrams = 0 AND now_is.state = 'collecting';
    RETURN QUERY SELECT 'warning', 'datagrams', format('%s, which is configured, has sent nothing since %s', host(e.host), max(e.last_seen)),
            'Is it up, and does it still export to this address?'
        FROM lastfluss.exporters e WHERE now_is.state = 'collecting'
        GROUP BY e.host HAVING bool_or(e.configured) AND max(e.last_seen) < now() - interval '10 min';
    RETURN QUERY SELECT 'ok', 'collector', format('%s datagrams, %s records, %s rows written', now_is.datagrams, now_is.records, now_is.rows), NULL
        WHERE now_is.state = 'collecting' AND now_is.datagrams > 0;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_collector() IS 'part of doctor(): is there a collector, does it listen, and does something come?';

CREATE FUNCTION lastfluss._doctor_decoding(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT CASE WHEN sum(e.records) = 0 THEN 'error' WHEN sum(v.value::bigint) < 0.001 * sum(e.datagrams) THEN 'ok' ELSE 'warning' END, 'decoding',
            format('%s datagrams or sets of %s were not decoded: %s', sum(v.value::bigint), host(e.host), v.key),
            CASE v.key
            WHEN 'no_template' THEN 'Have the router send its templates more often (every minute or so).'
            WHEN 'unknown_version' THEN 'It sends something that is no flow format we know; is the port right?'
            WHEN 'unsupported' THEN 'It sends a NetFlow v8 scheme without AS numbers; use the scheme "as", or v9.'
            WHEN 'unknown_sampler' THEN 'Have the router export its sampler table as options data, or set "sample" of its interfaces.'
            ELSE 'The datagrams contradict themselves; the software of the router may have a bug.' END
        FROM lastfluss.exporters e, jsonb_each_text(e.errors) v
        GROUP BY e.host, v.key;
    RETURN QUERY SELECT 'warning', 'decoding', format('%s data sets of %s wait for their template', sum(e.waiting_sets), host(e.host)),
            'They are decoded when it comes: have the router send its templates every minute or so.'
        FROM lastfluss.exporters e GROUP BY e.host HAVING sum(e.waiting_sets) > 0 AND sum(e.records) = 0;
    -- late_bytes and future_bytes are counted for each side, as in_bytes and out_bytes are
    RETURN QUERY SELECT 'warning', 'window', format('%s %% of the bytes of %s came when the window of their intervals was over, and are counted later', trim_scale(round(100 * l.share, 1)), host(l.host)),
            format('Have the router export long flows more often (active timeout 60 s), or keep intervals open for longer: SELECT lastfluss.set(''window'', ''%s'');', greatest(2 * l.window_, 60))
        FROM (SELECT e.host, least(sum(e.late_bytes) / nullif(s.bytes, 0), 1) AS share,
                     (SELECT v.value::integer FROM lastfluss.settings v WHERE v.name = 'window') AS window_
              FROM lastfluss.exporters e
              JOIN (SELECT i.host, sum(i.in_bytes::numeric + i.out_bytes) AS bytes
                    FROM lastfluss.seen_interfaces i WHERE i.configured GROUP BY 1) s USING (host)
              GROUP BY e.host, s.bytes) l
        WHERE l.share > 0.01;
    RETURN QUERY SELECT 'warning', 'window', format('%s %% of the bytes of %s claim to come from the future', trim_scale(round(100 * l.share, 1)), host(l.host)),
            'They are counted when they come. Its flows end after the time of their export: look at its clock, and for a newer release of its software.'
        FROM (SELECT e.host, least(sum(e.future_bytes) / nullif(s.bytes, 0), 1) AS share
              FROM lastfluss.exporters e
              JOIN (SELECT i.host, sum(i.in_bytes::numeric + i.out_bytes) AS bytes
                    FROM lastfluss.seen_interfaces i WHERE i.configured GROUP BY 1) s USING (host)
              GROUP BY e.host, s.bytes) l
        WHERE l.share > 0.01;
    RETURN QUERY SELECT DISTINCT ON (e.host) 'warning', 'clock', format('the clock of %s is off by %s', host(e.host), e.clock_skew),
            'Nothing is lost by it; set its clock by NTP all the same.'
        FROM lastfluss.exporters e WHERE abs(extract(epoch FROM e.clock_skew)) > 30
        ORDER BY e.host, abs(extract(epoch FROM e.clock_skew)) DESC;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_decoding() IS 'part of doctor(): can be decoded what comes?';

CREATE FUNCTION lastfluss._doctor_counting(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
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
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_counting() IS 'part of doctor(): are the interfaces configured, and is what is counted right?';

CREATE FUNCTION lastfluss._doctor_losses(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_is lastfluss.status%ROWTYPE;
BEGIN
    SELECT * INTO now_is FROM lastfluss.status;

    -- v9 and sFlow number datagrams, the others records
    RETURN QUERY SELECT CASE WHEN s.share < 0.001 THEN 'ok' ELSE 'warning' END, 'loss',
            format('%s %% of what %s has sent is missing by its sequence numbers: %s datagrams or records', trim_scale(round(100 * s.share, 4)), host(s.host), s.lost),
            format('Look for drops on the way: on the router, in the network, and in kernel_drops of lastfluss.status. %s tells when.',
                   (SELECT v.value || '_health' FROM lastfluss.settings v WHERE v.name = 'table'))
        FROM (SELECT e.host, sum(e.lost) AS lost,
                     sum(e.lost) / sum(e.lost + CASE WHEN e.protocol IN ('NetFlow v9', 'sFlow v5') THEN e.datagrams ELSE e.records END) AS share
              FROM lastfluss.exporters e WHERE e.lost > 0 GROUP BY e.host) s;
    RETURN QUERY SELECT CASE WHEN now_is.kernel_drops < 0.001 * now_is.datagrams THEN 'ok' ELSE 'warning' END, 'loss',
            format('the kernel has dropped %s datagrams, %s %% of all', now_is.kernel_drops, trim_scale(round(100.0 * now_is.kernel_drops / nullif(now_is.kernel_drops + now_is.datagrams, 0), 4))),
            'Allow larger receive buffers: sysctl -w net.core.rmem_max=33554432, then restart the server.'
        WHERE now_is.kernel_drops > 0;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_losses() IS 'part of doctor(): is something lost?';

CREATE FUNCTION lastfluss._doctor_writing(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_is lastfluss.status%ROWTYPE;
BEGIN
    SELECT * INTO now_is FROM lastfluss.status;

    RETURN QUERY SELECT 'error', 'writing', now_is.last_error, 'Intervals wait in memory and in files, and are written when it is mended.'
        WHERE now_is.last_error IS NOT NULL;
    RETURN QUERY SELECT 'warning', 'writing', format('%s finished intervals wait', now_is.intervals_waiting),
            'See last_error in lastfluss.status; a lock on the table, or a slow disk, also makes them wait.'
        WHERE now_is.intervals_waiting > 1;
    RETURN QUERY SELECT CASE WHEN now_is.spool_bytes < 0.5 * now_is.spool_limit THEN 'warning' ELSE 'error' END, 'spool',
            format('%s intervals wait in files, which take %s of %s at most', now_is.spooled, pg_size_pretty(now_is.spool_bytes), pg_size_pretty(now_is.spool_limit))
            || coalesce(format('; there is room for about %s more', greatest((now_is.spool_limit - now_is.spool_bytes)::numeric * now_is.spooled / nullif(now_is.spool_bytes, 0), 0)::bigint), ''),
            concat_ws(' ', 'They are written when the database follows.', now_is.spool)
        WHERE now_is.spooled > 0;
    RETURN QUERY SELECT 'warning', 'writing', format('%s datagrams were counted in an earlier interval than theirs', now_is.stretched),
            'All buffers had to wait for the writer: raise lastfluss.buffers.'
        WHERE now_is.stretched > 0;
    RETURN QUERY SELECT 'warning', 'memory', format('%s additions went to rows whose remote_asn is null', now_is.folded),
            'An interval had more rows than lastfluss.max_entries: raise it.'
        WHERE now_is.folded > 0;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_writing() IS 'part of doctor(): can it be written?';

CREATE FUNCTION lastfluss._partitions(parent regclass, OUT partition regclass, OUT starts timestamptz, OUT ends timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
    SELECT c.oid, CASE b[1] WHEN 'MINVALUE' THEN '-infinity' ELSE trim(BOTH '''' FROM b[1]) END::timestamptz,
           CASE b[2] WHEN 'MAXVALUE' THEN 'infinity' ELSE trim(BOTH '''' FROM b[2]) END::timestamptz
    FROM pg_partitioned_table p
    JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    JOIN pg_inherits i ON i.inhparent = p.partrelid
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \((.*)\) TO \((.*)\)$') b
    WHERE p.partrelid = $1 AND p.partstrat = 'r' AND p.partnatts = 1 AND a.attname = 'time';
$$;
COMMENT ON FUNCTION lastfluss._partitions(regclass) IS 'partitions of a table that is partitioned by ranges of "time"; without bounds: the default partition';

CREATE FUNCTION lastfluss._doctor_partitions(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
DECLARE
    traffic  regclass := lastfluss._table();
    tomorrow timestamptz := date_trunc('day', now()) + interval '1 day';
    rest     regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM lastfluss._partitions(traffic)) THEN
        RETURN;
    END IF;
    SELECT p.partition INTO rest FROM lastfluss._partitions(traffic) p WHERE p.starts IS NULL;
    RETURN QUERY SELECT 'warning', 'partitions',
            format('%s has no partition for tomorrow', traffic) || CASE WHEN rest IS NULL THEN '' ELSE format(': its rows will go into %s', rest) END,
            (SELECT format('CREATE TABLE %I.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L);', n.nspname,
                           left(c.relname, 54) || to_char(tomorrow, '_YYYYMMDD'), traffic, tomorrow, tomorrow + interval '1 day')
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = traffic)
        WHERE NOT EXISTS (SELECT FROM lastfluss._partitions(traffic) p WHERE p.starts <= tomorrow AND p.ends > tomorrow);
    RETURN QUERY SELECT 'warning', 'partitions', format('the default partition %s has rows', rest),
            format('They outlive every retention, and stand in the way of the partitions that they belong to: move them to these, and drop %s.', rest)
        WHERE pg_relation_size(rest) > 0;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_partitions() IS 'part of doctor(): are there partitions for what comes?';

CREATE FUNCTION lastfluss._free_disk(tablespace oid) RETURNS bigint
AS 'MODULE_PATHNAME', 'lastfluss_free_disk' LANGUAGE C STRICT VOLATILE;
COMMENT ON FUNCTION lastfluss._free_disk(oid) IS 'octets that are free where a tablespace lies; 0 is the database''s; null: unknown';

CREATE FUNCTION lastfluss._doctor_disk(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    traffic regclass := lastfluss._table();
    size    numeric;
    row_    numeric;    -- octets, with its share of the indexes
    free    numeric;
    growth  numeric;    -- octets a day
    days    numeric;
BEGIN
    -- Partitions, and the chunks of a hypertable.
    WITH RECURSIVE member AS (
        SELECT traffic::oid AS oid
        UNION ALL
        SELECT i.inhrelid FROM pg_inherits i JOIN member m ON i.inhparent = m.oid
    ), sized AS (
        SELECT c.oid, c.reltuples::numeric AS tuples, c.reltablespace, pg_total_relation_size(c.oid) AS octets
        FROM member m JOIN pg_class c USING (oid)
    )
    SELECT sum(s.octets), sum(s.octets) FILTER (WHERE s.tuples > 0) / sum(s.tuples) FILTER (WHERE s.tuples > 0),
           lastfluss._free_disk((array_agg(s.reltablespace ORDER BY s.oid DESC))[1])
    INTO size, row_, free FROM sized s;
    IF size IS NULL OR free IS NULL THEN
        RETURN;
    END IF;

    -- By the last days' partitions, else by what the collector has written since its start.
    SELECT sum(pg_total_relation_size(p.partition)) / sum(extract(epoch FROM p.ends - p.starts) / 86400)
    INTO growth
    FROM (SELECT * FROM lastfluss._partitions(traffic) q
          WHERE q.ends <= now() AND q.ends > now() - interval '40 days' AND isfinite(q.starts) AND pg_relation_size(q.partition) > 0
          ORDER BY q.ends DESC LIMIT 7) p;
    IF growth IS NULL THEN
        SELECT s.rows * coalesce(row_, 150) / (extract(epoch FROM clock_timestamp() - s.since) / 86400)
        INTO growth FROM lastfluss.status s WHERE s.state <> 'other database' AND s.intervals >= 10;
    END IF;
    days := free / nullif(growth, 0);
    RETURN QUERY SELECT CASE WHEN days < 3 THEN 'error' WHEN days < 30 THEN 'warning' ELSE 'ok' END, 'disk',
        format('%s has %s', traffic, pg_size_pretty(size))
        || CASE WHEN growth IS NULL THEN '' ELSE format(' and grows by %s a day', pg_size_pretty(round(growth))) END
        || format('; %s are free', pg_size_pretty(free))
        || CASE WHEN days IS NULL THEN '' WHEN days > 3650 THEN ', enough for more than ten years' ELSE format(', enough for %s days', round(days, CASE WHEN days < 10 THEN 1 ELSE 0 END)) END,
        CASE WHEN days < 30 THEN 'Give the server more disk, or remove what is old'
            || coalesce((SELECT format(': DROP TABLE %s;', p.partition) FROM lastfluss._partitions(traffic) p
                         WHERE p.ends <= now() ORDER BY p.ends LIMIT 1), '.') END;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_disk() IS 'part of doctor(): how long will the disk last?';

CREATE FUNCTION lastfluss._doctor_counters(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    usual interval;
    since interval;
BEGIN
    IF pg_relation_size('lastfluss.counters') = 0 THEN
        RETURN;
    END IF;
    -- Some slots are enough: traffic has many rows, and the doctor is in a hurry.
    SELECT max(g.distance) INTO usual
    FROM lastfluss.interface i CROSS JOIN LATERAL (
        SELECT (max(c.time) - min(c.time)) / nullif(count(*) - 1, 0) AS distance
        FROM (SELECT n.time FROM lastfluss.counters n
              WHERE n.host = i.host AND n.id = i.id AND n.time BETWEEN now() - interval '1 hour' AND now()
              ORDER BY n.time DESC LIMIT 5) c) g;
    SELECT least(greatest(interval '12 min', 6 * usual) + make_interval(secs => sum(s.value::integer)), interval '1 hour')
    INTO since FROM lastfluss.settings s WHERE s.name IN ('period', 'window');

    RETURN QUERY
    WITH slot AS (
        SELECT c.*, sum(c.flow_bytes) OVER (PARTITION BY c.time) AS all_bytes,
               min(c.time) FILTER (WHERE c.flow_bytes > 0) OVER (PARTITION BY c.iface) AS first_flow
        FROM lastfluss.counter_check(since) c
    ), rate AS (
        SELECT i.name, d.ingress, max(coalesce(d.sample, e.sampling, 1)) AS rate
        FROM lastfluss.interface i
        LEFT JOIN (SELECT x.host, max(x.sampling) AS sampling FROM lastfluss.exporters x GROUP BY 1) e USING (host)
        CROSS JOIN LATERAL (VALUES (true, i.sample), (false, coalesce(i.sample_out, i.sample))) AS d(ingress, sample)
        GROUP BY 1, 2
    ), side AS (
        -- Slots in which nothing at all was counted tell of the collector; those
        -- before the first flow of an interface, that it is new.
        SELECT s.iface, s.ingress, r.rate, count(*) AS slots,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY s.ratio)::numeric AS ratio,
               8 * sum(s.counter_bytes) / sum(extract(epoch FROM s.slot)) AS bandwidth,
               coalesce(sum(s.counter_packets), sum(s.counter_bytes) / 800) AS packets
        FROM slot s JOIN rate r ON r.name = s.iface AND r.ingress = s.ingress
        WHERE s.ratio IS NOT NULL AND s.all_bytes > 0 AND (s.time >= s.first_flow OR s.first_flow IS NULL)
        GROUP BY 1, 2, 3
    ), judged AS (
        -- Routers' own chatter, and what sampling cannot be exact about, is no finding.
        SELECT j.*, trim_scale(round(j.ratio, 4)) AS shown, max(j.ratio) OVER (PARTITION BY j.iface) AS best,
               format('UPDATE lastfluss.interface SET %I = %s WHERE name = %L;', CASE WHEN j.ingress THEN 'sample' ELSE 'sample_out' END,
                      greatest(round(j.rate / nullif(j.ratio, 0)), 1), j.iface) AS set_sample
        FROM side j WHERE j.slots >= 3 AND j.bandwidth >= 10000 AND j.packets >= 1000 * j.rate
    )
    SELECT 'warning', 'counters',
           format('flows of %s, %s, are %s times its counters: %s', j.iface, CASE WHEN j.ingress THEN 'ingress' ELSE 'egress' END, j.shown,
                  CASE WHEN j.ratio < 0.00001 THEN 'no flows are exported in this direction'
                       WHEN j.ratio < 0.5 AND j.best < 0.5 THEN 'the sampling rate is missing or too small'
                       WHEN j.ratio < 0.9 THEN 'a part of the traffic is not exported'
                       WHEN j.ratio BETWEEN 1.7 AND 2.3 THEN 'it seems to be reported twice'
                       WHEN j.rate > 1 THEN 'the sampling rate is too large'
                       ELSE 'some of it is reported more than once' END),
           CASE WHEN j.ratio < 0.00001 AND j.ingress THEN 'Have the router export the flows that enter there.'
                WHEN j.ratio < 0.00001 THEN 'Have the router export the flows that leave there, or those that enter on all its other interfaces.'
                WHEN j.ratio < 0.5 AND j.best < 0.5 THEN 'This would fit, compare it with the router: ' || j.set_sample
                WHEN j.ratio < 0.9 THEN 'Have the router export all of it: IPv6 and MPLS too, and on every interface from which it comes.'
                WHEN j.ratio BETWEEN 1.7 AND 2.3 THEN format('Have the router watch one direction only, or: UPDATE lastfluss.interface SET count = ''ingress'' WHERE name = %L;', j.iface)
                WHEN j.rate > 1 THEN 'This would fit, compare it with the router: ' || j.set_sample
                ELSE 'Look whether several routers or monitors export the same packets.' END
    FROM judged j WHERE j.ratio NOT BETWEEN 0.9 AND 1.1
    UNION ALL
    SELECT 'ok', 'counters', format('flows agree with the counters of %s interfaces', count(DISTINCT j.iface)), NULL
    FROM judged j WHERE j.ratio BETWEEN 0.9 AND 1.1 HAVING count(*) > 0;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN QUERY SELECT 'ok', 'counters', format('flows were not compared with the interfaces'' counters: %s', SQLERRM),
        format('GRANT SELECT ON %s, lastfluss.interface, lastfluss.counters TO %I;', lastfluss._table(), current_user);
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_counters() IS 'part of doctor(): do flows agree with the interfaces'' counters?';

CREATE FUNCTION lastfluss.doctor(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    state text;
    part  text;
BEGIN
    BEGIN
        SELECT s.state INTO state FROM lastfluss.status s;
    EXCEPTION WHEN OTHERS THEN
        RETURN QUERY SELECT 'error', 'rights', SQLERRM, format('GRANT pg_monitor TO %I;', current_user);
        RETURN;
    END;
    IF state = 'not preloaded' THEN
        RETURN QUERY SELECT 'error', 'library', 'the server did not preload lastfluss',
            'Put shared_preload_libraries = ''lastfluss'' into postgresql.conf, and restart the server.';
        RETURN;
    ELSIF state = 'other database' THEN
        RETURN QUERY SELECT 'error', 'database',
            format('the collector works in database "%s", not in "%s"', current_setting('lastfluss.database'), current_database()),
            format('Connect to "%s", or change lastfluss.database in postgresql.conf and restart the server.', current_setting('lastfluss.database'));
        RETURN;
    END IF;

    FOREACH part IN ARRAY ARRAY['collector', 'decoding', 'counting', 'losses', 'writing', 'partitions', 'disk', 'counters'] LOOP
        BEGIN
            RETURN QUERY EXECUTE format('SELECT * FROM lastfluss.%I()', '_doctor_' || part);
        EXCEPTION WHEN OTHERS THEN
            RETURN QUERY SELECT 'warning', part, 'could not be looked at: ' || SQLERRM,
                CASE SQLSTATE WHEN '42501' THEN format('GRANT pg_monitor TO %I;', current_user)
                              WHEN '55P03' THEN 'Somebody holds a lock on the table; when that goes on, pg_stat_activity shows who.' END;
        END;
    END LOOP;
END;
$$;
COMMENT ON FUNCTION lastfluss.doctor() IS
'why nothing shows, what is wrong with what shows, and what is about to go wrong: status is ok, warning or error; raises no error itself, and leaves out or says what the caller has no right to see';

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
    WHEN NEW.color !~ '^#[0-9A-Fa-f]{6}$' THEN
        field := 'color'; value := NEW.color; advice := 'Give it as # and six hexadecimal digits, such as #1f78b4, or null.';
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
    lastfluss._seen_interfaces(), lastfluss._live(), lastfluss._settings(), lastfluss._waiting(),
    lastfluss.counter_check(interval, interval, integer), lastfluss._counter_growth(numeric, numeric, boolean),
    lastfluss._table(), lastfluss._partitions(regclass), lastfluss._free_disk(oid),
    lastfluss._doctor_collector(), lastfluss._doctor_decoding(), lastfluss._doctor_counting(),
    lastfluss._doctor_losses(), lastfluss._doctor_writing(), lastfluss._doctor_partitions(),
    lastfluss._doctor_disk(), lastfluss._doctor_counters() TO pg_monitor;
