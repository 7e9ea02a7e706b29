"""Loads jaws. Insert into the docs is not SQL."""
QUERY = """
    SELECT id, shape FROM dispatch_jaw
    WHERE id > %s ORDER BY id LIMIT 1000
"""
INSERT = (
    "INSERT INTO jaws (id, shape) "
    "VALUES (%s, %s)"
)


def wipe(cur, schema):
    cur.execute(f"TRUNCATE {schema}.projects")
    cur.execute('DELETE FROM "treatment plans" WHERE id = %(id)s', {"id": 1})
