"""What skopeo 1.9.3 encrypted (tests/vectors/crypt) is read, byte for byte."""

from pathlib import Path

import pytest

from retinue.attest.keys.pem import open_private
from retinue.crypt.errors import NoKeyFits
from retinue.crypt.image import decrypt_image
from retinue.crypt.keys import opener_of
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read

FOLDER = Path(__file__).parents[2] / "vectors/crypt"


async def decrypted(name: str, key: str) -> tuple[Manifest, Manifest]:
    """The encrypted image, and the plain one."""
    store = MemoryStore()
    for blob in ("config.json", f"{name}.layer"):
        data = (FOLDER / blob).read_bytes()
        store.blobs[digests.of(data)] = data
    sealed = read((FOLDER / f"{name}.manifest.json").read_bytes(), names.OCI_MANIFEST)
    opener = opener_of(open_private((FOLDER / f"{key}.key").read_bytes(), None, key), key)
    return sealed, (await decrypt_image(store, MemoryStore(), sealed, [opener])).manifest


@pytest.mark.parametrize(
    ("name", "key"), [("sealed", "rsa"), ("sealed", "p256"), ("repacked", "p256")]
)
async def test_what_skopeo_encrypted_is_read(name: str, key: str) -> None:
    sealed, plain = await decrypted(name, key)

    assert sealed.blobs[1].media_type == names.OCI_LAYER_GZIP + "+encrypted"
    assert plain.blobs[1].media_type == names.OCI_LAYER_GZIP
    assert not plain.blobs[1].annotations


async def test_both_are_the_same_image() -> None:
    _, once = await decrypted("sealed", "rsa")
    _, again = await decrypted("repacked", "p256")

    assert once == again


async def test_the_other_key_opens_nothing() -> None:
    with pytest.raises(NoKeyFits):
        await decrypted("repacked", "rsa")
