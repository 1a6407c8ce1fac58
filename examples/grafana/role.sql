-- A role for Grafana, which reads and may nothing else.  In the collector's database, some
-- seconds after CREATE EXTENSION, when the table traffic is there:
--
--   psql -d lastfluss -f examples/grafana/role.sql
--   psql -d lastfluss -c '\password grafana'

CREATE ROLE grafana LOGIN;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '60s';

-- The answers and graphs, and what they read.
SELECT lastfluss.grant_read('grafana');

-- All of it, where row-level security lets customers see a part (examples/customers.sql).
SELECT 'ALTER ROLE grafana BYPASSRLS' FROM pg_class WHERE oid = ANY (ARRAY(SELECT lastfluss._tables())) AND relrowsecurity LIMIT 1 \gexec

-- The dashboard "Collector health": the status, and counters to compare with.
GRANT pg_monitor TO grafana;
GRANT SELECT ON lastfluss.counters TO grafana;
