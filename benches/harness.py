"""How the bench loads a server and counts what that costs: processes, rounds, cores.

The server has core 0; wrk, PostgreSQL and the bench itself share core 1. Everything listens on
loopback, every load is bounded, and only processes started here are ended.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 32
START_TIMEOUT_S = 30
# Where what is installed for the bench is kept, beside the checkout.
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "deputy"


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def needs(program: str, package: str) -> None:
    """Installs a program from Debian if it is missing."""
    if not shutil.which(program):
        run("apt-get", "install", "--yes", package)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def process(command: list[str], **options):
    """A child that is ended when the block is left."""
    child = subprocess.Popen(command, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def on_server_core(command: list[str]) -> list[str]:
    return ["taskset", "-c", str(SERVER_CORE), *command]


def cpu_ns(pid: int) -> int:
    """Nanoseconds on a core so far, of all threads of a process, ended ones included.

    The scheduler's own sum, as in `/proc/PID/task/*/schedstat`, which forgets a thread that ends.
    The clock's number is what `clock_getcpuclockid(3)` makes of a process id.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def resident_mib(pid: int) -> float:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("bench: the process shows no VmRSS")


@dataclasses.dataclass
class Round:
    """One load on one server."""

    per_s: float
    cpu_us: float
    p50_us: int
    p99_us: int


def frame(path: pathlib.Path, requests: list[bytes]) -> None:
    """Writes whole requests as `benches/replay.lua` reads them."""
    with path.open("wb") as file:
        file.writelines(b"%d\n%b" % (len(raw), raw) for raw in requests)


def replay(
    pid: int,
    port: int,
    requests: pathlib.Path,
    count: int,
    seconds: int,
    connections: int = CONNECTIONS,
    pause_ms: int = 0,
) -> Round:
    """Loads the server for `seconds`; `count` is how many requests the file holds, 0 = reused. Each
    connection waits for `pause_ms` before its next request."""
    before = cpu_ns(pid)
    output = run(
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(ROOT / "benches/replay.lua"),
        f"http://127.0.0.1:{port}", str(requests), str(pause_ms),
    )
    spent = cpu_ns(pid) - before
    line = next(line for line in output.splitlines() if line.startswith("REPLAYED"))
    sent, duration_us, refused, broken, p50, p99 = map(int, line.split()[1:])
    if refused or broken:
        raise SystemExit(f"bench: {refused} answers were not 2xx, {broken} sockets failed")
    if count and sent > count:
        raise SystemExit(f"bench: {sent} requests, {count} distinct: raise FRESH_PER_S")
    return Round(sent / duration_us * 1e6, spent / 1e3 / sent, p50, p99)


def summary(rounds: list[Round]) -> Round:
    """Best wall rate with its percentiles, median CPU."""
    best = max(rounds, key=lambda one: one.per_s)
    return dataclasses.replace(best, cpu_us=statistics.median(one.cpu_us for one in rounds))
