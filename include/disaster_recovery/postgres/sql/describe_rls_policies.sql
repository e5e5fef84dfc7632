-- {table: [{name, …, definition}]}: policies of the schemas' tables, and those on the platform's (storage.objects)
select coalesce(json_object_agg(name, items order by name), '{}')
from (
    select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name,
        json_agg(json_build_object(
            'name', p.polname,
            'command', command,
            'permissive', p.polpermissive,
            'roles', roles,
            'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
            'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
            'attached', not n.nspname = any(%(schemas)s),
            'follow_up', array_remove(array[
                case when pg_catalog.obj_description(p.oid, 'pg_policy') is not null then pg_catalog.format(
                    'COMMENT ON POLICY %%I ON %%I.%%I IS %%L', p.polname, n.nspname, c.relname,
                    pg_catalog.obj_description(p.oid, 'pg_policy')) end], null),
            'comment', pg_catalog.obj_description(p.oid, 'pg_policy'),
            'definition', pg_catalog.format(
                'CREATE POLICY %%I ON %%I.%%I AS %%s FOR %%s TO %%s%%s%%s',
                p.polname, n.nspname, c.relname,
                case when p.polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end, command,
                (select pg_catalog.string_agg(case when r = 'public' then 'PUBLIC' else pg_catalog.quote_ident(r) end, ', ') from unnest(roles) as r),
                ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
                ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'
            )
        ) order by p.polname) as items
    from pg_catalog.pg_policy as p
    join pg_catalog.pg_class as c on c.oid = p.polrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    cross join lateral (
        select case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end as command,
            array(
                select case when role_oid = 0 then 'public' else pg_catalog.pg_get_userbyid(role_oid)::text end
                from unnest(p.polroles) as role_oid order by 1
            ) as roles
    ) as readable
    where n.nspname = any(%(schemas)s) or n.nspname = any(%(platform)s)
    group by 1
) as policies
