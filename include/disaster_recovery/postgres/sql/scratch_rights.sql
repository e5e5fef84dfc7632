-- What the drill's role may do on its server, which of a backup's roles that lacks, and whether it takes writes at all.
select r.rolname::text, r.rolsuper or r.rolcreatedb, r.rolsuper or r.rolbypassrls, r.rolsuper or r.rolcreaterole,
    array(
        select wanted from pg_catalog.unnest(%(roles)s::text[]) as wanted
        where not exists (select from pg_catalog.pg_roles as known where known.rolname = wanted)
        order by wanted
    ),
    pg_catalog.pg_is_in_recovery()
from pg_catalog.pg_roles as r
where r.rolname = current_user
