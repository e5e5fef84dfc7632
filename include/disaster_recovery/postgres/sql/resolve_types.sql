-- Types as a document names them, as this server knows them: without length or precision, and with (null: no such type)
select wanted.name, pg_catalog.format_type(pg_catalog.to_regtype(wanted.name), -1)
from pg_catalog.unnest(%(types)s::text[]) as wanted (name)
where pg_catalog.to_regtype(wanted.name) is not null
    and wanted.name !~ '^\s*([0-9]+|-)\s*$' -- which it would take for an oid
