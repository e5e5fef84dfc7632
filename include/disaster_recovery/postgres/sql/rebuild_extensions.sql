-- every extension available to this server, and those it requires
select e.name, coalesce(v.requires::text[], '{}')
from pg_catalog.pg_available_extensions as e
left join pg_catalog.pg_available_extension_versions as v on v.name = e.name and v.version = e.default_version
