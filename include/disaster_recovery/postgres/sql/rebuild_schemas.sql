-- the schemas of this database: owner, comment and grants
select n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), pg_catalog.obj_description(n.oid, 'pg_namespace'), n.nspacl::text[]
from pg_catalog.pg_namespace as n
where n.nspname !~ '^pg_toast|^pg_temp'
