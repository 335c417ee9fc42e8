"""What cosign does with papers works over our registry as over another one, and loses nothing."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from interop.conftest import Tools
from interop.places import Places
from interop.signers import WAYS, Cosign, Image, Retinue, attach_notes, repository


@pytest.mark.parametrize(
    ("place", "version", "form"),
    [
        *(("ours", *way) for way in WAYS),
        ("distribution", 2, "legacy"),
        ("distribution", 3, "bundle"),
    ],
)
def test_what_cosign_signs_and_attests_it_verifies_lists_and_downloads(
    tool: Cosign, image: Image, cosign: Callable[..., Cosign], version: int, form: str
) -> None:
    tool.sign(image.reference, "-a", "env=prod")
    tool.attest(image.reference)

    told = json.loads(tool.verify(image.reference, "-a", "env=prod"))
    tool.verify_attestation(image.reference)
    if (version, form) != (2, "bundle"):  # cosign 2 says that it compared annotations, and did not
        tool.verify(image.reference, "-a", "env=test", fails=True)
    tool.verify(image.reference, key="stranger", fails=True)

    assert {each["critical"]["image"]["docker-manifest-digest"] for each in told} == {image.digest}
    if (version, form) != (2, "bundle"):  # which it neither draws nor downloads without more flags
        assert "└──" in tool("tree", image.reference)
        assert _documents(tool("download", "signature", image.reference))
    assert _documents(tool("download", "attestation", image.reference))


def _documents(lines: str) -> list[object]:
    return [json.loads(line) for line in lines.splitlines()]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["all", "signature", "attestation", "referrer"])
def test_clean_takes_only_what_it_was_asked_to(
    signing: Tools,
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    pushed: Callable[..., Image],
    version: int,
    kind: str,
) -> None:
    """cosign 3 deletes the digest of the referrers list itself; that digest names nothing here."""
    if (version, kind) == (2, "referrer"):
        pytest.skip("cosign 2 knows no such type")
    image = pushed()
    notes = attach_notes(signing, image)
    cosign(2, "legacy").sign(image.reference)
    signatures = retinue.papers(image.reference) - {notes}
    cosign(2, "legacy").attest(image.reference)
    attestations = retinue.papers(image.reference) - signatures - {notes}
    cosign(3).sign(image.reference)
    bundles = retinue.papers(image.reference) - signatures - attestations - {notes}

    cosign(version)("clean", "--force", f"--type={kind}", image.reference)

    gone = set[str]()
    if kind in {"all", "signature"}:
        gone |= signatures
    if kind in {"all", "attestation"}:
        gone |= attestations
    if version == 3 and kind in {"all", "referrer"}:
        gone |= bundles
    assert retinue.papers(image.reference) == (signatures | attestations | bundles | {notes}) - gone


@pytest.mark.parametrize("version", [2, 3])
def test_copy_carries_tags_and_its_own_tag_for_images_hides_no_paper(
    image: Image, cosign: Callable[..., Cosign], retinue: Retinue, places: Places, version: int
) -> None:
    """It tags an image as if it were the list of its own referrers."""
    cosign(2, "legacy").sign(image.reference)
    cosign(2, "legacy").attest(image.reference)
    before = retinue.papers(image.reference)
    there = repository(places["ours"])

    cosign(version)("copy", image.reference, f"{there}:v1")
    cosign(3).sign(f"{there}@{image.digest}")
    cosign(3).verify(f"{there}@{image.digest}")

    assert retinue.papers(image.reference) == before
    assert before < retinue.papers(f"{there}:v1")
    assert len(retinue.papers(f"{there}:v1")) == 3


@pytest.mark.parametrize("version", [2, 3])
def test_save_and_load_carry_legacy_papers(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    pushed: Callable[..., Image],
    places: Places,
    version: int,
) -> None:
    image, tool = pushed(), cosign(version, "legacy")
    cosign(2, "legacy").sign(image.reference)
    cosign(2, "legacy").attest(image.reference)
    before = retinue.papers(image.reference)
    there = repository(places["ours"])

    tool("save", "--dir", "saved", image.reference)
    tool("load", "--dir", "saved", f"{there}:v1")

    tool.verify(f"{there}@{image.digest}")
    assert retinue.papers(f"{there}:v1") == before


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_attached_by_hand_is_there_to_download(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    signing: Tools,
    pushed: Callable[..., Image],
    version: int,
) -> None:
    image, tool = pushed(), cosign(version, "legacy")
    home = signing.home
    tool.sign(
        image.reference, "--upload=false", "--output-payload=payload", "--output-signature=sig"
    )
    tool("attach", "signature", "--payload", "payload", "--signature", "sig", image.reference)
    sbom = ("--type", "cyclonedx", "--input-format", "json", "--sbom", "sbom.json")
    tool("attach", "sbom", *sbom, image.reference)
    cosign(2, "legacy").attest(image.reference)
    (home / "att.json").write_text(tool("download", "attestation", image.reference))
    other = pushed()
    tool("attach", "attestation", "--attestation", "att.json", other.reference)

    tool.verify(image.reference)

    assert tool("download", "sbom", image.reference).strip() == (home / "sbom.json").read_text()
    assert len(retinue.papers(image.reference)) == 3
    assert len(retinue.papers(other.reference)) == 1
    where = tool("triangulate", image.reference).strip()
    assert where == f"{image.name}:{image.tag_of('sig')}"


@pytest.mark.parametrize(("version", "form"), [(2, "legacy"), (3, "bundle")])
def test_eight_signers_at_once_lose_no_signature(
    cosign: Callable[..., Cosign],
    retinue: Retinue,
    signing: Tools,
    pushed: Callable[..., Image],
    version: int,
    form: str,
) -> None:
    """A .sig tag that eight overwrite still leads to all that was ever signed."""
    image, tool = pushed(), cosign(version, form)

    def sign(number: int) -> None:
        tool.sign(image.reference, "-a", f"number={number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign, range(8)))

    layers = {
        (layer["digest"], json.dumps(layer.get("annotations")))
        for paper in retinue.papers(image.reference)
        for layer in signing.json("crane", "manifest", "--insecure", f"{image.name}@{paper}")[
            "layers"
        ]
    }
    assert len(layers) == 8
    for number in (0, 3, 7):
        retinue("verify", "--key", "p256.pub", "-a", f"number={number}", image.tagged)


@pytest.mark.parametrize("version", [2, 3])
def test_papers_in_another_repository_are_written_and_read(
    cosign: Callable[..., Cosign],
    signing: Tools,
    places: Places,
    pushed: Callable[..., Image],
    version: int,
) -> None:
    image, tool = pushed(), cosign(version, "legacy" if version == 2 else "bundle")
    there = repository(places["ours"])

    tool.sign(image.reference, COSIGN_REPOSITORY=there)

    tool.verify(image.reference, fails=True)
    flags = ("verify", "--insecure-ignore-tlog", "--key", "p256.pub", image.reference)
    tool(*flags, env={"COSIGN_REPOSITORY": there})
    assert signing.run("crane", "ls", "--insecure", image.name).split() == ["v1"]
