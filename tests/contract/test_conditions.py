"""Conditions and ranges of RFC 9110 (sections 13 and 14), on everything that has an entity tag.

Each row holds for a manifest, for a blob that is kept in the catalog, and for one in a file.
"""

import pytest

from builders import image
from retinue.oci import digest as digests
from rig import NAME, Rig

SMALL = b"0123456789" * 10
LARGE = b"0123456789" * 20_000
OTHER = f'"{digests.of(b"other")}"'
DATE = "Tue, 01 Jan 2030 00:00:00 GMT"
PAST = "Sat, 01 Jan 2000 00:00:00 GMT"

Lines = list[tuple[str, str]]
KINDS = ("manifest", "small", "large")


async def content(rig: Rig, kind: str) -> tuple[str, bytes, str]:
    """Its path, its bytes, and its entity tag."""
    await rig.basics()
    if kind == "manifest":
        manifest = image()
        await rig.push(manifest, "v1")
        return f"/v2/{NAME}/manifests/v1", manifest.raw, f'"{manifest.digest}"'
    data = SMALL if kind == "small" else LARGE
    digest = await rig.blob(data)
    return f"/v2/{NAME}/blobs/{digest}", data, f'"{digest}"'


def lines(text: str, etag: str) -> Lines:
    """`name: value | name: value`, where ETAG stands for the content's."""
    pairs = (line.partition(": ") for line in text.split(" | ")) if text else ()
    return [(name, value.replace("ETAG", etag)) for name, _, value in pairs]


READS = {
    # 13.1.1 If-Match: strong, lists, over several lines
    "if-match: ETAG": 200,
    "if-match: *": 200,
    f"if-match: {OTHER}, ETAG": 200,
    f"if-match: {OTHER} | if-match: ETAG": 200,
    f"if-match: {OTHER}": 412,
    "if-match: W/ETAG": 412,
    "if-match: nonsense": 400,
    "if-match: ": 400,
    'if-match: *, "x"': 400,
    # 13.1.2 If-None-Match: weak, lists, over several lines
    "if-none-match: ETAG": 304,
    "if-none-match: W/ETAG": 304,
    "if-none-match: *": 304,
    f"if-none-match: {OTHER},ETAG": 304,
    f"if-none-match: , {OTHER} , , ETAG ,": 304,
    f"if-none-match: {OTHER} | if-none-match: ETAG": 304,
    f"if-none-match: {OTHER}": 200,
    "if-none-match: nonsense ETAG": 200,
    'if-none-match: "x ETAG': 200,
    "if-none-match: ": 200,
    # 13.1.3, 13.1.4: nothing here has a date
    f"if-modified-since: {DATE}": 200,
    f"if-unmodified-since: {PAST}": 200,
    f"if-none-match: {OTHER} | if-modified-since: {DATE}": 200,
    f"if-match: ETAG | if-unmodified-since: {PAST}": 200,
    # 13.2.2 in this order
    "if-match: ETAG | if-none-match: ETAG": 304,
    f"if-match: {OTHER} | if-none-match: ETAG": 412,
}
"""The status of GET and of HEAD."""

