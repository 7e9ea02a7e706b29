#!/bin/bash
# psql -c "DROP TABLE never"
set -euo pipefail
psql "$TARGET" -c "TRUNCATE TABLE public.files CASCADE"
psql "$TARGET" <<SQL
\copy public.files FROM 'files.csv' CSV
INSERT INTO audit (note) VALUES ('loaded by $USER');
SQL
cat <<'EOS' | mysql legacy
UPDATE runs SET state = 'done' WHERE id = 1;
EOS
