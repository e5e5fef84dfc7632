-- The first column of each table's primary key, where rows up to a value of it can be told before any policy is asked:
-- its comparison is leakproof (pg_proc.proleakproof) and knows no collation, which may differ on another server
select wanted.name, a.attname
from pg_catalog.unnest(%(relations)s::text[]) as wanted (name)
join pg_catalog.pg_class as c on c.oid = wanted.name::pg_catalog.regclass
join pg_catalog.pg_index as i on i.indrelid = c.oid and i.indisprimary
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where a.atttypid in (
    'int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, 'int8'::pg_catalog.regtype, 'uuid'::pg_catalog.regtype,
    'date'::pg_catalog.regtype, 'timestamp'::pg_catalog.regtype, 'timestamptz'::pg_catalog.regtype
)
