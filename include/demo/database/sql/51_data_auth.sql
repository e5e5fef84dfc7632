-- Accounts. Nobody can sign in with these: the password digests are made up too.
insert into auth.schema_migrations (version)
select (20171026211738 + n * 100000000)::text from generate_series(1, 12) as n;

insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, phone,
  phone_confirmed_at, confirmation_token, last_sign_in_at, raw_app_meta_data, raw_user_meta_data, is_super_admin,
  created_at, updated_at, banned_until, deleted_at)
select
  '00000000-0000-0000-0000-000000000000', demo_build.id('user', n), 'authenticated', 'authenticated',
  case when n % 311 <> 0 then 'User' || n || case n % 9 when 0 then '+tag' else '' end || '@example.test' end,
  '$2a$10$' || left(md5('salt' || n) || md5('digest' || n), 53),
  case when n % 23 <> 0 then demo_build.moment(n, 1) + interval '5 minutes' end,
  case when n % 4 = 0 then '+4179' || lpad(n::text, 7, '0') end,
  case when n % 8 = 0 then demo_build.moment(n, 1) + interval '2 minutes' end,
  case when n % 23 = 0 then md5('confirm' || n) else '' end,
  case when n % 6 <> 0 then demo_build.moment(n, 1) + interval '400 hours' end,
  jsonb_build_object('provider', 'email', 'providers', case when n % 3 = 0 then '["email", "google"]' else '["email"]' end::jsonb),
  case n % 40
    when 0 then null
    when 1 then 'null'::jsonb
    else jsonb_build_object('full_name', demo_build.first_name(n) || ' ' || demo_build.last_name(n),
      'role', case when n % 5 = 0 then 'brand' else 'creator' end, 'note', demo_build.nasty(n))
  end,
  case when n % 2 = 0 then false end,
  demo_build.moment(n, 1), demo_build.moment(n, 1) + interval '401 hours',
  case when n % 500 = 77 then timestamptz 'infinity' end,
  case when n % 401 = 0 then demo_build.moment(n, 1) + interval '900 hours' end
from demo_build.counts, generate_series(1, users) as n;

insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
select
  demo_build.id('identity', n), demo_build.id('user', n)::text, demo_build.id('user', n),
  jsonb_build_object('sub', demo_build.id('user', n), 'email', 'User' || n || '@Example.test', 'email_verified', n % 23 <> 0),
  'email', null, demo_build.moment(n, 1), demo_build.moment(n, 1)
from demo_build.counts, generate_series(1, users) as n;

insert into auth.sessions (id, user_id, created_at, updated_at, not_after, user_agent, ip)
select
  demo_build.id('session', n), demo_build.id('user', 2 * n), demo_build.moment(n, 2), demo_build.moment(n, 2),
  case when n % 5 = 0 then demo_build.moment(n, 2) + interval '720 hours' end,
  'Mozilla/5.0 (demo)', inet '10.0.0.0' + n
from demo_build.counts, generate_series(1, users / 2) as n;

-- A session's tokens are a chain: each names the one it replaced.
insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
select
  '00000000-0000-0000-0000-000000000000', left(md5(n || ':token:' || link), 22), demo_build.id('user', 2 * n)::text,
  link < 1 + n % 2, demo_build.moment(n, 2) + link * interval '1 hour', demo_build.moment(n, 2) + link * interval '1 hour',
  case when link > 1 then left(md5(n || ':token:' || (link - 1)), 22) end, demo_build.id('session', n)
from demo_build.counts, generate_series(1, users / 2) as n, generate_series(1, 1 + n % 2) as link
order by n, link;
