"""Two signers who did not see each other write one tag: `tree` and `copy` know both."""

from pathlib import Path

import pytest

from builders import blobs_of, image
from protocol import Client
from retinue.oci.tags import cosign_tag
from running import Ask
from serving import Serving

UNSUPPORTED = 9


@pytest.fixture
def twice_signed(registry: Serving) -> tuple[str, set[str]]:
    """A reference, and both signatures of what it names."""
    client, name = Client(registry), "cli/replaced"
    client.push_all(name, blobs_of().values(), image())
    client.push(name, image(), "1")
    tag = cosign_tag(image().digest, "sig")
    signatures = [image(signer) for signer in (b"first", b"second")]
    client.push_all(name, [b"first", b"second"])
    for signature in signatures:
        client.push(name, signature, tag)
    client.close()
    return f"{registry.host}/{name}:1", {signature.digest for signature in signatures}


def papers(ask: Ask, reference: str) -> set[str]:
    told = ask("tree", reference, "--json").json
    assert told["blind"] == {}
    return {paper["digest"] for paper in told["tree"]["papers"]}


def test_both_are_drawn(ask: Ask, twice_signed: tuple[str, set[str]]) -> None:
    reference, signatures = twice_signed

    assert papers(ask, reference) == signatures


def test_both_are_copied_to_a_registry_that_keeps_both(
    ask: Ask, registry: Serving, twice_signed: tuple[str, set[str]]
) -> None:
    reference, signatures = twice_signed
    there = f"{registry.host}/cli/replaced-copy:1"

    assert ask("copy", reference, there).code == 0
    assert ask("copy", reference, there).code == 0

    assert papers(ask, there) == signatures


def test_a_layout_keeps_one_and_the_copy_names_the_other(
    ask: Ask, tmp_path: Path, twice_signed: tuple[str, set[str]]
) -> None:
    reference, _ = twice_signed
    first = image(b"first").digest

    ran = ask("copy", reference, f"oci:{tmp_path}/layout:1")

    assert ran.code == UNSUPPORTED
    assert first in ran.err
