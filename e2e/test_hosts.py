# SPDX-License-Identifier: Apache-2.0
"""Which hosts the operator uses, how it finds them, and what it does when they do not answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.scene import SECRET, Scene, Site, condition, registration, secret_ref

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
