"""What goes over the wire between a client, a server and Deputy: once per call, and never open."""

import json
from typing import Any

import httpx2
import pytest
from world import BILLING_URI, World

from deputy_mcp import Subject, Want, exact

pytestmark = pytest.mark.anyio
MODERN = "2026-07-28"


def message(method: str, **params: Any) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return message("tools/call", name=tool, arguments=arguments)


def head(body: Any) -> dict[str, str]:
    """What a request of the 2026-07-28 era has in its head."""
    sent = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": MODERN,
    }
    if isinstance(body, dict):
        sent["Mcp-Method"] = str(body.get("method"))
        if body.get("method") == "tools/call":
            sent["Mcp-Name"] = body["params"]["name"]
    return sent


async def post(url: str, token: str | None, body: Any, **headers: str) -> httpx2.Response:
    """One self-contained request of the 2026-07-28 era."""
    sent = head(body)
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx2.AsyncClient(timeout=30) as client:
        return await client.post(url, content=content, headers=sent)


async def token_for(stage: World, subject: Subject, **want: Any) -> str:
    async with stage.agent() as agent:
        return (await agent.token(subject, Want(stage.urls["tickets"], **want))).value


@pytest.fixture
async def token(stage: World) -> str:
    _, alice = stage.user()
    return await token_for(stage, alice, scope="tickets:read")


async def test_without_a_token_there_is_a_challenge_and_metadata(stage):
    for name, url in stage.urls.items():
        answer = await post(url, None, call(f"{name}.get", id=1))
        assert answer.status_code == 401
        challenge = answer.headers["WWW-Authenticate"]
        assert "error=" not in challenge
        metadata = challenge.split('resource_metadata="')[1].split('"')[0]
        async with httpx2.AsyncClient() as client:
            document = (await client.get(metadata)).json()
        assert document["resource"] == url
        assert document["authorization_servers"] == [stage.deputy.issuer]


async def test_a_token_for_another_server_is_a_401(stage, token, ran):
    answer = await post(stage.urls["refunds"], token, call("refunds.list", order_id="A-17"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert ran == []


async def test_a_hand_over_is_good_at_no_server(stage, ran):
    _, alice = stage.user()
    url = stage.urls["refunds"]
    async with stage.agent() as agent:
        passed = await agent.hand_over(BILLING_URI, alice, {url: {"refunds.list": {}}})
    answer = await post(url, passed.token, call("refunds.list", order_id="A-17"))
    assert answer.status_code == 401
    assert ran == []


async def test_a_contextual_denial_is_a_result_and_never_a_401(stage, ran):
    _, alice = stage.user()
    token = await token_for(stage, alice, tools={"tickets.get": {"id": exact(1)}})
    answer = await post(stage.urls["tickets"], token, call("tickets.get", id=2))
    assert answer.status_code == 200
    result = answer.json()["result"]
    assert result["isError"] is True
    assert result["_meta"]["deputy/decision"]["reason"] == "argument_not_permitted"
    assert ran == []


@pytest.mark.parametrize(
    ("name", "value"), [("Mcp-Name", "tickets.close"), ("Mcp-Method", "tools/list")]
)
async def test_headers_that_disagree_with_the_body_run_nothing(stage, token, ran, name, value):
    answer = await post(
        stage.urls["tickets"], token, call("tickets.get", id=1), **{name.replace("-", "_"): value}
    )
    assert answer.status_code == 400
    assert ran == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tickets.get"}}]',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"id":1,"id":2}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"id":NaN}}',
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"tickets.get"}}',
        b'{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"tickets.get"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[1]}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
async def test_a_message_that_cannot_be_read_is_not_passed_on(stage, token, ran, body):
    answer = await post(stage.urls["tickets"], token, body)
    assert answer.status_code == 400
    assert ran == []


async def test_a_message_beyond_the_bound_is_refused(stage, token, ran):
    body = call("tickets.get", id=1, more="x" * (4 * 1024 * 1024))
    assert (await post(stage.urls["tickets"], token, body)).status_code == 400
    assert ran == []


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  x", "Basic eDp5", "Bearer a b", "x"])
async def test_anything_but_one_bearer_token_is_no_token(stage, ran, header):
    answer = await post(stage.urls["tickets"], None, call("tickets.get"), Authorization=header)
    assert answer.status_code == 401
    assert ran == []


async def test_methods_that_nobody_decides_about_are_closed(stage, token):
    answer = await post(stage.urls["tickets"], token, message("resources/read", uri="x://y"))
    assert answer.json()["error"]["code"] == -32601
    assert "open_methods" in answer.json()["error"]["message"]


async def test_a_text_is_not_taken_for_the_number_that_the_schema_wants(stage, token, ran):
    answer = await post(stage.urls["tickets"], token, call("tickets.get", id="4711"))
    text = answer.json()["result"]["content"][0]["text"] if answer.status_code == 200 else ""
    assert "schema" in answer.text or "schema" in text
    assert ran == []


async def test_a_session_of_one_agent_is_not_continued_by_another(stage, ran):
    _, alice = stage.user()
    _, bob = stage.user("bob")
    hers = await token_for(stage, alice, scope="tickets:read")
    his = await token_for(stage, bob, scope="tickets:read")
    url = stage.urls["tickets"]
    client_info = {"name": "test", "version": "1"}
    hello = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": client_info,
        },
    }
    base = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
    }
    run = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "tickets.get", "arguments": {"id": 1}},
    }
    async with httpx2.AsyncClient(timeout=30, headers=base) as client:
        opened = await client.post(url, json=hello, headers={"Authorization": f"Bearer {hers}"})
        session = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
        theirs = await client.post(
            url, json=run, headers={**session, "Authorization": f"Bearer {his}"}
        )
        assert theirs.status_code == 404
        assert ran == []
        own = await client.post(
            url, json=run, headers={**session, "Authorization": f"Bearer {hers}"}
        )
        assert own.status_code == 200
    assert ran == [("tickets.get", 1)]
