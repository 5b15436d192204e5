"""Deputy as the bench needs it: its configuration, its registrations, and the requests to replay.

Everything that knows Deputy's admin API, its names and its parameters is here; nothing here
measures.
"""

import itertools
import json
import pathlib

import wire
from issuer import Client, Issuer

RESOURCE = "https://tickets.bench.example/mcp"
# The same, for tokens that are bound to a key.
BOUND_RESOURCE = "https://bound.bench.example/mcp"
TOOL = "tickets.get"
# Calls of this one are on record before they are answered.
WRITE_TOOL = "tickets.close"
# Two tools with ten arguments each: policies concern the second.
FREE_TOOL, POLICED_TOOL = "tickets.search", "tickets.find"
# Servers beside it, with as many tools each: a thousand tools in all.
OTHERS, OTHER_TOOLS = 4, 250
ARGUMENTS = {f"field_{n}": n for n in range(10)}
# What `max_calls` may be at most: more calls than all rounds make.
MAX_CALLS = 1_000_000
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

    def create(self, collection: str, document: dict, method: str = "POST") -> dict:
        return json.loads(self._answer(method, collection, json.dumps(document).encode()))

    def read(self, path: str) -> dict:
        return json.loads(self._answer("GET", path))

    def remove(self, path: str) -> None:
        self._answer("DELETE", path)

    def _answer(self, method: str, path: str, sent: bytes = b"") -> bytes:
        headers = {"Authorization": f"Bearer {self._token}"}
        if sent:
            headers["Content-Type"] = "application/json"
        raw = wire.request(f"127.0.0.1:{self._port}", method, f"/admin/v1/{path}", headers, sent)
        status, body = wire.once(self._port, raw)
        if status not in (200, 201, 204):
            raise SystemExit(f"bench: {method} {path} answered {status}: {body.decode()}")
        return body

    def client(self, document: dict) -> tuple[str, str]:
        """Registers a client; its id and the secret that is shown once."""
        created = self.create("clients", document)
        return created["client_id"], created["client_secret"]

    def resource(self, owner: str, name: str, uri: str, tools: dict, more: dict) -> None:
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
        self.create(
            f"resources/{name}/tools/import",
            {
                "tools_list": {
                    "tools": [{"name": tool, "inputSchema": of} for tool, of in tools.items()]
                },
                "assign": {
                    tool: {"scopes": [SCOPE], "effect": "write" if tool == WRITE_TOOL else "read"}
                    for tool in tools
                },
            },
        )

    def policies(self, policies: list[str]) -> None:
        """Replaces the active policies."""
        texts = [
            {"name": f"bench-{start}.cedar", "text": "\n".join(policies[start : start + 100])}
            for start in range(0, len(policies), 100)
        ]
        self.create("policies", {"delegation": texts}, "PUT")

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


def integers(names) -> dict:
    """The input schema of a tool with these arguments."""
    return {"type": "object", "properties": {name: {"type": "integer"} for name in names}}


