"""What this registry can do besides (distribution-spec extensions/_oci.md)."""

import json

from retinue.registry.content import pull
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Request, Response
from retinue.registry.http.links import absolute
from retinue.registry.http.v2.catalog import require_somebody

_GLOBAL = (
    (
        "_catalog",
        "/v2/_catalog",
        "repositories that the caller may pull from, in order",
        ("/v2/_catalog",),
    ),
    (
        "_oci",
        "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
        "this list",
        ("/v2/_oci/ext/discover", "/v2/{name}/_oci/ext/discover"),
    ),
)
_OLD = (
    (
        "_oras",
        "https://github.com/oras-project/artifacts-spec",
        "papers of a subject, as clients of 2022 ask for them",
        ("/v2/{name}/_oras/artifacts/referrers",),
    ),
    (
        "_ext/oci-artifacts",
        "https://github.com/opencontainers/artifacts",
        "papers of a subject, as clients of 2021 ask for them",
        ("/v2/_ext/oci-artifacts/v1/{name}/manifests/{digest}/references",),
    ),
)


async def get(services: Services, request: Request, name: str, _rest: str) -> Response:
    """For all repositories, or for one; raises RepositoryUnknown, NameInvalid, Unauthenticated."""
    if name:
        await pull.require_repository(services, name)
    else:
        require_somebody(services, request)
    known = _GLOBAL + _OLD if services.config.old_discovery else _GLOBAL
    base = services.config.base
    listed = [
        {
            "name": word,
            "url": absolute(base, url),
            "description": text,
            "endpoints": [absolute(base, end) for end in _endpoints(ends, name)],
        }
        for word, url, text, ends in known
        if _endpoints(ends, name)
    ]
    body = json.dumps({"extensions": listed}).encode()
    return Response(200, [("content-type", "application/json")], body)


def _endpoints(ends: tuple[str, ...], name: str) -> list[str]:
    if not name:
        return list(ends)
    return [end.replace("{name}", name) for end in ends if "{name}" in end]
