import pytest

from retinue.client.errors import Unsupported
from retinue.client.proxies import Proxy, proxy_for
from retinue.oci.hosts import is_loopback

PROXY = Proxy("proxy.example", 3128, None)
URL = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"https_proxy": URL}, PROXY),
        ({"HTTPS_PROXY": URL}, PROXY),
        ({"ALL_PROXY": URL}, PROXY),
        ({"http_proxy": URL}, None),
        ({"https_proxy": "proxy.example:3128"}, PROXY),
        ({"https_proxy": "http://proxy.example"}, Proxy("proxy.example", 80, None)),
        (
            {"https_proxy": "http://me:p%40ss@proxy.example:3128"},
            Proxy("proxy.example", 3128, "Basic bWU6cEBzcw=="),
        ),
        ({"https_proxy": URL, "no_proxy": "*"}, None),
        ({"https_proxy": URL, "NO_PROXY": "a, registry.example"}, None),
        ({"https_proxy": URL, "no_proxy": "example"}, None),
        ({"https_proxy": URL, "no_proxy": ".example"}, None),
        ({"https_proxy": URL, "no_proxy": "ample"}, PROXY),
        ({"https_proxy": URL, "no_proxy": "registry.example:443"}, None),
        ({"https_proxy": URL, "no_proxy": "registry.example:5000"}, PROXY),
    ],
)
def test_proxies_by_environment(environ: dict[str, str], expected: Proxy | None) -> None:
    assert expected == proxy_for("https", "registry.example", 443, environ)


def test_networks_are_excluded() -> None:
    environ = {"https_proxy": URL, "no_proxy": "10.0.0.0/8,fd00::/8"}
    assert proxy_for("https", "10.1.2.3", 443, environ) is None
    assert proxy_for("https", "fd00::1", 443, environ) is None
    assert proxy_for("https", "11.1.2.3", 443, environ) == PROXY


def test_a_header_of_a_cgi_request_names_no_proxy() -> None:
    environ = {"HTTP_PROXY": URL, "REQUEST_METHOD": "GET"}
    assert proxy_for("http", "registry.example", 80, environ) is None


def test_loopback_is_never_proxied() -> None:
    assert proxy_for("http", "localhost", 5000, {"http_proxy": URL}) is None


def test_other_kinds_of_proxies_are_named() -> None:
    with pytest.raises(Unsupported, match="socks5"):
        proxy_for("https", "registry.example", 443, {"https_proxy": "socks5://x:1"})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("1.2.3.4.5", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
