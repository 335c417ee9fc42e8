"""References as users write them: one place in many spellings."""

from collections.abc import Mapping

from hypothesis import strategies as st

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "docker.io/library/nginx": (
        "nginx",
        "docker.io/nginx",
        "library/nginx",
        "Docker.io/library/nginx",
        "docker.io:443/nginx",
        "index.docker.io/nginx",
        "INDEX.docker.io:443/library/nginx",
        "registry-1.docker.io./library/nginx",
        "registry.hub.docker.com/nginx",
    ),
    "reg.acme/prod/app": (
        "reg.acme/prod/app",
        "REG.acme/prod/app",
        "reg.acme:443/prod/app",
        "reg.acme:0443/prod/app",
        "reg.acme./prod/app",
        "Reg.Acme.:443/prod/app",
        "\uff52eg.acme/prod/app",
        "reg\u3002acme/prod/app",
    ),
    "localhost:5000/prod/app": (
        "localhost:5000/prod/app",
        "LOCALHOST:5000/prod/app",
        "localhost.:5000/prod/app",
        "localhost:05000/prod/app",
    ),
    "localhost/app": ("localhost/app", "localhost:80/app", "Localhost/app"),
    "host:443/app": ("Host/app", "host:443/app", "host./app", "HOST.:443/app"),
    "[::1]:5000/app": (
        "[::1]:5000/app",
        "[0:0:0:0:0:0:0:1]:5000/app",
        "[0::0001]:5000/app",
    ),
    "[2001:db8::a]/app": ("[2001:DB8:0::A]/app", "[2001:db8::a]:443/app"),
    "127.0.0.1:5000/app": (
        "127.0.0.1:5000/app",
        "127.1:5000/app",
        "2130706433:5000/app",
        "0x7f.0.0.1:5000/app",
        "0177.0.0.1:5000/app",
        "[::ffff:127.0.0.1]:5000/app",
        "[::ffff:7f00:1]:5000/app",
    ),
    "xn--bcher-kva.example/app": ("b\u00fccher.example/app", "XN--bcher-KVA.example/app"),
}
REFERENCES = st.sampled_from([text for texts in SPELLINGS.values() for text in texts])
