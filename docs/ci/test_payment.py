"""Tests of a client. The fixture `customer` creates a customer for each test; the simulator starts once per session."""

import base64
import json
import urllib.request

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SITI = "3174055708909001"  # one of the fictional people in the simulator's gallery


def search(customer, photo, tries=3):
    """The client under test; import yours instead. Returns the candidates, best first."""
    key = load_pem_public_key(customer.public_key_pem.encode())
    for _ in range(tries):
        account = {name: key.encrypt(text.encode(), padding.PKCS1v15()) for name, text in customer.account.items()}
        fields = {"transactionId": "PAY-1", "transactionSource": "payment", "threshold": "7", "ip": "10.0.0.1"}
        binary = {"image": photo, **account}
        fields.update({name: base64.b64encode(value).decode() for name, value in binary.items()})
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(customer.url, json.dumps(fields).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        if answer.get("errorCode") == "6018":
            return list(json.loads(answer["response"])["face"]["FACE_T5"])
        if answer.get("errorCode") != "6014":
            raise PermissionError(answer["error"])
    raise TimeoutError("busy")


def photo_of(customer, nik):
    simulator = customer.simulator
    request = urllib.request.Request(f"{simulator.admin}/gallery/{nik}/thumbnail", headers=simulator.headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read()


def test_siti_is_found(customer):
    assert search(customer, photo_of(customer, SITI)) == [SITI]
    customer.verify({"code": "6018", "transaction_id": "PAY-*"}, exactly=1)


def test_busy_is_retried(customer):
    customer.rule("busy", times=2, reply={"code": "6014"})
    assert search(customer, photo_of(customer, SITI)) == [SITI]
    customer.verify({"code": "6014"}, exactly=2)
    customer.verify({"code": "6018"}, exactly=1)


def test_a_used_up_quota_is_not_retried(customer):
    customer.quota(per_day=80, used=80)
    try:
        search(customer, photo_of(customer, SITI))
    except PermissionError:
        customer.verify(exactly=1)
    else:
        raise AssertionError("5002 was treated as a success")
