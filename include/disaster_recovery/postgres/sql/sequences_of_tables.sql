-- Sequences of the target: those that the tables of a restore own or take values from, and of those the document names
-- the ones that no table uses; with `every`, all that the document names.
-- `users` are the integer columns whose values they give: only of such a column is the highest value a sequence's.
with taken as ( -- a column owns a sequence (serial, identity), or its default refers to one
    select d.objid as sequence, d.refobjid as relid, d.refobjsubid as attnum
    from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
        and d.deptype in ('a', 'i') and d.refobjsubid > 0
    union
    select d.refobjid, a.adrelid, a.adnum
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_attrdef as a on d.classid = 'pg_catalog.pg_attrdef'::regclass and a.oid = d.objid
    where d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype = 'n'
),
found as (
    select taken.sequence, tn.nspname, tc.relname, a.attname,
        coalesce(nullif(t.typbasetype, 0), t.oid) in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
            and pg_catalog.has_table_privilege(tc.oid, 'SELECT') and not pg_catalog.row_security_active(tc.oid) as counts,
        exists (
            select from rows from (pg_catalog.unnest(%(table_schemas)s::text[]), pg_catalog.unnest(%(table_names)s::text[]))
                as wanted (schema_name, name)
            where wanted.schema_name = tn.nspname and wanted.name = tc.relname
        ) as is_wanted
    from taken
    join pg_catalog.pg_class as tc on tc.oid = taken.relid
    join pg_catalog.pg_namespace as tn on tn.oid = tc.relnamespace
    join pg_catalog.pg_attribute as a on a.attrelid = taken.relid and a.attnum = taken.attnum and not a.attisdropped
    join pg_catalog.pg_type as t on t.oid = a.atttypid
)
select n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, pg_catalog.pg_sequence_last_value(c.oid) as last_value,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as is_owned,
    (
        select coalesce(json_agg(json_build_array(f.nspname, f.relname, f.attname) order by f.nspname, f.relname, f.attname), '[]')
        from found as f where f.sequence = c.oid and f.counts
    ) as users
from pg_catalog.pg_sequence as s
join pg_catalog.pg_class as c on c.oid = s.seqrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where exists (select from found as f where f.sequence = c.oid and f.is_wanted)
    or (%(every)s or not exists (select from found as f where f.sequence = c.oid)) and exists (
        select from rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as q (schema_name, name)
        where q.schema_name = n.nspname and q.name = c.relname
    )
order by n.nspname, c.relname
