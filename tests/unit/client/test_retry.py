import pytest

from retinue.client import retry
from retinue.client.http1 import Headers


def pause(method: str, status: int, *pairs: tuple[str, str]) -> float | None:
    return retry.pause(method, status, Headers(pairs), 0, lambda: 0.5)


@pytest.mark.parametrize(
    ("method", "status", "repeated"),
    [
        ("GET", 200, False),
        ("GET", 404, False),
        ("GET", 401, False),
        ("GET", 500, True),
        ("PUT", 500, False),
        ("PUT", 502, True),
        ("PUT", 504, True),
        ("PUT", 503, True),
        ("PUT", 429, True),
    ],
)
def test_answers_that_are_repeated(method: str, status: int, repeated: bool) -> None:
    assert (pause(method, status) is not None) is repeated


def test_a_registry_that_says_when_is_heeded() -> None:
    assert pause("GET", 429, ("retry-after", "7")) == 7.5


def test_a_date_counts_from_the_answers_own() -> None:
    date = ("date", "Sat, 21 Nov 2026 10:00:00 GMT")
    assert pause("GET", 503, ("retry-after", "Sat, 21 Nov 2026 10:00:09 GMT"), date) == 9.5


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", ""])
def test_an_unreadable_time_is_as_none(value: str) -> None:
    assert pause("GET", 429, ("retry-after", value)) == pause("GET", 429)


def test_too_long_a_wait_is_not_waited() -> None:
    assert pause("GET", 429, ("retry-after", "3600")) is None


def test_waits_grow_up_to_a_bound_and_are_spread() -> None:
    waits = [retry.backoff(attempt, 0.5) for attempt in range(10)]
    assert waits == sorted(waits)
    assert max(waits) == retry.LONGEST
    assert retry.backoff(0, 0.0) < retry.backoff(0, 0.99)
