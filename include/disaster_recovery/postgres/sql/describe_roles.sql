-- {role: {attributes, member_of}}: what owners, grants and policies refer to; never a password
select coalesce(json_object_agg(r.rolname, json_build_object(
    'login', r.rolcanlogin, 'superuser', r.rolsuper, 'inherit', r.rolinherit, 'create_role', r.rolcreaterole,
    'create_db', r.rolcreatedb, 'replication', r.rolreplication, 'bypass_rls', r.rolbypassrls,
    'member_of', array(
        select g.rolname::text from pg_catalog.pg_auth_members as m
        join pg_catalog.pg_roles as g on g.oid = m.roleid where m.member = r.oid order by 1
    )
) order by r.rolname), '{}')
from pg_catalog.pg_roles as r
where r.rolname !~ '^pg_'