class Deputy:
    """A running Deputy that knows one issuer, one agent, one server with one tool."""

    def __init__(self, port: int, directory: pathlib.Path, others: int = OTHERS):
        self.port = port
        self._host = f"127.0.0.1:{port}"
        self._api = api = Api(port, admin_token(directory))
        self._issuer = Issuer("https://idp.bench.example")
        self._server = api.client({"client_id": "cl_tickets", "name": "Ticket server"})
        ten = integers(ARGUMENTS)
        one = integers(["id"])
        tools = {TOOL: one, WRITE_TOOL: one, FREE_TOOL: ten, POLICED_TOOL: ten}
        api.resource(self._server[0], "tickets", RESOURCE, tools, {})
        api.resource(self._server[0], "bound", BOUND_RESOURCE, tools, {"dpop": "itself"})
        for number in range(others):
            self.add_tools(f"other-{number}", OTHER_TOOLS)
        agent = {"uri": "urn:agent:planner", "allowance": ALLOWANCE}
        self._agent = api.client({"client_id": "cl_planner", "name": "Planner", "agent": agent})
        self._keyed = Client("cl_keyed")
        keyed = {"client_id": "cl_keyed", "name": "Keyed", "jwks": self._keyed.jwks()}
        agent = {"uri": "urn:agent:keyed", "allowance": ALLOWANCE}
        method = {"token_endpoint_auth_method": "private_key_jwt"}
        api.create("clients", keyed | method | {"agent": agent})
        api.issuer(self._issuer, ["cl_planner", "cl_keyed"])

    def add_tools(self, name: str, count: int) -> None:
        """A server with so many tools."""
        tools = {f"tool.{n}": integers(["field_0"]) for n in range(count)}
        self._api.resource(self._server[0], name, f"https://{name}.bench.example/mcp", tools, {})

    def add_client(self, number: int) -> None:
        """A client that proves itself by a key, as nobody waits for its secret to be hashed."""
        keyed = {"client_id": f"cl_more-{number}", "name": "More", "jwks": self._keyed.jwks()}
        self._api.create("clients", keyed | {"token_endpoint_auth_method": "private_key_jwt"})

    def add_policies(self, count: int = 100) -> None:
        """So many policies that forbid nothing here; five of them concern `POLICED_TOOL`."""
        policy = """@id("p-{number}")
            forbid (principal, action == Action::"{tool}", resource)
            when {{ context.arguments has field_{field} && context.arguments.field_{field} > 500
                && context.depth > 2 && !principal.groups.contains("finance") }};"""
        policed = f"tickets/{POLICED_TOOL}"
        rest = [f"other-0/tool.{n}" for n in range(OTHER_TOOLS)]
        tools = [policed] * 5 + list(itertools.islice(itertools.cycle(rest), count - 5))
        texts = [
            policy.format(number=n, tool=tool, field=n if tool == policed else 0)
            for n, tool in enumerate(tools)
        ]
        self._api.policies(texts)

    def validate_policies(self) -> None:
        """Validates a hundred policies, each of which concerns every tool."""
        policy = """@id("g-{number}") forbid (principal, action in Action::"call", resource)
            when {{ context.depth > {number} && context.effect == "egress" }};"""
        text = "\n".join(policy.format(number=number) for number in range(100))
        self._api.create("policies/validate", {"delegation": [{"name": "g.cedar", "text": text}]})

    def ten_arguments(self, tool: str, constrained: bool) -> bytes:
        """A question about ten arguments, by a token that limits each of them or none."""
        limit = {name: {"constraint_type": "exact", "value": n} for name, n in ARGUMENTS.items()}
        return self.call(tool, ARGUMENTS, limit if constrained else {}, {})

    def call(self, tool: str, arguments: dict, limit: dict, more: dict) -> bytes:
        """A question about a call, by a token for that tool under these constraints."""
        token = self.token_for(tool, limit, more)
        fields = {"token": token, "resource": RESOURCE, "tool": tool}
        fields["arguments"] = json.dumps(arguments)
        return wire.form(self._host, "/oauth2/introspect", wire.basic(self._server), fields)

    def token_for(self, tool: str, limit: dict, more: dict) -> str:
        entry = {"type": "mcp_tool_call", "locations": [RESOURCE], "tools": {tool: limit}}
        [answer] = wire.in_step(self.port, [self.exchange(details=[entry | more])])
        return answer["access_token"]

    def write_call(self) -> bytes:
        """A question about a call that is on record before the answer."""
        return self.call(WRITE_TOOL, {"id": 4711}, {}, {})

    def counted_call(self) -> bytes:
        """A question about a call that is counted."""
        return self.call(TOOL, {"id": 4711}, {}, {"max_calls": MAX_CALLS})

    def evaluations(self, count: int | None) -> bytes:
        """The same decision many times in one AuthZEN request, or once by itself."""
        token = self.token_for(TOOL, {}, {})
        question = {
            "subject": {"type": "user", "id": "alice", "properties": {"token": token}},
            "action": {"name": TOOL},
            "resource": {"type": "mcp_server", "id": RESOURCE},
            "context": {"arguments": {"id": 4711}},
        }
        path = "/access/v1/evaluation" + ("s" if count else "")
        body = question | {"evaluations": [{} for _ in range(count)]} if count else question
        headers = wire.basic(self._server) | {"Content-Type": "application/json"}
        return wire.request(self._host, "POST", path, headers, json.dumps(body).encode())

    def agent_token(self) -> str:
        """The agent's token for itself, good as `actor_token`."""
        [answer] = wire.in_step(self.port, [self.agent_token_request()])
        return answer["access_token"]

    def agent_token_request(self, **more: str) -> bytes:
        fields = {"grant_type": "client_credentials"} | more
        return wire.form(self._host, "/oauth2/token", wire.basic(self._agent), fields)

    def for_a_peer(self) -> dict:
        """What another maker's server must know to be asked the same."""
        subjects = {"issuer": self._issuer.url, "audience": AUDIENCE, "jwks": self._issuer.jwks()}
        issuer = f"http://{self._host}/oauth2"
        clients = [self._agent, self._server]
        return {"issuer": issuer, "clients": clients, "subjects": subjects, "scope": SCOPE}

    def audit(self) -> dict:
        """What a proof of the whole audit log finds."""
        return self._api.read("audit/verify")

    def exchange(
        self,
        by_key: bool = False,
        nonce: str | None = None,
        details: list | None = None,
        actor: str | None = None,
        names_resource: bool = True,
    ) -> bytes:
        """An exchange of a subject token nobody has seen, for one tool with any arguments: by a
        client that proves itself by its secret or its key, and with a nonce bound to that key.
        For no resource a peer gives an opaque token, and Deputy none."""
        subject = {"sub": "alice", "aud": AUDIENCE, "client_id": "bench-app", "scope": "tickets"}
        fields = {
            "grant_type": EXCHANGE,
            "subject_token": self._issuer.token(subject),
            "subject_token_type": ACCESS_TOKEN,
            "scope": SCOPE,
        }
        if names_resource:
            fields["resource"] = RESOURCE if nonce is None else BOUND_RESOURCE
        if details is not None:
            fields["authorization_details"] = json.dumps(details)
        if actor is not None:
            fields |= {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
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

    def guess(self, token: str, is_old: bool) -> bytes:
        """An introspection by a client under a secret that is wrong: one that it had once, or the
        server's own with another end, where its tag is."""
        if is_old:
            name, secret = self._api.client({"client_id": "cl_guessed", "name": "Guessed"})
            [first] = self._api.read(f"clients/{name}/secrets")["items"]
            self._api.create(f"clients/{name}/secrets", {})
            self._api.remove(f"clients/{name}/secrets/{first['credential_id']}")
        else:
            name, secret = self._server
            secret = secret[:-1] + ("A" if secret[-1] != "A" else "B")
        headers = wire.basic((name, secret))
        return wire.form(self._host, "/oauth2/introspect", headers, {"token": token})

    def issue(self, count: int) -> list[str]:
        """`count` access tokens, each from a subject token of its own."""
        answers = wire.in_step(self.port, [self.exchange() for _ in range(count)])
        return [answer["access_token"] for answer in answers]

    def introspect(self, tokens: list[str]) -> None:
        """Asks about every token; one that is not active ends the run."""
        answers = wire.in_step(self.port, [self.introspection(token) for token in tokens])
        if not all(answer["active"] for answer in answers):
            raise SystemExit("bench: an issued token is not active")
