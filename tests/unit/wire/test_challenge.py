import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.wire.challenge import (
    MAX_HEADER,
    Basic,
    Bearer,
    Challenge,
    MalformedChallenge,
    Unknown,
    parse,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="a b"', (Basic("a b"),)),
        ("basic realm=x", (Basic("x"),)),
        ("Basic", (Basic(""),)),
        (
            'Bearer realm="https://a/token",service="reg",scope="repository:x:pull,push"',
            (Bearer("https://a/token", "reg", "repository:x:pull,push"),),
        ),
        (
            'Bearer realm="https://a/t", error="invalid_token"',
            (Bearer("https://a/t", error="invalid_token"),),
        ),
        (
            'Negotiate, NTLM abc==, Basic realm="x, y", Bearer realm="https://\\"q\\""',
            (Unknown("Negotiate"), Unknown("NTLM"), Basic("x, y"), Bearer('https://"q"')),
        ),
        ('Bearer service="no realm"', (Unknown("Bearer"),)),
        ("", ()),
    ],
)
def test_challenges(header: str, expected: tuple[Challenge, ...]) -> None:
    assert expected == parse(header)


@pytest.mark.parametrize("header", ['"x"', 'Basic realm="open', "a" * (MAX_HEADER + 1)])
def test_malformed(header: str) -> None:
    with pytest.raises(MalformedChallenge):
        parse(header)


@given(st.text(max_size=60), st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_what_we_write_we_read(realm: str, service: str, scope: str) -> None:
    bearer = Bearer(realm or "r", service, scope)
    assert (Basic(realm), bearer) == parse(f"{Basic(realm)}, {bearer}")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except MalformedChallenge:
        return
    assert len(found) <= len(text)
