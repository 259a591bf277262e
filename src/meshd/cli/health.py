"""Why an endpoint is not used, in words for people: ``meshctl proxy-config endpoint`` and ``meshctl explain``."""

from datetime import datetime


def health_text(row: dict) -> str:
    """Return an endpoint's health: ``healthy``, or its flags and the reasons that are known."""
    flags = row.get("health", "healthy")
    if flags == "healthy":
        return "healthy" if row["healthy"] else "unhealthy"
    return "; ".join([flags.strip("/").replace("/", ", "), *map(reason_text, row.get("why", ()))])


def reason_text(note: dict) -> str:
    """Return one reason: ``consecutive_5xx, ejection 2, until 12:00:31``."""
    parts = [note.get("reason") or "-"]
    if "ejections" in note:
        parts.append(f"ejection {note['ejections']}")
    if "until_s" in note:
        parts.append(f"until {datetime.fromtimestamp(note['until_s']):%H:%M:%S}")
    return ", ".join(parts)
