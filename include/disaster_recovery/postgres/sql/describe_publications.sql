-- publication: operations, and tables and schemas with the definition that brings a membership back; the braces are filled in by server version
select coalesce(json_object_agg(p.pubname, json_build_object(
    'owner', pg_catalog.pg_get_userbyid(p.pubowner),
    'all_tables', p.puballtables,
    'operations', array_remove(array[
        case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end], null),
    'via_root', p.pubviaroot,
    'definition', pg_catalog.format('DO $do$BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = %%L) THEN'
        ' CREATE PUBLICATION %%I%%s WITH (publish = %%L, publish_via_partition_root = %%L);'
        ' ALTER PUBLICATION %%I OWNER TO %%I; END IF; END$do$',
        p.pubname, p.pubname, case when p.puballtables then ' FOR ALL TABLES' else '' end,
        pg_catalog.concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
            case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end),
        p.pubviaroot::text, p.pubname, pg_catalog.pg_get_userbyid(p.pubowner)),
    'schemas', {schemas},
    'tables', (
        select coalesce(json_agg(json_build_object(
            'table', case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end,
            'covered', n.nspname = any(%(schemas)s),
            'definition', pg_catalog.format('ALTER PUBLICATION %%I ADD TABLE ONLY %%I.%%I%%s%%s', p.pubname, n.nspname, c.relname,
                {columns}, {filter})
        ) order by n.nspname, c.relname), '[]')
        from pg_catalog.pg_publication_rel as r
        join pg_catalog.pg_class as c on c.oid = r.prrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where r.prpubid = p.oid
    )
) order by p.pubname), '{{}}')
from pg_catalog.pg_publication as p
