-- Schemas that a restore has made: our prefix, our mark, and ours to drop
select n.nspname, d.description
from pg_catalog.pg_namespace as n
join pg_catalog.pg_description as d
    on d.classoid = 'pg_catalog.pg_namespace'::regclass and d.objoid = n.oid and d.objsubid = 0
where n.nspname like %(prefix)s
    and d.description like %(mark)s
    and pg_catalog.pg_has_role(n.nspowner, 'USAGE')
order by n.nspname
