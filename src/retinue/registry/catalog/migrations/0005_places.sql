-- A location is in one place: an object has it, an open upload has it, or the trash. What is in the
-- trash stays there, so that removing it never has to ask whether somebody uses it again.
--
-- A copy is called ab/<digest in hex>.<place>-<8 hex>, and belongs to the open upload whose bytes
-- are at that place; the place is called after the upload: <id>-<8 hex>.
-- least code: 5

-- Data from before may break the rule: what an object has is no trash.
delete from trash where location in (select location from object where location is not null);

-- An upload is no content: it makes no repository.
{postgres}
alter table upload alter column repository drop not null;
{/postgres}
{sqlite}
alter table upload rename to upload_before;
drop index upload_expires;
create table upload (
    id {text} primary key,
    repository {int} references repository (id),
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
insert into upload select * from upload_before;
drop table upload_before;
create index upload_expires on upload (expires);

create trigger object_insert before insert on object when new.location is not null begin
    select raise(abort, 'the location is in the trash') from trash where location = new.location;
end;
create trigger object_update before update of location on object
when new.location is not null and new.location is not old.location begin
    select raise(abort, 'the location is in the trash') from trash where location = new.location;
end;
create trigger upload_insert before insert on upload when new.state = 1 and new.location <> '' begin
    select raise(abort, 'the location is in the trash') from trash where location = new.location;
end;
create trigger trash_insert before insert on trash begin
    select raise(abort, 'an object has the location') from object
    where digest = unhex(case instr(new.location, '.') when 68 then '01' else '02' end
        || substr(new.location, 4, instr(new.location, '.') - 4))
    and location = new.location;
    select raise(abort, 'an upload has the location') from upload u, (
        select case when instr(new.location, '/') = 0 then new.location
            else substr(new.location, instr(new.location, '.') + 1,
                length(new.location) - instr(new.location, '.') - 9) end as name
    ) place
    where u.id = substr(place.name, 1, length(place.name) - 9)
    and u.location = place.name and u.state = 1;
end;
{/sqlite}
{postgres}
-- The lock is a statement of its own, so that the next one sees what its last owner committed. It
-- has two numbers: those of repositories have one.
create function refuse_trash() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(1, hashtext(new.location));
    if exists (select 1 from trash where location = new.location) then
        raise exception 'the location is in the trash' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger object_insert before insert on object for each row
when (new.location is not null) execute function refuse_trash();
create trigger object_update before update of location on object for each row
when (new.location is not null and new.location is distinct from old.location)
execute function refuse_trash();
create trigger upload_insert before insert on upload for each row
when (new.state = 1 and new.location <> '') execute function refuse_trash();

create function refuse_used() returns trigger language plpgsql as $$
declare
    dot integer := strpos(new.location, '.');
    copy boolean := strpos(new.location, '/') = 3 and dot in (68, 132)
        and translate(substr(new.location, 4, dot - 4), '0123456789abcdef', '') = '';
    place text := new.location;
begin
    perform pg_advisory_xact_lock(1, hashtext(new.location));
    if copy then
        place := substr(new.location, dot + 1, greatest(length(new.location) - dot - 9, 0));
        if exists (
            select 1 from object where location = new.location
            and digest = decode(case dot when 68 then '01' else '02' end
                || substr(new.location, 4, dot - 4), 'hex')
        ) then
            raise exception 'an object has the location' using errcode = 'check_violation';
        end if;
    end if;
    if exists (
        select 1 from upload where id = left(place, -9) and location = place and state = 1
    ) then
        raise exception 'an upload has the location' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger trash_insert before insert on trash for each row execute function refuse_used();
{/postgres}
