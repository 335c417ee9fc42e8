"""Encrypted images with skopeo (ocicrypt): what it encrypts we read, what we encrypt it reads."""

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from interop.conftest import Tools
from retinue.attest.keys.pem import open_private
from retinue.client.blocking import run
from retinue.client.client import Client
from retinue.crypt.errors import NoKeyFits
from retinue.crypt.image import decrypt_image, encrypt_image
from retinue.crypt.keys import Opener, Recipient, load_recipient, opener_of
from retinue.crypt.recipients import add_recipients, export, merged, read_paper
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.reference import parse_location
from retinue.oci.stores import Sink, Source

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'
KINDS = {
    "rsa": ("RSA", "rsa_keygen_bits:2048"),
    "p256": ("EC", "ec_paramgen_curve:P-256"),
    "p384": ("EC", "ec_paramgen_curve:P-384"),
    "p521": ("EC", "ec_paramgen_curve:P-521"),
}


@pytest.fixture
def skopeo(tools: Tools) -> Callable[..., str]:
    (tools.home / "policy.json").write_text(POLICY)
    for name, (algorithm, option) in KINDS.items():
        make = ("openssl", "genpkey", "-quiet", "-algorithm", algorithm, "-pkeyopt", option)
        subprocess.run([*make, "-out", tools.home / f"{name}.key"], check=True)
        show = ("openssl", "pkey", "-in", tools.home / f"{name}.key", "-pubout")
        subprocess.run([*show, "-out", tools.home / f"{name}.pub"], check=True)

    def copy(source: str, target: str, *options: str, fails: bool = False) -> str:
        command = ("skopeo", "--policy", "policy.json", "copy", *options)
        return tools.run(*command, f"oci:{source}:v1", f"oci:{target}:v1", fails=fails)

    return copy


def recipient(tools: Tools, name: str) -> Recipient:
    return load_recipient((tools.home / f"{name}.pub").read_bytes(), name)


def opener(tools: Tools, name: str) -> Opener:
    return opener_of(open_private((tools.home / f"{name}.key").read_bytes(), None, name), name)


def change(
    source: Path, target: Path, work: Callable[[Source, Sink, Manifest], Awaitable[Manifest]]
) -> Digest:
    """Do this with the image `v1` of a layout; what comes out is `v1` of another."""

    async def inside(client: Client) -> Digest:
        async with (
            client.source(parse_location(f"oci:{source}:v1")) as origin,
            client.sink(parse_location(f"oci:{target}:v1")) as there,
        ):
            digest = await origin.resolve("v1")
            assert digest is not None
            image = (await origin.manifests([digest]))[digest]
            assert isinstance(image, Manifest)
            changed = await work(origin, there, image)
            await there.put_tag("v1", changed.digest)
            return changed.digest

    return run(inside)


def plain_blobs(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs/sha256").iterdir()}


@pytest.mark.parametrize("name", KINDS)
def test_what_skopeo_encrypts_is_read(
    tools: Tools, skopeo: Callable[..., str], layout: Path, name: str
) -> None:
    skopeo(str(layout), "sealed", "--encryption-key", f"jwe:{name}.pub")
    back = tools.home / "back"

    async def decrypt(source: Source, sink: Sink, image: Manifest) -> Manifest:
        return (await decrypt_image(source, sink, image, [opener(tools, name)])).manifest

    change(tools.home / "sealed", back, decrypt)

    assert len(plain_blobs(back) & plain_blobs(layout)) == 2  # the layer and the config


def test_what_skopeo_compresses_and_encrypts_at_once_is_read(
    tools: Tools, skopeo: Callable[..., str], layout: Path
) -> None:
    """It wraps the digest of the layer as it was before."""
    unpack = ("--dest-decompress", "--format", "oci")
    tools.run("skopeo", "--policy", "policy.json", "copy", *unpack, f"oci:{layout}:v1", "dir:plain")
    sealing = ("--encryption-key", "jwe:p256.pub")
    copy = ("skopeo", "--policy", "policy.json", "copy")
    tools.run(*copy, *sealing, "dir:plain", "oci:sealed:v1")

    async def decrypt(source: Source, sink: Sink, image: Manifest) -> Manifest:
        assert image.blobs[1].media_type.endswith("+gzip+encrypted")
        return (await decrypt_image(source, sink, image, [opener(tools, "p256")])).manifest

    change(tools.home / "sealed", tools.home / "back", decrypt)


def test_of_several_recipients_each_reads_what_skopeo_encrypts(
    tools: Tools, skopeo: Callable[..., str], layout: Path
) -> None:
    skopeo(str(layout), "sealed", *(f"--encryption-key=jwe:{name}.pub" for name in ("rsa", "p256")))

    async def decrypt(source: Source, sink: Sink, image: Manifest) -> Manifest:
        for name in ("rsa", "p256"):
            found = await decrypt_image(source, sink, image, [opener(tools, name)])
        with pytest.raises(NoKeyFits):
            await decrypt_image(source, sink, image, [opener(tools, "p384")])
        return found.manifest

    change(tools.home / "sealed", tools.home / "back", decrypt)


@pytest.mark.parametrize("name", KINDS)
def test_skopeo_reads_what_we_encrypt(
    tools: Tools, skopeo: Callable[..., str], layout: Path, name: str
) -> None:
    async def encrypt(source: Source, sink: Sink, image: Manifest) -> Manifest:
        whom = [recipient(tools, "rsa"), recipient(tools, name)]
        return (await encrypt_image(source, sink, image, whom)).manifest

    change(layout, tools.home / "sealed", encrypt)

    skopeo("sealed", "back", "--decryption-key", f"{name}.key")
    assert len(plain_blobs(tools.home / "back") & plain_blobs(layout)) == 2
    other = "p384" if name != "p384" else "p256"
    skopeo("sealed", "other", "--decryption-key", f"{other}.key", fails=True)


def test_skopeo_reads_an_export_with_a_recipient_that_was_a_paper(
    tools: Tools, skopeo: Callable[..., str], layout: Path
) -> None:
    skopeo(str(layout), "sealed", "--encryption-key", "jwe:rsa.pub")

    async def add(source: Source, sink: Sink, image: Manifest) -> Manifest:
        keys, whom = [opener(tools, "rsa")], [recipient(tools, "p256")]
        paper = await add_recipients(source, image, keys, whom)
        exported = export(image, merged([read_paper(paper.blob)]))
        for blob in image.blobs:
            async with source.blob(blob.digest) as chunks:
                await sink.put_blob(blob.digest, blob.size, chunks)
        await sink.put_manifest(exported)
        return exported

    change(tools.home / "sealed", tools.home / "exported", add)

    for name in ("rsa", "p256"):
        skopeo("exported", f"back-{name}", "--decryption-key", f"{name}.key")
        assert len(plain_blobs(tools.home / f"back-{name}") & plain_blobs(layout)) == 2
