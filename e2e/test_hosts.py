# SPDX-License-Identifier: Apache-2.0
"""Which hosts the operator uses, how it finds them, and what it does when they do not answer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import ApiError, Object
from e2e.forward import ForwardProxy
from e2e.names import NameServer
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
        assert told(obj) == "the operator's own proxy does not let the request through"
        # Nothing was sent to the server, so the next try comes soon, and nothing is counted.
        eventually(lambda: len(proxy.asked) > 1, 20, "a second try")
        assert set(proxy.asked) == {"CONNECT auth.corp.test:443"}
        assert operator.metric("acmedns_accounts_possibly_orphaned_total") == 0
        note = scene.own_document()["keys"][KEY]["example.com"]
        assert note.get("uncertain", 0) == 0


# --- addresses ---


METADATA = "169.254.169.254"


def test_dns_server_that_changes_its_answer_changes_nothing(
    scene: Scene, site: Site, tmp_path: Path
) -> None:
    site.vacate()
    host = f"http://rebind.test:{urlsplit(scene.server.url).port}"
    answers = {"rebind.test": [[METADATA, "127.0.0.1"], [METADATA]]}
    domains = [f"d{i}.example.com" for i in range(6)]
    with (
        NameServer(tmp_path, answers) as names,
        Operator(site.kubeconfig, tmp_path, *FLAGS, program=names.program),
    ):
        scene.create(registration(host, *domains))
        scene.wait_ready()
        assert len(scene.posts()) == 6
        assert names.asked == ["rebind.test"]
        # An object of the same host is served by the same answer, for a while.
        create_each(scene, {"second": host})
        scene.wait_ready("second")
        assert names.asked == ["rebind.test"]
        scene.delete()
        scene.delete("second")
        create_each(scene, {"between": scene.server.url})
        scene.wait_ready("between")
        create_each(scene, {"third": host})
        assert "a link-local address" in told(stalls(scene, "HostAddressRefused", "third"))
        assert names.asked == ["rebind.test"] * 2
    assert len(scene.posts()) == 8


def test_name_that_leads_inside_is_refused(scene: Scene, site: Site, tmp_path: Path) -> None:
    site.vacate()
    answers = {"metadata.test": [[METADATA]], "none.test": [["0.0.0.0"]]}
    with (
        NameServer(tmp_path, answers) as names,
        Operator(site.kubeconfig, tmp_path, *FLAGS, program=names.program),
    ):
        create_each(scene, {"metadata": "http://metadata.test", "none": "https://none.test"})
        create_each(scene, {"nowhere": "http://nowhere.test"})
        assert "a link-local address" in told(stalls(scene, "HostAddressRefused", "metadata"))
        assert "an unspecified address" in told(stalls(scene, "HostAddressRefused", "none"))
        failed = scene.wait("nowhere", Ready="False/ServerUnavailable")
        assert "does not exist in DNS" in told(failed)


def test_address_of_the_api_server_is_refused_in_every_form(scene: Scene, site: Site) -> None:
    site.run(*FLAGS, "--allow-address=127.0.0.2/32", without="--allow-address=127.0.0.0/8")
    port = scene.plane.port
    forms = {
        "plain": "127.0.0.1",
        "mapped": "[::ffff:127.0.0.1]",
        "nat64": "[64:ff9b::7f00:1]",
        "local-nat64": "[64:ff9b:1::7f00:1]",
        "6to4": "[2002:7f00:1::1]",
    }
    create_each(scene, {name: f"https://{host}:{port}" for name, host in forms.items()})
    for name in forms:
        obj = stalls(scene, "HostAddressRefused", name)
        assert "the Kubernetes API server's address" in told(obj)
        assert scene.plane.find("secret", name, scene.namespace) is None


ODD_HOSTS = [
    "http://2852039166/",
    "http://0x7f.1",
    "http://0xa9fea9fe",
    "http://0251.0376.0251.0376",
    "http://169.254.169.254.",
    "http://127.0.0.256",
    "http://svc\\@evil.test",
    "http://svc@evil.test",
    "http://svc:word@evil.test",
    "http://svc#@evil.test",
    "http://svc?@evil.test",
    "http://svc%2eevil.test",
    "http://auth.test/#/x",
    "http://auth.test/../x",
    "http://auth.test:0",
    "http://auth.test:65536",
    "http://[::1",
    "http://[fe80::1%25eth0]",
    "http://auth.test\r\nX-Injected: 1",
    "http://b\u00fccher.test",
    "http:/auth.test",
    "//auth.test",
    "file:///etc/passwd",
    "gopher://auth.test",
]


@pytest.mark.parametrize("host", ODD_HOSTS, ids=repr)
def test_host_that_can_be_read_in_two_ways_is_refused_by_the_schema(
    scene: Scene, host: str
) -> None:
    with pytest.raises(ApiError, match=r"spec\.host") as caught:
        scene.create(registration(host, "example.com"))
    assert caught.value.status == 422


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(scene: Scene, site: Site, status: int) -> None:
    site.run(*FLAGS)
    with AcmeDns() as another:
        location = {"Location": f"{another.url}/register"}
        scene.server.fault(kind="answer", status=status, headers=location)
        scene.create(registration(scene.server.url, "example.com"))
        obj = scene.wait(Ready="False/RegistrationUnavailable")
        assert "redirects" in told(obj)
        assert another.requests() == []
    assert len(scene.posts()) == 1


# --- slots ---


def test_namespaces_take_turns_at_a_host(scene: Scene, site: Site) -> None:
    site.run("--leader-elect", "--secret-resync=1s", "--register-timeout=60s")
    another = scene.another_namespace()
    scene.server.hold()
    many = [f"m{i}" for i in range(30)]
    create_each(scene, dict.fromkeys(many, scene.server.url))
    scene.server.wait_held(4)
    for name in many:
        scene.wait(name, Reconciling="True")
    lone = registration(scene.server.url, "lone.test", name="lone", allowFrom=["10.9.0.0/16"])
    scene.create(lone, another)
    scene.wait("lone", another, Reconciling="True")
    eventually(lambda: scene.counts(another)["get secrets"] > 0, 20, "it stands in the line")
    scene.server.release()
    scene.wait_ready("lone", another)
    scene.wait_all_ready(len(many), 60)
    posts = [each["body"] for each in scene.posts()]
    turn = next(i for i, body in enumerate(posts) if "10.9.0.0/16" in body)
    # Four were held; of the four slots that they left each other one is the other namespace's.
    # Those that are sent together arrive in any order.
    assert 4 <= turn < 12
    assert len(posts) == len(many) + 1


# --- servers that fail ---


def fail_thrice(scene: Scene, status: int) -> None:
    """Have the server refuse three objects in a row; it is left alone from then on."""
    scene.server.fault(kind="answer", status=status)
    for i in range(3):
        create_each(scene, {f"failed-{i}": scene.server.url})
        scene.wait(f"failed-{i}", Ready="False/ServerUnavailable")


def asked_for_health(scene: Scene) -> int:
    """Return how often the server was asked whether it lives."""
    return len(scene.server.requests("/health", method="GET"))


def test_server_that_fails_is_left_alone_until_it_answers(scene: Scene, site: Site) -> None:
    operator = site.run(*FLAGS)
    scene.server.fault(kind="answer", status=503, path="/health")
    fail_thrice(scene, 500)
    assert operator.metric("acmedns_hosts_unavailable") == 1
    create_each(scene, {"waits": scene.server.url})
    obj = scene.wait("waits", Ready="False/ServerUnavailable", Reconciling="True")
    assert "GET /health" in told(obj)
    eventually(lambda: asked_for_health(scene) >= 1, 20, "it is asked whether it lives")
    assert len(scene.posts()) == 3
    assert scene.plane.find("secret", "waits", scene.namespace) is None
    assert scene.get("waits")["status"] == obj["status"]
    with AcmeDns() as another:
        create_each(scene, {"elsewhere": another.url})
        scene.wait_ready("elsewhere")
    scene.server.unfault()
    scene.wait_ready("waits", timeout=40)
    assert operator.metric("acmedns_hosts_unavailable") == 0
    assert operator.metric("acmedns_health_probes_total", result="alive") >= 1


def test_server_without_health_is_alive_and_is_tried_by_one_at_a_time(
    scene: Scene, site: Site
) -> None:
    site.run(*FLAGS)
    scene.server.fault(kind="answer", status=404, path="/health")
    fail_thrice(scene, 503)
    create_each(scene, dict.fromkeys(["a", "b", "c"], scene.server.url))
    eventually(lambda: len(scene.posts()) == 4, 20, "one tries")
    eventually(lambda: len(scene.posts()) == 5, 30, "another tries, after a longer pause")
    assert asked_for_health(scene) == 2
