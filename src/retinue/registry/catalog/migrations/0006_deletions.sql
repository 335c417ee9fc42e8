-- Subjects that were deleted, and whose papers go in steps. Until they are gone no list shows them,
-- and nothing is pushed that is this subject or is about it.
-- least code: 6

create table deletion (
    id {id},
    repository {int} not null references repository (id),
    subject {bytes} not null,
    unique (repository, subject)
) {plain};
