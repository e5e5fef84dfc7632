-- Profiles, roles, brands and creators.
insert into public.profiles (id, username, full_name, email, bio, avatar_url, birth_date, languages, preferences,
  last_seen_ip, last_seen_at, is_suspended, created_at, updated_at)
select
  demo_build.id('user', n), 'user_' || n,
  case when n % 50 <> 0 then demo_build.first_name(n) || ' ' || demo_build.last_name(n) end,
  'User' || n || '@example.test',
  case when n % 3 = 0 then demo_build.nasty(n / 3) when n % 3 = 1 then 'I make things with 📷 and ☕.' end,
  case when n % 4 = 0 then 'https://cdn.example.test/avatars/' || n || '.webp?v=1&s=%20' when n % 4 = 1 then '' end,
  date '1951-03-01' + (n * 37 % 19000)::integer,
  case n % 6 when 0 then '{}'::text[] when 1 then array['de', null, 'fr'] when 2 then array['en', '', 'NULL']
    when 3 then array['zh', 'a "quoted" one', 'comma, brace }'] else array['en'] end,
  case n % 7 when 0 then '{}'::jsonb when 1 then 'null'::jsonb else jsonb_build_object('theme', 'dark',
    'email', jsonb_build_object('weekly', n % 2 = 0, 'quiet_hours', jsonb_build_array(22, 7.50, null)),
    'pinned', jsonb_build_array(), 'big', 12345678901234567890123456789.000100::numeric) end,
  case n % 4 when 0 then inet '2001:db8::/64' + n when 1 then inet '192.0.2.1' when 2 then inet '198.51.100.0/24' end,
  case when n % 9 <> 0 then demo_build.moment(n, 3) end,
  n % 190 = 0,
  demo_build.moment(n, 1), demo_build.moment(n, 1) + interval '30 hours'
from demo_build.counts, generate_series(1, users) as n;

insert into public.user_roles (user_id, role, granted_by, granted_at)
select demo_build.id('user', n), case when n % 5 = 0 then 'brand' else 'creator' end::public.app_role,
  case when n % 10 = 0 then demo_build.id('user', 1) end, demo_build.moment(n, 1)
from demo_build.counts, generate_series(1, users) as n;

insert into public.user_roles (user_id, role, granted_by, granted_at)
select demo_build.id('user', n), 'admin', demo_build.id('user', 1), timestamptz '2023-01-02 09:00:00+00'
from demo_build.counts, generate_series(1, users, 240) as n;

insert into public.brand_profiles (id, user_id, company_name, website, vat_number, industry, billing_address,
  monthly_budget, created_at, updated_at)
select
  demo_build.id('brand', n), demo_build.id('user', demo_build.brand_user(n)),
  demo_build.last_name(n) || case n % 4 when 0 then ' & Söhne "GmbH"' when 1 then ', Inc.' when 2 then ' 株式会社' else '' end,
  case when n % 3 > 0 then 'https://brand' || n || '.example.test/?q=ü' end,
  case n % 5 when 0 then '' when 1 then null else 'CHE-' || (100000000 + n) end,
  (array['fashion', 'food', 'travel', 'gaming', 'beauty'])[1 + n % 5],
  case n % 4 when 0 then null when 1 then row(null, null, null, null)::public.postal_address
    else row('Rue "du" Lac ' || n || E', 2\\ème\nétage', 'Genève', lpad(n::text, 4, '0'), 'CH')::public.postal_address end,
  case n % 6 when 0 then null when 1 then 'NaN'::numeric when 2 then n * 1000000000000000000000.000000000000000000001
    when 3 then 1500.00 else n * 250 end,
  demo_build.moment(demo_build.brand_user(n), 1), demo_build.moment(n, 4) + interval '26000 hours'
from demo_build.counts, generate_series(1, brands) as n;

insert into public.creator_profiles (id, user_id, display_name, headline, home, niches, audience_by_age,
  engagement_rate, "accept_%", hourly_rate_cents, available, response_time, portfolio, first_post_on, verified_by,
  created_at, updated_at)
