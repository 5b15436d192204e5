"""The token verifiers of FastMCP and of the `mcp` SDK, unmodified, before a running Deputy: what
its introspection says passes them, and what it calls inactive does not. Prints each package's
version and how many checks it passed."""

import asyncio
import importlib.metadata
import json
import os
import subprocess

import httpx2
from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

DEPUTY = os.environ["DEPUTY"]
TICKETS = "https://tickets.example.test/mcp"
ELSEWHERE = "https://elsewhere.example.test/mcp"
METADATA = AnyHttpUrl("https://tickets.example.test/.well-known/oauth-protected-resource/mcp")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
HELPER = httpx2.BasicAuth("cl_helper", os.environ["HELPER_SECRET"])
SERVER = ("cl_server", os.environ["SERVER_SECRET"])


class Checks:
    """Counts what held; what does not ends the run."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._passed = 0

    def __call__(self, what: str, holds: bool) -> None:
        if not holds:
            raise SystemExit(f"{self._package}: {what}")
        self._passed += 1

    def report(self) -> None:
        version = importlib.metadata.version(self._package)
        print(f"{self._package} {version}: {self._passed} checks")


async def exchanged(http: httpx2.AsyncClient, scope: str) -> str:
    command = [os.environ["ISSUER_SCRIPT"], "token", "alice"]
    user = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    form = {"grant_type": EXCHANGE, "subject_token": user, "subject_token_type": ACCESS_TOKEN}
    form |= {"resource": TICKETS, "scope": scope}
    answer = await http.post(f"{DEPUTY}/token", data=form, auth=HELPER)
    return answer.json()["access_token"]


async def revoke(http: httpx2.AsyncClient, token: str) -> None:
    answer = await http.post(f"{DEPUTY}/revoke", data={"token": token}, auth=HELPER)
    answer.raise_for_status()


async def fastmcp(http: httpx2.AsyncClient) -> None:
    check = Checks("fastmcp")
    token = await exchanged(http, "tickets:read")

    def verifier(**rules: object) -> IntrospectionTokenVerifier:
        return IntrospectionTokenVerifier(
            introspection_url=f"{DEPUTY}/introspect",
            client_id=SERVER[0],
            client_secret=SERVER[1],
            **rules,
        )

    plain = await verifier().verify_token(token)
    check("a token is taken", plain is not None)
    check("the client is the agent", plain.client_id == "cl_helper" and plain.subject == "alice")
    check("scopes and expiry are read", plain.scopes == ["tickets:read"] and plain.expires_at > 0)
    check("the actor arrives", plain.claims["act"]["sub"] == "cl_helper")
    check("what proved it arrives", plain.claims["chain"][0]["provenance"] == "verified")
    right = verifier(audience=TICKETS, required_scopes=["tickets:read"], http_client=http)
    check("audience and scope fit", await right.verify_token(token) is not None)
    check("another audience", await verifier(audience=ELSEWHERE).verify_token(token) is None)
    wider = verifier(required_scopes=["tickets:write"])
    check("a missing scope", await wider.verify_token(token) is None)
    check("no token of ours", await right.verify_token("unknown") is None)
    other_way = verifier(client_auth_method="client_secret_post")
    check("a method that is not registered", await other_way.verify_token(token) is None)
    await revoke(http, token)
    check("a revoked token is refused at once", await right.verify_token(token) is None)
    check.report()


class Introspection:
    """What a server writes to have the `mcp` SDK ask Deputy: the SDK has only the protocol."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def verify_token(self, token: str) -> AccessToken | None:
        answer = await self._http.post(f"{DEPUTY}/introspect", data={"token": token}, auth=SERVER)
        seen = answer.raise_for_status().json()
        if not seen["active"]:
            return None
        return AccessToken(
            token=token,
            client_id=seen["client_id"],
            scopes=seen["scope"].split(),
            expires_at=seen["exp"],
            resource=seen["aud"],
            subject=seen["sub"],
            claims=seen,
        )


def protected(verifier: Introspection, resource: str) -> Starlette:
    """A server as the SDK builds it: authentication per request, then what is required."""

    async def show(request: Request) -> JSONResponse:
        return JSONResponse(request.user.access_token.model_dump())

    backend = BearerAuthBackend(verifier, resource_server_url=AnyHttpUrl(resource))
    route = Route("/mcp", RequireAuthMiddleware(show_app(show), ["tickets:read"], METADATA))
    return Starlette(
        routes=[route], middleware=[Middleware(AuthenticationMiddleware, backend=backend)]
    )


def show_app(show):
    async def app(scope, receive, send) -> None:
        response = await show(Request(scope, receive))
        await response(scope, receive, send)

    return app


async def mcp(http: httpx2.AsyncClient) -> None:
    check = Checks("mcp")
    verifier = Introspection(http)

    async def ask(token: str, resource: str = TICKETS) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=protected(verifier, resource))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=transport, base_url="https://server.test") as asks:
            return await asks.get("/mcp", headers=headers)

    token = await exchanged(http, "tickets:read")
    answer = await ask(token)
    check("a token is taken", answer.status_code == 200)
    seen = json.loads(answer.content)
    check("the principal is read", (seen["client_id"], seen["subject"]) == ("cl_helper", "alice"))
    check("the actor arrives", seen["claims"]["act"]["sub"] == "cl_helper")
    check("another resource refuses it", (await ask(token, ELSEWHERE)).status_code == 401)
    narrow = await ask(await exchanged(http, "tickets:write"))
    challenge = narrow.headers["www-authenticate"]
    check("a missing scope", narrow.status_code == 403 and "insufficient_scope" in challenge)
    unknown = await ask("unknown")
    challenge = unknown.headers["www-authenticate"]
    check("no token of ours", unknown.status_code == 401 and str(METADATA) in challenge)
    await revoke(http, token)
    check("a revoked token is refused at once", (await ask(token)).status_code == 401)
    check.report()


async def main() -> None:
    async with httpx2.AsyncClient() as http:
        await fastmcp(http)
        await mcp(http)


asyncio.run(main())
