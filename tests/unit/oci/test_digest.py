"""Digests."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.oci import digest as digests
from retinue.oci.digest import InvalidDigest

HEX = "0123456789abcdef"


@given(st.sampled_from(["sha256", "sha512"]), st.binary())
def test_of_parse_and_bytes_agree(algorithm: str, data: bytes) -> None:
    digest = digests.of(data, algorithm)
    assert f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" == digest
    assert digest == digests.parse(digest) == digests.checked(digest)
    assert digest == digests.from_bytes(digests.to_bytes(digest))
    assert (algorithm, digest) == (
        digests.algorithm(digest),
        f"{algorithm}:{digests.encoded(digest)}",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not of the form"),
        ("sha256", "not of the form"),
        ("sha256:", "not of the form"),
        ("sha256:" + "a" * 63, "needs 64 .* not 63"),
        ("sha256:" + "A" * 64, "lower-case"),
        ("sha256:" + "a" * 64 + "\n", "not of the form"),
        ("sha512:" + "a" * 64, "needs 128"),
        ("blake3:" + "a" * 64, "blake3, which is not supported; use sha256"),
        ("md5:" + "a" * 32, "'md5', which is not supported"),
        ("sha256+b64u:abc", "'sha256\\+b64u', which is not supported"),
        ("sha256:" + "a" * 100_000, "needs 64"),
    ],
)
def test_refuses_what_is_no_digest_and_says_why(text: str, reason: str) -> None:
    assert digests.checked(text) is None
    with pytest.raises(InvalidDigest, match=reason) as caught:
        digests.parse(text)
    assert (text, True) == (caught.value.text, len(str(caught.value)) < 400)


def test_a_hasher_of_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(InvalidDigest, match="blake3"):
        digests.hasher("blake3")
