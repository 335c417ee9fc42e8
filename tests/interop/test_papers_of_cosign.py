"""What stock cosign signs and attests, `retinue verify` accepts; what it should not, it refuses."""

import json
from collections.abc import Callable

import pytest

from interop.conftest import Tools
from interop.places import Places
from interop.signers import WAYS, Cosign, Image, Retinue, repository

REFUSED, NONE = 11, 12


@pytest.mark.parametrize(
    ("place", "version", "form", "key"),
    [
        *(("ours", *way, "p256") for way in WAYS),
        ("distribution", 2, "legacy", "p256"),
        ("distribution", 3, "bundle", "p256"),
        ("ours", 2, "legacy", "rsa2048"),
        ("ours", 3, "bundle", "rsa2048"),
    ],
)
def test_cosign_signs_and_attests_and_retinue_verifies(
    tool: Cosign, image: Image, retinue: Retinue, key: str
) -> None:
    by = ("verify", "--key", f"{key}.pub")
    tool.sign(image.reference, key=key)
    retinue(*by, image.tagged)
    retinue(*by, "--type", "cyclonedx", image.tagged, code=REFUSED)
    tool.attest(image.reference, key=key)

    retinue(*by, "--type", "cyclonedx", image.tagged)
    retinue("verify", "--key", "stranger.pub", image.tagged, code=REFUSED)


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_an_attestation_alone_is_no_signature(
    tool: Cosign, image: Image, retinue: Retinue, form: str
) -> None:
    retinue("verify", "--key", "p256.pub", image.tagged, code=NONE)
    tool.attest(image.reference)
    if form == "bundle":
        tool.verify(image.reference)

    retinue("verify", "--key", "p256.pub", image.tagged, code=REFUSED)


@pytest.mark.parametrize(("version", "form"), WAYS)
def test_annotations_are_demanded(
    tool: Cosign, image: Image, retinue: Retinue, version: int, form: str
) -> None:
    tool.sign(image.reference, "-a", "env=prod")
    by = ("verify", "--key", "p256.pub")

    if (version, form) == (2, "bundle"):  # it does not sign them
        retinue(*by, "-a", "env=prod", image.tagged, code=REFUSED)
    else:
        retinue(*by, "-a", "env=prod", image.tagged)
    retinue(*by, "-a", "env=test", image.tagged, code=REFUSED)


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_two_signers_are_two_and_one_who_signs_twice_is_one(
    tool: Cosign, image: Image, retinue: Retinue
) -> None:
    both = ("verify", "--key", "p256.pub", "--key", "rsa2048.pub", "--signers", "2")
    tool.sign(image.reference)
    tool.sign(image.reference, "-a", "again=yes")
    retinue(*both, image.tagged, code=REFUSED)

    tool.sign(image.reference, key="rsa2048")

    retinue(*both, image.tagged)


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_an_index_signed_with_its_children_verifies_with_them(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    signing: Tools,
    pushed: Callable[..., Image],
    version: int,
    form: str,
) -> None:
    tool, image = cosign(version, form), make_index(signing, pushed())
    deep = ("verify", "--recursive", "--key", "p256.pub")
    tool.sign(image.reference)
    retinue("verify", "--key", "p256.pub", image.tagged)
    retinue(*deep, image.tagged, code=REFUSED)

    tool.sign(image.reference, "--recursive")

    retinue(*deep, image.tagged)


def make_index(tools: Tools, image: Image) -> Image:
    """An index of this image, beside it."""
    child = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": image.digest,
        "size": len(tools.run("crane", "manifest", "--insecure", image.reference)),
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [child],
    }
    (tools.home / "index.json").write_text(json.dumps(index))
    tools.run("oras", "manifest", "push", "--plain-http", f"{image.name}:index", "index.json")
    digest = tools.run("crane", "digest", "--insecure", f"{image.name}:index").strip()
    return Image(image.name, digest, "index")


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_papers_in_another_repository_are_found_where_they_are_said_to_be(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    places: Places,
    pushed: Callable[..., Image],
    version: int,
    form: str,
) -> None:
    image, there = pushed(), repository(places["ours"])
    cosign(version, form).sign(image.reference, COSIGN_REPOSITORY=there)

    retinue("verify", "--key", "p256.pub", image.tagged, code=NONE)
    retinue("verify", "--key", "p256.pub", "--papers-in", there, image.tagged)
