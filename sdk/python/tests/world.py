"""Everybody on stage: a real Deputy on SQLite, an issuer, two agents and two MCP servers.

Nothing is simulated: Deputy is the binary, the servers are FastMCP and the `mcp` SDK under uvicorn.
"""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from deputy_mcp import Agent, Deputy, Subject
from deputy_mcp.dpop import ProofKey

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "benches"))
from issuer import Issuer  # noqa: E402

DEPUTY = os.environ.get("DEPUTY_BIN", str(ROOT / "target" / "debug" / "deputy"))
AUDIENCE = "deputy"
SUPPORT_URI, BILLING_URI = "urn:agent:support", "urn:agent:billing"
SCHEMAS = {
    "tickets.get": {"id": {"type": "integer"}},
    "tickets.close": {"id": {"type": "integer"}},
    "tickets.notes": {"id": {"type": "integer"}},
    "refunds.list": {"order_id": {"type": "string"}},
    "refunds.export": {"days": {"type": "integer"}},
}
# An unoptimised Deputy on a busy machine takes its time to verify a secret.
PATIENCE_S = 60.0
NEEDS = {"tickets.close": "tickets:write", "tickets.notes": "tickets:notes"}
_serial = itertools.count()


def listener() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


class Process:
    """A running Deputy, and its administrator."""

    def __init__(self, folder: Path) -> None:
        with listener() as sock:
            self.address = f"127.0.0.1:{sock.getsockname()[1]}"
        self.base = f"http://{self.address}"
        self.issuer = f"{self.base}/oauth2"
        self._folder = folder
        self.child = self._start()
        self._token = (folder / "keys" / "admin-token").read_text().strip()

    def _start(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [DEPUTY, "serve", "--listen", self.address, "--log-level", "warn"],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert any(line.startswith("admin token") for line in child.stdout), "Deputy did not start"
        return child

    def stop(self) -> None:
        self.child.kill()
        self.child.wait()

    def admin(self, method: str, path: str, document: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.base}/admin/v1{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{method} {path}: {e.code} {e.read().decode()}") from e

    def client(self, name: str, agent: Any = None) -> tuple[str, str]:
        document = {"client_id": f"cl_{name}", "name": name}
        if agent is not None:
            document["agent"] = agent
        created = self.admin("POST", "/clients", document)
        return created["client_id"], created["client_secret"]


class World:
    def __init__(self, folder: Path) -> None:
        self.deputy = Process(folder)
        self.idp = Issuer("https://idp.example.test")
        self.sockets = {name: listener() for name in ("tickets", "refunds")}
        self.urls = {
            name: f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
            for name, sock in self.sockets.items()
        }
        self.owners = {name: self._server(name) for name in self.urls}
        allow = [
            {"resource": "tickets", "scope": "tickets:read tickets:write tickets:notes"},
            {"resource": "refunds", "scope": "refunds:read"},
        ]
        self.support = self.deputy.client(
            "support-agent", {"uri": SUPPORT_URI, "allowance": allow, "own_allowance": allow[:1]}
        )
        self.billing = self.deputy.client(
            "billing-agent", {"uri": BILLING_URI, "allowance": allow[1:]}
        )
        self._trust(allow)

    def _server(self, name: str) -> tuple[str, str]:
        owner = self.deputy.client(f"{name}-server")
        scopes = [f"{name}:read", f"{name}:write", f"{name}:notes"]
        self.deputy.admin(
            "POST",
            "/resources",
            {
                "id": name,
                "resource": self.urls[name],
                "owner": owner[0],
                "name": name,
                "scopes_supported": scopes,
                "dpop": "deputy",
            },
        )
        tools = [tool for tool in SCHEMAS if tool.startswith(name)]
        effects = {"tickets.close": "write", "refunds.export": "egress"}
        schema = lambda tool: {"type": "object", "properties": SCHEMAS[tool]}  # noqa: E731
        assign = {
            tool: {
                "scopes": [NEEDS.get(tool, f"{name}:read")],
                "effect": effects.get(tool, "read"),
            }
            for tool in tools
        }
        self.deputy.admin(
            "POST",
            f"/resources/{name}/tools/import",
            {
                "tools_list": {
                    "tools": [{"name": tool, "inputSchema": schema(tool)} for tool in tools]
                },
                "assign": assign,
            },
        )
        return owner

    def _trust(self, gives: Any) -> None:
        self.deputy.admin(
            "POST",
            "/issuers",
            {
                "issuer": self.idp.url,
                "alias": "corp",
                "primary": True,
                "keys": {"jwks": self.idp.jwks()},
                "algorithms": ["ES256"],
                "access_tokens": {"audiences": [AUDIENCE]},
                "agents": {self.support[0]: ["support-desk"]},
                "grant_rules": [
                    {
                        "kind": "access_token",
                        "claims": {"groups": ["support"]},
                        "any_scope": True,
                        "gives": gives,
                    }
                ],
            },
        )
        self.deputy.admin(
            "PUT",
            "/edges/cl_support-agent/cl_billing-agent",
            {
                "ceiling": [{"resource": "refunds", "scope": "refunds:read"}],
                "effects": ["read"],
            },
        )

    def user(self, name: str = "alice") -> tuple[str, Subject]:
        """A person nobody has acted for yet, and her access token."""
        sub = f"{name}-{next(_serial)}"
        claims = {"sub": sub, "aud": AUDIENCE, "client_id": "support-desk", "groups": ["support"]}
        return sub, Subject.access_token(self.idp.token(claims))

    def agent(self, who: str = "support", dpop: ProofKey | None = None) -> Agent:
        return Agent(self.deputy.issuer, *getattr(self, who), dpop=dpop, timeout_s=PATIENCE_S)

    def guard(self, name: str) -> Deputy:
        return Deputy(
            self.deputy.issuer, *self.owners[name], resource=self.urls[name], timeout_s=PATIENCE_S
        )

    def revoke_user(self, sub: str) -> None:
        self.deputy.admin("POST", "/revocations", {"subject": {"iss": self.idp.url, "sub": sub}})


@contextlib.contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="deputy-python-") as folder:
        stage = World(Path(folder))
        try:
            yield stage
        finally:
            stage.deputy.stop()
            for sock in stage.sockets.values():
                sock.close()


@contextlib.contextmanager
def serving(app: Any, sock: socket.socket) -> Iterator[None]:
    """Serves an ASGI application on a socket, in a thread of its own, until the block ends."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        app, log_level="warning", lifespan="on", ws="none", timeout_graceful_shutdown=1
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        assert started.wait(30), "the server did not start"
        yield
    finally:
        server.should_exit = True
        thread.join()
