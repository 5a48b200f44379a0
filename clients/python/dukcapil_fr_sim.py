"""pytest fixtures for dukcapil-fr-sim, in one file to copy beside your tests. Standard library only; Python 3.8 or newer.

In conftest.py: `pytest_plugins = ["dukcapil_fr_sim"]`. Each test that uses the fixture `customer` gets its own customer on one
simulator per test run: its own account, rules, quota, clock, state, people and view of the journal, so tests can run in parallel.
With `pytest -n` the worker that comes first starts the simulator, the others use it, and pytest itself stops it at the end.
The binary is FRSIM_BINARY, or `dukcapil-fr-sim` on the PATH, or the newest build in a `target` directory above this file.

A started simulator is ready when it prints a line; then the port file has its addresses. Reading the line needs no polling and ends
when the process ends. It is stopped by `POST /shutdown`, which works on every operating system, unlike signals.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

START_TIMEOUT = 60  # seconds; a process that is not ready by then is killed
RESPONSE_TIMEOUT = 30  # seconds for a response of the admin API
WAIT_TIMEOUT = 660  # seconds; the admin API itself limits a wait to ten minutes


class ApiError(Exception):
    """An error response of the admin API. `path` points to the invalid part of the body, `hint` says what to do; either may be None."""

    def __init__(self, status, answer):
        error = answer["error"]
        self.status, self.answer = status, answer
        self.code, self.message = error["code"], error["message"]
        self.path, self.hint = error.get("path"), error.get("hint")
        at = f" (at {self.path})" if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        super().__init__(f"{status} {self.code}: {self.message}{at}{hint}")


class Simulator:
    """A client of a running simulator, started here or elsewhere. `token` is the value of --admin-token."""

    def __init__(self, endpoint, admin, token=None):
        self.endpoint, self.admin = endpoint.rstrip("/"), admin.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Ignores proxies from the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method, path, body=None, timeout=RESPONSE_TIMEOUT):
        """Calls the admin API and returns its JSON response. Raises ApiError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.admin + path, data, self.headers, method=method)
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, json.load(error)) from None

    def reset(self, scope="all", customer_id=None):
        """Resets `journal`, `rules`, `quota`, `state`, `clock`, `gallery`, `customers` or `all`: of every customer, or of one."""
        query = {"scope": scope, "customer_id": customer_id}
        self.ask("POST", "/reset?" + urllib.parse.urlencode({name: value for name, value in query.items() if value}))

    def clock(self, **change):
        """Returns the simulator's clock, after applying `advance`, `now`, `freeze` or `reset` if given. Customers' own clocks stay."""
        return self.ask("PUT" if change else "GET", "/clock", change or None)

    @contextlib.contextmanager
    def customer(self, ttl="10m", **spec):
        """Creates a customer with a generated id and account and no quota, and deletes it afterwards. `spec` is a fixture file as JSON."""
        created = Customer(self, self.ask("POST", "/customers", {**spec, "ttl": ttl}))
        try:
            yield created
        finally:
            # It may no longer exist: the test deleted it, or its ttl expired.
            with contextlib.suppress(ApiError):
                self.ask("DELETE", created.path)


