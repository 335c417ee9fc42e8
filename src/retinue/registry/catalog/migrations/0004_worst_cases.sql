-- What one statement would look for among all tags of a manifest, or all papers of a subject.
-- least code: 1

drop index tag_digest;
create index tag_digest on tag (repository, digest, name);

drop index paper_digest;
create index paper_digest on paper (repository, digest, subject);

create index paper_by_tag on paper (repository, subject, digest) where ways & 4 <> 0;
