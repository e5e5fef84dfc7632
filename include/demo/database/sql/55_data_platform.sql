-- Settings: each row is a value some tool has lost. History: what the replaced backup function had written.
insert into public.platform_settings (key, value, t, description, updated_at) values
  ('fee_basis_points', '1250', 'number', 'CollabHunts'' share', '2023-01-02 09:00:00+00'),
  ('json_null', 'null', 'null', 'a JSON null is a value', '2023-01-02 09:00:00+00'),
  ('sql_null', null, null, null, '2023-01-02 09:00:00+00'),
  ('empty_string', '""', '', '', '2023-01-02 09:00:00+00'),
  ('', '"the empty key"', 'string', 'its key is the empty string', '2023-01-02 09:00:00+00'),
  ('big_number', '1234567890123456789012345678901234567890.12345678901234567890', 'number', 'no float holds it', '2023-01-02 09:00:00+00'),
  ('tiny_number', '1e-30', 'number', null, '1969-12-31 23:59:59.999999+00'),
  ('nested', '{"a": {"b": [{"c": [[], {}, null, [null]]}]}, "": "", "é": "\ud83c\udfac \u2028 \u0001"}', 'object', null, '2023-01-02 09:00:00+00'),
  (E'key with "quotes", \\ and\nline break', '[1, "two", false]', 'array', E'-- starts like a comment\n\\. ends like a copy', '2023-01-02 09:00:00+00');

insert into public.platform_settings (key, value, t, description, labels, limits, ratio, exact, secret, network, gateway,
  maintenance, effective_from, local_time, grace, office, offices, allowed_roles, windows, updated_by, updated_at) values
  ('all_types', '{"ok": true}', 'object', 'every column filled', array['a', 'NULL', null, '', 'c "d"', 'e,f', 'g\h', '{i}'],
    array[[1, 2], [3, null]], 0.1, 3.14159265358979323846264338327950288419716939937510, '\x000102fdfeff', '10.0.0.0/8',
    '2001:db8::1/64', tstzrange('2024-03-31 00:30:00+00', '2024-03-31 01:30:00.000001+00'), '1969-12-31 23:59:59.999999+00',
    '1901-12-13 20:45:52', '1 year 2 mons -3 days +04:05:06.000007', row('1, "Main" St', E'New\nYork', '', 'US'),
    array[row('a', 'b', 'c', 'CH'), null, row(null, '', '"', null)]::public.postal_address[], array['admin', null]::public.app_role[],
    '{[2024-01-01,2024-02-01), [2024-03-01,)}', demo_build.id('user', 1), '2024-01-01 00:00:00+00'),
  ('all_empty', '{}', '', '', '{}', '{}', 0, 0.000, '', '0.0.0.0/0', '0.0.0.0', 'empty', 'epoch', 'epoch', '0', row('', '', '', ''),
    '{}', '{}', '{}', null, '2024-01-01 00:00:00+00'),
  ('all_infinite', '[]', null, null, array[null]::text[], array[null]::integer[], 'Infinity', 'Infinity', null, '::/0', '::',
    '(,)', 'infinity', '-infinity', null, null, array[null]::public.postal_address[], array[null]::public.app_role[], '{(,)}', null,
    '-infinity'),
  ('all_odd', '"\\"', null, null, array[['a', 'b'], ['c', null]], array[[[1], [2]]], '-0', '-0.00', '\x5c', '192.0.2.0/31', '192.0.2.7/25',
    '[1969-12-31 00:00:00+00,infinity]', '0044-03-15 12:00:00+00 BC', '4713-01-01 00:00:00 BC', '-1 microsecond', row(null, null, null, null),
    null, array['creator', 'brand', 'admin']::public.app_role[], null, null, '294276-12-31 23:59:59.999999+00'),
  ('not_a_number', '0', null, null, null, null, 'NaN', 'NaN', null, null, null, null, null, null, null, null, null, null, null, null,
    '2024-01-01 00:00:00+00'),
  ('smallest', '-1', null, null, null, array[-2147483648, 2147483647], 5e-324, 1e-300, null, null, null, null, '-infinity', null,
    '-178000000 years', null, null, null, null, null, '2024-01-01 00:00:00+00'),
  ('largest', '1', null, null, null, null, 1.7976931348623157e308, 1e300, null, null, null, null, null, 'infinity',
    '178000000 years', null, null, null, null, null, '2024-01-01 00:00:00+00');

insert into public.platform_settings (key, value, t, description, updated_at)
select 'text_' || lpad(n::text, 2, '0'), to_jsonb(demo_build.nasty(n)), 'string', demo_build.nasty(n), timestamptz '2024-01-01 00:00:00+00'
from generate_series(0, 27) as n;

insert into public.backup_history (id, backup_type, status, file_name, s3_url, file_size, execution_time_ms,
  tables_backed_up, components_backed_up, migration_count, function_count, error_message, backup_version, triggered_by, created_at)
select
  demo_build.id('backup', n), case when n % 15 = 0 then 'manual' else 'scheduled' end,
  case when failed then 'failed' else 'success' end, name,
  case when not failed then 's3://collabhunts-backups/backups/' || name end,
  case when not failed then 2000000 + n * 40961 end, case when not failed then 2100 + demo_build.pick(n, 19, 4000) end,
  case when failed then '{}' else array['profiles', 'user_roles', 'brand_profiles', 'creator_profiles', 'campaigns', 'bookings', 'messages'] end::text[],
  case when not failed then jsonb_build_object('database', true, 'schema', true, 'edge_functions', jsonb_build_object('count', 2)) end,
  case when not failed then 12 end, case when not failed then 6 end,
  case when failed then E'TypeError: error sending request\n    at "backup" (index.ts:214:11)' end,
  '1.0', case when n % 15 = 0 then demo_build.id('user', 1) end, at
from (
  select n, n % 17 = 0 as failed, timestamptz '2025-10-08 00:00:00+00' + n * interval '24 hours' as at,
    'collabhunts-backup-' || to_char((timestamptz '2025-10-08 00:00:00+00' + n * interval '24 hours') at time zone 'UTC',
      'YYYY-MM-DD"T"HH24-MI-SS-MS"Z"') || '.json' as name
  from generate_series(1, 60) as n
) as days
order by n;