class Customer:
    """A customer of the simulator: the URL, account and key for the client under test, and the controls for the test."""

    def __init__(self, simulator, view):
        self.simulator = simulator
        self.view = view
        self.id = view["customer_id"]
        self.path = f"/customers/{urllib.parse.quote(self.id, safe='')}"
        self.url = simulator.endpoint + view["path"]
        self.account = view["account"]
        self.public_key_pem = view["public_key_pem"]

    def rule(self, name, **spec):
        """Creates or replaces a rule, ahead of the fixture rules: `rule("busy", times=2, reply={"code": "6014"})`."""
        return self.simulator.ask("PUT", f"{self.path}/rules/{urllib.parse.quote(name, safe='')}", spec)

    def quota(self, **change):
        """Returns today's quota, after setting `per_day` or `used` if given."""
        return self._read_or_change("quota", change)

    def clock(self, **change):
        """Returns its clock, after applying `advance="25h"`, `now="2026-11-21T23:59:00+07:00"`, `freeze=True` or `reset=True` if given."""
        return self._read_or_change("clock", change)

    def state(self, new=None):
        """Returns the state of its scenario, which rules test with `when={"state": ...}`, after setting it if given."""
        return self._read_or_change("state", {} if new is None else {"state": new})["state"]

    def enrol(self, *pictures, **person):
        """Enrols a person whom only this customer finds: JPG or PNG files as bytes, `nik`, `name`, `similar`. Returns the person, with NIK."""
        pictures = [base64.b64encode(picture).decode() for picture in pictures]
        return self.simulator.ask("POST", "/gallery", {**person, "customer_id": self.id, "pictures": pictures})

    def reset(self, scope="all"):
        """Resets its `journal`, `rules`, `quota`, `state`, `clock`, `gallery`, or `all` of them."""
        self.simulator.reset(scope, self.id)

    def requests(self, **query):
        """Returns its journal entries, newest first; `code`, `since`, `state` and `limit` filter them."""
        query = urllib.parse.urlencode({"limit": 10_000, **query, "customer_id": self.id})
        return self.simulator.ask("GET", f"/requests?{query}")["requests"]

    def verify(self, match=None, *, exactly=None, at_least=None, at_most=None):
        """Asserts the number of its matching requests: by default at least one. The failure reports the near misses."""
        count = {"exactly": exactly, "at_least": at_least, "at_most": at_most}
        count = {name: number for name, number in count.items() if number is not None} or {"at_least": 1}
        return self._assert("/requests/verify", match, {"count": count}, RESPONSE_TIMEOUT)["count"]

    def wait(self, match=None, count=1, timeout="10s"):
        """Waits for `count` of its requests, earlier ones included, and returns them, newest first. AssertionError on timeout."""
        return self._assert("/requests/wait", match, {"count": count, "timeout": timeout}, WAIT_TIMEOUT)["requests"]

    def explain(self, body, **more):
        """Returns the response that a body would get, and why; consumes nothing."""
        return self.simulator.ask("POST", "/explain", {"customer_id": self.id, "body": body, **more})

    def _read_or_change(self, what, change):
        return self.simulator.ask("PUT" if change else "GET", f"{self.path}/{what}", change or None)

    def _assert(self, path, match, more, timeout):
        match = {**(match or {}), "customer_id": self.id}
        try:
            return self.simulator.ask("POST", path, {"match": match, **more}, timeout)
        except ApiError as error:
            if "nearest" not in error.answer:
                raise
            failure = self._failure(match, error)
        raise AssertionError(failure)

    def _failure(self, match, error):
        matched = [f"  matched  #{id}  {self._answer(id)}" for id in error.answer["matched"]]
        # Requests of other tests do not help.
        misses = [miss for miss in error.answer["nearest"] if "customer_id" not in miss["differs"]]
        nearest = [f"  nearest  #{miss['id']}  {self._answer(miss['id'])}{_differences(miss)}" for miss in misses]
        entries = matched + nearest or [f"  the journal has no requests of {self.id}"]
        return "\n".join([f"{error.message}: {json.dumps(match)}", *entries, f"  hint: {error.hint}"])

    def _answer(self, id):
        try:
            answer = self.simulator.ask("GET", f"/requests/{id}")["answer"] or {}
        except ApiError:  # the journal is a ring buffer
            return "no longer in the journal"
        return f"{answer.get('code') or answer.get('status') or 'no answer'}: {answer.get('reason') or 'no reason given'}"


def _differences(miss):
    return "".join(f"\n           {field}: want {both['want']!r}, got {both['got']!r}" for field, both in miss["differs"].items())


def find_binary():
    name = "dukcapil-fr-sim"
    found = os.environ.get("FRSIM_BINARY") or shutil.which(name)
    if found:
        return found
    name += ".exe" if os.name == "nt" else ""
    for directory in pathlib.Path(__file__).resolve().parents:
        built = [directory / "target" / profile / name for profile in ("release", "debug")]
        built = [path for path in built if path.is_file()]
        if built:
            return str(max(built, key=lambda path: path.stat().st_mtime))
    raise FileNotFoundError(f"no {name}: set FRSIM_BINARY, put it on the PATH, or `cargo build` above {__file__}")


