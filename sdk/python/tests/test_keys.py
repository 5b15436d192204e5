"""Agents and servers that prove themselves with a key: `private_key_jwt` at a real Deputy."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from world import PATIENCE_S, World

from deputy_mcp import Agent, Deputy, DeputyUnavailable, ExchangeRefused, Subject, Want
from deputy_mcp.deputy import Call
from deputy_mcp.keys import PrivateKey

pytestmark = pytest.mark.anyio
KINDS = {"ES256": lambda: generate_private_key(SECP256R1()), "EdDSA": Ed25519PrivateKey.generate}


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public(key, alg: str) -> dict[str, str]:
    common = {"kid": "k1", "alg": alg, "use": "sig"}
    if alg == "EdDSA":
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return common | {"kty": "OKP", "crv": "Ed25519", "x": text(raw)}
    point = key.public_key().public_numbers()
    x, y = (text(part.to_bytes(32)) for part in (point.x, point.y))
    return common | {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def registered(stage: World, name: str, key, alg: str, agent=None) -> str:
    document = {
        "client_id": name,
        "name": name,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public(key, alg)]},
    }
    stage.deputy.admin("POST", "/clients", document | ({"agent": agent} if agent else {}))
    return name


@pytest.mark.parametrize("alg", KINDS)
async def test_an_agent_and_a_server_prove_themselves_with_a_key(stage, alg):
    key, wrong = KINDS[alg](), KINDS[alg]()
    allow = [{"resource": "tickets", "scope": "tickets:read"}]
    uri = f"urn:agent:keyed-{alg.lower()}"
    name = registered(stage, f"cl_keyed-{alg.lower()}", key, alg, {"uri": uri, "allowance": allow})
    _, alice = stage.user()
    stage.deputy.admin(
        "PUT", f"/edges/cl_support-agent/{name}", {"ceiling": allow, "effects": ["read"]}
    )
    want = Want(stage.urls["tickets"], tools={"tickets.get": {}})
    async with stage.agent() as support:
        passed = await support.hand_over(uri, alice, {stage.urls["tickets"]: {"tickets.get": {}}})
    handed = Subject.hand_over(passed.token)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    mine, bad = PrivateKey.from_pem(pem, "k1"), PrivateKey(wrong, "k1")
    async with Agent(stage.deputy.issuer, name, bad, timeout_s=PATIENCE_S) as agent:
        with pytest.raises(ExchangeRefused, match="invalid_client"):
            await agent.token(handed, want)
    async with Agent(stage.deputy.issuer, name, mine, timeout_s=PATIENCE_S) as agent:
        token = await agent.token(handed, want)
    answer = await stage.guard("tickets").decide(token.value, Call.of("tickets.get", {"id": 4711}))
    assert answer.permits()
    assert answer.claims["act"]["sub"] == name

    owner = registered(stage, f"cl_owner-{alg.lower()}", key, alg)
    url = stage.urls["tickets"]
    stranger = Deputy(stage.deputy.issuer, owner, mine, resource=url, timeout_s=PATIENCE_S)
    for _ in range(2):
        # An assertion works once: each question has one of its own. The token is for another.
        assert not (await stranger.introspect(token.value)).live
    await stranger.aclose()
    unknown = Deputy(stage.deputy.issuer, owner, bad, resource=url, timeout_s=PATIENCE_S)
    with pytest.raises(DeputyUnavailable, match="registered key"):
        await unknown.introspect(token.value)
    await unknown.aclose()


def test_other_keys_are_refused_and_none_is_shown():
    with pytest.raises(ValueError, match="P-256"):
        PrivateKey(generate_private_key(SECP384R1()), "k1")
    pem = rsa(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError, match="P-256 and Ed25519"):
        PrivateKey.from_pem(pem, "k1")
    assert repr(PrivateKey(Ed25519PrivateKey.generate(), "k1")) == "PrivateKey(kid='k1')"
