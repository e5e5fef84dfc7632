-- What the application does inside the database.
set role postgres;

create function public.has_role(_user_id uuid, _role public.app_role) returns boolean
language sql stable security definer set search_path = public as $$
  select exists (select 1 from public.user_roles where user_id = _user_id and role = _role)
$$;
comment on function public.has_role(uuid, public.app_role) is
  'Security definer: a policy on user_roles that reads user_roles would otherwise call itself for ever.';

create function public.is_participant(_conversation_id uuid, _user_id uuid) returns boolean
language sql stable security definer set search_path = public as $$
  select exists (
    select 1 from public.conversations
    where id = _conversation_id and _user_id in (brand_user_id, creator_user_id)
  )
$$;

create function public.handle_new_user() returns trigger
language plpgsql security definer set search_path = public as $$
declare
  v_name text := coalesce(new.raw_user_meta_data ->> 'full_name', split_part(new.email, '@', 1));
begin
  insert into public.profiles (id, username, full_name, email)
  values (new.id, 'user_' || left(replace(new.id::text, '-', ''), 12), v_name, new.email);
  insert into public.notifications (user_id, kind, title, body)
  values (new.id, 'welcome', 'Welcome to CollabHunts', format('Good to have you here, %s!', v_name));
  return new;
end
$$;

create function public.update_updated_at_column() returns trigger
language plpgsql set search_path = public as $$
begin
  new.updated_at = now();
  return new;
end
$$;

create function public.notify_new_message() returns trigger
language plpgsql security definer set search_path = public as $$
declare
  v_recipient uuid;
begin
  select case when c.brand_user_id = new.sender_id then c.creator_user_id else c.brand_user_id end
  into v_recipient
  from public.conversations c where c.id = new.conversation_id;
  insert into public.notifications (user_id, kind, title, body, data)
  values (v_recipient, 'message', 'New message', left(new.body, 100), jsonb_build_object('message_id', new.id));
  return new;
end
$$;

create function public.update_conversation_on_message() returns trigger
language plpgsql security definer set search_path = public as $$
begin
  update public.conversations
  set message_count = message_count + 1, last_message_id = new.id, last_message_at = new.created_at
  where id = new.conversation_id;
  return new;
end
$$;

create function public.next_invoice_number(prefix text default 'CH') returns text
language sql volatile set search_path = public as $$
  select prefix || '-' || lpad(nextval('public.invoice_number_seq')::text, 8, '0')
$$;

-- Two functions of one name: a list of function names cannot tell them apart.
create function public.booked_cents(_campaign uuid) returns bigint
language sql stable set search_path = public as $$
  select coalesce(sum(price_cents), 0)::bigint from public.bookings where campaign_id = _campaign
$$;
create function public.booked_cents(_campaign uuid, _status public.booking_status) returns bigint
language sql stable set search_path = public as $$
  select coalesce(sum(price_cents), 0)::bigint from public.bookings where campaign_id = _campaign and status = _status
$$;

-- A body the server keeps as a parse tree, so that it depends on the tables it reads.
create function public.creator_rating(_user_id uuid, out average numeric, out reviews bigint)
language sql stable
begin atomic
  select round(avg(r.rating), 2), count(*) from public.reviews r where r.reviewee_id = _user_id and r.is_public;
end;

create procedure public.cancel_stale_bookings(older_than timestamptz)
language plpgsql set search_path = public as $$
begin
  update public.bookings set status = 'cancelled'
  where status = 'pending' and created_at < older_than;
end
$$;

-- Everything that text processing of a dump gets wrong, in one body.
create function public.contract_text(_booking_id uuid) returns text
language plpgsql stable set search_path to '' as $contract$
declare
  v_contract text := $$It's "agreed"; both sides have said $1 and 100%:
-- this line is no comment, and drop table is no statement;
\restrict is no command of psql here
\.
/* nor does this end '';$$;
begin
-- This one is a comment, and it's got an 'open quote
  return replace(v_contract, E'\\.\n', '') || coalesce(_booking_id::text, E'\t(none)\\');
end
$contract$;
reset role;
