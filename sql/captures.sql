/*
 * Captured datagrams: read_datagrams(), read_pcap(), replay().
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never

CREATE TEMPORARY TABLE datagram (name text PRIMARY KEY, data bytea);

INSERT INTO datagram VALUES ('v5', '\x'
    '0005'                    -- version
    '0002'                    -- count
    '000186a0'                -- sysUptime: 100 s
    '65920080'                -- 2024-01-01 00:00:00 UTC
    '1dcd6500'                -- and 0.5 s in nanoseconds
    '00000007'                -- sequence
    '01 02'                   -- engine type and id
    '4064'                    -- sampling mode 1, 1 in 100
    -- record 1
    'cb007101'                -- source 203.0.113.1
    'c6336402'                -- destination 198.51.100.2
    '00000000'                -- next hop
    '0017 002a'               -- input 23, output 42
    '0000000a'                -- 10 packets
    '000003e8'                -- 1000 octets
    '0000ea60'                -- first: 60 s of uptime
    '00013880'                -- last: 80 s
    'c350 01bb'               -- ports
    '00 18 06 00'             -- padding, TCP flags, protocol, ToS
    'fde8 fde9'               -- AS 65000 to 65001
    '18 18 0000'              -- masks, padding
    -- record 2: the exporter says 0
    '00000000 00000000 00000000 0000 0000 ffffffff ffffffff'
    '00000000 000186a0 0000 0000 00 00 00 00 0000 0000 00 00 0000');

INSERT INTO datagram VALUES ('v9 templates', '\x'
    '0009'                    -- version
    '0002'                    -- count
    '000186a0'                -- sysUptime: 100 s
    '65920080'                -- 2024-01-01 00:00:00 UTC
    '00000001'                -- sequence
    'fffffffe'                -- source id
    '0000 0050'               -- templates, length of the set
    '0100 000d'               -- template 256, 13 fields
    '0008 0004'               -- IPV4_SRC_ADDR
    '000c 0004'               -- IPV4_DST_ADDR
    '000a 0002'               -- INPUT_SNMP in 2 octets
    '000e 0004'               -- OUTPUT_SNMP in 4
    '0001 0004'               -- IN_BYTES
    '0002 0003'               -- IN_PKTS in 3 octets
    '0010 0002'               -- SRC_AS in 2 octets
    '0011 0004'               -- DST_AS in 4
    '0016 0004'               -- FIRST_SWITCHED
    '0015 0004'               -- LAST_SWITCHED
    '0022 0004'               -- SAMPLING_INTERVAL
    '003d 0001'               -- DIRECTION
    '0004 0001'               -- PROTOCOL
    '0101 0004'               -- template 257, 4 fields
    '001b 0010'               -- IPV6_SRC_ADDR
    '001c 0010'               -- IPV6_DST_ADDR
    '000a 0004'               -- INPUT_SNMP
    '0017 0008'               -- OUT_BYTES
);

INSERT INTO datagram VALUES ('v9 data', '\x'
    '0009'                    -- version
    '0002'                    -- count
    '000186a0 65920080 00000002 fffffffe'
    '0100 0030'               -- data of template 256, length of the set
    'cb007101'                -- source 203.0.113.1
    'c6336402'                -- destination 198.51.100.2
    '0017'                    -- input 23
    '0001000a'                -- output 65546
    '000003e8'                -- 1000 octets
    '00000a'                  -- 10 packets
    'fde8'                    -- AS 65000
    'fa56ea01'                -- AS 4200000001
    '0000ea60'                -- first: 60 s of uptime
    '00013880'                -- last: 80 s
    '00000200'                -- 1 in 512
    '01'                      -- egress
    '06'                      -- TCP
    '000000'                  -- padding
    '0101 0030'               -- data of template 257, length of the set
    '20010db8000000000000000000000001'
    '20010db8000000000000000000000002'
    '0000002a'                -- input 42
    '0000010000000000'        -- 2^40 octets
);

INSERT INTO datagram VALUES ('IPFIX', '\x'
    '000a'                    -- version
    '00bc'                    -- length of the message
    '65920080'                -- 2024-01-01 00:00:00 UTC
    '00000000'                -- sequence
    '0000000c'                -- observation domain 12
    '0003 0014'               -- options templates, length of the set
    '012c 0002 0001'          -- template 300, 2 fields, 1 of them scope
    '012e 0004'               -- selectorId
    '0001 0004'               -- octetDeltaCount, which does not count here
    '0000'                    -- padding
    '012c 000c'               -- options data, length of the set
    '00000001 000003e7'
    '0002 002c'               -- templates, length of the set
    '012d 0008'               -- template 301, 8 fields
    '0098 0008'               -- flowStartMilliseconds
    '0099 0008'               -- flowEndMilliseconds
    '0060 ffff'               -- applicationName, variable length
    '8001 0004 00000009'      -- another enterprise's element 1
    '0001 0008'               -- octetDeltaCount
    '0002 0008'               -- packetDeltaCount
    '003d 0001'               -- flowDirection
    '003c 0001'               -- ipVersion
    '012d 0060'               -- data of template 301, length of the set
    '0000018cc251ee24 0000018cc251f400 04 68747470 ffffffff'
    '00000000000003e8 000000000000000a 00 06'
    '0000018cc251ee24 0000018cc251f400'
    'ff 0005 6874747073'      -- the long form of a variable length
    'ffffffff'
    '00000000000007d0 0000000000000014 01 04'
    '000000'                  -- padding
);

/* Every column.  What a record lacks is null; 0 is what the exporter said. */

