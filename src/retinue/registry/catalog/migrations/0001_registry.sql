-- Tokens: {id} an integer primary key that the database assigns and never uses twice, {int} 64 bits,
-- {bytes} binary, {text} text that compares by code point; {clustered} ends a table that is stored in
-- the order of its key, {plain} any other.
-- Times are integers: microseconds since 1970 (UTC). Digests are one byte of algorithm (1 sha256,
-- 2 sha512) and the raw digest.
-- least code: 1

create table meta (
    key {text} primary key,
    value {text} not null
) {clustered};

create table project (
    id {id},
    name {text} not null unique
) {plain};

-- paper_seq changes whenever a row of paper in this repository does: bodies of referrers lists are
-- cached under it.
create table repository (
    id {id},
    project {int} not null references project (id),
    name {text} not null unique,
    paper_seq {int} not null default 0
) {plain};

-- Content, whoever holds it. Its bytes are a row of object_bytes when location is null, else the
-- file of that name, which is never used twice.
create table object (
    id {id},
    digest {bytes} not null unique,
    size {int} not null,
    location {text},
    scrubbed {int} not null default 0,
    quarantined {int}
) {plain};
create index object_scrubbed on object (scrubbed) where location is not null;

create table object_bytes (
    object {int} primary key references object (id) on delete cascade,
    body {bytes} not null
) {plain};

create table repo_blob (
    repository {int} not null references repository (id),
    digest {bytes} not null,
    object {int} not null references object (id),
    size {int} not null,
    touched {int} not null,
    primary key (repository, digest)
) {clustered};
create index repo_blob_digest on repo_blob (digest);
create index repo_blob_object on repo_blob (object);

create table manifest (
    id {id},
    repository {int} not null references repository (id),
    digest {bytes} not null,
    object {int} not null references object (id),
    media_type {text} not null,
    artifact_type {text},
    links_version {int} not null,
    pushed {int} not null,
    pushed_by {text} not null,
    touched {int} not null,
    locked {int} not null default 0,
    unique (repository, digest)
) {plain};
create index manifest_object on manifest (object);
create index manifest_pushed on manifest (repository, pushed, id);
create index manifest_links_version on manifest (repository, links_version);

-- Every edge that a stored manifest or tag states, about itself or about others. witness: the
-- digest of the manifest that states it, or a zero byte and the name of the tag. kind: 1 blob,
-- 2 reference, 3 subject (then source is the paper and target what it is about).
-- way: 1 referrers, 2 fallback, 3 cosign, 4 index, 5 elsewhere.
create table link (
    repository {int} not null references repository (id),
    source {bytes} not null,
    kind {int} not null,
    target {bytes} not null,
    witness {bytes} not null,
    way {int} not null,
    size {int} not null,
    primary key (repository, source, kind, target, witness)
) {clustered};
create index link_target on link (repository, target, kind, source);
-- What a manifest states about itself is found by its key; this is for what is stated about others.
create index link_witness on link (repository, witness) where witness <> source;

-- What lists of papers need, clustered by subject. listed: part of OCI referrers (the paper states
-- its subject itself). entry: its descriptor as JSON, or null when it is large and is then made
-- from the manifest. One row per paper and subject; ways is the set of ways as a bit mask.
create table paper (
    repository {int} not null references repository (id),
    subject {bytes} not null,
    digest {bytes} not null,
    listed {int} not null,
    ways {int} not null,
    artifact_type {text},
    entry {text},
    primary key (repository, subject, digest)
) {clustered};
create index paper_digest on paper (repository, digest);

create table tag (
    repository {int} not null references repository (id),
    name {text} not null,
    digest {bytes} not null,
    created {int} not null,
    updated {int} not null,
    updated_by {text} not null,
    primary key (repository, name)
) {clustered};
create index tag_digest on tag (repository, digest);

create table usage (
    repository {int} not null references repository (id),
    digest {bytes} not null,
    last_pull {int} not null,
    pulls {int} not null,
    primary key (repository, digest)
) {clustered};

-- state: 1 open, 2 done, 3 dead.
create table upload (
    id {text} primary key,
    repository {int} not null references repository (id),
    principal {text} not null,
    location {text} not null,
    size {int} not null,
    algorithm {text} not null,
    reached {bytes} not null,
    boot {text} not null,
    lease {text} not null,
    leased_until {int} not null,
    state {int} not null,
    expires {int} not null
) {clustered};
create index upload_expires on upload (expires);

-- What collection looks at, and when. kind: 1 manifest, 2 blob of a repository, 3 object.
create table candidate (
    repository {int} not null,
    kind {int} not null,
    digest {bytes} not null,
    due {int} not null,
    primary key (repository, kind, digest)
) {clustered};
create index candidate_due on candidate (kind, due, repository, digest);

create table trash (
    location {text} primary key,
    due {int} not null
) {clustered};
create index trash_due on trash (due);

create table hold (
    name {text} primary key,
    until {int} not null
) {clustered};

create table lease (
    name {text} primary key,
    owner {text} not null,
    until {int} not null
) {clustered};
