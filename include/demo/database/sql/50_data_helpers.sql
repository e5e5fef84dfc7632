-- How data is made up: from the row's number alone, never from random() or now(), so that two databases of the
-- same size are equal. The schema is dropped at the end. The size comes from the setting demo.size (1 if unset).
create schema demo_build;

create function demo_build.scaled(base integer, smallest integer) returns integer language sql stable as $$
  select greatest(smallest, round(base * coalesce(nullif(current_setting('demo.size', true), ''), '1')::numeric))::integer
$$;

-- A uuid that looks like any other (version 4) and can be computed wherever a key points to it.
create function demo_build.id(kind text, n bigint) returns uuid language sql immutable as $$
  select overlay(overlay(md5(kind || ':' || n) placing '4' from 13) placing 'a' from 17)::uuid
$$;

-- 0 .. below-1, scattered; squared because a line modulo anything is a pattern. Reduced before each product, for
-- bigint's sake.
create function demo_build.pick(n bigint, salt integer, below bigint) returns bigint language sql immutable as $$
  select ((n * 7919 + salt * 104729) % 1000003) * ((n * 7919 + salt * 104729) % 1000003)
    % 2147483647 * 48271 % 2147483647 % below
$$;

-- Hours, never days: a day's length depends on the session's time zone.
create function demo_build.moment(n bigint, salt integer) returns timestamptz language sql immutable as $$
  select timestamptz '2023-01-02 09:00:00+00'
    + demo_build.pick(n, salt, 90000000) * interval '1 second' + (n % 1000003) * interval '1 microsecond'
$$;

-- Who is who: every fifth user is a brand, all others are creators.
create function demo_build.brand_user(brand bigint) returns bigint language sql immutable as 'select brand * 5';
create function demo_build.creator_user(creator bigint) returns bigint language sql immutable as
  'select creator + (creator - 1) / 4';

create table demo_build.counts as
select users, users / 5 as brands, users - users / 5 as creators, social, services, campaigns, applications,
  bookings, conversations, notifications, objects
from (select
  demo_build.scaled(1200, 12) as users, demo_build.scaled(1900, 19) as social,
  demo_build.scaled(1900, 19) as services, demo_build.scaled(1100, 11) as campaigns,
  demo_build.scaled(3000, 30) as applications, demo_build.scaled(2000, 20) as bookings,
  demo_build.scaled(1500, 15) as conversations, demo_build.scaled(15000, 150) as notifications,
  demo_build.scaled(300, 6) as objects
) as scaled;

-- The nth application: to which campaign, by which creator. A campaign's applicants are neighbours, hence distinct.
create function demo_build.applied_campaign(n bigint, campaigns bigint) returns bigint language sql immutable as
  'select 1 + (n - 1) % campaigns';
create function demo_build.applied_creator(n bigint, campaigns bigint, creators bigint) returns bigint
language sql immutable as 'select 1 + (((n - 1) % campaigns) * 13 + (n - 1) / campaigns) % creators';
create function demo_build.campaign_brand(campaign bigint, brands bigint) returns bigint
language sql immutable as 'select 1 + (campaign * 7) % brands';

create function demo_build.first_name(n bigint) returns text language sql immutable as $$
  select (array['Ada', 'Zoë', 'Łukasz', '李娜', 'محمد', 'नेहा', 'Søren', 'Jürgen', 'さくら', 'O''Brien', 'Ἀθηνᾶ', 'שרה',
    'Nguyễn', 'Ivan', 'Chloé', 'Kwame', 'Emre', 'Ólafur', 'Mia', 'Noah'])[1 + n % 20]
$$;
create function demo_build.last_name(n bigint) returns text language sql immutable as $$
  select (array['Lovelace', 'García', 'Müller', 'Kowalski', '王', 'الخوارزمي', 'D''Souza', 'Smith-Jones', 'van der Berg',
    'Ørsted', 'Петров', 'Yılmaz', 'Okafor'])[1 + n % 13]
$$;

-- Text people really paste, or attackers do. What cannot be seen is written as an escape.
create function demo_build.nasty(n bigint) returns text language sql immutable as $nasty$
  select (array[
    '',
    ' ',
    'NULL',
    '\N',
    E'\\.',
    E'-- not a comment\n-- nor this',
    E'first line\n\\restrict Abc\n\\connect template1\nlast line',
    E'tab\there, line\nbreak, carriage\r\nreturn, form\ffeed, vertical\u000btab',
    E'\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u0009\u000a\u000b\u000c\u000d\u000e\u000f',
    E'\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f\u007f',
    E'C:\\temp\\new\\u0041 "quoted" ''twice'' `tick`',
    E'U+2028\u2028U+2029\u2029U+0085\u0085U+00A0\u00a0U+FEFF\ufeffU+FFFF\uffff end',
    '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇨🇭 one sign, many code points',
    E'astral \U0001D54F\U00020000\U0010FFFD',
    E'combining: e\u0301 \u006f\u0302\u0301\u0323 is not the composed \u00e9; Z\u0351\u036bA\u0343\u035bL\u0310G\u0352O',
    E'right to left: \u202eabc\u202c السلام عليكم and שלום 123',
    '{"looks": "like json"}',
    '{a,"b c",NULL}',
    '(,"a ""b""",)',
    '<script>alert("x")</script> &amp; <b>bold</b>',
    '''; drop table public.profiles; --',
    '$$ $1 $body$ ${HOME} $(id)',
    '%s %(name)s %% {0} {{ var.value.secret }} {% raw %}',
    '1e400 0x10 007 -0 1_000 NaN Infinity',
    repeat('long enough to be stored out of line ', 300),
    ' leading and trailing ',
    E'\r\n',
    '=HYPERLINK("http://example.test")'
  ])[1 + n % 28]
$nasty$;
