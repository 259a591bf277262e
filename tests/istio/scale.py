"""A mesh of many services as documents: for the tests and the benchmark of checks and reloads.

    python -m tests.istio.scale FOLDER [SERVICES [ENDPOINTS]]
"""

import os
import sys

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: svc-{n}, namespace: default}}
spec:
  hosts: [svc-{n}.shop.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {{number: 80, name: http, protocol: HTTP}}
  endpoints:
{endpoints}
"""
ENDPOINT = "  - {{address: 10.{a}.{b}.{c}, labels: {{version: v{version}}}, ports: {{http: 8080}}}}"
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: svc-{n}, namespace: default}}
spec:
  host: svc-{n}.shop.test
  trafficPolicy:
    connectionPool:
      tcp: {{maxConnections: 100, connectTimeout: 2s}}
      http: {{http1MaxPendingRequests: 100, http2MaxRequests: 1000}}
    loadBalancer: {{simple: ROUND_ROBIN}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: svc-{n}, namespace: default}}
spec:
  hosts: [svc-{n}.shop.test]
  gateways: [edge, mesh]
  http:
  - name: canary
    match:
    - headers: {{x-canary: {{exact: "1"}}}}
      uri: {{prefix: /api/}}
    route:
    - destination: {{host: svc-{n}.shop.test, subset: v2}}
    timeout: 2s
  - name: split
    route:
    - destination: {{host: svc-{n}.shop.test, subset: v1}}
      weight: 95
    - destination: {{host: svc-{n}.shop.test, subset: v2}}
      weight: 5
    retries: {{attempts: 3, perTryTimeout: 1s, retryOn: "connect-failure,refused-stream,503"}}
"""
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
"""
NATIVE = """\
node: {{id: edge, role: ingress, ports: {{80: {port}}}}}
admin: {{address: "unix:{folder}/admin"}}
documents: [mesh.d]
"""


def write(folder, services=1000, endpoints=10_000, port=18080):
    """Write a native file and ``3 * services + 1`` documents, each in its own file; return the native file's path."""
    documents = os.path.join(folder, "mesh.d")
    os.makedirs(documents, exist_ok=True)
    each = endpoints // services
    for n in range(services):
        rows = "\n".join(ENDPOINT.format(a=n >> 8, b=n & 255, c=one + 1, version=one % 2 + 1) for one in range(each))
        for kind, text in (("entry", ENTRY), ("rule", RULE), ("routes", ROUTES)):
            with open(os.path.join(documents, f"{kind}-{n:05}.yaml"), "w") as file:
                file.write(text.format(n=n, endpoints=rows))
    with open(os.path.join(documents, "gateway.yaml"), "w") as file:
        file.write(GATEWAY)
    path = os.path.join(folder, "mesh.yaml")
    with open(path, "w") as file:
        file.write(NATIVE.format(port=port, folder=folder))
    return path


if __name__ == "__main__":
    print(write(sys.argv[1], *map(int, sys.argv[2:])))
