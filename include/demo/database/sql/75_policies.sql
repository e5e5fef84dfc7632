-- Row level security: on for every table, even against their owner for the two that hold money and backups.
set role postgres;
do $enable$
declare
  name text;
begin
  foreach name in array array['profiles', 'user_roles', 'brand_profiles', 'creator_profiles', 'creator_social_accounts',
    'creator_services', 'campaigns', 'campaign_applications', 'bookings', 'booking_deliverables', 'conversations',
    'messages', 'notifications', 'reviews', 'disputes', 'payments', 'platform_settings', 'backup_history']
  loop
    execute format('alter table public.%I enable row level security', name);
    execute format('create policy "Service role manages %s" on public.%I to service_role using (true) with check (true)', name, name);
    -- History is readable by admins, and changed by nobody but the service.
    execute format('create policy "Admins can %s %s" on public.%I for %s to authenticated using (public.has_role(auth.uid(), ''admin''))',
      case when name = 'backup_history' then 'view' else 'manage' end, name, name,
      case when name = 'backup_history' then 'select' else 'all' end);
  end loop;
end
$enable$;
alter table public.payments force row level security;
alter table public.backup_history force row level security;

create policy "Anyone can view profiles" on public.profiles for select to anon, authenticated using (not is_suspended);
create policy "Users can update own profile" on public.profiles for update to authenticated
  using (auth.uid() = id) with check (auth.uid() = id);
create policy "Users can view own roles" on public.user_roles for select to authenticated using (auth.uid() = user_id);
create policy "Only admins grant roles" on public.user_roles as restrictive for insert to authenticated
  with check (public.has_role(auth.uid(), 'admin'));
create policy "Brands manage own brand profile" on public.brand_profiles to authenticated
  using (auth.uid() = user_id) with check (auth.uid() = user_id and public.has_role(auth.uid(), 'brand'));
create policy "Anyone can view creators" on public.creator_profiles for select to anon, authenticated using (true);
create policy "Creators manage own creator profile" on public.creator_profiles to authenticated
  using (auth.uid() = user_id) with check (auth.uid() = user_id);
create policy "Creators manage own social accounts" on public.creator_social_accounts to authenticated
  using (exists (select 1 from public.creator_profiles c where c.id = creator_id and c.user_id = auth.uid()));
create policy "Anyone can view active services" on public.creator_services for select to anon, authenticated using (is_active);
create policy "Creators manage own services" on public.creator_services to authenticated
  using (exists (select 1 from public.creator_profiles c where c.id = creator_id and c.user_id = auth.uid()));

create policy "Anyone can view open campaigns" on public.campaigns for select to anon, authenticated using (status = 'open');
create policy "Brands manage own campaigns" on public.campaigns to authenticated
  using (exists (select 1 from public.brand_profiles b where b.id = brand_id and b.user_id = auth.uid()));
create policy "Creators manage own applications" on public.campaign_applications to authenticated
  using (exists (select 1 from public.creator_profiles c where c.id = creator_id and c.user_id = auth.uid()));
create policy "Participants view bookings" on public.bookings for select to authenticated using (
  exists (select 1 from public.brand_profiles b where b.id = brand_id and b.user_id = auth.uid())
  or exists (select 1 from public.creator_profiles c where c.id = creator_id and c.user_id = auth.uid()));
create policy "Participants view deliverables" on public.booking_deliverables for select to authenticated
  using (exists (select 1 from public.bookings b where b.id = booking_id));
create policy "Anyone can view public reviews" on public.reviews for select to anon, authenticated using (is_public);
create policy "Reviewers write reviews" on public.reviews for insert to authenticated with check (auth.uid() = reviewer_id);
create policy "Opener can view dispute" on public.disputes for select to authenticated using (auth.uid() = opened_by);
create policy "Payer and payee view payments" on public.payments for select to authenticated
  using (auth.uid() in (payer_id, payee_id));

create policy "Participants view conversations" on public.conversations for select to authenticated
  using (auth.uid() in (brand_user_id, creator_user_id));
create policy "Participants view messages" on public.messages for select to authenticated
  using (public.is_participant(conversation_id, auth.uid()));
create policy "Participants send messages" on public.messages for insert to authenticated
  with check (auth.uid() = sender_id and public.is_participant(conversation_id, auth.uid()));
create policy "Suspended users are silent" on public.messages as restrictive for insert to authenticated
  with check (not exists (select 1 from public.profiles p where p.id = auth.uid() and p.is_suspended));
create policy "Users view own notifications" on public.notifications for select to authenticated using (auth.uid() = user_id);
create policy "Users mark own notifications" on public.notifications for update to authenticated
  using (auth.uid() = user_id) with check (auth.uid() = user_id);
create policy "Visitors read the fee" on public.platform_settings for select to anon, authenticated
  using (key = 'fee_basis_points');
comment on policy "Suspended users are silent" on public.messages is 'Restrictive: no other policy can allow it.';
reset role;

-- Supabase lets the application hang policies on this table although it owns nothing in the schema.
create policy "Avatars are public" on storage.objects for select to anon, authenticated using (bucket_id = 'avatars');
create policy "Users write their own folder" on storage.objects for insert to authenticated
  with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = auth.uid()::text);
create policy "Admins see all files" on storage.objects for select to authenticated
  using (public.has_role(auth.uid(), 'admin'));
