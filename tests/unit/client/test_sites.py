"""Which token servers may see credentials: what real registries name passes, and strangers do not."""

import pytest

from retinue.client.sites import is_of_site


@pytest.mark.parametrize(
    ("registry", "server"),
    [
        ("registry-1.docker.io", "auth.docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("quay.io", "quay.io"),
        ("gcr.io", "gcr.io"),
        ("us.gcr.io", "gcr.io"),
        ("europe-docker.pkg.dev", "europe-docker.pkg.dev"),
        ("public.ecr.aws", "public.ecr.aws"),
        ("acme.azurecr.io", "acme.azurecr.io"),
        ("registry.gitlab.com", "gitlab.com"),
        ("registry.git.acme.co.uk", "git.acme.co.uk"),
        ("registry.acme.co.uk", "gitlab.acme.co.uk"),
        ("registry.cn-hangzhou.aliyuncs.com", "dockerauth.cn-hangzhou.aliyuncs.com"),
        ("registry.digitalocean.com", "api.digitalocean.com"),
        ("rg.fr-par.scw.cloud", "api.scaleway.com"),
        ("nvcr.io", "authn.nvidia.com"),
        ("acme.jfrog.io", "auth.acme.jfrog.io"),
        ("localhost", "localhost"),
        ("127.0.0.1", "localhost"),
        ("10.0.0.5", "10.0.0.5"),
    ],
)
def test_of_the_site(registry: str, server: str) -> None:
    assert is_of_site(registry, server)


@pytest.mark.parametrize(
    ("registry", "server"),
    [
        ("registry-1.docker.io", "docker.io.evil.example"),
        ("reg.acme.com", "evil.com"),
        ("reg.acme.com", "notacme.com"),
        ("reg.acme.co.uk", "evil.co.uk"),
        ("reg.acme.co.uk", "co.uk"),
        ("acme.azurecr.io", "evil.azurecr.io"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "evil.s3.eu-west-1.amazonaws.com"),
        ("europe-docker.pkg.dev", "evil.pkg.dev"),
        ("reg.acme.com", "com"),
        ("registry", "auth.registry"),
        ("10.0.0.5", "10.0.0.6"),
        ("reg.acme.com", "localhost"),
        ("rg.fr-par.scw.cloud", "evil.functions.fnc.fr-par.scw.cloud"),
        ("1.0.0.5", "2.0.0.5"),
        ("2001:db8::1", "2001:db8::2"),
        ("xscw.cloud", "api.scaleway.com"),
    ],
)
def test_of_another_site(registry: str, server: str) -> None:
    assert not is_of_site(registry, server)


def test_what_the_user_names_may() -> None:
    assert is_of_site("reg.acme.com", "login.other.net", {"login.other.net"})
    assert not is_of_site("reg.acme.com", "x.login.other.net", {"login.other.net"})
