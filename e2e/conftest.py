# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a control plane for the whole run, and the operator on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.acmedns.listeners import parse_address
from e2e.bind import Bind
from e2e.cluster import ControlPlane
from e2e.external_dns import install_crd, remove_crd
from e2e.pebble import Pebble
from e2e.process import Say, say_on_stderr
from e2e.scene import Scene, Site
from e2e.unbound import Unbound


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let test_any_cluster.py run against a cluster that has the operator already."""
    group = parser.getgroup("a cluster of your own")
    group.addoption("--kubeconfig", help="of a cluster that the operator runs in")
    group.addoption("--acme-dns-url", help="of an acme-dns that the operator reaches")


# Those that take longest: they begin, so that several processes end together.
_LONG = ("kill", "rest", "mitm", "asleep", "api_server", "rotate_by_dns", "answers", "leader")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of those files first."""
    long = {f"test_{name}.py" for name in _LONG}
    items.sort(key=lambda item: item.path.name not in long)


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Print a line of progress on the terminal, past pytest's capture of the output."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def print_line(line: str) -> None:
        with capture.global_and_fixture_disabled():
            if reporter is None:  # a worker of several: only the first process has a terminal
                say_on_stderr(line)
                return
            reporter.ensure_newline()
            reporter.write_line(line)

    return print_line


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, say: Say) -> Iterator[ControlPlane]:
    """Run a control plane for the session; its files stay if a test failed."""
    plane = ControlPlane(say)
    plane.start()
    yield plane
    plane.stop(keep=request.session.testsfailed > 0)


@pytest.fixture(scope="session")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Install the operator; its end without a sanitizer's complaint is seen here."""
    site = Site(control_plane, tmp_path_factory.mktemp("operator"))
    yield site
    site.vacate()


@pytest.fixture(scope="session")
def _stand_in() -> Iterator[AcmeDns]:
    """Run an acme-dns stand-in."""
    with AcmeDns() as server:
        yield server


@pytest.fixture
def acme_dns(_stand_in: AcmeDns) -> Iterator[AcmeDns]:
    """Have an acme-dns stand-in without accounts, faults and logs."""
    yield _stand_in
    _stand_in.clear()
    for account in _stand_in.accounts():
        _stand_in.forget(account["subdomain"])


@pytest.fixture
def scene(site: Site, acme_dns: AcmeDns) -> Iterator[Scene]:
    """Make a namespace of the test's own."""
    scene = Scene(site, acme_dns)
    yield scene
    scene.close()


@pytest.fixture
def primary(acme_dns: AcmeDns, tmp_path: Path) -> Iterator[Bind]:
    """Run BIND as the primary of example.test; it finds the stand-in's zone, too."""
    forward = {acme_dns.domain: parse_address(acme_dns.dns)}
    zones: dict[str, list[str]] = {"example.test": []}
    with Bind(tmp_path / "bind", zones, forward=forward, negative_ttl=1) as bind:
        yield bind


@pytest.fixture
def resolver(primary: Bind, acme_dns: AcmeDns, tmp_path: Path) -> Iterator[Unbound]:
    """Run a resolver that finds example.test and the stand-in's zone, and remembers denials."""
    stubs = {"example.test": primary.socket_address, acme_dns.domain: parse_address(acme_dns.dns)}
    with Unbound(tmp_path / "unbound", stubs) as unbound:
        yield unbound


@pytest.fixture
def pebble(primary: Bind, tmp_path: Path) -> Iterator[Pebble]:
    """Run a certificate authority that asks the primary, which soon forgets a denial."""
    with Pebble(tmp_path / "pebble", primary.socket_address) as pebble:
        yield pebble


@pytest.fixture
def dns_endpoints(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Have the CRD of DNSEndpoint in the control plane while the test runs."""
    install_crd(control_plane)
    yield control_plane
    remove_crd(control_plane)


@pytest.fixture
def stack(site: Site) -> Iterator[ExitStack]:
    """End what a test has begun, which runs operators of its own."""
    site.vacate()
    with ExitStack() as stack:
        yield stack
