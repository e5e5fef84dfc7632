-- [{owner, schema, objects, grants}]
select coalesce(json_agg(json_build_object(
    'owner', pg_catalog.pg_get_userbyid(d.defaclrole),
    'schema', n.nspname,
    'objects', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
        when 'T' then 'types' when 'n' then 'schemas' else d.defaclobjtype::text end,
    'grants', d.defaclacl::text[]
) order by n.nspname, d.defaclrole, d.defaclobjtype), '[]')
from pg_catalog.pg_default_acl as d
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
where n.nspname is null or n.nspname = any(%(schemas)s)
