-- Default privileges of our role, everywhere and in these schemas: the statements that set them to what Postgres itself
-- begins with, and those that put them back.
select statements.neutral, statements.restored
from pg_catalog.pg_default_acl as d
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
cross join lateral (
    select pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I', pg_catalog.pg_get_userbyid(d.defaclrole))
            || coalesce(' IN SCHEMA ' || pg_catalog.quote_ident(n.nspname), '') as change,
        case d.defaclobjtype when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES'
            when 'n' then 'SCHEMAS' when 'L' then 'LARGE OBJECTS' end as objects,
        -- those of one schema are added to those of all, and begin with nothing
        case when n.nspname is null then pg_catalog.acldefault(
            case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole) end as initial
) as read
cross join lateral (
    select pg_catalog.string_agg(distinct case when x.grantee = 0 then 'PUBLIC'
            else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) end, ', ') as grantees
    from pg_catalog.aclexplode(d.defaclacl || read.initial) as x
) as everybody
cross join lateral (
    select array_prepend(
            pg_catalog.format('%%s REVOKE ALL ON %%s FROM %%s', read.change, read.objects, everybody.grantees),
            pg_catalog.array_agg(g.statement) filter (where g.is_initial)
        ) as neutral,
        array_prepend(
            pg_catalog.format('%%s REVOKE ALL ON %%s FROM %%s', read.change, read.objects, everybody.grantees),
            pg_catalog.array_agg(g.statement) filter (where not g.is_initial)
        ) as restored
    from (
        select each.is_initial, pg_catalog.format('%%s GRANT %%s ON %%s TO %%s%%s', read.change, x.privilege_type, read.objects,
            case when x.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) end,
            case when x.is_grantable then ' WITH GRANT OPTION' else '' end) as statement
        from (values (true, read.initial), (false, d.defaclacl)) as each (is_initial, acl)
        cross join lateral pg_catalog.aclexplode(each.acl) as x
    ) as g
) as statements
where d.defaclrole = (select oid from pg_catalog.pg_roles where rolname = current_user)
    and (n.nspname is null or n.nspname = any(%(schemas)s))
    and everybody.grantees is not null
