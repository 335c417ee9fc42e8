"""The digest of a layer once it is unpacked (its diff ID), in bounded memory."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from retinue.crypt.errors import NotEncryptable
from retinue.oci import digest as digests
from retinue.oci.digest import Digest

MAX_PIECE = 1024 * 1024


class Damaged(Exception):
    """The data is not what it says it is compressed with. Never leaves the package."""


def unpacked_digest(media_type: str, chunks: Iterable[bytes], like: Digest) -> Digest:
    """By the algorithm of `like`; raises Damaged, and NotEncryptable for zstd without a library."""
    name = digests.algorithm(like)
    running = digests.hasher(name)
    for piece in _unpacked(media_type, chunks, like):
        running.update(piece)
    return digests.parse(f"{name}:{running.hexdigest()}")


def _unpacked(media_type: str, chunks: Iterable[bytes], like: Digest) -> Iterable[bytes]:
    if media_type.endswith("+gzip"):
        return _members(chunks, _gzip, zlib.error)
    if media_type.endswith("+zstd"):
        library = _zstd(like)
        return _members(chunks, library.ZstdDecompressor, library.ZstdError)
    return chunks


def _members(
    chunks: Iterable[bytes], start: Callable[[], Any], problem: type[Exception]
) -> Iterator[bytes]:
    """Several members, or frames, one after another, count as one."""
    member = None
    try:
        for chunk in chunks:
            data = chunk
            while data:
                member = member or start()
                piece = member.decompress(data, MAX_PIECE)
                yield piece
                while not member.eof and _more(member):
                    yield member.decompress(_rest(member), MAX_PIECE)
                data = member.unused_data if member.eof else b""
                member = None if member.eof else member
    except problem as error:
        raise Damaged(str(error)) from None
    if member is not None:
        raise Damaged("it ends early")


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _more(member: Any) -> bool:
    """zlib keeps input that it had no room for in `unconsumed_tail`, zstd's keeps it inside."""
    tail = getattr(member, "unconsumed_tail", None)
    return bool(tail) if tail is not None else not member.needs_input


def _rest(member: Any) -> bytes:
    return getattr(member, "unconsumed_tail", b"")


def _zstd(like: Digest) -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    remedy = "a layer is compressed with zstd: install it with `pip install 'retinue[zstd]'`"
    raise NotEncryptable(like, remedy)
