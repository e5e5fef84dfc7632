-- Conversations, their messages, and notifications. Every fiftieth conversation is empty; the first is very long.
create table demo_build.conversations as
select n::bigint as n, case when n = 1 then demo_build.scaled(400, 40) when n % 50 = 0 then 0 else 1 + demo_build.pick(n, 14, 34) end as messages,
  demo_build.applied_campaign(n, campaigns) as campaign, demo_build.moment(n, 15) as at,
  demo_build.brand_user(demo_build.campaign_brand(demo_build.applied_campaign(n, campaigns), brands)) as brand_user,
  demo_build.creator_user(demo_build.applied_creator(n, campaigns, creators)) as creator_user
from demo_build.counts, generate_series(1, conversations) as n;

-- A message's number is its conversation's followed by seven digits: its place there.
insert into public.conversations (id, campaign_id, brand_user_id, creator_user_id, subject, message_count,
  last_message_id, last_message_at, created_at, updated_at)
select
  demo_build.id('conversation', n), case when n % 9 > 0 then demo_build.id('campaign', campaign) end,
  demo_build.id('user', brand_user), demo_build.id('user', creator_user),
  case n % 4 when 0 then null when 1 then '' when 2 then demo_build.nasty(n / 4) else 'About campaign #' || campaign end,
  messages, case when messages > 0 then demo_build.id('message', n * 10000000 + messages) end,
  case when messages > 0 then at + messages * interval '37 minutes' end, at, at + messages * interval '37 minutes'
from demo_build.conversations
order by n;

insert into public.messages (id, conversation_id, sender_id, reply_to, body, attachments, read_at, deleted_at, created_at)
select
  demo_build.id('message', n * 10000000 + place), demo_build.id('conversation', n),
  demo_build.id('user', case when (n + place) % 3 = 0 then brand_user else creator_user end),
  case when place > 3 and place % 4 = 0 then demo_build.id('message', n * 10000000 + place - 1 - place % 3) end,
  case when (n + place) % 9 = 0 then demo_build.nasty(n + place / 9) else (array[
    'Hi! Is the brief final?', 'Yes, see the attachment 📎', 'Sounds good 👍', 'Könntest du den Preis noch anpassen?',
    'من فضلك أرسل لي العقد', 'I''ll send the draft tomorrow; is "Friday" OK?', '了解しました。',
    E'Two things:\n- the logo\n- the music\n\nThanks!', 'C''est parfait — merci !', '👀'])[1 + demo_build.pick(n * 41 + place, 16, 10)]
    || ' (' || place || '/' || messages || ')' end,
  case (n + place) % 20 when 0 then 'null'::jsonb when 1 then '[]'::jsonb when 2 then jsonb_build_array(jsonb_build_object(
    'name', 'draft "' || place || '".mp4', 'bytes', place * 1048576, 'tags', jsonb_build_array(null, '', demo_build.nasty(n)))) end,
  case when place < messages then at + place * interval '37 minutes' + interval '90 seconds' end,
  case when place % 61 = 60 then at + place * interval '38 minutes' end,
  at + place * interval '37 minutes'
from demo_build.conversations, generate_series(1, messages) as place
order by n, place;

insert into public.notifications (id, user_id, kind, title, body, data, is_read, created_at)
select
  demo_build.id('notification', n), demo_build.id('user', 1 + demo_build.pick(n, 17, users)),
  (array['message', 'booking', 'payment', 'review', 'welcome'])[1 + n % 5],
  (array['New message', 'Booking update', 'You got paid 💸', 'New review', 'Welcome to CollabHunts'])[1 + n % 5],
  case when n % 12 = 0 then demo_build.nasty(n / 12) when n % 12 < 9 then 'Open CollabHunts to see what is new.' end,
  case n % 6 when 0 then null when 1 then 'null'::jsonb when 2 then '{}'::jsonb else jsonb_build_object('n', n, 'link', '/inbox/' || n) end,
  n % 3 > 0, demo_build.moment(n, 18)
from demo_build.counts, generate_series(1, notifications) as n;
