"""What tree shows, over a store in memory: all five ways, what is missing, what occurs again."""

import json

import pytest

from builders import artifact, describe, dump, image, index, pointer, with_papers
from retinue.cli.drawing import draw, node_data
from retinue.cli.gathering import gather
from retinue.cli.kinds import kind_of, part_kind
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read
from retinue.oci.tags import cosign_tag, fallback_tag

IMAGE = image()
SBOM = "application/vnd.cyclonedx+json"
SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"


@pytest.fixture(autouse=True)
def no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def store_of(*manifests: Manifest, **tags: Digest) -> MemoryStore:
    store = MemoryStore()
    store.content = {manifest.digest: manifest for manifest in manifests}
    store.names = dict(tags)
    return store


async def drawn(store: MemoryStore, root: Manifest = IMAGE) -> list[str]:
    return draw(await gather(store, root.digest))


async def test_an_image_alone() -> None:
    [line] = await drawn(store_of(IMAGE))
    assert line.startswith("image ")
    assert line.endswith(IMAGE.digest)


async def test_a_paper_and_its_paper() -> None:
    sbom = artifact(IMAGE, kind=SBOM)
    signature = artifact(sbom, kind=SIGNATURE)
    lines = await drawn(store_of(IMAGE, sbom, signature))
    assert lines[1].startswith("└── sbom ")
    assert lines[1].endswith(f"{sbom.digest}  by referrers")
    assert lines[2].startswith("    └── signature ")


async def test_columns_are_aligned() -> None:
    papers = with_papers(IMAGE, 3)
    lines = await drawn(store_of(IMAGE, *papers))
    assert len({line.index("sha256:") for line in lines}) == 1
    assert [line[0] for line in lines] == ["i", "├", "├", "└"]


async def test_a_cosign_tag() -> None:
    signature = read(
        dump(
            {
                "schemaVersion": 2,
                "mediaType": names.OCI_MANIFEST,
                "config": describe(b"{}", names.OCI_CONFIG),
                "layers": [describe(b"payload", SIGNATURE)],
            }
        ),
        names.OCI_MANIFEST,
    )
    store = store_of(IMAGE, signature)
    store.names = {cosign_tag(IMAGE.digest, "sig") or "": signature.digest}
    lines = await drawn(store)
    assert "signature" in lines[1]
    assert SIGNATURE in lines[1]
    assert lines[1].endswith("by cosign")


async def test_a_fallback_tag_beside_the_subject_field() -> None:
    paper = artifact(IMAGE)
    listing = index(pointer(paper))
    store = store_of(IMAGE, paper, listing)
    store.names = {fallback_tag(IMAGE.digest): listing.digest}
    lines = await drawn(store)
    assert lines[1].endswith("by fallback, referrers")


async def test_an_entry_of_an_index_hangs_on_its_image() -> None:
    attestation = artifact(kind="application/vnd.in-toto+json")
    entry = pointer(
        attestation,
        platform={"os": "unknown", "architecture": "unknown"},
        annotations={
            names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
            names.ANNOTATION_BUILDKIT_DIGEST: IMAGE.digest,
        },
    )
    child = pointer(IMAGE, platform={"os": "linux", "architecture": "arm64", "variant": "v8"})
    root = index(child, entry)
    lines = await drawn(store_of(root, IMAGE, attestation), root)
    assert len(lines) == 3
    assert lines[1].startswith("└── image ")
    assert "linux/arm64/v8" in lines[1]
    assert lines[2].startswith("    └── attestation ")
    assert lines[2].endswith("by index")


async def test_what_is_missing_is_shown_as_missing() -> None:
    root = index(IMAGE)
    lines = await drawn(store_of(root), root)
    assert lines[1].startswith("└── missing ")


async def test_what_occurs_again_is_drawn_once() -> None:
    inner = index(IMAGE)
    root = index(inner, IMAGE)
    paper = artifact(IMAGE)
    lines = await drawn(store_of(root, inner, IMAGE, paper), root)
    assert sum(paper.digest in line for line in lines) == 1
    assert sum("(as above)" in line for line in lines) == 1


async def test_nested_data_holds_the_same() -> None:
    sbom = artifact(IMAGE, kind=SBOM, annotations={"k": "v"})
    root = index(IMAGE)
    retinue = await gather(store_of(root, IMAGE, sbom), root.digest)
    data = node_data(retinue, retinue.root)
    assert json.dumps(data)
    [part] = data["parts"]
    [paper] = part["papers"]
    assert (paper["digest"], paper["kind"], paper["ways"]) == (sbom.digest, "sbom", ["referrers"])
    assert paper["annotations"] == {"k": "v"}
    assert (data["kind"], data["papers"]) == ("index", [])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SBOM, "sbom"),
        ("application/spdx+json", "sbom"),
        (SIGNATURE, "signature"),
        ("application/vnd.cncf.notary.signature", "signature"),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
        ("application/vnd.in-toto+json", "attestation"),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", "bundle"),
        ("application/vnd.example.note", "paper"),
    ],
)
def test_kinds(kind: str, expected: str) -> None:
    assert kind_of(artifact(IMAGE, kind=kind)) == expected


def test_kinds_of_parts() -> None:
    docker = image(media_type=names.DOCKER_MANIFEST)
    assert [part_kind(m) for m in (IMAGE, docker, index(), artifact())] == [
        "image",
        "image",
        "index",
        "artifact",
    ]


async def test_a_relation_of_a_generic_object() -> None:
    sbom = artifact(kind=SBOM)
    components = [
        {"rtype": "reference", "descriptor": pointer(IMAGE)},
        {"rtype": "reference", "descriptor": pointer(sbom)},
    ]
    relation = {
        "type": names.OBJECT_RELATION,
        "version": "1",
        "components": components,
        "relation": "org.example.sbom",
    }
    document = {"schemaVersion": 1, "mediaType": names.OCI_OBJECT, "objects": [relation]}
    paper = read(dump(document), names.OCI_OBJECT)
    lines = await drawn(store_of(IMAGE, sbom, paper))
    assert lines[1].endswith(f"{paper.digest}  by object")
