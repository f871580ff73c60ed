# SPDX-License-Identifier: Apache-2.0
"""Passwords: made at random, kept as bcrypt hashes only.

The hashing runs in a pool of threads, so that the loop goes on, and no more of it
at a time than the machine has cores. acme-dns itself holds its database lock while
it hashes at registration, so it makes one account at a time: that is ``workers=1``.
"""

import asyncio
import os
import secrets
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

_ALPHABET = string.ascii_letters + string.digits + "-_"
_LENGTH = 40
T = TypeVar("T")


def generate() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


class Hasher:
    """bcrypt off the loop."""

    def __init__(self, workers: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, "bcrypt")

    async def make(self, password: str, cost: int) -> bytes:
        salt = bcrypt.gensalt(cost, b"2a")
        return await self._run(bcrypt.hashpw, password.encode(), salt)

    async def matches(self, password: str, digest: bytes) -> bool:
        return await self._run(bcrypt.checkpw, password.encode(), digest)

    async def waste(self, password: str, cost: int) -> None:
        """Cost as much as a comparison, for a user that is not there."""
        await self.make(password, cost)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[..., T], *args: bytes) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
