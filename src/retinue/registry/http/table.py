"""Every resource of the distribution API: its methods, their handlers, and what one must be
allowed to do."""

from collections.abc import Mapping

from retinue.registry.access.rules import Action
from retinue.registry.http.entry import Methods
from retinue.registry.http.v2 import blobs, catalog, extensions, manifests, referrers, tags

TABLE: Mapping[str, Methods] = {
    "ping": {"GET": (catalog.ping, None), "HEAD": (catalog.ping, None)},
    "manifests": {
        "GET": (manifests.get, Action.PULL),
        "HEAD": (manifests.head, Action.PULL),
    },
    "blobs": {
        "GET": (blobs.get, Action.PULL),
        "HEAD": (blobs.head, Action.PULL),
    },
    "tags": {"GET": (tags.get, Action.PULL), "HEAD": (tags.get, Action.PULL)},
    "referrers": {"GET": (referrers.get, Action.PULL), "HEAD": (referrers.get, Action.PULL)},
    "catalog": {"GET": (catalog.get, None), "HEAD": (catalog.get, None)},
    "extensions": {"GET": (extensions.get, Action.PULL), "HEAD": (extensions.get, Action.PULL)},
}