@contextlib.contextmanager
def start(*arguments):
    """Starts a simulator on free ports with its own keys. `arguments` are additional flags of `serve`, such as "--seed", "7"."""
    with tempfile.TemporaryDirectory(prefix="frsim-") as directory:
        directory = pathlib.Path(directory)
        process = _launch(directory, arguments)
        try:
            simulator = _running(directory)
            yield simulator
            simulator.ask("POST", "/shutdown")
            process.wait(START_TIMEOUT)
        finally:
            process.kill()
            process.wait()


def _running(directory):
    """Returns the simulator whose files are in the directory."""
    ports = json.loads((directory / "ports").read_text(encoding="utf-8"))
    return Simulator(ports["endpoint"], ports["admin"], os.environ.get("FRSIM_ADMIN_TOKEN"))


def _launch(directory, arguments):
    """Starts a process with its files in the directory and returns it once it is ready. RuntimeError with its output if it ends before."""
    command = [find_binary(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keys", directory / "keys"]
    command += ["--port-file", directory / "ports"]
    # Otherwise it would load a `fixtures` directory of the project under test.
    if "FRSIM_FIXTURES" not in os.environ and "--fixtures" not in arguments:
        (directory / "fixtures").mkdir(exist_ok=True)
        command += ["--fixtures", directory / "fixtures"]
    with open(directory / "log", "wb") as stderr:
        process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
    watchdog = threading.Timer(START_TIMEOUT, process.kill)
    watchdog.start()
    try:
        with process.stdout:
            # One line, once the port file is written; empty when the process exits first.
            ready = process.stdout.readline()
    except BaseException:  # Ctrl-C
        process.kill()
        raise
    finally:
        watchdog.cancel()
    if not ready:
        status = process.wait()
        output = (directory / "log").read_text(encoding="utf-8", errors="replace").strip()
        raise RuntimeError(f"dukcapil-fr-sim did not start (exit status {status}): {output}")
    return process


# --- one simulator for all workers of `pytest -n`: pytest's main process creates a directory, workers start the simulator in it


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tells each worker of pytest-xdist the directory; runs in the main process."""
    if not hasattr(node.config, "_frsim_directory"):
        node.config._frsim_directory = tempfile.mkdtemp(prefix="frsim-")
    node.workerinput["frsim_directory"] = node.config._frsim_directory


def pytest_unconfigure(config):
    """Stops what the workers started, when they have ended; runs in the main process."""
    directory = getattr(config, "_frsim_directory", None)
    if directory is None:
        return
    for started in pathlib.Path(directory).glob("*/ports"):
        # It may have ended, by `POST /shutdown` or Ctrl-C; and the stream of events breaks off when it ends.
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            simulator = _running(started.parent)
            events = urllib.request.Request(f"{simulator.admin}/events", headers=simulator.headers)
            with simulator._opener.open(events, timeout=START_TIMEOUT) as until_it_ends:
                simulator.ask("POST", "/shutdown")
                until_it_ends.read()
    shutil.rmtree(directory, ignore_errors=True)


def _shared(directory, arguments):
    """Returns the simulator of the test run that has these arguments; starts it when no worker has yet."""
    directory = pathlib.Path(directory, hashlib.sha256(json.dumps([*map(str, arguments)]).encode()).hexdigest()[:16])
    directory.mkdir(exist_ok=True)
    with open(directory / "lock", "wb") as lock:  # held until the file is closed
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "ports").exists():
            process = _launch(directory, arguments)
            # It outlives this worker.
            threading.Thread(target=process.wait, daemon=True).start()
        return _running(directory)


@pytest.fixture(scope="session")
def frsim_arguments():
    """Additional flags for the simulator. Override it, for example with `return ["--fixtures", "tests/frsim"]`."""
    return []


@pytest.fixture(scope="session")
def frsim(request, frsim_arguments):
    """The simulator of the test run."""
    directory = getattr(request.config, "workerinput", {}).get("frsim_directory")
    if directory and os.path.isdir(directory):  # a worker on another machine has its own simulator
        yield _shared(directory, frsim_arguments)
        return
    with start(*frsim_arguments) as simulator:
        yield simulator


@pytest.fixture
def customer(frsim):
    """This test's own customer."""
    with frsim.customer() as created:
        yield created
