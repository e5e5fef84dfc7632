-- Foreign keys, after the data: adding one reads every row and proves it. Many lead out of the schema, to accounts.
set role postgres;

alter table public.profiles add constraint profiles_id_fkey
  foreign key (id) references auth.users (id) on delete cascade;
alter table public.user_roles
  add constraint user_roles_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
  add constraint user_roles_granted_by_fkey foreign key (granted_by) references auth.users (id) on delete set null;
alter table public.brand_profiles add constraint brand_profiles_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
alter table public.creator_profiles
  add constraint creator_profiles_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
  add constraint creator_profiles_verified_by_fkey foreign key (verified_by) references auth.users (id);
alter table public.creator_social_accounts add constraint creator_social_accounts_creator_id_fkey
  foreign key (creator_id) references public.creator_profiles (id) on delete cascade;
alter table public.creator_services add constraint creator_services_creator_id_fkey
  foreign key (creator_id) references public.creator_profiles (id) on delete cascade on update cascade;

alter table public.campaigns
  add constraint campaigns_brand_id_fkey foreign key (brand_id) references public.brand_profiles (id) on delete cascade,
  add constraint campaigns_created_by_fkey foreign key (created_by) references auth.users (id) on delete set null;
alter table public.campaign_applications
  add constraint campaign_applications_campaign_id_fkey
    foreign key (campaign_id) references public.campaigns (id) on delete cascade,
  add constraint campaign_applications_creator_id_fkey
    foreign key (creator_id) references public.creator_profiles (id) on delete cascade,
  add constraint campaign_applications_reviewed_by_fkey foreign key (reviewed_by) references auth.users (id);
alter table public.bookings
  add constraint bookings_application_id_fkey
    foreign key (application_id) references public.campaign_applications (id) on delete set null,
  add constraint bookings_campaign_id_fkey foreign key (campaign_id) references public.campaigns (id),
  add constraint bookings_brand_id_fkey foreign key (brand_id) references public.brand_profiles (id),
  add constraint bookings_creator_id_fkey foreign key (creator_id) references public.creator_profiles (id),
  add constraint bookings_service_id_fkey
    foreign key (service_id) references public.creator_services (id) on delete set null,
  add constraint bookings_booked_by_fkey foreign key (booked_by) references auth.users (id) on delete set null;
alter table public.booking_deliverables
  add constraint booking_deliverables_booking_id_fkey
    foreign key (booking_id) references public.bookings (id) on delete cascade,
  add constraint booking_deliverables_approved_by_fkey foreign key (approved_by) references auth.users (id);

-- A conversation's last message is written after the conversation and before it can be named: checked at commit.
alter table public.conversations
  add constraint conversations_campaign_id_fkey
    foreign key (campaign_id) references public.campaigns (id) on delete set null,
  add constraint conversations_brand_user_id_fkey foreign key (brand_user_id) references auth.users (id),
  add constraint conversations_creator_user_id_fkey foreign key (creator_user_id) references auth.users (id),
  add constraint conversations_last_message_id_fkey foreign key (last_message_id) references public.messages (id)
    on delete set null deferrable initially deferred;
alter table public.messages
  add constraint messages_conversation_id_fkey
    foreign key (conversation_id) references public.conversations (id) on delete cascade,
  add constraint messages_sender_id_fkey foreign key (sender_id) references auth.users (id),
  add constraint messages_reply_to_fkey foreign key (reply_to) references public.messages (id) on delete set null;
alter table public.notifications add constraint notifications_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;

alter table public.reviews
  add constraint reviews_booking_id_fkey foreign key (booking_id) references public.bookings (id) on delete cascade,
  add constraint reviews_reviewer_id_fkey foreign key (reviewer_id) references auth.users (id),
  add constraint reviews_reviewee_id_fkey foreign key (reviewee_id) references auth.users (id);
alter table public.disputes
  add constraint disputes_booking_id_fkey foreign key (booking_id) references public.bookings (id),
  add constraint disputes_deliverable_fkey foreign key (booking_id, deliverable_position)
    references public.booking_deliverables (booking_id, position),
  add constraint disputes_opened_by_fkey foreign key (opened_by) references auth.users (id),
  add constraint disputes_resolved_by_fkey foreign key (resolved_by) references auth.users (id);
alter table public.payments
  add constraint payments_booking_id_fkey foreign key (booking_id) references public.bookings (id) on delete restrict,
  add constraint payments_payer_id_fkey foreign key (payer_id) references auth.users (id),
  add constraint payments_payee_id_fkey foreign key (payee_id) references auth.users (id);
alter table public.platform_settings add constraint platform_settings_updated_by_fkey
  foreign key (updated_by) references auth.users (id);
reset role;
