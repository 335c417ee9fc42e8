"""Edges as rows. The only place that knows how kinds, ways and witnesses are written."""

from collections.abc import Collection, Iterable
from itertools import chain
from typing import cast

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.registry.catalog.bulk import bulk, column, hexa, rows
from retinue.registry.catalog.db import Change, Row, Sql

VERSION = 1
"""Of the rules by which links are read from bytes (storage rule 16)."""

KIND = {Rel.BLOB: 1, Rel.REFERENCE: 2, Rel.SUBJECT: 3}
REL = {number: rel for rel, number in KIND.items()}
WAY = {Way.REFERRERS: 1, Way.FALLBACK: 2, Way.COSIGN: 3, Way.INDEX: 4, Way.ELSEWHERE: 5}
_WAYS = {number: way for way, number in WAY.items()}

_INSERT = bulk("""
    insert into link (repository, source, kind, target, witness, way, size)
    select :repository, unhex(e.value ->> 0), cast(e.value ->> 1 as bigint),
        unhex(e.value ->> 2), unhex(e.value ->> 3), cast(e.value ->> 4 as bigint),
        cast(e.value ->> 5 as bigint)
    from json_each(:rows) e where true
    on conflict (repository, source, kind, target, witness) do update
    set way = excluded.way, size = excluded.size""")
_ROW = "(:repository, :source{n}, :kind{n}, :target{n}, :witness{n}, :way{n}, :size{n})"


def _insert(number: int) -> Sql:
    """The same for a number of rows that is known: reading JSON would be half of the cost."""
    values = ", ".join(_ROW.format(n=n) for n in range(number))
    return Sql(f"""
    insert into link (repository, source, kind, target, witness, way, size) values {values}
    on conflict (repository, source, kind, target, witness) do update
    set way = excluded.way, size = excluded.size""")  # noqa: S608 -- names of parameters


FEW = 8
"""Links of most manifests."""
_INSERT_FEW = [_insert(number) for number in range(1, FEW + 1)]
_DROP_WITNESSES = bulk(
    """
    delete from link where repository = :repository
    and (witness in (select unhex(e.value ->> 0) from json_each(:witnesses) e)
        and witness <> source
    or source in (select unhex(e.value ->> 0) from json_each(:witnesses) e)
        and witness = source)
    returning source, kind, target, witness, way, size""",
    grows="what is stated",
)
_DROP_STATED = bulk(
    """
    delete from link where repository = :repository and kind = 3 and witness = :witness
    and witness <> source and source in (select unhex(e.value ->> 0) from json_each(:sources) e)
    returning source, kind, target, witness, way, size""",
    grows="what a tag states",
)
_STATED_BY = Sql(
    """
    select source, kind, target, witness, way, size from link
    where repository = :repository and (witness = :witness and witness <> source
        or source = :witness and witness = source)""",
    grows="what is stated",
)
_TO = bulk(
    """
    select l.source, l.kind, l.target, l.witness, l.way, l.size from json_each(:targets) e
    join link l on l.repository = :repository and l.target = unhex(e.value ->> 0)
    order by l.target, l.kind, l.source""",
    grows="edges to a manifest",
)
_BLOBS_OF = bulk(
    """
    select l.source, l.target from json_each(:sources) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0)
    and l.kind = 1""",
    grows="edges of a manifest",
)
_SELF_STATED = bulk("""
    select l.source, l.target from json_each(:pairs) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0)
    and l.kind = 3 and l.target = unhex(e.value ->> 1) and l.witness = l.source""")
_SUBJECTS_OF = bulk(
    """
    select l.source, l.target from json_each(:sources) e
    join link l on l.repository = :repository and l.source = unhex(e.value ->> 0)
    and l.kind = 3
    join manifest m on m.repository = l.repository and m.digest = l.target""",
    grows="subjects of a paper",
)
_HOLDER_OF = Sql("""
    select source from link
    where repository = :repository and target = :target and kind in (1, 2) limit 1""")


def mask(way: Way) -> int:
    """The bit of a way in `paper.ways`."""
    return 1 << (WAY[way] - 1)


def ways(bits: int) -> tuple[Way, ...]:
    """The ways of `paper.ways`."""
    return tuple(way for way in WAY if bits & mask(way))


def witness(stated_by: Digest | str) -> bytes:
    """A manifest's digest, or a zero byte and the name of a tag."""
    if ":" in stated_by:
        return digests.to_bytes(Digest(stated_by))
    return b"\0" + stated_by.encode("ascii")


