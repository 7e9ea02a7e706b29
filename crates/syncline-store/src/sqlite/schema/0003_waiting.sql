-- Format 3. Lists of an open run that are too long to be held until its end, a piece of them per row.
create table run_waiting (
    number integer primary key,
    run    text not null references runs (id) on delete cascade,
    body   text not null
) strict;
create index run_waiting_of_run on run_waiting (run, number);
