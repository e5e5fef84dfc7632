-- One API request's session, as PostgREST makes it, until the savepoint is rolled back. The role comes last: it may set less.
select pg_catalog.set_config('statement_timeout', %(timeout)s, true),
    pg_catalog.set_config('row_security', 'on', true),
    pg_catalog.set_config('search_path', 'public, extensions', true),
    pg_catalog.set_config('request.jwt.claims', %(claims)s, true),
    pg_catalog.set_config('request.jwt.claim.sub', %(sub)s, true),
    pg_catalog.set_config('request.jwt.claim.role', %(role)s, true),
    pg_catalog.set_config('role', %(role)s, true)