select
  demo_build.id('creator', n), demo_build.id('user', demo_build.creator_user(n)),
  demo_build.first_name(demo_build.creator_user(n)) || ' ✨', case when n % 4 = 0 then demo_build.nasty(n / 4)
    when n % 4 < 3 then 'Stories about ' || (array['coffee', 'mountains', 'tiny houses', 'retro games'])[1 + n % 4] end,
  case when n % 3 = 0 then row(null, 'Zürich', '', 'CH')::public.postal_address end,
  case n % 5 when 0 then null when 1 then '{}' when 2 then array['food', null] when 3 then array['a,b', '"c"', 'd\e']
    else array['travel', 'vlog'] end,
  case n % 4 when 0 then null when 1 then '{}' when 2 then array[[13, 17, n], [18, 24, 2 * n], [25, null, 3 * n]]
    else array[[18, 99, 7 * n]] end::integer[],
  n / 7.0 * ('1e-' || n % 30)::numeric, (n * 7 % 10001) / 100.0, case when n % 8 <> 0 then 2500 + n % 97 * 100 end,
  case n % 5 when 0 then null when 1 then 'empty'::tstzrange when 2 then tstzrange(demo_build.moment(n, 5), null)
    when 3 then tstzrange(demo_build.moment(n, 5), 'infinity', '[]')
    else tstzrange(demo_build.moment(n, 5), demo_build.moment(n, 5) + interval '200 hours', '(]') end,
  case n % 4 when 0 then interval '-1 day 02:03:04.000005' when 1 then interval '1 year 2 months -3 days'
    when 2 then make_interval(secs => n) end,
  case n % 6 when 0 then null when 1 then 'null'::jsonb when 2 then '[]'::jsonb else jsonb_build_array(
    jsonb_build_object('title', demo_build.nasty(n), 'views', n::bigint * 1000003, 'cover', null,
      'credits', jsonb_build_object('music', jsonb_build_array('a', jsonb_build_array(), jsonb_build_object())))) end,
  case n % 100 when 0 then date '0044-03-15 BC' when 1 then date '-infinity' else date '1965-01-01' + (n % 20000)::integer end,
  case when n % 6 = 0 then demo_build.id('user', 1) end,
  demo_build.moment(demo_build.creator_user(n), 1), demo_build.moment(n, 6) + interval '26000 hours'
from demo_build.counts, generate_series(1, creators) as n;

insert into public.creator_social_accounts (id, creator_id, platform, handle, followers, metrics, token_digest,
  connected_at, updated_at)
select
  demo_build.id('social', n), demo_build.id('creator', 1 + (n - 1) % creators),
  (array['instagram', 'tiktok', 'youtube', 'twitch'])[1 + (n + (n - 1) / creators) % 4],
  '@' || lower(demo_build.first_name(n)) || '_' || n, case when n % 200 = 0 then 9223372036854775807 - n else n * 131 end,
  case when n % 5 > 0 then jsonb_build_object('likes', n, 'ratio', n / 3.0, 'by day', jsonb_build_object('2024-02-29', n % 7)) end,
  case n % 3 when 0 then null when 1 then '\x'::bytea else sha256(convert_to('token' || n, 'UTF8')) end,
  case when n % 4 > 0 then demo_build.moment(n, 7) end, demo_build.moment(n, 7)
from demo_build.counts, generate_series(1, social) as n;

insert into public.creator_services (id, creator_id, "order", title, description, price_cents, currency, turnaround,
  tags, is_active, created_at, updated_at)
select
  demo_build.id('service', n), demo_build.id('creator', 1 + (n - 1) % creators), (n - 1) / creators % 30000,
  (array['One reel', 'Three stories', 'Unboxing — 4K', 'Product photos'])[1 + n % 4],
  case when n % 6 = 0 then demo_build.nasty(n / 6) end, 4900 + n % 83 * 500,
  (array['EUR', 'CHF', 'USD', 'JPY'])[1 + n % 4], case when n % 3 > 0 then make_interval(days => (n % 14)::integer, hours => 12) end,
  case n % 3 when 0 then '{}' when 1 then array['reel', 'ugc'] else array['it''s', 'a\b', ''] end::text[],
  n % 7 > 0, demo_build.moment(n, 8), demo_build.moment(n, 8)
from demo_build.counts, generate_series(1, services) as n;
