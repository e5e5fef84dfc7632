-- Databases of this role's own that are called as those of drills: name, mark, and whether it was opened yet.
select d.datname, pg_catalog.shobj_description(d.oid, 'pg_database'), d.datallowconn
from pg_catalog.pg_database as d
join pg_catalog.pg_roles as r on r.oid = d.datdba
where r.rolname = current_user and d.datname like %(prefix)s
order by d.datname
