"""Every resource of the distribution API: its methods, their handlers, and what one must be
allowed to do."""

from collections.abc import Mapping

from retinue.registry.access.rules import Action
from retinue.registry.content.services import Services
from retinue.registry.http.entry import Methods
from retinue.registry.http.errors import ReadOnly
from retinue.registry.http.exchange import Request, Response
from retinue.registry.http.v2 import (
    blobs,
    catalog,
    deletes,
    extensions,
    legacy,
    manifests,
    manifests_write,
    referrers,
    tags,
    uploads,
)

TABLE: Mapping[str, Methods] = {
    "ping": {"GET": (catalog.ping, None), "HEAD": (catalog.ping, None)},
    "manifests": {
        "GET": (manifests.get, Action.PULL),
        "HEAD": (manifests.head, Action.PULL),
        "PUT": (manifests_write.put, Action.PUSH),
        "DELETE": (manifests_write.delete, Action.DELETE),
    },
    "blobs": {
        "GET": (blobs.get, Action.PULL),
        "HEAD": (blobs.head, Action.PULL),
        "DELETE": (deletes.blob, Action.DELETE),
    },
    "uploads": {
        "POST": (uploads.post, Action.PUSH),
        "GET": (uploads.get, Action.PUSH),
        "PATCH": (uploads.patch, Action.PUSH),
        "PUT": (uploads.put, Action.PUSH),
        "DELETE": (uploads.delete, Action.PUSH),
    },
    "tags": {"GET": (tags.get, Action.PULL), "HEAD": (tags.get, Action.PULL)},
    "referrers": {"GET": (referrers.get, Action.PULL), "HEAD": (referrers.get, Action.PULL)},
    "catalog": {"GET": (catalog.get, None), "HEAD": (catalog.get, None)},
    "extensions": {"GET": (extensions.get, Action.PULL), "HEAD": (extensions.get, Action.PULL)},
    # Reached only where the configuration says so (http/routes.py, `old`).
    "old-references": {"GET": (legacy.references, Action.PULL)},
    "old-rc1": {"GET": (legacy.rc1, Action.PULL)},
    "old-oras": {"GET": (legacy.oras, Action.PULL)},
    "old-oras-draft": {"GET": (legacy.oras_draft, Action.PULL)},
}

_LOOKS = ("GET", "HEAD")


def looking(table: Mapping[str, Methods]) -> Mapping[str, Methods]:
    """The same, with whatever changes something refused to those who might do it elsewhere."""
    return {
        resource: {
            method: (handler if method in _LOOKS else _refuse, action)
            for method, (handler, action) in methods.items()
        }
        for resource, methods in table.items()
    }


async def _refuse(_services: Services, request: Request, _name: str, _rest: str) -> Response:
    raise ReadOnly(request.method, _LOOKS)
