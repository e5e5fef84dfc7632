-- What Realtime broadcasts. Row filters and column lists came with Postgres 15. An UPDATE is refused when a filter
-- reads a column outside the replica identity, so messages send their whole old row.
set role postgres;
alter table public.messages replica identity full;

do $publication$
begin
  create publication supabase_realtime;
  if current_setting('server_version_num')::int >= 150000 then
    execute 'alter publication supabase_realtime add table public.messages where (deleted_at is null),
      public.notifications (id, user_id, kind, title, is_read, created_at), public.conversations';
  else
    execute 'alter publication supabase_realtime add table public.messages, public.notifications, public.conversations';
  end if;
end
$publication$;
reset role;