\x on
SELECT r.* FROM datagram, lastfluss.read_datagrams(ARRAY[data]) r WHERE name = 'v5';

SELECT r.*
FROM lastfluss.read_datagrams(ARRAY(SELECT data FROM datagram WHERE name LIKE 'v9%' ORDER BY name DESC),
                              '2001:db8::1') r;

SELECT r.* FROM datagram, lastfluss.read_datagrams(ARRAY[data]) r WHERE name = 'IPFIX';
\x off

-- Several messages in one value.
SELECT r.protocol, r.domain, r.bytes
FROM lastfluss.read_datagrams(ARRAY[(SELECT string_agg(data, '' ORDER BY name DESC)
                                     FROM datagram WHERE name IN ('v5', 'IPFIX'))]) r;

-- Nothing is remembered from one call to the next.
SELECT r.* FROM datagram, lastfluss.read_datagrams(ARRAY[data]) r WHERE name = 'v9 data';

-- No values, and none of them.
SELECT count(*) FROM lastfluss.read_datagrams('{}');
SELECT count(*) FROM lastfluss.read_datagrams(NULL);
SELECT count(*) FROM lastfluss.read_datagrams(ARRAY[NULL, (SELECT data FROM datagram WHERE name = 'v5'), '']);

-- What is malformed gives no records, and no error.
SELECT what, count(r.protocol) AS records
FROM (
    SELECT 'version 99', overlay(data PLACING '\x0063' FROM 1 FOR 2) FROM datagram WHERE name = 'v5'
    UNION ALL
    SELECT 'v5: too many records told', overlay(data PLACING '\x0003' FROM 3 FOR 2) FROM datagram WHERE name = 'v5'
    UNION ALL
    SELECT 'v5: no records told', overlay(data PLACING '\x0000' FROM 3 FOR 2) FROM datagram WHERE name = 'v5'
    UNION ALL
    SELECT 'IPFIX: longer than the datagram', overlay(data PLACING '\x00bd' FROM 3 FOR 2) FROM datagram WHERE name = 'IPFIX'
    UNION ALL
    SELECT 'IPFIX: shorter than its header', overlay(data PLACING '\x000f' FROM 3 FOR 2) FROM datagram WHERE name = 'IPFIX'
    UNION ALL
    SELECT 'IPFIX: set of length 0', overlay(data PLACING '\x0000' FROM 19 FOR 2) FROM datagram WHERE name = 'IPFIX'
    UNION ALL
    SELECT 'IPFIX: set longer than the message', overlay(data PLACING '\xffff' FROM 19 FOR 2) FROM datagram WHERE name = 'IPFIX'
    UNION ALL
    SELECT 'IPFIX: template of more fields than there are', overlay(data PLACING '\xffff' FROM 55 FOR 2) FROM datagram WHERE name = 'IPFIX'
) AS malformed(what, data)
LEFT JOIN LATERAL lastfluss.read_datagrams(ARRAY[data]) r ON true
GROUP BY what
ORDER BY what COLLATE "C";

-- Each datagram, cut off behind every octet: what is whole before the cut.
SELECT name, r.records, min(length), max(length)
FROM datagram, generate_series(0, length(data)) AS length,
    LATERAL (SELECT count(*) AS records
             FROM lastfluss.read_datagrams(ARRAY[substr(data, 1, length)])) r
WHERE name IN ('v5', 'IPFIX')
GROUP BY name, r.records
ORDER BY name COLLATE "C", r.records;

/*
 * Capture files: the same datagram of one record in every wrapping.
 */
CREATE TEMPORARY TABLE packet AS
SELECT '\x'
    '45 00 0064'              -- IPv4, length
    '0000 0000 40 11 0000'    -- no fragment, TTL, UDP, checksum
    'c0000201 c0000202'       -- from 192.0.2.1
    'c350 0807 0050 0000'::bytea || record AS ipv4,
    '\x'
    '60000000 0050 11 40'     -- IPv6, length of the payload, UDP, hop limit
    '20010db8000000000000000000000001'  -- from 2001:db8::1
    '20010db8000000000000000000000002'
    'c350 0807 0050 0000'::bytea || record AS ipv6
