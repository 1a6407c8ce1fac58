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
COMMENT ON COLUMN lastfluss.status.folded IS 'additions that went to rows with remote_asn null, because an interval had lastfluss.max_entries paths';
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
       coalesce(e.sampling, i.sampling) AS sampling,
       CASE WHEN e.sampling_origin = 'unknown' AND i.told THEN 'interface' ELSE e.sampling_origin END AS sampling_origin,
       coalesce(t.templates, 0) AS templates, e.clock_skew,
       e.first_seen, e.last_seen, e.options, e.no_octets, e.unmatched, e.unknown_sampling,
       e.late_bytes, e.future_bytes, e.waiting_sets, e.late_sets,
       e.templates_pushed_out, e.discarded, e.multiple, e.errors
FROM lastfluss._exporters() e
LEFT JOIN (SELECT host, domain, protocol, count(*) AS templates
           FROM lastfluss._templates() GROUP BY 1, 2, 3) t
    ON t.host = e.host AND t.domain = e.domain AND t.protocol = e.protocol
-- What it does not say, its interfaces may: all of them, and one rate, to be the exporter's.
LEFT JOIN (SELECT host, bool_and(sample IS NOT NULL) AS told,
                  CASE WHEN bool_and(sample IS NOT NULL) AND min(sample) = max(sample) THEN min(sample) END AS sampling
           FROM lastfluss.interface GROUP BY 1) i
    ON i.host = e.host AND e.sampling_origin = 'unknown';
COMMENT ON VIEW lastfluss.exporters IS 'who sends datagrams: a row for each host, observation domain and protocol';
COMMENT ON COLUMN lastfluss.exporters.domain IS 'observation domain (IPFIX), source id (v9), engine type * 256 + engine id (v5), the same and scheme * 65536 (v8), sub-agent (sFlow)';
COMMENT ON COLUMN lastfluss.exporters.protocol IS 'null: datagrams of no format that is known';
COMMENT ON COLUMN lastfluss.exporters.port IS 'source port of the last datagram';
COMMENT ON COLUMN lastfluss.exporters.configured IS 'an interface of this host is configured';
COMMENT ON COLUMN lastfluss.exporters.lost IS 'missing by sequence numbers: records (v5, v7, v8, IPFIX) or datagrams (v9, sFlow)';
COMMENT ON COLUMN lastfluss.exporters.sampling IS 'the rate 1 in N that it announced last; that of its interfaces where it announces none';
COMMENT ON COLUMN lastfluss.exporters.templates IS 'templates that are known now';
COMMENT ON COLUMN lastfluss.exporters.clock_skew IS 'its clock minus ours';
COMMENT ON COLUMN lastfluss.exporters.options IS 'options records received';
COMMENT ON COLUMN lastfluss.exporters.no_octets IS 'data records without any octet counter, which count for nothing';
COMMENT ON COLUMN lastfluss.exporters.unmatched IS 'data records of which neither interface is configured';
COMMENT ON COLUMN lastfluss.exporters.unknown_sampling IS 'data records counted with rate 1, because nobody told the sampling rate';
COMMENT ON COLUMN lastfluss.exporters.late_bytes IS 'bytes counted in a later interval than theirs, because they came after its window';
COMMENT ON COLUMN lastfluss.exporters.future_bytes IS 'bytes of flows that end after their export';
COMMENT ON COLUMN lastfluss.exporters.sampling_origin IS 'record: a field of the record, or sFlow''s sample; sampler: options data of the sampler that the record names; exporter: options data of its only sampler; header: of v5; interface: none of these, and all its interfaces that are configured have a rate of their own (sample), which goes before the others anyway; unknown';
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
    ), told AS (
        -- routers use the same names: the host tells them apart
        SELECT f.*, CASE WHEN EXISTS (SELECT FROM found o WHERE o.name = f.name AND (o.host, o.id) <> (f.host, f.id))
                           OR EXISTS (SELECT FROM lastfluss.interface i WHERE i.name = f.name)
                         THEN format('%s %s', host(f.host), f.name) ELSE f.name END AS full_name
        FROM found f
    )
    INSERT INTO lastfluss.interface (name, host, id, speed, description)
    -- and a router may use one for several: the id tells these apart
    SELECT CASE WHEN EXISTS (SELECT FROM told o WHERE o.full_name = t.full_name AND (o.host, o.id) <> (t.host, t.id))
                  OR EXISTS (SELECT FROM lastfluss.interface i WHERE i.name = t.full_name)
                THEN format('%s %s', t.full_name, t.id) ELSE t.full_name END,
           t.host, t.id, t.speed, nullif(t.if_description, '')
    FROM told t
    ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO NOTHING;
    GET DIAGNOSTICS adopted = ROW_COUNT;
    RETURN adopted;
END;
$$;
COMMENT ON FUNCTION lastfluss.adopt_interfaces(inet) IS
'adds the interfaces that were seen and whose name the router has told (lastfluss.seen_interfaces), of one host or of all; returns how many. A name that is there already gets the host in front, and where that does not tell them apart, the id behind';

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
AS 'MODULE_PATHNAME', 'lastfluss_live' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
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

CREATE FUNCTION lastfluss._table() RETURNS regclass LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT to_regclass(CASE cardinality(parse_ident(s.value)) WHEN 1 THEN 'public.' ELSE '' END || s.value)
            FROM lastfluss.settings s WHERE s.name = 'table');
END;
$$;
COMMENT ON FUNCTION lastfluss._table() IS 'the table of the setting "table"; null: it is not made yet';

/* Storage: rollups, retention, and what the maintenance worker knows of them */

CREATE TABLE lastfluss._rollup (
    traffic        oid,
    name           text,
    relation       oid NOT NULL,
    complete_from  timestamptz,
    complete_until timestamptz,
    clean_from     timestamptz,
    kept_from      timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (traffic, name)
);
COMMENT ON TABLE lastfluss._rollup IS 'traffic tables (raw) and their rollups (5m, 1h, 1d), and how far they are';
COMMENT ON COLUMN lastfluss._rollup.complete_until IS 'buckets that end by then are done; what is written into them later is noted in _rollup_dirty';
COMMENT ON COLUMN lastfluss._rollup.clean_from IS 'at the first look the rollup had no rows from then on';
COMMENT ON COLUMN lastfluss._rollup.kept_from IS 'retention has dropped what was before; rows there came later, and are not all';

CREATE TABLE lastfluss._rollup_dirty (
    traffic oid NOT NULL,
    name    text NOT NULL,
    "time"  timestamptz NOT NULL
);
-- It has no key, and a publication FOR ALL TABLES must not keep us from deleting.
ALTER TABLE lastfluss._rollup_dirty REPLICA IDENTITY FULL;
CREATE INDEX _rollup_dirty_index ON lastfluss._rollup_dirty (traffic, name, "time");
COMMENT ON TABLE lastfluss._rollup_dirty IS 'times that rows were written for, in the same transaction; the buckets of a rollup that they fall into are to be done, or done again';

CREATE TABLE lastfluss._maintenance (
    task       text PRIMARY KEY,
    last_run   timestamptz NOT NULL,
    last_error text,
    error_at   timestamptz
);
COMMENT ON TABLE lastfluss._maintenance IS 'tasks of the maintenance worker: when each was done last, and why it cannot be';

CREATE VIEW lastfluss.maintenance AS SELECT task, last_run, last_error, error_at FROM lastfluss._maintenance;
COMMENT ON VIEW lastfluss.maintenance IS 'tasks of the maintenance worker: partitions ahead, rollups, retention, upgrade';
COMMENT ON COLUMN lastfluss.maintenance.last_run IS 'when it worked last, within a minute';
COMMENT ON COLUMN lastfluss.maintenance.last_error IS 'why it does not work; null when all is well';
COMMENT ON COLUMN lastfluss.maintenance.error_at IS 'since when it does not';

CREATE FUNCTION lastfluss._is_hypertable(relation regclass) RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean := false;
BEGIN
    IF to_regclass('timescaledb_information.hypertables') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.hypertables h
            JOIN pg_namespace n ON n.nspname = h.hypertable_schema
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = h.hypertable_name WHERE c.oid = $1)'
        INTO found USING $1;
    END IF;
    RETURN found;
END;
$$;
COMMENT ON FUNCTION lastfluss._is_hypertable(regclass) IS 'is it a hypertable of TimescaleDB?';

CREATE FUNCTION lastfluss._written_until() RETURNS timestamptz
AS 'MODULE_PATHNAME', 'lastfluss_written_until' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION lastfluss._written_until() IS 'all intervals that began before are in traffic; null: unknown';

CREATE FUNCTION lastfluss._arrived_until() RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- One that is silent is not waited for: what comes later is done again.
    RETURN (SELECT greatest(min(c.last_time + make_interval(secs => c.period)), now() - interval '5 min') FROM lastfluss._collector c
            WHERE c.subscription IS NOT NULL AND c.last_time > now() - interval '10 min' HAVING count(*) > 0);
END;
$$;
COMMENT ON FUNCTION lastfluss._arrived_until() IS 'at a hub: all intervals that began before have come from the sites that send something; null: none does';

CREATE FUNCTION lastfluss._estimated_rows(relation regclass) RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE member AS (
        SELECT $1::oid AS oid
        UNION ALL
        SELECT i.inhrelid FROM pg_inherits i JOIN member m ON i.inhparent = m.oid
    )
    SELECT sum(greatest(c.reltuples, 0)) FROM member m JOIN pg_class c USING (oid) WHERE c.relkind = 'r';
$$;
COMMENT ON FUNCTION lastfluss._estimated_rows(regclass) IS 'rows of a table, its partitions or chunks, as the last VACUUM or ANALYZE has counted';

CREATE VIEW lastfluss.rollups AS
SELECT l.name, c.oid::regclass AS relation, l.step, r.complete_until, r.complete_from, s.value AS retention,
       CASE WHEN r.complete_until IS NULL THEN NULL
            ELSE greatest(floor(extract(epoch FROM f.until - r.complete_until) / extract(epoch FROM l.step)), 0)::bigint
                 + (SELECT count(DISTINCT date_bin(l.step, d."time", '2000-01-01 00:00+00')) FROM lastfluss._rollup_dirty d
                    WHERE d.traffic = r.traffic AND d.name = l.name AND d."time" < r.complete_until) END AS waiting,
       lastfluss._estimated_rows(c.oid) AS rows, m.last_run, m.last_error
FROM (VALUES ('5m', interval '5 min', NULL), ('1h', '1 hour', '5m'), ('1d', '1 day', '1h')) l(name, step, source)
LEFT JOIN lastfluss._rollup r ON r.traffic = lastfluss._table() AND r.name = l.name
LEFT JOIN lastfluss._rollup b ON b.traffic = r.traffic AND b.name = l.source
LEFT JOIN pg_catalog.pg_class c ON c.oid = r.relation
LEFT JOIN lastfluss._maintenance m ON m.task = 'rollup ' || l.name
JOIN lastfluss.settings s ON s.name = 'retention_' || l.name
CROSS JOIN LATERAL (SELECT CASE WHEN l.source IS NOT NULL THEN b.complete_until
                                WHEN lastfluss._written_until() IS NOT NULL THEN least(lastfluss._written_until(), lastfluss._arrived_until()) END) f(until);
COMMENT ON VIEW lastfluss.rollups IS
'sums of traffic by 5 minutes, hour and day, in tables beside it: traffic_5m, traffic_1h, traffic_1d, in the columns of traffic and peak.
Beside each lie sums of interfaces by direction and family, with bytes, packets and flows alone: without ASNs, which graphs of interfaces are read from (traffic_5m_total, traffic_1h_total, traffic_1d_total), and by one of the two ASNs, for lists and graphs of ASNs (traffic_5m_remote, traffic_5m_local and so on). Those of hours have sums by six hours, without families, for lists of a day (traffic_6h_remote, traffic_6h_local), and those of days by week and by eight weeks, for lists of a year: traffic_1w_remote, traffic_8w_remote, traffic_1w_local, traffic_8w_local.
They are exact: bytes, packets and flows of a bucket are those of the intervals that begin in it, whatever it is made of. Buckets begin at multiples of the step, UTC. bandwidth is the mean over the bucket, and peak the largest bandwidth of an interval inside with the same iface, ingress, ASNs and family. With rollup_keep_top the smaller ASNs are folded into the row with remote_asn null, whose peak in 1h and 1d is at most what it says: the sum of the peaks of what was folded there.
Where traffic has no column bytes, it is bandwidth * period / 8, with the period of now';
COMMENT ON COLUMN lastfluss.rollups.relation IS 'the table; null: it is not there (yet)';
COMMENT ON COLUMN lastfluss.rollups.complete_until IS 'all buckets that end by then are complete; null: nothing is done yet';
COMMENT ON COLUMN lastfluss.rollups.complete_from IS 'start of the first bucket that is there';
COMMENT ON COLUMN lastfluss.rollups.waiting IS 'buckets to be done, and to be done again because rows came late';
COMMENT ON COLUMN lastfluss.rollups.rows IS 'as the last VACUUM or ANALYZE has counted';
COMMENT ON COLUMN lastfluss.rollups.last_error IS 'why it cannot be brought up to date; null when all is well';

CREATE FUNCTION lastfluss.rollup_again(since timestamptz, until timestamptz) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    noted bigint;
BEGIN
    IF $1 IS NULL OR $2 IS NULL OR $1 >= $2 THEN
        RAISE EXCEPTION 'invalid range: % to %', coalesce($1::text, 'null'), coalesce($2::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the first time, and one that lies behind the last.';
    END IF;
    IF lastfluss._citus_follows() THEN
        RETURN lastfluss._citus_ask(format('SELECT lastfluss.rollup_again(%L, %L)', $1, $2));
    END IF;
    INSERT INTO lastfluss._rollup_dirty (traffic, name, "time")
    SELECT r.traffic, r.name, t
    FROM lastfluss._rollup r
    JOIN lastfluss._rollup s ON s.traffic = r.traffic AND s.name = 'raw'
    CROSS JOIN generate_series(greatest(date_bin('5 min', $1, '2000-01-01 00:00+00'),
                                        CASE WHEN isfinite($1) THEN r.kept_from ELSE r.complete_from END, s.kept_from),
                               least($2, r.complete_until) - interval '1 us', interval '5 min') t
    WHERE r.traffic = lastfluss._table() AND r.name = '5m';
    GET DIAGNOSTICS noted = ROW_COUNT;
    RETURN noted;
END;
$$;
COMMENT ON FUNCTION lastfluss.rollup_again(timestamptz, timestamptz) IS
'has the rollups done again from since to before until, after rows of traffic were changed by hand; returns how many buckets of 5 minutes. What retention has dropped from traffic stays as it is in the rollups';

/* Moving a plain table into partitions or a hypertable */

CREATE TABLE lastfluss._upgrade (
    traffic  oid PRIMARY KEY,
    name     text NOT NULL,
    target   oid,
    first_id bigint,
    last_id  bigint,
    copied   bigint,
    rows     bigint NOT NULL DEFAULT 0,
    cancel   boolean NOT NULL DEFAULT false,
    started  timestamptz NOT NULL DEFAULT now(),
    finished timestamptz
);
COMMENT ON TABLE lastfluss._upgrade IS 'tables that are, or were, moved into partitions or a hypertable';
COMMENT ON COLUMN lastfluss._upgrade.last_id IS 'of all rows that were there at the begin';
COMMENT ON COLUMN lastfluss._upgrade.copied IS 'rows up to this id are in the target too, but for those that _upgrade_note names';

CREATE TABLE lastfluss._upgrade_note (
    traffic  oid NOT NULL,
    first_id bigint NOT NULL,
    last_id  bigint NOT NULL
);
COMMENT ON TABLE lastfluss._upgrade_note IS 'rows that were changed in a table that is being moved, noted in the same transaction; those that were copied before are copied again';

CREATE FUNCTION lastfluss._upgrade_noted() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO lastfluss._upgrade_note SELECT TG_RELID, min(n.id), max(n.id) FROM new_rows n HAVING count(*) > 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO lastfluss._upgrade_note SELECT TG_RELID, min(o.id), max(o.id) FROM old_rows o HAVING count(*) > 0;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO lastfluss._upgrade_note SELECT TG_RELID, min(c.id), max(c.id)
        FROM (SELECT n.id FROM new_rows n UNION ALL SELECT o.id FROM old_rows o) c HAVING count(*) > 0;
    ELSE
        RAISE EXCEPTION 'table "%" is being upgraded', TG_TABLE_NAME
        USING ERRCODE = 'object_in_use', HINT = 'Wait until it is done (lastfluss.upgrade), or SELECT lastfluss.upgrade_cancel(); first.';
    END IF;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION lastfluss._upgrade_noted() IS 'trigger on a table that is being moved: notes what changes';

CREATE FUNCTION lastfluss._upgrade_obstacle(traffic regclass, OUT obstacle text, OUT advice text)
RETURNS record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind "char";
    word text;
BEGIN
    SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = $1;
    IF kind = 'p' THEN
        obstacle := format('table %s is partitioned already', $1);
        RETURN;
    ELSIF lastfluss._is_hypertable($1) THEN
        obstacle := format('table %s is a hypertable already', $1);
        RETURN;
    ELSIF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        obstacle := 'where Citus is installed, no table is moved';
        advice := 'Rename it, so that lastfluss makes a distributed table, and insert its rows into that; or SELECT lastfluss.distribute(); as it is.';
        RETURN;
    ELSIF kind <> 'r' OR EXISTS (SELECT FROM pg_inherits i WHERE $1 IN (i.inhparent, i.inhrelid)) THEN
        obstacle := format('%s is no plain table', $1);
        advice := 'Only a table without partitions, parents and children can be moved.';
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = 'time' AND a.atttypid = 'timestamptz'::regtype AND a.attnotnull AND NOT a.attisdropped) THEN
        obstacle := format('table %s has no column "time" of type timestamptz that is NOT NULL', $1);
        advice := format('ALTER TABLE %s ALTER "time" SET NOT NULL;', $1);
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                   WHERE i.indrelid = $1 AND a.attname = 'id' AND a.atttypid IN ('int4'::regtype, 'int8'::regtype) AND a.attnotnull
                     AND m.amname = 'btree' AND i.indpred IS NULL AND i.indisvalid) THEN
        obstacle := format('table %s has no index that begins with a NOT NULL column "id"', $1);
        advice := 'Rows are moved in its order. The table that lastfluss makes has PRIMARY KEY (id, "time").';
        RETURN;
    END IF;
    SELECT x.relname INTO word FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = $1 AND (i.indisexclusion OR i.indisunique AND NOT (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = 'time') = ANY (i.indkey)) LIMIT 1;
    IF FOUND THEN
        obstacle := format('unique index %I of table %s does not have the column "time"', word, $1);
        advice := 'Partitions cannot have such an index: drop it, or make it with "time".';
        RETURN;
    END IF;
    -- What hangs on the table by its identity would be left behind.
    SELECT string_agg(DISTINCT o.what, ', ') INTO word FROM (
        SELECT format('view %s', r.ev_class::regclass) AS what FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND r.ev_class <> $1
        UNION ALL SELECT format('function %s', d.objid::regprocedure) FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = $1
            OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT t.oid FROM pg_type t WHERE t.typrelid = $1))
        UNION ALL SELECT format('rule %I', r.rulename) FROM pg_rewrite r WHERE r.ev_class = $1
        UNION ALL SELECT format('trigger %I', t.tgname) FROM pg_trigger t WHERE t.tgrelid = $1 AND NOT t.tgisinternal
        UNION ALL SELECT format('foreign key %I', k.conname) FROM pg_constraint k WHERE k.contype = 'f' AND $1 IN (k.conrelid, k.confrelid)
        UNION ALL SELECT format('policy %I', p.polname) FROM pg_policy p WHERE p.polrelid = $1
        UNION ALL SELECT 'row-level security' FROM pg_class c WHERE c.oid = $1 AND c.relrowsecurity
        UNION ALL SELECT format('publication %I', b.pubname) FROM pg_publication_rel p JOIN pg_publication b ON b.oid = p.prpubid WHERE p.prrelid = $1
    ) o;
    IF word IS NOT NULL THEN
        obstacle := format('there hangs on table %s: %s', $1, word);
        advice := 'A new table takes its place: drop what hangs on it, and make it again when the upgrade is done (pg_dump --schema-only has the statements).';
        RETURN;
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss._upgrade_obstacle(regclass) IS 'why a table cannot be moved into partitions or a hypertable; null: it can';

CREATE FUNCTION lastfluss.upgrade_table() RETURNS text LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subject  regclass := lastfluss._table();
    obstacle record;
    size     bigint;
    free     bigint;
BEGIN
    PERFORM lastfluss._require_collector();
    IF subject IS NULL THEN
        RAISE EXCEPTION 'there is no table to upgrade'
        USING ERRCODE = 'undefined_table', HINT = 'The setting "table" names it; lastfluss makes it with partitions when it is missing.';
    END IF;
    IF EXISTS (SELECT FROM lastfluss._upgrade u WHERE u.traffic = subject AND u.finished IS NULL) THEN
        RETURN format('%s is being moved: SELECT * FROM lastfluss.upgrade shows how far it is', subject);
    END IF;
    obstacle := lastfluss._upgrade_obstacle(subject);
    IF obstacle.obstacle IS NOT NULL THEN
        RAISE EXCEPTION '%', obstacle.obstacle
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = coalesce(obstacle.advice, 'There is nothing to do.');
    END IF;
    SELECT pg_total_relation_size(c.oid), lastfluss._free_disk(c.reltablespace) INTO size, free FROM pg_class c WHERE c.oid = subject;
    IF free < size THEN
        RAISE EXCEPTION 'there is not enough room for a second copy of table %', subject
        USING ERRCODE = 'disk_full', DETAIL = format('It has %s, and %s are free.', pg_size_pretty(size), pg_size_pretty(free)),
              HINT = 'The old table is dropped when all rows are in the new one.';
    END IF;
    DELETE FROM lastfluss._upgrade u WHERE u.finished IS NOT NULL;
    INSERT INTO lastfluss._upgrade (traffic, name) VALUES (subject, subject::text);
    RETURN format('%s will be moved: SELECT * FROM lastfluss.upgrade shows how far it is', subject);
END;
$$;
COMMENT ON FUNCTION lastfluss.upgrade_table() IS
'moves the plain table of the setting "table" into daily partitions, or a hypertable where TimescaleDB is installed, while collecting goes on; any number of columns, as long as it has "time", and an index on "id".
The maintenance worker copies its rows in the order of id, some in each transaction, into a new table beside it (traffic_upgrade). Triggers note what is written meanwhile, so that it is copied too, or again. When both are equal, the new table takes the old one''s name, rights and sequence, and the old one is dropped, all in one short transaction. Until then queries see the old table, and after it the new one: at no time is a row missing or there twice, and whatever ends the server, copying goes on where it was.
Needs room for a second copy. lastfluss.upgrade shows the progress, and lastfluss.upgrade_cancel() gives it up';

CREATE FUNCTION lastfluss.upgrade_cancel() RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE lastfluss._upgrade u SET cancel = true WHERE u.traffic = lastfluss._table() AND u.finished IS NULL;
    RETURN FOUND;
END;
$$;
COMMENT ON FUNCTION lastfluss.upgrade_cancel() IS
'gives up what upgrade_table() has begun: the new table is dropped, and the old one stays as it is; false where nothing was under way';

CREATE VIEW lastfluss.upgrade AS
SELECT u.name AS relation,
       CASE WHEN u.finished IS NOT NULL THEN 'done' WHEN u.cancel THEN 'being given up'
            WHEN u.target IS NULL THEN 'waiting' ELSE 'copying' END AS state,
       CASE WHEN u.finished IS NOT NULL THEN 100 WHEN u.copied IS NULL THEN 0
            ELSE least(round(100.0 * (u.copied - u.first_id + 1) / (u.last_id - u.first_id + 1), 1), 99.9) END AS percent,
       u.rows, u.started, u.finished, CASE WHEN u.finished IS NULL THEN m.last_error END AS last_error
FROM lastfluss._upgrade u
LEFT JOIN lastfluss._maintenance m ON m.task = 'upgrade';
COMMENT ON VIEW lastfluss.upgrade IS 'how far lastfluss.upgrade_table() is';
COMMENT ON COLUMN lastfluss.upgrade.state IS 'waiting: for the maintenance worker; copying; done; being given up';
COMMENT ON COLUMN lastfluss.upgrade.percent IS 'of the ids that there were at the begin';
COMMENT ON COLUMN lastfluss.upgrade.rows IS 'rows copied so far';
COMMENT ON COLUMN lastfluss.upgrade.last_error IS 'why it does not go on; null when all is well';

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
SET work_mem = '64MB'
AS $_$
DECLARE
    traffic  regclass := lastfluss._table();
    period   integer;
    window_  integer;
    seconds  float8 := extract(epoch FROM $2);
    own      boolean;
    bytes    text := 'CASE WHEN bandwidth::float8 * $3 / 8 >= 9.2e18 THEN 9223372036854775807 ELSE round(bandwidth::float8 * $3 / 8)::bigint END';
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
    IF lastfluss._is_distributed(traffic) THEN
        rows := lastfluss._citus_rows(traffic, format($$
SELECT "time", iface, ingress, sum(bytes) AS bytes, CASE WHEN count(packets) = count(*) THEN sum(packets) END AS packets
FROM (%s WHERE "time" >= %L AND "time" < %L) r GROUP BY 1, 2, 3$$,
            replace(rows, '$3', period::text), now() - $1, now() - make_interval(secs => window_ + period)),
            '"time" timestamptz, iface text, ingress boolean, bytes numeric, packets numeric');
    END IF;
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

