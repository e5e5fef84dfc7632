-- Campaigns, applications, bookings and what follows from a booking. A booking's number decides all of it:
-- the first applications are the accepted ones, and n % 10 is how far the booking came (from 4 on it is paid).
insert into public.campaigns (id, brand_id, created_by, title, brief, status, budget_cents, currency, "targetAudience",
  hashtags, runs, featured_slot, deadline, created_at, updated_at)
select
  demo_build.id('campaign', n), demo_build.id('brand', demo_build.campaign_brand(n, brands)),
  demo_build.id('user', demo_build.brand_user(demo_build.campaign_brand(n, brands))),
  (array['Summer launch', 'Back to school', 'Слава кофе', '夏のキャンペーン', 'Black Friday'])[1 + n % 5] || ' #' || n,
  case when n % 2 = 0 then demo_build.nasty(n / 2) when n % 4 = 1 then 'Show our product in your everyday life.' end,
  (array['draft', 'open', 'open', 'closed', 'archived'])[1 + n % 5], 100000 + n % 401 * 2500, 'EUR',
  case n % 4 when 0 then null when 1 then 'null'::jsonb else jsonb_build_object('ages', jsonb_build_array(18, 34),
    'countries', jsonb_build_array('CH', 'FR'), 'interests', jsonb_build_object('ملاحظة', demo_build.nasty(n), '', true)) end,
  case n % 3 when 0 then null when 1 then '{}' else array['#ad', '#' || n, '#été'] end::text[],
  case n % 3 when 0 then null when 1 then daterange(date '2024-01-01' + (n % 300)::integer, null)
    else daterange(date '2024-01-01' + (n % 300)::integer, date '2024-01-31' + (n % 300)::integer, '[]') end,
  case when n % 20 = 0 then tstzrange(timestamptz '2024-01-01 00:00:00+00' + n * interval '1 minute',
    timestamptz '2024-01-01 00:00:00+00' + (n + 20) * interval '1 minute') end,
  case n % 4 when 0 then timestamptz 'infinity' when 1 then timestamptz '1969-07-20 20:17:40+00'
    else demo_build.moment(n, 9) + interval '999 hours' end,
  demo_build.moment(n, 9), demo_build.moment(n, 9) + interval '1 hour'
from demo_build.counts, generate_series(1, campaigns) as n;

insert into public.campaign_applications (id, campaign_id, creator_id, status, pitch, proposed_cents, reviewed_by,
  created_at, updated_at)
select
  demo_build.id('application', n), demo_build.id('campaign', demo_build.applied_campaign(n, campaigns)),
  demo_build.id('creator', demo_build.applied_creator(n, campaigns, creators)),
  case when n <= bookings then 'accepted' else (array['pending', 'short-listed', 'rejected', 'withdrawn'])[1 + n % 4]
    end::public.application_status,
  case when n % 5 = 0 then demo_build.nasty(n / 5) when n % 5 < 4 then 'I would love to, my followers ask for it.' end,
  case when n % 7 > 0 then 9900 + n % 71 * 300 end,
  case when n <= bookings then demo_build.id('user', demo_build.brand_user(
    demo_build.campaign_brand(demo_build.applied_campaign(n, campaigns), brands))) end,
  demo_build.moment(n, 10), demo_build.moment(n, 10)
from demo_build.counts, generate_series(1, applications) as n;

create table demo_build.bookings as
select n, n % 10 >= 4 as is_paid, 9900 + demo_build.pick(n, 11, 4000) * 25 as price, demo_build.moment(n, 12) as at,
  demo_build.applied_campaign(n, campaigns) as campaign,
  demo_build.applied_creator(n, campaigns, creators) as creator,
  demo_build.campaign_brand(demo_build.applied_campaign(n, campaigns), brands) as brand
from demo_build.counts, generate_series(1, bookings) as n;

insert into public.bookings (id, application_id, campaign_id, brand_id, creator_id, service_id, booked_by, status,
  price_cents, fee_basis_points, period, paid_at, created_at, updated_at)
select
  demo_build.id('booking', n), demo_build.id('application', n), demo_build.id('campaign', campaign),
  demo_build.id('brand', brand), demo_build.id('creator', creator),
  case when n % 3 > 0 and creator <= services then demo_build.id('service', creator) end,
  demo_build.id('user', demo_build.brand_user(brand)),
  (array['cancelled', 'pending', 'accepted', 'in_progress', 'delivered', 'completed', 'completed', 'completed',
    'completed', case when n % 40 = 9 then 'disputed' else 'completed' end])[1 + n % 10]::public.booking_status,
  price, 1000 + n % 6 * 125, case when n % 4 > 0 then tstzrange(at, at + interval '336 hours') end,
  case when is_paid then at + interval '3 hours' end, at, at + interval '4 hours'
