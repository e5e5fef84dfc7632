-- The account whose claims are tried: the first that can sign in
select u.id::text
from auth.users as u
where exists (select from auth.identities as i where i.user_id = u.id)
order by u.id
limit 1
