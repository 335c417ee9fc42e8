-- Deletions that collection began take along only what was not used since then; null: everything.
-- least code: 7

alter table deletion add column before {int};
