"""Running hashes: bounded, and taken once."""

from retinue.oci import digest as digests
from retinue.registry.storage.hashes import RunningHashes


def test_a_hash_is_taken_once() -> None:
    hashes = RunningHashes()
    running = digests.hasher("sha256", b"abc")
    hashes.put("one", running)
    assert hashes.take("two", digests.of(b"abc")) is None
    assert hashes.take("one", digests.of(b"abc")) is running
    assert hashes.take("one", digests.of(b"abc")) is None


def test_a_hash_of_another_algorithm_is_not_what_was_recorded() -> None:
    hashes = RunningHashes()
    hashes.put("one", digests.hasher("sha512", b"abc"))
    assert hashes.take("one", digests.of(b"abc")) is None


def test_the_ones_that_were_used_last_are_kept() -> None:
    hashes = RunningHashes(most=2)
    for name in ("one", "two", "one", "three"):
        hashes.put(name, digests.hasher("sha256", name.encode()))
    assert hashes.take("two", digests.of(b"two")) is None
    assert hashes.take("one", digests.of(b"one")) is not None
    assert hashes.take("three", digests.of(b"three")) is not None
