-- the statements, in order, that give a schema back its grants, comment and owner
with schema as (
    select n.*, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) as acl,
        coalesce(%(grants)s::text[]::pg_catalog.aclitem[], pg_catalog.acldefault('n', r.oid)) as wanted
    from pg_catalog.pg_namespace as n, pg_catalog.pg_roles as r
    where n.nspname = %(schema)s and r.rolname = %(owner)s
)
select statement from (
    select 1 as place, pg_catalog.format('REVOKE %%s ON SCHEMA %%I FROM %%s CASCADE', privilege_type, nspname,
        case when grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) end) as statement
    from (
        select nspname, (pg_catalog.aclexplode(acl)).* from schema
        except select nspname, (pg_catalog.aclexplode(wanted)).* from schema
    ) as added
    union all
    select 2, pg_catalog.format('GRANT %%s ON SCHEMA %%I TO %%s%%s', privilege_type, nspname,
        case when grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) end,
        case when is_grantable then ' WITH GRANT OPTION' else '' end)
    from (
        select nspname, (pg_catalog.aclexplode(wanted)).* from schema
        except select nspname, (pg_catalog.aclexplode(acl)).* from schema
    ) as removed
    union all
    select 3, pg_catalog.format('COMMENT ON SCHEMA %%I IS %%L', nspname, %(comment)s::text)
    from schema where pg_catalog.obj_description(oid, 'pg_namespace') is distinct from %(comment)s::text
    union all
    select 4, pg_catalog.format('ALTER SCHEMA %%I OWNER TO %%I', nspname, %(owner)s::text)
    from schema where pg_catalog.pg_get_userbyid(nspowner) <> %(owner)s::text
) as statements
order by place
