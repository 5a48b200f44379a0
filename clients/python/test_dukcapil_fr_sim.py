"""Tests of the fixtures. Needs `pip install -r requirements.txt`; runs with `pytest` and with `pytest -n 4`."""

import base64
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

import dukcapil_fr_sim

# One pixel instead of a photo: these tests are about the other checks.
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def body(customer, **changed):
    """Returns a valid request of the customer."""
    key = load_pem_public_key(customer.public_key_pem.encode())

    def encrypt(text):
        return base64.b64encode(key.encrypt(text.encode(), padding.PKCS1v15())).decode()

    fields = {
        "transactionId": "T-1",
        "transactionSource": "pytest",
        "threshold": "7",
        "image": base64.b64encode(PIXEL).decode(),
        "user_id": encrypt(customer.account["user_id"]),
        "password": encrypt(customer.account["password"]),
        "ip": "10.0.0.1",
    }
    return {**fields, **changed}


def post(customer, **changed):
    """Posts a request as a client does and returns the code of the response."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(customer.url, json.dumps(body(customer, **changed)).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        answer = json.load(response)
    return str(answer["error"]["errorCode"] if isinstance(answer["error"], dict) else answer["errorCode"])


def test_a_valid_request_is_answered_and_verified(customer):
    assert post(customer) == "6018"
    assert customer.verify({"code": "6018", "transaction_id": "T-*"}, exactly=1) == 1
    assert customer.verify() == 1, "at least one, by default"
    assert customer.requests(code="6018")[0]["request"]["transaction_id"] == "T-1"
    assert customer.requests(code="5001") == []


@pytest.mark.parametrize("number", range(8))
def test_parallel_tests_are_isolated(customer, number):
    """With `pytest -n` in several processes, and here in several threads."""
    customer.quota(per_day=number, used=0)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda _: post(customer), range(number + 2)))
    assert sorted(codes) == ["5002"] * 2 + ["6018"] * number
    customer.verify({"code": "6018"}, exactly=number)
    assert len(customer.requests()) == number + 2


def test_each_customer_has_its_own_id_and_account(frsim, customer):
    with frsim.customer() as other:
        assert other.id != customer.id and other.account != customer.account
        assert post(other) == "6018"
        assert customer.requests() == []
    with pytest.raises(dukcapil_fr_sim.ApiError) as refused:
        other.quota()
    assert (refused.value.status, refused.value.code) == (404, "not_found"), "it is deleted after its test"


def test_a_rule_scripts_the_next_answers(customer):
    customer.rule("busy twice", when={"outcome": "6018"}, times=2, reply={"code": "6014"})
    assert [post(customer) for _ in range(3)] == ["6014", "6014", "6018"]
    assert [entry["rule"] for entry in customer.requests()] == [None, "busy twice", "busy twice"]


def test_quota_is_reset_when_the_clock_passes_midnight(customer):
    customer.clock(now="2026-11-21T23:59:00+07:00")
    assert customer.quota(per_day=1)["left"] == 1
    assert [post(customer), post(customer)] == ["6018", "5002"]
    assert customer.clock(advance="2m")["now"].startswith("2026-11-22T00:01:00")
    assert post(customer) == "6018"
    assert customer.quota()["used"] == 1


def test_a_scenario_has_a_state(customer):
    customer.rule("down", when={"state": "down"}, reply={"code": "6014"})
    assert customer.state() == ""
    assert customer.state("down") == "down" == customer.state()
    assert post(customer) == "6014"
    assert customer.state("") == ""
    assert post(customer) == "6018"


def test_an_enrolled_person_is_found_by_this_customer_only(frsim, customer):
    photo = (pathlib.Path(__file__).parents[2] / "fixtures/gallery/andi.png").read_bytes()
    person = customer.enrol(photo, nik="3273010101909777", name="Baru")
    assert (person["nik"], person["name"], person["customer_id"]) == ("3273010101909777", "Baru", customer.id)
    image = base64.b64encode(photo).decode()

    def found(by):
        assert post(by, image=image) == "6018"
        return [candidate["nik"] for candidate in by.requests()[0]["answer"]["candidates"]]

    with frsim.customer() as other:
        assert len(found(other)) == 1
        assert len(found(customer)) == 2


def test_reset_takes_a_customer_back_to_its_start(frsim, customer):
    customer.rule("busy", reply={"code": "6014"})
    customer.state("down")
    with frsim.customer() as other:
        assert [post(customer), post(other)] == ["6014", "6018"]
        customer.reset("journal")
        assert customer.requests() == [] and len(other.requests()) == 1
        customer.reset()
        assert (customer.state(), post(customer)) == ("", "6018")
    with pytest.raises(dukcapil_fr_sim.ApiError, match="404"):
        frsim.reset("quota", "nobody")


def test_the_simulators_clock_is_that_of_customers_without_their_own():
    with dukcapil_fr_sim.start() as simulator, simulator.customer() as customer:
        assert not simulator.clock()["frozen"]
        simulator.clock(now="2026-11-21T10:00:00+07:00")
        assert customer.clock()["now"] == "2026-11-21T10:00:00+07:00"
        simulator.reset("clock")
        assert not simulator.clock()["frozen"]


def test_a_customer_accepts_a_complete_specification(frsim):
    with frsim.customer(ttl="1m", access={"allow": ["192.168.0.0/16"]}, policy={"not_found": "6019"}) as customer:
        assert post(customer, ip="10.0.0.1") == "5003"
        assert post(customer, ip="192.168.7.7") == "6019"


def test_explain_says_why_and_consumes_nothing(customer):
    customer.quota(per_day=1)
    explained = customer.explain(body(customer, threshold="21"))
    assert explained["code"] == "5005"
    assert "21" in next(f["reason"] for f in explained["findings"] if f["check"] == "threshold")
    assert customer.quota()["left"] == 1 and customer.requests() == []


def test_a_failed_verify_reports_near_misses_and_reasons(customer):
    post(customer, transactionId="T-2", password="AAAA")
    with pytest.raises(AssertionError) as failure:
        customer.verify({"code": "6018", "transaction_id": "T-1"}, exactly=1)
    lines = str(failure.value).splitlines()
    number = customer.requests()[0]["id"]
    assert lines[0] == "0 requests found, expected exactly 1: " + json.dumps(
        {"code": "6018", "transaction_id": "T-1", "customer_id": customer.id}
    )
    assert lines[1].startswith(f"  nearest  #{number}  5006: password has the wrong length for the key: 3 bytes")
    assert lines[2:4] == ["           code: want '6018', got '5006'", "           transaction_id: want 'T-1', got 'T-2'"]
    assert lines[4].startswith("  hint: ")


def test_a_failed_verify_lists_the_matches_when_there_are_too_many(customer):
    post(customer)
    with pytest.raises(AssertionError, match=r"1 request found, expected at most 0.*\n  matched  #\d+  6018: "):
        customer.verify(at_most=0)


def test_a_failed_verify_shows_nothing_of_other_tests(frsim, customer):
    with frsim.customer() as other:
        post(other)
        with pytest.raises(AssertionError, match=f"the journal has no requests of {customer.id}"):
            customer.verify({"code": "6018"})


def test_wait_waits_for_requests_of_another_thread(customer):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(customer.wait, {"state": "done"}, count=2)
        pool.submit(post, customer).result()
        pool.submit(post, customer).result()
        assert [entry["ordinal"] for entry in waiting.result()] == [2, 1]
    with pytest.raises(AssertionError, match="2 requests of 3 came within 1ms"):
        customer.wait(count=3, timeout="1ms")


def test_an_error_of_the_api_is_an_exception_with_a_hint(customer):
    with pytest.raises(dukcapil_fr_sim.ApiError) as refused:
        customer.rule("x", tims=2)
    error = refused.value
    assert (error.status, error.code, error.path, error.hint) == (400, "invalid", "/tims", "did you mean `times`?")
    assert str(error).startswith("400 invalid: unknown key `tims`") and "(at /tims); did you mean" in str(error)
    with pytest.raises(dukcapil_fr_sim.ApiError, match="exactly cannot be combined"):
        customer.verify(exactly=1, at_most=1)


def test_a_stopped_simulator_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(dukcapil_fr_sim.tempfile, "tempdir", str(tmp_path))
    with dukcapil_fr_sim.start("--seed", "7") as simulator:
        assert len(list(tmp_path.iterdir())) == 1
        assert simulator.ask("GET", "/config")["seed"] == 7
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):
        simulator.ask("GET", "/ready")


def test_a_failed_test_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(dukcapil_fr_sim.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ZeroDivisionError), dukcapil_fr_sim.start() as simulator:
        1 / 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):
        simulator.ask("GET", "/ready")


def test_a_failed_start_reports_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(dukcapil_fr_sim.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"did not start \(exit status 2\): .*--layout"), dukcapil_fr_sim.start("--layout", "pretty"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_fixtures_directory_of_the_project_under_test_is_not_loaded(tmp_path, monkeypatch):
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "simulator.toml").write_text("this is not the simulator's")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRSIM_BINARY", os.path.abspath(dukcapil_fr_sim.find_binary()))
    with dukcapil_fr_sim.start():
        pass
    with pytest.raises(RuntimeError, match="simulator.toml:1"), dukcapil_fr_sim.start("--fixtures", "fixtures"):
        pass


def test_the_admin_token_from_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("FRSIM_ADMIN_TOKEN", "secret")
    with dukcapil_fr_sim.start() as simulator, simulator.customer() as customer:
        customer.verify(exactly=0)
        stranger = dukcapil_fr_sim.Simulator(simulator.endpoint, simulator.admin)
        with pytest.raises(dukcapil_fr_sim.ApiError, match="401 unauthorized"):
            stranger.ask("GET", "/customers")


def test_a_missing_binary_is_an_error_with_a_hint(tmp_path, monkeypatch):
    monkeypatch.delenv("FRSIM_BINARY", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(dukcapil_fr_sim, "__file__", str(tmp_path / "dukcapil_fr_sim.py"))
    with pytest.raises(FileNotFoundError, match="set FRSIM_BINARY"):
        dukcapil_fr_sim.find_binary()
    built = tmp_path / "target" / "debug" / ("dukcapil-fr-sim.exe" if os.name == "nt" else "dukcapil-fr-sim")
    built.parent.mkdir(parents=True)
    built.touch()
    assert dukcapil_fr_sim.find_binary() == str(built)


def run_pytest(directory, tests, *arguments, **environment):
    """Runs a separate project, set up as the documentation says. Returns its output."""
    here = pathlib.Path(dukcapil_fr_sim.__file__)
    for path in (here, here.with_name("conftest.py")):
        (directory / path.name).write_bytes(path.read_bytes())
    (directory / "test_theirs.py").write_text(tests)
    environment = {**os.environ, "FRSIM_BINARY": os.path.abspath(dukcapil_fr_sim.find_binary()), **environment}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-header", "-q", *arguments, directory]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120).stdout


def test_one_line_in_conftest_is_enough(tmp_path):
    done = run_pytest(
        tmp_path,
        "import pytest\n\n"
        "@pytest.fixture(scope='session')\ndef frsim_arguments():\n    return ['--clock', '2026-11-21T10:00:00+07:00']\n\n"
        "def test_theirs(customer):\n    assert customer.clock()['frozen']\n    customer.verify(at_least=1)\n",
    )
    assert "1 failed" in done and "E       AssertionError: 0 requests found, expected at least 1" in done, done


TELL = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(2))
def test_theirs(frsim, customer, number):
    customer.verify(exactly=0)
    pathlib.Path(os.environ["SEEN"], str(os.getpid())).write_text(frsim.admin)
"""


