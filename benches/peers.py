"""Deputy beside another maker's server: `oidc-provider` for node (`benches/peer`), in memory.

Both do the same work on the same core, in rounds by turns. The peer keeps nothing: Deputy's rounds
have its commits and its audit log in them.
"""

import contextlib
import hashlib
import json
import pathlib
import platform
import shutil
import statistics
import subprocess

import prepare
import wire
from harness import CACHE, ROOT, frame, on_server_core, process, replay, run

FOLDER = ROOT / "benches" / "peer"
# More exchanges a second than either does on one core: no subject token is replayed.
FRESH_PER_S = 16_000
# How many times the peer's rate Deputy has to reach.
EXCHANGES, INTROSPECTIONS = 2.0, 4.0


def installed() -> pathlib.Path:
    """Where the pinned packages are, node among them: once for each lock file, beside the checkout."""
    pinned = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = CACHE / f"peer-{pinned}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, place)
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        run("npm", "ci", *quiet, "--prefix", str(place))
        (place / "complete").touch()
    # Modules are looked for beside the program.
    shutil.copy(FOLDER / "server.mjs", place)
    return place


@contextlib.contextmanager
def running(target: prepare.Deputy):
    """The peer, which knows Deputy's agent, server and issuer; yields its process and its port."""
    place = installed()
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    node = place / "node_modules" / f"node-linux-{machine}" / "bin" / "node"
    command = [str(node), "server.mjs", json.dumps(target.for_a_peer())]
    options = {"cwd": place, "env": {"NODE_ENV": "production"}, "stdout": subprocess.PIPE}
    with process(on_server_core(command), stderr=subprocess.DEVNULL, text=True, **options) as child:
        line = child.stdout.readline()
        if not line:
            raise SystemExit("bench: the peer did not come up")
        yield child, int(line)


def questions(target: prepare.Deputy, port: int):
    """What is compared: its name, Deputy's requests and the peer's (by their count), and the mark."""
    [opaque] = wire.in_step(port, [target.exchange(names_resource=False)])
    theirs = target.introspection(opaque["access_token"])
    [token] = target.issue(1)
    ours = target.introspection(token)
    [actor] = wire.in_step(port, [target.agent_token_request(resource=prepare.RESOURCE)])

    def fresh(count: int, actor: str | None = None) -> list[bytes]:
        return [target.exchange(actor=actor) for _ in range(count)]

    mine = target.agent_token()
    return [
        ("exchange, new subject token", fresh, fresh, EXCHANGES),
        (
            "exchange, with an actor token",
            lambda count: fresh(count, mine),
            lambda count: fresh(count, actor["access_token"]),
            EXCHANGES,
        ),
        ("introspection", lambda _: [ours], lambda _: [theirs], INTROSPECTIONS),
    ]


def compare(target: prepare.Deputy, child, options, directory: pathlib.Path) -> bool:
    """Prints the table; false if a mark is missed."""
    print("\n| on one core | Deputy, durable: per s | `oidc-provider`, in memory: per s | times "
          "| mark |\n" + "|---" * 5 + "|")
    kept = True
    path = directory / "requests"
    with running(target) as (peer, port):
        for name, ours, theirs, least in questions(target, port):
            rates = {child.pid: [], peer.pid: []}
            for turn in range(options.rounds + 1):
                seconds = options.seconds if turn else 1
                for pid, at, make in (
                    (child.pid, target.port, ours), (peer.pid, port, theirs)
                ):
                    requests = make(FRESH_PER_S * seconds)
                    frame(path, requests)
                    count = len(requests) if len(requests) > 1 else 0
                    one = replay(pid, at, path, count, seconds)
                    if turn:
                        rates[pid].append(one.per_s)
            mine, its = (statistics.median(found) for found in rates.values())
            times = mine / its
            kept &= times >= least
            mark = f"{least:g} {'kept' if times >= least else 'missed'}"
            print(f"| {name} | {mine:,.0f} | {its:,.0f} | {times:.1f} | {mark} |", flush=True)
    return kept
