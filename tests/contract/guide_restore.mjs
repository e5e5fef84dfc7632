// The restore loop of the guide, as an operator would run it: 17 tables in order, rows upserted in batches on `id`,
// errors logged and passed over. What supabase-js would send is sent by fetch.
//
//   node guide_restore.mjs backup.json https://project.supabase.co SERVICE_ROLE_KEY report.json [by-schema]
//
// With `by-schema` the loop asks the document itself (backup.schema.tables) for each table's key and for the columns
// that Postgres computes; the guide's loop does not know either.
import { readFileSync, writeFileSync } from 'node:fs';

const TABLES = [
  'profiles',
  'user_roles',
  'brand_profiles',
  'creator_profiles',
  'creator_social_accounts',
  'creator_services',
  'campaigns',
  'campaign_applications',
  'bookings',
  'booking_deliverables',
  'conversations',
  'messages',
  'notifications',
  'reviews',
  'disputes',
  'payments',
  'platform_settings',
];
const BATCH = 500;

const [file, url, key, report, manner] = process.argv.slice(2);
const backup = JSON.parse(readFileSync(file, 'utf8'));
const outcome = {};

// supabase.from(table).upsert(rows, { onConflict })
async function upsert(table, rows, onConflict, columns) {
  const query = new URLSearchParams({ on_conflict: onConflict, columns: columns.map((name) => `"${name}"`).join(',') });
  const response = await fetch(`${url}/rest/v1/${table}?${query}`, {
    method: 'POST',
    headers: {
      apikey: key,
      Authorization: `Bearer ${key}`,
      'Content-Type': 'application/json',
      Prefer: 'resolution=merge-duplicates',
    },
    body: JSON.stringify(rows),
  });
  return { error: response.ok ? null : await response.json() };
}

function described(table) {
  const { columns, constraints } = backup.schema.tables[table];
  return {
    onConflict: constraints.find((constraint) => constraint.kind === 'primary key').columns.join(','),
    computed: columns.filter((column) => column.generated !== null).map((column) => column.name),
  };
}

for (const table of TABLES) {
  const rows = backup.tables[table].rows;
  const { onConflict, computed } = manner === 'by-schema' ? described(table) : { onConflict: 'id', computed: [] };
  const result = (outcome[table] = { rows: rows.length, restored: 0, errors: [] });
  for (let i = 0; i < rows.length; i += BATCH) {
    const batch = rows.slice(i, i + BATCH);
    const columns = [...new Set(batch.flatMap(Object.keys))].filter((name) => !computed.includes(name));
    const { error } = await upsert(table, batch, onConflict, columns);
    if (error) {
      console.error(`Failed to restore ${table}: ${error.message}`);
      result.errors.push(error.code);
    } else {
      result.restored += batch.length;
    }
  }
}
writeFileSync(report, JSON.stringify(outcome));