def test_workers_share_one_simulator_and_it_ends_with_the_run(tmp_path):
    pytest.importorskip("xdist")
    seen, temporary, project = (tmp_path / name for name in ("seen", "tmp", "project"))
    for directory in (seen, temporary, project):
        directory.mkdir()
    done = run_pytest(project, TELL, "-n", "2", SEEN=str(seen), TMPDIR=str(temporary), FRSIM_ADMIN_TOKEN="secret")
    assert "2 passed" in done, done
    addresses = [path.read_text() for path in seen.iterdir()]
    assert len(addresses) == 2 and len(set(addresses)) == 1, "xdist gives each worker one of two tests"
    with pytest.raises(OSError):
        dukcapil_fr_sim.Simulator("", addresses[0]).ask("GET", "/ready")
    left = [path.name for path in temporary.iterdir() if path.name.startswith("frsim-")]
    assert left == [], "nothing is left behind"


def test_workers_report_a_failed_start(tmp_path):
    pytest.importorskip("xdist")
    tests = "import pytest\n\n@pytest.fixture(scope='session')\ndef frsim_arguments():\n    return ['--layout', 'pretty']\n\n"
    done = run_pytest(tmp_path, tests + "def test_theirs(customer):\n    pass\n", "-n", "1")
    assert "did not start (exit status 2)" in done and "--layout" in done, done
