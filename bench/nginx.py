"""nginx serving the same bytes as static files: the limit of the machine, not a registry."""

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers import WORKERS, free_port

SIZES = {
    "manifest tag": 1500,
    "blob 2kB": 2048,
    "blob 1MB": 1 << 20,
    "blob 10MB": 10 << 20,
    "blob 100MB": 100 << 20,
    "referrers 10": 3500,
    "referrers 1000": 340_000,
    "tags": 22_000,
    "tags page": 1200,
    "small manifest": 500,
    "small referrers": 800,
    "small tags": 50,
}
SIZES["manifest digest"] = SIZES["manifest tag"]

CONFIG = """
worker_processes {workers};
daemon off;
pid {folder}/pid;
error_log {folder}/error;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000000;
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def measure(
    rows: list[Any],
    folder: Path,
    wrk: Callable[[str, float, int], tuple[float, int]],
    seconds: float,
    results: Any,
) -> None:
    """Add the column "nginx static" for the read rows."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        return
    www = folder / "www"
    www.mkdir(parents=True)
    folder = folder.absolute()
    for parent in (folder, www):
        parent.chmod(0o755)
    for name, size in SIZES.items():
        (www / name.replace(" ", "-")).write_bytes(os.urandom(size))
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(workers=WORKERS, folder=folder, port=port))
    text = config.read_text()
    config.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    process = subprocess.Popen([program, "-c", str(config), "-e", f"{folder}/error"])
    try:
        _wait(f"http://127.0.0.1:{port}/blob-2kB")
        for row in rows:
            if row.load[0] in SIZES and row.method == "GET":
                url = f"http://127.0.0.1:{port}/{row.load[0].replace(' ', '-')}"
                rate, _ = wrk(url, seconds, row.bytes_per_request)
                value = rate * row.bytes_per_request / 1e9 if row.bytes_per_request else rate
                results["nginx static"][row.name].append(value)
    finally:
        process.terminate()
        process.wait()
    shutil.rmtree(folder)


def _wait(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nginx did not start")
