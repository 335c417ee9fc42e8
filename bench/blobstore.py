"""Pushes per second into the file store, without HTTP: concurrent uploads, new bytes each time.

python bench/blobstore.py DIR [--concurrency 16] [--rounds 5] [--threads 16]

Each upload appends parts of 256 KiB, 1 MiB at a time, then keeps. Rows take turns within each
round; shown are the median over the rounds and the spread. DIR must be on the disk to be measured.
"direct" is what the store does; "cached" writes through the page cache instead, to compare.
"""

import argparse
import asyncio
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

from retinue.oci.digest import Digest
from retinue.registry.storage import direct
from retinue.registry.storage.files import FileBlobStore

MIB = 1 << 20
PART = 256 * 1024
ROWS = ((MIB, 320), (10 * MIB, 48), (100 * MIB, 16))
NOISE = [os.urandom(PART) for _ in range(MIB // PART)]
NUMBERS = count()
WAYS = {"direct": direct.DIRECT_FROM, "cached": 1 << 62}


def parts_of(size: int, number: int) -> Iterator[list[bytes]]:
    """The bytes of one blob in batches of 1 MiB; the first eight bytes make it a new one."""
    yield [number.to_bytes(8, "big") + NOISE[0][8:], *NOISE[1:]]
    for _ in range(MIB, size, MIB):
        yield NOISE


def prepare(size: int, amount: int) -> list[tuple[int, Digest]]:
    numbers = [next(NUMBERS) for _ in range(amount)]
    return [(number, digest_of(size, number)) for number in numbers]


def digest_of(size: int, number: int) -> Digest:
    running = hashlib.sha256()
    for batch in parts_of(size, number):
        for part in batch:
            running.update(part)
    return Digest(f"sha256:{running.hexdigest()}")


async def push(store: FileBlobStore, size: int, number: int, digest: Digest) -> None:
    upload = await store.upload(f"{number:026d}", size=size)
    try:
        for batch in parts_of(size, number):
            await upload.append(batch)
        await upload.keep(digest)
    finally:
        await upload.close()


async def rate(
    store: FileBlobStore, size: int, work: list[tuple[int, Digest]], concurrency: int
) -> tuple[float, float]:
    """Pushes per second, and milliseconds of CPU per push."""
    left = iter(work)

    async def client() -> None:
        for number, digest in left:
            await push(store, size, number, digest)

    started, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    elapsed = time.perf_counter() - started
    return len(work) / elapsed, (time.process_time() - used) * 1000 / len(work)


async def one_row(
    folder: Path, durable: bool, row: tuple[int, int], options: argparse.Namespace
) -> tuple[float, float]:
    size, amount = row
    path = Path(tempfile.mkdtemp(dir=folder))
    store = FileBlobStore(path / "store", durable=durable, threads=options.threads)
    try:
        return await rate(store, size, prepare(size, amount), options.concurrency)
    finally:
        await store.close()
        shutil.rmtree(path)
        os.sync()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    results: dict[tuple[bool, int, str], list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for durable, row, way in product((True, False), ROWS, WAYS):
            direct.DIRECT_FROM = WAYS[way]
            measured = asyncio.run(one_row(options.folder, durable, row, options))
            results.setdefault((durable, row[0], way), []).append(measured)
    for (durable, size, way), found in results.items():
        rates = [pushes for pushes, _ in found]
        print(
            f"{'synced  ' if durable else 'unsynced'} {size // MIB:4} MiB {way}  "
            f"{statistics.median(rates):7.1f}/s  ({min(rates):.1f} to {max(rates):.1f})  "
            f"{statistics.median(cpu for _, cpu in found):.2f} ms CPU"
        )


if __name__ == "__main__":
    main()
