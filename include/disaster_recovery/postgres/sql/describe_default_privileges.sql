-- [{owner, schema, objects, grants, definition}]; pg_dump of single schemas leaves out those of all schemas (schema null)
select coalesce(json_agg(json_build_object(
    'owner', owner,
    'schema', n.nspname,
    'objects', objects,
    'grants', d.defaclacl::text[],
    'definition', case when n.nspname is null then array_prepend(
        pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I REVOKE ALL ON %%s FROM PUBLIC, %%I', owner, objects, owner),
        array(
            select pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I GRANT %%s ON %%s TO %%s%%s', owner,
                pg_catalog.string_agg(x.privilege_type, ', ' order by x.privilege_type), objects,
                case when x.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) end,
                case when x.is_grantable then ' WITH GRANT OPTION' else '' end)
            from pg_catalog.aclexplode(d.defaclacl) as x
            group by x.grantee, x.is_grantable
            order by 1
        )
    ) end
) order by n.nspname, d.defaclrole, d.defaclobjtype), '[]')
from pg_catalog.pg_default_acl as d
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
cross join lateral (
    select pg_catalog.pg_get_userbyid(d.defaclrole) as owner,
        case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
            when 'n' then 'schemas' when 'L' then 'large objects' end as objects
) as readable
where n.nspname is null or n.nspname = any(%(schemas)s)
