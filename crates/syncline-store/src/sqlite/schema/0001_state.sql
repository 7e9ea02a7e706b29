-- Format 1. Instants are µs since 1970 UTC, durations ms. Numbers for people come from AUTOINCREMENT: never given twice.
create table meta (
    name  text primary key,
    value text not null
) strict, without rowid;

create table runs (
    number       integer primary key autoincrement,
    id           text    not null unique,
    sync         text    not null,
    scope        text    not null,
    kind         text    not null,
    mode         text    not null,
    started_at   integer not null,
    completed_at integer,
    status       text    not null check (status in ('running', 'succeeded', 'partial', 'failed', 'cancelled')),
    books        text    not null,
    conflicts    integer not null,
    error        text,
    intent       text,
    undoable     integer not null,
    undone_by    text,
    of_run       text,
    notes        text    not null
) strict;
create index runs_of_sync on runs (sync, scope, number);
create index runs_running on runs (sync, scope) where status = 'running';

create table run_streams (
    run     text not null references runs (id) on delete cascade,
    stream  text not null,
    body    text not null,
    primary key (run, stream)
) strict, without rowid;

create table run_conflicts (
    number           integer primary key,
    run              text not null references runs (id) on delete cascade,
    stream           text not null,
    key_json         text not null,
    field            text not null,
    source_json      text not null,
    destination_json text not null,
    resolved_json    text not null,
    winner           text not null,
    strategy         text not null,
    note             text not null
) strict;
create index run_conflicts_of_run on run_conflicts (run, number);

create table run_deletions (
    number   integer primary key,
    run      text    not null references runs (id) on delete cascade,
    stream   text    not null,
    key_json text    not null,
    reason   text    not null,
    done     integer not null,
    unique (run, stream, key_json)
) strict;

create table sync_state (
    app_key        text    not null,
    scope          text    not null,
    stream         text    not null,
    collection_key text    not null,
    last_synced_at integer,
    mark           integer,
    cursor_json    text,
    run            text    not null,
    format         integer not null,
    checksum       integer not null,
    primary key (app_key, scope, stream),
    unique (app_key, scope, collection_key)
) strict, without rowid;

create table observations (
    number integer primary key autoincrement,
    sync   text    not null,
    at     integer not null,
    open   text    not null
) strict;
create index observations_of_sync on observations (sync, number);

create table notes (
    sync  text not null,
    name  text not null,
    value text not null,
    primary key (sync, name)
) strict, without rowid;

create table parked_rows (
    id         integer primary key autoincrement,
    sync       text    not null,
    scope      text    not null,
    stream     text    not null,
    key_json   text    not null,
    code       text    not null,
    column_name text,
    detail     text    not null,
    image_json text,
    run        text    not null,
    first_at   integer not null,
    last_at    integer not null,
    attempts   integer not null,
    outcome    text
) strict;
create unique index parked_rows_open on parked_rows (sync, scope, stream, key_json) where outcome is null;
create index parked_rows_of_run on parked_rows (run) where outcome is null;

-- The names of a stream are kept once, not once per record: a million bases must stay near 120 MB (R6).
create table base_streams (
    id     integer primary key,
    sync   text not null,
    scope  text not null,
    stream text not null,
    unique (sync, scope, stream)
) strict;
create table record_base (
    base_stream integer not null references base_streams (id),
    key         blob    not null,
    hashes      blob    not null,
    primary key (base_stream, key)
) strict, without rowid;

-- One row per stream: digests are only ever read and replaced together.
create table segment_digests (
    sync     text    not null,
    scope    text    not null,
    stream   text    not null,
    shape    text    not null,
    digests  blob    not null,
    checksum integer not null,
    primary key (sync, scope, stream)
) strict;

create table id_map (
    sync        text not null,
    stream      text not null,
    legacy      blob not null,
    legacy_json text not null,
    new_json    text not null,
    run         text not null,
    primary key (sync, stream, legacy),
    unique (sync, stream, new_json)
) strict, without rowid;

create table verify_reports (
    number      integer primary key autoincrement,
    id          text    not null unique,
    sync        text    not null,
    scope       text    not null,
    started_at  integer not null,
    duration_ms integer not null,
    passed      integer not null,
    report_json text    not null
) strict;
create index verify_reports_of_sync on verify_reports (sync, number);

create table audit_log (
    number      integer primary key autoincrement,
    at          integer not null,
    actor       text    not null,
    action      text    not null,
    sync        text,
    detail_json text    not null
) strict;

-- A lock that was given back keeps its row, and with it the token that the next holder gets one more than.
create table locks (
    name     text    primary key,
    token    integer not null,
    held     integer not null,
    holder   text    not null,
    run      text    not null,
    since    integer not null,
    until_at integer not null
) strict, without rowid;
