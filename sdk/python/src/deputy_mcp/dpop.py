"""Tokens that are bound to a key, and the proofs that go with them (DPoP, RFC 9449).

Needs the package `cryptography`: install `deputy-mcp[keys]`.
"""

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from typing import Self
from urllib.parse import urlsplit

from deputy_mcp.signing import Signer, base64url

# Bytes of chance in a `jti`: a proof is made for one request and works once.
_JTI_BYTES = 16
# Servers whose latest nonce is remembered.
_MAX_ORIGINS = 64
# RFC 9449 section 8.1; a server that gives another one, or a longer, gets proofs without.
_NONCE = re.compile(r"[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]{1,256}")


class ProofKey:
    """A key that an agent's tokens are bound to: whoever steals one cannot call a tool with it.

    Give one to `Agent(…, dpop=…)`. Made anew at every start it needs no keeping, as tokens live for
    minutes; but a subject token that is bound itself needs the very key that it is bound to. It
    also remembers what servers want in the next proof (`DPoP-Nonce`).
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._header = {"typ": "dpop+jwt", "jwk": signer.public_jwk()}
        self._nonces: OrderedDict[str, str] = OrderedDict()

    @classmethod
    def generate(cls) -> Self:
        """A new key, on P-256, that never leaves the process."""
        return cls(Signer.generate())

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> Self:
        """A kept key, on P-256 or Ed25519, from a PEM file's bytes.

        Raises `TypeError` for another kind of key, `ValueError` for what is no key.
        """
        return cls(Signer.from_pem(pem, password))

    def __repr__(self) -> str:
        return "ProofKey(…)"

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """The proof for one request, of the key and of the token that is sent with it.

        RFC 9449 section 4.2: `htu` is the URL without query and fragment.
        """
        said: dict[str, str | int] = {
            "jti": secrets.token_urlsafe(_JTI_BYTES),
            "htm": method,
            "htu": url.split("#", 1)[0].split("?", 1)[0],
            "iat": int(time.time()),
        }
        if token is not None:
            said["ath"] = base64url(hashlib.sha256(token.encode()).digest())
        if (nonce := self._nonces.get(_origin(url))) is not None:
            said["nonce"] = nonce
        return self._signer.jwt(self._header, said)

    def observe(self, url: str, nonce: str | None) -> bool:
        """Takes note of the nonce that an answer brings (RFC 9449 section 8.2); whether it can."""
        if nonce is None:
            return False
        origin = _origin(url)
        if _NONCE.fullmatch(nonce) is None:
            self._nonces.pop(origin, None)
            return False
        self._nonces[origin] = nonce
        self._nonces.move_to_end(origin)
        while len(self._nonces) > _MAX_ORIGINS:
            self._nonces.popitem(last=False)
        return True


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
