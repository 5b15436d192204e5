"""Deputy as the bench needs it: its configuration, its registrations, and the requests to replay.

Everything that knows Deputy's admin API, its names and its parameters is here; nothing here
measures.
"""

import json
import pathlib

import wire
from issuer import Client, Issuer

RESOURCE = "https://tickets.bench.example/mcp"
# The same, for tokens that are bound to a key.
BOUND_RESOURCE = "https://bound.bench.example/mcp"
TOOL = "tickets.get"
SCOPE = "tickets:read"
AUDIENCE = "https://deputy.bench.example"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# The longest life Deputy gives: a token made before the rounds must outlive them.
TOKEN_LIFE_S = 900
ALLOWANCE = [{"resource": name, "scope": SCOPE} for name in ("tickets", "bound")]
GARBAGE = "not-a-token-" + "x" * 52


def configuration(directory: pathlib.Path, port: int, database: str) -> tuple[list[str], dict]:
    """The arguments and the environment with which to start `deputy` in `directory`."""
    settings = f"""public_url = "http://127.0.0.1:{port}"
listen = "127.0.0.1:{port}"
database = "{database}"
keys_dir = "{directory}/keys"

[log]
level = "warn"
"""
    path = directory / "deputy.toml"
    path.write_text(settings)
    return ["serve", "--config", str(path)], {}


def admin_token(directory: pathlib.Path) -> str:
    """The bootstrap administrator's token, which the first start wrote to a private file."""
    return (directory / "keys" / "admin-token").read_text().strip()


class Api:
    """The few admin calls the bench makes. Any answer but a success ends the run."""

    def __init__(self, port: int, token: str):
        self._port = port
        self._token = token

    def create(self, collection: str, document: dict) -> dict:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        raw = wire.request(
            f"127.0.0.1:{self._port}",
            "POST",
            f"/admin/v1/{collection}",
            headers,
            json.dumps(document).encode(),
        )
        status, body = wire.once(self._port, raw)
        if status not in (200, 201):
            raise SystemExit(f"bench: creating {collection} answered {status}: {body.decode()}")
        return json.loads(body)

    def client(self, document: dict) -> tuple[str, str]:
        """Registers a client; its id and the secret that is shown once."""
        created = self.create("clients", document)
        return created["client_id"], created["client_secret"]

    def resource(self, owner: str, name: str, uri: str, more: dict) -> None:
        self.create(
            "resources",
            {
                "id": name,
                "resource": uri,
                "owner": owner,
                "name": name,
                "scopes_supported": [SCOPE],
                "token_ttl_s": TOKEN_LIFE_S,
            }
            | more,
        )
        schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
        self.create(
            f"resources/{name}/tools/import",
            {
                "tools_list": {"tools": [{"name": TOOL, "inputSchema": schema}]},
                "assign": {TOOL: {"scopes": [SCOPE], "effect": "read"}},
            },
        )

    def issuer(self, issuer: Issuer, agents: list[str]) -> None:
        self.create(
            "issuers",
            {
                "issuer": issuer.url,
                "alias": "bench",
                "primary": True,
                "keys": {"jwks": issuer.jwks()},
                "algorithms": ["ES256"],
                "access_tokens": {"audiences": [AUDIENCE]},
                "agents": {agent: ["bench-app"] for agent in agents},
                "grant_rules": [
                    {
                        "kind": "access_token",
                        "any_scope": True,
                        "gives": ALLOWANCE,
                    }
                ],
            },
        )


class Deputy:
    """A running Deputy that knows one issuer, one agent, one server with one tool."""

    def __init__(self, port: int, directory: pathlib.Path):
        self.port = port
        self._host = f"127.0.0.1:{port}"
        api = Api(port, admin_token(directory))
        self._issuer = Issuer("https://idp.bench.example")
        self._server = api.client({"client_id": "cl_tickets", "name": "Ticket server"})
        api.resource(self._server[0], "tickets", RESOURCE, {})
        api.resource(self._server[0], "bound", BOUND_RESOURCE, {"dpop": "itself"})
        agent = {"uri": "urn:agent:planner", "allowance": ALLOWANCE}
        self._agent = api.client({"client_id": "cl_planner", "name": "Planner", "agent": agent})
        self._keyed = Client("cl_keyed")
        keyed = {"client_id": "cl_keyed", "name": "Keyed", "jwks": self._keyed.jwks()}
        agent = {"uri": "urn:agent:keyed", "allowance": ALLOWANCE}
        method = {"token_endpoint_auth_method": "private_key_jwt"}
        api.create("clients", keyed | method | {"agent": agent})
        api.issuer(self._issuer, ["cl_planner", "cl_keyed"])

    def exchange(self, by_key: bool = False, nonce: str | None = None) -> bytes:
        """An exchange of a subject token nobody has seen, for one tool with any arguments: by a
        client that proves itself by its secret or its key, and with a nonce bound to that key."""
        subject = {"sub": "alice", "aud": AUDIENCE, "client_id": "bench-app", "scope": "tickets"}
        fields = {
            "grant_type": EXCHANGE,
            "subject_token": self._issuer.token(subject),
            "subject_token_type": ACCESS_TOKEN,
            "resource": RESOURCE if nonce is None else BOUND_RESOURCE,
            "scope": SCOPE,
        }
        headers = {} if by_key else wire.basic(self._agent)
        if by_key:
            assertion = self._keyed.assertion(f"http://{self._host}/oauth2")
            fields |= {"client_assertion_type": ASSERTION, "client_assertion": assertion}
        if nonce is not None:
            proof = self._keyed.proof(f"http://{self._host}/oauth2/token", nonce)
            headers |= {"DPoP": proof}
        return wire.form(self._host, "/oauth2/token", headers, fields)

    def nonce(self) -> str:
        """What the next proofs have to be made with: the answer to one that is made without."""
        connection = wire.Connection(self.port)
        connection.send(self.exchange(nonce=""))
        connection.receive()
        connection.close()
        return connection.head[b"dpop-nonce"].decode()

    def introspection(self, token: str, context: bool = False) -> bytes:
        fields = {"token": token}
        if context:
            fields |= {"resource": RESOURCE, "tool": TOOL, "arguments": '{"id":4711}'}
        return wire.form(self._host, "/oauth2/introspect", wire.basic(self._server), fields)

    def issue(self, count: int) -> list[str]:
        """`count` access tokens, each from a subject token of its own."""
        answers = wire.in_step(self.port, [self.exchange() for _ in range(count)])
        return [answer["access_token"] for answer in answers]

    def introspect(self, tokens: list[str]) -> None:
        """Asks about every token; one that is not active ends the run."""
        answers = wire.in_step(self.port, [self.introspection(token) for token in tokens])
        if not all(answer["active"] for answer in answers):
            raise SystemExit("bench: an issued token is not active")
