"""Tokens that are bound to a key: agents send proofs, the gate passes them on, Deputy checks."""

import json
from typing import Any

import httpx
import httpx2
import pytest
from conftest import text
from servers import TICKET
from test_requests import call, head, message, post, token_for
from test_unreliable import Told, pretender
from test_vectors import issued
from world import BILLING_URI, World

from deputy_mcp import Agent, ExchangeRefused, Subject, Want, WrongServer
from deputy_mcp.dpop import ProofKey
from deputy_mcp.httpx import TokenExchangeAuth as HttpxAuth
from deputy_mcp.httpx2 import TokenExchangeAuth
from deputy_mcp.signing import Signer

pytestmark = pytest.mark.anyio


async def bound(stage: World, key: ProofKey) -> str:
    """A token for tickets, bound to the key."""
    _, alice = stage.user()
    async with stage.agent(dpop=key) as agent:
        token = await agent.token(alice, Want(stage.urls["tickets"], scope="tickets:read"))
    assert token.kind == "DPoP"
    return token.value


async def ask(stage: World, token: str, body: Any, proof: str | None) -> httpx2.Response:
    headers = {"Authorization": f"DPoP {token}"} | ({"DPoP": proof} if proof else {})
    return await post(stage.urls["tickets"], None, body, **headers)


def refused(answer: httpx2.Response) -> bool:
    challenge = answer.headers.get("WWW-Authenticate", "")
    return answer.status_code == 401 and challenge.startswith("DPoP error=")


async def test_an_agent_with_a_key_sends_proofs_to_deputy_and_to_servers(stage, connect, ran):
    _, alice = stage.user()
    url = stage.urls["tickets"]
    async with stage.agent(dpop=ProofKey.generate()) as agent:
        auth = TokenExchangeAuth(agent, alice, url, scope="tickets:read", step_up="tickets:notes")
        async with connect(auth, url) as client:
            assert await text(client, "tickets.get", id=1) == TICKET
            assert await text(client, "tickets.notes", id=2) == "handle with care"
            assert "denied" in await text(client, "tickets.close", id=3)
    assert ran == [("tickets.get", 1), ("tickets.notes", 2)]


async def test_the_same_for_httpx_and_a_kept_key(stage, ran):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    _, alice = stage.user()
    url = stage.urls["tickets"]
    key = ProofKey(Signer(Ed25519PrivateKey.generate()))
    async with stage.agent(dpop=key) as agent:
        auth = HttpxAuth(agent, alice, url, tools={"tickets.get": {}})
        asked = call("tickets.get", id=1)
        async with httpx.AsyncClient(auth=auth, timeout=60, headers=head(asked)) as client:
            answer = await client.post(url, json=asked)
    assert TICKET in answer.text
    assert ran == [("tickets.get", 1)]


async def test_a_line_that_is_bound_stays_bound(stage, connect, ran):
    sub, alice = stage.user()
    url = stage.urls["refunds"]
    tools = {"refunds.list": {}}
    async with stage.agent(dpop=ProofKey.generate()) as support:
        passed = Subject.hand_over(
            (await support.hand_over(BILLING_URI, alice, {url: tools})).token
        )
    async with stage.agent("billing") as billing:
        with pytest.raises(ExchangeRefused, match="DPoP proof"):
            await billing.token(passed, Want(url, tools=tools))
    async with stage.agent("billing", dpop=ProofKey.generate()) as billing:
        auth = TokenExchangeAuth(billing, passed, url, tools=tools)
        async with connect(auth, url) as client:
            said = await text(client, "refunds.list", order_id="A-17")
    assert said == f"{sub} > cl_support-agent > cl_billing-agent"


async def test_a_proof_is_checked_for_the_call_it_came_with(stage, ran):
    url, key = stage.urls["tickets"], ProofKey.generate()
    token = await bound(stage, key)
    proof = key.proof("POST", url, token)
    answer = await ask(stage, token, call("tickets.get", id=4711), proof)
    assert TICKET in answer.text
    assert ran == [("tickets.get", 4711)]
    for bad in [
        proof,
        ProofKey.generate().proof("POST", url, token),
        key.proof("POST", url, "another token"),
        key.proof("POST", stage.urls["refunds"], token),
        key.proof("GET", url, token),
        key.proof("POST", url),
        "x",
    ]:
        assert refused(await ask(stage, token, call("tickets.get", id=4711), bad))
    assert ran == [("tickets.get", 4711)]


