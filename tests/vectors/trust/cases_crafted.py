"""Papers that pretend, and other spellings: made by a small program from what the tools made."""

import base64
import json
from typing import Any

from vectors.trust import crafting
from vectors.trust.cases import Facts, case
from vectors.trust.kit import CONFIG, EMPTY, Kit, attested, fact
from vectors.trust.predicates import SLSA_1
from vectors.trust.registry import MANIFEST, Repository, dumps

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
INTOTO = "application/vnd.in-toto+json"


def _resigned(kit: Kit, change: Any, tag: str) -> None:
    """The manifest at a tag with other layers, put again."""
    raw, _ = kit.repository.manifest(tag)
    manifest = json.loads(raw)
    change(manifest["layers"])
    kit.repository.put(manifest, tag)


@case("malleated", "cosign's own signatures, and beside each the same with n - s")
def malleated(kit: Kit) -> Facts:
    kit.sign(2, "legacy")
    kit.sign(3, "bundle")
    (raw,) = kit.bundles()
    kit.attach(crafting.with_malleated(raw))

    def add(layers: list[dict[str, Any]]) -> None:
        signature = base64.b64decode(layers[0]["annotations"][SIGNATURE])
        again = crafting.encoded(crafting.malleated(signature))
        layers.append({**layers[0], "annotations": {SIGNATURE: again}})

    _resigned(kit, add, kit.sig_tag())
    kit.extra["signatures"] = 2
    return [fact("legacy"), fact("legacy"), fact("bundle"), fact("bundle")]


@case("one-bundle-thrice", "one bundle of cosign 3 in three manifests: one signature")
def one_bundle_thrice(kit: Kit) -> Facts:
    kit.sign(3, "bundle")
    (raw,) = kit.bundles()
    kit.attach(raw, "2026-01-01T00:00:01Z")
    kit.attach(raw, "2026-01-01T00:00:02Z")
    kit.extra["signatures"] = 1
    return [fact("bundle"), fact("bundle"), fact("bundle")]


@case("stranger-over-sig", "a stranger's bundle beside a valid .sig, which cosign then ignores")
def stranger_over_sig(kit: Kit) -> Facts:
    kit.sign(2, "legacy")
    kit.sign(3, "bundle", key="stranger")
    for tool in ("cosign2", "cosign3"):
        kit.run(tool, "verify", "--insecure-ignore-tlog", "--key", "p256.pub", kit.image_at(), fails=True)
    return [fact("legacy"), fact("bundle", by=None)]


@case("bundle-of-another", "a valid bundle about another image, attached to this one by cosign 3")
def bundle_of_another(kit: Kit) -> Facts:
    mine = kit.subject
    kit.subject = str(kit.push_image("another\n", tag="another")["digest"])
    kit.sign(3, "bundle")
    (raw,) = kit.bundles()
    kit.subject = mine
    kit.run("cosign3", "attach", "attestation", "--attestation", kit.file("another.json", raw), kit.image_at())
    return [fact("bundle", by=None, verdict="failed")]


@case("sig-tag-moved", "the .sig of another image under this image's tag")
def sig_tag_moved(kit: Kit) -> Facts:
    mine = kit.subject
    kit.subject = str(kit.push_image("another\n", tag="another")["digest"])
    kit.sign(2, "legacy")
    raw, _ = kit.repository.manifest(kit.sig_tag())
    kit.subject = mine
    kit.repository.put(raw, kit.sig_tag())
    return [fact("legacy", by=None, verdict="failed")]


@case("annotation-says-signature", "an SBOM bundle whose manifest says that it is a signature")
def annotation_says_signature(kit: Kit) -> Facts:
    kit.attest(3, "bundle", "cyclonedx")
    (raw,) = kit.bundles()
    (only,) = kit.repository.referrers(kit.subject)
    kit.repository.call("DELETE", f"manifests/{only['digest']}")
    kit.attach(raw)
    kit.run("cosign3", "verify", "--insecure-ignore-tlog", "--key", "p256.pub", kit.image_at())
    return [attested("bundle", "cyclonedx")]


