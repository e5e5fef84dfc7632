-- Triggers, after the data: none of them has fired for a row that was loaded.
set role postgres;

-- On a table that is not the application's: allowed by the TRIGGER privilege alone.
create trigger on_auth_user_created after insert on auth.users
  for each row execute function public.handle_new_user();

create trigger update_profiles_updated_at before update on public.profiles
  for each row execute function public.update_updated_at_column();
create trigger update_brand_profiles_updated_at before update on public.brand_profiles
  for each row execute function public.update_updated_at_column();
create trigger update_creator_profiles_updated_at before update on public.creator_profiles
  for each row execute function public.update_updated_at_column();
create trigger update_creator_social_accounts_updated_at before update on public.creator_social_accounts
  for each row execute function public.update_updated_at_column();
create trigger update_creator_services_updated_at before update on public.creator_services
  for each row execute function public.update_updated_at_column();
create trigger update_campaigns_updated_at before update on public.campaigns
  for each row execute function public.update_updated_at_column();
create trigger update_campaign_applications_updated_at before update on public.campaign_applications
  for each row execute function public.update_updated_at_column();
create trigger update_bookings_updated_at before update on public.bookings
  for each row when (old.status is distinct from new.status or old.period is distinct from new.period) execute function public.update_updated_at_column();
create trigger update_conversations_updated_at before update on public.conversations
  for each row execute function public.update_updated_at_column();
create trigger update_reviews_updated_at before update on public.reviews
  for each row execute function public.update_updated_at_column();
create trigger update_disputes_updated_at before update on public.disputes
  for each row execute function public.update_updated_at_column();
create trigger update_platform_settings_updated_at before update of value on public.platform_settings
  for each row execute function public.update_updated_at_column();

create trigger on_message_created after insert on public.messages
  for each row execute function public.update_conversation_on_message();
create trigger on_message_notify after insert on public.messages
  for each row when (new.deleted_at is null) execute function public.notify_new_message();
comment on trigger on_message_notify on public.messages is 'One notification for the other participant.';

-- Switched off by an operator one day; it must come back switched off.
create trigger legacy_touch before update on public.profiles
  for each row execute function public.update_updated_at_column();
alter table public.profiles disable trigger legacy_touch;
reset role;
