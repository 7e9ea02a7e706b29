-- Target schema and the mapping table of the first migration.
CREATE TABLE IF NOT EXISTS migration_mappings (
    entity_type text NOT NULL,
    legacy_id   integer NOT NULL,
    uuid_id     uuid NOT NULL DEFAULT gen_random_uuid(),
    migrated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_type, legacy_id)
);

CREATE TABLE offices (id uuid PRIMARY KEY, name text, legacy_office_id integer UNIQUE);
CREATE INDEX IF NOT EXISTS offices_name ON offices (name);

/* a comment with a quote ' and a /* nested */ INSERT INTO nowhere VALUES (1) */
DO $body$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_type WHERE typname = 'order_state') THEN
        CREATE TYPE order_state AS ENUM ('open', 'done');
    END IF;
    INSERT INTO settings (key, value) VALUES ('it''s; done', 'no')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value;
END
$body$;