@case("annotation-says-sbom", "a signature whose manifest says that it is an SBOM")
def annotation_says_sbom(kit: Kit) -> Facts:
    kit.sign(3, "bundle")
    (raw,) = kit.bundles()
    (only,) = kit.repository.referrers(kit.subject)
    kit.repository.call("DELETE", f"manifests/{only['digest']}")
    said = {"dev.sigstore.bundle.predicateType": "https://cyclonedx.org/bom"}
    kit.attach(raw, annotations=said)
    return [fact("bundle")]


@case("payload-changed", "a bundle whose payload was exchanged under its signature")
def payload_changed(kit: Kit) -> Facts:
    kit.sign(3, "bundle")
    (raw,) = kit.bundles()
    (only,) = kit.repository.referrers(kit.subject)
    kit.repository.call("DELETE", f"manifests/{only['digest']}")
    document = json.loads(raw)
    other = crafting.statement(kit.subject, "https://cyclonedx.org/bom", {"bomFormat": "CycloneDX"})
    document["dsseEnvelope"]["payload"] = crafting.encoded(other)
    kit.attach(crafting.compact(document))
    return [fact("bundle", kind="any", by=None, verdict="failed")]


@case("two-envelope-signatures", "an envelope with two signatures, one ours: refused in bundles, allowed in .att")
def two_envelope_signatures(kit: Kit) -> Facts:
    kit.attest(2, "legacy", "cyclonedx")
    tag = kit.sig_tag("att")
    raw, _ = kit.repository.manifest(tag)
    manifest = json.loads(raw)
    envelope = json.loads(kit.repository.blob(manifest["layers"][0]["digest"]))
    stranger = crafting.sign(kit.private("stranger"), crafting.pae(INTOTO, base64.b64decode(envelope["payload"])))
    envelope["signatures"].insert(0, {"keyid": "anything", "sig": crafting.encoded(stranger)})
    put = kit.repository.put_blob(crafting.compact(envelope), manifest["layers"][0]["mediaType"])
    manifest["layers"][0] |= {"digest": put["digest"], "size": put["size"]}
    kit.repository.put(manifest, tag)
    document = json.loads(crafting.bundle(base64.b64decode(envelope["payload"]), b"", kit.private("p256")))
    document["dsseEnvelope"]["signatures"] = envelope["signatures"]
    kit.attach(crafting.compact(document))
    return [attested("legacy", "cyclonedx"), fact("bundle", kind="any", by=None, verdict="unreadable")]


@case("no-papers-at-all", "an image without papers")
def no_papers_at_all(kit: Kit) -> Facts:
    return []


@case("image-poses", "an image that says of itself, in every way, that it is a paper of another")
def image_poses(kit: Kit) -> Facts:
    subject = kit.described(kit.subject)
    kit.push_image("posing\n", tag="posing", subject=subject, artifactType=crafting.BUNDLE,
                   annotations={"dev.sigstore.bundle.predicateType": crafting.SIGN})  # fmt: skip
    kit.push_image("posing too\n", tag=kit.sig_tag())
    return [fact("unsigned", "other", by=None, verdict="unsigned") for _ in range(2)]


