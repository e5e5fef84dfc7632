-- What the backup role lacks beside the tables themselves, which are tried one by one: "right on object", each once.
-- pg_dump locks every table of the schemas it describes; a sequence that may not be read has no last value, in silence.
with covered as (
    select n.oid, n.nspname from pg_catalog.pg_namespace as n
    where n.nspname = any(%(schemas)s) and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
),
lacking (what, place) as (
    select 'USAGE on schema ' || pg_catalog.quote_ident(n.nspname), 1
    from pg_catalog.pg_namespace as n
    where n.nspname = any(%(schemas)s || '{supabase_migrations}'::text[])
        and not pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    union all
    select 'SELECT on ' || pg_catalog.format('%%I.%%I', n.nspname, c.relname), 2
    from covered as n join pg_catalog.pg_class as c on c.relnamespace = n.oid
    where c.relkind in ('r', 'p') and not pg_catalog.has_table_privilege(c.oid, 'SELECT')
        and not (n.nspname || '.' || c.relname) = any(%(tried)s)
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
        )
    union all
    select 'SELECT on sequence ' || pg_catalog.format('%%I.%%I', n.nspname, c.relname), 3
    from covered as n join pg_catalog.pg_class as c on c.relnamespace = n.oid
    -- CASE keeps the order: the function refuses what is no sequence
    where case when c.relkind = 'S' then not pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') end
    union all
    select 'SELECT on supabase_migrations.schema_migrations', 4
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations'
        and not pg_catalog.has_table_privilege(c.oid, 'SELECT')
    union all
    select wanted.right || ' on public.backup_history', 5
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public' and c.relname = 'backup_history'
    cross join (values ('SELECT'), ('INSERT'), ('UPDATE')) as wanted ("right")
    where not pg_catalog.has_table_privilege(c.oid, wanted.right)
    union all
    select 'CREATE on schema public, to make the missing public.backup_history', 6
    where pg_catalog.to_regnamespace('public') is not null
        and not exists (
            select from pg_catalog.pg_class as c
            where c.relname = 'backup_history' and c.relnamespace = pg_catalog.to_regnamespace('public')
        )
        and not pg_catalog.has_schema_privilege('public', 'CREATE')
)
select what from lacking order by place, what
