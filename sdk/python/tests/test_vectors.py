"""The cases of `tests/vectors/sdk`, which every SDK passes."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from test_requests import call, message, post
from test_unreliable import Told, pretender
from world import ROOT, listener, serving

from deputy_mcp import Agent, Deputy, DeputyUnavailable, ExchangeRefused, Subject, Want
from deputy_mcp.dpop import ProofKey
from deputy_mcp.gate import DeputyGate
from deputy_mcp.httpx2 import TokenExchangeAuth

pytestmark = pytest.mark.anyio
VECTORS = ROOT / "tests" / "vectors" / "sdk"
RESOURCE = "https://tickets.example/mcp"


def load(file: str, **names: str) -> Any:
    text = (VECTORS / file).read_text()
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


def cases(file: str) -> Any:
    found = load(file, resource=RESOURCE)["cases"]
    return pytest.mark.parametrize("case", found, ids=[case["name"] for case in found])


def body(case: dict[str, Any]) -> bytes:
    return (case["text"] if "text" in case else json.dumps(case["answer"])).encode()


class Place:
    """A gate before a server that does nothing, and somebody at Deputy's place."""

    def __init__(self, issuer: str, resource: str) -> None:
        self.told = Told(503)
        self.resource = resource
        origin = resource.removesuffix("/mcp")
        self.metadata = f"{origin}/.well-known/oauth-protected-resource/mcp"
        self.vectors = load(
            "answers.json", issuer=issuer, resource=resource, metadata=self.metadata
        )
        self.gate = DeputyGate(
            app, Deputy(issuer, "cl_x", "secret", resource=resource, timeout_s=30)
        )

    def case(self, name: str) -> dict[str, Any]:
        case: dict[str, Any] = next(c for c in self.vectors["cases"] if c["name"] == name)
        live = self.vectors["live"] if case.get("live") else {}
        if "answer" in case:
            case = case | {"answer": live | case["answer"]}
        self.told = Told(case.get("status", 200), body(case))
        return case


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"passed"})


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made: list[Place] = []
    with contextlib.ExitStack() as stack:
        issuer, _ = stack.enter_context(pretender(lambda _: made[0].told))
        sock = stack.enter_context(listener())
        made.append(Place(issuer, f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"))
        stack.enter_context(serving(made[0].gate, sock))
        yield made[0]


@cases("answers.json")
async def test_what_a_server_is_answered_is_what_its_client_gets(place, case):
    case = place.case(case["name"])
    question = call("t", a=1) if case["asked"] == "call" else message("tools/list")
    answer = await post(place.resource, "token", question)
    gets, challenge = case["gets"], answer.headers.get("WWW-Authenticate")
    assert (answer.text == "passed") is (gets == "passes")
    if gets == "passes":
        return
    result = answer.json().get("result", {})
    text = result["content"][0]["text"] if result else None
    if gets != "closed":
        assert (answer.status_code, challenge) == (gets["status"], gets["challenge"])
        assert text == gets.get("text")
        assert result.get("_meta", {}).get("deputy/decision") == gets.get("meta")
    elif case["asked"] == "call":
        assert (answer.status_code, challenge, result["isError"]) == (200, None, True)
        assert text.startswith(place.vectors["closed_text"])
        assert "_meta" not in result
    else:
        assert (answer.status_code, challenge) == (503, None)
        assert "Retry-After" in answer.headers


@cases("exchange.json")
async def test_what_an_agent_is_answered_is_a_token_a_no_or_later(case):
    want, subject, gets = Want(RESOURCE, scope="s"), Subject.access_token("t"), case["gets"]
    with pretender(lambda _: Told(case["status"], body(case))) as (issuer, _):
        async with Agent(issuer, "a", "b", timeout_s=30) as agent:
            if gets == "unavailable":
                with pytest.raises(DeputyUnavailable):
                    await agent.token(subject, want)
            elif "token" in gets:
                token = await agent.token(subject, want)
                assert {"token": token.value, "scope": token.scope} == gets
            else:
                with pytest.raises(ExchangeRefused) as caught:
                    await agent.token(subject, want)
                members = ("error", "description", "error_id")
                assert {m: getattr(caught.value, m) for m in members} == gets["refused"]


def issued(expires_in: int, kind: str = "Bearer", nonce: str | None = None) -> Told:
    answer = {"access_token": "x", "token_type": kind, "scope": "s", "expires_in": expires_in}
    return Told(200, json.dumps(answer).encode(), {"DPoP-Nonce": nonce} if nonce else {})


@pytest.mark.parametrize("life", load("exchange.json")["lives"], ids=str)
async def test_a_token_is_used_until_shortly_before_it_expires(life):
    with pretender(lambda _: issued(life["expires_in"])) as (issuer, _):
        async with Agent(issuer, "a", "b", timeout_s=30) as agent:
            before = time.monotonic()
            token = await agent.token(Subject.access_token("t"), Want(RESOURCE, scope="s"))
            spent = time.monotonic() - before
    assert 0 <= token.usable_until - before - life["usable_for_s"] <= spent


@pytest.mark.parametrize("memory", load("exchange.json", resource=RESOURCE)["memory"], ids=str)
async def test_a_token_is_kept_for_what_it_was_asked_for(memory):
    with pretender(lambda _: issued(memory["expires_in"])) as (issuer, asked):
        async with Agent(issuer, "a", "b", timeout_s=30) as agent:
            for want in memory["wants"]:
                subject = Subject.access_token(want["subject"])
                members = {name: value for name, value in want.items() if name != "subject"}
                await agent.token(subject, Want(**members))
    assert len(asked) == memory["exchanges"]


@cases("step_up.json")
async def test_an_agent_steps_up_to_what_was_named_beforehand_once_and_no_further(case):
    challenge = {"WWW-Authenticate": case["challenge"]} if case["challenge"] else {}

    def reply(request: dict[str, str]) -> Told:
        if request["path"] == "/mcp":
            return Told(case["status"], headers=challenge)
        scopes.append(httpx2.QueryParams(request["form"])["scope"])
        return issued(120)

    scopes: list[str] = []
    with pretender(reply) as (issuer, asked):
        url = issuer.replace("/oauth2", "/mcp")
        async with Agent(issuer, "a", "b", timeout_s=30) as agent:
            auth = TokenExchangeAuth(
                agent,
                Subject.access_token("t"),
                url,
                scope=case["scope"],
                step_up=case["step_up"],
            )
            async with httpx2.AsyncClient(auth=auth, timeout=30) as client:
                answer = await client.post(url, content="{}")
    assert answer.status_code == case["status"]
    assert scopes == case["exchanges"]
    assert len(asked) == 2 * len(scopes)


class Nonces:
    """A token endpoint and a server, one of which answers as a case of `dpop.json` says."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._at = "/mcp" if case["at"] == "server" else "/oauth2/token"
        self._answers: list[dict[str, Any]] = case["answers"]
        self.exchanges: list[str] = []
        self.proofs: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, str]) -> Told:
        path, answer = request["path"].partition("?")[0], {"status": 200}
        if path == self._at:
            answer = self._answers[min(len(self.proofs), len(self._answers) - 1)]
            self.proofs.append(claims(request["proof"]))
        headers = {"DPoP-Nonce": answer["nonce"]} if "nonce" in answer else {}
        if "challenge" in answer:
            headers["WWW-Authenticate"] = answer["challenge"]
        if path == "/mcp" or answer["status"] != 200:
            text = json.dumps({"error": answer.get("error")})
            return Told(answer["status"], text.encode(), headers)
        self.exchanges.append(httpx2.QueryParams(request["form"])["scope"])
        return issued(120, "DPoP", answer.get("nonce"))


def claims(jwt: str) -> Any:
    part = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@cases("dpop.json")
async def test_an_agent_makes_its_proofs_with_the_nonces_that_it_is_given(case):
    somebody = Nonces(case)
    with pretender(somebody) as (issuer, _):
        url = issuer.replace("/oauth2", "/mcp")
        async with Agent(issuer, "a", "b", dpop=ProofKey.generate(), timeout_s=30) as agent:
            subject = Subject.access_token("t")
            auth = TokenExchangeAuth(agent, subject, url, scope="s", step_up="w")
            async with httpx2.AsyncClient(auth=auth, timeout=30) as client:
                for _ in range(case["calls"]):
                    if case["ends"] == "unavailable":
                        with pytest.raises(DeputyUnavailable, match="another nonce"):
                            await client.post(url, content="{}")
                    else:
                        answer = await client.post(f"{url}?a=1#b", content="{}")
                        assert answer.status_code == case["ends"]
    assert [proof.get("nonce") for proof in somebody.proofs] == case["nonces"]
    assert somebody.exchanges == case["exchanges"]
    # A proof is for one request, and names it without its query.
    assert len({proof["jti"] for proof in somebody.proofs}) == len(somebody.proofs)
    at = url if case["at"] == "server" else f"{issuer}/token"
    assert {(proof["htm"], proof["htu"]) for proof in somebody.proofs} == {("POST", at)}
    assert all(("ath" in proof) is (case["at"] == "server") for proof in somebody.proofs)
