"""/certs: certificates, authorities and revocation lists in use, and when they expire; nothing of a key."""

from typing import Any

from meshd.admin.page import Query, Reply, document


def certs(daemon: Any, query: Query) -> Reply:
    """Every owner of TLS with its certificates and revocation lists."""
    rows = daemon.world.secrets.rows()
    return document({**{kind: [{"owner": row["owner"], **one} for row in rows for one in row[kind]]
                        for kind in ("certificates", "revocation_lists")},
                     "owners": [{name: row[name] for name in ("owner", "loaded_s", "error")} for row in rows]})
