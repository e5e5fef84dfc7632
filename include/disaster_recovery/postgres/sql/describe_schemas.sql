-- {schema: {owner, grants, comment}}
select coalesce(json_object_agg(n.nspname, json_build_object(
    'owner', pg_catalog.pg_get_userbyid(n.nspowner),
    'grants', n.nspacl::text[],
    'comment', pg_catalog.obj_description(n.oid, 'pg_namespace')
) order by n.nspname), '{}')
from pg_catalog.pg_namespace as n
where n.nspname = any(%(schemas)s)
