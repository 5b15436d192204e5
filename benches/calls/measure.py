"""What Deputy adds to one tool call: the same server with it and without, the same call by turns.

Run by `scripts/latency`, which says where the programs are. Everything listens on loopback, one call
is under way at a time, and the number of calls is fixed.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sdk/python/tests"), str(ROOT / "sdk/python/src")]

from world import World, listener, world  # noqa: E402

from deputy_mcp import Subject, Want, exact  # noqa: E402

ERA = "2026-07-28"
WARM_UP, CALLS = 300, 3000
START_TIMEOUT_S = 60
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "tickets.get",
        "arguments": {"id": 4711},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": ERA,
            "io.modelcontextprotocol/clientInfo": {"name": "latency", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": ERA,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "tickets.get",
}


class Caller:
    """One kept connection to a server."""

    def __init__(self, port: int, token: str | None) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
        self._http.connect()
        self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        self._body = json.dumps(CALL)

    def call(self) -> int:
        """Makes the call, which must be answered; how long it took, in nanoseconds."""
        begun = time.perf_counter_ns()
        self._http.request("POST", "/mcp", self._body, self._headers)
        answer = self._http.getresponse()
        text = answer.read().decode()
        took = time.perf_counter_ns() - begun
        if answer.status != 200 or "denied" in text or '"isError":true' in text:
            raise SystemExit(f"latency: {answer.status} {text}")
        return took


@contextlib.contextmanager
def running(command: list[str], port: int, **more: str) -> Iterator[None]:
    """A server, from its first open port until the block ends."""
    quiet = {"FASTMCP_LOG_LEVEL": "ERROR", "PYTHONPATH": str(ROOT / "sdk/python/src")}
    child = subprocess.Popen(
        command, env=os.environ | quiet | more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"latency: {command} did not start")
            time.sleep(0.05)
        yield
    finally:
        child.kill()
        child.wait()


async def token_of(stage: World, alice: Subject) -> str:
    """A token for this one ticket: the call is decided with its argument."""
    async with stage.agent() as agent:
        want = Want(stage.urls["tickets"], tools={"tickets.get": {"id": exact(4711)}})
        return (await agent.token(alice, want)).value


def measure(stage: World, token: str, guarded: list[str], plain: list[str]) -> list[list[int]]:
    """The times of the calls without Deputy, and of those with it."""
    url = stage.urls["tickets"]
    ours = int(url.split(":")[2].split("/")[0])
    with listener() as sock:
        theirs = sock.getsockname()[1]
    who = stage.owners["tickets"]
    settings = {
        "DEPUTY_ISSUER": stage.deputy.issuer,
        "DEPUTY_CLIENT_ID": who[0],
        "DEPUTY_CLIENT_SECRET": who[1],
        "RESOURCE": url,
    }
    with running(guarded, ours, **settings), running([*plain, str(theirs)], theirs):
        callers = [Caller(theirs, None), Caller(ours, token)]
        for _ in range(WARM_UP):
            for caller in callers:
                caller.call()
        times = [[caller.call() for caller in callers] for _ in range(CALLS)]
    return [list(column) for column in zip(*times, strict=True)]


def row(name: str, plain: list[int], guarded: list[int]) -> str:
    """Median and 99th percentile of both, in milliseconds, and what the medians differ by."""
    ms = [
        [statistics.median(t) / 1e6, statistics.quantiles(t, n=100)[98] / 1e6]
        for t in (plain, guarded)
    ]
    cells = [f"{median:.2f} ({tail:.2f})" for median, tail in ms]
    return f"| {name} | {cells[0]} | {cells[1]} | {ms[1][0] - ms[0][0]:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for program in ("node", "typescript", "rust"):
        parser.add_argument(f"--{program}", required=True)
    at = parser.parse_args()
    here = Path(__file__).parent
    servers = {
        "FastMCP": (
            [sys.executable, str(ROOT / "examples/fastmcp-server/server.py")],
            [sys.executable, str(here / "plain.py")],
        ),
        "TypeScript SDK": (
            [at.node, f"{at.typescript}/dist/example/server.js"],
            [at.node, f"{at.typescript}/plain.mjs"],
        ),
        "`rmcp`": ([f"{at.rust}/rmcp-server"], [f"{at.rust}/plain-server"]),
    }
    print(
        "| server | without: median (p99), ms | with Deputy | added by Deputy |\n|---|---|---|---|"
    )
    with world() as stage:
        stage.sockets["tickets"].close()
        for name, (guarded, plain) in servers.items():
            _, alice = stage.user()
            token = asyncio.run(token_of(stage, alice))
            print(row(name, *measure(stage, token, guarded, plain)), flush=True)


main()
