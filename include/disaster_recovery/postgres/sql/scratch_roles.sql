-- Roles that bear a drill's mark, and that nobody has made a login or a superuser since.
select r.rolname, pg_catalog.shobj_description(r.oid, 'pg_authid')
from pg_catalog.pg_roles as r
where pg_catalog.shobj_description(r.oid, 'pg_authid') like %(mark)s and not r.rolcanlogin and not r.rolsuper
order by r.rolname
