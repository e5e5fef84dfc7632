-- The locale of the database we are in. The catalog's columns differ by version, so that all of them are asked for.
select pg_catalog.to_jsonb(d), pg_catalog.pg_encoding_to_char(d.encoding)
from pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database()
