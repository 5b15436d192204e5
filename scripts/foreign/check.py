"""Authlib, unmodified, against a running Deputy: exchange, introspection, revocation,
private_key_jwt. Prints its version and how many checks it passed."""

import json
import os
import pathlib
import subprocess
import time

import authlib
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

DEPUTY = os.environ["DEPUTY"]
TICKETS = "https://tickets.example.test/mcp"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
passed = 0


def check(what: str, holds: bool) -> None:
    global passed
    if not holds:
        raise SystemExit(f"authlib: {what}")
    passed += 1


def user_token() -> str:
    command = [os.environ["ISSUER_SCRIPT"], "token", "alice"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


helper = OAuth2Session("cl_helper", os.environ["HELPER_SECRET"])
server = OAuth2Session("cl_server", os.environ["SERVER_SECRET"])
token = helper.fetch_token(
    f"{DEPUTY}/token",
    grant_type=EXCHANGE,
    subject_token=user_token(),
    subject_token_type=ACCESS_TOKEN,
    resource=TICKETS,
    scope="tickets:read",
)
check("exchange", token["issued_token_type"] == ACCESS_TOKEN and token["token_type"] == "Bearer")
seen = server.introspect_token(f"{DEPUTY}/introspect", token["access_token"]).json()
check("introspection", seen["active"] is True and seen["act"]["sub"] == "cl_helper")
answer = helper.revoke_token(f"{DEPUTY}/revoke", token["access_token"])
check("revocation", answer.status_code == 200)
seen = server.introspect_token(f"{DEPUTY}/introspect", token["access_token"]).json()
check("a revoked token", seen == {"active": False})

key = ECKey.import_key(json.loads(pathlib.Path(os.environ["KEYED_KEY"]).read_text()))


def by_key(client: str, claims: dict | None) -> OAuth2Session:
    headers = {"kid": key.kid}
    method = PrivateKeyJWT(f"{DEPUTY}/token", claims=claims, headers=headers, alg="ES256")
    return OAuth2Session(client, client_secret=key, token_endpoint_auth_method=method)


def own_token(session: OAuth2Session) -> str:
    return session.fetch_token(f"{DEPUTY}/token", grant_type="client_credentials")["token_type"]


strict = {"aud": DEPUTY, "exp": int(time.time()) + 60}
check("private_key_jwt", own_token(by_key("cl_keyed", strict)) == "Bearer")
# Its own habit is the token endpoint as audience and an hour's life: for registered clients only.
check("legacy_assertions", own_token(by_key("cl_legacy", None)) == "Bearer")
try:
    own_token(by_key("cl_keyed", None))
    raise SystemExit("authlib: an old assertion was accepted")
except OAuthError as error:
    check("an old assertion", error.error == "invalid_client")
print(f"authlib {authlib.__version__}: {passed} checks")
