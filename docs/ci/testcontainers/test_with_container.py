"""Runs the simulator in a container for pytest; `customer` and the rest of dukcapil_fr_sim.py work as with a binary."""

import os

import pytest
from dukcapil_fr_sim import Simulator
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

TOKEN = "for-tests"


@pytest.fixture(scope="session")
def frsim():
    container = DockerContainer(os.environ.get("FRSIM_IMAGE", "dukcapil-fr-sim"))
    container.with_envs(FRSIM_LISTEN="0.0.0.0:8080", FRSIM_ADMIN_LISTEN="0.0.0.0:9090", FRSIM_ADMIN_TOKEN=TOKEN)
    container.with_exposed_ports(8080, 9090)
    container.waiting_for(HttpWaitStrategy(9090, "/ready").for_status_code(200))
    with container:
        host = container.get_container_host_ip()
        endpoint, admin = (f"http://{host}:{container.get_exposed_port(port)}" for port in (8080, 9090))
        yield Simulator(endpoint, admin, TOKEN)


def test_the_container_answers(customer):
    customer.clock(now="2026-11-21T10:00:00+07:00")
    assert customer.clock()["frozen"]
    customer.verify(exactly=0)
