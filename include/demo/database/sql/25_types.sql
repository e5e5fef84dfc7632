-- The application's own types.
set role postgres;

create type public.app_role as enum ('admin', 'brand', 'creator');
create type public.booking_status as enum
  ('pending', 'accepted', 'in_progress', 'delivered', 'completed', 'cancelled', 'disputed');
create type public.application_status as enum ('pending', 'short-listed', 'accepted', 'rejected', 'withdrawn');
create type public.payment_status as enum ('authorized', 'paid', 'refunded', 'on hold');

create domain public.currency_code as text
  constraint currency_code_is_iso_4217 check (value ~ '^[A-Z]{3}$');
create domain public.cents as bigint default 0
  constraint cents_not_negative check (value >= 0);

create type public.postal_address as (
  street text,
  city text,
  postal_code text,
  country char(2)
);

comment on type public.app_role is 'What a user may be on CollabHunts; one user may be several.';
comment on domain public.cents is 'An amount of money in the currency''s smallest unit.';
comment on type public.postal_address is 'Where a brand is billed, or a creator lives.';
reset role;
