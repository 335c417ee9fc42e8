"""Every error that can reach a client has a status and a code."""

import importlib
import json
import pkgutil
from collections.abc import Iterator

import pytest

import retinue
from retinue.errors import RetinueError
from retinue.oci import digest as digests
from retinue.registry.access.failures import TooManyFailures
from retinue.registry.access.gate import Unauthenticated
from retinue.registry.content import errors as content
from retinue.registry.http import errors
from retinue.wire.ranges import Unsatisfiable

DIGEST = digests.of(b"x")

NEVER = {
    "retinue.cli": "programs of their own",
    "retinue.client": "the other end of the wire",
    "retinue.attest": "clients and gates verify",
    "retinue.crypt": "clients encrypt and decrypt",
    "retinue.devstack": "a program of its own",
    "retinue.gates": "programs of their own",
    "retinue.papers": "clients and gates look at papers",
    "retinue.policy": "clients and gates decide",
    "retinue.layers": "files and archives of the command line",
    "retinue.registry.config": "before anything is served",
    "retinue.registry.http.listening": "before anything is served",
    "retinue.registry.http.traces": "before anything is served",
    "retinue.registry.access.rules": "before anything is served",
    "retinue.registry.access.htpasswd": "before anything is served, then logged",
    "retinue.registry.catalog.leases": "a collector stops, and says that another one is at work",
    "retinue.registry.catalog.localdisk": "when the catalog is opened",
    "retinue.registry.catalog.meta": "when the catalog is opened",
    "retinue.registry.catalog.migrate": "when the catalog is opened",
    "retinue.registry.catalog.opening": "when the catalog is opened",
    "retinue.registry.catalog.sqlite": "when the catalog is opened",
    "retinue.registry.gc": "in the background and on the command line",
    "retinue.registry.upkeep": "in the background and on the command line",
    "retinue.files": "the blob store reports it as StorageFailed",
    "retinue.registry.storage.copying": "on the command line",
    "retinue.registry.storage.unfinished": "before anything is served",
    "retinue.registry.storage.places": "names that the catalog or we ourselves made",
    "retinue.oci.convert": "clients convert",
    "retinue.oci.platform": "clients choose platforms",
    "retinue.oci.reference": "people type references",
    "retinue.oci.resolve": "clients resolve",
    "retinue.oci.stores": "clients and the registry's model; DigestMismatch alone has a row",
    "retinue.oci.walk": "clients and collection walk",
    "retinue.wire.challenge": "clients read challenges",
}


def modules() -> Iterator[str]:
    for each in pkgutil.walk_packages(retinue.__path__, "retinue."):
        if not each.name.startswith(("retinue.cli", "retinue.client", "retinue.__main__")):
            yield each.name


def concrete() -> set[type[RetinueError]]:
    for name in modules():
        importlib.import_module(name)
    found: set[type[RetinueError]] = set()
    todo = [RetinueError]
    while todo:
        for each in todo.pop().__subclasses__():
            todo.append(each)
            if not each.__subclasses__() and each.__module__.startswith("retinue."):
                found.add(each)
    return found


def stays_inside(kind: type[RetinueError]) -> bool:
    return any(kind.__module__ == name or kind.__module__.startswith(f"{name}.") for name in NEVER)


def test_every_error_has_a_row_or_never_reaches_a_client() -> None:
    missing = {
        f"{kind.__module__}.{kind.__name__}"
        for kind in concrete()
        if not stays_inside(kind) and not any(base in errors.TABLE for base in kind.__mro__)
    }
    assert missing == set()


def test_statuses_are_of_errors_and_those_of_ours_are_few() -> None:
    for status, _ in errors.TABLE.values():
        assert 400 <= status < 600
        assert status < 500 or status in errors.OURS


def test_the_body_is_an_error_document() -> None:
    answer = errors.answer(content.ManifestBlobUnknown([DIGEST]), "id")
    assert isinstance(answer.body, bytes)
    (error,) = json.loads(answer.body)["errors"]
    assert error["code"] == "MANIFEST_BLOB_UNKNOWN"
    assert error["detail"] == [{"digest": DIGEST}]


@pytest.mark.parametrize(
    ("problem", "header"),
    [
        (Unauthenticated(), ("www-authenticate", 'Basic realm="retinue"')),
        (TooManyFailures(7), ("retry-after", "7")),
        (Unsatisfiable("bytes=9-", 5), ("content-range", "bytes */5")),
        (errors.MethodNotAllowed("X", ("GET", "PUT")), ("allow", "GET, PUT")),
        (content.TagPrecondition("v1", DIGEST), ("etag", f'"{DIGEST}"')),
        (content.RangeOutOfOrder(5, "/there"), ("range", "0-4")),
        (content.RangeOutOfOrder(5, "/there"), ("location", "/there")),
    ],
)
def test_headers_that_clients_act_on(problem: RetinueError, header: tuple[str, str]) -> None:
    assert header in errors.answer(problem, "id").headers


def test_faults_of_ours_tell_the_request_id_and_nothing_else() -> None:
    from retinue.registry.catalog.db import CatalogUnavailable

    answer = errors.answer(CatalogUnavailable("disk /srv/secret is full"), "id-1")
    assert isinstance(answer.body, bytes)
    assert answer.status == 503
    assert b"secret" not in answer.body
    assert b"id-1" in answer.body
    assert ("retry-after", "5") in answer.headers


def test_an_error_without_a_row_is_ours() -> None:
    class Odd(RetinueError):
        pass

    try:
        assert errors.row(Odd()) == (500, "UNKNOWN")
    finally:
        del Odd
