"""Platforms."""

import pytest

from retinue.oci.platform import InvalidPlatform, Platform, parse


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm64/v8", "windows/amd64", "wasip1/wasm"])
def test_parses_and_shows(text: str) -> None:
    assert text == str(parse(text))


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "linux/arm64/", "a/b/c/d", "Linux/amd64", "a/b\n"]
)
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidPlatform, match="os/architecture") as caught:
        parse(text)
    assert text == caught.value.text


@pytest.mark.parametrize(
    ("have", "wanted", "fits"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64", "linux/arm64/v9", False),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/riscv64", "linux/riscv64/x", False),
    ],
)
def test_matches(have: str, wanted: str, fits: bool) -> None:
    assert fits == parse(have).matches(parse(wanted))


def test_version_and_features_count_where_they_are_wanted() -> None:
    have = Platform("windows", "amd64", os_version="10.0", features=("win32k", "x"))
    assert have.matches(Platform("windows", "amd64"))
    assert have.matches(Platform("windows", "amd64", os_version="10.0", features=("win32k",)))
    assert not have.matches(Platform("windows", "amd64", os_version="11.0"))
    assert not have.matches(Platform("windows", "amd64", features=("y",)))