FROM (SELECT overlay(substr(data, 1, 72) PLACING '\x0001' FROM 3 FOR 2)
      FROM datagram WHERE name = 'v5') AS v5(record);

CREATE TEMPORARY TABLE wrapping (name text, family integer, header bytea, packet bytea, link bytea);
INSERT INTO wrapping VALUES
('big-endian, microseconds, Ethernet', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001',
    '\x65920080 0001e240 00000072 00000072',
    '\x020000000001 020000000002 0800'),
('little-endian, microseconds, Ethernet', 4,
    '\xd4c3b2a1 0200 0400 00000000 00000000 00000400 01000000',
    '\x80009265 40e20100 72000000 72000000',
    '\x020000000001 020000000002 0800'),
('big-endian, nanoseconds, Ethernet', 4,
    '\xa1b23c4d 0002 0004 00000000 00000000 00040000 00000001',
    '\x65920080 075bcd15 00000072 00000072',
    '\x020000000001 020000000002 0800'),
('little-endian, nanoseconds, Ethernet', 4,
    '\x4d3cb2a1 0200 0400 00000000 00000000 00000400 01000000',
    '\x80009265 15cd5b07 72000000 72000000',
    '\x020000000001 020000000002 0800'),
('Ethernet, VLAN 100', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001',
    '\x65920080 0001e240 00000076 00000076',
    '\x020000000001 020000000002 8100 0064 0800'),
('Ethernet, VLAN 100 in VLAN 200', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001',
    '\x65920080 0001e240 0000007a 0000007a',
    '\x020000000001 020000000002 88a8 00c8 8100 0064 0800'),
('Ethernet, IPv6', 6,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000001',
    '\x65920080 0001e240 00000086 00000086',
    '\x020000000001 020000000002 86dd'),
('Linux cooked v1', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000071',
    '\x65920080 0001e240 00000074 00000074',
    '\x0000 0001 0006 0200000000010000 0800'),
('Linux cooked v2', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000114',
    '\x65920080 0001e240 00000078 00000078',
    '\x0800 0000 00000001 0001 00 06 0200000000010000'),
('raw IP, IPv4', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000065',
    '\x65920080 0001e240 00000064 00000064',
    '\x'),
('raw IP, IPv6', 6,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000065',
    '\x65920080 0001e240 00000078 00000078',
    '\x'),
('loopback, little-endian', 4,
    '\xd4c3b2a1 0200 0400 00000000 00000000 00000400 00000000',
    '\x80009265 40e20100 68000000 68000000',
    '\x02000000'),
('loopback of OpenBSD', 4,
    '\xa1b2c3d4 0002 0004 00000000 00000000 00040000 0000006c',
    '\x65920080 0001e240 00000068 00000068',
    '\x00000002');

CREATE TEMPORARY TABLE capture AS
SELECT name, header || w.packet || link || CASE family WHEN 4 THEN ipv4 ELSE ipv6 END AS file
FROM wrapping w, packet p;

SELECT name, r."time", r.exporter, r.protocol, r.domain, r.in_if, r.bytes
FROM capture LEFT JOIN LATERAL lastfluss.read_pcap(file) r ON true
ORDER BY name COLLATE "C";

-- All columns are those of read_datagrams(), and the time.
\x on
SELECT r.* FROM capture, lastfluss.read_pcap(file) r WHERE name = 'big-endian, microseconds, Ethernet';
\x off

-- Two packets; what is no UDP is left out.
SELECT r."time", r.exporter, r.bytes
FROM wrapping w, packet p,
    lastfluss.read_pcap(header || w.packet || link || ipv4
                        || w.packet || link || overlay(ipv4 PLACING '\x06' FROM 10 FOR 1)
                        || w.packet || link || overlay(ipv4 PLACING '\x03' FROM 16 FOR 1)) r
WHERE name = 'big-endian, microseconds, Ethernet';

-- A capture without packets.
SELECT count(*) FROM wrapping, lastfluss.read_pcap(header) WHERE name = 'big-endian, microseconds, Ethernet';

-- No captures.
SELECT * FROM lastfluss.read_pcap('');
SELECT * FROM lastfluss.read_pcap('hello, this is no capture');
SELECT r.* FROM datagram, lastfluss.read_pcap(data) r WHERE name = 'v5';
SELECT * FROM lastfluss.read_pcap('\x0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c');
SELECT * FROM lastfluss.read_pcap('\xa1b2c3d4 0002 0004 00000000 00000000 00040000 00000093');

