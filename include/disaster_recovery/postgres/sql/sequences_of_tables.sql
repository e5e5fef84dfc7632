-- Sequences of the target: those owned by the tables of a restore with their column, and those the document names
select n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, pg_catalog.pg_sequence_last_value(c.oid) as last_value,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as is_owned,
    tn.nspname as table_schema, tc.relname as table_name, a.attname as column_name
from pg_catalog.pg_sequence as s
join pg_catalog.pg_class as c on c.oid = s.seqrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
left join pg_catalog.pg_class as tc on tc.oid = d.refobjid
left join pg_catalog.pg_namespace as tn on tn.oid = tc.relnamespace
left join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where exists (
        select from rows from (pg_catalog.unnest(%(table_schemas)s::text[]), pg_catalog.unnest(%(table_names)s::text[])) as t (schema_name, name)
        where t.schema_name = tn.nspname and t.name = tc.relname
    )
    or tc.oid is null and exists (
        select from rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as q (schema_name, name)
        where q.schema_name = n.nspname and q.name = c.relname
    )
order by n.nspname, c.relname
