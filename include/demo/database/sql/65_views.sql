-- What visitors may browse. From Postgres 15 on the view obeys the reader's row level security.
set role postgres;
create view public.creator_directory as
select p.username, c.display_name, c.headline, c.niches, r.average as rating, r.reviews
from public.creator_profiles c
join public.profiles p on p.id = c.user_id
cross join lateral public.creator_rating(c.user_id) as r
where not p.is_suspended;
comment on view public.creator_directory is 'Creators with their public ratings.';

do $invoker$
begin
  if current_setting('server_version_num')::int >= 150000 then
    execute 'alter view public.creator_directory set (security_invoker = true)';
  end if;
end
$invoker$;
reset role;
