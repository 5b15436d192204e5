"""What runs on the server's core: Deputy and the floors; and PostgreSQL, beside the load."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

import prepare
import wire
from harness import START_TIMEOUT_S, free_port, on_server_core, process, run


def build(profile: str) -> tuple[str, str]:
    """The paths of `deputy` and of the floor, built with one profile."""
    output = run(
        "cargo", "build", "--locked", "--profile", profile, "--bin", "deputy",
        "--bench", "floor", "--message-format=json",
    )
    messages = [json.loads(line) for line in output.splitlines()]
    built = {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}
    return built["deputy"], built["floor"]


@contextlib.contextmanager
def postgres(directory: pathlib.Path):
    """A cluster of its own on loopback, fsync on; yields the URL of an empty database."""
    debian = sorted(map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")))
    initdb = debian[-1] if debian else shutil.which("initdb")
    if not initdb:
        raise SystemExit("bench: install PostgreSQL, or leave out --postgres")
    data, port = directory / "cluster", free_port()
    as_postgres = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_postgres = ["runuser", "-u", "postgres", "--"]
        directory.chmod(0o755)
    data.mkdir()
    if as_postgres:
        shutil.chown(data, "postgres")
    run(*as_postgres, initdb, "--auth=trust", "--username=postgres", "-D", str(data))
    program = str(pathlib.Path(initdb).with_name("postgres"))
    command = [program, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(data)]
    with (directory / "postgres.log").open("wb") as log:
        with process(as_postgres + command, cwd=data, stdout=log, stderr=log):
            wait_for(port)
            time.sleep(1)  # it accepts before recovery has finished
            url = f"postgres://postgres@127.0.0.1:{port}"
            for name in ("deputy", "floor"):
                run("psql", f"{url}/postgres", "--quiet", "-c", f"CREATE DATABASE {name}")
            yield url


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.01)
    raise SystemExit(f"bench: nothing listens on port {port}")


@contextlib.contextmanager
def deputy(program: str, directory: pathlib.Path, port: int, database: str):
    """A Deputy that lives; yields its process and the seconds from exec to the first 200."""
    directory.mkdir(exist_ok=True)
    arguments, extra = prepare.configuration(directory, port, database)
    with (directory / "deputy.log").open("ab") as log:
        started = time.monotonic()
        command = on_server_core([program, *arguments])
        options = {"cwd": directory, "env": os.environ | extra, "stdout": log, "stderr": log}
        with process(command, **options) as child:
            alive = wire.request(f"127.0.0.1:{port}", "GET", "/health/live", {})
            while True:
                with contextlib.suppress(OSError):
                    if wire.once(port, alive)[0] == 200:
                        break
                if child.poll() is not None or time.monotonic() > started + START_TIMEOUT_S:
                    log_text = (directory / "deputy.log").read_text()
                    raise SystemExit(f"bench: deputy did not come up:\n{log_text[-2000:]}")
                time.sleep(0.0005)
            yield child, time.monotonic() - started


@contextlib.contextmanager
def floor(program: str, work: str, body_bytes: int, durable: str | None):
    """A floor; yields its process and its port."""
    command = [program, "--print-port", "--body-bytes", str(body_bytes), "--work", work]
    if durable:
        command += ["--durable", durable]
    with process(on_server_core(command), stdout=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline()
        if not line:
            raise SystemExit(f"bench: the floor {work} did not come up")
        yield child, int(line)