-- A truncated one gives what could be read.
SELECT count(*), sum(r.bytes)
FROM capture, lastfluss.read_pcap(substr(file, 1, length(file) - 1)) r
WHERE name = 'raw IP, IPv4';
SELECT count(*), sum(r.bytes)
FROM capture, lastfluss.read_pcap(file || substr(file, 25, 20)) r
WHERE name = 'raw IP, IPv4';
SELECT count(*), sum(r.bytes)
FROM capture, lastfluss.read_pcap(file || '\x00') r
WHERE name = 'raw IP, IPv4';

/*
 * replay(): into traffic, at the times of the capture.
 */
SET client_min_messages = error;    -- the collector's database is another one
SELECT lastfluss.add_interface('DE-CIX', '192.0.2.1', 23, sample => 512);
SELECT lastfluss.add_interface('Transit', '192.0.2.1', 42);
SELECT lastfluss.set('attribution', 'arrival');
RESET client_min_messages;

-- A packet at a time, in a big-endian capture of raw IP.
CREATE FUNCTION pg_temp.packet_at(at timestamptz, address bytea DEFAULT '\xc0000201') RETURNS bytea
LANGUAGE sql AS $$
    SELECT substr(int8send(extract(epoch FROM at)::bigint), 5) || '\x00000000 00000064 00000064'
        || overlay(ipv4 PLACING address FROM 13 FOR 4)
    FROM packet
$$;

-- Three datagrams, of which the last one came late, and one of a stranger.
SELECT r.*
FROM wrapping, lastfluss.replay(header
        || pg_temp.packet_at('2024-01-01 23:58:10+00')
        || pg_temp.packet_at('2024-01-01 23:58:50+00')
        || pg_temp.packet_at('2024-01-02 00:00:00+00')
        || pg_temp.packet_at('2024-01-01 23:58:59+00')
        || pg_temp.packet_at('2024-01-01 23:58:59+00', '\xc0000203')) r
WHERE name = 'raw IP, IPv4';

SELECT "time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows
FROM traffic
ORDER BY "time", iface, flows;

-- A day's partition for each.
SELECT relid FROM pg_partition_tree('traffic') WHERE isleaf ORDER BY relid::text COLLATE "C";

-- The interface's own sampling rate, else the header's: 512 and 100.
SELECT iface, ingress, sum(bytes) = 4 * 1000 * CASE iface WHEN 'DE-CIX' THEN 512 ELSE 100 END AS exact
FROM traffic GROUP BY iface, ingress ORDER BY iface;

-- Rolled back means never happened.
BEGIN;
SELECT r.*
FROM wrapping, lastfluss.replay(header || pg_temp.packet_at('2024-02-01 00:00:00+00')) r
WHERE name = 'raw IP, IPv4';
ROLLBACK;
SELECT count(*) FROM traffic WHERE "time" >= '2024-02-01';

-- A clock that is far off makes no partitions far away.
SELECT r.*
FROM wrapping, lastfluss.replay(header || pg_temp.packet_at('1970-01-01 00:00:00+00')
                                || pg_temp.packet_at('2100-01-01 00:00:00+00')) r
WHERE name = 'raw IP, IPv4';
SELECT count(*) FROM traffic WHERE "time" = '1990-01-01 00:00:00+00';
SELECT count(*) FROM traffic WHERE "time" BETWEEN now() AND now() + interval '1 day';

-- Another period, another table.
SET client_min_messages = error;
SELECT lastfluss.set('period', '5 min');
SELECT lastfluss.set('table', 'public.regress_traffic');
RESET client_min_messages;
SELECT r.*
FROM wrapping, lastfluss.replay(header
        || pg_temp.packet_at('2024-01-01 12:04:59+00')
        || pg_temp.packet_at('2024-01-01 12:05:00+00')) r
WHERE name = 'raw IP, IPv4';
SELECT "time", bandwidth, iface, bytes FROM regress_traffic ORDER BY "time", iface;

-- Spread: the flow lasted from 40 s to 20 s before it was exported.
SET client_min_messages = error;
SELECT lastfluss.reset('period');
SELECT lastfluss.reset('attribution');
RESET client_min_messages;
TRUNCATE regress_traffic;
SELECT r.*
FROM wrapping, lastfluss.replay(header || pg_temp.packet_at('2024-01-01 12:05:30+00')) r
WHERE name = 'raw IP, IPv4';
SELECT "time", iface, bytes, packets, flows FROM regress_traffic ORDER BY "time", iface;

-- What is no capture changes nothing; a truncated one counts as far as it goes.
SELECT * FROM lastfluss.replay('hello');
SELECT r.*
FROM wrapping, lastfluss.replay(header || pg_temp.packet_at('2024-01-01 12:10:00+00') || '\x00') r
WHERE name = 'raw IP, IPv4';

DROP TABLE traffic, regress_traffic;
SET client_min_messages = error;
SELECT lastfluss.reset('table');
SELECT lastfluss.remove_interface('192.0.2.1', 23);
SELECT lastfluss.remove_interface('192.0.2.1', 42);
