"""Measure registries side by side: the same load, the same client, in turn, several rounds.

`scripts/bench` calls this. Each round starts every registry afresh on loopback, fills it, measures
each row, and stops it. Reads are driven by wrk, pushes by the compiled program in bench/load.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench import nginx, report
from bench.peers import PEERS, Peer, Running, cpu_seconds, running

_TOTALS = """done = function(summary)
  io.write(string.format("total %d %d %d\\n", summary.requests, summary.bytes, summary.duration))
end
"""
_TOTAL = re.compile(r"total (\d+) (\d+) (\d+)")
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*"
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result. `load`: a read (path of the seed) or a push (load's arguments)."""

    name: str
    load: tuple[str, ...]
    bytes_per_request: int = 0
    method: str = "GET"
    papers: bool = False


READS = (
    Row("manifest GET by tag", ("manifest tag",)),
    Row("manifest GET by digest", ("manifest digest",)),
    Row("manifest HEAD", ("manifest tag",), method="HEAD"),
    Row("blob HEAD", ("blob 2kB",), method="HEAD"),
    Row("blob GET 2 KB", ("blob 2kB",)),
    Row("blob GET 1 MB, GB/s", ("blob 1MB",), 1 << 20),
    Row("blob GET 10 MB, GB/s", ("blob 10MB",), 10 << 20),
    Row("blob GET 100 MB, GB/s", ("blob 100MB",), 100 << 20),
    Row("referrers of 10", ("referrers 10",), papers=True),
    Row("referrers of 1,000", ("referrers 1000",), papers=True),
    Row("tag list, 2,000 tags", ("tags",)),
    Row("tag list, page of 100", ("tags page",)),
    Row("four manifests: GET by tag", ("small manifest",)),
    Row("four manifests: referrers", ("small referrers",), papers=True),
    Row("four manifests: tag list", ("small tags",)),
)
_LARGE = ("-size", str(100 << 20), "-c", "2")
PUSHES = (
    Row("blob push 4 KB", ("blobs", "-size", "4096", "-c", "16")),
    Row("blob push 1 MB", ("blobs", "-size", str(1 << 20), "-c", "16")),
    Row("blob push 10 MB", ("blobs", "-size", str(10 << 20), "-c", "4")),
    Row("blob push 100 MB", ("blobs", *_LARGE)),
    Row("100 MB in PATCHes of 5 MB", ("blobs", *_LARGE, "-chunk", str(5 << 20))),
    Row("100 MB in one PATCH, no length", ("blobs", *_LARGE, "-stream")),
    Row("manifest PUT, 4 connections", ("manifests", "-c", "4")),
    Row("image + layer + paper, whole push", ("images", "-c", "4")),
)
ROWS = READS + PUSHES

Results = dict[str, dict[str, list[float]]]


def main() -> int:
    args = _arguments()
    work = Path(args.work or tempfile.mkdtemp(prefix="retinue-bench-"))
    load = build_load(work)
    peers = [p for p in PEERS if not args.peers or p.name in args.peers]
    rows = [r for r in ROWS if not args.rows or any(x in r.name for x in args.rows)]
    results: Results = defaultdict(lambda: defaultdict(list))
    for number in range(args.rounds):
        for peer in peers:
            measure_peer(
                peer, rows, work / f"{peer.name}-{number}".replace(" ", "-"), load, args, results
            )
        if args.limit:
            nginx.measure(rows, work / f"nginx-{number}", wrk, args.seconds, results)
    text = report.render(
        results, [r.name for r in rows], [p for p in peers if p.name in results], args
    )
    print(text)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure registries side by side.")
    parser.add_argument("--peers", nargs="*", help="names; default all installed")
    parser.add_argument("--rows", nargs="*", help="rows, or parts of their names; default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="seconds per row")
    parser.add_argument("--images", type=int, default=0, help="fill with this many images first")
    parser.add_argument("--papers-each", type=int, default=2, help="papers of each such image")
    parser.add_argument("--repositories", type=int, default=1, help="repositories to fill")
    parser.add_argument("--no-limit", dest="limit", action="store_false", help="leave nginx out")
    parser.add_argument("--work", help="folder for data, on the disk to be measured")
    parser.add_argument("--json", help="also write every figure to this file")
    return parser.parse_args()


def build_load(work: Path) -> Path:
    """Compile the load program outside of the tree."""
    work.mkdir(parents=True, exist_ok=True)
    target = work.absolute() / "load"
    subprocess.run(
        ["go", "build", "-o", str(target), "."], cwd=Path(__file__).parent / "load", check=True
    )
    return target


def measure_peer(
    peer: Peer,
    rows: list[Row],
    folder: Path,
    load: Path,
    args: argparse.Namespace,
    results: Results,
) -> None:
    """One peer, one round, all rows."""
    with running(peer, folder) as server:
        if server is None:
            print(f"{peer.name}: not installed, left out", file=sys.stderr)
            return
        results[peer.name]["idle memory, MB"].append(server.memory() / 1e6)
        if args.images:
            _load(
                load,
                server.url,
                "fill",
                "-images",
                str(args.images),
                "-papers",
                str(args.papers_each),
                "-repositories",
                str(args.repositories),
            )
        paths = _load(load, server.url, "seed") if any(r in READS for r in rows) else {}
        for row in rows:
            if row.papers and not peer.referrers:
                continue
            value, cpu = _measure(row, server, load, paths, args.seconds)
            results[peer.name][row.name].append(value)
            results[peer.name][f"{row.name}, CPU"].append(cpu)
            print(f"{peer.name}: {row.name}: {value:,.2f}", file=sys.stderr)
        results[peer.name]["peak memory, MB"].append(server.memory() / 1e6)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def _measure(
    row: Row, server: Running, load: Path, paths: dict[str, str], seconds: float
) -> tuple[float, float]:
    """The figure of a row, and CPU milliseconds of the server per request."""
    before = cpu_seconds(server.pids())
    if row in READS and row.method == "GET":
        url = server.url + paths[row.load[0]]
        rate, count = wrk(url, seconds, row.bytes_per_request)
    else:
        path = paths.get(row.load[0], "")
        words = ("head", "-path", path) if row.method == "HEAD" else row.load
        done = _load(load, server.url, *words, "-seconds", str(seconds))
        rate, count = float(done["per_second"]), int(done["count"])
    cpu = (cpu_seconds(server.pids()) - before) * 1000 / max(1, count)
    return (rate * row.bytes_per_request / 1e9 if row.bytes_per_request else rate), cpu


def wrk(url: str, seconds: float, size: int = 0) -> tuple[float, int]:
    """Requests per second over 16 connections, and their number; fails on any error answer.

    Of answers of `size` bytes, what has come of one counts, too: of large ones only a few end
    within the time, all at once.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.headers["Accept"] = "{ACCEPT}"\n{_TOTALS}')
        script.flush()
        command = [
            "wrk",
            "-t1",
            "-c16",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "30s",
            "-s",
            script.name,
            url,
        ]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if bad := _BAD.search(text):
        raise SystemExit(f"GET {url}: {bad[0]}")
    totals = _TOTAL.search(text)
    if totals is None:
        raise SystemExit(f"wrk said nothing that could be read:\n{text}")
    requests, received, microseconds = map(int, totals.groups())
    count = received / size if size else requests
    return count * 1e6 / microseconds, round(count)


def _load(load: Path, url: str, *arguments: str) -> dict[str, str]:
    command = [str(load), arguments[0], "-url", url, *arguments[1:]]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def median(values: list[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    sys.exit(main())
