#!/usr/bin/env bash
# A stand-in for your identity provider, for trying Deputy by hand: one RSA key, one user.
# Needs openssl. Not for anything but a walk-through on your own machine.
#
#   examples/issuer.sh document > issuer.json   what an administrator registers: trust and grants
#   examples/issuer.sh token alice              an access token of alice, good for ten minutes
set -euo pipefail

ISSUER=https://idp.example.test
KEY=${ISSUER_KEY:-./issuer-key.pem}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

[ -f "$KEY" ] || (umask 077 && openssl genrsa -out "$KEY" 2048 2>/dev/null)

modulus() {
    openssl rsa -in "$KEY" -noout -modulus 2>/dev/null | cut -d= -f2 | tr -d '\n' |
        sed 's/../\\x&/g' | xargs -0 printf '%b' | base64url
}

case ${1:-} in
document)
    # The key is pinned; a real issuer is registered by discovery: "keys": {"discovery": true}.
    cat <<JSON
{
  "issuer": "$ISSUER",
  "alias": "corp",
  "primary": true,
  "keys": {"jwks": {"keys": [
    {"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "e": "AQAB", "n": "$(modulus)"}
  ]}},
  "access_tokens": {"audiences": ["deputy"]},
  "agents": {"cl_helper": ["helper-app"]},
  "grant_rules": [{
    "kind": "access_token",
    "claims": {"groups": ["support"]},
    "any_scope": true,
    "gives": [{"resource": "tickets", "scope": "tickets:read tickets:write"}]
  }]
}
JSON
    ;;
token)
    now=$(date +%s)
    header=$(printf '{"alg":"RS256","typ":"at+jwt","kid":"k1"}' | base64url)
    payload=$(printf '{"iss":"%s","sub":"%s","aud":"deputy","client_id":"helper-app","groups":["support"],"jti":"%s","iat":%d,"exp":%d}' \
        "$ISSUER" "${2:-alice}" "$(openssl rand -hex 12)" "$now" "$((now + 600))" | base64url)
    signature=$(printf '%s.%s' "$header" "$payload" | openssl dgst -sha256 -sign "$KEY" | base64url)
    printf '%s.%s.%s\n' "$header" "$payload" "$signature"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
