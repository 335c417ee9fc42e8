"""Secrets in URLs reach no eye."""

import pytest

from retinue.wire.masks import masked, secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hush1@db/x", "postgresql://ann:***@db/x"),
        ("postgresql://ann:hu/s@h1@db/x", "postgresql://ann:***@db/x"),
        ("postgresql://ann@db/x", "postgresql://ann@db/x"),
        ("postgresql://db/x?password=hush1", "postgresql://db/x?password=***"),
        ("postgresql://db/x?pass%77ord=hush1", "postgresql://db/x?pass%77ord=***"),
        (
            "postgresql://u@/x?host=/run&sslpassword=hush1&sslmode=require",
            "postgresql://u@/x?host=/run&sslpassword=***&sslmode=require",
        ),
        ("http://otel/v1?token=hush1", "http://otel/v1?token=***"),
        ("http://otel/v1?hush1", "http://otel/v1?***"),
        ("http://otel/v1#hush1", "http://otel/v1#***"),
        ("http://hush1@otel/v1", "http://***@otel/v1"),
        ("http://ann:hush1@otel/v1?a=hush2#hush3", "http://ann:***@otel/v1?a=***#***"),
        ("http://otel/v1?", "http://otel/v1?"),
        ("sqlite:/srv/a?b=c", "sqlite:/srv/a?b=c"),
        ("said 'http://a?t=hush1', then http://b", "said 'http://a?t=***', then http://b"),
    ],
)
def test_what_may_be_secret_is_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert masked(shown) == shown


def test_secrets_are_known_as_written_and_as_meant() -> None:
    assert secrets("postgresql://a:h%75sh@db/x?password=other&x=no") == {"h%75sh", "hush", "other"}
