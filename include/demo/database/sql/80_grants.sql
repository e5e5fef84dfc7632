-- Who may do what before row level security is asked. Columns of profiles are granted one by one to visitors.
set role postgres;
grant select, insert, update, delete on all tables in schema public to authenticated;
grant all on all tables in schema public to service_role;
grant usage, select on all sequences in schema public to authenticated, service_role;

revoke insert, update, delete on public.backup_history, public.payments, public.creator_directory from authenticated;
revoke update on public.profiles, public.notifications from authenticated;
grant update (username, full_name, bio, avatar_url, languages, preferences) on public.profiles to authenticated;
grant update (is_read) on public.notifications to authenticated;

grant select (id, username, full_name, avatar_url, is_suspended, created_at) on public.profiles to anon;
grant select on public.creator_profiles, public.creator_services, public.reviews, public.creator_directory to anon;
grant select on public.campaigns, public.platform_settings to anon;

revoke execute on all functions in schema public from public;
grant execute on all functions in schema public to service_role;
grant execute on function public.has_role(uuid, public.app_role), public.is_participant(uuid, uuid) to anon, authenticated;
grant execute on function public.creator_rating(uuid) to anon, authenticated;
grant execute on function public.booked_cents(uuid), public.booked_cents(uuid, public.booking_status) to authenticated;
-- Auth inserts users and Postgres asks *its* role for the trigger's function only when the trigger is made; Storage's
-- policies ask at every row.
grant execute on function public.has_role(uuid, public.app_role) to supabase_storage_admin;

alter default privileges in schema public grant select, insert, update, delete on tables to authenticated;
alter default privileges in schema public grant all on tables to service_role;
alter default privileges in schema public grant usage, select on sequences to authenticated, service_role;
alter default privileges revoke execute on functions from public;
reset role;
