-- What the page lists of each row: never the counts of single tables, nor what other programs keep in components_backed_up.
select
    h.id::text as id,
    coalesce(h.backup_type, '') as backup_type,
    coalesce(h.status, '') as status,
    h.file_name,
    h.file_size,
    h.execution_time_ms,
    coalesce(c.components, '{}') as components,
    pg_catalog.left(h.error_message, 1001) as error_message,
    h.created_at,
    pg_catalog.cardinality(h.tables_backed_up) as tables,
    least(greatest(c.rows, 0), 9223372036854775807)::bigint as rows,
    c.warnings
from public.backup_history as h
cross join lateral (
    select case pg_catalog.jsonb_typeof(h.components_backed_up) when 'object' then h.components_backed_up else '{}' end as json
) as o
cross join lateral (
    select
        (
            select pg_catalog.jsonb_object_agg(key, value)
            from pg_catalog.jsonb_each(o.json)
            where key in ('run', 'verification', 'drill', 'watch', 'expired')
        ) as components,
        case
            when pg_catalog.jsonb_typeof(o.json -> 'total_rows') = 'number' then (o.json ->> 'total_rows')::numeric
            when pg_catalog.jsonb_typeof(o.json -> 'row_counts') = 'object'
                then (
                    select pg_catalog.sum((value #>> '{}')::numeric)
                    from pg_catalog.jsonb_each(o.json -> 'row_counts')
                    where pg_catalog.jsonb_typeof(value) = 'number'
                )
        end as rows,
        case pg_catalog.jsonb_typeof(o.json -> 'warnings')
            when 'array' then pg_catalog.jsonb_array_length(o.json -> 'warnings')
            else 0
        end as warnings
) as c
where h.created_at between '0002-01-01' and '9998-12-31' -- what Python's datetime holds, in every time zone
order by h.created_at desc
limit %(most)s
