"""The HTTP side of an agent: a token on every request to one server, and nowhere else.

One core; `deputy_mcp.httpx2` and `deputy_mcp.httpx` give it the base class of their library.
"""

import logging
import re
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from deputy_mcp.agent import Agent, Subject, Token, Want
from deputy_mcp.authority import Tools
from deputy_mcp.errors import DeputyError, WrongServer

_log = logging.getLogger("deputy_mcp")

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NO_NONCE = "use_dpop_nonce"
_PROOF_FAULT = re.compile(r'error="(use_dpop_nonce|invalid_dpop_proof)"')
# Marks a request whose headers are ours, also when it is sent again, or on to another place.
_OURS = "deputy_mcp"
_SCOPE = re.compile(r'[ ,]scope="([\x21\x23-\x5B\x5D-\x7E ]{1,1024})"')


class ExchangeAuth:
    """Exchanges the subject's token for one that is good at `resource`, and puts it on requests.

    `step_up` names scopes that may be added when the server asks for them (403,
    `insufficient_scope`), once per request. It goes with `scope` alone: a token with scopes only
    never covers tools that destroy or that let data out, so stepping up cannot reach those.
    """

    def __init__(
        self,
        agent: Agent,
        subject: Subject,
        resource: str,
        *,
        scope: str | None = None,
        tools: Tools | None = None,
        onward: Mapping[str, Tools] | None = None,
        step_up: str | None = None,
    ) -> None:
        if step_up is not None and (scope is None or tools is not None):
            raise ValueError("`step_up` goes with `scope` and without `tools`")
        self._agent = agent
        self._subject = subject
        self._want = Want(resource, scope, tools, onward)
        self._step_up = frozenset((step_up or "").split())

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Sends the request with a token; at most once again with a newer or a wider one.

        A proof that lacked the server's nonce is made again with it (RFC 9449 section 9).
        """
        if "Authorization" in request.headers and _OURS not in request.extensions:
            yield request
            return
        self._check(str(request.url))
        # It may have to be sent again.
        await request.aread()
        request.extensions = {**request.extensions, _OURS: True}
        want, may_better = self._want, True
        token: Token | None = await self._agent.token(self._subject, want)
        while token is not None:
            response = yield self._with(request, token)
            if self._has_new_nonce(response) and _fault(response) == _NO_NONCE:
                response = yield self._with(request, token)
                self._has_new_nonce(response)
            token = await self._better(want, response, token) if may_better else None
            may_better = False

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Raises: tokens are exchanged by asynchronous clients."""
        raise RuntimeError("`TokenExchangeAuth` needs an `AsyncClient`")
        yield request

    def _with(self, request: Any, token: Token) -> Any:
        """The request with the token, and with a new proof if the token is bound to a key."""
        request.headers["Authorization"] = f"{token.kind} {token.value}"
        if (dpop := self._agent.dpop) is not None:
            request.headers["DPoP"] = dpop.proof(request.method, str(request.url), token.value)
        return request

    def _has_new_nonce(self, response: Any) -> bool:
        """Takes note of the nonce that the server's own answer brings."""
        url = str(response.request.url)
        if (dpop := self._agent.dpop) is None or not self._is_here(url):
            return False
        return dpop.observe(url, response.headers.get("DPoP-Nonce"))

    async def _better(self, want: Want, response: Any, token: Token) -> Token | None:
        """A token for a second attempt; without one the server's own answer stands."""
        again = self._again(want, response, token)
        if again is None:
            return None
        try:
            better = await self._agent.token(self._subject, again)
        except DeputyError as e:
            _log.warning("deputy_mcp: no token for a second attempt: %s", e)
            return None
        if again is not want:
            # What was named beforehand and granted once need not be asked for at every call.
            self._want = again
        return better

    def _again(self, want: Want, response: Any, token: Token) -> Want | None:
        """What to try the request with once more, if anything.

        What is said where a redirect led is not the server's word.
        """
        if not self._is_here(str(response.request.url)):
            return None
        if response.status_code == _UNAUTHORIZED and _fault(response) is None:
            self._agent.forget(self._subject, want, token)
            return want
        if response.status_code == _FORBIDDEN:
            return self._wider(want, response.headers.get("WWW-Authenticate", ""))
        return None

    def _wider(self, want: Want, challenge: str) -> Want | None:
        """The wanted scopes and those challenged, if all of these were named beforehand."""
        found = _SCOPE.search(challenge)
        if found is None or 'error="insufficient_scope"' not in challenge:
            return None
        have = frozenset((want.scope or "").split())
        more = frozenset(found.group(1).split()) - have
        if not more or not more <= self._step_up:
            return None
        return replace(want, scope=" ".join(sorted(have | more)))

    def _check(self, url: str) -> None:
        if not self._is_here(url):
            theirs = urlsplit(url)
            raise WrongServer(
                f"the token is for `{self._want.resource}` and was not sent to "
                f"`{theirs.scheme}://{theirs.netloc}`"
            )

    def _is_here(self, url: str) -> bool:
        """A token goes to its own server only (RFC 8707: origin, and the path or below it)."""
        ours, theirs = urlsplit(self._want.resource), urlsplit(url)
        path = ours.path.rstrip("/")
        below = theirs.path.rstrip("/") == path or theirs.path.startswith(f"{path}/")
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc) and below


def _fault(response: Any) -> str | None:
    """What is wrong with the proof, if that is why the answer is no: then the token is not."""
    if response.status_code != _UNAUTHORIZED:
        return None
    found = _PROOF_FAULT.search(response.headers.get("WWW-Authenticate", ""))
    return None if found is None else found.group(1)
