-- Schemas that a restore has made: our prefix, our mark. Only what this very role owns is ours to drop, and its undo log
-- ours to run: anybody who may create schemas could make one that looks like it.
select n.nspname, d.description, n.nspowner = r.oid
from pg_catalog.pg_namespace as n
join pg_catalog.pg_description as d
    on d.classoid = 'pg_catalog.pg_namespace'::regclass and d.objoid = n.oid and d.objsubid = 0
join pg_catalog.pg_roles as r on r.rolname = current_user
where n.nspname like %(prefix)s
    and d.description like %(mark)s
order by n.nspname
