-- What a position rests on, and the cursor values that were seen and may not be started from yet.
alter table sync_state add column shape text not null default '';
alter table sync_state add column seen_json text not null default '[]';
