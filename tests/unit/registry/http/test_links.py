"""Where headers lead: to us behind the configured URL, or elsewhere as they were."""

import pytest

from retinue.registry.http.links import located

BASE = "https://r.example/x"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("location", "/v2/a", f"{BASE}/v2/a"),
        ("location", "https://bucket.example/a?b=/v2/", "https://bucket.example/a?b=/v2/"),
        ("link", '</v2/a?n=1>; rel="next"', f'<{BASE}/v2/a?n=1>; rel="next"'),
        ("link", '<https://o.example/>; rel="next"', '<https://o.example/>; rel="next"'),
        ("etag", "/v2/a", "/v2/a"),
    ],
)
def test_only_paths_of_ours_get_the_configured_url(name: str, value: str, told: str) -> None:
    assert located([(name, value)], BASE) == [(name, told)]
    assert located([(name, value)], "") == [(name, value)]
