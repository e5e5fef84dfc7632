-- The sequences of the schemas but those that begin anew by themselves, and the table and column that each counts for, if it does for one
select n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, tn.nspname, tc.relname, a.attname
from pg_catalog.pg_sequence as s
join pg_catalog.pg_class as c on c.oid = s.seqrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
left join pg_catalog.pg_class as tc on tc.oid = d.refobjid
left join pg_catalog.pg_namespace as tn on tn.oid = tc.relnamespace
left join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where n.nspname = any(%(schemas)s) and not s.seqcycle
order by n.nspname, c.relname
