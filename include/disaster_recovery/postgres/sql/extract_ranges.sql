-- The rows of many short ranges of heap blocks, one result row a range: JSON texts parted by comma and newline, how
-- many they are, the sum of their digests, and where the rows are that are too large to gather.
-- One query for all: a query a range costs the server a third more.
-- The range's end is the text of a tid: that of the last range may be beyond all blocks.
select gathered.*
from generate_series({first}::bigint, {last}::bigint, {step}) as g (block)
cross join lateral (
  select
    string_agg(j, E',\n') filter (where not is_large),
    count(*) filter (where not is_large),
    (sum(hashtextextended(j collate "C", 0)) filter (where not is_large))::text,
    (array_agg(place) filter (where is_large))::text
  from (select place, j, octet_length(j) >= {large} as is_large from ({rows} offset 0) as p offset 0) as q
) as gathered
