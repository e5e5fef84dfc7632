-- The columns of a table and everything their types are made of: domains down to their base, arrays to their
-- elements, composites to their attributes. A type outside pg_catalog has no kind: it may be called json or numeric.
with recursive
column_types as (
    select a.attnum, a.attname, a.atttypid, a.atttypmod
    from pg_catalog.pg_attribute as a
    where a.attrelid = pg_catalog.to_regclass(%(relation)s) and a.attnum > 0 and not a.attisdropped
),
bases (attnum, oid, typmod) as ( -- a column's own type, domains resolved
    select attnum, atttypid, atttypmod from column_types
    union all
    select b.attnum, t.typbasetype, t.typtypmod
    from bases as b join pg_catalog.pg_type as t on t.oid = b.oid where t.typtype = 'd'
),
parts (attnum, oid, depth) as (
    select b.attnum, b.oid, 0 from bases as b join pg_catalog.pg_type as t on t.oid = b.oid where t.typtype <> 'd'
    union
    select p.attnum, step.oid, p.depth + 1
    from parts as p
    join pg_catalog.pg_type as t on t.oid = p.oid
    cross join lateral (
        select t.typbasetype as oid where t.typtype = 'd'
        union all
        select t.typelem where t.typcategory = 'A'
        union all
        select a.atttypid from pg_catalog.pg_attribute as a
        where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
    ) as step
    where p.depth < 32
)
select c.attname,
    case
        when own.oid in ('pg_catalog.int2vector'::regtype, 'pg_catalog.oidvector'::regtype) then own.typname
        when own.typcategory = 'A' then 'array'
        when own.typtype = 'c' then 'composite'
        when own.typnamespace = 'pg_catalog'::regnamespace then own.typname
        else ''
    end as kind,
    -- 308 digits before the point fit into a double; precision and scale (11 bits, signed) as in numeric.c
    own.oid = 'pg_catalog.numeric'::regtype and not exists (
        select from bases as b where b.attnum = c.attnum and b.typmod <> -1
            and ((b.typmod - 4) >> 16 & 65535) - (((b.typmod - 4) & 2047 # 1024) - 1024) <= 308
    ) as unbounded,
    coalesce(pg_catalog.array_agg(distinct inner_type.typname::text) filter (
        where inner_type.typtype not in ('d', 'c') and inner_type.typcategory <> 'A'
            and inner_type.typnamespace = 'pg_catalog'::regnamespace and p.depth > 0
    ), '{}') as element_types,
    pg_catalog.bool_or(p.depth > 0 and (inner_type.typcategory = 'A')) as holds_array,
    pg_catalog.bool_or(p.depth > 0 and inner_type.typtype = 'c') as holds_composite,
    pg_catalog.bool_or(exists (
        select from pg_catalog.pg_cast as k
        where k.castsource = p.oid and k.casttarget = 'pg_catalog.json'::regtype and k.castfunc <> 0 and p.oid >= 16384
    )) as holds_json_cast,
    -- json_populate_record checks a domain by way of the binary input of its base type
    pg_catalog.min(case
        when inner_type.typtype = 'd' and base.typreceive = 0 then base.typname
        when p.depth = 0 and c.atttypid <> p.oid and inner_type.typreceive = 0 then inner_type.typname
    end::text) as domain_without_binary_input
from column_types as c
join bases as b on b.attnum = c.attnum
join pg_catalog.pg_type as own on own.oid = b.oid and own.typtype <> 'd'
join parts as p on p.attnum = c.attnum
join pg_catalog.pg_type as inner_type on inner_type.oid = p.oid
left join pg_catalog.pg_type as base on base.oid = inner_type.typbasetype
group by c.attnum, c.attname, own.oid, own.typcategory, own.typtype, own.typname, own.typnamespace
order by c.attnum
