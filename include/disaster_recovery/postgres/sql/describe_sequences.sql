-- {sequence: {…, last_value}}; a sequence is not transactional: its value may be ahead of the snapshot, never behind.
-- A sequence that was never used has no last_value.
select coalesce(json_object_agg(name, item order by name), '{}')
from (
    select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name,
        json_build_object(
            'type', pg_catalog.format_type(s.seqtypid, null),
            'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax,
            'cache', s.seqcache, 'cycle', s.seqcycle,
            'last_value', pg_catalog.pg_sequence_last_value(c.oid),
            'owner', pg_catalog.pg_get_userbyid(c.relowner),
            'grants', c.relacl::text[],
            'owned_by', (
                select json_build_object('table', d.refobjid::regclass::text, 'column', a.attname,
                    'kind', case d.deptype when 'i' then 'identity' else 'serial' end)
                from pg_catalog.pg_depend as d
                join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
            )
        ) as item
    from pg_catalog.pg_sequence as s
    join pg_catalog.pg_class as c on c.oid = s.seqrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any(%(schemas)s)
) as sequences
