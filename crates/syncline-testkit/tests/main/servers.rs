//! Starting, sharing, killing, pausing and outliving real servers.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use syncline_testkit::{Database, Mariadb, PgBouncer, Postgres};

async fn both() -> [Database; 2] {
    [Postgres::shared().database().await, Mariadb::shared().database().await]
}

#[tokio::test]
async fn a_script_of_several_statements_runs_and_cells_come_back_as_text() {
    for db in both().await {
        db.execute("CREATE TABLE t (id int PRIMARY KEY, name varchar(20)); INSERT INTO t VALUES (1, 'é'), (2, NULL); SELECT 1").await;
        let rows = db.query("SELECT id, name FROM t ORDER BY id").await;
        let one = Some("1".to_owned());
        assert_eq!(rows, vec![vec![one, Some("é".to_owned())], vec![Some("2".to_owned()), None]]);
        assert_eq!(db.scalar("SELECT count(*) FROM t").await, "2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_start_and_answer_inside_a_multi_threaded_runtime() {
    for db in both().await {
        assert_eq!(db.scalar("SELECT 1 + 1").await, "2");
    }
}

#[tokio::test]
async fn an_error_in_a_later_statement_of_a_script_is_not_lost() {
    for db in both().await {
        let error = db.try_execute("CREATE TABLE t (id int); SELECT 1; INSERT INTO missing VALUES (1)").await.unwrap_err();
        assert!(error.contains("missing"), "{error}");
    }
}

#[tokio::test]
async fn two_databases_of_one_server_do_not_see_each_other() {
    for (first, second) in both().await.into_iter().zip(both().await) {
        first.execute("CREATE TABLE t (id int)").await;
        second.execute("CREATE TABLE t (id int)").await;
        assert_ne!(first.name(), second.name());
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    for db in both().await {
        let url = db.url_as(syncline_testkit::USER, "wrong");
        let refused = match db.engine() {
            syncline_testkit::Engine::Postgres => tokio_postgres::connect(&url, tokio_postgres::NoTls).await.map(drop).is_err(),
            syncline_testkit::Engine::Mariadb => mysql_async::Conn::from_url(&url).await.map(drop).is_err(),
        };
        assert!(refused, "{:?} must enforce passwords", db.engine());
    }
}

#[tokio::test]
async fn the_owner_may_create_users_but_is_no_superuser() {
    let [pg, maria] = both().await;
    let user = format!("reader_{}", pg.name());
    pg.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE {} TO {user}", pg.name())).await;
    assert_eq!(pg.scalar("SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user").await, "false");
    assert_eq!(pg.as_admin().scalar("SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user").await, "true");
    maria.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'; GRANT SELECT ON {}.* TO '{user}'@'%'", maria.name())).await;
    assert!(maria.try_execute("SET GLOBAL max_connections = 201").await.is_err());
    maria.as_admin().execute("SET GLOBAL max_connections = 200").await;
}

#[tokio::test]
async fn postgres_has_the_promised_settings() {
    let db = Postgres::shared().database().await;
    assert_eq!(db.scalar("SELECT datcollate FROM pg_database WHERE datname = current_database()").await, "C.UTF-8");
    assert_eq!(db.scalar("SHOW server_encoding").await, "UTF8");
    assert_eq!(db.scalar("SHOW max_connections").await, "200");
    assert_eq!(db.scalar("SELECT count(*) > 0 FROM pg_collation WHERE collname = 'en-x-icu'").await, "t");
    assert_eq!(Postgres::private().database().await.scalar("SHOW fsync").await, "on");
}

#[tokio::test]
async fn mariadb_has_the_promised_settings() {
    let db = Mariadb::shared().database().await;
    assert_eq!(db.scalar("SELECT @@max_allowed_packet").await, (16 * 1024 * 1024).to_string());
    assert_eq!(db.scalar("SELECT @@character_set_database").await, "utf8mb4");
    assert_eq!(db.as_admin().scalar("SELECT count(*) FROM mysql.time_zone_name").await, "0");
    let private = Mariadb::private().database().await;
    assert!(private.try_query("SELECT 1").await.is_err(), "a private server dies with its value");
}

#[tokio::test]
async fn a_killed_postgres_comes_back_on_its_port_with_what_was_committed() {
    let server = Postgres::private();
    let db = server.database().await;
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (7)").await;
    let port = server.port();
    server.kill();
    assert!(db.try_query("SELECT 1").await.is_err(), "a killed server takes no connections");
    server.restart();
    assert_eq!(server.port(), port);
    assert_eq!(db.scalar("SELECT id FROM t").await, "7");
}

#[tokio::test]
async fn a_killed_mariadb_comes_back_on_its_port_with_what_was_committed() {
    let server = Mariadb::private();
    let db = server.database().await;
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (7)").await;
    server.kill();
    assert!(db.try_query("SELECT 1").await.is_err(), "a killed server takes no connections");
    server.restart();
    assert_eq!(db.scalar("SELECT id FROM t").await, "7");
}

#[tokio::test]
async fn a_paused_server_answers_only_after_it_is_resumed() {
    let (pg, maria) = (Postgres::private(), Mariadb::private());
    let (pg_db, maria_db) = (pg.database().await, maria.database().await);
    pg.pause();
    maria.pause();
    for db in [&pg_db, &maria_db] {
        let query = db.query("SELECT 42");
        tokio::pin!(query);
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut query).await.is_err(), "a paused server must not answer");
        match db.engine() {
            syncline_testkit::Engine::Postgres => pg.resume(),
            syncline_testkit::Engine::Mariadb => maria.resume(),
        }
        assert_eq!(query.await, vec![vec![Some("42".to_owned())]]);
    }
}

#[tokio::test]
async fn pgbouncer_pools_connections_by_transaction() {
    let server = Postgres::shared();
    let db = server.database().await;
    let bouncer = PgBouncer::in_front_of(server).await;
    let (client, connection) = tokio_postgres::connect(&bouncer.url(&db), tokio_postgres::NoTls).await.unwrap();
    tokio::select! {
        row = client.simple_query("SELECT 1") => drop(row.unwrap()),
        ended = connection => panic!("the pooler hung up: {ended:?}"),
    }
    assert!(tokio_postgres::connect(&bouncer.url(&db).replace("secret", "wrong"), tokio_postgres::NoTls).await.is_err());
}

// The proof that nothing is left behind however a test ends: a process of ours with two servers is killed by SIGKILL.
#[test]
fn servers_and_their_directories_go_when_the_process_is_killed() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_test-servers"))
        .env_remove(syncline_testkit::POSTGRES_ENV)
        .env_remove(syncline_testkit::MARIADB_ENV)
        .arg("--homes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(owner.stdout.take().unwrap()));
    let homes: Vec<PathBuf> = (0..2).map(|_| PathBuf::from(lines.next().unwrap().unwrap())).collect();
    let inside = |home: &PathBuf| {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path().join("cwd")).ok());
        processes.filter(|cwd| cwd.starts_with(home)).count()
    };
    assert!(homes.iter().all(|home| inside(home) > 0), "the servers run inside their homes: {homes:?}");
    owner.kill().unwrap();
    owner.wait().unwrap();
    while homes.iter().any(|home| home.exists() || inside(home) > 0) {
        std::thread::yield_now();
    }
}
