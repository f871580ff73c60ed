# SPDX-License-Identifier: Apache-2.0
"""What the tests share: one control plane for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.cluster import ControlPlane
from e2e.process import Say


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Print a line of progress on the terminal, past pytest's capture of the output."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def print_line(line: str) -> None:
        with capture.global_and_fixture_disabled():
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
