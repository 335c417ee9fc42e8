"""Whom to trust: the system's authorities, `SSL_CERT_FILE`, `--ca-file`, and folders per host."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from retinue.client.errors import TlsProblem

CERTS_D = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))
"""Folders with a folder per `host[:port]`: `*.crt` are authorities, `*.cert` with `*.key` ours."""


def context(host: str, ca_files: Sequence[Path], folders: Sequence[Path]) -> ssl.SSLContext:
    """The context for `host[:port]`; raises TlsProblem for a file that cannot be used.

    OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR for the default authorities.
    """
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in ca_files:
        _authority(made, host, file)
    for folder in folders:
        _folder(made, host, folder / host)
    return made


def _folder(made: ssl.SSLContext, host: str, folder: Path) -> None:
    if not folder.is_dir():
        return
    for file in sorted(folder.glob("*.crt")):
        _authority(made, host, file)
    for file in sorted(folder.glob("*.cert")):
        key = file.with_suffix(".key")
        try:
            made.load_cert_chain(file, key)
        except OSError as problem:
            raise TlsProblem(host, f"{file} with {key}: {problem}") from problem


def _authority(made: ssl.SSLContext, host: str, file: Path) -> None:
    try:
        made.load_verify_locations(cafile=file)
    except OSError as problem:  # ssl.SSLError is one
        raise TlsProblem(host, f"authority {file}: {problem}") from problem
