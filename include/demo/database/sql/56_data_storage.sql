-- The catalogue of uploaded files.
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types, created_at, updated_at) values
  ('avatars', 'avatars', true, 5242880, array['image/png', 'image/webp'], '2023-01-02 09:00:00+00', '2023-01-02 09:00:00+00'),
  ('deliverables', 'deliverables', false, null, null, '2023-01-02 09:00:00+00', '2023-01-02 09:00:00+00');

insert into storage.objects (id, bucket_id, name, owner, created_at, updated_at, last_accessed_at, metadata, version, owner_id)
select
  demo_build.id('object', n), case when n % 2 = 0 then 'avatars' else 'deliverables' end,
  demo_build.id('user', 1 + n % users) || '/' || case when n % 9 = 0 then 'mon été "final" ' else '' end || n || '.webp',
  demo_build.id('user', 1 + n % users), demo_build.moment(n, 20), demo_build.moment(n, 20), demo_build.moment(n, 20),
  jsonb_build_object('size', n * 1024, 'mimetype', 'image/webp', 'eTag', '"' || md5(n::text) || '"'),
  demo_build.id('version', n)::text, demo_build.id('user', 1 + n % users)::text
from demo_build.counts, generate_series(1, objects) as n;
