"""What the catalog says about itself: its two numbers, its key, the version of its links."""

from collections.abc import Iterator, Sequence

from retinue.errors import RetinueError
from retinue.registry.catalog.db import Catalog, Change, Sql

READ = Sql("select value from meta where key = :key")
WRITE = Sql(
    """insert into meta (key, value) values (:key, :value)
    on conflict (key) do update set value = excluded.value"""
)
FIRST = Sql("insert into meta (key, value) values (:key, :value) on conflict (key) do nothing")

SECRET_BYTES = 32


class MetaMissing(RetinueError):
    """A row of `meta` that every catalog has is not there."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the catalog has no meta {key!r}: it is damaged; restore a backup")
        self.key = key


def numbers(schema: int, min_code: int) -> Iterator[tuple[str, str]]:
    """What a finished migration writes over the old values."""
    yield "schema", str(schema)
    yield "min_code", str(min_code)


def beginnings(random: bytes) -> Sequence[tuple[str, str]]:
    """What a new catalog starts with, and an old one keeps. `random`: 32 bytes for `secret`."""
    if len(random) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(random)}")
    return (("secret", random.hex()), ("links_version", "1"))


async def _value(catalog: Catalog, key: str) -> str:
    row = await catalog.one(READ, key)
    if row is None:
        raise MetaMissing(key)
    return str(row[0])


async def secret(catalog: Catalog) -> bytes:
    """The key under which this registry signs what it hands out. Raises MetaMissing."""
    return bytes.fromhex(await _value(catalog, "secret"))


async def identity(catalog: Catalog) -> str | None:
    """What the folder of the blobs must say too; None before the first start."""
    row = await catalog.one(READ, "identity")
    return None if row is None else str(row[0])


async def require_identity(catalog: Catalog) -> str:
    """Of a registry that was started before. Raises MetaMissing."""
    return await _value(catalog, "identity")


def set_identity(made: str) -> Change[None]:
    """Unless there is one."""
    yield FIRST, ("identity", made)


def renew_identity(made: str) -> Change[None]:
    """For a copy of a catalog, whose blobs are in another folder."""
    yield WRITE, ("identity", made)


async def schema(catalog: Catalog) -> int:
    return int(await _value(catalog, "schema"))


async def min_code(catalog: Catalog) -> int:
    return int(await _value(catalog, "min_code"))


async def links_version(catalog: Catalog) -> int:
    """The version of derived links that all manifests should have (storage.md 16)."""
    return int(await _value(catalog, "links_version"))


def note_write(now: int) -> Change[None]:
    """Shows that the catalog can be written; nothing reads it."""
    yield WRITE, ("written", str(now))


def set_links_version(version: int) -> Change[None]:
    yield WRITE, ("links_version", str(version))
