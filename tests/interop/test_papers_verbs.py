"""cosign's verbs under their own names: ours print, attach and delete what cosign's would."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from interop.conftest import Tools
from interop.places import Places
from interop.signers import NOTES, Cosign, Image, Retinue, attach_notes, repository


def lines(text: str) -> list[Any]:
    """JSON documents, one on each line, in an order of their own."""
    found = [json.loads(line) for line in text.splitlines()]
    return sorted(found, key=lambda document: json.dumps(document, sort_keys=True))


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_attestations_are_downloaded_as_cosign_prints_them(
    tool: Cosign, image: Image, retinue: Retinue
) -> None:
    tool.attest(image.reference)
    tool.attest(image.reference, key="rsa2048")

    theirs = lines(tool("download", "attestation", image.reference))

    assert lines(retinue("download", "attestation", image.tagged)) == theirs
    assert len(theirs) == 2


def test_signatures_are_downloaded_as_cosign_prints_them(
    cosign: Callable[..., Cosign], retinue: Retinue, pushed: Callable[..., Image]
) -> None:
    tool, image = cosign(2, "legacy"), pushed()
    tool.sign(image.reference)

    (theirs,) = lines(tool("download", "signature", image.reference))
    (ours,) = lines(retinue("download", "signature", image.tagged))

    assert {ours[name] == theirs[name] for name in ("Base64Signature", "Payload")} == {True}


def test_an_sbom_is_attached_and_downloaded(
    cosign: Callable[..., Cosign], retinue: Retinue, pushed: Callable[..., Image], signing: Tools
) -> None:
    tool, image, other = cosign(2), pushed(), pushed()
    flags = ("--type", "cyclonedx", "--input-format", "json", "--sbom", "sbom.json")
    tool("attach", "sbom", *flags, image.reference)
    retinue("attach", "sbom", "--type", "cyclonedx", "--sbom", "sbom.json", other.tagged)
    sbom = (signing.home / "sbom.json").read_text()

    assert retinue("download", "sbom", image.tagged) == sbom
    assert retinue("download", "sbom", other.tagged) == sbom


def test_what_cosign_signed_elsewhere_is_attached_and_verifies(
    cosign: Callable[..., Cosign], retinue: Retinue, pushed: Callable[..., Image], signing: Tools
) -> None:
    tool, image = cosign(2, "legacy"), pushed()
    out = ("--upload=false", "--output-payload=payload", "--output-signature=sig")
    tool.sign(image.reference, *out)
    retinue("attach", "signature", "--payload", "payload", "--signature", "sig", image.tagged)
    cosign(3).attest(image.reference)
    bundle = retinue("download", "attestation", image.tagged)
    (signing.home / "bundle.json").write_text(bundle)
    other = pushed()
    retinue("attach", "attestation", "--attestation", "bundle.json", other.tagged)

    cosign(3).verify(image.reference, "--new-bundle-format=false")
    cosign(3).verify_attestation(other.reference)


def test_triangulate_says_the_same(
    image: Image, cosign: Callable[..., Cosign], retinue: Retinue
) -> None:
    for kind in ("signature", "attestation", "sbom", "digest"):
        words = ("triangulate", "--type", kind, image.tagged)
        assert retinue(*words).strip() == cosign(2)(*words).strip()


@pytest.mark.parametrize("kind", ["referrer", "all"])
def test_clean_deletes_what_cosign_3_deletes(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    pushed: Callable[..., Image],
    signing: Tools,
    kind: str,
) -> None:
    """Less the papers of others, which it deletes only where a registry lets it."""
    left = []
    for by_cosign in (True, False):
        image = pushed()
        cosign(2, "legacy").sign(image.reference)
        cosign(2, "legacy").attest(image.reference)
        cosign(3).sign(image.reference)
        attach_notes(signing, image)
        words = ("clean", "--force", f"--type={kind}", image.reference)
        if by_cosign:
            cosign(3)(*words)
        else:
            retinue(*words)
        left.append(_kinds(retinue, image))

    assert left[0] == left[1]
    assert any(NOTES in paper for paper in left[1])


def _kinds(retinue: Retinue, image: Image) -> list[str]:
    tree = retinue.json("tree", image.tagged)["tree"]
    return sorted(f"{paper['kind']} {paper['artifact_type']}" for paper in tree["papers"])


def test_what_cosign_saved_is_loaded_with_bundles_too(
    cosign: Callable[..., Cosign], retinue: Retinue, pushed: Callable[..., Image], places: Places
) -> None:
    tool, image = cosign(3), pushed()
    cosign(3, "legacy").sign(image.reference)
    tool.sign(image.reference, key="rsa2048")
    tool.attest(image.reference)
    tool("save", "--dir", "saved", image.reference)
    there = Image(repository(places["ours"]), image.digest)

    retinue("load", "--dir", "saved", there.tagged)

    tool.verify(there.reference, key="rsa2048")
    tool.verify_attestation(there.reference)
    tool.verify(there.reference, "--new-bundle-format=false")
    assert retinue.papers(there.tagged) == retinue.papers(image.tagged)


def test_what_we_save_is_an_ordinary_layout(
    image: Image, retinue: Retinue, signing: Tools, places: Places
) -> None:
    retinue("sign", "--key", "p256.key", image.tagged)
    there = repository(places["olareg"])

    retinue("save", "--dir", "saved", image.tagged)
    oras = ("oras", "cp", "-r", "--from-oci-layout", "--to-plain-http")
    signing.run(*oras, f"saved@{image.digest}", f"{there}:v1")

    assert retinue.papers(f"{there}:v1") == retinue.papers(image.tagged)


def test_attestations_are_verified_under_cosigns_name(
    image: Image, cosign: Callable[..., Cosign], retinue: Retinue
) -> None:
    cosign(3).attest(image.reference)
    by = ("verify-attestation", "--key", "p256.pub", "--type")

    retinue(*by, "cyclonedx", image.tagged)
    retinue(*by, "spdxjson", image.tagged, code=11)
