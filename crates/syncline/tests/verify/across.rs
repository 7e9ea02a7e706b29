//! Between systems: what a run carried over is found to be the same in either system's own text, and one planted change is not.

use serde_json::Value as Json;
use syncline_testkit::{Database, Mariadb, Postgres};

use crate::world::World;

/// A folder whose sync `pair` goes from one url to another.
fn world(from: (&str, &str), to: (&str, &str)) -> World {
    let world = World::with("");
    world.write(
        "syncline.yaml",
        &format!(
            "connections:\n  from: {{ type: {}, url: \"{}\" }}\n  to: {{ type: {}, url: \"{}\" }}\nsyncs:\n  pair:\n    from: from\n    to: to\n    streams: {{ \"*\": {{}} }}\n",
            from.0, from.1, to.0, to.1
        ),
    );
    world
}

fn verify(world: &World, code: i32) -> Json {
    world.syncline(&["verify", "--json"]).ends_with(code).json()[0].clone()
}

const MARIA: &str = "CREATE TABLE thing (
    id int unsigned PRIMARY KEY AUTO_INCREMENT, small tinyint(1), big bigint unsigned, price decimal(12,4), single float, twice double,
    name varchar(50), code char(6), body text, raw varbinary(20), born date, seen datetime(6), stamped timestamp(3) NULL, span time(6),
    kind enum('a','B'), flags set('x','y'), bits bit(10), doc json, made year, zero int(8) zerofill);
  INSERT INTO thing VALUES
    (1, 1, 18446744073709551615, -12345678.9012, 0.1, 1.7976931348623157e308, 'Ünïcode 😀', 'ab', 'text', x'00ff10', '1000-01-01', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999', '-23:59:59.5', 'B', 'x,y', b'1010101010', '{\"b\": 1.0, \"a\": [\"é\"]}', 1901, 42),
    (2, 0, 0, 0, -0.0, 5e-324, '', '', '', '', '2024-02-29', '2024-02-29 00:00:00', '1970-01-01 00:00:01', '00:00:00', 'a', '', b'0', 'null', 2155, 0),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, -128, 1, 100.1000, 16777216, 0.1, 'trail ', 'a', ' x', x'20', '2000-01-01', '2000-01-01 12:00:00.1', '2000-01-01 12:00:00.5', '23:59:59.999999', 'a', 'y', b'1', '[1e2]', 2000, 7);";

async fn maria() -> Database {
    let db = Mariadb::shared().database().await;
    db.execute(MARIA).await;
    db
}

// case: Q1, Q2
// rule: R9, R10
#[tokio::test(flavor = "multi_thread")]
async fn mariadb_and_postgresql_agree_in_their_own_texts_until_one_value_changes() {
    let (maria, pg) = (maria().await, Postgres::shared().database().await);
    let world = world(("mysql", &maria.url()), ("postgres", &pg.url()));
    let run = world.syncline(&["run", "--json"]).ends_with(0).json();
    assert_eq!(run[0]["books"]["created"], 4);
    let report = verify(&world, 0);
    assert_eq!((&report["streams"][0]["compared"], &report["passed"]), (&4.into(), &true.into()));
    for (change, column) in [
        ("name = 'trail'", "name"),
        ("price = 100.1001", "price"),
        ("single = 16777218", "single"),
        ("twice = 0.10000000000000002", "twice"),
        ("seen = seen + interval '1 microsecond'", "seen"),
        ("stamped = stamped + interval '1 hour'", "stamped"),
        ("raw = '\\x2000'", "raw"),
        ("body = NULL", "body"),
    ] {
        pg.execute(&format!("BEGIN; UPDATE thing SET {change} WHERE id = 4; COMMIT")).await;
        let report = verify(&world, 4);
        let check = &report["streams"][0];
        assert_eq!((&check["source_rows"], &check["destination_rows"], &check["different"]), (&4.into(), &4.into(), &1.into()), "{change}");
        assert_eq!(report["differences"][0]["fields"][0]["field"], column, "{change}");
        let repaired = world.syncline(&["verify", "--repair", "--json"]).ends_with(0).json();
        assert_eq!(repaired[0]["passed"], true, "{change}");
    }
}

// rule: R9
#[tokio::test(flavor = "multi_thread")]
async fn mariadb_and_sqlite_agree_in_their_own_texts() {
    let maria = maria().await;
    let world = world(("mysql", &maria.url()), ("sqlite", "sqlite:to.db"));
    world.syncline(&["run"]).ends_with(0);
    let report = verify(&world, 0);
    assert_eq!((&report["streams"][0]["compared"], &report["passed"]), (&4.into(), &true.into()));
}

const PG: &str = "CREATE TYPE mood AS ENUM ('glad', 'sad');
  CREATE TABLE thing (
    id uuid PRIMARY KEY, yes boolean, exact numeric, money numeric(10,2), single real, twice double precision, note text, pad char(5),
    raw bytea, born date, clock time, seen timestamp, at timestamptz, long interval, doc json, docb jsonb, list int[], net inet, m mood, bits bit varying);
  INSERT INTO thing VALUES
    ('00000000-0000-4000-8000-000000000001', true, 1.10, 1.10, 0.1, 0.30000000000000004, 'a ', 'ab', '\\x00ff', '4713-01-01 BC', '24:00:00', '294276-12-31 23:59:59.999999', '0044-03-15 12:00:00+00 BC', '1 year 2 mons -3 days 04:05:06.789', '{\"a\": 1}', '{\"b\":1.0,\"a\":2}', '{1,NULL,3}', '10.0.0.0/8', 'sad', B'0101'),
    ('00000000-0000-4000-8000-000000000002', false, 'NaN', -0.00, 'NaN', '-Infinity', '', '', '', 'infinity', '00:00:00.000001', 'infinity', '-infinity', '-00:00:01', 'null', '[]', '{}', '::1', 'glad', B''),
    ('00000000-0000-4000-8000-000000000003', NULL, 1e-20, 0, '-0', '-0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '30 days', NULL, NULL, NULL, NULL, NULL, NULL);";

// rule: R9
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_agrees_with_itself_and_scale_sign_and_parts_count() {
    let (from, to) = (Postgres::shared().database().await, Postgres::shared().database().await);
    from.execute(PG).await;
    to.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')").await;
    let world = world(("postgres", &from.url()), ("postgres", &to.url()));
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(verify(&world, 0)["streams"][0]["compared"], 3);
    for (change, column) in
        [("exact = 0.000000000000000000010", "exact"), ("twice = 0", "twice"), ("long = '1 mon'", "long"), ("list = '{}'", "list")]
    {
        to.execute(&format!("UPDATE thing SET {change} WHERE id::text LIKE '%3'")).await;
        let report = verify(&world, 4);
        let fields = report["differences"][0]["fields"].as_array().unwrap().iter().map(|f| f["field"].as_str().unwrap().to_owned());
        assert!(fields.collect::<Vec<_>>().contains(&column.to_owned()), "{change}: {report}");
    }
}

// rule: R9
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_and_sqlite_agree_in_their_own_texts() {
    let pg = Postgres::shared().database().await;
    pg.execute(&PG.replace("'-0', '-0', NULL", "'0', '0', NULL").replace("'NaN', '-Infinity'", "'1', '1'")).await;
    let world = world(("postgres", &pg.url()), ("sqlite", "sqlite:to.db"));
    world.syncline(&["run"]).ends_with(0);
    let report = verify(&world, 0);
    assert_eq!((&report["streams"][0]["compared"], &report["passed"]), (&3.into(), &true.into()));
}

// case: Q1
#[tokio::test(flavor = "multi_thread")]
async fn values_too_large_to_be_read_are_compared_where_they_are() {
    let (from, to) = (Postgres::shared().database().await, Postgres::shared().database().await);
    from.execute("CREATE TABLE big (id int PRIMARY KEY, body text, raw bytea)").await;
    from.execute("INSERT INTO big SELECT 1, repeat('ab', 1500000), decode(repeat('00ff', 1500000), 'hex')").await;
    let world = world(("postgres", &from.url()), ("postgres", &to.url()));
    let yaml = format!("memory: 16MiB\n{}", world.read("syncline.yaml"));
    world.write("syncline.yaml", &yaml);
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(verify(&world, 0)["streams"][0]["compared"], 1);
    to.execute("UPDATE big SET body = overlay(body placing 'X' from 2900000)").await;
    let report = verify(&world, 4);
    let fields = report["differences"][0]["fields"].as_array().unwrap();
    assert_eq!((fields.len(), &fields[0]["field"]), (1, &"body".into()));
}

// case: Q1
// req: FR-004
#[tokio::test(flavor = "multi_thread")]
async fn all_of_sakila_is_the_same_in_postgresql_until_a_parent_goes() {
    let (maria, pg) = (Mariadb::shared().database().await, Postgres::shared().database().await);
    syncline_testkit::load_sakila(&maria).await;
    let world = world(("mysql", &maria.url()), ("postgres", &pg.url()));
    world.syncline(&["run"]).ends_with(0);
    let report = verify(&world, 0);
    let streams = report["streams"].as_array().unwrap();
    let rental = streams.iter().find(|s| s["stream"] == "rental").unwrap();
    assert_eq!((&rental["compared"], &rental["source_rows"], &rental["passed"]), (&16_044.into(), &16_044.into(), &true.into()));
    pg.execute(
        "DO $$ DECLARE r record; BEGIN
           FOR r IN SELECT conrelid::regclass AS child, conname FROM pg_constraint WHERE confrelid = 'language'::regclass LOOP
             EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.child, r.conname);
           END LOOP;
         END $$;
         DELETE FROM language WHERE language_id = 1",
    )
    .await;
    let report = verify(&world, 4);
    let count = |stream: &str, what: &str| {
        report["streams"].as_array().unwrap().iter().find(|s| s["stream"] == stream).unwrap()[what].as_u64().unwrap()
    };
    assert_eq!((count("language", "missing"), count("film", "orphans"), count("film", "different")), (1, 1_000, 0));
}
