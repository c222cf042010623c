"""What the anchor signs, verified by libraries that know nothing of it: DSSE by securesystemslib, keys by jwcrypto.

    strangers.py ADDRESS

A running program issues a credential, and a policy has an answer attested; the taxonomy, the credential and the attestation
are verified with the keys of /v1/anchor/jwks. Then one bit of each of their bytes is flipped, and none may verify.
"""

import base64
import copy
import hashlib
import json
import sys
import urllib.request

from jwcrypto.jwk import JWKSet
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

ADDRESS = sys.argv[1]
ACCESSOR = "accessor:0d2a5ba6-4a5b-4d6e-8a39-5bd3e0b64c21"
SCOPE = {"Path": "dc1/payments", "Services": ["pay-*"], "Policy": "attested"}
POLICY = 'package attested\n\ndecision := {"outcome": "attest", "rule": "attested"}\n'


def ask(method, path, body=None):
    data = body if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{ADDRESS}{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers, answer.read()


def read(path):
    return json.loads(ask("GET", path)[1])


def keys():
    """The keys of the anchor, by name; a name must be the key's thumbprint (RFC 7638)."""
    found = {}
    for key in JWKSet.from_json(ask("GET", "/v1/anchor/jwks")[1].decode())["keys"]:
        name = key.get("kid")
        assert key.thumbprint() == name, f"{name} is no thumbprint"
        public = json.loads(key.export_public())["x"]
        raw = base64.urlsafe_b64decode(public + "=" * (-len(public) % 4))
        found[name] = SSlibKey(name, "ed25519", "ed25519", {"public": raw.hex()})
    return found


def verified(envelope, kind):
    """The payload of an envelope that the anchor signed."""
    read = Envelope.from_dict(copy.deepcopy(envelope))
    assert read.payload_type == kind, read.payload_type
    read.verify(list(KEYS.values()), 1)
    return json.loads(read.payload)


def touched(envelope):
    """The envelope with one bit flipped, in each byte of its payload and of its signature."""
    payload = bytearray(base64.b64decode(envelope["payload"]))
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    for part, put in ((payload, put_payload), (signature, put_signature)):
        for place in range(len(part)):
            part[place] ^= 1
            yield put(copy.deepcopy(envelope), base64.b64encode(part).decode())
            part[place] ^= 1


def put_payload(envelope, text):
    return envelope | {"payload": text}


def put_signature(envelope, text):
    envelope["signatures"][0]["sig"] = text
    return envelope


def refuses_touched(envelope):
    count = 0
    for forged in touched(envelope):
        count += 1
        try:
            Envelope.from_dict(forged).verify(list(KEYS.values()), 1)
        except VerificationError:
            continue
        raise AssertionError(f"byte {count} was flipped, and it verifies: {forged}")
    assert count > 64, count


def check_taxonomy():
    envelope = read("/v1/anchor/taxonomy")
    taxonomy = verified(envelope, "application/vnd.proconsul.taxonomy+json")
    names = {key["keyid"] for key in taxonomy["keys"]}
    assert set(KEYS) <= names, names
    assert taxonomy["roots"] and taxonomy["anchors"][0]["scope"] == "dc1"
    for issuer in taxonomy["issuers"]:
        payload = verified(issuer["envelope"], "application/vnd.proconsul.credential+json")
        assert payload["role"] == issuer["role"]
    refuses_touched(envelope)


def check_credential(envelope, wanted):
    payload = verified(envelope, "application/vnd.proconsul.credential+json")
    assert payload | wanted == payload, payload
    digest = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
    assert read(f"/v1/anchor/credential/{digest}")["State"] == "valid"
    refuses_touched(envelope)


def check_attestation():
    """The answer's bytes, as they came, are what was attested."""
    headers, body = ask("GET", "/v1/health/service/pay-api?token=&wait=1s")
    path = headers["X-Anchor-Attestation"]
    envelope = read(path)
    attested = verified(envelope, "application/vnd.proconsul.attestation+json")
    assert attested["answer"] == "sha256:" + hashlib.sha256(body).hexdigest(), attested
    assert attested["query"] == "/v1/health/service/pay-api", attested
    assert attested["outcome"] == "attest" and attested["scope"] == "dc1/payments", attested
    assert attested["checkpoint"]["origin"] == "dc1/payments", attested
    refuses_touched(envelope)


ask("PUT", "/v1/anchor/policy/attested", {"Rego": POLICY})
ask("PUT", "/v1/anchor/scope/dc1/payments", SCOPE)
ask("PUT", "/v1/agent/service/register", {"Name": "pay-api", "Port": 80})
ISSUED = json.loads(
    ask("PUT", "/v1/anchor/credentials", {"Role": "workload", "Scope": "dc1/payments", "Subject": ACCESSOR})[1]
)
KEYS = keys()
WANTED = {"role": "workload", "scope": "dc1/payments", "subject": ACCESSOR}
for name, check in {
    "taxonomy": check_taxonomy,
    "credential": lambda: check_credential(ISSUED["Envelope"], WANTED),
    "attestation": check_attestation,
}.items():
    check()
    print(f"ok {name}")
