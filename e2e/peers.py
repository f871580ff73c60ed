# SPDX-License-Identifier: Apache-2.0
"""The real programs that the scripts of hack/ see to, and cert-manager's judgement of a Secret."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

from e2e.process import Say, say_on_stderr

ROOT = Path(__file__).resolve().parent.parent


class Refused(RuntimeError):
    """cert-manager's solver did not take the document; the message is its own."""


@functools.cache
def peer(name: str, say: Say = say_on_stderr) -> Path:
    """Return the directory of a peer's binaries, building them if they are missing."""
    return _made_by("peers", name, say=say)


@functools.cache
def dns_servers(say: Say = say_on_stderr) -> Path:
    """Return the directory of the DNS servers, fetching them if they are missing."""
    return _made_by("dns-servers", say=say)


def _made_by(script: str, *arguments: str, say: Say) -> Path:
    """Run a script of hack/ and return the directory that it names."""
    command = [ROOT / "hack" / script, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        for line in child.stderr:
            say(line.rstrip("\n"))
        directory = child.stdout.read().strip()
    if child.returncode != 0:
        raise RuntimeError(f"hack/{script} failed with {child.returncode}")
    return Path(directory)


def present(
    document: bytes, host: str, domain: str, token: str, ca_file: Path | None = None
) -> None:
    """Have cert-manager's acme-dns solver present a token through the Secret's document.

    An own CA of the acme-dns server replaces the system's, as SSL_CERT_FILE does in
    cert-manager's own container. Raises Refused with the solver's error.
    """
    env = dict(os.environ)
    if ca_file is not None:
        env["SSL_CERT_FILE"] = str(ca_file)
    done = subprocess.run(
        [peer("cert-manager") / "present", "--host", host, "--domain", domain, "--token", token],
        input=document,
        capture_output=True,
        env=env,
        timeout=60,
    )
    if done.returncode != 0:
        raise Refused(done.stderr.decode(errors="replace").strip())
