# SPDX-License-Identifier: Apache-2.0
"""Accounts and TXT values in SQLite (a file, or ``:memory:``).

Imitates acme-dns' rules: two TXT rows per account, made empty at registration;
a write takes the row with the older time, times being whole seconds, so that within
one second the third and fourth write hit the same row. Only a hash of the password
is stored. Failures of the database can be switched on, for writes alone (a full
disk) or for reads too (the server is gone).

Left out: PostgreSQL, the schema version, acme-dns' own table layout.
"""

import json
import sqlite3
import time
from dataclasses import dataclass

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  username TEXT NOT NULL UNIQUE,
  digest BLOB NOT NULL,
  subdomain TEXT NOT NULL UNIQUE,
  allowfrom TEXT NOT NULL,
  created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS value(
  subdomain TEXT NOT NULL,
  txt TEXT NOT NULL DEFAULT '',
  written INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS value_subdomain ON value(subdomain);
"""
_COLUMNS = "seq, username, digest, subdomain, allowfrom, created"


class DatabaseError(Exception):
    """The database failed; the text is what the driver says."""


@dataclass(frozen=True)
class Account:
    """One row; ``seq`` is the order of creation, from 1."""

    seq: int
    username: str
    digest: bytes
    subdomain: str
    allowfrom: list[str]
    created: float


class Store:
    """The database; short statements, made on the loop's own thread."""

    def __init__(self, path: str) -> None:
        self.failure: str | None = None
        self.reads_fail = False
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")  # a killed process loses nothing by it
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, username: str, digest: bytes, subdomain: str, allowfrom: list[str]) -> None:
        self._check(writing=True)
        row = (username, digest, subdomain, json.dumps(allowfrom), time.time())
        with self._transaction():
            self._db.execute(
                "INSERT INTO account(username, digest, subdomain, allowfrom, created)"
                " VALUES(?, ?, ?, ?, ?)",
                row,
            )
            rows = [(subdomain,), (subdomain,)]
            self._db.executemany("INSERT INTO value(subdomain) VALUES(?)", rows)

    def find(self, username: str) -> Account | None:
        self._check(writing=False)
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM account WHERE username=?", (username,)
        ).fetchone()
        return _account(found) if found else None

    def accounts(self) -> list[Account]:
        """All of them in the order of creation; the tests' way in, so it never fails."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM account ORDER BY seq")
        return [_account(row) for row in rows]

    def remove(self, subdomain: str) -> bool:
        """What acme-dns cannot do: forget an account."""
        with self._transaction():
            done = self._db.execute("DELETE FROM account WHERE subdomain=?", (subdomain,))
            self._db.execute("DELETE FROM value WHERE subdomain=?", (subdomain,))
        return done.rowcount > 0

    def write(self, subdomain: str, txt: str) -> None:
        self._check(writing=True)
        self._db.execute(
            "UPDATE value SET txt=?, written=? WHERE rowid="
            "(SELECT rowid FROM value WHERE subdomain=? ORDER BY written, rowid LIMIT 1)",
            (txt, int(time.time()), subdomain),
        )

    def values(self, subdomain: str) -> list[str]:
        """The values to answer; rows never written are left out."""
        self._check(writing=False)
        rows = self._db.execute(
            "SELECT txt FROM value WHERE subdomain=? ORDER BY rowid LIMIT 2", (subdomain,)
        )
        return [txt for (txt,) in rows if txt]

    def _check(self, writing: bool) -> None:
        if self.failure is not None and (writing or self.reads_fail):
            raise DatabaseError(self.failure)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    """BEGIN ... COMMIT, or ROLLBACK when the block raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _account(row: tuple) -> Account:
    seq, username, digest, subdomain, allowfrom, created = row
    return Account(seq, username, digest, subdomain, json.loads(allowfrom), created)
