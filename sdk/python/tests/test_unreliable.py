"""Deputy down, slow, or answering rubbish: nothing runs, nothing is a 401, and somebody is told."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from servers import tickets
from test_requests import call, message, post
from world import listener, serving

from deputy_mcp import Agent, Call, Deputy, DeputyUnavailable, Subject, Want

pytestmark = pytest.mark.anyio
HERE = "http://127.0.0.1:9/mcp"


@dataclass(frozen=True)
class Told:
    """What somebody at Deputy's place answers."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Reply = Callable[[dict[str, str]], Told]


@contextlib.contextmanager
def pretender(reply: Reply) -> Iterator[tuple[str, list[str]]]:
    """Something at Deputy's place that answers as it likes; what it was asked is noted."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append(form)
            proof = self.headers["DPoP"] or ""
            told = reply({"path": self.path, "form": form, "proof": proof})
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(told.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/oauth2", asked
    finally:
        server.shutdown()
        server.server_close()


def says(value: Any, status: int = 200) -> Reply:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda _: Told(status, body)


def guard(issuer: str, timeout_s: float = 30) -> Deputy:
    return Deputy(issuer, "cl_x", "secret", resource=HERE, timeout_s=timeout_s)


def permitted(issuer: str) -> dict[str, Any]:
    decision = {"allow": True, "reason": "permitted", "id": "d", "tool": "t"}
    token = {"sub": "alice", "client_id": "cl_a", "scope": "s", "exp": 9_999_999_999}
    answer = {"active": True, "iss": issuer, "aud": HERE, "decision": decision}
    return answer | token


@pytest.mark.parametrize("rubbish", [b"[" * 60_000, b" " * 70_000], ids=["deep", "long"])
async def test_rubbish_without_end_is_no_decision(rubbish):
    with pretender(says(rubbish)) as (issuer, _), pytest.raises(DeputyUnavailable):
        await guard(issuer).decide("token", Call.of("t", {}))


async def test_every_question_has_a_call_id_of_its_own_and_is_never_answered_from_memory():
    holder: list[str] = []
    with pretender(lambda _: Told(200, json.dumps(permitted(holder[0])).encode())) as (
        issuer,
        asked,
    ):
        holder.append(issuer)
        deputy = guard(issuer)
        for _ in range(3):
            assert (await deputy.decide("token", Call.of("t", {"a": 1}))).permits()
    assert len(asked) == 3
    assert len({form.split("call_id=")[1].split("&")[0] for form in asked}) == 3


@pytest.mark.parametrize("fault", ["down", "slow", "rubbish"])
async def test_a_server_stays_closed_and_says_why(fault):
    ran: list[Any] = []
    held = threading.Event()
    reply = holding(held, {"active": True}) if fault == "slow" else says(b"<html>")
    with (
        pretender(reply) as (pretended, _),
        listener() as sock,
        listener() as nobody,
        contextlib.ExitStack() as at_last,
    ):
        at_last.callback(held.set)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
        silent = f"http://127.0.0.1:{nobody.getsockname()[1]}/oauth2"
        issuer = silent if fault == "down" else pretended
        timeout_s = 0.2 if fault == "slow" else 30
        deputy = Deputy(issuer, "cl_x", "s", resource=url, timeout_s=timeout_s)
        with serving(tickets(deputy, ran).http_app(path="/mcp"), sock):
            answer = await post(url, "token", call("tickets.get", id=1))
            assert answer.status_code == 200
            assert answer.json()["result"]["isError"] is True
            said = answer.json()["result"]["content"][0]["text"]
            assert "Deputy" in said
            assert said.startswith("not done")
            other = await post(url, "token", message("tools/list"))
            assert other.status_code == 503
            assert other.headers["Retry-After"]
            assert "WWW-Authenticate" not in other.headers
    assert ran == []


def holding(held: threading.Event, value: Any) -> Reply:
    """Answers when it is let."""

    def reply(_: Any) -> tuple[int, bytes]:
        held.wait()
        return Told(200, json.dumps(value).encode())

    return reply


ISSUED = {"access_token": "x", "token_type": "Bearer", "expires_in": 120, "scope": "s"}


async def test_many_tasks_that_want_one_token_wait_for_one_exchange():
    want, subject, held = Want(HERE, scope="s"), Subject.access_token("t"), threading.Event()
    with pretender(holding(held, ISSUED)) as (issuer, asked):
        async with Agent(issuer, "a", "b") as agent, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(agent.token, subject, want)
            await anyio.wait_all_tasks_blocked()
            held.set()
    assert len(asked) == 1


async def test_a_cancelled_exchange_leaves_the_others_theirs():
    want, subject, held = Want(HERE, scope="s"), Subject.access_token("t"), threading.Event()
    got: list[int] = []

    async def get(agent: Agent, number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await agent.token(subject, want)
            got.append(number)

    with pretender(holding(held, ISSUED)) as (issuer, _):
        async with Agent(issuer, "a", "b") as agent, anyio.create_task_group() as tasks:
            leader, follower = anyio.CancelScope(), anyio.CancelScope()
            tasks.start_soon(get, agent, 1, leader)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(get, agent, 2, follower)
            await anyio.wait_all_tasks_blocked()
            leader.cancel()
            held.set()
    assert got == [2]


@pytest.mark.parametrize(
    "issuer", ["http://deputy.example/oauth2", "ftp://x", "deputy", "https://u@x/", "https://x/?a"]
)
async def test_a_secret_is_never_sent_in_the_clear(issuer):
    with pytest.raises(ValueError, match="issuer"):
        Agent(issuer, "a", "b")


async def test_nothing_secret_is_printed():
    agent, subject = Agent("https://x/oauth2", "a", "secret-b"), Subject.access_token("secret-t")
    assert "secret" not in repr(subject) + repr(vars(agent)) + repr(agent)
