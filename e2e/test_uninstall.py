# SPDX-License-Identifier: Apache-2.0
"""README's "Uninstall", on a control plane of its own, since it takes the kind away."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import ControlPlane
from e2e.peers import ROOT
from e2e.process import Say
from e2e.scene import SECRET, Scene, Site, secret_ref


@pytest.fixture
def plane(say: Say) -> Iterator[ControlPlane]:
    """Run one more control plane."""
    with ControlPlane(say) as plane:
        yield plane


def commands() -> list[list[str]]:
    """Return the commands of the section, as they stand there."""
    section = (ROOT / "README.md").read_text().split("## Uninstall", 1)[1].split("##", 1)[0]
    return [shlex.split(line) for line in re.findall(r"^    kubectl (.*)$", section, re.M)]


def test_uninstall(
    plane: ControlPlane, acme_dns: AcmeDns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = Site(plane, tmp_path_factory.mktemp("uninstall"))
    site.run("--leader-elect")
    scene = Scene(site, acme_dns)
    scene.register("example.com", name="retained")
    scene.register(
        "example.org", name="deleted", accountSecretRef=secret_ref("other"), deletionPolicy="Delete"
    )
    accounts = scene.accounts()
    objects, *rest = commands()
    plane.kubectl(*objects, "--timeout=30s")
    site.vacate()
    for command in rest:
        # Nobody finishes the deletion of a namespace here: there is no controller manager.
        plane.kubectl(*command, "--wait=false")
    plane.kubectl("wait", "--for=delete", "crd", "--all", "--timeout=30s")
    assert plane.find("clusterrole", "acme-dns-operator") is None
    assert scene.accounts() == accounts
    assert scene.accounts(name="other") == {}
    assert scene.secret(SECRET)["type"] == "Opaque"
