# SPDX-License-Identifier: Apache-2.0
"""A stand-in of the acme-dns server for tests, warts included.

It is run as a process of its own (``python -m e2e.acmedns``, see ``__main__``)
and driven from tests by ``e2e.acmedns.client.AcmeDns``.
"""
