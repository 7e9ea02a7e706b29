-- Which process holds a lock, so that one on the same machine can tell that it is gone.
alter table locks add column process text;