CREATE FUNCTION lastfluss._version_mismatch(extension text, OUT finding text, OUT advice text)
AS 'MODULE_PATHNAME', 'lastfluss_version_mismatch' LANGUAGE C STRICT STABLE;
COMMENT ON FUNCTION lastfluss._version_mismatch(text) IS 'how the version of the library that the server has loaded differs from this one, and what is to be done; null: it does not';

CREATE FUNCTION lastfluss._doctor_collector(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_is lastfluss.status%ROWTYPE;
BEGIN
    SELECT * INTO now_is FROM lastfluss.status;

    RETURN QUERY SELECT 'warning', 'version', m.finding, m.advice
        FROM pg_extension e, lastfluss._version_mismatch(e.extversion) m
        WHERE e.extname = 'lastfluss' AND m.finding IS NOT NULL;
    IF now_is.state = 'starting' THEN
        IF pg_is_in_recovery() THEN
            RETURN QUERY SELECT 'warning', 'collector', 'a standby does not collect', 'It starts when the server is promoted.';
        ELSE
            RETURN QUERY SELECT 'warning', 'collector', format('the collector is starting: %s of %s receivers run', now_is.receivers, current_setting('lastfluss.receivers')),
                'When it stays so, look at the server''s log: max_worker_processes must leave room for four workers and one for each receiver.';
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
            'An interval had more paths than lastfluss.max_entries: raise it.'
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

CREATE FUNCTION lastfluss._doctor_citus(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        RETURN QUERY SELECT 'warning', 'citus', format('%s is not distributed: its rows are on the coordinator, and no other node can write into it', t),
            'SELECT lastfluss.distribute(); on the coordinator.'
        FROM lastfluss._table() t WHERE t IS NOT NULL AND NOT lastfluss._is_distributed(t);
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_citus() IS 'part of doctor(): is the traffic on all nodes of a Citus cluster?';

CREATE FUNCTION lastfluss._doctor_storage(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
DECLARE
    traffic   regclass := lastfluss._table();
    retention text;
    plain     boolean;
    until     timestamptz;
BEGIN
    -- The text of an error ends with its hint.
    RETURN QUERY SELECT 'warning', regexp_replace(m.task, '^rollup .*', 'rollups'),
            split_part(m.last_error, ' HINT: ', 1), nullif(split_part(m.last_error, ' HINT: ', 2), '')
        FROM lastfluss.maintenance m WHERE m.last_error IS NOT NULL;
    RETURN QUERY SELECT 'warning', 'maintenance', format('the maintenance worker has done nothing since %s', max(m.last_run)),
            'Look at the server''s log, and in pg_stat_activity for what it waits for.'
        FROM lastfluss.maintenance m HAVING max(m.last_run) < now() - interval '10 min';
    IF traffic IS NULL THEN
        RETURN;
    END IF;

    SELECT s.value INTO retention FROM lastfluss.settings s WHERE s.name = 'retention';
    SELECT c.relkind = 'r' AND NOT lastfluss._is_hypertable(c.oid) INTO plain FROM pg_class c WHERE c.oid = traffic;
    RETURN QUERY SELECT 'warning', 'retention', format('%s has no partitions, so that nothing of it can be dropped by the setting retention', traffic),
            'SELECT lastfluss.upgrade_table();'
        WHERE plain AND retention <> 'keep';
    RETURN QUERY SELECT 'error', 'privileges', format('%s has row-level security, %s has none, and %s may read it', traffic, c.oid::regclass,
                string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ')),
            format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;  -- and CREATE POLICY, as for %s', c.oid::regclass, traffic)
        FROM lastfluss._tables() r JOIN pg_class c ON c.oid = r CROSS JOIN LATERAL aclexplode(c.relacl) a
        WHERE (SELECT t.relrowsecurity FROM pg_class t WHERE t.oid = traffic) AND NOT c.relrowsecurity
            AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner GROUP BY c.oid;
    IF (SELECT s.value FROM lastfluss.settings s WHERE s.name = 'rollups') <> 'on' THEN
        RETURN;
    END IF;

    RETURN QUERY SELECT 'warning', 'rollups', format('%s has no index on "time", so that each step of the rollups reads all of it', traffic),
            format('SELECT lastfluss.upgrade_table();  -- or CREATE INDEX CONCURRENTLY ON %s USING brin ("time");', traffic)
        WHERE plain AND pg_relation_size(traffic) > 64 * 1024 * 1024 AND NOT EXISTS (
            SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = traffic AND a.attname = 'time' AND i.indisvalid);
    RETURN QUERY SELECT 'warning', 'rollups', format('%s is behind: %s buckets wait', coalesce(r.relation::text, r.name), r.waiting),
            'It catches up by itself; lastfluss.rollups shows how far it is.'
        FROM lastfluss.rollups r WHERE r.waiting > CASE r.name WHEN '5m' THEN 24 WHEN '1h' THEN 6 ELSE 2 END;
    SELECT min(r.complete_until) INTO until FROM lastfluss.rollups r;
    RETURN QUERY SELECT 'warning', 'retention', format('%s is older than %s, and waits for the rollups, which are complete until %s', p.partition, retention, until),
            'Look for what lastfluss.rollups says of them.'
        FROM (SELECT * FROM lastfluss._partitions(traffic) q WHERE isfinite(q.ends) ORDER BY q.ends LIMIT 1) p
        WHERE retention <> 'keep' AND p.ends > until AND p.ends <= now() - nullif(retention, 'keep')::interval;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_storage() IS 'part of doctor(): do rollups and retention go on?';

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

    FOREACH part IN ARRAY ARRAY['collector', 'decoding', 'counting', 'losses', 'writing', 'partitions', 'citus', 'storage', 'disk', 'counters', 'sites'] LOOP
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

/*
 * Answers: what flows where.  Plain functions, for psql and Grafana alike.
 *
 * lastfluss._pieces() says which relation serves which part of the time, and
 * lastfluss._rows() makes one statement of it, so that everything is read by one
 * snapshot.  All of that runs with the rights of the caller, so that row-level
 * security applies; only names of ASes and settings are read by helpers with the
 * owner's rights.
 */

CREATE FUNCTION lastfluss._keep_memory() RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_memory_keep' LANGUAGE C STRICT VOLATILE;
COMMENT ON FUNCTION lastfluss._keep_memory() IS 'lets the session keep the memory that an answer takes, up to 32 MB, rather than give it back and get it anew for each statement';

CREATE FUNCTION lastfluss._sources(OUT relation regclass, OUT seconds bigint, OUT kind text,
    OUT complete int8multirange, OUT kept int8multirange)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    traffic_ regclass := lastfluss._table();
    period   bigint := (SELECT s.value FROM lastfluss.settings s WHERE s.name = 'period');
    here     boolean := (SELECT s.state NOT IN ('not preloaded', 'other database') FROM lastfluss.status s);
    follows  boolean := lastfluss._citus_follows();
    from_    bigint := (SELECT ceil(extract(epoch FROM nullif(r.kept_from, '-infinity')))
                        FROM lastfluss._rollup r WHERE r.traffic = traffic_ AND r.name = 'raw');
BEGIN
    -- All answers begin here.
    PERFORM lastfluss._keep_memory();
    RETURN QUERY SELECT traffic_, period, 'table', int8multirange(int8range(from_, NULL)), int8multirange(int8range(NULL, NULL))
        WHERE traffic_ IS NOT NULL AND NOT follows;
    -- What the shared memory holds belongs to the collector's database.
    RETURN QUERY SELECT 'lastfluss.live'::regclass, period, 'live', int8multirange(int8range(NULL, NULL)), int8multirange(int8range(NULL, NULL))
        WHERE here;
    IF follows THEN
        RETURN QUERY
        SELECT to_regclass(s.relation), s.seconds, s.kind, s.complete, s.kept
        FROM json_to_recordset(lastfluss._citus_ask($q$SELECT json_agg(json_build_object('relation', format('%I.%I', n.nspname, c.relname), 'seconds', s.seconds, 'kind', s.kind,
                                       'complete', s.complete, 'kept', s.kept))
                 FROM lastfluss._sources() s JOIN pg_catalog.pg_class c ON c.oid = s.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE s.kind <> 'live'$q$)::json) s(relation text, seconds bigint, kind text, complete int8multirange, kept int8multirange)
        WHERE to_regclass(s.relation) IS NOT NULL;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT c.oid::regclass, n.step, n.kind, k.kept - coalesce(d.late, '{}'), k.kept
    FROM (SELECT v.name || t.suffix, v.step, v.above, t.kind
          FROM (VALUES ('5m', 300::bigint, ARRAY['5m']), ('1h', 3600, ARRAY['5m', '1h']), ('1d', 86400, ARRAY['5m', '1h', '1d'])) v(name, step, above)
          CROSS JOIN (VALUES ('rollup', ''), ('total', '_total'), ('remote', '_remote'), ('local', '_local')) t(kind, suffix)
          UNION ALL
          SELECT w.name || '_' || a.asn, w.step, w.above, a.asn || ' alone'
          FROM (VALUES ('6h', 21600, ARRAY['5m', '1h']), ('1w', 604800, ARRAY['5m', '1h', '1d']), ('8w', 4838400, ARRAY['5m', '1h', '1d'])) w(name, step, above)
          CROSS JOIN (VALUES ('remote'), ('local')) a(asn))
         n(name, step, above, kind)
    JOIN lastfluss._rollup r ON r.traffic = traffic_ AND r.name = n.name AND r.complete_until IS NOT NULL
    -- One by one: there may be thousands of relations.
    CROSS JOIN LATERAL (SELECT p.oid FROM pg_class p WHERE p.oid = r.relation OFFSET 0) c
    CROSS JOIN LATERAL (SELECT int8multirange(int8range(extract(epoch FROM greatest(r.complete_from, r.kept_from))::bigint,
                                                        greatest(extract(epoch FROM r.complete_until), extract(epoch FROM greatest(r.complete_from, r.kept_from)))::bigint)) AS kept) k
    -- Buckets that rows have reached since they were summed up.
    CROSS JOIN LATERAL (SELECT range_agg(int8range(b.at, b.at + n.step)) AS late
                        FROM (SELECT DISTINCT extract(epoch FROM date_bin(make_interval(secs => n.step), o."time", 'epoch'))::bigint AS at
                              FROM lastfluss._rollup_dirty o
                              WHERE o.traffic = traffic_ AND o.name = ANY (n.above) AND o."time" < r.complete_until) b) d;
END;
$$;
COMMENT ON FUNCTION lastfluss._sources() IS
'the relations that hold traffic: table, live, rollup, and sums of rollups by interface, direction and family: total (without ASNs), remote and local (by this ASN), remote alone and local alone (without families); the seconds that their rows stand for; when they are complete, and what retention has left of them, in seconds since 1970';

CREATE FUNCTION lastfluss._tables() RETURNS SETOF regclass
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t FROM lastfluss._table() t WHERE t IS NOT NULL
    UNION SELECT c.oid::regclass FROM lastfluss._rollup r JOIN pg_class c ON c.oid = r.relation WHERE r.traffic = lastfluss._table();
$$;
COMMENT ON FUNCTION lastfluss._tables() IS 'the table of the traffic and its rollups, as far as they are made, whether they have rows or not';

CREATE FUNCTION lastfluss._over() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT now() - make_interval(secs => sum(s.value::integer)) FROM lastfluss.settings s
    WHERE s.name IN ('period', 'window') AND NOT (s.name = 'window' AND EXISTS (SELECT FROM lastfluss.settings a WHERE a.name = 'attribution' AND a.value = 'arrival'));
$$;
COMMENT ON FUNCTION lastfluss._over() IS 'intervals that end by then are over, and nothing is added to them';

CREATE FUNCTION lastfluss._own_asn() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.value::bigint FROM lastfluss.settings s WHERE s.name = 'own_asn';
$$;
COMMENT ON FUNCTION lastfluss._own_asn() IS 'the setting own_asn, for whoever may not read the settings';

CREATE FUNCTION lastfluss._asn_name(asn bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE $1 WHEN 0 THEN 'unknown' ELSE (SELECT a.name FROM lastfluss.asn a WHERE a.asn = $1) END;
$$;
COMMENT ON FUNCTION lastfluss._asn_name(bigint) IS 'the name of an AS, as lastfluss.asn has it';

CREATE FUNCTION lastfluss._interfaces(OUT name text, OUT roles text[], OUT speed bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The names may be those of customers: no helper with the owner's rights.
    IF has_table_privilege('lastfluss.interface', 'SELECT') THEN
        RETURN QUERY
        SELECT i.name, coalesce(array_agg(DISTINCT i.role) FILTER (WHERE i.role IS NOT NULL), '{}'),
               CASE WHEN count(i.speed) = count(*) THEN sum(i.speed)::bigint END
        FROM lastfluss.interface i GROUP BY 1;
    END IF;
    IF has_table_privilege('lastfluss.site_interface', 'SELECT') THEN
        RETURN QUERY SELECT i.name, i.roles, i.speed FROM lastfluss.site_interface i;
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss._interfaces() IS
'the names of interfaces that the caller may read, with the roles of the entries that share a name, and the sum of their speeds, null where one has none';

CREATE FUNCTION lastfluss._is_among(expression text, list anyarray) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    -- For one value an equality, which indexes and estimates know best.
    SELECT CASE WHEN $2 IS NULL THEN ''
                WHEN cardinality($2) = 1 AND $2[array_lower($2, 1)] IS NOT NULL THEN format(' AND %s = %L', $1, $2[array_lower($2, 1)])
                -- From nine values on the server hashes them; before, it compares each row with one after the other.
                ELSE format(' AND (%s = ANY (%L)%s)', $1, CASE WHEN cardinality($2) BETWEEN 5 AND 8 THEN $2 || array_fill($2[array_lower($2, 1)], ARRAY[9 - cardinality($2)]) ELSE $2 END, CASE WHEN array_position($2, NULL) IS NOT NULL THEN format(' OR %s IS NULL', $1) END) END;
$$;
COMMENT ON FUNCTION lastfluss._is_among(text, anyarray) IS
'a condition for a statement: the value is in the list, in which null stands for null; without a list no condition';

CREATE FUNCTION lastfluss._may_read(relation regclass, kind text, traffic regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE $2
           WHEN 'live' THEN has_table_privilege($1, 'SELECT') AND has_function_privilege('lastfluss._live()', 'EXECUTE')
                            AND NOT coalesce(row_security_active($3), false)
           WHEN 'table' THEN true
           ELSE has_table_privilege($1, 'SELECT') AND row_security_active($1) >= row_security_active($3) END;
$$;
COMMENT ON FUNCTION lastfluss._may_read(regclass, text, regclass) IS
'whether answers to the caller use this relation: the table always, which raises the error where it may not be read; others where that is granted, and where no row-level security of the table would be passed by';

CREATE FUNCTION lastfluss._step(span interval, step interval) RETURNS bigint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    people  constant bigint[] := '{1,2,5,10,15,30,60,120,300,600,900,1800,3600,7200,14400,21600,43200,86400,604800}';
    period  bigint := (SELECT s.seconds FROM lastfluss._sources() s WHERE s.kind = 'table');
    seconds numeric := ceil(extract(epoch FROM $2));
    even    bigint;
BEGIN
    period := coalesce(period, 60);
    IF $2 IS NULL THEN
        -- Of those that people read clocks by the longest that leaves 150 points, and of as
        -- many periods where the period is not among them.
        SELECT max(n) INTO seconds
        FROM (SELECT n FROM unnest(people) n
              UNION ALL SELECT period * n FROM unnest(people) n WHERE period <> ALL (people) AND period * n < 3600) c(n)
        WHERE (n % period = 0 OR n >= 3600) AND n >= period AND n <= greatest(extract(epoch FROM $1) / 150, period);
        RETURN coalesce(seconds, period);
    END IF;
    IF seconds <= 0 OR extract(year FROM $2) <> 0 OR extract(month FROM $2) <> 0 THEN
        RAISE EXCEPTION 'invalid step: "%"', $2
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a length of time such as ''5 min'', ''1 hour'' or ''7 days''.';
    END IF;
    IF seconds % period = 0 OR seconds % 300 <> 0 THEN
        RETURN ceil(seconds / period) * period;
    END IF;
    -- Buckets of as many periods each, and of whole rollups; in an hour one more or less matters little.
    even := lcm(period, 300);
    RETURN CASE WHEN seconds >= 3600 THEN seconds ELSE least(ceil(seconds / even) * even, 3600) END;
END;
$$;
COMMENT ON FUNCTION lastfluss._step(interval, interval) IS
'the seconds of a bucket: whole periods, or a multiple of five minutes that is whole periods too or at least an hour; where no step is told, by the span';

CREATE FUNCTION lastfluss._pieces(since timestamptz, until timestamptz, step bigint, live boolean, sums text[],
    OUT relation regclass, OUT seconds bigint, OUT kind text, OUT begins bigint, OUT ends bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Rows that begin in the range; with a step, in the buckets that it touches.
    first_  bigint := ceil(extract(epoch FROM greatest($1, '1970-01-01 00:00+00')));
    last_   bigint := ceil(extract(epoch FROM least($2, '9999-01-01 00:00+00')));
    missing int8multirange;
    source  record;
BEGIN
    IF $1 IS NULL OR $2 IS NULL THEN
        RAISE EXCEPTION 'the range of time must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF $1 >= $2 OR first_ >= last_ AND $3 IS NULL THEN
        RETURN;
    END IF;
    IF $3 IS NOT NULL THEN
        first_ := floor(extract(epoch FROM greatest($1, '1970-01-01 00:00+00')));
        first_ := first_ - first_ % $3;
        last_ := last_ + (-last_ % $3 + $3) % $3;
    END IF;
    missing := int8multirange(int8range(first_, last_));

    FOR source IN
        WITH readable AS (
            SELECT s.* FROM (SELECT o.*, first_value(o.relation) OVER (ORDER BY o.kind = 'table' DESC) AS traffic FROM lastfluss._sources() o) s
            WHERE s.kind = ANY ('{table,live,rollup}' || $5) AND lastfluss._may_read(s.relation, s.kind, s.traffic)
        )
        -- The coarsest rollups that fit the step, and the table for the rest.  Where
        -- retention has taken what these need, the finest that is left.  Six hours are
        -- for what has no step: with one, peaks are those of hours.
        SELECT 1 AS turn, -2 * r.seconds + (r.kind = 'rollup')::integer AS place, r.* FROM readable r WHERE r.kind NOT IN ('table', 'live') AND ($3 IS NULL OR $3 % r.seconds = 0 AND r.seconds <> 21600)
        UNION ALL SELECT 2, 0, r.* FROM readable r WHERE r.kind = 'table'
        UNION ALL SELECT 3, 2 * r.seconds + (r.kind = 'rollup')::integer, r.* FROM readable r WHERE r.kind NOT IN ('table', 'live')
        UNION ALL SELECT 4, 0, r.* FROM readable r WHERE r.kind = 'table'
        UNION ALL SELECT 5, 0, r.* FROM readable r WHERE r.kind = 'live' AND $4
        ORDER BY 1, 2
    LOOP
        relation := source.relation;
        seconds := source.seconds;
        kind := source.kind;
        IF kind = 'live' THEN
            begins := first_;
            ends := last_;
            RETURN NEXT;
            CONTINUE;
        END IF;
        FOR begins, ends IN
            SELECT CASE WHEN kind = 'table' OR source.turn = 3 AND lower(g) = first_ THEN lower(g) ELSE lower(g) + (-lower(g) % seconds + seconds) % seconds END,
                   CASE WHEN kind = 'table' OR source.turn = 3 AND upper(g) = last_ THEN upper(g) ELSE upper(g) - upper(g) % seconds END
            FROM unnest(missing * CASE WHEN source.turn <= 2 THEN source.complete ELSE source.kept END) g
        LOOP
            CONTINUE WHEN begins >= ends;
            missing := missing - int8multirange(int8range(begins, ends));
            RETURN NEXT;
        END LOOP;
    END LOOP;
END;
$$;
COMMENT ON FUNCTION lastfluss._pieces(timestamptz, timestamptz, bigint, boolean, text[]) IS
'the relations that answer for a range of time, and the ranges of row times to take from each, in seconds since 1970: none overlap, but for live, which has what is in no table; sums: the kinds of them that have what is asked for';

CREATE FUNCTION lastfluss._sums(columns text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN NOT $1 && '{remote_asn,local_asn}' THEN '{total}'
                WHEN NOT $1 @> '{local_asn}' THEN CASE WHEN $1 @> '{family}' THEN '{remote}' ELSE '{remote,remote alone}' END
                WHEN NOT $1 @> '{remote_asn}' THEN CASE WHEN $1 @> '{family}' THEN '{local}' ELSE '{local,local alone}' END
                ELSE '{}' END::text[];
$$;
COMMENT ON FUNCTION lastfluss._sums(text[]) IS 'the kinds of sums (lastfluss._sources()) that have these columns';

CREATE FUNCTION lastfluss._rows(since timestamptz, until timestamptz, step bigint DEFAULT NULL, iface text[] DEFAULT NULL,
    remote_asn bigint[] DEFAULT NULL, local_asn bigint[] DEFAULT NULL, ingress boolean DEFAULT NULL, family integer DEFAULT NULL,
    by_columns text[] DEFAULT NULL, live boolean DEFAULT true, grouped boolean DEFAULT true)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names   text[] := ARRAY['iface', 'ingress', 'family', 'remote_asn', 'local_asn'];
    types   text[] := ARRAY['text', 'boolean', 'smallint', 'bigint', 'bigint'];
    wanted  text[] := coalesce($9, names);
    -- On Citus the nodes sum up, rather than send all rows to whoever asks.
    summing CONSTANT boolean := $11 OR to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL;
    -- The largest number, rather than an error for ever, where somebody sent nonsense.
    capped  CONSTANT text := CASE WHEN summing THEN 'CASE WHEN sum(%1$s) > 9223372036854775807 THEN 9223372036854775807 ELSE sum(%1$s)::bigint END' ELSE '%1$s' END;
    summed  CONSTANT text := CASE WHEN summing THEN 'sum(%s)' ELSE '%s' END;
    column_ text;
    shown   text;
    filter  text;
    groups  text;
    bytes   text;
    peak    text;
    period  bigint;
    part    text;
    parts   text[];
    needed  text[] := wanted || CASE WHEN $5 IS NOT NULL THEN '{remote_asn}' ELSE '{}'::text[] END
                             || CASE WHEN $6 IS NOT NULL THEN '{local_asn}' ELSE '{}'::text[] END || CASE WHEN $8 IS NOT NULL THEN '{family}' ELSE '{}'::text[] END;
    piece   record;
BEGIN
    IF NOT wanted <@ names THEN
        RAISE EXCEPTION 'traffic cannot be told apart by this: %', $9
        USING ERRCODE = 'invalid_parameter_value', HINT = format('Give a list of these: %s.', array_to_string(names, ', '));
    END IF;
    FOR piece IN
        SELECT p.*, ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = p.relation AND a.attnum > 0 AND NOT a.attisdropped) AS columns
        FROM lastfluss._pieces($1, $2, $3, $10, lastfluss._sums(needed)) p
    LOOP
        shown := '';
        filter := '';
        groups := CASE WHEN $3 IS NOT NULL THEN ', "time"' ELSE '' END;
        FOR i IN 1 .. cardinality(names) LOOP
            -- The table may lack some of our columns.
            column_ := CASE WHEN names[i] = ANY (piece.columns) THEN names[i] ELSE 'NULL::' || types[i] END;
            shown := shown || CASE WHEN names[i] = ANY (wanted) THEN column_ ELSE 'NULL::' || types[i] END || ' AS ' || names[i] || ', ';
            IF names[i] = ANY (wanted) AND names[i] = ANY (piece.columns) THEN
                groups := groups || ', ' || names[i];
            END IF;
            CASE i
            WHEN 1 THEN IF $4 IS NOT NULL THEN filter := filter || lastfluss._is_among(column_, $4); END IF;
            WHEN 2 THEN IF $7 IS NOT NULL THEN filter := filter || ' AND ' || CASE WHEN $7 THEN '' ELSE 'NOT ' END || column_; END IF;
            WHEN 3 THEN IF $8 IS NOT NULL THEN filter := filter || ' AND ' || column_ || ' = ' || $8; END IF;
            WHEN 4 THEN IF $5 IS NOT NULL THEN filter := filter || lastfluss._is_among(column_, $5); END IF;
            ELSE IF $6 IS NOT NULL THEN filter := filter || lastfluss._is_among(column_, $6); END IF;
            END CASE;
        END LOOP;
        -- It may also have rows from before it had them.
        bytes := CASE WHEN 'bytes' = ANY (piece.columns) THEN 'bytes' ELSE 'NULL::bigint' END;
        IF piece.kind = 'table' THEN
            bytes := format('coalesce(%1$s, CASE WHEN bandwidth::float8 * %2$s / 8 >= 9.2e18 THEN 9223372036854775807 ELSE round(bandwidth::float8 * %2$s / 8)::bigint END)', bytes, piece.seconds);
        END IF;
        IF $3 IS NULL THEN
            peak := 'NULL';
        ELSIF piece.kind IN ('table', 'live') THEN
            peak := format(summed, 'bandwidth::float8');
        ELSIF wanted @> names THEN
            peak := CASE WHEN summing THEN 'max(peak)' ELSE 'peak' END;
        ELSE
            -- Intervals count where they begin: as many as there may be in a bucket, whole.
            period := coalesce(period, (SELECT s.seconds FROM lastfluss._sources() s WHERE s.kind = 'table'), 60);
            peak := format(summed || '::float8 * 8 / %s', 'bytes', (piece.seconds + period - 1) / period * period);
        END IF;
        part := format('SELECT %s AS "time", %s%s AS bytes, %s AS packets, %s AS flows, (%s)::real AS peak, %s AS seconds'
                       ' FROM %s WHERE "time" >= to_timestamp(%s) AND "time" < to_timestamp(%s)%s%s',
            CASE WHEN $3 IS NULL THEN 'NULL::timestamptz' ELSE '"time"' END, shown, format(capped, bytes),
            format(capped, CASE WHEN 'packets' = ANY (piece.columns) THEN 'packets' ELSE 'NULL::bigint' END),
            format(capped, CASE WHEN 'flows' = ANY (piece.columns) THEN 'flows' ELSE 'NULL::bigint' END), peak, piece.seconds,
            piece.relation, piece.begins, piece.ends, filter,
            CASE WHEN summing THEN coalesce(' GROUP BY ' || nullif(substr(groups, 3), ''), '') || ' HAVING count(*) > 0' ELSE '' END);
        parts := parts || lastfluss._citus_rows(piece.relation, part, '"time" timestamptz, iface text, ingress boolean, family smallint, remote_asn bigint, local_asn bigint, bytes bigint, packets bigint, flows bigint, peak real, seconds integer');
    END LOOP;
    RETURN coalesce(array_to_string(parts, E'\nUNION ALL '),
        'SELECT NULL::timestamptz AS "time", NULL::text AS iface, NULL::boolean AS ingress, NULL::smallint AS family, NULL::bigint AS remote_asn, NULL::bigint AS local_asn, NULL::bigint AS bytes, NULL::bigint AS packets, NULL::bigint AS flows, NULL::real AS peak, NULL::bigint AS seconds WHERE false');
END;
$$;
COMMENT ON FUNCTION lastfluss._rows(timestamptz, timestamptz, bigint, text[], bigint[], bigint[], boolean, integer, text[], boolean, boolean) IS
'the statement that reads traffic: the rows of a range of time, of what is asked for, told apart by these columns only, and with a step by the time of the rows; seconds is what a row stands for. Not grouped: the rows as they are, for whoever sums them up himself, which is less work where few fall together';

CREATE FUNCTION lastfluss._traffic(a_since timestamptz, a_until timestamptz, a_step interval, a_iface text[],
    a_remote_asn bigint[], a_local_asn bigint[], a_ingress boolean, a_family integer, a_by text[], a_live boolean,
    OUT "time" timestamptz, OUT iface text, OUT ingress boolean, OUT family smallint, OUT remote_asn bigint, OUT local_asn bigint,
    OUT bytes bigint, OUT packets bigint, OUT flows bigint, OUT bandwidth real, OUT peak real)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off   -- compiling would take longer than the query
SET work_mem = '64MB'
AS $_$
DECLARE
    step bigint := lastfluss._step(least(a_until, now()) - greatest(a_since, '1970-01-01 00:00+00'), a_step);
BEGIN
    RETURN QUERY EXECUTE format($$
SELECT date_bin(make_interval(secs => %1$s), r."time", 'epoch'), r.iface, r.ingress, r.family, r.remote_asn, r.local_asn,
       CASE WHEN sum(r.bytes) > 9223372036854775807 THEN 9223372036854775807 ELSE sum(r.bytes)::bigint END,
       CASE WHEN sum(r.packets) > 9223372036854775807 THEN 9223372036854775807 ELSE sum(r.packets)::bigint END,
       CASE WHEN sum(r.flows) > 9223372036854775807 THEN 9223372036854775807 ELSE sum(r.flows)::bigint END,
       (sum(r.bytes)::float8 * 8 / greatest(%1$s, max(r.seconds)))::real, max(r.peak)
FROM (%2$s) r GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1$$,
        step, lastfluss._rows(a_since, a_until, step, a_iface, a_remote_asn, a_local_asn, a_ingress, a_family, a_by, a_live));
END;
$_$;
COMMENT ON FUNCTION lastfluss._traffic(timestamptz, timestamptz, interval, text[], bigint[], bigint[], boolean, integer, text[], boolean) IS
'the rows of lastfluss.traffic()';

CREATE FUNCTION lastfluss.traffic(since timestamptz, until timestamptz DEFAULT now(), step interval DEFAULT NULL,
    iface text[] DEFAULT NULL, remote_asn bigint[] DEFAULT NULL, local_asn bigint[] DEFAULT NULL,
    ingress boolean DEFAULT NULL, family integer DEFAULT NULL, by text[] DEFAULT NULL, live boolean DEFAULT true)
RETURNS TABLE ("time" timestamptz, iface text, ingress boolean, family smallint, remote_asn bigint, local_asn bigint,
    bytes bigint, packets bigint, flows bigint, bandwidth real, peak real)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t."time", t.iface, t.ingress, t.family, t.remote_asn, t.local_asn, t.bytes, t.packets, t.flows, t.bandwidth, t.peak
    FROM lastfluss._traffic($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) t;
END;
COMMENT ON FUNCTION lastfluss.traffic(timestamptz, timestamptz, interval, text[], bigint[], bigint[], boolean, integer, text[], boolean) IS
'traffic between two times in buckets of a step: from the coarsest rollup that has what is asked for, from finer ones and the table for what that has not, and from lastfluss.live for what is not written yet, nothing twice and to the byte.
since, until: the buckets that lie in this range or reach into it, whole. step: length of the buckets, which begin at its multiples (since 1970, UTC); it is rounded up to whole periods, and a multiple of five minutes to one that is, unless that is an hour or more; null: one that gives some hundred points. iface, remote_asn, local_asn (lists; a null in them stands for null), ingress, family: only this traffic; null: all. by: the columns that it is told apart by, of iface, ingress, family, remote_asn and local_asn, all by default; the others are null. A query for few columns and few values reads few pages. live: with what is not written yet.
bandwidth: bytes * 8 / step, also in the bucket that runs, and those whose flows are not all reported, which are lower therefore. peak: the largest mean of an interval in the bucket, or, when rollups serve it and traffic is not told apart by all columns, of the rollup''s buckets. A bucket without traffic has no row.
Where retention has left only rollups that are coarser than the step, their rows stand at the start of their own buckets, and bandwidth is the mean over these. In rollups small ASNs may be folded into remote_asn null (rollup_keep_top). Without a column bytes, it is bandwidth * period / 8, by the period of now. A rollup that the caller may not read is not used, nor one without row-level security where that applies to the table; live needs SELECT on lastfluss.live and EXECUTE on lastfluss._live(), and is left out where row-level security applies';

/* Sums by slots of time, of which percentiles and peaks are made */

CREATE FUNCTION lastfluss._slots_add(state internal, value double precision, slot bigint, width bigint, slots bigint) RETURNS internal
AS 'MODULE_PATHNAME', 'lastfluss_slots_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._slots_add(internal, double precision, bigint, bigint, bigint) IS 'part of lastfluss._slots()';

CREATE FUNCTION lastfluss._slots_array(state internal) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'lastfluss_slots_array' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._slots_array(internal) IS 'part of lastfluss._slots()';

CREATE AGGREGATE lastfluss._slots(value double precision, slot bigint, width bigint, slots bigint)
(SFUNC = lastfluss._slots_add, STYPE = internal, SSPACE = 512, FINALFUNC = lastfluss._slots_array);
COMMENT ON AGGREGATE lastfluss._slots(double precision, bigint, bigint, bigint) IS
'an array of so many slots of time, the sum of each; a row''s value goes into slots from this one on (the first is 0), as many as it is wide, an equal part into each. Null: no row has reached it';

CREATE FUNCTION lastfluss._slots_add(state internal, value double precision, "time" timestamptz, seconds bigint, first bigint, step bigint, slots bigint) RETURNS internal
AS 'MODULE_PATHNAME', 'lastfluss_slots_add_time' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._slots_add(internal, double precision, timestamptz, bigint, bigint, bigint, bigint) IS 'part of lastfluss._slots()';

CREATE AGGREGATE lastfluss._slots(value double precision, "time" timestamptz, seconds bigint, first bigint, step bigint, slots bigint)
(SFUNC = lastfluss._slots_add, STYPE = internal, SSPACE = 512, FINALFUNC = lastfluss._slots_array);
COMMENT ON AGGREGATE lastfluss._slots(double precision, timestamptz, bigint, bigint, bigint, bigint) IS
'the same for a row of this time that stands for so many seconds; the first slot begins at that second since 1970, and each is "step" seconds long';

CREATE FUNCTION lastfluss._peak_add(state internal, value double precision, "time" timestamptz) RETURNS internal
AS 'MODULE_PATHNAME', 'lastfluss_peak_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._peak_add(internal, double precision, timestamptz) IS 'part of lastfluss._peak()';

CREATE FUNCTION lastfluss._peak_max(state internal) RETURNS double precision
AS 'MODULE_PATHNAME', 'lastfluss_peak_max' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._peak_max(internal) IS 'part of lastfluss._peak()';

CREATE AGGREGATE lastfluss._peak(value double precision, "time" timestamptz)
(SFUNC = lastfluss._peak_add, STYPE = internal, SSPACE = 64, FINALFUNC = lastfluss._peak_max);
COMMENT ON AGGREGATE lastfluss._peak(double precision, timestamptz) IS 'the largest sum of rows of the same time';

CREATE FUNCTION lastfluss._peaks_add(state internal, value double precision, "time" timestamptz, first bigint, step bigint, buckets bigint) RETURNS internal
AS 'MODULE_PATHNAME', 'lastfluss_peaks_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._peaks_add(internal, double precision, timestamptz, bigint, bigint, bigint) IS 'part of lastfluss._peaks()';

CREATE FUNCTION lastfluss._peaks_array(state internal) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'lastfluss_peaks_array' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._peaks_array(internal) IS 'part of lastfluss._peaks()';

CREATE AGGREGATE lastfluss._peaks(value double precision, "time" timestamptz, first bigint, step bigint, buckets bigint)
(SFUNC = lastfluss._peaks_add, STYPE = internal, SSPACE = 512, FINALFUNC = lastfluss._peaks_array);
COMMENT ON AGGREGATE lastfluss._peaks(double precision, timestamptz, bigint, bigint, bigint) IS
'an array of so many buckets, of which the first begins at that second since 1970, and each is so many seconds long: the largest sum of rows of the same time in it. A null value is 0, a bucket without rows null';

CREATE FUNCTION lastfluss._less(slots double precision[], part double precision[]) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'lastfluss_slots_less' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._less(double precision[], double precision[]) IS 'what is left of each slot; null is 0, and no array none';

CREATE FUNCTION lastfluss._lowest(slots double precision[], n bigint) RETURNS double precision
AS 'MODULE_PATHNAME', 'lastfluss_slots_lowest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._lowest(double precision[], bigint) IS 'the slot with this number, from 1, in ascending order; null is 0';

/* Sums by AS, of which the largest are shown */

CREATE TYPE lastfluss._sums_of_asn AS (asn bigint, apart numeric, others numeric, bytes numeric);
COMMENT ON TYPE lastfluss._sums_of_asn IS 'an element of lastfluss._largest()';

CREATE FUNCTION lastfluss._largest_add(state internal, asn bigint, apart boolean, bytes bigint, n integer) RETURNS internal
AS 'MODULE_PATHNAME', 'lastfluss_largest_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._largest_add(internal, bigint, boolean, bigint, integer) IS 'part of lastfluss._largest()';

CREATE FUNCTION lastfluss._largest_add(state internal, asn bigint, apart boolean, bytes numeric, n integer) RETURNS internal
AS 'MODULE_PATHNAME', 'lastfluss_largest_add_part' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._largest_add(internal, bigint, boolean, numeric, integer) IS 'part of lastfluss._largest()';

CREATE FUNCTION lastfluss._largest_array(state internal) RETURNS lastfluss._sums_of_asn[]
AS 'MODULE_PATHNAME', 'lastfluss_largest_array' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION lastfluss._largest_array(internal) IS 'part of lastfluss._largest()';

CREATE AGGREGATE lastfluss._largest(asn bigint, apart boolean, bytes bigint, n integer)
(SFUNC = lastfluss._largest_add, STYPE = internal, FINALFUNC = lastfluss._largest_array, FINALFUNC_MODIFY = READ_WRITE);
COMMENT ON AGGREGATE lastfluss._largest(bigint, boolean, bigint, integer) IS
'the n ASes with the most bytes, in descending order, and last, where there are more, all the others and what has no AS: apart: what is true of that; others: what is false; bytes: all. n: null: all of them';

CREATE AGGREGATE lastfluss._largest(asn bigint, apart boolean, bytes numeric, n integer)
(SFUNC = lastfluss._largest_add, STYPE = internal, FINALFUNC = lastfluss._largest_array, FINALFUNC_MODIFY = READ_WRITE);
COMMENT ON AGGREGATE lastfluss._largest(bigint, boolean, numeric, integer) IS 'the same where bytes are parts of rows';

CREATE FUNCTION lastfluss._begins(since interval, from_time timestamptz, until timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF $2 IS NULL AND ($1 IS NULL OR $1 <= interval '0') THEN
        RAISE EXCEPTION 'invalid interval to look back: %', coalesce('"' || $1 || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give how far to look back, such as ''1 hour'', or from_time.';
    END IF;
    IF $3 IS NULL OR coalesce($2, $3 - $1) >= $3 THEN
        RAISE EXCEPTION 'invalid range of time: from % until %', coalesce($2, $3 - $1), coalesce($3::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give an end that lies behind the begin.';
    END IF;
    RETURN coalesce($2, $3 - $1);
END;
$$;
COMMENT ON FUNCTION lastfluss._begins(interval, timestamptz, timestamptz) IS 'the begin of a range that is told by how far to look back from its end, or by itself';

CREATE FUNCTION lastfluss.units(bits double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- three digits, and the unit that leaves one to three of them before the point
    SELECT CASE WHEN $1 IN ('infinity', '-infinity', 'NaN') THEN $1::text || ' bit/s'
                ELSE trim_scale(round(u.n, greatest(2 - floor(log(greatest(abs(round(u.n, 2)), 1)))::integer, 0))) || u.name END
    FROM (SELECT $1::numeric / power(1000::numeric, k) AS n, (ARRAY[' bit/s', ' kbit/s', ' Mbit/s', ' Gbit/s', ' Tbit/s', ' Pbit/s'])[k + 1] AS name
          FROM (SELECT CASE WHEN abs($1) < 999.5 THEN 0 ELSE least(floor(log(abs($1)::numeric / 0.9995) / 3), 5)::integer END AS k) e) u
    WHERE $1 IS NOT NULL;
$$;
COMMENT ON FUNCTION lastfluss.units(double precision) IS 'bit/s for a reader: 1.23 Gbit/s';

CREATE FUNCTION lastfluss._bar(value double precision, whole double precision, width integer DEFAULT 20) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN getdatabaseencoding() <> 'UTF8' THEN repeat('#', round(e / 8.0)::integer)
                -- U+2588 is a whole block, the seven behind it are its eighths
                ELSE repeat(chr(9608), e / 8) || CASE WHEN e % 8 > 0 THEN chr(9616 - e % 8) ELSE '' END END
    FROM (SELECT ceil(8 * $3 * least(greatest(coalesce($1 / nullif($2, 0), 0), 0), 1) - 1e-9)::integer AS e) n;
$$;
COMMENT ON FUNCTION lastfluss._bar(double precision, double precision, integer) IS 'a bar of blocks, as long as the value''s part of the whole; no value has none of it';

CREATE FUNCTION lastfluss._interface_names(iface text, role text) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN $2 IS NULL THEN CASE WHEN $1 IS NOT NULL THEN ARRAY[$1] END
                ELSE ARRAY(SELECT i.name FROM lastfluss._interfaces() i WHERE $2 = ANY (i.roles) AND ($1 IS NULL OR i.name = $1)) END;
$$;
COMMENT ON FUNCTION lastfluss._interface_names(text, text) IS 'the interfaces of a name and a role, as a filter for lastfluss._rows()';

/* Top lists */

CREATE FUNCTION lastfluss._top(a_column text, a_begins timestamptz, a_until timestamptz, a_n integer, a_iface text[], a_ingress boolean, a_family integer,
    OUT rank integer, OUT asn bigint, OUT name text, OUT ingress double precision, OUT egress double precision,
    OUT incoming text, OUT outgoing text, OUT share numeric, OUT bar text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off   -- compiling would take longer than the query
SET work_mem = '64MB'
AS $_$
BEGIN
    IF a_n IS NULL OR a_n < 0 THEN
        RAISE EXCEPTION 'invalid number of ASNs: %', coalesce(a_n::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give how many to show.';
    END IF;
    RETURN QUERY EXECUTE format($$
WITH shown AS (
    SELECT CASE WHEN l.asn IS NOT NULL THEN l.place END AS place, l.asn, l.ingress::float8 * 8 / $2 AS ingress, l.egress::float8 * 8 / $2 AS egress, l.bytes
    FROM unnest((SELECT lastfluss._largest(r.%1$I, r.ingress, r.bytes, $1) FROM (%2$s) r)) WITH ORDINALITY l(asn, ingress, egress, bytes, place)
    WHERE l.bytes > 0
)
SELECT place::integer, asn, CASE WHEN place IS NULL THEN 'all the others' ELSE lastfluss._asn_name(asn) END,
       round(ingress), round(egress), lastfluss.units(ingress), lastfluss.units(egress),
       round(100 * bytes / sum(bytes) OVER (), 2),
       CASE WHEN place IS NULL THEN '' ELSE lastfluss._bar(bytes::float8, (max(bytes) FILTER (WHERE place IS NOT NULL) OVER ())::float8) END
FROM shown ORDER BY place NULLS LAST$$,
        a_column, lastfluss._rows(a_begins, a_until, NULL, a_iface, NULL, NULL, a_ingress, a_family, ARRAY[a_column, 'ingress'], grouped => false))
    USING a_n, extract(epoch FROM a_until - a_begins)::float8;
END;
$_$;
COMMENT ON FUNCTION lastfluss._top(text, timestamptz, timestamptz, integer, text[], boolean, integer) IS 'the rows of lastfluss.top_asns() and top_downstream_asns()';

CREATE FUNCTION lastfluss.top_asns(since interval DEFAULT '1 hour', n integer DEFAULT 10, iface text DEFAULT NULL,
    from_time timestamptz DEFAULT NULL, until timestamptz DEFAULT now(), role text DEFAULT NULL,
    ingress boolean DEFAULT NULL, family integer DEFAULT NULL)
RETURNS TABLE (rank integer, asn bigint, name text, ingress double precision, egress double precision,
    incoming text, outgoing text, share numeric, bar text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.rank, t.asn, t.name, t.ingress, t.egress, t.incoming, t.outgoing, t.share, t.bar
    FROM lastfluss._top('remote_asn', lastfluss._begins($1, $4, $5), $5, $2, lastfluss._interface_names($3, $6), $7, $8) t;
END;
COMMENT ON FUNCTION lastfluss.top_asns(interval, integer, text, timestamptz, timestamptz, text, boolean, integer) IS
'the ASNs on the far side with the most traffic.
since: how far to look back from until; or from_time. n: how many. iface, role: only traffic through this interface, or the interfaces of this role. ingress, family: only this direction, this version of IP.
Counted are the intervals that begin in the range, exactly; what is not written yet too. ingress, egress: mean over the range in bit/s, what came in from there, and what went out to there; incoming, outgoing: the same to read. Ranked by the sum of both. share: percent of all traffic that is asked for. bar: compared with the first. The last row, without rank and asn, is all the others: those behind n, and what the table has without an ASN (remote_asn null). AS 0 is what the exporter does not know';

CREATE FUNCTION lastfluss.top_downstream_asns(since interval DEFAULT '1 hour', n integer DEFAULT 10, iface text DEFAULT NULL,
    from_time timestamptz DEFAULT NULL, until timestamptz DEFAULT now(), role text DEFAULT NULL,
    ingress boolean DEFAULT NULL, family integer DEFAULT NULL)
RETURNS TABLE (rank integer, asn bigint, name text, ingress double precision, egress double precision,
    incoming text, outgoing text, share numeric, bar text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.rank, t.asn, t.name, t.ingress, t.egress, t.incoming, t.outgoing, t.share, t.bar
    FROM lastfluss._top('local_asn', lastfluss._begins($1, $4, $5), $5, $2, lastfluss._interface_names($3, $6), $7, $8) t;
END;
COMMENT ON FUNCTION lastfluss.top_downstream_asns(interval, integer, text, timestamptz, timestamptz, text, boolean, integer) IS
'the ASNs on our side with the most traffic, your own and your customers'': as lastfluss.top_asns(), by local_asn. ingress is what came in for them, egress what went out from them';

/* Reports */

CREATE FUNCTION lastfluss._asn_report(a_asn bigint, a_begins timestamptz, a_until timestamptz, a_downstream boolean,
    OUT iface text, OUT role text, OUT ingress double precision, OUT egress double precision, OUT incoming text, OUT outgoing text,
    OUT share numeric, OUT of_interface numeric, OUT ipv6 numeric, OUT bar text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
BEGIN
    RETURN QUERY EXECUTE format($$
WITH whole AS (
    SELECT r.iface, sum(r.bytes) AS bytes FROM (%2$s) r GROUP BY 1
), of_as AS (
    SELECT r.iface, coalesce(sum(r.bytes) FILTER (WHERE r.ingress), 0)::float8 * 8 / $1 AS ingress,
           coalesce(sum(r.bytes) FILTER (WHERE NOT r.ingress), 0)::float8 * 8 / $1 AS egress,
           sum(r.bytes) AS bytes, sum(r.bytes) FILTER (WHERE r.family = 6) AS ipv6, count(r.family) > 0 AS families
    FROM (%1$s) r GROUP BY 1 HAVING sum(r.bytes) > 0
)
SELECT a.iface, array_to_string(i.roles, ', '), round(a.ingress), round(a.egress), lastfluss.units(a.ingress), lastfluss.units(a.egress),
       round(100 * a.bytes / sum(a.bytes) OVER (), 2), round(100 * a.bytes / w.bytes, 2),
       CASE WHEN a.families THEN round(100 * coalesce(a.ipv6, 0) / a.bytes, 1) END,
       lastfluss._bar(a.bytes::float8, (max(a.bytes) OVER ())::float8)
FROM of_as a LEFT JOIN whole w ON w.iface IS NOT DISTINCT FROM a.iface LEFT JOIN lastfluss._interfaces() i ON i.name = a.iface
ORDER BY a.bytes DESC, a.iface$$,
        lastfluss._rows(a_begins, a_until, NULL, NULL, CASE WHEN NOT a_downstream THEN ARRAY[a_asn] END, CASE WHEN a_downstream THEN ARRAY[a_asn] END,
                        by_columns => '{iface,ingress,family}'),
        lastfluss._rows(a_begins, a_until, by_columns => '{iface}'))
    USING extract(epoch FROM a_until - a_begins)::float8;
END;
$_$;
COMMENT ON FUNCTION lastfluss._asn_report(bigint, timestamptz, timestamptz, boolean) IS 'the rows of lastfluss.asn_report()';

CREATE FUNCTION lastfluss.asn_report(asn bigint, since interval DEFAULT '1 day', from_time timestamptz DEFAULT NULL,
    until timestamptz DEFAULT now(), downstream boolean DEFAULT false)
RETURNS TABLE (iface text, role text, ingress double precision, egress double precision, incoming text, outgoing text,
    share numeric, of_interface numeric, ipv6 numeric, bar text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.iface, t.role, t.ingress, t.egress, t.incoming, t.outgoing, t.share, t.of_interface, t.ipv6, t.bar
    FROM lastfluss._asn_report($1, lastfluss._begins($2, $3, $4), $4, coalesce($5, false)) t;
END;
COMMENT ON FUNCTION lastfluss.asn_report(bigint, interval, timestamptz, timestamptz, boolean) IS
'where the traffic of an AS flows: a row for each interface.
asn: the AS on the far side, or with downstream on ours; null: all the others. since, from_time, until: as in lastfluss.top_asns(). ingress, egress: mean over the range in bit/s. share: percent of this AS''s traffic. of_interface: percent of the interface''s traffic. ipv6: percent of it that is IPv6; null where nobody tells';

CREATE FUNCTION lastfluss.interface_report(since interval DEFAULT '1 hour', from_time timestamptz DEFAULT NULL, until timestamptz DEFAULT now(),
    OUT iface text, OUT role text, OUT speed bigint, OUT ingress double precision, OUT egress double precision,
    OUT incoming text, OUT outgoing text, OUT peak_in text, OUT peak_out text, OUT used_in numeric, OUT used_out numeric,
    OUT ipv6 numeric, OUT bar text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
DECLARE
    begins  timestamptz := lastfluss._begins($1, $2, $3);
    step    bigint := lastfluss._step($3 - begins, NULL);
BEGIN
    RETURN QUERY EXECUTE format($$
WITH meant AS (
    SELECT r.iface, coalesce(sum(r.bytes) FILTER (WHERE r.ingress), 0)::float8 * 8 / $1 AS ingress,
           coalesce(sum(r.bytes) FILTER (WHERE NOT r.ingress), 0)::float8 * 8 / $1 AS egress,
           sum(r.bytes) AS bytes, sum(r.bytes) FILTER (WHERE r.family = 6) AS ipv6, count(r.family) > 0 AS families
    FROM (%s) r GROUP BY 1
), peak AS (
    SELECT t.iface, max(t.bandwidth) FILTER (WHERE t.ingress) AS ingress, max(t.bandwidth) FILTER (WHERE NOT t.ingress) AS egress
    FROM lastfluss._traffic($2, $3, make_interval(secs => $4), NULL, NULL, NULL, NULL, NULL, '{iface,ingress}', true) t GROUP BY 1
)
SELECT coalesce(m.iface, k.name), array_to_string(k.roles, ', '), k.speed, round(coalesce(m.ingress, 0)), round(coalesce(m.egress, 0)),
       lastfluss.units(coalesce(m.ingress, 0)), lastfluss.units(coalesce(m.egress, 0)),
       lastfluss.units(coalesce(p.ingress, 0)), lastfluss.units(coalesce(p.egress, 0)),
       round(100 * coalesce(m.ingress, 0)::numeric / k.speed, 1), round(100 * coalesce(m.egress, 0)::numeric / k.speed, 1),
       CASE WHEN m.families THEN round(100 * coalesce(m.ipv6, 0) / nullif(m.bytes, 0), 1) END,
       lastfluss._bar(greatest(m.ingress, m.egress), coalesce(k.speed, max(greatest(m.ingress, m.egress)) OVER ()))
FROM meant m FULL JOIN lastfluss._interfaces() k ON k.name = m.iface LEFT JOIN peak p ON p.iface = m.iface
ORDER BY m.bytes DESC NULLS LAST, 1$$,
        lastfluss._rows(begins, $3, by_columns => '{iface,ingress,family}'))
    USING extract(epoch FROM $3 - begins)::float8, begins, $3, step;
END;
$_$;
COMMENT ON FUNCTION lastfluss.interface_report(interval, timestamptz, timestamptz) IS
'all interfaces: those that have traffic, and those in lastfluss.interface, as far as the caller may read it.
since: how far to look back from until; or from_time. ingress, egress: mean over the range in bit/s; incoming, outgoing: the same to read. peak_in, peak_out: the largest mean of a bucket, of the step that lastfluss.traffic() takes for this range. speed: of all entries that share the name; null where one has none. used_in, used_out: percent of the speed. ipv6: percent of the traffic. bar: the larger direction, compared with the speed, or, without one, with the busiest interface';

CREATE FUNCTION lastfluss._percentile(a_iface text, a_month date, a_p double precision, a_zone text, a_missing text,
    OUT iface text, OUT ingress boolean, OUT percentile double precision, OUT rate text, OUT mean double precision, OUT maximum double precision,
    OUT slots bigint, OUT without bigint, OUT slot interval)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
DECLARE
    length bigint := lastfluss._step(NULL, '5 min');
    -- Slots that begin in the month, and are over and written.
    first_ bigint := ceil(extract(epoch FROM date_trunc('month', a_month::timestamp) AT TIME ZONE a_zone) / length) * length;
    last_  bigint := ceil(extract(epoch FROM (date_trunc('month', a_month::timestamp) + interval '1 month') AT TIME ZONE a_zone) / length) * length;
    ready  bigint := floor(extract(epoch FROM lastfluss._over()) / length) * length;
BEGIN
    IF a_p IS NULL OR NOT (a_p > 0 AND a_p <= 1) THEN
        RAISE EXCEPTION 'invalid percentile: %', coalesce(a_p::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a part of 1, such as 0.95.';
    END IF;
    IF a_missing IS NULL OR a_missing NOT IN ('zero', 'skip') THEN
        RAISE EXCEPTION 'invalid value for missing slots: %', coalesce('"' || a_missing || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give zero, or skip.';
    END IF;
    last_ := least(last_, ready);
    IF a_month IS NULL OR first_ >= last_ THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format($$
WITH counted AS MATERIALIZED (
    SELECT r.iface, r.ingress, max(r.seconds) AS seconds,
           lastfluss._slots(r.bytes::float8, r."time", r.seconds, $6, $1, $2) AS slots
    FROM (%s) r GROUP BY 1, 2
), side AS (
    SELECT i.iface, d.ingress
    FROM (SELECT c.iface FROM counted c UNION SELECT k.name FROM lastfluss._interfaces() k WHERE k.name = $5) i
    CROSS JOIN (VALUES (true), (false)) d(ingress)
), ranked AS (
    SELECT s.iface, s.ingress, c.seconds, v.bytes, v.maximum, v.without, n.n,
           CASE WHEN n.n > 0 THEN coalesce(lastfluss._lowest(CASE $4 WHEN 'zero' THEN c.slots ELSE array_remove(c.slots, NULL) END, ceil($3 * n.n)::bigint), 0) * 8 / $1 END AS bits
    FROM side s LEFT JOIN counted c ON c.iface IS NOT DISTINCT FROM s.iface AND c.ingress = s.ingress
    CROSS JOIN LATERAL (SELECT $2 - count(u.bytes) AS without, coalesce(sum(u.bytes), 0) AS bytes, coalesce(max(u.bytes), 0) AS maximum FROM unnest(c.slots) u(bytes)) v
    CROSS JOIN LATERAL (SELECT CASE $4 WHEN 'zero' THEN $2 ELSE $2 - v.without END AS n) n
)
SELECT r.iface, r.ingress, round(r.bits), lastfluss.units(r.bits), round(r.bytes * 8 / $1 / nullif(r.n, 0)),
       round(CASE WHEN r.n > 0 THEN r.maximum * 8 / $1 END), r.n, r.without, make_interval(secs => greatest(r.seconds, $1))
FROM ranked r
ORDER BY 1, 2 DESC$$,
        lastfluss._rows(to_timestamp(first_), to_timestamp(last_), length, CASE WHEN a_iface IS NOT NULL THEN ARRAY[a_iface] END, by_columns => '{iface,ingress}', grouped => false))
    USING length, (last_ - first_) / length, a_p::numeric, a_missing, a_iface, first_;
END;
$_$;
COMMENT ON FUNCTION lastfluss._percentile(text, date, double precision, text, text) IS 'the rows of lastfluss.percentile()';

CREATE FUNCTION lastfluss.percentile(iface text, month date DEFAULT current_date, p double precision DEFAULT 0.95,
    zone text DEFAULT current_setting('TimeZone'), missing text DEFAULT 'zero')
RETURNS TABLE (iface text, ingress boolean, percentile double precision, rate text, mean double precision, maximum double precision,
    slots bigint, without bigint, slot interval)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.iface, t.ingress, t.percentile, t.rate, t.mean, t.maximum, t.slots, t.without, t.slot
    FROM lastfluss._percentile($1, $2, $3, $4, $5) t;
END;
COMMENT ON FUNCTION lastfluss.percentile(text, date, double precision, text, text) IS
'the billing percentile of an interface in a month, a row for each direction; usually the larger one is billed.
iface: null: all. month: any day of it. p: 0.95 leaves the highest 5 % of the slots out. zone: the time zone in which the month begins and ends, so that one with a change of the clocks has 12 slots of five minutes more or fewer. missing: what a slot without rows counts, zero (no traffic is traffic of 0), or skip (it is left out).
The slots are five minutes (where the period does not divide these, the shortest multiple of both, at most an hour), from the start of the month to its end, or, in a month that runs, to the last one that is over and written. percentile: the mean of a slot in bit/s, by the nearest rank: of n slots in ascending order the one with number ceil(p * n). So nothing is interpolated, and floor((1 - p) * n) slots are higher. rate: the same to read. mean, maximum: of the slots that count. slots: how many that are. without: how many have no rows. slot: the longest that a row stands for; where retention has left only rollups of hours or days, each counts as so many slots of its mean';

CREATE FUNCTION lastfluss.peering_candidates(since interval DEFAULT '7 days', n integer DEFAULT 20, from_time timestamptz DEFAULT NULL,
    until timestamptz DEFAULT now(), tolerance double precision DEFAULT 0.01,
    OUT rank integer, OUT asn bigint, OUT name text, OUT ingress double precision, OUT egress double precision,
    OUT incoming text, OUT outgoing text, OUT share numeric, OUT transit double precision, OUT without double precision,
    OUT saved text, OUT saved_together text, OUT bar text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
DECLARE
    begins    timestamptz := lastfluss._begins($1, $3, $4);
    slot      bigint := lastfluss._step(NULL, CASE WHEN $4 - begins > interval '8 days' THEN interval '1 hour' ELSE '5 min' END);
    transits  text[] := ARRAY(SELECT i.name FROM lastfluss._interfaces() i WHERE 'transit' = ANY (i.roles));
    peerings  text[] := ARRAY(SELECT i.name FROM lastfluss._interfaces() i WHERE i.roles && '{ixp,pni}' AND 'transit' <> ALL (i.roles));
    candidates lastfluss._sums_of_asn[];
    found     bigint[];
BEGIN
    IF $2 IS NULL OR $2 < 0 THEN
        RAISE EXCEPTION 'invalid number of ASNs: %', coalesce($2::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give how many to show.';
    END IF;
    IF $5 IS NULL OR NOT $5 BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'invalid tolerance: %', coalesce($5::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a part from 0 to 1.';
    END IF;
    IF transits = '{}' THEN
        RAISE NOTICE 'no interface in lastfluss.interface has the role transit, or you may not read it'
        USING HINT = 'UPDATE lastfluss.interface SET role = ''transit'' WHERE name = ...;';
        RETURN;
    END IF;

    -- Apart: what came in through transit, or went out; the rest is peering.
    EXECUTE format($$
SELECT ARRAY(SELECT l
             FROM unnest((SELECT lastfluss._largest(r.remote_asn, CASE WHEN r.iface = ANY ($1) THEN coalesce(r.ingress, false) END, r.bytes, NULL) FROM (%s) r)) l
             WHERE l.asn > 0 AND l.asn <> 23456 AND l.asn <> $3 AND l.apart + l.others > 0 AND l.bytes - l.apart - l.others <= $4 * l.bytes
             ORDER BY l.apart + l.others DESC, l.asn LIMIT $2)$$,
        lastfluss._rows(begins, $4, iface => transits || peerings, by_columns => '{iface,ingress,remote_asn}', grouped => false))
    INTO candidates USING transits, $2, lastfluss._own_asn(), $5;
    found := ARRAY(SELECT c.asn FROM unnest(candidates) c);

    RETURN QUERY EXECUTE format($$
WITH RECURSIVE candidate AS (
    SELECT c.asn, c.place::integer, c.apart::float8 * 8 / $2 AS ingress, c.others::float8 * 8 / $2 AS egress, c.apart + c.others AS bytes
    FROM unnest($1) WITH ORDINALITY c(asn, apart, others, bytes, place)
), total AS MATERIALIZED (
    SELECT d.ingress, t.slots
    FROM (VALUES (true), (false)) d(ingress)
    LEFT JOIN (SELECT r.ingress, lastfluss._slots(r.bytes::float8, r."time", r.seconds, $4, $3, $5) AS slots
               FROM (%1$s) r GROUP BY 1) t USING (ingress)
), part AS MATERIALIZED (
    SELECT r.ingress, r.remote_asn AS asn, lastfluss._slots(r.bytes::float8, r."time", r.seconds, $4, $3, $5) AS slots
    FROM (%2$s) r GROUP BY 1, 2
), lowered AS (
    SELECT NULL::bigint AS asn, 0 AS place, t.ingress, t.slots AS alone, t.slots AS together FROM total t
    UNION ALL
    SELECT c.asn, c.place, l.ingress, lastfluss._less(t.slots, p.slots), lastfluss._less(l.together, p.slots)
    FROM lowered l JOIN candidate c ON c.place = l.place + 1 JOIN total t ON t.ingress = l.ingress
    LEFT JOIN part p ON p.asn = c.asn AND p.ingress = l.ingress
), direction AS (
    SELECT l.asn, l.place, l.ingress, coalesce(lastfluss._lowest(t.slots, n.n), 0) * 8 / $3 AS bits,
           coalesce(lastfluss._lowest(l.alone, n.n), 0) * 8 / $3 AS alone, coalesce(lastfluss._lowest(l.together, n.n), 0) * 8 / $3 AS together
    FROM lowered l JOIN total t ON t.ingress = l.ingress CROSS JOIN (SELECT ceil(0.95::float8 * $5)::bigint AS n) n WHERE l.place > 0
), billed AS (
    SELECT asn, place, max(bits) AS bits, max(alone) AS alone, max(together) AS together FROM direction GROUP BY 1, 2
), everything AS (
    SELECT sum(r.bytes) AS bytes FROM (%3$s) r
)
SELECT b.place, b.asn, lastfluss._asn_name(b.asn), round(m.ingress), round(m.egress), lastfluss.units(m.ingress), lastfluss.units(m.egress),
       round(100 * m.bytes / e.bytes, 2), round(b.bits), round(b.alone), lastfluss.units(b.bits - b.alone), lastfluss.units(b.bits - b.together),
       lastfluss._bar(m.bytes::float8, (max(m.bytes) OVER ())::float8)
FROM billed b JOIN candidate m USING (asn) CROSS JOIN everything e ORDER BY b.place$$,
        lastfluss._rows(begins, $4, slot, transits, by_columns => '{ingress}', grouped => false),
        lastfluss._rows(begins, $4, slot, transits, found, by_columns => '{ingress,remote_asn}', grouped => false),
        lastfluss._rows(begins, $4, NULL, transits, by_columns => '{}'))
    USING candidates, extract(epoch FROM $4 - begins)::float8, slot,
          floor(extract(epoch FROM begins) / slot)::bigint * slot, (ceil(extract(epoch FROM $4) / slot) - floor(extract(epoch FROM begins) / slot))::bigint;
END;
$_$;
COMMENT ON FUNCTION lastfluss.peering_candidates(interval, integer, timestamptz, timestamptz, double precision) IS
'ASNs whose traffic flows through transit and not through peering, by what peering with them would take off transit.
Transit are the interfaces with the role transit, peering those with the role ixp or pni. since: how far to look back from until; or from_time. n: how many. tolerance: an AS is left out when more than this part of its traffic on all of these interfaces is on peering. AS 0, 23456, your own (setting own_asn) and all the others (remote_asn null) are no candidates.
ingress, egress: mean over the range in bit/s through transit; incoming, outgoing: the same to read. share: percent of the traffic of transit. transit: 95th percentile of all transit together, in slots of five minutes, or of an hour in more than 8 days (missing ones count 0, nearest rank), of the larger direction. without: the same without this AS. saved: the difference, to read; saved_together: what it is without this AS and all that are ranked before it';

/* Pictures */

CREATE FUNCTION lastfluss._series(iface text, asn bigint, begins timestamptz, until timestamptz,
    OUT "time" timestamptz, OUT ends timestamptz, OUT ingress double precision, OUT egress double precision)
RETURNS SETOF record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    -- once, not for each row
    WITH s AS MATERIALIZED (SELECT make_interval(secs => lastfluss._step($4 - $3, NULL)) AS length, lastfluss._graph_over() AS over)
    SELECT g."time", least(g."time" + s.length, to_timestamp(s.over)), coalesce(max(g.value) FILTER (WHERE g.metric LIKE '% in'), 0), coalesce(max(g.value) FILTER (WHERE g.metric LIKE '% out'), 0)
    FROM s
    CROSS JOIN LATERAL lastfluss.graph($3, $4, s.length, 'total', iface => CASE WHEN $1 IS NOT NULL THEN ARRAY[$1] END, remote_asn => $2) g
    WHERE g.value IS NOT NULL GROUP BY 1, 2;
$$;
COMMENT ON FUNCTION lastfluss._series(text, bigint, timestamptz, timestamptz) IS 'the traffic of an interface, an AS, or both, in bit/s, as lastfluss.plot() and svg() draw it: that of lastfluss.graph()';

CREATE FUNCTION lastfluss._scale(value double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT min(m * p.p) FROM unnest(ARRAY[1, 2, 4, 5, 6, 8, 10]) m WHERE m * p.p >= $1), 1)
    FROM (SELECT power(10::float8, floor(log(greatest($1, 1)))) AS p) p;
$$;
COMMENT ON FUNCTION lastfluss._scale(double precision) IS 'the end of an axis for values up to this: a round number, whose half is one too';

CREATE FUNCTION lastfluss._ticks(begins timestamptz, until timestamptz, n integer, OUT at timestamptz, OUT label text)
RETURNS SETOF record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH chosen AS (
        SELECT coalesce(min(d) FILTER (WHERE d * $3 >= $2 - $1), '1 year') AS distance
        FROM unnest(ARRAY['10 s', '30 s', '1 min', '2 min', '5 min', '10 min', '15 min', '30 min', '1 hour', '2 hours', '3 hours', '4 hours',
                          '6 hours', '12 hours', '1 day', '2 days', '7 days', '14 days', '1 month', '3 months']::interval[]) d
    )
    -- multiples of the distance in local time
    SELECT l AT TIME ZONE current_setting('TimeZone'),
           to_char(l, CASE WHEN c.distance < '1 min' THEN 'HH24:MI:SS' WHEN c.distance < '1 day' AND l::time <> '00:00' THEN 'HH24:MI'
                           WHEN c.distance < '1 month' THEN 'Mon DD' ELSE 'Mon YYYY' END)
    FROM chosen c
    CROSS JOIN LATERAL (SELECT CASE WHEN c.distance < '1 month' THEN date_bin(c.distance, $1::timestamp, '2001-01-01') ELSE date_trunc('year', $1::timestamp) END AS first) f
    CROSS JOIN generate_series(f.first, $2::timestamp, c.distance) l
    WHERE l AT TIME ZONE current_setting('TimeZone') >= $1 AND l AT TIME ZONE current_setting('TimeZone') < $2;
$$;
COMMENT ON FUNCTION lastfluss._ticks(timestamptz, timestamptz, integer) IS 'where a time axis is marked, at most so often (and once more), in the time zone of the session';

CREATE FUNCTION lastfluss._cell(style text, up boolean, left_dots integer, right_dots integer) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN $3 + $4 = 0 THEN ' '
        WHEN $1 = 'ascii' THEN CASE WHEN $3 + $4 >= 4 THEN '#' ELSE ':' END
        -- U+2581 to U+2588 grow from below; from above there are U+2594, U+2580
        WHEN $1 = 'blocks' AND $2 THEN chr(9600 + $3 + $4)
        WHEN $1 = 'blocks' THEN chr(CASE WHEN $3 + $4 <= 2 THEN 9620 WHEN $3 + $4 <= 6 THEN 9600 ELSE 9608 END)
        -- U+2800 and a bit for each dot, see the Unicode standard's chart of Braille patterns
        WHEN $2 THEN chr(10240 + (ARRAY[0, 64, 68, 70, 71])[$3 + 1] + (ARRAY[0, 128, 160, 176, 184])[$4 + 1])
        ELSE chr(10240 + (ARRAY[0, 1, 3, 7, 71])[$3 + 1] + (ARRAY[0, 8, 24, 56, 184])[$4 + 1]) END;
$$;
COMMENT ON FUNCTION lastfluss._cell(text, boolean, integer, integer) IS 'a character of a plot: two columns of up to four dots, from below or from above';

CREATE FUNCTION lastfluss._title(iface text, asn bigint, begins timestamptz, until timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(', ', coalesce($1, CASE WHEN $2 IS NULL THEN 'all interfaces' END), 'AS' || $2 || coalesce(' ' || lastfluss._asn_name($2), ''))
        || to_char($3, ', YYYY-MM-DD HH24:MI')
        || to_char($4, CASE WHEN $3::date = $4::date THEN ' to HH24:MI' ELSE ' to YYYY-MM-DD HH24:MI' END) || ' ' || to_char($4, 'TZ');
$$;
COMMENT ON FUNCTION lastfluss._title(text, bigint, timestamptz, timestamptz) IS 'what a picture shows';

CREATE FUNCTION lastfluss.plot(iface text DEFAULT NULL, since interval DEFAULT '1 hour', asn bigint DEFAULT NULL,
    from_time timestamptz DEFAULT NULL, until timestamptz DEFAULT now(), width integer DEFAULT 72, height integer DEFAULT 8,
    style text DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    begins  timestamptz := lastfluss._begins($2, $4, $5);
    utf8    boolean := getdatabaseencoding() = 'UTF8';
    style_  text := coalesce($8, CASE WHEN utf8 THEN 'braille' ELSE 'ascii' END);
    pixel   interval := ($5 - begins) / (2 * $6);
    ins     float8[];
    outs    float8[];
    top     float8;
    legend  text[];
    cells   text;
    labels  text := '';
    tick    record;
    place   integer;
    margin  constant integer := 12;
BEGIN
    IF $6 IS NULL OR $6 NOT BETWEEN 10 AND 500 OR $7 IS NULL OR $7 NOT BETWEEN 2 AND 100 THEN
        RAISE EXCEPTION 'invalid size of a plot: % times %', coalesce($6::text, 'null'), coalesce($7::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a width of 10 to 500 characters, and a height of 2 to 100 lines for each direction.';
    END IF;
    IF style_ NOT IN ('braille', 'blocks', 'ascii') THEN
        RAISE EXCEPTION 'invalid style of a plot: "%"', style_
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give braille, blocks or ascii.';
    END IF;
    IF NOT utf8 AND style_ <> 'ascii' THEN
        RAISE EXCEPTION 'style "%" needs a database whose encoding is UTF8', style_
        USING ERRCODE = 'feature_not_supported', HINT = 'Give ascii.';
    END IF;

    -- Each column of dots shows the mean over the time that it stands for.
    WITH series AS MATERIALIZED (
        SELECT * FROM lastfluss._series($1, $3, begins, $5)
    ), drawn AS (
        SELECT x, coalesce(sum(s.ingress * w.part) / nullif(sum(w.part), 0), 0) AS ingress, coalesce(sum(s.egress * w.part) / nullif(sum(w.part), 0), 0) AS egress
        FROM generate_series(0, 2 * $6 - 1) x
        LEFT JOIN series s ON s."time" < begins + pixel * (x + 1) AND s.ends > begins + pixel * x
        CROSS JOIN LATERAL (SELECT extract(epoch FROM least(s.ends, begins + pixel * (x + 1)) - greatest(s."time", begins + pixel * x))::float8 AS part) w
        GROUP BY x
    )
    SELECT (SELECT array_agg(d.ingress ORDER BY d.x) FROM drawn d), (SELECT array_agg(d.egress ORDER BY d.x) FROM drawn d),
           lastfluss._scale((SELECT max(greatest(d.ingress, d.egress)) FROM drawn d)),
           ARRAY[format('in:  mean %s, max %s', coalesce(lastfluss.units(avg(s.ingress)), 'none'), coalesce(lastfluss.units(max(s.ingress)), 'none')),
                 format('out: mean %s, max %s', coalesce(lastfluss.units(avg(s.egress)), 'none'), coalesce(lastfluss.units(max(s.egress)), 'none'))]
    INTO ins, outs, top, legend FROM series s;

    RETURN NEXT repeat(' ', margin + 1) || lastfluss._title($1, $3, begins, $5);
    FOR line IN 1 .. 2 * $7 LOOP
        -- dots of a column that are in this line, from the axis on
        SELECT string_agg(lastfluss._cell(style_, line <= $7, c.dots[1], c.dots[2]), '' ORDER BY c.x) INTO cells
        FROM (SELECT x, ARRAY(SELECT greatest(least(ceil(4 * $7 * CASE WHEN line <= $7 THEN ins[i] ELSE outs[i] END / top - 1e-9)::integer
                                                    - 4 * CASE WHEN line <= $7 THEN $7 - line ELSE line - $7 - 1 END, 4), 0)
                              FROM generate_series(2 * x + 1, 2 * x + 2) i ORDER BY i) AS dots
              FROM generate_series(0, $6 - 1) x) c;
        RETURN NEXT rtrim(lpad(CASE WHEN line IN (1, 2 * $7) THEN lastfluss.units(top)
                                    WHEN $7 % 2 = 0 AND line IN ($7 / 2 + 1, 2 * $7 - $7 / 2) THEN lastfluss.units(top / 2) ELSE '' END, margin - 1)
                          || ' ' || CASE WHEN style_ <> 'ascii' THEN chr(9474) ELSE '|' END || cells);
        IF line = $7 THEN
            FOR tick IN SELECT * FROM lastfluss._ticks(begins, $5, $6 / 12) LOOP
                place := floor(extract(epoch FROM tick.at - begins) / extract(epoch FROM $5 - begins) * $6);
                CONTINUE WHEN place < length(labels) OR place + length(tick.label) > $6 + 4;
                labels := rpad(labels, place) || tick.label || ' ';
            END LOOP;
            RETURN NEXT rtrim(lpad('0', margin - 1) || ' ' || CASE WHEN style_ <> 'ascii' THEN chr(9500) ELSE '+' END
                              || repeat(CASE WHEN style_ <> 'ascii' THEN chr(9472) ELSE '-' END, $6));
        END IF;
    END LOOP;
    RETURN NEXT repeat(' ', margin + 1) || rtrim(labels);
    RETURN NEXT repeat(' ', margin + 1) || legend[1];
    RETURN NEXT repeat(' ', margin + 1) || legend[2];
END;
$$;
COMMENT ON FUNCTION lastfluss.plot(text, interval, bigint, timestamptz, timestamptz, integer, integer, text) IS
'draws traffic in the terminal, a row for each line: what comes in above the axis, what goes out below, both by one scale in bit/s, the time in the session''s time zone. It ends with the last interval that is over, as lastfluss.graph().
iface: null: all. since: how far to look back from until; or from_time. asn: only this AS on the far side; null: all. width: characters; height: lines for each direction. style: braille, blocks, or ascii, which is the default where the database''s encoding is not UTF8. Try: SELECT lastfluss.plot() \watch 10';

CREATE FUNCTION lastfluss._xml(name text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    -- XML 1.0, 2.2: most control characters cannot be written in any way
    SELECT replace(replace(replace(replace(regexp_replace($1, '[\x01-\x08\x0b\x0c\x0e-\x1f]', ' ', 'g'), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;');
$$;
COMMENT ON FUNCTION lastfluss._xml(text) IS 'text for an XML document';

CREATE FUNCTION lastfluss.svg(iface text DEFAULT NULL, since interval DEFAULT '1 day', asn bigint DEFAULT NULL,
    from_time timestamptz DEFAULT NULL, until timestamptz DEFAULT now(), width integer DEFAULT 800, height integer DEFAULT 300)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    begins  timestamptz := lastfluss._begins($2, $4, $5);
    span    float8 := extract(epoch FROM $5 - begins);
    x0      constant integer := 90;
    y0      constant integer := 34;
    w       integer := $6 - 90 - 16;
    h       integer := $7 - 34 - 50;
    title   text := lastfluss._xml(lastfluss._title($1, $3, begins, $5));
    top     float8;
    areas   text;
    legend  text;
    grid    text;
BEGIN
    IF $6 IS NULL OR $6 NOT BETWEEN 200 AND 10000 OR $7 IS NULL OR $7 NOT BETWEEN 150 AND 10000 THEN
        RAISE EXCEPTION 'invalid size of a picture: % times %', coalesce($6::text, 'null'), coalesce($7::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a width of 200 to 10000 pixels, and a height of 150 to 10000.';
    END IF;

    WITH series AS MATERIALIZED (
        SELECT * FROM lastfluss._series($1, $3, begins, $5)
    ), scale AS (
        SELECT lastfluss._scale(max(greatest(s.ingress, s.egress))) AS top FROM series s
    ), side AS (
        SELECT d.side, s."time", s.ends, CASE d.side WHEN 'in' THEN s.ingress ELSE s.egress END AS bits, CASE d.side WHEN 'in' THEN -1 ELSE 1 END AS sign
        FROM series s CROSS JOIN (VALUES ('in'), ('out')) d(side)
    ), joined AS (
        -- An area for each stretch without a gap.
        SELECT s.*, count(*) FILTER (WHERE s."time" <> s.before OR s.before IS NULL) OVER (PARTITION BY s.side ORDER BY s."time") AS stretch
        FROM (SELECT s.*, lag(s.ends) OVER (PARTITION BY s.side ORDER BY s."time") AS before FROM side s) s
    ), point AS (
        SELECT j.side, j.stretch, j."time", j.sign,
               round((x0 + w * greatest(least(extract(epoch FROM j."time" - begins)::float8 / span, 1), 0))::numeric, 1) AS left_x,
               round((x0 + w * greatest(least(extract(epoch FROM j.ends - begins)::float8 / span, 1), 0))::numeric, 1) AS right_x,
               round((y0 + h / 2.0 + j.sign * h / 2.0 * j.bits / (SELECT c.top FROM scale c))::numeric, 1) AS y
        FROM joined j
    ), area AS (
        SELECT p.side, p.stretch, format('<path class="%s" d="M%s %s%sV%sZ"/>', p.side, min(p.left_x), round(y0 + h / 2.0, 1),
                   string_agg(format('L%s %sH%s', p.left_x, p.y, p.right_x), '' ORDER BY p."time"), round(y0 + h / 2.0, 1)) AS path
        FROM point p GROUP BY p.side, p.stretch
    )
    SELECT (SELECT c.top FROM scale c), (SELECT string_agg(a.path, E'\n' ORDER BY a.side, a.stretch) FROM area a),
           format('in: mean %s, max %s; out: mean %s, max %s', coalesce(lastfluss.units(avg(s.ingress)), 'none'), coalesce(lastfluss.units(max(s.ingress)), 'none'),
                  coalesce(lastfluss.units(avg(s.egress)), 'none'), coalesce(lastfluss.units(max(s.egress)), 'none'))
    INTO top, areas, legend FROM series s;

    SELECT string_agg(g.line, E'\n') INTO grid FROM (
        SELECT format('<path class="grid" d="M%s %sh%s"/><text x="%s" y="%s" text-anchor="end">%s</text>',
                      x0, y, w, x0 - 6, y + 4, CASE WHEN part = 0 THEN '0' ELSE lastfluss.units(top * abs(part)) END) AS line
        FROM (SELECT part, round(y0 + h / 2.0 * (1 - part), 1) AS y FROM unnest(ARRAY[1, 0.5, 0, -0.5, -1]) part) l
        UNION ALL
        SELECT format('<path class="grid" d="M%s %sv%s"/><text x="%s" y="%s" text-anchor="middle">%s</text>', x, y0, h, x, y0 + h + 16, label)
        FROM (SELECT t.label, round((x0 + w * extract(epoch FROM t.at - begins)::float8 / span)::numeric, 1) AS x FROM lastfluss._ticks(begins, $5, $6 / 100) t) t
        WHERE x BETWEEN x0 AND x0 + w) g;

    RETURN format($svg$<svg xmlns="http://www.w3.org/2000/svg" width="%1$s" height="%2$s" viewBox="0 0 %1$s %2$s" role="img">
<title>%3$s</title>
<style>text{font:12px sans-serif;fill:#333}.grid{stroke:#ccc;fill:none}.in{fill:#2a78b8}.out{fill:#e08a2c}.title{font-weight:bold;font-size:14px}</style>
<rect width="%1$s" height="%2$s" fill="#fff"/>
<text class="title" x="%4$s" y="20">%3$s</text>
%5$s
%6$s
<text x="%4$s" y="%7$s"><tspan class="in">&#9650;</tspan><tspan class="out">&#9660;</tspan> %8$s</text>
</svg>
$svg$, $6, $7, title, x0, grid, coalesce(areas, ''), $7 - 10, legend);
END;
$$;
COMMENT ON FUNCTION lastfluss.svg(text, interval, bigint, timestamptz, timestamptz, integer, integer) IS
'draws traffic as lastfluss.plot() does, as an SVG document for a mail or a page: what comes in above the axis, what goes out below. width, height: in pixels. A bucket without any traffic is a gap. In psql: \pset format unaligned, \pset tuples_only on, SELECT lastfluss.svg(''DE-CIX'') \g picture.svg';

/* Graphs: what the panels of the dashboards ask for */

CREATE FUNCTION lastfluss._role_color(role text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    -- Also dashboards/generate.pl.
    SELECT CASE $1 WHEN 'transit' THEN '#e0752d' WHEN 'ixp' THEN '#3274d9' WHEN 'pni' THEN '#37872d'
                   WHEN 'customer' THEN '#8f3bb8' WHEN 'core' THEN '#808080' ELSE '#bfa500' END;
$$;
COMMENT ON FUNCTION lastfluss._role_color(text) IS 'the colour of a role in graphs';

CREATE FUNCTION lastfluss._graph_interfaces(OUT name text, OUT role text, OUT speed bigint, OUT color text)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Nothing for whoever may not read it, as lastfluss._interfaces().
    IF has_table_privilege('lastfluss.interface', 'SELECT') THEN
        RETURN QUERY
        SELECT i.name, coalesce(min(i.role), 'none'), CASE WHEN count(i.speed) = count(*) THEN sum(i.speed)::bigint END, min(i.color)
        FROM lastfluss.interface i GROUP BY 1;
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss._graph_interfaces() IS
'the names of interfaces as graphs show them: of entries that share a name the first role and colour, and the sum of their speeds, null where one has none';

CREATE FUNCTION lastfluss._graph_names(iface text[], role text[], since timestamptz, until timestamptz) RETURNS text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $_$
DECLARE
    names text[];
BEGIN
    IF $2 IS NULL THEN
        RETURN $1;
    END IF;
    IF 'none' = ANY ($2) AND NOT EXISTS (SELECT FROM lastfluss._graph_interfaces() i WHERE i.role <> ALL ($2)) THEN
        -- There are no others.
        RETURN $1;
    END IF;
    names := ARRAY(SELECT i.name FROM lastfluss._graph_interfaces() i WHERE i.role = ANY ($2) AND ($1 IS NULL OR i.name = ANY ($1)));
    IF 'none' = ANY ($2) THEN
        -- Traffic may be that of interfaces which are not configured any more.
        EXECUTE format('SELECT $1 || array_agg(DISTINCT r.iface) FROM (%s) r WHERE r.iface IS NULL OR r.iface NOT IN (SELECT i.name FROM lastfluss._graph_interfaces() i)',
                       lastfluss._rows($3, $4, NULL, $1, by_columns => '{iface}'))
        INTO names USING names;
    END IF;
    RETURN names;
END;
$_$;
COMMENT ON FUNCTION lastfluss._graph_names(text[], text[], timestamptz, timestamptz) IS
'the interfaces of these names and roles, as a filter for lastfluss._rows(); null: all. Those of the range that are not configured have the role none';

CREATE FUNCTION lastfluss._graph_over(live boolean DEFAULT true) RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    -- What is over and not written is in live; for whoever may not read that, it is written a period later at the latest.
    SELECT coalesce((floor((extract(epoch FROM lastfluss._over()) + CASE WHEN $1 AND s.live THEN s.period ELSE 0 END) / s.period) * s.period)::bigint,
                    extract(epoch FROM now())::bigint)
    FROM (SELECT min(o.seconds) FILTER (WHERE o.kind = 'table') AS period, bool_or(o.kind = 'live' AND lastfluss._may_read(o.relation, o.kind, o.traffic)) AS live
          FROM (SELECT t.*, first_value(t.relation) OVER (ORDER BY t.kind = 'table' DESC) AS traffic FROM lastfluss._sources() t) o) s;
$$;
COMMENT ON FUNCTION lastfluss._graph_over(boolean) IS
'where graphs end that reach to now, in seconds since 1970: the end of the last interval to which nothing is added any more, of what can be read with or without live';

CREATE FUNCTION lastfluss._graph_rows(since timestamptz, until timestamptz, iface text[] DEFAULT NULL,
    remote_asn bigint[] DEFAULT NULL, local_asn bigint[] DEFAULT NULL, by_columns text[] DEFAULT NULL)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $_$
DECLARE
    first_ bigint := ceil(extract(epoch FROM $1));
    last_  bigint := ceil(extract(epoch FROM $2));
    needed text[] := $6 || CASE WHEN $4 IS NOT NULL THEN '{remote_asn}' ELSE '{}'::text[] END || CASE WHEN $5 IS NOT NULL THEN '{local_asn}' ELSE '{}'::text[] END;
    parts  text[];
    edge   record;
BEGIN
    -- Retention may have left rows at either end that reach beyond it: only those that begin in the range are in there, and whole.
    FOR edge IN
        SELECT e.at, p.seconds, e.part
        FROM lastfluss._pieces($1, $2, NULL, false, lastfluss._sums(needed)) p
        CROSS JOIN LATERAL (VALUES (p.begins - p.begins % p.seconds, p.begins = first_ AND p.begins % p.seconds <> 0, least(p.begins - p.begins % p.seconds + p.seconds, last_) - first_),
                                   (p.ends - p.ends % p.seconds, p.ends = last_ AND p.ends % p.seconds <> 0 AND p.ends - p.ends % p.seconds >= p.begins, last_ - p.seconds - (p.ends - p.ends % p.seconds))) e(at, here, part)
        WHERE p.kind NOT IN ('table', 'live') AND e.here
    LOOP
        parts := parts || format('SELECT r.iface, r.ingress, r.remote_asn, r.local_asn, r.bytes * %s::numeric / %s FROM (%s) r', edge.part, edge.seconds,
            lastfluss._rows(to_timestamp(edge.at), to_timestamp(edge.at + edge.seconds), edge.seconds, $3, $4, $5, by_columns => $6, live => false));
    END LOOP;
    RETURN format('SELECT r.iface, r.ingress, r.remote_asn, r.local_asn, r.bytes%s AS bytes FROM (%s) r', CASE WHEN parts IS NOT NULL THEN '::numeric' END,
                  lastfluss._rows($1, $2, NULL, $3, $4, $5, by_columns => $6, grouped => false))
           || coalesce(E'\nUNION ALL ' || array_to_string(parts, E'\nUNION ALL '), '');
END;
$_$;
COMMENT ON FUNCTION lastfluss._graph_rows(timestamptz, timestamptz, text[], bigint[], bigint[], text[]) IS
'the statement that reads the traffic of a range, as lastfluss._rows() without a step; of rows that are coarser than what is asked for, as retention has left them, and reach beyond it, their part';

CREATE FUNCTION lastfluss._graph_begins(since timestamptz, until timestamptz, step bigint, sums text[]) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_timestamp(f.first - coalesce((SELECT max(f.first % s.seconds) FROM lastfluss._pieces($1, $2, $3, false, $4) s WHERE s.begins = f.first), 0))
    FROM (SELECT floor(extract(epoch FROM $1))::bigint / $3 * $3 AS first) f;
$$;
COMMENT ON FUNCTION lastfluss._graph_begins(timestamptz, timestamptz, bigint, text[]) IS
'the begin of the first row that reaches into a range, where retention has left only rows that are coarser than the step; otherwise that of the first bucket';

CREATE FUNCTION lastfluss._health_table() RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid::regclass FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace AND c.relname = left(t.relname, 56) || '_health'
    WHERE t.oid = (SELECT s.relation FROM lastfluss._sources() s WHERE s.kind = 'table') AND has_table_privilege(c.oid, 'SELECT');
$$;
COMMENT ON FUNCTION lastfluss._health_table() IS 'traffic_health beside the table; null: it is not there, or the caller may not read it';

CREATE FUNCTION lastfluss._graph_asn(rank bigint, asn bigint) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN $2 IS NULL THEN 'others' ELSE concat_ws(' ', to_char($1, 'FM00'), 'AS' || $2, left(lastfluss._asn_name($2), 24)) END;
$$;
COMMENT ON FUNCTION lastfluss._graph_asn(bigint, bigint) IS 'an AS in the legend of a graph';

CREATE FUNCTION lastfluss._asn_country(asn bigint) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.country FROM lastfluss.asn a WHERE a.asn = $1;
$$;
COMMENT ON FUNCTION lastfluss._asn_country(bigint) IS 'the country of an AS, as lastfluss.asn has it';

CREATE FUNCTION lastfluss.graph(since timestamptz, until timestamptz, step interval, by text DEFAULT 'interface', direction text DEFAULT NULL,
    iface text[] DEFAULT NULL, role text[] DEFAULT NULL, remote_asn bigint DEFAULT NULL, local_asn bigint DEFAULT NULL,
    n integer DEFAULT 20, measure text DEFAULT 'bandwidth',
    OUT "time" timestamptz, OUT metric text, OUT value double precision)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off   -- compiling would take longer than the query
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    what    text := $11;
    shown   boolean := CASE $5 WHEN 'in' THEN true WHEN 'not out' THEN true WHEN 'out' THEN false WHEN 'not in' THEN false END;
    span    double precision := extract(epoch FROM $2 - $1);
    step_   bigint;
    grain   bigint;
    first_  bigint;
    last_   bigint;
    over_   bigint := lastfluss._graph_over();
    key     text;
    label   text;
    begins  timestamptz;
    listed  timestamptz := $1;
    names   text[];
    remotes bigint[] := CASE WHEN $8 IS NOT NULL THEN ARRAY[$8] END;
    locals  bigint[] := CASE WHEN $9 IS NOT NULL THEN ARRAY[$9] END;
    columns text[];
    top     bigint[];
    others  boolean;
    keys    text := 'SELECT c.key FROM cell c GROUP BY 1 HAVING (c.key IS NOT NULL OR sum(c.bytes) > 0) AND ($5 <> ''utilisation'' OR max(c.speed) > 0)';
    rows    text;
    amount  text;
    p       double precision;
    coarse  record;
    whole   text := 'SELECT NULL::bigint AS at, NULL::boolean AS ingress, NULL::numeric AS bytes WHERE false';
    spread  text := 'SELECT date_part(''epoch'', r."time")::bigint AS at';
    part    text := '';
    cell    text;
    interfaces text := 'SELECT g.*, concat(g.role, '' · '', g.name) AS role_and_name FROM lastfluss._graph_interfaces() g OFFSET 0';
    during  text := 'r."time" >= to_timestamp($2) AND r."time" < to_timestamp($3)';
    running text := 'SELECT NULL::bigint AS at WHERE false';
    health  regclass := lastfluss._health_table();
BEGIN
    SELECT v.key, v.columns, v.label INTO key, columns, label
    FROM (VALUES ('total',              '''total''', '{}'::text[], 'k.key'),
                 ('interface',          'coalesce(r.iface, ''unknown'')', '{iface}', 'k.key'),
                 ('role',               'coalesce(i.role, ''none'')', '{iface}', 'k.key'),
                 ('role and interface', 'coalesce(i.role_and_name, ''none · '' || coalesce(r.iface, ''unknown''))', '{iface}', 'k.key'),
                 ('family',             'coalesce(''IPv'' || r.family, ''other'')', '{family}', 'k.key'),
                 ('remote asn',         'r.remote_asn::text', '{remote_asn}', 'lastfluss._graph_asn(array_position($6, k.key::bigint), k.key::bigint)'),
                 ('local asn',          'r.local_asn::text', '{local_asn}', 'lastfluss._graph_asn(array_position($6, k.key::bigint), k.key::bigint)'))
         v(name, key, columns, label)
    WHERE v.name = $4;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'traffic cannot be drawn by this: %', coalesce('"' || $4 || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Give total, interface, role, role and interface, family, remote asn or local asn.';
    END IF;
    IF $5 NOT IN ('in', 'out', 'not in', 'not out') THEN
        RAISE EXCEPTION 'invalid direction: "%"', $5
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give in, out, not in or not out, or null for both.';
    END IF;
    IF what ~ '^\d+(\.\d+)?(st|nd|rd|th) percentile$' THEN
        p := substring(what FROM '^[\d.]+')::double precision / 100;
    END IF;
    amount := CASE what WHEN 'bandwidth' THEN 'c.bytes * 8.0 / least($1, $3 - c.at)' WHEN 'packets' THEN 'c.packets::float8 / least($1, $3 - c.at)'
                        WHEN 'flows' THEN 'c.flows::float8 / least($1, $3 - c.at)' WHEN 'peak' THEN 'c.peak'
                        WHEN 'utilisation' THEN 'c.bytes * 8.0 / least($1, $3 - c.at) / c.speed' WHEN 'share' THEN 'c.bytes / nullif(w.bytes, 0)'
                        ELSE CASE WHEN p BETWEEN 0 AND 1 THEN '' END END;
    IF amount IS NULL THEN
        RAISE EXCEPTION 'invalid measure: %', coalesce('"' || what || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Give bandwidth, peak, packets, flows, utilisation, share, or a percentile such as 95th percentile.';
    END IF;
    IF what = 'utilisation' AND $4 NOT LIKE '%interface' THEN
        RAISE EXCEPTION 'utilisation is that of interfaces'
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give it with by => ''interface'' or ''role and interface''.';
    END IF;
    -- A percentile is one value for the whole range, over the slots that bills know and that are over; by the hour where they would be too many.
    step_ := CASE WHEN p IS NULL THEN lastfluss._step(least($2, now()) - $1, $3) ELSE lastfluss._step(NULL, CASE WHEN span <= 40 * 86400 THEN interval '5 min' ELSE '1 hour' END) END;
    first_ := floor(extract(epoch FROM $1) / step_) * step_;
    last_ := ceil(extract(epoch FROM least($2, now())) / step_) * step_;
    -- The bucket that runs ends where nothing is added any more, and is left out where that is less than a tenth of it.
    -- Days are whole: a night is not the day's mean.
    IF step_ % 86400 = 0 THEN
        over_ := over_ - over_ % 86400;
    END IF;
    IF last_ > over_ THEN
        last_ := over_ - CASE WHEN p IS NOT NULL OR over_ % step_ * 10 < step_ THEN over_ % step_ ELSE 0 END;
    END IF;
    -- A rollup of ASes or interfaces together has no peaks within its buckets: finer ones are read for them.
    grain := CASE WHEN what <> 'peak' THEN step_ WHEN span > 40 * 86400 AND step_ % 3600 = 0 THEN 3600 WHEN step_ % 300 = 0 THEN 300 ELSE step_ END;
    -- A row that stands for more than the step, or for no part of it, is laid over the buckets that it reaches into.
    SELECT count(*) > 0 AS there, max(s.seconds) FILTER (WHERE s.begins = first_) AS first INTO coarse
    FROM lastfluss._pieces(to_timestamp(first_), $2, grain, false,
             lastfluss._sums(columns || CASE WHEN remotes IS NOT NULL THEN '{remote_asn}' ELSE '{}'::text[] END || CASE WHEN locals IS NOT NULL THEN '{local_asn}' ELSE '{}'::text[] END)) s WHERE step_ % s.seconds <> 0;
    IF coarse.there THEN
        spread := 'SELECT greatest(b, t) AS at, CASE WHEN $1 % r.seconds = 0 THEN 1 ELSE (least(b + $1, t + r.seconds) - greatest(b, t))::numeric / r.seconds END AS part'
                  ' FROM (SELECT date_part(''epoch'', r."time")::bigint AS t) e, generate_series(t / $1 * $1, t + CASE WHEN $1 % r.seconds = 0 THEN 0 ELSE r.seconds - 1 END, $1) AS b';
        part := ' * s.part';
        during := 's.at / $1 * $1 >= $2 AND s.at < $3';
    END IF;
    -- The first one may begin before the range.
    begins := to_timestamp(first_ - coalesce(first_ % coarse.first, 0));
    IF coarse.first IS NOT NULL THEN
        listed := begins;
    END IF;
    names := lastfluss._graph_names($6, $7, listed, $2);
    rows := format('SELECT r."time", r.iface, r.ingress, r.family, r.remote_asn, r.local_asn, r.bytes, r.packets, r.flows, r.peak, r.seconds FROM (%s) r',
                   lastfluss._rows(begins, $2, grain, names, remotes, locals, CASE WHEN grain < step_ THEN shown END, by_columns => columns || '{ingress}', grouped => false));
    IF grain < step_ AND shown IS NOT NULL THEN
        -- Of the other direction it matters only which series it has.
        rows := format('%s UNION ALL SELECT r."time", r.iface, r.ingress, r.family, r.remote_asn, r.local_asn, r.bytes, r.packets, r.flows, NULL::real, r.seconds FROM (%s) r',
                       rows, lastfluss._rows(begins, $2, step_, names, remotes, locals, NOT shown, by_columns => columns || '{ingress}', grouped => false));
    END IF;
    IF $4 LIKE '%asn' THEN
        -- There are many ASes: first the list, then the rows of those; all the others are what is left of the whole.
        EXECUTE format('SELECT coalesce(array_agg(l.asn ORDER BY l.place) FILTER (WHERE l.asn IS NOT NULL), ''{}''), coalesce(bool_or(l.bytes > 0) FILTER (WHERE l.asn IS NULL), false)'
                       ' FROM unnest((SELECT lastfluss._largest(r.%1$I, r.ingress, r.bytes, $1) FROM (%2$s) r)) WITH ORDINALITY l(asn, apart, rest, bytes, place)',
                       columns[1], lastfluss._rows(listed, $2, NULL, names, remotes, locals, by_columns => columns, grouped => false))
        INTO top, others USING greatest($10, 0);
        keys := 'SELECT u::text AS key FROM unnest($6) u UNION ALL SELECT NULL WHERE $7';
        rows := format('SELECT r."time", r.ingress, r.%2$I AS asn, r.bytes, r.packets, r.flows, r.peak, r.seconds FROM (%1$s) r'
                       ' UNION ALL SELECT r."time", r.ingress, NULL, r.bytes, r.packets, r.flows, r.peak, r.seconds FROM (%3$s) r',
                       CASE columns[1] WHEN 'remote_asn' THEN lastfluss._rows(begins, $2, grain, names, top, locals, shown, by_columns => '{remote_asn,ingress}', grouped => false)
                                       ELSE lastfluss._rows(begins, $2, grain, names, remotes, top, shown, by_columns => '{local_asn,ingress}', grouped => false) END,
                       columns[1], lastfluss._rows(begins, $2, grain, names, remotes, locals, shown, by_columns => '{ingress}', grouped => false));
        IF p IS NULL AND what <> 'peak' AND NOT coarse.there THEN
            -- Sums are taken from one another, which is less work than to do so with rows.
            cell := format('WITH summed AS MATERIALIZED (SELECT date_part(''epoch'', r."time")::bigint / $1 * $1 AS at, r.ingress, r.asn, sum(r.%1$I) AS amount FROM (%2$s) r WHERE %3$s GROUP BY 1, 2, 3)'
                           ' SELECT s.at, s.ingress, s.asn::text AS key, NULL::bigint AS speed, s.amount AS %1$I FROM summed s WHERE s.asn IS NOT NULL'
                           ' UNION ALL SELECT s.at, s.ingress, NULL, NULL, sum(CASE WHEN s.asn IS NULL THEN s.amount ELSE -s.amount END) FROM summed s GROUP BY 1, 2',
                           CASE WHEN what IN ('packets', 'flows') THEN what ELSE 'bytes' END, rows, during);
        END IF;
        rows := format('SELECT r."time", NULL::text AS iface, r.ingress, NULL::smallint AS family, o.asn AS remote_asn, o.asn AS local_asn,'
                       ' o.sign * r.bytes AS bytes, o.sign * r.packets AS packets, o.sign * r.flows AS flows, o.sign * r.peak AS peak, r.seconds'
                       ' FROM (%s) r CROSS JOIN LATERAL (SELECT r.asn, 1 UNION ALL SELECT NULL, -1 WHERE r.asn IS NOT NULL) AS o(asn, sign)', rows);
    END IF;
    IF what = 'share' THEN
        whole := format('SELECT s.at / $1 * $1 AS at, r.ingress, sum(r.bytes%s) AS bytes FROM (%s) r CROSS JOIN LATERAL (%s) s WHERE s.at < $3 GROUP BY 1, 2',
                        part, lastfluss._rows(begins, $2, step_, names, by_columns => '{ingress}', grouped => false), spread);
    END IF;
    IF lastfluss._is_distributed(health) THEN
        running := lastfluss._citus_rows(health, format('SELECT extract(epoch FROM "time")::bigint / %1$s * %1$s FROM %2$s'
                                                        ' WHERE host IS NULL AND "time" >= to_timestamp(%3$s) AND "time" < to_timestamp(%4$s) GROUP BY 1', step_, health, first_, last_), 'at bigint');
    ELSIF health IS NOT NULL THEN
        -- Of each bucket the first row that is found is enough.  The whole range: partitions beside it need no plan.
        running := format('SELECT b.at FROM generate_series($2, $3 - 1, $1) AS b(at) WHERE EXISTS (SELECT FROM %s h'
                          ' WHERE h.host IS NULL AND h."time" >= to_timestamp(b.at) AND h."time" < to_timestamp(least(b.at + $1, $3))'
                          ' AND h."time" >= to_timestamp(%s) AND h."time" < to_timestamp(%s))', health, first_, last_);
    END IF;

    IF p IS NOT NULL THEN
        RETURN QUERY EXECUTE format($$
WITH series AS MATERIALIZED (
    SELECT r.ingress, %1$s AS key, lastfluss._slots((r.bytes%5$s)::float8, (s.at - $2) / $1, 1, ($3 - $2) / $1) AS slots
    FROM (%2$s) r
    LEFT JOIN (%7$s) i ON i.name = r.iface
    CROSS JOIN LATERAL (%4$s) s
    WHERE %6$s
    GROUP BY 1, 2
), n AS (
    SELECT count(*) AS n
    FROM (SELECT $2 + (u.place - 1) * $1 FROM series s, unnest(s.slots) WITH ORDINALITY u(bytes, place) WHERE u.bytes IS NOT NULL UNION %3$s) o
), ranked AS (
    SELECT k.key, d.ingress, n.n, o.slots, ceil($5 * n.n)::bigint - n.n + coalesce(cardinality(o.slots), 0) AS place
    FROM (SELECT s.key FROM series s GROUP BY 1 HAVING s.key IS NOT NULL OR bool_or(lastfluss._lowest(s.slots, cardinality(s.slots)) > 0)) k
    CROSS JOIN (VALUES (true), (false)) d(ingress) CROSS JOIN n
    LEFT JOIN (SELECT s.key, s.ingress, array_remove(s.slots, NULL) AS slots FROM series s) o ON o.key IS NOT DISTINCT FROM k.key AND o.ingress = d.ingress
    WHERE d.ingress = $4 OR $4 IS NULL
)
SELECT t.at, $6 || CASE WHEN r.ingress THEN ' in' ELSE ' out' END, greatest(coalesce(lastfluss._lowest(r.slots, r.place), 0) * 8 / $1, 0)
FROM ranked r CROSS JOIN unnest($7) AS t(at) WHERE r.n > 0
ORDER BY 1, 2$$,
            key, rows, running, spread, part, during, interfaces)
        USING step_, first_, last_, shown, p, what, ARRAY[$1, least($2, now())];
        RETURN;
    END IF;

    IF what = 'peak' AND NOT coarse.there THEN
        -- The aggregate has the buckets, which is less work than a group for each of them.
        cell := format('SELECT $2 + (u.place - 1) * $1 AS at, p.ingress, p.key, NULL::bigint AS speed, NULL::numeric AS bytes, u.peak'
                       ' FROM (SELECT r.ingress, %1$s AS key, lastfluss._peaks(r.peak, r."time", $2, $1, ($3 - $2 + $1 - 1) / $1) AS peaks'
                       ' FROM (%2$s) r LEFT JOIN (%3$s) i ON i.name = r.iface WHERE %4$s GROUP BY 1, 2) p'
                       ' CROSS JOIN LATERAL unnest(p.peaks) WITH ORDINALITY u(peak, place) WHERE u.peak IS NOT NULL',
                       key, rows, interfaces, during);
    ELSIF cell IS NULL THEN
        cell := format('SELECT s.at / $1 * $1 AS at, r.ingress, %1$s AS key, max(i.speed) AS speed, sum(r.bytes%5$s) AS bytes%6$s'
                       ' FROM (%2$s) r LEFT JOIN (%3$s) i ON i.name = r.iface CROSS JOIN LATERAL (%7$s) s WHERE %4$s GROUP BY 1, 2, 3',
                       key, rows, interfaces, during, part,
                       CASE what WHEN 'packets' THEN format(', sum(r.packets%s) AS packets', part) WHEN 'flows' THEN format(', sum(r.flows%s) AS flows', part)
                                 WHEN 'peak' THEN ', lastfluss._peak(r.peak, r."time") AS peak' ELSE '' END, spread);
    END IF;
    RETURN QUERY EXECUTE format($$
WITH cell AS MATERIALIZED (
    %1$s
), k AS MATERIALIZED (
    SELECT k.key, %2$s AS label
    FROM (%3$s) k
), whole AS (
    %4$s
), given AS (
    SELECT c.at, c.ingress, c.key, greatest((%5$s)::float8, 0) AS amount
    FROM cell c LEFT JOIN whole w ON w.at = c.at AND w.ingress = c.ingress
    WHERE c.ingress = $4 OR $4 IS NULL
), running AS (
    SELECT at FROM cell UNION %6$s
)
-- Who collected and saw nothing has seen 0; where nobody did, there is no value.
SELECT to_timestamp(b.at), k.label || CASE WHEN d.ingress THEN ' in' ELSE ' out' END, coalesce(g.amount, CASE WHEN n.at IS NOT NULL THEN 0 END)
FROM generate_series($2, $3 - 1, $1) AS b(at) LEFT JOIN running n ON n.at = b.at
CROSS JOIN k CROSS JOIN (VALUES (true), (false)) AS d(ingress)
LEFT JOIN given g ON g.at = b.at AND g.ingress = d.ingress AND coalesce(g.key, '') = coalesce(k.key, '')
WHERE d.ingress = $4 OR $4 IS NULL
ORDER BY 1, 2$$,
        cell, label, keys, whole, amount, running)
    USING step_, first_, last_, shown, what, top, others;
END;
$_$;
COMMENT ON FUNCTION lastfluss.graph(timestamptz, timestamptz, interval, text, text, text[], text[], bigint, bigint, integer, text) IS
'series to draw, for Grafana: a row for each bucket, series and direction, in the order of time.
since, until, step: as in lastfluss.traffic(). by: total, interface, role, role and interface, family, remote asn or local asn. direction: in, out, not in, not out; null: both. iface, role, remote_asn, local_asn: only this traffic; role none is that of interfaces without one, and of those that are not configured (any more). n: how many ASes have series of their own, by their bytes in the range; the others are one. measure: bandwidth; peak (the largest mean in the bucket: of intervals, of five minutes where rollups serve them, or of hours in more than 40 days); packets and flows per second; utilisation (of the speed, with by interface or role and interface, where it is known); share (of the traffic of these interfaces in this direction); or a percentile, such as 95th percentile: of slots of five minutes, or hours in more than 40 days, at both ends of the range.
metric: what it is, then in or out. value: 0 in buckets without such traffic in which the collector ran (traffic_health) or had other traffic of what is asked for; null where it did not run. Rows that are coarser than the step, as retention has left them, are laid over their buckets evenly.
The bucket that runs is as long as its intervals that are over (their end and the setting window have passed): its value is the mean of these, so that the end of a graph does not drop, and it is left out while they are less than a tenth of the step; with a step of days only whole ones (UTC) count. What comes later is in lastfluss.live';

CREATE FUNCTION lastfluss.graph_interfaces(since timestamptz, until timestamptz, role text[] DEFAULT NULL, iface text[] DEFAULT NULL,
    remote_asn bigint DEFAULT NULL,
    OUT interface text, OUT belongs_to text, OUT speed bigint, OUT "in" double precision, OUT "out" double precision,
    OUT peak_in double precision, OUT peak_out double precision, OUT utilisation_in double precision, OUT utilisation_out double precision,
    OUT bytes_in bigint, OUT bytes_out bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    until_  timestamptz := least($2, to_timestamp(lastfluss._graph_over()));
    step_   bigint := least(lastfluss._step(until_ - $1, NULL), lastfluss._step(NULL, CASE WHEN until_ - $1 > CASE WHEN $5 IS NULL THEN interval '40 days' ELSE '2 days' END THEN interval '1 hour' ELSE '5 min' END));
    begins  timestamptz := lastfluss._graph_begins($1, until_, step_, lastfluss._sums(CASE WHEN $5 IS NULL THEN '{}' ELSE '{remote_asn}' END::text[]));
    names   text[] := lastfluss._graph_names($4, $3, begins, until_);
    remotes bigint[] := CASE WHEN $5 IS NOT NULL THEN ARRAY[$5] END;
BEGIN
    RETURN QUERY EXECUTE format($$
WITH total AS (
    SELECT r.iface, least(coalesce(sum(r.bytes) FILTER (WHERE r.ingress), 0), 9223372036854775807)::bigint AS bytes_in, least(coalesce(sum(r.bytes) FILTER (WHERE NOT r.ingress), 0), 9223372036854775807)::bigint AS bytes_out
    FROM (%1$s) r GROUP BY 1
), peak AS (
    SELECT r.iface, lastfluss._peak(r.peak, r."time") FILTER (WHERE r.ingress) AS peak_in, lastfluss._peak(r.peak, r."time") FILTER (WHERE NOT r.ingress) AS peak_out
    FROM (%2$s) r GROUP BY 1
)
SELECT coalesce(t.iface, 'unknown'), coalesce(i.role, 'none'), i.speed, t.bytes_in * 8.0 / $1, t.bytes_out * 8.0 / $1, coalesce(p.peak_in, 0), coalesce(p.peak_out, 0),
       t.bytes_in * 8.0 / $1 / i.speed, t.bytes_out * 8.0 / $1 / i.speed, t.bytes_in, t.bytes_out
FROM total t LEFT JOIN peak p ON p.iface IS NOT DISTINCT FROM t.iface LEFT JOIN lastfluss._graph_interfaces() i ON i.name = t.iface
ORDER BY t.bytes_in::numeric + t.bytes_out DESC, 1$$,
        lastfluss._graph_rows($1, until_, names, remotes, by_columns => '{iface,ingress}'),
        lastfluss._rows(begins, until_, step_, names, remotes, by_columns => '{iface,ingress}', grouped => false))
    USING extract(epoch FROM until_ - $1)::float8;
END;
$_$;
COMMENT ON FUNCTION lastfluss.graph_interfaces(timestamptz, timestamptz, text[], text[], bigint) IS
'a row for each interface with traffic in a range: mean and largest bandwidth in bit/s, the mean as a part of the speed, and the bytes of the intervals that begin in the range and are over, as in lastfluss.graph(); the mean is that until then. Of rows that retention has left and that reach beyond the range, a part is counted. role, iface, remote_asn: only this traffic; null: all. Peaks are the largest means, as in lastfluss.graph(); of an AS they are those of hours in more than 2 days';

CREATE FUNCTION lastfluss.graph_top(since timestamptz, until timestamptz, by text, n integer, iface text[] DEFAULT NULL,
    OUT rank integer, OUT asn bigint, OUT name text, OUT country text, OUT "in" double precision, OUT "out" double precision,
    OUT bytes_in bigint, OUT bytes_out bigint, OUT share double precision, OUT label text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    until_ timestamptz := least($2, to_timestamp(lastfluss._graph_over()));
BEGIN
    IF $3 IS NULL OR $3 NOT IN ('remote asn', 'local asn') THEN
        RAISE EXCEPTION 'there is no list by this: %', coalesce('"' || $3 || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give remote asn or local asn.';
    END IF;
    RETURN QUERY EXECUTE format($$
WITH shown AS (
    SELECT CASE WHEN l.asn IS NOT NULL THEN l.place END AS place, l.asn, l.bytes_in, l.bytes_out, l.bytes_in + l.bytes_out AS bytes
    FROM unnest((SELECT lastfluss._largest(r.%1$I, r.ingress, r.bytes, $1) FROM (%2$s) r)) WITH ORDINALITY l(asn, bytes_in, bytes_out, bytes, place)
    WHERE l.bytes_in + l.bytes_out > 0
)
SELECT s.place::integer, s.asn, CASE WHEN s.asn IS NULL THEN 'all the others' ELSE lastfluss._asn_name(s.asn) END, lastfluss._asn_country(s.asn),
       s.bytes_in::float8 * 8 / $2, s.bytes_out::float8 * 8 / $2, least(s.bytes_in, 9223372036854775807)::bigint, least(s.bytes_out, 9223372036854775807)::bigint, (s.bytes / sum(s.bytes) OVER ())::float8,
       CASE WHEN s.asn IS NOT NULL THEN lastfluss._graph_asn(NULL, s.asn) END
FROM shown s ORDER BY 1 NULLS LAST$$,
        replace($3, ' ', '_'), lastfluss._graph_rows($1, until_, $5, by_columns => ARRAY[replace($3, ' ', '_'), 'ingress']))
    USING greatest($4, 0), extract(epoch FROM until_ - $1)::float8;
END;
$_$;
COMMENT ON FUNCTION lastfluss.graph_top(timestamptz, timestamptz, text, integer, text[]) IS
'the ASes with the most bytes in a range, remote asn or local asn, and a last row for all the others: mean bandwidth in bit/s, bytes, and the part of all traffic, of the range as in lastfluss.graph_interfaces(). iface: only this traffic; null: all. lastfluss.top_asns() is the same to read';

CREATE FUNCTION lastfluss._graph_search(search text, OUT asn bigint)
RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.asn FROM lastfluss.asn a
    WHERE a.asn::text LIKE regexp_replace($1, '^as', '', 'i') || '%' OR strpos(lower(a.name), lower($1)) > 0
    ORDER BY a.asn LIMIT 10000;
$$;
COMMENT ON FUNCTION lastfluss._graph_search(text) IS 'ASes whose number begins so, or whose name has this';

CREATE FUNCTION lastfluss.graph_search(search text, since timestamptz, until timestamptz, OUT asn bigint, OUT label text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    wanted text := btrim(coalesce($1, ''));
    number text := substring(wanted FROM '(?i)^(?:as)?\s*(\d{1,10})$');
    found  bigint[];
BEGIN
    IF wanted <> '' THEN
        found := ARRAY(SELECT s.asn FROM lastfluss._graph_search(wanted) s);
        -- A number need not have a name.
        IF number::bigint <= 4294967295 AND number::bigint <> ALL (found) THEN
            found := found || number::bigint;
        END IF;
    END IF;
    RETURN QUERY EXECUTE format($$
WITH summed AS (
    SELECT r.remote_asn AS asn, sum(r.bytes) AS bytes FROM (%s) r WHERE r.remote_asn IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200
)
SELECT a.asn, lastfluss._graph_asn(NULL, a.asn)
FROM (SELECT s.asn, s.bytes FROM summed s UNION ALL SELECT f, 0 FROM unnest($1) f WHERE f NOT IN (SELECT s.asn FROM summed s)) a
ORDER BY a.asn <> $2 NULLS LAST, a.bytes DESC, 1 LIMIT 200$$,
        lastfluss._graph_rows($2, $3, NULL, found, by_columns => '{remote_asn}'))
    USING found, number::bigint;
END;
$_$;
COMMENT ON FUNCTION lastfluss.graph_search(text, timestamptz, timestamptz) IS
'ASes to choose from: those whose number begins as told, with or without AS, or whose name has the text, at most 200; first the very number, then those with the most bytes in the range. Empty: of all';

CREATE FUNCTION lastfluss.graph_peering(since timestamptz, until timestamptz, n integer DEFAULT 20,
    OUT rank integer, OUT asn bigint, OUT name text, OUT label text, OUT transit double precision, OUT peering double precision, OUT transit_share double precision)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    until_ timestamptz := least($2, to_timestamp(lastfluss._graph_over()));
BEGIN
    RETURN QUERY EXECUTE format($$
SELECT l.place::integer, l.asn, lastfluss._asn_name(l.asn), lastfluss._graph_asn(NULL, l.asn),
       l.transit::float8 * 8 / $2, (l.bytes::float8 - l.transit::float8) * 8 / $2, l.transit::float8 / nullif(l.bytes::float8, 0)
FROM unnest((SELECT lastfluss._largest(r.remote_asn, r.iface = ANY ($3), r.bytes, $1) FROM (%s) r WHERE r.remote_asn > 0))
     WITH ORDINALITY l(asn, transit, peering, bytes, place)
WHERE l.asn IS NOT NULL AND l.bytes > 0
ORDER BY 1$$,
        lastfluss._graph_rows($1, until_, lastfluss._graph_names(NULL, '{transit,ixp,pni}', $1, until_), by_columns => '{iface,remote_asn}'))
    USING greatest($3, 0), extract(epoch FROM until_ - $1)::float8, ARRAY(SELECT i.name FROM lastfluss._graph_interfaces() i WHERE i.role = 'transit');
END;
$_$;
COMMENT ON FUNCTION lastfluss.graph_peering(timestamptz, timestamptz, integer) IS
'how the largest ASes are reached: mean bandwidth in bit/s by transit and by peering (roles ixp and pni), both directions, and the part of transit';

CREATE FUNCTION lastfluss.graph_billing(month date, iface text[] DEFAULT NULL, percent double precision DEFAULT 95,
    OUT interface text, OUT "in" double precision, OUT "out" double precision, OUT billed double precision, OUT speed bigint, OUT utilisation double precision)
RETURNS SETOF record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.iface, max(p.percentile) FILTER (WHERE p.ingress), max(p.percentile) FILTER (WHERE NOT p.ingress),
           max(p.percentile), min(i.speed), max(p.percentile) / min(i.speed)
    FROM lastfluss.percentile(NULL, $1, $3 / 100) p LEFT JOIN lastfluss._graph_interfaces() i ON i.name = p.iface
    WHERE p.iface = ANY ($2) OR $2 IS NULL
    GROUP BY 1 ORDER BY 1;
$$;
COMMENT ON FUNCTION lastfluss.graph_billing(date, text[], double precision) IS
'the percentile of a month for each interface (lastfluss.percentile()), and the larger of the two directions, also as a part of the speed';

CREATE FUNCTION lastfluss.graph_health(since timestamptz, until timestamptz, step interval,
    OUT "time" timestamptz, OUT host text, OUT datagrams double precision, OUT records double precision, OUT lost double precision,
    OUT dropped double precision, OUT undecoded double precision, OUT unmatched double precision, OUT unknown_sampling double precision, OUT late_bytes double precision)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    step_  bigint := lastfluss._step(least($2, now()) - $1, $3);
    last_  bigint := ceil(extract(epoch FROM least($2, now())) / step_) * step_;
    over_  bigint := lastfluss._graph_over(false);
    health regclass := lastfluss._health_table();
BEGIN
    IF health IS NULL THEN
        RETURN;
    END IF;
    IF step_ % 86400 = 0 THEN
        over_ := over_ - over_ % 86400;
    END IF;
    IF last_ > over_ THEN
        last_ := over_ - CASE WHEN over_ % step_ * 10 < step_ THEN over_ % step_ ELSE 0 END;
    END IF;
    RETURN QUERY EXECUTE format($$
WITH exact AS MATERIALIZED (
    SELECT date_part('epoch', h."time")::bigint / $1 * $1 AS at, h.host,
           sum(h.datagrams) AS datagrams, sum(h.records) AS records, sum(h.lost) AS lost, sum(h.dropped) AS dropped, sum(h.undecoded) AS undecoded,
           sum(h.unmatched) AS unmatched, sum(h.unknown_sampling) AS unknown_sampling, sum(h.late_bytes) AS late_bytes
    FROM %s h WHERE h."time" >= to_timestamp($2) AND h."time" < to_timestamp($3) GROUP BY 1, 2
), seen AS (
    SELECT e.*, coalesce(host(e.host), 'collector') AS name FROM exact e
)
SELECT to_timestamp(b.at), n.name, s.datagrams::float8 / b.seconds, s.records::float8 / b.seconds, s.lost::float8 / b.seconds, s.dropped::float8 / b.seconds,
       s.undecoded::float8 / b.seconds, s.unmatched::float8 / b.seconds, s.unknown_sampling::float8 / b.seconds, s.late_bytes::float8 / b.seconds
FROM (SELECT g.at, least($1, $3 - g.at) AS seconds FROM generate_series($2, $3 - 1, $1) AS g(at)) b CROSS JOIN (SELECT DISTINCT seen.name FROM seen) n LEFT JOIN seen s ON s.at = b.at AND s.name = n.name
ORDER BY 1, 2$$, health)
    USING step_, (floor(extract(epoch FROM $1) / step_) * step_)::bigint, last_;
END;
$_$;
COMMENT ON FUNCTION lastfluss.graph_health(timestamptz, timestamptz, interval) IS
'traffic_health in buckets of a step, per second: a row for each bucket and host (collector: the row without a host); null where nothing was noted. The bucket that runs is as long as its intervals that are over and written, as in lastfluss.graph()';

CREATE FUNCTION lastfluss._silent_until() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN s.state IN ('collecting', 'cannot write') THEN s.since ELSE now() END FROM lastfluss.status s;
$$;
COMMENT ON FUNCTION lastfluss._silent_until() IS
'until when nobody has collected since the last interval that was noted: the start of the collector; now, where it does not collect';

CREATE FUNCTION lastfluss.losses(since timestamptz, until timestamptz, step interval,
    OUT "time" timestamptz, OUT time_end timestamptz, OUT text text, OUT tags text)
RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '64MB'
AS $_$
#variable_conflict use_column
DECLARE
    step_  bigint := lastfluss._step(least($2, now()) - $1, $3);
    health regclass := lastfluss._health_table();
    first_ bigint := floor(extract(epoch FROM $1) / step_) * step_;
    last_  bigint := ceil(extract(epoch FROM least($2, now())));
    noted  text := format('%s h', health);
    before text := format('EXISTS (SELECT FROM %s h WHERE h."time" < to_timestamp($2))', health);
    later  text := format('EXISTS (SELECT FROM %s h WHERE h."time" >= to_timestamp($3))', health);
    period interval := coalesce((SELECT make_interval(secs => s.seconds) FROM lastfluss._sources() s WHERE s.kind = 'table'), '1 min');
BEGIN
    IF health IS NULL THEN
        RETURN;
    END IF;
    IF lastfluss._is_distributed(health) THEN
        noted := format('(%s) h', lastfluss._citus_rows(health,
            format('SELECT "time", host, lost, dropped, undecoded FROM %s WHERE "time" >= to_timestamp(%s) AND "time" < to_timestamp(%s)', health, first_, last_),
            '"time" timestamptz, host inet, lost bigint, dropped bigint, undecoded bigint'));
        EXECUTE format('SELECT (min("time") < to_timestamp(%s))::text, (max("time") >= to_timestamp(%s))::text FROM %s', first_, last_, health) INTO before, later;
        before := coalesce(before, 'false');
        later := coalesce(later, 'false');
    END IF;
    RETURN QUERY EXECUTE format($$
WITH seen AS (
    SELECT extract(epoch FROM h."time")::bigint / $1 * $1 AS at, greatest(sum(h.lost), 0) AS lost, sum(h.dropped) AS dropped, sum(h.undecoded) AS undecoded,
           string_agg(DISTINCT host(h.host), ', ') FILTER (WHERE h.lost > 0 OR h.undecoded > 0) AS hosts
    FROM %1$s WHERE h."time" >= to_timestamp($2) AND h."time" < to_timestamp($3) GROUP BY 1
), noted AS (
    SELECT CASE WHEN %2$s THEN $2 ELSE (SELECT min(at) FROM seen) END AS first,
           (SELECT max(at) FROM seen) AS newest, %3$s AS later,
           (SELECT max(h."time") FROM %1$s WHERE h."time" >= to_timestamp($2) AND h."time" < to_timestamp($3)) AS newest_time
), bounds AS (
    -- What is behind the newest interval may be on its way, until it is late, or the collector was started after it.
    SELECT n.first, CASE WHEN n.later THEN $3 - 1
                         WHEN n.newest_time + 2 * $4 < least($5, $6) OR n.newest IS NULL
                         THEN greatest(n.newest, CASE WHEN $5 < now() THEN floor(extract(epoch FROM $5))::bigint - $1 ELSE $3 - 1 END)
                         ELSE n.newest END AS last
    FROM noted n
), bucket AS (
    SELECT b.at, s.lost, s.dropped, s.undecoded, s.hosts,
           CASE WHEN s.at IS NULL THEN 'gap' WHEN s.lost > 0 OR s.dropped > 0 OR s.undecoded > 0 THEN 'loss' END AS kind
    FROM (SELECT generate_series(first, least(last, $3 - 1), $1) AS at FROM bounds) b LEFT JOIN seen s ON s.at = b.at
), island AS (
    SELECT k.*, k.at - row_number() OVER (PARTITION BY k.kind ORDER BY k.at) * $1 AS island FROM bucket k WHERE k.kind IS NOT NULL
)
SELECT to_timestamp(min(at)), least(to_timestamp(max(at) + $1), now()),
       CASE kind WHEN 'gap' THEN 'nobody collected'
                 ELSE concat_ws(', ', nullif(sum(lost), 0) || ' lost', nullif(sum(dropped), 0) || ' dropped by the kernel', nullif(sum(undecoded), 0) || ' not decoded')
                      || coalesce(' (' || (SELECT string_agg(DISTINCT x, ', ') FROM unnest(array_agg(hosts)) x) || ')', '') END,
       kind
FROM island GROUP BY kind, island ORDER BY 1$$, noted, before, later)
    USING step_, first_, last_, period,
        lastfluss._silent_until(), lastfluss._over();
END;
$_$;
COMMENT ON FUNCTION lastfluss.losses(timestamptz, timestamptz, interval) IS
'when data was lost, for annotations of graphs: loss (datagrams or records that were lost, dropped or could not be decoded, as traffic_health has them) and gap (nothing was noted: the collector did not run; up to now, where it still does not), in buckets of a step, those in a row together';

CREATE FUNCTION lastfluss._shade(color text, part double precision) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '#' || string_agg(lpad(to_hex(round(c + (235 - c) * $2)::integer), 2, '0'), '' ORDER BY i)
    FROM (SELECT i, get_byte(decode(substr($1, 2), 'hex'), i) AS c FROM generate_series(0, 2) i) channel;
$$;
COMMENT ON FUNCTION lastfluss._shade(text, double precision) IS 'a lighter shade of a colour: part 0 is the colour itself, 1 is nearly white';

CREATE FUNCTION lastfluss._dashboard_panel(id integer, title text, description text, grid jsonb, filter text, overrides jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $_$
    SELECT jsonb_build_object(
        'id', $1, 'type', 'timeseries', 'title', $2, 'description', coalesce($3, ''), 'gridPos', $4, 'interval', '1m', 'maxDataPoints', 360,
        'datasource', source.ref,
        'targets', (SELECT jsonb_agg(jsonb_build_object('refId', t.ref, 'datasource', source.ref, 'format', 'time_series', 'rawQuery', true, 'editorMode', 'code',
                        'rawSql', format(E'SELECT time, metric, value\nFROM lastfluss.graph($__timeFrom(), $__timeTo(), ''$__interval'', by => ''interface'', %s, direction => ''%s'')\nORDER BY 1, 2',
                                         $5, t.direction)) ORDER BY t.ref)
                    FROM (VALUES ('A', '$above'), ('B', 'not $above')) t(ref, direction)),
        'fieldConfig', jsonb_build_object(
            'defaults', jsonb_build_object('unit', 'bps', 'color', jsonb_build_object('mode', 'palette-classic'), 'mappings', '[]'::jsonb,
                'thresholds', '{"mode": "absolute", "steps": [{"value": null, "color": "green"}]}'::jsonb,
                'custom', '{"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 70, "gradientMode": "none",
                            "showPoints": "never", "pointSize": 4, "spanNulls": false, "insertNulls": false, "barAlignment": 0,
                            "stacking": {"mode": "normal", "group": "A"}, "axisPlacement": "auto", "axisLabel": "", "axisColorMode": "text",
                            "axisBorderShow": false, "axisCenteredZero": false, "scaleDistribution": {"type": "linear"},
                            "hideFrom": {"legend": false, "tooltip": false, "viz": false}, "thresholdsStyle": {"mode": "off"}}'::jsonb),
            'overrides', '[{"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": [{"id": "custom.transform", "value": "negative-Y"}]}]'::jsonb || $6),
        'options', '{"legend": {"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["mean", "max"]},
                     "tooltip": {"mode": "multi", "sort": "desc"}}'::jsonb)
    FROM (SELECT '{"type": "grafana-postgresql-datasource", "uid": "${datasource}"}'::jsonb AS ref) source;
$_$;
COMMENT ON FUNCTION lastfluss._dashboard_panel(integer, text, text, jsonb, text, jsonb) IS 'part of dashboard(): a panel as those of dashboards/';

CREATE FUNCTION lastfluss.dashboard(name text) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $_$
DECLARE
    panels    jsonb := '[]';
    overrides jsonb;
    place     integer := 0;
    part      record;
BEGIN
    IF $1 IS DISTINCT FROM 'interfaces' THEN
        RAISE EXCEPTION 'there is no dashboard % to generate', coalesce('"' || $1 || '"', 'null')
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Give interfaces; the other dashboards do not depend on the configuration, and are files.';
    END IF;

    -- An interface has its own colour, or a shade of its role's.
    SELECT coalesce(jsonb_agg(jsonb_build_object('matcher', jsonb_build_object('id', 'byRegexp', 'options', format('/^%s (in|out)$/', regexp_replace(i.name, '([^[:alnum:] _])', '\\\1', 'g'))),
                              'properties', jsonb_build_array(jsonb_build_object('id', 'color', 'value',
                                  jsonb_build_object('mode', 'fixed', 'fixedColor', coalesce(i.color, lastfluss._shade(lastfluss._role_color(i.role), i.shade)))))) ORDER BY i.role, i.name), '[]')
    INTO overrides
    FROM (SELECT g.*, 0.7 * (row_number() OVER (PARTITION BY g.role ORDER BY g.name) - 1) / count(*) OVER (PARTITION BY g.role) AS shade
          FROM lastfluss._graph_interfaces() g) i;

    panels := panels || lastfluss._dashboard_panel(1, 'All interfaces ($above above)', NULL, '{"x": 0, "y": 0, "w": 24, "h": 11}', 'role => NULL', overrides);
    FOR part IN
        SELECT g.role, count(*) AS interfaces FROM lastfluss._graph_interfaces() g GROUP BY 1 ORDER BY 1
    LOOP
        panels := panels || lastfluss._dashboard_panel(2 + place, CASE WHEN part.role IN ('ixp', 'pni') THEN upper(part.role) ELSE upper(left(part.role, 1)) || substr(part.role, 2) END || ' ($above above)', format('%s interfaces', part.interfaces),
            jsonb_build_object('x', 12 * (place % 2), 'y', 11 + 9 * (place / 2), 'w', 12, 'h', 9),
            format('role => ARRAY[%L]', part.role), overrides);
        place := place + 1;
    END LOOP;

    RETURN jsonb_build_object(
        'uid', 'lastfluss-generated', 'title', 'Interfaces by role', 'description', 'Generated by lastfluss.dashboard(''interfaces'') from the configuration.',
        'tags', '["lastfluss"]'::jsonb, 'schemaVersion', 42, 'version', 1, 'editable', true, 'graphTooltip', 1, 'timezone', 'browser',
        'fiscalYearStartMonth', 0, 'refresh', '1m', 'time', '{"from": "now-24h", "to": "now"}'::jsonb, 'timepicker', '{}'::jsonb,
        'links', '[{"type": "dashboards", "title": "Lastfluss", "tags": ["lastfluss"], "icon": "external link", "tooltip": "", "url": "",
                    "asDropdown": true, "includeVars": false, "keepTime": true, "targetBlank": false}]'::jsonb,
        'templating', '{"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": "grafana-postgresql-datasource", "regex": "", "refresh": 1,
             "current": {"text": "", "value": ""}, "options": [], "hide": 0, "includeAll": false, "multi": false},
            {"type": "custom", "name": "above", "label": "Above the axis", "query": "in : in,out : out", "hide": 0, "includeAll": false, "multi": false,
             "current": {"text": "in", "value": "in"},
             "options": [{"text": "in", "value": "in", "selected": true}, {"text": "out", "value": "out", "selected": false}]}]}'::jsonb,
        'annotations', jsonb_build_object('list', jsonb_build_array(jsonb_build_object(
            'name', 'Data lost', 'enable', true, 'hide', false, 'iconColor', 'red',
            'datasource', '{"type": "grafana-postgresql-datasource", "uid": "${datasource}"}'::jsonb,
            'target', jsonb_build_object('refId', 'Anno', 'format', 'table', 'rawQuery', true, 'editorMode', 'code',
                'datasource', '{"type": "grafana-postgresql-datasource", "uid": "${datasource}"}'::jsonb,
                'rawSql', E'SELECT time, time_end AS timeend, text, tags\nFROM lastfluss.losses($__timeFrom(), $__timeTo(), ''$__interval'')\nORDER BY 1')))),
        'panels', panels);
END;
$_$;
COMMENT ON FUNCTION lastfluss.dashboard(text) IS
'a dashboard for Grafana, as JSON, of the configuration as it is: with interfaces, all interfaces, and those of each role, in their own colours or shades of their role''s. The others, and a data source, are files: dashboards/ and examples/grafana/';

CREATE FUNCTION lastfluss.grant_read(role regrole, live boolean DEFAULT true) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    answers constant text[] := ARRAY['traffic', 'top_asns', 'top_downstream_asns', 'asn_report', 'interface_report', 'percentile',
        'peering_candidates', 'plot', 'svg', '_sources', '_tables', '_over', '_own_asn', '_asn_name', '_interfaces', '_is_among', '_may_read',
        '_slots', '_peak', '_peaks', '_largest', '_less', '_lowest', '_step', '_pieces', '_sums', '_rows', '_traffic', '_begins', 'units', '_bar', '_interface_names', '_top', '_asn_report', '_percentile',
        '_is_distributed', '_citus_query', '_citus_rows', '_series', '_scale', '_ticks', '_cell', '_title', '_xml',
        '_role_color', '_graph_interfaces', '_graph_names', '_graph_over', '_graph_rows', '_graph_begins', '_health_table', '_graph_asn', '_asn_country', 'graph',
        'graph_interfaces', 'graph_top', '_graph_search', 'graph_search', 'graph_peering', 'graph_billing', 'graph_health',
        '_silent_until', 'losses', '_shade', '_dashboard_panel', 'dashboard'];
    relation text;
BEGIN
    IF NOT EXISTS (SELECT FROM lastfluss._tables()) THEN
        RAISE EXCEPTION 'there is no table of the traffic yet'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'The collector makes it some seconds after CREATE EXTENSION; lastfluss.doctor() says what keeps it from that.';
    END IF;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s',
        (SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
         WHERE p.pronamespace = 'lastfluss'::regnamespace AND p.proname = ANY (answers)), $1);
    IF $2 THEN
        EXECUTE format('GRANT SELECT ON lastfluss.live, lastfluss.site_interface TO %s', $1);
        EXECUTE format('GRANT EXECUTE ON FUNCTION lastfluss._live() TO %s', $1);
    END IF;
    -- Citus takes rights on schemas and tables from the coordinator to all nodes, and has them granted nowhere else.
    IF lastfluss._citus_follows() THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA lastfluss TO %s', $1);
    FOR relation IN SELECT t FROM lastfluss._tables() t LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', relation, $1);
    END LOOP;
    IF $2 THEN
        EXECUTE format('GRANT SELECT ON lastfluss.interface, lastfluss.asn TO %s', $1);
        IF lastfluss._health_table() IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON %s TO %s', lastfluss._health_table(), $1);
        END IF;
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.grant_read(regrole, boolean) IS
'lets a role ask: USAGE on the schema, EXECUTE on the answers and graphs, SELECT on the table of the traffic and its rollups (whoever may read the table gets that on rollups that are made later, too, unless it has row-level security), and with live on lastfluss.live, interface, site_interface, asn and traffic_health too. Not with live for a role that is to see a part only: policies of row-level security know nothing of live, and the table interface has all names';

/* Many sites: intervals from collectors at sites to a hub, by logical replication */

CREATE TABLE lastfluss._parcel (
    id         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    collector  text NOT NULL,
    "time"     timestamptz NOT NULL,
    period     integer NOT NULL,
    replaces   text,
    names      text[] NOT NULL,
    interfaces jsonb,
    iface      smallint[] NOT NULL,
    ingress    boolean[] NOT NULL,
    remote_asn bigint[] NOT NULL,
    local_asn  bigint[] NOT NULL,
    family     smallint[] NOT NULL,
    bytes      bigint[] NOT NULL,
    packets    bigint[] NOT NULL,
    flows      bigint[] NOT NULL
);
COMMENT ON TABLE lastfluss._parcel IS 'intervals on their way to a hub: a row is written and deleted in the transaction that writes traffic, so that only logical replication sees it; at a hub a trigger takes it instead of the table';
COMMENT ON SEQUENCE lastfluss._parcel_id_seq IS 'for lastfluss._parcel.id';
COMMENT ON COLUMN lastfluss._parcel.replaces IS 'null: rows beside others of that time; else in place of those whose interfaces'' names begin with it';
COMMENT ON COLUMN lastfluss._parcel.iface IS 'place in names, from 1 on; this and what follows are the columns of traffic';
COMMENT ON COLUMN lastfluss._parcel.interfaces IS 'what lastfluss.interface says of names';

CREATE TABLE lastfluss._subscription (
    name text PRIMARY KEY,
    site text,
    slot text NOT NULL
);
COMMENT ON TABLE lastfluss._subscription IS 'what lastfluss.subscribe() has made';
COMMENT ON COLUMN lastfluss._subscription.name IS 'of the subscription is lastfluss_ and this';
COMMENT ON COLUMN lastfluss._subscription.site IS 'what stands before interfaces'' names; null: the collector''s name. Of several collectors of a site one counts in each interval';

CREATE TABLE lastfluss._collector (
    name         text PRIMARY KEY,
    subscription text,
    site         text NOT NULL,
    period       integer NOT NULL,
    last_time    timestamptz NOT NULL,
    last_arrival timestamptz NOT NULL,
    parcels      bigint NOT NULL,
    rows         bigint NOT NULL
);
COMMENT ON TABLE lastfluss._collector IS 'collectors at sites, as they have told by what arrived';

CREATE TABLE lastfluss._rival (LIKE lastfluss._parcel);
ALTER TABLE lastfluss._rival ADD COLUMN site text NOT NULL, ADD COLUMN arrived timestamptz NOT NULL;
CREATE INDEX _rival_index ON lastfluss._rival (site, "time");
COMMENT ON TABLE lastfluss._rival IS 'what arrived within a day from collectors that a site has several of, to choose from';

CREATE TABLE lastfluss.site_interface (
    name      text PRIMARY KEY,
    collector text NOT NULL,
    roles     text[] NOT NULL,
    speed     bigint
);
COMMENT ON TABLE lastfluss.site_interface IS 'interfaces of the sites that this hub subscribes to, as they are configured there';
COMMENT ON COLUMN lastfluss.site_interface.name IS 'traffic.iface: the site, a slash, and the name there';
COMMENT ON COLUMN lastfluss.site_interface.collector IS 'setting collector of the one that has told it';
COMMENT ON COLUMN lastfluss.site_interface.speed IS 'bit/s, of all interfaces of that name together';

SELECT pg_catalog.pg_extension_config_dump('lastfluss._subscription', '');
SELECT pg_catalog.pg_extension_config_dump('lastfluss._collector', '');
SELECT pg_catalog.pg_extension_config_dump('lastfluss.site_interface', '');

CREATE VIEW lastfluss.collectors AS
SELECT c.name, c.site, c.subscription, s.subenabled AS enabled, EXISTS (SELECT FROM pg_catalog.pg_stat_subscription a WHERE a.subid = s.oid AND a.pid IS NOT NULL) AS connected,
       c.last_time AS last_interval, c.last_arrival, c.period, c.parcels, c.rows
FROM lastfluss._collector c
LEFT JOIN pg_catalog.pg_subscription s ON s.subname = 'lastfluss_' || c.subscription
    AND s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
UNION ALL
SELECT NULL, n.site, n.name, s.subenabled, EXISTS (SELECT FROM pg_catalog.pg_stat_subscription a WHERE a.subid = s.oid AND a.pid IS NOT NULL), NULL, NULL, NULL, 0, 0
FROM lastfluss._subscription n
LEFT JOIN pg_catalog.pg_subscription s ON s.subname = 'lastfluss_' || n.name
    AND s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
WHERE NOT EXISTS (SELECT FROM lastfluss._collector c WHERE c.subscription = n.name);
COMMENT ON VIEW lastfluss.collectors IS 'at a hub: the collectors that lastfluss.subscribe() has brought, and how far they are';
COMMENT ON COLUMN lastfluss.collectors.name IS 'setting collector there, traffic.collector here; null: nothing has arrived yet';
COMMENT ON COLUMN lastfluss.collectors.site IS 'what stands before the interfaces'' names here';
COMMENT ON COLUMN lastfluss.collectors.subscription IS 'its name for lastfluss.unsubscribe(); null: it was unsubscribed';
COMMENT ON COLUMN lastfluss.collectors.connected IS 'a process is connected to the site, or tries to';
COMMENT ON COLUMN lastfluss.collectors.last_interval IS 'start of the latest interval that has arrived';
COMMENT ON COLUMN lastfluss.collectors.parcels IS 'intervals that have arrived';
COMMENT ON COLUMN lastfluss.collectors.rows IS 'rows in these';

CREATE FUNCTION lastfluss._require_no_block(function text) RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_require_no_block' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._require_no_block(text) IS 'an error inside a transaction block';
CREATE FUNCTION lastfluss._create_slot(conninfo text, slot text) RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_create_slot' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._create_slot(text, text) IS 'makes a replication slot at a site';
CREATE FUNCTION lastfluss._drop_slot(conninfo text, slot text) RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_drop_slot' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._drop_slot(text, text) IS 'drops a replication slot at a site';
CREATE FUNCTION lastfluss._slot_name(name text) RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_slot_name' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._slot_name(text) IS 'the name of a subscription''s replication slot, told apart from that of another hub';
CREATE FUNCTION lastfluss._arrives_by() RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_arrives_by' LANGUAGE C;
COMMENT ON FUNCTION lastfluss._arrives_by() IS 'the subscription whose changes this process applies; null: none';
CREATE FUNCTION lastfluss._unpack(parcel lastfluss._parcel, site text) RETURNS bigint
AS 'MODULE_PATHNAME', 'lastfluss_unpack' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._unpack(lastfluss._parcel, text) IS 'writes the rows of a parcel into traffic, with the site before interfaces'' names; returns how many';
CREATE FUNCTION lastfluss._take_out(site text, "of" text, "time" timestamptz) RETURNS bigint
AS 'MODULE_PATHNAME', 'lastfluss_take_out' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._take_out(text, text, timestamptz) IS 'deletes from traffic what a site has at that time, as far as the interfaces'' names there begin with "of"; returns how many';
CREATE FUNCTION lastfluss._add_collector() RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_add_collector' LANGUAGE C;
COMMENT ON FUNCTION lastfluss._add_collector() IS 'gives traffic the column collector, if it lacks it';

CREATE FUNCTION lastfluss._parcel_interfaces(names text[]) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_agg(jsonb_build_object('name', i.name, 'roles', i.roles, 'speed', i.speed))
    FROM lastfluss._interfaces() i WHERE i.name = ANY ($1);
$$;
COMMENT ON FUNCTION lastfluss._parcel_interfaces(text[]) IS 'what is known of interfaces, for a parcel';

CREATE FUNCTION lastfluss._parcel_column(relation regclass, name text, type text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped)
           THEN 't.' || quote_ident($2) ELSE 'NULL::' || $3 END;
$$;
COMMENT ON FUNCTION lastfluss._parcel_column(regclass, text, text) IS 'a column of traffic for a parcel, or null where the table lacks it';

/* The site's side */

CREATE FUNCTION lastfluss.publish(collector text DEFAULT NULL) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text := coalesce($1, (SELECT s.value FROM lastfluss.settings s WHERE s.name = 'collector'));
BEGIN
    PERFORM lastfluss._require_collector();
    IF current_setting('wal_level') <> 'logical' THEN
        RAISE EXCEPTION 'wal_level is "%", and must be "logical"', current_setting('wal_level')
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Put wal_level = logical into postgresql.conf, and restart the server.';
    END IF;
    -- From now on it stays, whatever the host's name becomes.
    PERFORM lastfluss.set('collector', name);
    IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'lastfluss') THEN
        CREATE PUBLICATION lastfluss FOR TABLE lastfluss._parcel WITH (publish = 'insert');
        COMMENT ON PUBLICATION lastfluss IS 'intervals of lastfluss for its hubs';
    ELSIF NOT EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = 'lastfluss') THEN
        -- A dump has it without its table, which is the extension's.
        ALTER PUBLICATION lastfluss ADD TABLE lastfluss._parcel;
    ELSIF NOT EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = 'lastfluss' AND t.schemaname = 'lastfluss' AND t.tablename = '_parcel') THEN
        RAISE EXCEPTION 'there is a publication "lastfluss" of something else'
        USING ERRCODE = 'duplicate_object', HINT = 'ALTER PUBLICATION lastfluss RENAME TO ...;';
    END IF;
    RETURN name;
END;
$$;
COMMENT ON FUNCTION lastfluss.publish(text) IS
'at a site: offers what is collected from now on to hubs, which lastfluss.subscribe() there takes; returns the name that this collector has at a hub, the setting collector, which it sets.
Needs wal_level = logical, and for each hub one of max_replication_slots and max_wal_senders. While a hub cannot be reached, the server keeps the WAL for it: max_slot_wal_keep_size limits that, and lastfluss.publish_again() sends what is then missing';

CREATE FUNCTION lastfluss.unpublish() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slots text := (SELECT string_agg(s.slot_name, ', ') FROM pg_replication_slots s
                   WHERE s.plugin = 'pgoutput' AND s.database = current_database() AND s.slot_name LIKE 'lastfluss\_%');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = 'lastfluss' AND t.schemaname = 'lastfluss' AND t.tablename = '_parcel') THEN
        RAISE EXCEPTION 'nothing is published'
        USING ERRCODE = 'undefined_object', HINT = 'SELECT lastfluss.publish(); offers what is collected to hubs.';
    END IF;
    IF slots IS NOT NULL THEN
        RAISE EXCEPTION 'hubs subscribe to what is published'
        USING ERRCODE = 'object_in_use', DETAIL = format('Replication slots: %s.', slots),
              HINT = 'SELECT lastfluss.unsubscribe(...) there; of a hub that is gone: SELECT pg_drop_replication_slot(...) here.';
    END IF;
    DROP PUBLICATION lastfluss;
END;
$$;
COMMENT ON FUNCTION lastfluss.unpublish() IS 'at a site: takes lastfluss.publish() back';

CREATE FUNCTION lastfluss.publish_again(since timestamptz, until timestamptz DEFAULT now()) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    traffic regclass := lastfluss._table();
    period  integer := (SELECT s.value FROM lastfluss.settings s WHERE s.name = 'period');
    sent    bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'lastfluss') THEN
        RAISE EXCEPTION 'nothing is published'
        USING ERRCODE = 'undefined_object', HINT = 'SELECT lastfluss.publish(); offers what is collected to hubs.';
    END IF;
    IF $1 IS NULL OR $2 IS NULL OR $1 >= $2 THEN
        RAISE EXCEPTION 'invalid range: % to %', coalesce($1::text, 'null'), coalesce($2::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the first time, and one that lies behind the last.';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'lastfluss.publish_again() needs the isolation level read committed'
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- What the writer sends meanwhile would be replaced by rows without it.
    LOCK TABLE lastfluss._parcel IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format($f$
WITH r AS (
    SELECT t."time", t.iface, t.ingress, t.bandwidth::float8, %2$s AS remote_asn, %3$s AS local_asn, %4$s AS family,
           coalesce(%5$s, round(t.bandwidth::float8 * $3 / 8)::bigint) AS bytes, %6$s AS packets, %7$s AS flows
    FROM %1$s t WHERE t."time" >= $1 AND t."time" < $2
), n AS (
    SELECT "time", array_agg(DISTINCT iface) AS names,
           -- the period of then
           coalesce(nullif(round(sum(bytes)::float8 * 8 / nullif(sum(bandwidth), 0)), 0)::integer, $3) AS period
    FROM r GROUP BY 1
)
INSERT INTO lastfluss._parcel (collector, "time", period, replaces, names, interfaces, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT (SELECT s.value FROM lastfluss.settings s WHERE s.name = 'collector'), "time", n.period, '', n.names, lastfluss._parcel_interfaces(n.names),
       array_agg(array_position(n.names, r.iface)::smallint), array_agg(r.ingress), array_agg(r.remote_asn), array_agg(r.local_asn),
       array_agg(r.family), array_agg(r.bytes), array_agg(r.packets), array_agg(r.flows)
FROM n JOIN r USING ("time") GROUP BY "time", n.period, n.names ORDER BY "time"$f$,
        traffic, lastfluss._parcel_column(traffic, 'remote_asn', 'bigint'), lastfluss._parcel_column(traffic, 'local_asn', 'bigint'),
        lastfluss._parcel_column(traffic, 'family', 'smallint'), lastfluss._parcel_column(traffic, 'bytes', 'bigint'),
        lastfluss._parcel_column(traffic, 'packets', 'bigint'), lastfluss._parcel_column(traffic, 'flows', 'bigint'))
    USING $1, $2, period;
    GET DIAGNOSTICS sent = ROW_COUNT;
    DELETE FROM lastfluss._parcel;
    RETURN sent;
END;
$$;
COMMENT ON FUNCTION lastfluss.publish_again(timestamptz, timestamptz) IS
'at a site: sends the hubs what traffic has from since to before until, in place of what they have of these times, so that it may be sent as often as you like: what was collected before they subscribed, was changed by hand, or was lost with a replication slot. Returns how many times of rows were sent. The writer waits meanwhile: of a long range send a day after the other';

CREATE FUNCTION lastfluss._doctor_sites(OUT status text, OUT topic text, OUT finding text, OUT advice text)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own integer := (SELECT s.value FROM lastfluss.settings s WHERE s.name = 'period');
BEGIN
    -- As a site
    RETURN QUERY SELECT CASE WHEN s.wal_status = 'lost' THEN 'error' ELSE 'warning' END, 'hub',
            CASE WHEN s.wal_status = 'lost' THEN format('the WAL that a hub has to read is gone: replication slot %s', s.slot_name)
                 ELSE format('no hub reads from replication slot %s, for which %s of WAL are kept', s.slot_name,
                             pg_size_pretty(CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END)) END,
            CASE WHEN s.wal_status = 'lost' THEN 'At the hub lastfluss.unsubscribe() and subscribe(); then here SELECT lastfluss.publish_again(...) from the last interval that lastfluss.collectors has there.'
                 ELSE format('Look at the hub and at its log; if it is gone for ever: SELECT pg_drop_replication_slot(%L);', s.slot_name) END
        FROM pg_replication_slots s
        WHERE s.plugin = 'pgoutput' AND s.database = current_database() AND s.slot_name LIKE 'lastfluss\_%' AND (NOT s.active OR s.wal_status = 'lost');
    RETURN QUERY SELECT 'warning', 'hub', 'the publication "lastfluss" comes from a dump, and has nothing for a hub',
            'SELECT lastfluss.publish(); and at the hub unsubscribe() and subscribe(); then publish_again() here.'
        FROM pg_publication p WHERE p.pubname = 'lastfluss' AND NOT EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = p.pubname);
    -- As a hub
    RETURN QUERY SELECT 'warning', 'sites',
            CASE WHEN c.enabled IS NULL THEN format('subscription "%s" was dropped', c.subscription)
                 WHEN NOT r.wired THEN format('subscription "%s" comes from a dump, and takes nothing', c.subscription)
                 WHEN c.enabled THEN format('subscription "%s" does not reach its site', c.subscription)
                 ELSE format('subscription "%s" is disabled', c.subscription) END,
            CASE WHEN c.enabled IS NULL THEN format('SELECT lastfluss.unsubscribe(%L);', c.subscription)
                 WHEN NOT r.wired THEN format('SELECT lastfluss.unsubscribe(%L); (with drop_slot => false where another hub reads from the slot) and subscribe() again; then publish_again() at the site from the last interval in lastfluss.collectors on.', c.subscription)
                 WHEN c.enabled THEN 'The server''s log says why (max_worker_processes must have room for each subscription); what is collected there comes when it does.'
                 ELSE format('ALTER SUBSCRIPTION %I ENABLE;', 'lastfluss_' || c.subscription) END
        FROM lastfluss.collectors c
        CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid
            WHERE s.subname = 'lastfluss_' || c.subscription AND r.srrelid = 'lastfluss._parcel'::regclass) AS wired) r
        WHERE c.subscription IS NOT NULL AND NOT (coalesce(c.enabled, false) AND c.connected AND r.wired);
    RETURN QUERY SELECT 'warning', 'sites', format('nothing has come from collector "%s" since %s', c.name, c.last_arrival),
            'Look at lastfluss.doctor() there.'
        FROM lastfluss.collectors c WHERE c.enabled AND c.connected AND c.last_arrival < now() - make_interval(secs => 5 * c.period + 300);
    RETURN QUERY SELECT 'warning', 'sites', format('intervals of collector "%s" are of %s s, here they are of %s s', c.name, c.period, own),
            format('Peaks and live intervals compare only where they are equal: SELECT lastfluss.set(''period'', ''%s''); here or there.', own)
        FROM lastfluss.collectors c WHERE c.subscription IS NOT NULL AND c.period <> own;
    RETURN QUERY SELECT 'ok', 'sites', format('%s collectors at sites send their intervals', count(*)), NULL
        FROM lastfluss.collectors c WHERE c.enabled AND c.connected AND c.parcels > 0 HAVING count(*) > 0;
END;
$$;
COMMENT ON FUNCTION lastfluss._doctor_sites() IS 'part of doctor(): does what sites collect come to their hub?';

/* The hub's side */

CREATE FUNCTION lastfluss.subscribe(name text, conninfo text, site text DEFAULT NULL) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slot    text;
    needed  integer;
    workers integer;
BEGIN
    PERFORM lastfluss._require_collector();
    IF $1 IS NULL OR $1 !~ '^[a-z0-9_]{1,40}$' THEN
        RAISE EXCEPTION 'invalid name of a subscription: %', coalesce('"' || $1 || '"', 'null')
        USING ERRCODE = 'invalid_name', HINT = 'Give a name of small letters, digits and underscores.';
    END IF;
    IF $2 IS NULL THEN
        RAISE EXCEPTION 'a subscription needs a connection string'
        USING ERRCODE = 'null_value_not_allowed', HINT = 'Such as ''host=198.51.100.7 dbname=lastfluss user=hub password=...''.';
    END IF;
    PERFORM lastfluss._require_no_block('subscribe');
    IF $3 IS NOT NULL THEN
        PERFORM lastfluss._setting_value('collector', $3);
    END IF;
    slot := lastfluss._slot_name($1);
    INSERT INTO lastfluss._subscription (name, site, slot) VALUES ($1, $3, slot) ON CONFLICT ON CONSTRAINT _subscription_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is a subscription "%" already', $1
        USING ERRCODE = 'duplicate_object', HINT = 'SELECT * FROM lastfluss.collectors shows what there is.';
    END IF;
    EXECUTE format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION lastfluss WITH (create_slot = false, slot_name = %L, copy_data = false, binary = true)',
                   'lastfluss_' || $1, $2, slot);
    IF NOT EXISTS (SELECT FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid
                   WHERE s.subname = 'lastfluss_' || $1 AND r.srrelid = 'lastfluss._parcel'::regclass) THEN
        RAISE EXCEPTION 'nothing is published there'
        USING ERRCODE = 'undefined_object', HINT = 'At the site, in that database: SELECT lastfluss.publish();';
    END IF;
    -- It would write into these as whoever subscribes.
    IF EXISTS (SELECT FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid
               WHERE s.subname = 'lastfluss_' || $1 AND r.srrelid <> 'lastfluss._parcel'::regclass) THEN
        RAISE EXCEPTION 'the publication "lastfluss" there is of other tables, too'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'At the site: SELECT lastfluss.unpublish(); SELECT lastfluss.publish();';
    END IF;
    -- Each takes a worker beside ours, that which starts them, and that of Citus.
    SELECT count(*) INTO needed FROM pg_subscription s WHERE s.subenabled;
    workers := needed + 5 + current_setting('lastfluss.receivers')::integer + (to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL)::integer;
    IF needed > current_setting('max_logical_replication_workers')::integer OR workers > current_setting('max_worker_processes')::integer THEN
        RAISE WARNING 'there may be too few workers for % subscriptions', needed
        USING HINT = format('Set max_logical_replication_workers to at least %s and max_worker_processes to at least %s in postgresql.conf, and restart the server.',
                            needed, workers);
    END IF;
    PERFORM lastfluss._create_slot($2, slot);
END;
$$;
COMMENT ON FUNCTION lastfluss.subscribe(text, text, text) IS
'at a hub: takes what a site has published (lastfluss.publish() there) from now on, by logical replication; lastfluss.publish_again() there sends what was before.
name: what it is called in lastfluss.collectors. conninfo: how to reach the site''s database, as a role that may log in and has REPLICATION. site: where two collectors get the same datagrams, the same word for both: of each interval that one counts which has more flows of it.
Rows come into the table of the traffic and its rollups as if collected here, with the site and a slash before the interfaces'' names, and the collector''s name in the column collector. Each subscription takes one of max_logical_replication_workers and of max_worker_processes. Needs the rights of CREATE SUBSCRIPTION, and cannot run inside a transaction block';

CREATE FUNCTION lastfluss.unsubscribe(name text, drop_slot boolean DEFAULT true) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subscription text := 'lastfluss_' || $1;
    slot         text;
    conninfo     text;
BEGIN
    PERFORM lastfluss._require_no_block('unsubscribe');
    DELETE FROM lastfluss._subscription s WHERE s.name = $1 RETURNING s.slot INTO slot;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no subscription "%"', $1
        USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM lastfluss.collectors shows what there is.';
    END IF;
    UPDATE lastfluss._collector c SET subscription = NULL WHERE c.subscription = $1;
    SELECT s.subconninfo INTO conninfo FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
    WHERE s.subname = subscription AND d.datname = current_database();
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', subscription);
    EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', subscription);
    EXECUTE format('DROP SUBSCRIPTION %I', subscription);
    IF $2 THEN
        PERFORM lastfluss._drop_slot(conninfo, slot);
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss.unsubscribe(text, boolean) IS
'at a hub: takes lastfluss.subscribe() back; the rows stay. Without drop_slot, where the site cannot be reached, the replication slot there is left over, and has to be dropped: SELECT pg_drop_replication_slot(...)';

CREATE FUNCTION lastfluss._choose(parcel lastfluss._parcel, site text) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    counted text;   -- the collector whose rows traffic has
    best    text;
    rows    bigint := 0;
    rival   lastfluss._rival;
BEGIN
    DELETE FROM lastfluss._rival r WHERE r.site = $2 AND (r.arrived < now() - interval '1 day'
        OR $1.replaces IS NOT NULL AND r."time" = $1."time" AND r.collector = $1.collector);
    INSERT INTO lastfluss._rival SELECT $1.*, $2, now();
    counted := lastfluss._counted($2, $1."time");
    SELECT r.collector INTO best FROM lastfluss._rival r CROSS JOIN LATERAL unnest(r.flows, r.bytes) f(flows, bytes)
    WHERE r.site = $2 AND r."time" = $1."time"
    GROUP BY 1 ORDER BY sum(f.flows) DESC NULLS LAST, sum(f.bytes) DESC, (r.collector = counted) DESC NULLS LAST, 1 LIMIT 1;
    IF counted <> best AND NOT EXISTS (SELECT FROM lastfluss._rival r WHERE r.site = $2 AND r."time" = $1."time" AND r.collector = counted) THEN
        best := counted;    -- so long ago that it cannot be compared
    END IF;
    IF $1.replaces IS NULL AND coalesce(counted, best) = best THEN
        RETURN CASE WHEN best = $1.collector THEN lastfluss._unpack($1, $2) ELSE 0 END;
    ELSIF best <> $1.collector AND counted = best THEN
        RETURN 0;
    END IF;
    PERFORM lastfluss._take_out($2, '', $1."time");
    FOR rival IN SELECT r.* FROM lastfluss._rival r WHERE r.site = $2 AND r."time" = $1."time" AND r.collector = best LOOP
        rows := rows + lastfluss._unpack(ROW(rival.id, rival.collector, rival."time", rival.period, rival.replaces, rival.names, rival.interfaces,
            rival.iface, rival.ingress, rival.remote_asn, rival.local_asn, rival.family, rival.bytes, rival.packets, rival.flows)::lastfluss._parcel, $2);
    END LOOP;
    RETURN rows;
END;
$$;
COMMENT ON FUNCTION lastfluss._choose(lastfluss._parcel, text) IS 'a parcel of a site that has several collectors: of each interval the rows of that one are in traffic whose parcels have the most flows';

CREATE FUNCTION lastfluss._counted(site text, "time" timestamptz) RETURNS text
AS 'MODULE_PATHNAME', 'lastfluss_counted' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._counted(text, timestamptz) IS 'the collector whose rows traffic has of a site and a time; null: it has none';

CREATE FUNCTION lastfluss._parcel_arrives() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Triggers on traffic are to see what comes, as that of upgrade_table().
SET session_replication_role = origin
AS $$
DECLARE
    by_     text := substr(lastfluss._arrives_by(), length('lastfluss_') + 1);
    label   text;
    choice  boolean;
    other   text;
    hub     text;
    kept    timestamptz;
    insane  boolean;
    rows    bigint;
BEGIN
    SELECT coalesce(s.site, NEW.collector), s.site IS NOT NULL INTO label, choice FROM lastfluss._subscription s WHERE s.name = by_;
    IF label IS NULL THEN
        RAISE EXCEPTION 'intervals came by no subscription of lastfluss.subscribe()'
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- It stands before the names of interfaces, up to a slash.
    PERFORM lastfluss._setting_value('collector', NEW.collector);
    -- A broken clock makes no partitions that nobody wants: as traffic_sane_time().
    insane := NEW."time" NOT BETWEEN '1990-01-01 00:00+00' AND now() + interval '1 day';
    IF insane THEN
        RAISE WARNING 'collector "%" has sent an interval of %', NEW.collector, NEW."time";
        NEW."time" := date_bin(make_interval(secs => NEW.period), least(greatest(NEW."time", '1990-01-01 00:00+00'), now() + interval '1 day'), '1970-01-01 00:00+00');
    END IF;
    -- one at a time of each site
    PERFORM pg_advisory_xact_lock('lastfluss._collector'::regclass::oid::integer, hashtext(label));
    SELECT c.subscription INTO other FROM lastfluss._collector c JOIN lastfluss._subscription s ON s.name = c.subscription
    WHERE c.subscription <> by_ AND (c.name = NEW.collector OR c.site = label AND NOT (choice AND s.site IS NOT NULL)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'collector "%" of subscription "%" has the same name as one of subscription "%"', NEW.collector, by_, other
        USING ERRCODE = 'duplicate_object',
              HINT = 'Give it another there, SELECT lastfluss.set(''collector'', ...), and here unsubscribe() and subscribe() again.';
    END IF;

    IF NOT EXISTS (SELECT FROM lastfluss._collector c WHERE c.name = NEW.collector) THEN
        PERFORM lastfluss._add_collector();
    END IF;
    SELECT r.kept_from INTO kept FROM lastfluss._rollup r WHERE r.traffic = lastfluss._table() AND r.name = 'raw';
    IF insane AND (NEW.replaces IS NOT NULL OR choice) THEN
        rows := 0;          -- nothing is there to be replaced, or compared
    ELSIF (NEW.replaces IS NOT NULL OR choice) AND NEW."time" < kept THEN
        -- The rollups have it, or the other collector's, and would have it twice.
        RAISE WARNING 'what "%" has sent of % is left out, because retention has dropped that day here', NEW.collector, NEW."time";
        rows := 0;
    ELSIF choice THEN
        rows := lastfluss._choose(NEW, label);
    ELSE
        IF NEW.replaces IS NOT NULL THEN
            PERFORM lastfluss._take_out(label, NEW.replaces, NEW."time");
        END IF;
        rows := lastfluss._unpack(NEW, label);
    END IF;

    INSERT INTO lastfluss._collector AS c (name, subscription, site, period, last_time, last_arrival, parcels, rows)
    VALUES (NEW.collector, by_, label, NEW.period, CASE WHEN insane THEN '-infinity' ELSE NEW."time" END, now(), 1, rows)
    ON CONFLICT ON CONSTRAINT _collector_pkey DO UPDATE
    SET subscription = excluded.subscription, site = excluded.site, period = excluded.period, last_arrival = excluded.last_arrival,
        last_time = greatest(c.last_time, excluded.last_time), parcels = c.parcels + 1, rows = c.rows + excluded.rows;
    INSERT INTO lastfluss.site_interface AS i (name, collector, roles, speed)
    SELECT label || '/' || (j ->> 'name'), NEW.collector, ARRAY(SELECT jsonb_array_elements_text(j -> 'roles')), (j ->> 'speed')::bigint
    FROM jsonb_array_elements(NEW.interfaces) j
    ON CONFLICT ON CONSTRAINT site_interface_pkey DO UPDATE SET collector = excluded.collector, roles = excluded.roles, speed = excluded.speed
    WHERE (i.roles, i.speed) IS DISTINCT FROM (excluded.roles, excluded.speed);

    -- A hub may be a site of another one.
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'lastfluss') THEN
        IF choice THEN
            RAISE EXCEPTION 'a hub that publishes cannot choose between the collectors of a site'
            USING ERRCODE = 'feature_not_supported', HINT = 'Subscribe to both of them at the other hub, too, and unpublish() here; or without site.';
        END IF;
        SELECT s.value INTO hub FROM lastfluss.settings s WHERE s.name = 'collector';
        INSERT INTO lastfluss._parcel (collector, "time", period, replaces, names, interfaces, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
        VALUES (hub, NEW."time", NEW.period, label || '/' || NEW.replaces, ARRAY(SELECT label || '/' || coalesce(n, '') FROM unnest(NEW.names) WITH ORDINALITY u(n, i) ORDER BY i),
                (SELECT jsonb_agg(jsonb_set(j, '{name}', to_jsonb(label || '/' || (j ->> 'name')))) FROM jsonb_array_elements(NEW.interfaces) j),
                NEW.iface, NEW.ingress, NEW.remote_asn, NEW.local_asn, NEW.family, NEW.bytes, NEW.packets, NEW.flows);
        DELETE FROM lastfluss._parcel;
    END IF;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION lastfluss._parcel_arrives() IS 'trigger at a hub: an interval that logical replication brings goes into traffic';

CREATE TRIGGER arrives BEFORE INSERT ON lastfluss._parcel
    FOR EACH ROW EXECUTE FUNCTION lastfluss._parcel_arrives();
ALTER TABLE lastfluss._parcel ENABLE REPLICA TRIGGER arrives;

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
'writes a capture file into traffic, as if its datagrams had arrived at the times that it holds; needs the right to INSERT there. So the intervals of the setting window before its first datagram are open as well, and flows that had begun are spread over them; what lies further back is late and counts in the oldest of them: where routers report flows of half an hour, set window to that, or the first interval of a capture has too much';

/* Citus */

CREATE FUNCTION lastfluss._citus_make_partition(relation regclass, "time" timestamptz) RETURNS void
AS 'MODULE_PATHNAME', 'lastfluss_citus_make_partition' LANGUAGE C STRICT;
COMMENT ON FUNCTION lastfluss._citus_make_partition(regclass, timestamptz) IS 'on the coordinator of a Citus cluster, for its other nodes: makes the partition for this time';

CREATE FUNCTION lastfluss._is_distributed(relation regclass) RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean := false;
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = $1)' INTO found USING $1;
    END IF;
    RETURN found;
END;
$$;
COMMENT ON FUNCTION lastfluss._is_distributed(regclass) IS 'is it a table of Citus?';

CREATE FUNCTION lastfluss._citus_query(query text) RETURNS SETOF record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE $1;
END;
$$;
COMMENT ON FUNCTION lastfluss._citus_query(text) IS 'the rows of a query that Citus plans by itself, whatever the query is that they are needed in';

CREATE FUNCTION lastfluss._citus_rows(relation regclass, query text, columns text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN lastfluss._is_distributed($1) THEN format('SELECT * FROM lastfluss._citus_query(%L) AS q(%s)', $2, $3) ELSE $2 END;
$$;
COMMENT ON FUNCTION lastfluss._citus_rows(regclass, text, text) IS
'a query of this table, which has these columns, so that it can be part of any other: shards are summed up on their nodes, in parallel, and Citus sees nothing of the other';

CREATE FUNCTION lastfluss._citus_follows() RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    follows boolean := false;
BEGIN
    IF to_regclass('pg_catalog.pg_dist_local_group') IS NOT NULL THEN
        EXECUTE 'SELECT groupid <> 0 FROM pg_catalog.pg_dist_local_group' INTO follows;
    END IF;
    RETURN follows;
END;
$$;
COMMENT ON FUNCTION lastfluss._citus_follows() IS 'is this a node of a Citus cluster, and not the coordinator, which knows the rollups?';

CREATE FUNCTION lastfluss._citus_ask(query text) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $_$
DECLARE
    answer record;
BEGIN
    EXECUTE 'SELECT r.success, r.result FROM pg_catalog.run_command_on_coordinator($1) r' INTO answer USING $1;
    IF answer.success IS NOT TRUE THEN
        RAISE EXCEPTION 'the coordinator could not do its part: %', coalesce(answer.result, 'no answer') USING ERRCODE = 'connection_failure';
    END IF;
    RETURN answer.result;
END;
$_$;
COMMENT ON FUNCTION lastfluss._citus_ask(text) IS 'the only value of a query that the coordinator runs';

CREATE FUNCTION lastfluss._citus_share() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['interface', 'setting', 'asn', 'prefix', 'counters', '_rollup_dirty'] LOOP
        relation := 'lastfluss.' || relation;
        CONTINUE WHEN EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = relation::regclass);
        -- It goes to new nodes by logical replication, which wants to know rows by something.
        IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation::regclass AND i.indisprimary) THEN
            EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', relation);
        END IF;
        -- Our triggers check a row, and tell the collector of the node that the row is on.
        PERFORM set_config('citus.enable_unsafe_triggers', 'on', true);
        PERFORM create_reference_table(relation);
        -- Through a view, too, Citus reads its tables with the rights of who asks.
        IF relation IN ('lastfluss.interface', 'lastfluss.setting', 'lastfluss._rollup_dirty') THEN
            EXECUTE format('GRANT SELECT ON %s TO pg_monitor', relation);
        END IF;
    END LOOP;
END;
$$;
COMMENT ON FUNCTION lastfluss._citus_share() IS 'on the coordinator of a Citus cluster: makes the configuration, and what nodes tell each other, the same on all of them';

CREATE FUNCTION lastfluss._citus_adopt() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
    shard text;
BEGIN
    -- Else shards are no relations that one sees.
    PERFORM set_config('citus.override_table_visibility', 'off', true);
    FOR shard IN
        SELECT format('%I.%I', n.nspname, c.relname)
        FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_dist_shard s ON s.logicalrelid = t.oid
        JOIN pg_class c ON c.relnamespace = t.relnamespace AND c.relname = t.relname || '_' || s.shardid
        WHERE n.nspname = 'lastfluss' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER EXTENSION lastfluss ADD TABLE %s', shard);
    END LOOP;
    -- A view on a table of Citus is read with the rights of who asks, local tables in it included.
    IF NOT has_table_privilege('pg_monitor', 'lastfluss._rollup', 'SELECT') THEN
        GRANT SELECT ON lastfluss._rollup, lastfluss._maintenance TO pg_monitor;
    END IF;
END;
$$;
COMMENT ON FUNCTION lastfluss._citus_adopt() IS 'on every node of a Citus cluster: shards of the extension''s tables belong to it, as these do, so that DROP EXTENSION drops them; and pg_monitor may read what its views are made of';

CREATE FUNCTION lastfluss.distribute() RETURNS SETOF regclass LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
    relation regclass;
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
        RAISE EXCEPTION 'Citus is not installed in this database'
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CREATE EXTENSION citus; where the server has preloaded it.';
    ELSIF lastfluss._citus_follows() THEN
        RAISE EXCEPTION 'tables are distributed on the coordinator'
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT lastfluss.distribute(); there.';
    END IF;
    FOR relation IN
        SELECT t FROM lastfluss._tables() t UNION SELECT h FROM lastfluss._health_table() h WHERE h IS NOT NULL
    LOOP
        CONTINUE WHEN lastfluss._is_distributed(relation);
        PERFORM create_distributed_table(relation, CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = 'id' AND NOT a.attisdropped) THEN 'id' ELSE 'time' END);
        PERFORM truncate_local_data_after_distributing_table(relation);
        RETURN NEXT relation;
    END LOOP;
END;
$$;
COMMENT ON FUNCTION lastfluss.distribute() IS
'on the coordinator of a Citus cluster, for its administrator: puts the rows of traffic, its rollups and traffic_health into shards, where these tables were made before Citus came, or by a restore. Nothing is written into them meanwhile; intervals wait';

CREATE FUNCTION lastfluss.live_nodes(OUT node text, OUT "time" timestamptz, OUT bandwidth real, OUT iface text, OUT ingress boolean,
    OUT remote_asn bigint, OUT local_asn bigint, OUT family smallint, OUT bytes bigint, OUT packets bigint, OUT flows bigint)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $_$
BEGIN
    IF to_regclass('pg_catalog.pg_dist_node') IS NULL THEN
        RETURN QUERY SELECT 'this server', l."time", l.bandwidth, l.iface, l.ingress, l.remote_asn, l.local_asn, l.family, l.bytes, l.packets, l.flows
        FROM lastfluss.live l;
        RETURN;
    END IF;
    RETURN QUERY EXECUTE $$
SELECT n.nodename || ':' || n.nodeport, l.*
FROM pg_catalog.run_command_on_all_nodes('SELECT coalesce(json_agg(l), ''[]'') FROM lastfluss.live l', give_warning_for_connection_errors => true) r
JOIN pg_catalog.pg_dist_node n USING (nodeid)
CROSS JOIN LATERAL json_to_recordset(CASE WHEN r.success THEN r.result::json ELSE '[]' END) AS l("time" timestamptz, bandwidth real, iface text, ingress boolean,
    remote_asn bigint, local_asn bigint, family smallint, bytes bigint, packets bigint, flows bigint)$$;
END;
$_$;
COMMENT ON FUNCTION lastfluss.live_nodes() IS
'lastfluss.live of all nodes of a Citus cluster, in the same columns and with the node; a warning for one that does not answer. Without Citus, that of this server';

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
    lastfluss.seen_interfaces, lastfluss.live, lastfluss.settings, lastfluss.rollups, lastfluss.maintenance, lastfluss.upgrade, lastfluss.collectors TO pg_monitor;
GRANT EXECUTE ON FUNCTION lastfluss.doctor(), lastfluss._status(), lastfluss._exporters(), lastfluss._templates(),
    lastfluss._seen_interfaces(), lastfluss._live(), lastfluss._settings(), lastfluss._waiting(),
    lastfluss.counter_check(interval, interval, integer), lastfluss._counter_growth(numeric, numeric, boolean),
    lastfluss._table(), lastfluss._tables(), lastfluss._partitions(regclass), lastfluss._free_disk(oid),
    lastfluss._written_until(), lastfluss._arrived_until(), lastfluss._estimated_rows(regclass), lastfluss._version_mismatch(text),
    lastfluss._doctor_collector(), lastfluss._doctor_decoding(), lastfluss._doctor_counting(),
    lastfluss._doctor_losses(), lastfluss._doctor_writing(), lastfluss._doctor_partitions(), lastfluss._doctor_citus(),
    lastfluss._doctor_disk(), lastfluss._doctor_counters(), lastfluss._doctor_storage(),
    lastfluss._doctor_sites(), lastfluss._is_hypertable(regclass), lastfluss._is_distributed(regclass),
    lastfluss._citus_rows(regclass, text, text), lastfluss._citus_query(text) TO pg_monitor;
