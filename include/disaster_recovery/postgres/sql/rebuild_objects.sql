-- What stands in these schemas and belongs to no extension: kind, name, and the statement that removes it. Names are
-- the server's own quoting. Identity sequences, row types and the like belong to another object and go with it.
select o.type, o.identity,
    pg_catalog.format('DROP %%s IF EXISTS %%s CASCADE', case
        when o.type in ('function', 'procedure', 'aggregate') then 'ROUTINE'
        when o.type = 'statistics object' then 'STATISTICS'
        else pg_catalog.upper(o.type) end, o.identity)
from pg_catalog.pg_namespace as n
join pg_catalog.pg_depend as d
    on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid and d.deptype = 'n'
cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) as o
where n.nspname = any(%(schemas)s)
    and o.schema = n.nspname
    and not exists (
        select from pg_catalog.pg_depend as inside
        where inside.classid = d.classid and inside.objid = d.objid and inside.deptype in ('e', 'i')
    )
order by o.type in ('table', 'view', 'materialized view', 'foreign table') desc, o.type, o.identity