async def test_a_bound_token_is_no_bearer_token(stage, ran):
    url, key = stage.urls["tickets"], ProofKey.generate()
    token = await bound(stage, key)
    for body in [call("tickets.get", id=4711), message("tools/list")]:
        assert refused(await post(url, token, body))
        assert (await ask(stage, token, body, None)).status_code == 401
    listed = await ask(stage, token, message("tools/list"), key.proof("POST", url, token))
    assert "tickets.get" in listed.text
    assert ran == []


async def test_a_bearer_token_brings_no_proof(stage, ran):
    key, (_, alice) = ProofKey.generate(), stage.user()
    token = await token_for(stage, alice, scope="tickets:read")
    for body in [call("tickets.get", id=4711), message("tools/list")]:
        proof = key.proof("POST", stage.urls["tickets"], token)
        assert refused(await ask(stage, token, body, proof))
    assert ran == []


async def test_a_key_is_not_printed_and_nonces_are_few(stage):
    key = ProofKey.generate()
    assert repr(key) == "ProofKey(…)"
    for number in range(100):
        key.observe(f"https://{number}.example/mcp", "n" * number)
    assert len(vars(key)["_nonces"]) == 64
    for bad in ["", "a, b", "a b", "n" * 257, None]:
        assert not key.observe("https://99.example/mcp", bad)
    assert set(vars(key)["_header"]["jwk"]) == {"kty", "crv", "x", "y"}


@pytest.mark.parametrize("there", ["other", "same"])
async def test_what_is_said_where_a_redirect_leads_is_not_the_servers(there):
    def reply(request: dict[str, str]) -> Told:
        if request["path"].endswith("/token"):
            return issued(120, "DPoP")
        if request["path"] == "/mcp":
            return Told(307, headers={"Location": f"{where}/elsewhere"})
        challenge = 'DPoP error="use_dpop_nonce"'
        return Told(401, headers={"WWW-Authenticate": challenge, "DPoP-Nonce": "evil"})

    key = ProofKey.generate()
    with pretender(reply) as (issuer, asked), pretender(reply) as (other, elsewhere):
        where = (other if there == "other" else issuer).removesuffix("/oauth2")
        url = issuer.replace("/oauth2", "/mcp")
        async with Agent(issuer, "a", "b", dpop=key, timeout_s=30) as agent:
            auth = TokenExchangeAuth(agent, Subject.access_token("t"), url, scope="s")
            async with httpx2.AsyncClient(auth=auth, follow_redirects=True) as client:
                assert (await client.post(url, content="{}")).status_code == 401
                # One exchange, the request, and where it led.
                assert len(asked) + len(elsewhere) == 3
                assert not vars(key)["_nonces"]
            async with httpx2.AsyncClient(auth=auth) as client:
                onward = (await client.post(url, content="{}")).next_request
                with pytest.raises(WrongServer):
                    await client.send(onward)


async def test_a_token_that_died_is_replaced_also_behind_a_redirect_within_the_server():
    def reply(request: dict[str, str]) -> Told:
        if request["path"].endswith("/token"):
            return issued(120)
        if request["path"] == "/mcp":
            return Told(307, headers={"Location": f"{url}/"})
        return Told(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    with pretender(reply) as (issuer, asked):
        url = issuer.replace("/oauth2", "/mcp")
        async with Agent(issuer, "a", "b", timeout_s=30) as agent:
            auth = TokenExchangeAuth(agent, Subject.access_token("t"), url, scope="s")
            async with httpx2.AsyncClient(auth=auth, follow_redirects=True) as client:
                assert (await client.post(url, content="{}")).status_code == 401
    # Two exchanges, and after each the request and where it led.
    assert len(asked) == 6


async def test_a_request_that_is_sent_again_is_proved_again(stage, ran):
    _, alice = stage.user()
    url, asked = stage.urls["tickets"], call("tickets.get", id=1)

    async def body():
        yield json.dumps(asked).encode()

    async with stage.agent(dpop=ProofKey.generate()) as agent:
        auth = TokenExchangeAuth(agent, alice, url, tools={"tickets.get": {}})
        async with httpx2.AsyncClient(auth=auth, timeout=60) as client:
            request = client.build_request("POST", url, content=body(), headers=head(asked))
            for _ in range(2):
                assert TICKET in (await client.send(request)).text
    assert ran == [("tickets.get", 1)] * 2
