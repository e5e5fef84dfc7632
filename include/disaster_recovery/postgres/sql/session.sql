-- What pg_dump sets for its own session, so that values come out complete and unambiguous (pg_dump.c, setup_connection).
-- Settings this server version does not know are left out by the join.
select s.name, pg_catalog.set_config(s.name, wanted.value, false)
from (values
    ('search_path', ''),
    ('row_security', 'off'),
    ('TimeZone', 'UTC'),
    ('DateStyle', 'ISO, YMD'),
    ('IntervalStyle', 'postgres'),
    ('extra_float_digits', '3'),
    ('bytea_output', 'hex'),
    ('xmloption', 'content'),
    ('lc_monetary', 'C'),
    ('synchronize_seqscans', 'off'),
    ('statement_timeout', '0'),
    ('lock_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('transaction_timeout', '0'),
    ('jit', 'off')
) as wanted (name, value)
join pg_catalog.pg_settings as s on s.name = wanted.name
