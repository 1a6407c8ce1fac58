/*
 * Your own data beside the traffic: customers, their ports and contracts; a bill by
 * the 95th percentile; and row-level security, so that a customer who logs in sees
 * the traffic of its own ports only.
 *
 *     psql lastfluss -f examples/customers.sql
 *
 * Run it as a superuser.  A rollup that is made later is closed to customers, until
 * it is run again.  Change the rows in the middle to yours.
 */

\set ON_ERROR_STOP on
BEGIN;

CREATE SCHEMA IF NOT EXISTS operator;

CREATE TABLE IF NOT EXISTS operator.customer (
    id   integer PRIMARY KEY,
    name text NOT NULL,
    role name UNIQUE            -- the role that the customer logs in as
);

CREATE TABLE IF NOT EXISTS operator.port (
    iface    text PRIMARY KEY,  -- traffic.iface
    customer integer NOT NULL REFERENCES operator.customer
);

CREATE TABLE IF NOT EXISTS operator.contract (
    customer  integer NOT NULL REFERENCES operator.customer,
    since     date NOT NULL,
    committed bigint NOT NULL,  -- bit/s that are paid for in any case
    price     numeric NOT NULL, -- for a Mbit/s and month
    PRIMARY KEY (customer, since)
);

/* Yours: made-up ones, which are left out where there are others. */

INSERT INTO operator.customer
SELECT v.* FROM (VALUES (1, 'Example Hosting', 'customer_hosting'), (2, 'Example Video', 'customer_video')) v
WHERE NOT EXISTS (SELECT FROM operator.customer);

INSERT INTO operator.port
SELECT v.* FROM (VALUES ('Customer Hosting', 1), ('Customer Video 1', 2), ('Customer Video 2', 2)) v
WHERE NOT EXISTS (SELECT FROM operator.port);

INSERT INTO operator.contract
SELECT v.* FROM (VALUES (1, date '2020-01-01', 100000000, 0.80), (2, '2020-01-01', 1000000000, 0.35)) v
WHERE NOT EXISTS (SELECT FROM operator.contract);

/*
 * The bill of a month: of each port the larger direction's percentile, all ports of
 * a customer together at least what was committed to.
 */

CREATE OR REPLACE FUNCTION operator.bill(month date)
RETURNS TABLE (customer text, ports bigint, rate numeric, committed bigint, amount numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.name, count(*), sum(p.rate), k.committed, round(greatest(sum(p.rate), k.committed) / 1000000 * k.price, 2)
    FROM operator.customer c
    JOIN LATERAL (SELECT o.iface, (SELECT max(l.percentile) FROM lastfluss.percentile(o.iface, $1) l)::numeric AS rate
                  FROM operator.port o WHERE o.customer = c.id) p ON true
    JOIN LATERAL (SELECT n.committed, n.price FROM operator.contract n
                  WHERE n.customer = c.id AND n.since <= $1 ORDER BY n.since DESC LIMIT 1) k ON true
    GROUP BY c.id, c.name, k.committed, k.price
    ORDER BY c.name;
END;

/* Who sees what.  A customer sees itself, its ports, and what flows through these. */

ALTER TABLE operator.customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE operator.port ENABLE ROW LEVEL SECURITY;
ALTER TABLE operator.contract ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS own ON operator.customer;
DROP POLICY IF EXISTS own ON operator.port;
DROP POLICY IF EXISTS own ON operator.contract;
CREATE POLICY own ON operator.customer FOR SELECT USING (role = current_user);
CREATE POLICY own ON operator.port FOR SELECT USING (customer IN (SELECT id FROM operator.customer));
CREATE POLICY own ON operator.contract FOR SELECT USING (customer IN (SELECT id FROM operator.customer));

-- The table of the traffic and all its rollups.  The collector writes as their owner,
-- whom policies do not concern; nor do they a role with BYPASSRLS.
DO $$
DECLARE
    relation text;
BEGIN
    FOR relation IN SELECT t FROM lastfluss._tables() t LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('DROP POLICY IF EXISTS customers ON %s', relation);
        EXECUTE format('CREATE POLICY customers ON %s FOR SELECT USING (iface = ANY (ARRAY(SELECT p.iface FROM operator.port p)))', relation);
    END LOOP;
END;
$$;

-- Who is to see all, with what is not written yet: Grafana's role (examples/grafana/role.sql).
-- Others who read the traffic and are no customers get "permission denied for schema operator"
-- until you do the same for them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana' AND NOT rolbypassrls) THEN
        ALTER ROLE grafana BYPASSRLS;
    END IF;
END;
$$;

-- A role for each customer: it may ask, not see live, and log in when it has a password.
DO $$
DECLARE
    customer name;
BEGIN
    FOR customer IN SELECT c.role FROM operator.customer c WHERE c.role IS NOT NULL LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = customer) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', customer);
        END IF;
        PERFORM lastfluss.grant_read(quote_ident(customer)::regrole, live => false);
        EXECUTE format('GRANT USAGE ON SCHEMA operator TO %I', customer);
        EXECUTE format('GRANT SELECT ON operator.customer, operator.port, operator.contract TO %I', customer);
    END LOOP;
END;
$$;

COMMIT;
