-- A type by its name, as this server writes it without length or precision, in its two spellings (character, bpchar).
-- to_regtype reads a text as the name of a type and nothing else; null: there is none.
select pg_catalog.format_type(pg_catalog.to_regtype(%(type)s), null), pg_catalog.format_type(pg_catalog.to_regtype(%(type)s), -1)
