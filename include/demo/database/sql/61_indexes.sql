-- Indexes beside those of the keys, and what later migrations left on tables that already had rows.
set role postgres;
create unique index profiles_username_lower_key on public.profiles (lower(username));
create index profiles_preferences_idx on public.profiles using gin (preferences jsonb_path_ops);
create index creator_profiles_search_idx on public.creator_profiles using gin (search_document);
create index creator_profiles_niches_idx on public.creator_profiles using gin (niches);
create index creator_services_active_idx on public.creator_services (creator_id, "order") include (title) where is_active;
create index campaigns_open_idx on public.campaigns (deadline desc nulls last) where status = 'open';
create index campaigns_target_audience_idx on public.campaigns using gin ("targetAudience");
create index bookings_unpaid_idx on public.bookings (created_at) where paid_at is null and status <> 'cancelled';
create index bookings_period_idx on public.bookings using gist (period);
create index messages_conversation_idx on public.messages (conversation_id, created_at desc);
create index messages_reply_to_idx on public.messages (reply_to) where reply_to is not null;
create index notifications_unread_idx on public.notifications (user_id, created_at desc) where not is_read;
create index payments_booking_id_idx on public.payments using hash (booking_id);
create unique index backup_history_file_name_key on public.backup_history (file_name) where status = 'success';
create index backup_history_created_at_idx on public.backup_history (created_at desc);

create statistics public.bookings_status_paid (dependencies) on status, fee_basis_points from public.bookings;

-- Old rows do not hold this column at all: the catalog answers for them.
alter table public.profiles add column timezone text not null default 'Europe/Zürich ''local''';
comment on column public.profiles.timezone is 'Added long after the first profile.';
comment on index public.bookings_unpaid_idx is 'What cancel_stale_bookings() reads.';
comment on constraint campaigns_one_featured_at_a_time on public.campaigns is 'One place on the home page.';

-- Its place among the labels is not the order of creation. (No row has it: before Postgres 17 a new label cannot be
-- used in the transaction that adds it.)
alter type public.application_status add value 'on waiting list' before 'accepted';

-- Ten invoices were written: the sequence has moved and nothing in a table tells so.
do $invoices$
begin
  perform public.next_invoice_number() from generate_series(1, 10);
end
$invoices$;
reset role;
