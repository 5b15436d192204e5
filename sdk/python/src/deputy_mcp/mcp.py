"""Deputy for servers on the `mcp` SDK (2.x): a token verifier and the last check as an extension.

Both rely on `deputy_mcp.gate.DeputyGate` around `server.streamable_http_app()`, which asks Deputy
once per request: without it every request is refused.
"""

import logging
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolRequestParams, CallToolResult, TextContent

from deputy_mcp import gate
from deputy_mcp.denial import Denial
from deputy_mcp.deputy import Answer, Deputy
from deputy_mcp.last_check import last_check, misfit

_log = logging.getLogger("deputy_mcp")

NOT_ATTACHED = Denial(
    "denied: the server's developer must call `attach(server)` on the `DeputyExtension`, "
    "which has to know the schemas of the tools"
)


class DeputyTokenVerifier(TokenVerifier):
    """Tells the SDK whose token it is. It asks nobody: the gate has asked, once, about the call.

    Without the gate there is no answer, so no token is good.
    """

    async def verify_token(self, token: str) -> AccessToken | None:
        """The token that the gate let through with this request, and no other."""
        answer = gate_answer(token)
        return access_token(token, answer) if answer is not None else None


class DeputyExtension(Extension):
    """The last check before every tool of an `MCPServer`. Make it the last extension."""

    identifier = "dev.deputy/last-check"

    def __init__(self, deputy: Deputy) -> None:
        self._deputy = deputy
        self._server: MCPServer[Any] | None = None

    def attach(self, server: MCPServer[Any]) -> None:
        """Says whose tools are checked. Until then every call is denied."""
        self._server = server

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,
        ctx: ServerRequestContext[Any, Any],
        call_next: CallNext,
    ) -> HandlerResult:
        """Runs the call if it is the one that Deputy permitted."""
        denied = await self._denied(params, ctx)
        if denied is None:
            return await call_next(ctx)
        text = TextContent(type="text", text=denied.text)
        return CallToolResult(content=[text], is_error=True, _meta=denied.meta())

    async def _denied(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any]
    ) -> Denial | None:
        if self._server is None:
            return NOT_ATTACHED
        tools = {tool.name: tool.input_schema for tool in await self._server.list_tools()}
        if (denied := misfit(tools.get(params.name), params.arguments)) is not None:
            return denied
        request = getattr(ctx.request, "scope", None)
        user = request.get("user") if request is not None else None
        token = user.access_token.token if isinstance(user, AuthenticatedUser) else None
        return await last_check(self._deputy, request, token, params.name, params.arguments)


def gate_answer(token: str) -> Answer | None:
    """What the gate was told about this very token, in this very request."""
    ticket = gate.current.get()
    if ticket is None or ticket.token != token:
        _log.warning("deputy_mcp: a request did not come through the gate and is refused")
        return None
    return ticket.answer


def access_token(token: str, answer: Answer) -> AccessToken:
    """What the SDK wants to know about a live token."""
    return AccessToken(**fields(token, answer))


def fields(token: str, answer: Answer) -> dict[str, Any]:
    """The members of an `AccessToken`: `subject` is the person, `claims["act"]` the agents."""
    claims = answer.claims
    return {
        "token": token,
        "client_id": claims["client_id"],
        "scopes": claims["scope"].split(),
        "expires_at": claims["exp"],
        "resource": claims["aud"],
        "subject": claims["sub"],
        "claims": dict(claims),
    }


def authenticated(token: AccessToken) -> AuthenticatedUser:
    """The user that the SDK binds a session to."""
    return AuthenticatedUser(token)
