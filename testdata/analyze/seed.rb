# seeds
execute <<~SQL
  INSERT INTO roles (name) VALUES ('admin')
  ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name
SQL
conn.exec("DELETE FROM sessions WHERE created_at < '#{cutoff}'")
