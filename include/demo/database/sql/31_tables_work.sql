-- What is done on the marketplace: campaigns, who applies, what is booked and what is delivered.
set role postgres;

create table public.campaigns (
  id uuid primary key default gen_random_uuid(),
  brand_id uuid not null,
  created_by uuid,
  title text not null,
  brief text,
  status text not null default 'draft' check (status in ('draft', 'open', 'closed', 'archived')),
  budget_cents public.cents not null,
  currency public.currency_code not null default 'EUR',
  "targetAudience" jsonb,
  hashtags text[],
  runs daterange,
  featured_slot tstzrange,
  deadline timestamptz not null default 'infinity',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- The home page has one place: two campaigns are never featured at the same moment.
  constraint campaigns_one_featured_at_a_time exclude using gist (featured_slot with &&)
);

create table public.campaign_applications (
  id uuid primary key default gen_random_uuid(),
  campaign_id uuid not null,
  creator_id uuid not null,
  status public.application_status not null default 'pending',
  pitch text,
  proposed_cents public.cents,
  reviewed_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint campaign_applications_once_per_creator unique (campaign_id, creator_id)
);

create table public.bookings (
  id uuid primary key default gen_random_uuid(),
  application_id uuid unique,
  campaign_id uuid not null,
  brand_id uuid not null,
  creator_id uuid not null,
  service_id uuid,
  booked_by uuid,
  status public.booking_status not null default 'pending',
  price_cents public.cents not null,
  fee_basis_points integer not null default 1250 check (fee_basis_points between 0 and 10000),
  platform_fee_cents bigint generated always as (((price_cents)::bigint * fee_basis_points + 5000) / 10000) stored,
  period tstzrange,
  paid_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint bookings_unpaid_when_cancelled check (status <> 'cancelled' or paid_at is null)
);
comment on column public.bookings.platform_fee_cents is 'CollabHunts'' share, half cents rounded up.';

create table public.booking_deliverables (
  booking_id uuid not null,
  position smallint not null check (position > 0),
  kind text not null,
  caption text,
  links text[],
  checksum bytea,
  length interval,
  metrics jsonb,
  approved_by uuid,
  submitted_at timestamptz,
  primary key (booking_id, position)
);

create table public.reviews (
  id uuid primary key default gen_random_uuid(),
  booking_id uuid not null unique,
  reviewer_id uuid not null,
  reviewee_id uuid not null,
  rating smallint not null check (rating between 1 and 5),
  comment text,
  answer text,
  is_public boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create sequence public.disputes_case_number_seq as integer;
create table public.disputes (
  id uuid primary key default gen_random_uuid(),
  case_number integer not null default nextval('public.disputes_case_number_seq') unique,
  booking_id uuid not null,
  deliverable_position smallint,
  opened_by uuid,
  resolved_by uuid,
  reason text not null,
  evidence jsonb,
  evidence_files text[],
  answer_within interval not null default '3 days',
  opened_at timestamptz not null default now(),
  resolved_at timestamptz,
  updated_at timestamptz not null default now()
);
alter sequence public.disputes_case_number_seq owned by public.disputes.case_number;

create table public.payments (
  id uuid primary key default gen_random_uuid(),
  receipt_number bigint not null generated always as identity (start with 20230001) unique,
  booking_id uuid not null,
  payer_id uuid,
  payee_id uuid,
  amount_cents public.cents not null,
  currency public.currency_code not null default 'EUR',
  exchange_rate numeric,
  status public.payment_status not null,
  provider_reference text constraint payments_provider_reference_key unique,
  provider_event json,
  payer_ip inet,
  card_fingerprint bytea,
  paid_at timestamptz,
  created_at timestamptz not null default now()
);
comment on column public.payments.provider_event is 'The provider''s words, letter by letter: json, not jsonb, on purpose.';

-- Belongs to no column: next_invoice_number() draws from it.
create sequence public.invoice_number_seq start with 1000 increment by 7 maxvalue 99999999 cache 1;
reset role;