def stated_by(raw: bytes) -> Digest | str:
    """The inverse of `witness`."""
    return raw[1:].decode("ascii") if raw[0] == 0 else digests.from_bytes(raw)


def readable(row: Row) -> bool:
    """Whether `link` can read it: whoever looks for damage meets others too."""
    source, kind, target, raw, way, _ = cast("tuple[bytes, int, bytes, bytes, int, int]", row)
    named = all(digests.read_bytes(each) is not None for each in (source, target))
    stated = raw[:1] == b"\0" or digests.read_bytes(raw) is not None
    return named and stated and kind in REL and way in _WAYS


def link(row: Row) -> Link:
    """A row of source, kind, target, witness, way, size."""
    source, kind, target, raw, way, size = cast("tuple[bytes, int, bytes, bytes, int, int]", row)
    return Link(
        digests.from_bytes(source),
        digests.from_bytes(target),
        REL[kind],
        stated_by(raw),
        _WAYS[way],
        size,
    )


def _cells(each: Link) -> tuple[bytes, int, bytes, bytes, int, int]:
    return (
        digests.to_bytes(each.source),
        KIND[each.rel],
        digests.to_bytes(each.target),
        witness(each.stated_by),
        WAY[each.way],
        each.size,
    )


def insert(repository: int, links: Iterable[Link]) -> Change[None]:
    """Add edges; one that is there already stays."""
    once = {made[:4]: made for made in map(_cells, links)}
    cells = [once[key] for key in sorted(once)]
    if 0 < len(cells) <= FEW:
        yield _INSERT_FEW[len(cells) - 1], (repository, *chain.from_iterable(cells))
    elif cells:
        yield _INSERT, (repository, rows(map(_hexes, cells)))


def _hexes(cells: tuple[object, ...]) -> list[str | int]:
    return [each.hex() if isinstance(each, bytes) else cast("int", each) for each in cells]


def drop_witnesses(repository: int, witnesses: Collection[Digest | str]) -> Change[list[Link]]:
    """Remove all that these manifests and tags state; returns it."""
    if not witnesses:
        return []
    gone = yield (
        _DROP_WITNESSES,
        (repository, column(sorted(witness(each).hex() for each in witnesses))),
    )
    return [link(row) for row in gone]


def drop_stated(repository: int, tag: str, sources: Collection[Digest]) -> Change[list[Link]]:
    """Remove what a tag states about these papers; returns it."""
    if not sources:
        return []
    gone = yield _DROP_STATED, (repository, witness(tag), column(sorted(map(hexa, sources))))
    return [link(row) for row in gone]


def of_witness(repository: int, stated: Digest | str) -> Change[list[Link]]:
    """What one manifest or tag states."""
    found = yield _STATED_BY, (repository, witness(stated))
    return [link(row) for row in found]


def to(repository: int, targets: Collection[Digest]) -> Change[list[Link]]:
    """All edges that point at any of these."""
    if not targets:
        return []
    found = yield _TO, (column(map(hexa, targets)), repository)
    return [link(row) for row in found]


def blobs_of(repository: int, sources: Collection[Digest]) -> Change[dict[Digest, set[Digest]]]:
    """The blobs that each of these manifests states."""
    found: dict[Digest, set[Digest]] = {each: set() for each in sources}
    if sources:
        for source, target in (yield _BLOBS_OF, (column(map(hexa, sources)), repository)):
            of = found[digests.from_bytes(cast("bytes", source))]
            of.add(digests.from_bytes(cast("bytes", target)))
    return found


def self_stated(
    repository: int, pairs: Collection[tuple[Digest, Digest]]
) -> Change[set[tuple[Digest, Digest]]]:
    """Those pairs of paper and subject that the paper itself states."""
    if not pairs:
        return set()
    cells = rows(sorted((hexa(paper), hexa(subject)) for paper, subject in pairs))
    return _both((yield _SELF_STATED, (cells, repository)))


def subjects_of(repository: int, papers: Collection[Digest]) -> Change[set[tuple[Digest, Digest]]]:
    """Pairs of each paper and its present subjects, by any witness."""
    return _both((yield _SUBJECTS_OF, (column(map(hexa, papers)), repository)))


def _both(found: Iterable[Row]) -> set[tuple[Digest, Digest]]:
    return {
        (digests.from_bytes(cast("bytes", source)), digests.from_bytes(cast("bytes", target)))
        for source, target in found
    }


def holder_of(repository: int, target: Digest) -> Change[Digest | None]:
    """A manifest that has this as blob or child."""
    found = yield _HOLDER_OF, (repository, digests.to_bytes(target))
    return digests.from_bytes(cast("bytes", found[0][0])) if found else None
