"""Tokens that are bound to a key: the gate sends the proof along, and Deputy checks it."""

import base64
import hashlib
import secrets
import time
from typing import Any

import httpx2
import pytest
from issuer import Key, encoded
from servers import TICKET
from test_requests import call, message, post
from world import World

pytestmark = pytest.mark.anyio
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Holder:
    """Somebody who holds a key and makes proofs with it (RFC 9449 section 4.2)."""

    def __init__(self) -> None:
        self._key = Key()
        self._head = encoded({"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.jwk()})

    def proof(self, uri: str, **more: str) -> str:
        said = {
            "jti": secrets.token_urlsafe(12),
            "htm": "POST",
            "htu": uri,
            "iat": int(time.time()),
        }
        return self._key.compact(self._head, said | more)

    def use(self, uri: str, token: str) -> str:
        digest = hashlib.sha256(token.encode()).digest()
        return self.proof(uri, ath=base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


async def bound(stage: World, holder: Holder) -> str:
    """A token for tickets, bound to the holder's key."""
    _, alice = stage.user()
    form = {
        "grant_type": EXCHANGE,
        "subject_token": alice.token,
        "subject_token_type": ACCESS_TOKEN,
        "resource": stage.urls["tickets"],
        "scope": "tickets:read",
    }
    endpoint = f"{stage.deputy.issuer}/token"
    nonce = ""
    async with httpx2.AsyncClient(auth=stage.support, timeout=60) as client:
        for _ in range(2):
            proof = holder.proof(endpoint, nonce=nonce)
            answer = await client.post(endpoint, data=form, headers={"DPoP": proof})
            nonce = answer.headers["DPoP-Nonce"]
    assert answer.json()["token_type"] == "DPoP"
    return str(answer.json()["access_token"])


async def ask(stage: World, token: str, body: Any, proof: str | None) -> httpx2.Response:
    headers = {"Authorization": f"DPoP {token}"} | ({"DPoP": proof} if proof else {})
    return await post(stage.urls["tickets"], None, body, **headers)


def refused(answer: httpx2.Response) -> bool:
    challenge = answer.headers.get("WWW-Authenticate", "")
    return answer.status_code == 401 and challenge.startswith("DPoP error=")


async def test_a_proof_is_checked_for_the_call_it_came_with(stage, ran):
    url, holder = stage.urls["tickets"], Holder()
    token = await bound(stage, holder)
    proof = holder.use(url, token)
    answer = await ask(stage, token, call("tickets.get", id=4711), proof)
    assert TICKET in answer.text
    assert ran == [("tickets.get", 4711)]
    for bad in [
        proof,
        Holder().use(url, token),
        holder.use(url, "another token"),
        holder.use(stage.urls["refunds"], token),
        holder.proof(url),
        "x",
    ]:
        assert refused(await ask(stage, token, call("tickets.get", id=4711), bad))
    assert ran == [("tickets.get", 4711)]


async def test_a_bound_token_is_no_bearer_token(stage, ran):
    url, holder = stage.urls["tickets"], Holder()
    token = await bound(stage, holder)
    for body in [call("tickets.get", id=4711), message("tools/list")]:
        assert refused(await post(url, token, body))
        assert (await ask(stage, token, body, None)).status_code == 401
    listed = await ask(stage, token, message("tools/list"), holder.use(url, token))
    assert "tickets.get" in listed.text
    assert ran == []


async def test_a_bearer_token_brings_no_proof(stage, ran):
    holder = Holder()
    async with stage.agent() as agent:
        from deputy_mcp import Want

        _, alice = stage.user()
        want = Want(stage.urls["tickets"], scope="tickets:read")
        token = (await agent.token(alice, want)).value
    proof = holder.use(stage.urls["tickets"], token)
    for body in [call("tickets.get", id=4711), message("tools/list")]:
        assert refused(await ask(stage, token, body, proof))
    assert ran == []