@case("broken-bundles", "papers that cannot be read beside a good one: they neither satisfy nor block")
def broken_bundles(kit: Kit) -> Facts:
    kit.sign(3, "bundle")
    (raw,) = kit.bundles()
    text = raw.decode()
    broken = (
        raw[: len(raw) // 2],
        b"not json",
        b"[" * 5000,
        text.replace('"dsseEnvelope"', '"DsseEnvelope":{},"dsseEnvelope"', 1).encode(),
        text.replace('"payload":', '"payload":"e30=","payload":', 1).encode(),
    )
    for each in broken:
        kit.attach(each)
    return [fact("bundle"), *(fact("bundle", kind="any", by=None, verdict="unreadable") for _ in broken)]


def _statements(kit: Kit, digest: str) -> list[dict[str, Any]]:
    layers = []
    for kind, predicate in (("https://slsa.dev/provenance/v1", SLSA_1), ("https://spdx.dev/Document", {})):
        raw = crafting.statement(digest, kind, predicate)
        layer = kit.repository.put_blob(raw, INTOTO)
        layers.append({**layer, "annotations": {"in-toto.io/predicate-type": kind}})
    return layers


def _entry(kit: Kit, manifest: dict[str, Any], about: str) -> dict[str, Any]:
    notes = {"vnd.docker.reference.digest": about, "vnd.docker.reference.type": "attestation-manifest"}
    unknown = {"architecture": "unknown", "os": "unknown"}
    return {**kit.repository.put(manifest), "annotations": notes, "platform": unknown}


def _buildkit(kit: Kit, form: str) -> Facts:
    children = kit.push_platforms()
    entries = []
    for child in children:
        layers = _statements(kit, child["digest"])
        common = {"schemaVersion": 2, "mediaType": MANIFEST}
        if form == "image":
            diff = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
            text = dumps({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": diff})
            made = common | {"config": kit.repository.put_blob(text, CONFIG), "layers": layers}
        else:
            kit.repository.put_blob(b"{}", EMPTY["mediaType"])
            about = {name: child[name] for name in ("mediaType", "digest", "size")}
            made = common | {
                "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
                "config": {**EMPTY, "data": "e30="}, "layers": layers, "subject": about,
            }  # fmt: skip
        entries.append(_entry(kit, made, child["digest"]))
    kit.subject = kit.push_index([*children, *entries])
    unsigned: dict[str, Any] = {"by": None, "verdict": "unsigned"}
    return [
        fact("unsigned", kind, **unsigned, predicate_type=uri, about=child["digest"])
        for child in children
        for kind, uri in (("provenance", "https://slsa.dev/provenance/v1"), ("sbom", "https://spdx.dev/Document"))
    ]


@case("buildkit-image", "an index as BuildKit wrote it up to 0.31: attestation manifests are images")
def buildkit_image(kit: Kit) -> Facts:
    return _buildkit(kit, "image")


@case("buildkit-artifact", "an index as BuildKit writes it from 0.32: artifacts with a subject")
def buildkit_artifact(kit: Kit) -> Facts:
    return _buildkit(kit, "artifact")


@case("two-places", "one key signs beside the image, another in another repository")
def two_places(kit: Kit) -> Facts:
    other = Repository(kit.repository.host, "vectors/two-places-papers")
    kit.elsewhere["localhost:5000/vectors/two-places-papers"] = other
    kit.keys = ("p256", "other")
    kit.sign(2, "legacy")
    kit.sign(2, "legacy", key="other", COSIGN_REPOSITORY=other.image)
    return [fact("legacy"), fact("legacy", by="other", elsewhere=True)]


@case("everything", "an index with papers of every kind and way, of itself, its children, and of papers")
def everything(kit: Kit) -> Facts:
    found = _buildkit(kit, "image")
    children = sorted({each["about"] for each in found})
    kit.sign(2, "legacy", "-r")
    kit.sign(3, "bundle", "-r")
    kit.attest(2, "legacy", "cyclonedx")
    kit.attest(3, "bundle", "slsaprovenance1")
    kit.run("cosign2", "attach", "sbom", "--type", "cyclonedx", "--input-format", "json",
            "--sbom", "predicates/cyclonedx", kit.image_at())  # fmt: skip
    oras = ("oras", "attach", "--plain-http", "--format", "json", "--artifact-type")
    notes = f"{kit.file('notes.json', b'{}')}:application/json"
    told = kit.run(*oras, "application/vnd.acme.notes", kit.image_at(children[0]), notes)
    first = json.loads(told)["digest"]
    kit.run(*oras, "application/vnd.acme.notes-on-notes", kit.image_at(first), notes)
    entries = json.loads(kit.repository.manifest(kit.subject)[0])["manifests"]
    # cosign signs BuildKit's manifests too: papers that are children.
    signed = [kit.subject, *(each["digest"] for each in entries)]
    plain: dict[str, Any] = {"by": None, "verdict": "unsigned"}
    return [
        *found,
        *(fact(form, about=each) for form in ("legacy", "bundle") for each in signed),
        attested("legacy", "cyclonedx"),
        attested("bundle", "slsaprovenance1"),
        fact("unsigned", "sbom", **plain),
        fact("unsigned", "other", **plain, about=children[0]),
        fact("unsigned", "other", **plain, about=first),
    ]
