-- [{name, arguments, …, definition}], without those of extensions and the constructors of range types
select coalesce(json_agg(item order by item ->> 'name', item ->> 'arguments'), '[]')
from (
    select json_build_object(
        'name', case when n.nspname = 'public' then p.proname::text else n.nspname || '.' || p.proname end,
        'arguments', pg_catalog.pg_get_function_identity_arguments(p.oid),
        'returns', pg_catalog.pg_get_function_result(p.oid),
        'kind', case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate' else 'window' end,
        'language', l.lanname,
        'security_definer', p.prosecdef,
        'volatility', case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
        'settings', p.proconfig,
        'owner', pg_catalog.pg_get_userbyid(p.proowner),
        'grants', p.proacl::text[],
        'comment', pg_catalog.obj_description(p.oid, 'pg_proc'),
        'definition', case when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid) end
    ) as item
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where n.nspname = any(%(schemas)s)
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i')
        )
) as functions
