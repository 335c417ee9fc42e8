"""`retinue download signature`: print an image's signatures, a line of JSON each.

Bundles as they are; cosign's legacy signatures as cosign prints them.
"""

import argparse
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from retinue.cli.downloading import papers

if TYPE_CHECKING:
    from retinue.attest.statement import Statement
    from retinue.papers.content import Content


def arguments(parser: argparse.ArgumentParser) -> None:
    papers.arguments(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.papers.ways.part import Form

    collected = papers.fetch(args)
    found: list[Content | dict[str, Any]] = []
    for part, content, statement in papers.statements(collected):
        if part.form is Form.SIMPLE and part.blob is not None:
            found.append(_legacy(bytes(content), dict(part.blob.annotations)))
        elif part.form is Form.BUNDLE and _signs(statement):
            found.append(content)
    papers.show(found, as_json=args.json)
    return papers.end(args, collected, len(found), "signatures")


def _signs(statement: "Statement | None") -> bool:
    from retinue.oci import names

    return statement is None or statement.predicate_type == names.PREDICATE_SIGN


def _legacy(payload: bytes, annotations: dict[str, str]) -> dict[str, Any]:
    """What cosign 2 prints of a layer."""
    from retinue.oci import names

    return {
        "Base64Signature": annotations.get(names.ANNOTATION_SIGNATURE, ""),
        "Payload": b64encode(payload).decode(),
        "Cert": annotations.get(names.ANNOTATION_CERTIFICATE),
        "Chain": annotations.get(names.ANNOTATION_CHAIN),
        "Bundle": annotations.get(names.ANNOTATION_LOG_BUNDLE),
        "RFC3161Timestamp": annotations.get(names.ANNOTATION_TIMESTAMP),
    }