SPANS: dict[str, tuple[int, slice | None]] = {
    # 14.1.2, 14.2: one range of bytes is honoured, other things are ignored
    "range: bytes=2-5": (206, slice(2, 6)),
    "range: bytes=90-": (206, slice(90, None)),
    "range: bytes=-7": (206, slice(-7, None)),
    "range: bytes=-9999999": (206, slice(None)),
    "range: bytes=0-9999999": (206, slice(None)),
    "range: BYTES=0-0": (206, slice(0, 1)),
    "range: bytes=9999999-": (416, None),
    "range: bytes=-0": (416, None),
    "range: bytes=5-2": (416, None),
    "range: bytes=0-1,4-5": (200, slice(None)),
    "range: bytes=9999999-,0-1": (200, slice(None)),
    "range: bytes=0-1 | range: bytes=4-5": (200, slice(None)),
    "range: items=0-1": (200, slice(None)),
    "range: bytes=x-y": (200, slice(None)),
    "range: bytes=-": (200, slice(None)),
    "range: 0-1": (200, slice(None)),
    "range: ": (200, slice(None)),
    # 13.1.5 If-Range: one strong tag; anything else asks for everything, whatever the range says
    "range: bytes=2-5 | if-range: ETAG": (206, slice(2, 6)),
    f"range: bytes=2-5 | if-range: {OTHER}": (200, slice(None)),
    "range: bytes=2-5 | if-range: W/ETAG": (200, slice(None)),
    f"range: bytes=2-5 | if-range: {DATE}": (200, slice(None)),
    "range: bytes=2-5 | if-range: *": (200, slice(None)),
    f"range: bytes=2-5 | if-range: ETAG, {OTHER}": (200, slice(None)),
    f"range: bytes=9999999- | if-range: {OTHER}": (200, slice(None)),
    "range: bytes=9999999- | if-range: ETAG": (416, None),
    f"if-range: {OTHER}": (200, slice(None)),
    # 13.2.2: a condition comes before a range
    "range: bytes=2-5 | if-none-match: ETAG": (304, None),
    "range: bytes=9999999- | if-none-match: ETAG": (304, None),
    f"range: bytes=2-5 | if-match: {OTHER}": (412, None),
    "range: bytes=2-5 | if-match: ETAG": (206, slice(2, 6)),
}
"""The status of GET, and which bytes."""


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_conditions_on_reading(rig: Rig, kind: str, warm: bool) -> None:
    path, data, etag = await content(rig, kind)
    for text, status in READS.items():
        for method in ("GET", "HEAD"):
            if warm:
                await rig.call(method, path)
            answer = await rig.call(method, path, b"", lines(text, etag))
            assert answer.status == status, (method, text)
            assert answer.headers.get("etag") == (None if status == 400 else etag), (method, text)
            whole = status == 200 and method == "GET"
            assert answer.body == data if whole else answer.body != data, (method, text)
            assert answer.body == b"" or method == "GET"


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_ranges(rig: Rig, kind: str, warm: bool) -> None:
    path, data, etag = await content(rig, kind)
    for text, (status, span) in SPANS.items():
        if warm:
            await rig.call("GET", path)
        answer = await rig.call("GET", path, b"", lines(text, etag))
        assert answer.status == status, text
        if span is not None:
            assert answer.body == data[span], text
        if status == 206:
            start, end, _ = span.indices(len(data)) if span is not None else (0, 0, 1)
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(data)}", text
            assert answer.headers["content-length"] == str(end - start), text
        elif status == 416:
            assert answer.headers["content-range"] == f"bytes */{len(data)}", text
        else:
            assert "content-range" not in answer.headers, text


@pytest.mark.parametrize("kind", KINDS)
async def test_head_knows_no_ranges(rig: Rig, kind: str) -> None:
    path, data, etag = await content(rig, kind)
    for text, (status, _) in SPANS.items():
        answer = await rig.call("HEAD", path, b"", lines(text, etag))
        assert answer.status == (status if status in {304, 412} else 200), text
        assert "content-range" not in answer.headers
        if answer.status == 200:
            assert answer.headers["content-length"] == str(len(data)), text


async def test_a_range_of_nothing(rig: Rig) -> None:
    """A suffix of it can be had, but not be told: the answer is all of it."""
    path = f"/v2/{NAME}/blobs/{await rig.blob(b'')}"
    for text, status in {"bytes=0-": 416, "bytes=-0": 416, "bytes=-5": 200}.items():
        answer = await rig.call("GET", path, b"", {"range": text})
        assert (answer.status, len(answer.body) > 0) == (status, status == 416), text


WRITES = {
    "if-match: ETAG": 201,
    "if-match: *": 201,
    f"if-match: {OTHER} | if-match: ETAG": 201,
    "if-match: W/ETAG": 412,
    f"if-match: {OTHER}": 412,
    f"if-none-match: {OTHER}": 201,
    "if-none-match: *": 412,
    "if-none-match: ETAG": 412,
    "if-none-match: W/ETAG": 412,
    "if-none-match: nonsense": 400,
    "if-match: nonsense": 400,
    "if-match: ": 400,
}
"""The status of a PUT of what is at the tag already."""


async def test_conditions_on_writing(rig: Rig) -> None:
    path, data, etag = await content(rig, "manifest")
    for text, status in WRITES.items():
        headers = [("content-type", image().media_type), *lines(text, etag)]
        answer = await rig.call("PUT", path, data, headers)
        assert answer.status == status, text
