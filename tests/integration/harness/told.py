"""What ``explain`` says would become of a request, brought to what a comparison can look at."""

from meshd.explain.answer import explain
from meshd.explain.asked import asked
from meshd.runtime.site import finish


def told(runtime, listener, port, request):
    """Return (route, cluster, path, host) or (route, status, location) of a ``Request``, and the whole answer."""
    headers = [f"host: {request.host}", *(f"{name}: {value}" for name, value in request.fields)]
    found = finish(explain(runtime, asked(
        request.method, f"http://127.0.0.1:{port}{request.target}", headers, listener=listener)))
    result = found["result"]
    route = (found.get("route") or {}).get("name")
    if result["kind"] == "forward":
        sent = next(one for one in found["upstream"])
        return (route, sent["cluster"], sent["path"], sent["host"]), found
    return (route, result["status"], dict(result.get("headers", ())).get("location")), found
