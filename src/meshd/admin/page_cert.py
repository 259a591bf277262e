"""/certs: certificates and authorities in use, and when they expire; nothing of a key."""

from typing import Any

from meshd.admin.page import Query, Reply, document


def certs(daemon: Any, query: Query) -> Reply:
    """Every owner of TLS with its certificates."""
    rows = daemon.world.secrets.rows()
    return document({"certificates": [{"owner": row["owner"], **one} for row in rows for one in row["certificates"]],
                     "owners": [{name: row[name] for name in ("owner", "loaded_s", "error")} for row in rows]})
