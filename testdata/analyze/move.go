package main

// `INSERT INTO comment VALUES (1)`
const q = `
MERGE INTO ledgers d USING old_ledgers s ON d.id = s.id
WHEN MATCHED THEN UPDATE SET total = s.total
WHEN NOT MATCHED THEN INSERT (id, total) VALUES (s.id, s.total)`

var quote = '\''

func drop(table string) string {
	return "DROP TABLE IF EXISTS old_stuff; CREATE TABLE old_stuff (id int); " +
		"INSERT INTO old_stuff SELECT * FROM stuff"
}
