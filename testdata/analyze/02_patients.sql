-- Copies patients and gives each a UUID through the mapping table.
WITH moved AS (
    SELECT p.id, p.name, p.updated_at, m.uuid_id
    FROM dispatch_patient p
    JOIN migration_mappings m ON m.entity_type = 'patient' AND m.legacy_id = p.id
    WHERE p.updated_at > :last_run
)
INSERT INTO patients (id, name, updated_at)
SELECT uuid_id, name, updated_at FROM moved
ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at;

INSERT INTO orders (id, patient_id)
SELECT o.uuid, o.patient_uuid FROM dispatch_order o
WHERE NOT EXISTS (SELECT 1 FROM orders t WHERE t.metadata->>'legacy_id' = o.id::text);

UPDATE offices SET visits = visits + 1 WHERE id = $1;
UPDATE patients SET deleted_at = now() WHERE id NOT IN (SELECT uuid_id FROM migration_mappings);
