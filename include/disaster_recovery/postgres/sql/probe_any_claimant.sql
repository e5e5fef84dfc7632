-- Where nobody can sign in, the first account
select u.id::text
from auth.users as u
order by u.id
limit 1
