-- The history the Supabase CLI keeps of what was applied.
set role postgres;
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (
  version text primary key,
  statements text[],
  name text
);

insert into supabase_migrations.schema_migrations (version, statements, name) values
  ('20230102090000', array['create type public.app_role as enum (''admin'', ''brand'', ''creator'')'], 'roles'),
  ('20230102090500', array['create table public.profiles (id uuid primary key)', 'alter table public.profiles enable row level security'], 'profiles'),
  ('20230110120000', array['create table public.brand_profiles ()', 'create table public.creator_profiles ()'], 'brands_and_creators'),
  ('20230201080000', array['create table public.campaigns ()'], 'campaigns'),
  ('20230305101500', array['create table public.bookings ()'], 'bookings'),
  ('20230418160200', array['create table public.conversations ()', 'create table public.messages ()'], 'messaging'),
  ('20230702110000', array[E'-- realtime\nalter publication supabase_realtime add table public.messages'], 'realtime'),
  ('20231020070000', array['create table public.payments ()', null, ''], 'payments'),
  ('20240115093000', array[E'create function public.f() returns text language sql as $$\n  select ''a "quoted" \\ body'';\n$$'], 'functions'),
  ('20240611140000', '{}', 'nothing_to_do'),
  ('20250301083000', null, null),
  ('20251207180000', array['create table public.backup_history ()'], 'backup_history');
reset role;
