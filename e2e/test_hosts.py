# SPDX-License-Identifier: Apache-2.0
"""Which hosts the operator uses, how it finds them, and what it does when they do not answer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.forward import ForwardProxy
from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import KEY, SECRET, Scene, Site, condition, registration, secret_ref

FLAGS = ("--leader-elect", "--secret-resync=1s", "--register-timeout=2s")


def told(obj: Object, kind: str = "Ready") -> str:
    """Return the message of a condition."""
    found = condition(obj, kind)
    assert found is not None
    return found["message"]


def stalls(scene: Scene, reason: str, name: str = "example") -> Object:
    """Wait until Registered, Ready and Stalled give the reason; return the object."""
    failed = f"False/{reason}"
    return scene.wait(name, Registered=failed, Ready=failed, Stalled=f"True/{reason}")


def address(server: AcmeDns) -> str:
    """Return host:port of a stand-in."""
    return urlsplit(server.url).netloc


# --- what the administrator allows ---


def test_hosts_that_are_not_allowed_get_nothing(scene: Scene, site: Site) -> None:
    with AcmeDns(api="127.0.0.2:0") as another:
        site.run(*FLAGS, f"--allowed-hosts=*.example.com,{address(scene.server)}")
        scene.create(registration(scene.server.url, "example.com"))
        where = secret_ref("another")
        other = registration(another.url, "example.com", name="other", accountSecretRef=where)
        scene.create(other)
        scene.wait_ready()
        assert "--allowed-hosts" in told(stalls(scene, "HostNotAllowed", "other"))
        assert scene.wait_event("HostNotAllowed", "other")["type"] == "Warning"
        scene.wait_looks(1, "another")
        assert scene.plane.find("secret", "another", scene.namespace) is None
        assert another.requests() == []
        assert len(scene.posts()) == 1
        site.run(*FLAGS, "--allowed-hosts=auth.test", f"--allowed-hosts={address(another)}")
        scene.wait_ready("other")
        assert len(another.requests("/register")) == 1


def test_accounts_of_a_host_that_is_allowed_no_more_stay(scene: Scene, site: Site) -> None:
    site.run(*FLAGS)
    scene.register("example.com")
    before = scene.secret()
    site.run(*FLAGS, "--allowed-hosts=auth.test")
    scene.wait_looks(2)
    scene.wait_ready()
    scene.present("example.com")
    scene.change(domains=["example.com", "www.example.com"])
    assert "--allowed-hosts" in told(stalls(scene, "HostNotAllowed"))
    assert scene.secret()["data"] == before["data"]
    assert len(scene.posts()) == 1


def test_http_is_not_used_when_https_is_required(scene: Scene, site: Site) -> None:
    site.run(*FLAGS, "--require-https")
    scene.create(registration(scene.server.url, "example.com"))
    assert "--require-https" in told(stalls(scene, "HostNotAllowed"))
    scene.wait_looks(1)
    assert scene.server.requests() == []
    assert scene.plane.find("secret", SECRET, scene.namespace) is None
    site.run(*FLAGS)
    scene.wait_ready()


# --- proxies ---


def create_each(scene: Scene, hosts: dict[str, str]) -> None:
    """Create an object for each name, with a Secret of that name, at its host."""
    for name, host in hosts.items():
        where = secret_ref(name)
        scene.create(registration(host, f"{name}.test", name=name, accountSecretRef=where))


def test_hosts_behind_a_proxy_are_used_only_if_they_are_allowed(
    scene: Scene, site: Site, tmp_path: Path
) -> None:
    site.vacate()
    hosts = {"known": "http://auth.corp.test", "unknown": "http://auth.other.test"}
    with ForwardProxy({"auth.corp.test": address(scene.server)}) as proxy:
        env = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        with Operator(site.kubeconfig, tmp_path, *FLAGS, env=env):
            create_each(scene, hosts)
            for name in hosts:
                assert "--allowed-hosts" in told(stalls(scene, "HostNotAllowed", name))
            # The API server and this one are on the loopback, where no proxy leads to.
            scene.create(registration(scene.server.url, "example.com"))
            scene.wait_ready()
            assert proxy.asked == []
        with Operator(site.kubeconfig, tmp_path, *FLAGS, "--allowed-hosts=*.corp.test", env=env):
            scene.wait_ready("known")
            stalls(scene, "HostNotAllowed", "unknown")
        assert proxy.asked == ["POST http://auth.corp.test/register"]
    assert len(scene.posts()) == 2


@pytest.mark.parametrize("status", [403, 407, 502])
def test_proxy_that_refuses_to_connect_makes_no_account(
    scene: Scene, site: Site, tmp_path: Path, status: int
) -> None:
    site.vacate()
    flags = (*FLAGS, "--allowed-hosts=auth.corp.test")
    with (
        ForwardProxy({}, status) as proxy,
        Operator(site.kubeconfig, tmp_path, *flags, env={"HTTPS_PROXY": proxy.url}) as operator,
    ):
        scene.create(registration("https://auth.corp.test", "example.com"))
        obj = scene.wait(Ready="False/ServerUnavailable", Reconciling="True/ProgressingWithRetry")
        assert told(obj) == "proxy failed"
        # Nothing was sent to the server, so the next try comes soon, and nothing is counted.
        eventually(lambda: len(proxy.asked) > 1, 20, "a second try")
        assert set(proxy.asked) == {"CONNECT auth.corp.test:443"}
        assert operator.metric("acmedns_accounts_possibly_orphaned_total") == 0
        note = scene.own_document()["keys"][KEY]["example.com"]
        assert note.get("uncertain", 0) == 0
