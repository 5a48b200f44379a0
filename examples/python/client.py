#!/usr/bin/env python3
"""Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint.

    pip install -r requirements.txt
    ./client.py --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem

Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).
"""

import argparse
import base64
import json
import pathlib
import random
import secrets
import sys
import time

import requests
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SUCCESS, BUSY = "6018", "6014"

# The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10**-score strangers reach a
# score: 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
SURE = 10.0


class NoAnswer(Exception):
    """No answer, or one that is not from the endpoint."""

    def __init__(self, words, again=True):
        super().__init__(words)
        self.again = again


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, f"{self.format_usage()}{message}\n")


def arguments():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--customer", required=True)
    parser.add_argument("--image", required=True, type=pathlib.Path)
    parser.add_argument("--public-key", required=True, type=pathlib.Path)
    parser.add_argument("--user", default="demo-user")
    parser.add_argument("--password", default="demo-password")
    parser.add_argument("--threshold", default=7.0, type=float)
    # Your own registered address, not the endpoint's; any other is rejected with 5003.
    parser.add_argument("--ip", default="127.0.0.1")
    # The real matcher is slow: 30 to 60 seconds are usual.
    parser.add_argument("--timeout", default=30.0, type=float, metavar="SECONDS")
    parser.add_argument("--retries", default=2, type=int)
    parser.add_argument("--backoff", default=1.0, type=float, metavar="SECONDS")
    return parser.parse_args()


def encrypted(plain, key):
    # PKCS#1 v1.5, as PHP's openssl_public_encrypt does it; with the OAEP of most Python tutorials the answer is 5006.
    # b64encode returns one line; encodebytes would break it.
    return base64.b64encode(key.encrypt(plain.encode(), padding.PKCS1v15())).decode("ascii")


def request(options, key, image, transaction):
    return {
        "transactionId": transaction,
        "transactionSource": "python",
        "threshold": options.threshold,  # a number, as the document's table says; its sample sends a string: both are accepted
        "image": base64.b64encode(image).decode("ascii"),
        "user_id": encrypted(options.user, key),
        "password": encrypted(options.password, key),
        "ip": options.ip,
    }


def exchange(session, options, body):
    """Sends one request. Returns the answer as a dict, or raises NoAnswer."""
    deadline = time.monotonic() + options.timeout
    url = f"{options.url}/api/face-recognition/{options.customer}/CALL_FN"
    try:
        # timeout= limits the silence between bytes, not the whole call: a slow body is bounded by the loop below,
        # a slow head is not bounded at all.
        with session.post(
            url, json=body, headers={"Accept": "application/json"}, timeout=options.timeout, stream=True
        ) as response:
            # Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
            if response.status_code != 200:
                raise NoAnswer(f"HTTP status {response.status_code}", again=response.status_code >= 500)
            content = bytearray()
            for byte in response.iter_content(1):
                content += byte
                if time.monotonic() > deadline:
                    raise NoAnswer(f"the answer took longer than {options.timeout:g} s")
        answer = json.loads(content)
    except requests.RequestException as error:  # ReadTimeout, ConnectionError, ChunkedEncodingError, ...
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise NoAnswer(f"bad JSON: {type(error).__name__}: {error}") from error
    if not isinstance(answer, dict) or "error" not in answer:
        raise NoAnswer("JSON, but no answer of the endpoint")
    return answer


def outcome(answer):
    """Reads code and message from both answer shapes, the code as a string."""
    error = answer["error"]
    if isinstance(error, dict):  # 5001 and 5005: a nested object with a numeric code, and all else strings
        code, message = error.get("errorCode"), error.get("errorMessage")
    else:  # every other code: flat, the code a string
        code, message = answer.get("errorCode"), error
    return str(code), str(message).strip()  # some messages have surrounding spaces


def candidates(answer):
    """Returns all candidates as (NIK, score), best first."""
    # JSON inside a string. 5004 has no "response", so it is read only after 6018.
    try:
        scores = json.loads(answer["response"])["face"]["FACE_T5"]
        found = [(nik.strip(), float(score)) for nik, score in scores.items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"bad response: {type(error).__name__}: {error}") from error
    return sorted(found, key=lambda candidate: candidate[1], reverse=True)


def identify(options, key, image):
    """Sends requests until the answer is final or the retries are used up. Returns code, message and candidates."""
    session = requests.Session()
    # One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how
    # you and the operator find out. Each try encrypts again, because the padding is random.
    transaction = secrets.token_hex(10)
    for attempt in range(options.retries + 1):
        last = attempt == options.retries
        try:
            answer = exchange(session, options, request(options, key, image, transaction))
            code, message = outcome(answer)
            found = candidates(answer) if code == SUCCESS else []
            # Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
            if code != BUSY or last:
                return code, message, found
            words = f"{code} {message}"
        except NoAnswer as error:
            if last or not error.again:
                raise
            words = error
        # Exponential backoff with jitter, so that many clients do not retry at the same time.
        pause = options.backoff * 2**attempt * random.uniform(0.5, 1.5)
        print(f"try {attempt + 1}: {words}; again in {pause:.1f} s", file=sys.stderr)
        time.sleep(pause)


def main():
    options = arguments()
    try:
        key = load_pem_public_key(options.public_key.read_bytes())
        image = options.image.read_bytes()
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 64
    try:
        code, message, found = identify(options, key, image)
    except NoAnswer as error:
        print(error, "failed", sep="\n")
        return 2
    if code != SUCCESS:
        print(f"{code}\t{message}", "refused", sep="\n")
        return 1
    for nik, score in found:
        print(f"{nik}\t{score:.2f}")
    sure = sum(score >= SURE for _, score in found)
    # Two nearly certain candidates are look-alikes, twins, or one person registered twice: a human decides.
    print("none" if not found else "found" if sure == 1 else "unsure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
