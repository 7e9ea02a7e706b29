//! SQLite's declared types and what their columns may really hold.

use super::Kind::{Bool, Bytes, Float, Json, Number, Text, Time};
use super::{Type, of};

pub const TYPES: &[Type] = &[
    of(
        "INTEGER",
        Number,
        &["-9223372036854775808", "0", "9007199254740993", "9223372036854775807", "'text'", "x'6162'", "1.5", "''", "NULL"],
    ),
    of("BIGINT", Number, &["-1", "9223372036854775807"]),
    of("SMALLINT", Number, &["1", "70000"]),
    of("BOOLEAN", Bool, &["0", "1", "2", "'yes'", "NULL"]),
    of(
        "REAL",
        Float,
        &[
            "0.1",
            "0.1 + 0.2",
            "1.7976931348623157e308",
            "4.9406564584124654e-324",
            "-0.0",
            "9e999",
            "-9e999",
            "1",
            "'text'",
            "x'00'",
            "NULL",
        ],
    ),
    of("DOUBLE", Float, &["1.0000000000000002", "123456789012345680.0"]),
    of("NUMERIC(10,2)", Float, &["1.10", "0.99", "'12.30'", "99999999.99", "'abc'", "-5", "NULL"]),
    of("DECIMAL(30,10)", Float, &["'123456789012345678901234567890.5'", "1.5", "0"]),
    of(
        "TEXT",
        Text,
        &[
            "''",
            "' a '",
            "'NULL'",
            "'\\N'",
            "char(9, 10, 13, 92)",
            "'a' || char(0) || 'b'",
            "char(128512)",
            "12",
            "x'6162'",
            "x'FF'",
            "CAST(x'FF61' AS TEXT)",
            "NULL",
        ],
    ),
    of("NVARCHAR(10)", Text, &["'0123456789'", "'longer than ten characters'", "'é'", "NULL"]),
    of("VARCHAR(5)", Text, &["'abcde'", "'a    '", "7"]),
    of("CHAR(3)", Text, &["'a'", "'abc'", "'a  '"]),
    of("BLOB", Bytes, &["x''", "x'00'", "x'61620000'", "x'FF00FE'", "zeroblob(70000)", "NULL"]),
    of("", Text, &["'text'", "''", "NULL"]),
    of("DATE", Time, &["'2024-02-29'", "'0001-01-01'", "'not a date'", "NULL"]),
    of(
        "DATETIME",
        Time,
        &["'2009-01-01 00:00:00'", "'2024-02-29 12:34:56.000001'", "'9999-12-31 23:59:59'", "'2024-13-01 00:00:00'", "1700000000", "NULL"],
    ),
    of("TIMESTAMP", Time, &["'2024-03-10 02:30:00'", "NULL"]),
    of("TIME", Time, &["'00:00:00'", "'23:59:59.999999'"]),
    of("JSON", Json, &["'{\"a\":1,\"a\":2}'", "'[1.10, 2]'", "'no json'", "NULL"]),
    of("UUID", Text, &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'no uuid'"]),
];
