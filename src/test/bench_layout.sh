# shellcheck shell=bash
#
# A part of bench.sh: which indexes and which order of rows the tables should have.
#
# Copies of what part "answers" has filled, as that of an hour's table: in the order in
# which the rows came, by interface, and by AS; with no index on it, BRIN, and btrees.  For
# each the time and the pages of the queries that most graphs are made of.

layout_functions()
{
	sql -o /dev/null <<-'SQL'
		CREATE FUNCTION layout_measure(query text) RETURNS text LANGUAGE plpgsql
		SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
		DECLARE
			plan json;
			times float8[];
			pages bigint;
		BEGIN
			FOR n IN 1 .. 4 LOOP
				EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
				times := times || (plan->0->>'Execution Time')::float8;
				pages := (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
			END LOOP;
			RETURN (SELECT round(percentile_disc(0.5) WITHIN GROUP (ORDER BY t)) FROM unnest(times[2:]) t) || ' / ' || pages;
		END
		$$;
		CREATE FUNCTION layout_queries(relation regclass, OUT iface text, OUT asn text, OUT everything text, OUT top text) LANGUAGE plpgsql AS $$
		DECLARE
			ends timestamptz;
			day text;
			hour text;
		BEGIN
			EXECUTE format('SELECT max("time") FROM %s', relation) INTO ends;
			day := format('"time" > %L AND "time" <= %L', ends - interval '1 day', ends);
			hour := format('"time" > %L AND "time" <= %L', ends - interval '1 hour', ends);
			iface := layout_measure(format('SELECT "time", ingress, sum(bytes) FROM %s WHERE iface = ''Transit Cogent'' GROUP BY 1, 2', relation));
			asn := layout_measure(format('SELECT "time", iface, ingress, sum(bytes) FROM %s WHERE remote_asn = 2906 GROUP BY 1, 2, 3', relation));
			everything := layout_measure(format('SELECT "time", iface, ingress, sum(bytes) FROM %s WHERE %s GROUP BY 1, 2, 3', relation, day));
			top := layout_measure(format('SELECT remote_asn, sum(bytes) FROM %s WHERE %s GROUP BY 1 ORDER BY 2 DESC LIMIT 10', relation, hour));
		END
		$$;
	SQL
}

# layout_rows TABLE WHERE: of a table, every order with every index.
layout_rows()
{
	local order index name

	for order in 'ctid' 'time, iface, ingress, remote_asn' 'time, remote_asn, iface, ingress'
	do
		sql -o /dev/null -c "CREATE UNLOGGED TABLE layout AS SELECT * FROM $1 WHERE $2 ORDER BY tableoid, ${order/time/\"time\"}" \
			-c 'VACUUM ANALYZE layout'
		[ "$order" != ctid ] || name='as they came'
		[ "$order" = ctid ] || name=$order
		for index in '' 'USING brin ("time")' '("time")' '(remote_asn)' '(remote_asn, "time")' \
			'(iface, ingress, "time") INCLUDE (remote_asn, bytes)'
		do
			[ -z "$index" ] || sql -o /dev/null -c "CREATE INDEX layout_index ON layout $index"
			say "| $name | ${index:-none} | $(sql -c "SELECT round(pg_relation_size('layout') / 1e6, 1), round(pg_indexes_size('layout') / 1e6, 1), q.* FROM layout_queries('layout') q" | sed 's/|/ | /g') |"
			[ -z "$index" ] || sql -c 'DROP INDEX layout_index'
		done
		sql -c 'DROP TABLE layout'
	done
}

part_layout()
{
	answers_prepare
	layout_functions
	say "### Layout"
	say
	say "Milliseconds and pages of 8 kB, warm. One interface and one ASN: over all of the table."
	for table in "traffic|\"time\" >= to_timestamp($answers_until) - interval '1 day'|a day of traffic" \
		"traffic_1h|\"time\" >= to_timestamp($answers_until) - interval '30 days'|traffic_1h, $answers_days days"
	do
		IFS='|' read -r name condition title <<<"$table"
		say
		say "#### ${title}"
		say
		say "| order of rows | index | MB | of the index | one interface | one ASN | all interfaces over a day | top ASNs of an hour |"
		say "|---|---|--:|--:|--:|--:|--:|--:|"
		layout_rows "$name" "$condition"
	done
}
