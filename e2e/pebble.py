# SPDX-License-Identifier: Apache-2.0
"""pebble as the certificate authority, and the issuer that has certificates of it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Self

from cryptography import x509

from e2e.dns_server import ADDRESS, SocketAddress
from e2e.peers import peer
from e2e.pki import Authority
from e2e.process import Process, free_ports

_READY_TIMEOUT = 20.0
_ISSUE_TIMEOUT = 90.0
# What the issuer's exit status says; see hack/tools/cert-manager/issue.
_STAGES = {
    1: "order",
    2: "usage",
    3: "secret",
    4: "solver",
    5: "resolver",
    6: "validation",
}


class NotIssued(RuntimeError):
    """There is no certificate; `stage` is where it failed, the message is the issuer's own."""

    def __init__(self, stage: str, message: str) -> None:
        """Keep the stage, one of _STAGES."""
        super().__init__(message)
        self.stage = stage


class Certificate:
    """A certificate and the chain that came with it."""

    def __init__(self, pem: bytes) -> None:
        """Read the PEM, the certificate first."""
        self.pem = pem
        self._certificate = x509.load_pem_x509_certificates(pem)[0]

    @property
    def names(self) -> set[str]:
        """The DNS names that it is for."""
        extension = self._certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return set(extension.value.get_values_for_type(x509.DNSName))

    @property
    def issuer(self) -> str:
        """The name of who made it."""
        return self._certificate.issuer.rfc4514_string()


class Pebble:
    """An ACME server on 127.0.0.1 that validates through a resolver, for a with block.

    It sleeps before no validation and refuses no nonce at random, unlike by default.
    """

    def __init__(self, directory: Path, resolver: SocketAddress) -> None:
        """Describe it: where its files go, and the resolver that it asks."""
        self.directory = directory
        self.resolver = f"{resolver[0]}:{resolver[1]}"
        authority = Authority(directory / "pki", "pebble's own TLS")
        self.ca_file = authority.ca_file
        port, management, http, tls = free_ports(4)
        pair = authority.server("pebble", [ADDRESS])
        self.url = f"https://{ADDRESS}:{port}/dir"
        self._management = f"https://{ADDRESS}:{management}"
        configuration = {
            "listenAddress": f"{ADDRESS}:{port}",
            "managementListenAddress": f"{ADDRESS}:{management}",
            "certificate": str(pair.certificate),
            "privateKey": str(pair.key),
            "httpPort": http,
            "tlsPort": tls,
            "keyAlgorithm": "ecdsa",
        }
        path = directory / "pebble.json"
        path.write_text(json.dumps({"pebble": configuration}))
        self.process = Process(
            "pebble",
            [peer("pebble") / "pebble", "-config", path, "-dnsserver", self.resolver],
            directory / "pebble.log",
            {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"},
        )

    def __enter__(self) -> Self:
        """Serve, and fetch the root that it made for itself."""
        self.process.start()
        self.process.wait_ready(self._serves, _READY_TIMEOUT)
        self.root_file = self.directory / "root.pem"
        self.root_file.write_bytes(self._get(f"{self._management}/roots/0"))
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.kill()

    def issue(
        self, kubeconfig: Path, host: str, secret: str, *names: str, patience: float = 10.0
    ) -> Certificate:
        """Have a certificate made by way of the Secret, "namespace/name/key", and verify it.

        The host is the Issuer's. The CA is told of an answer to a challenge when its resolver
        shows it, which has so many seconds for that. Raises NotIssued.
        """
        command = [
            peer("cert-manager") / "issue",
            f"--directory={self.url}",
            f"--ca-file={self.ca_file}",
            f"--host={host}",
            f"--secret={secret}",
            f"--resolver={self.resolver}",
            f"--propagation={patience:g}s",
            *names,
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            timeout=_ISSUE_TIMEOUT,
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise NotIssued(_STAGES.get(done.returncode, str(done.returncode)), said)
        certificate = Certificate(done.stdout)
        self._verify(certificate)
        return certificate

    def _verify(self, certificate: Certificate) -> None:
        """See that the chain leads to the root."""
        path = self.directory / "chain.pem"
        path.write_bytes(certificate.pem)
        command = ["openssl", "verify", "-CAfile", self.root_file, "-untrusted", path, path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise AssertionError(f"the certificate does not lead to the root: {done.stderr}")

    def _serves(self) -> bool:
        try:
            return bool(self._get(self.url)) and bool(self._get(f"{self._management}/roots/0"))
        except OSError:
            return False

    def _get(self, url: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(url, timeout=5) as answer:
            return answer.read()