from demo_build.counts, demo_build.bookings
order by n;

insert into public.booking_deliverables (booking_id, position, kind, caption, links, checksum, length, metrics,
  approved_by, submitted_at)
select
  demo_build.id('booking', n), position, (array['reel', 'story', 'post'])[1 + (n + position) % 3],
  case when position = 1 then demo_build.nasty(n) end,
  case n % 4 when 0 then null when 1 then '{}' when 2 then array['https://e.test/' || n, null] else
    array['https://e.test/?a=1&b="2"', E'a\\b\nc'] end::text[],
  case when n % 2 = 0 then sha256(convert_to(n || '/' || position, 'UTF8')) when n % 9 = 0 then '\x00ff0a5c'::bytea end,
  case when n % 3 > 0 then make_interval(secs => n % 600 + 0.25) end,
  case when n % 5 > 1 then jsonb_build_object('views', n * 97, 'retention', jsonb_build_array(1, 0.87, 0.5, null)) end,
  case when is_paid then demo_build.id('user', demo_build.brand_user(brand)) end,
  case when n % 10 >= 4 then at + interval '100 hours' end
from demo_build.bookings, generate_series(1, 1 + n % 2) as position
order by n, position;

insert into public.reviews (id, booking_id, reviewer_id, reviewee_id, rating, comment, answer, is_public, created_at, updated_at)
select
  demo_build.id('review', n), demo_build.id('booking', n), demo_build.id('user', demo_build.brand_user(brand)),
  demo_build.id('user', demo_build.creator_user(creator)), 1 + demo_build.pick(n, 13, 5),
  case when n % 4 = 0 then demo_build.nasty(n / 4) when n % 4 < 3 then 'Great work, on time. 🌟' end,
  case when n % 6 = 0 then 'Thank you!' when n % 6 = 1 then '' end, n % 11 > 0, at + interval '500 hours', at + interval '500 hours'
from demo_build.bookings where n % 10 >= 5
order by n;

insert into public.disputes (id, booking_id, deliverable_position, opened_by, resolved_by, reason, evidence,
  evidence_files, answer_within, opened_at, resolved_at, updated_at)
select
  demo_build.id('dispute', n), demo_build.id('booking', n), case when n % 80 = 9 then 1 end,
  demo_build.id('user', demo_build.brand_user(brand)), case when n % 3 = 0 then demo_build.id('user', 1) end,
  'Not as agreed: ' || demo_build.nasty(n), case when n % 80 = 9 then 'null'::jsonb else jsonb_build_object('n', n) end,
  array[['a.png', 'first "try"'], ['b.png', null]], interval '2 days 12:00', at + interval '600 hours',
  case when n % 3 = 0 then at + interval '700 hours' end, at + interval '700 hours'
from demo_build.bookings where n % 40 = 9
order by n;

-- Every third paid booking was paid in two instalments, the odd cent in the second.
insert into public.payments (id, booking_id, payer_id, payee_id, amount_cents, currency, exchange_rate, status,
  provider_reference, provider_event, payer_ip, card_fingerprint, paid_at, created_at)
select
  demo_build.id('payment', n * 2 + part), demo_build.id('booking', n), demo_build.id('user', demo_build.brand_user(brand)),
  demo_build.id('user', demo_build.creator_user(creator)),
  case when n % 3 > 0 then price when part = 0 then price / 2 else price - price / 2 end, 'EUR',
  case n % 4 when 0 then null when 1 then 1 else 1.000000000000000000000000000001 + n / 99991.0 end,
  'paid', case when n % 17 > 0 then 'pi_' || left(md5('pi' || n || part), 24) end,
  case when n % 4 > 0 then format(E'{"id" : %s,\n\t"amount":%s.00, "id": "twice", "text":"\\u00e9\\n", "none": null}', n, price)::json end,
  inet '203.0.113.0' + n % 256, sha256(convert_to('card' || brand, 'UTF8')),
  at + interval '3 hours' + part * interval '1 hour', at + interval '2 hours'
from demo_build.bookings, generate_series(0, case when n % 3 = 0 then 1 else 0 end) as part
where is_paid
order by n, part;
