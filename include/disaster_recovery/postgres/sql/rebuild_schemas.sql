-- the schemas of this database: owner, comment, grants, and the name as pg_dump writes it
select n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), pg_catalog.obj_description(n.oid, 'pg_namespace'), n.nspacl::text[],
    pg_catalog.quote_ident(n.nspname)
from pg_catalog.pg_namespace as n
where n.nspname !~ '^pg_toast|^pg_temp'
