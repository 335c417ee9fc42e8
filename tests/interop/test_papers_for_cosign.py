"""What `retinue sign` and `attest` write, stock cosign verifies, lists and downloads; oras shows it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from interop.conftest import Tools
from interop.signers import WAYS, Cosign, Image, Retinue
from interop.test_papers_of_cosign import make_index


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
def test_retinue_signs_and_attests_and_cosign_verifies(
    tool: Cosign, image: Image, retinue: Retinue, form: str, key: str
) -> None:
    """With cosign's own encrypted keys, whose password is in the environment."""
    by = ("--key", f"{key}.key", "--format", form)
    retinue("sign", *by, image.tagged, key=key)
    tool.verify(image.reference, key=key)
    tool.verify(image.reference, key="stranger", fails=True)

    what = ("--type", "cyclonedx", "--predicate", "sbom.json")
    retinue("attest", *by, *what, image.tagged, key=key)

    tool.verify_attestation(image.reference, key=key)


def test_both_forms_at_once_and_a_rerun_adds_nothing(
    image: Image, cosign: Callable[..., Cosign], retinue: Retinue
) -> None:
    command = ("sign", "--key", "p256.key", "--format", "both", image.tagged)
    retinue(*command)
    before = retinue.papers(image.tagged)
    retinue(*command)

    cosign(3).verify(image.reference)
    cosign(3).verify(image.reference, "--new-bundle-format=false")
    assert retinue.papers(image.tagged) == before
    assert len(before) == 2


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "legacy"), (3, "bundle")])
def test_annotations_are_signed_along(
    tool: Cosign, image: Image, retinue: Retinue, form: str
) -> None:
    retinue("sign", "--key", "p256.key", "--format", form, "-a", "env=prod", image.tagged)

    tool.verify(image.reference, "-a", "env=prod")
    tool.verify(image.reference, "-a", "env=test", fails=True)


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_an_index_is_signed_with_its_children(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    signing: Tools,
    pushed: Callable[..., Image],
    version: int,
    form: str,
) -> None:
    tool, child = cosign(version, form), pushed()
    index = make_index(signing, child)
    retinue("sign", "--recursive", "--key", "p256.key", "--format", form, index.tagged)

    tool.verify(index.reference)
    tool.verify(child.reference)


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_signatures_are_added_to_those_of_cosign(
    tool: Cosign, image: Image, retinue: Retinue, form: str
) -> None:
    tool.sign(image.reference)
    retinue("sign", "--key", "rsa2048.key", "--format", form, image.tagged, key="rsa2048")
    tool.sign(image.reference, key="rsa4096")

    for key in ("p256", "rsa2048", "rsa4096"):
        tool.verify(image.reference, key=key)
        retinue("verify", "--key", f"{key}.pub", image.tagged)


@pytest.mark.parametrize(
    ("key", "version", "form", "more"),
    [
        ("ed25519", 3, "bundle", ()),
        ("ed25519", 2, "legacy", ()),
        ("p384", 3, "bundle", ("--signature-digest-algorithm", "sha384")),
        ("p521", 2, "legacy", ("--signature-digest-algorithm", "sha512")),
        ("rsa4096", 3, "bundle", ()),
    ],
)
def test_every_kind_of_key_that_we_sign_with_is_verified(
    image: Image,
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    version: int,
    form: str,
    key: str,
    more: tuple[str, ...],
) -> None:
    """cosign takes SHA-256 for any curve unless it is told of another hash."""
    retinue("sign", "--key", f"{key}.key", "--format", form, image.tagged, key=key)

    cosign(version, form).verify(image.reference, *more, key=key)
    retinue("verify", "--key", f"{key}.pub", image.tagged)


def test_cosign_signs_with_keys_that_retinue_makes(
    image: Image, cosign: Callable[..., Cosign], retinue: Retinue, signing: Tools
) -> None:
    retinue("key", "generate", "--output-key-prefix", "new")

    for version in (2, 3):
        tool = cosign(version, "legacy" if version == 2 else "bundle")
        flags = ("sign", "--yes", "--key", "new.key", *tool.local(), image.reference)
        tool(*flags, env={"COSIGN_PASSWORD": "correct horse battery staple"})
        tool.verify(image.reference, key="new")
    retinue("verify", "--key", "new.pub", image.tagged)


@pytest.mark.parametrize("place", ["ours", "distribution", "olareg"])
def test_oras_discovers_our_papers_by_their_types(
    retinue: Retinue, signing: Tools, pushed: Callable[..., Image], place: str
) -> None:
    image = pushed(place)
    retinue("sign", "--key", "p256.key", image.tagged)
    what = ("--type", "cyclonedx", "--predicate", "sbom.json")
    retinue("attest", "--key", "p256.key", *what, image.tagged)

    found = signing.json("oras", "discover", "--plain-http", "--format", "json", image.reference)[
        "referrers"
    ]

    bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
    kinds = {each["annotations"]["dev.sigstore.bundle.predicateType"] for each in found}
    assert [each["artifactType"] for each in found] == [bundle, bundle]
    assert kinds == {"https://sigstore.dev/cosign/sign/v1", "https://cyclonedx.org/bom"}


def test_cosign_draws_downloads_and_cleans_what_we_wrote(
    cosign: Callable[..., Cosign], retinue: Retinue, pushed: Callable[..., Image]
) -> None:
    tool, image = cosign(3), pushed()
    retinue("sign", "--key", "p256.key", "--format", "both", image.tagged)

    drawn = tool("tree", image.reference)
    downloaded = [
        json.loads(line) for line in tool("download", "signature", image.reference).splitlines()
    ]
    tool("clean", "--force", "--type=all", image.reference)

    assert "https://sigstore.dev/cosign/sign/v1" in drawn
    assert downloaded
    assert retinue.papers(image.tagged) == set()


@pytest.mark.parametrize("form", ["legacy", "bundle"])
def test_eight_of_our_signers_at_once_lose_nothing(
    image: Image, retinue: Retinue, cosign: Callable[..., Cosign], form: str
) -> None:
    """Not even at a .sig tag: ours writes it on condition that nobody else did."""

    def sign(number: int) -> None:
        said = ("-a", f"number={number}")
        retinue("sign", "--key", "p256.key", "--format", form, *said, image.tagged)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign, range(8)))

    tool = cosign(3, form)
    for number in range(8):
        tool.verify(image.reference, "-a", f"number={number}")
