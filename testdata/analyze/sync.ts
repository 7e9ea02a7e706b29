// Never runs: "INSERT INTO comment_only VALUES (1)"
import { Pool } from 'pg';
const split = /['"`]/;
const PAGE = 500;

export async function copyProducts(source: Pool, target: Pool, since: Date, table: string) {
  const { rows } = await source.query(
    'SELECT id, name FROM dispatch_product ' +
      'WHERE updated_at >= $1 ORDER BY id LIMIT 500 OFFSET 1000',
    [since],
  );
  for (const row of rows) {
    await target.query(
      `INSERT INTO products (id, name, legacy_product_id)
       VALUES ($1, $2, $3)
       ON CONFLICT (legacy_product_id) DO NOTHING`,
      [row.id, row.name],
    );
  }
  await target.query(`DELETE FROM staging_${table}`);
  console.log(`Update of products done, delete from cache failed`);
}

export async function copyDoctors(supabase: any, doctors: any[]) {
  await supabase.from('doctors').upsert(
    doctors.map((d) => ({ name: d.name, legacy_doctor_id: d.id })),
    { onConflict: 'legacy_doctor_id' },
  );
  await supabase
    .from('doctor_notes')
    .insert(doctors.map((d) => ({ text: d.note })));
  Buffer.from('abc').toString();
  await supabase.from('migration_mappings').insert({ entity_type: 'doctor', legacy_id: 7, new_id: 'x' });
}
