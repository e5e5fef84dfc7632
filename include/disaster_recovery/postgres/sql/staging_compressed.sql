-- the columns of a table whose large values are compressed
select a.attname
from pg_catalog.pg_attribute as a
where a.attrelid = %(relation)s::pg_catalog.regclass and a.attstorage = 'x' and a.attnum > 0 and not a.attisdropped
order by a.attnum
