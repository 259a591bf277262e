"""Random edits of a folder of Istio documents, for the tests of what a reader takes over from its last reading."""

import os

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
SIDECAR = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: side, namespace: default}
spec:
  egress:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*/*"]}
  - {hosts: ["*/*"]}
"""
ENTRY = """\
{comment}apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{host}]
  exportTo: ["{export}"]
  resolution: STATIC
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  {endpoints}
"""
WORKLOAD = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: default}}
spec: {{address: 10.1.0.{last}, labels: {{app: {app}}}}}
"""
RULE = """\
{comment}apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: default}}
spec:
  host: "{host}"
  trafficPolicy:
    connectionPool: {{tcp: {{maxConnections: {limit}}}}}
    loadBalancer: {{{balancer}}}
    {tls}
  subsets: [{{name: v1, labels: {{version: v1}}}}]
"""
ROUTES = """\
{comment}apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{host}]
  gateways: [edge, mesh]
  http:
  - name: first
    match: [{{uri: {{prefix: /{limit}}}}}]
    {action}
  - route: [{{destination: {{host: {target}, subset: "{subset}"}}}}]
    {extra}
"""
DELEGATE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  http:
  - {{name: inner, match: [{{uri: {{prefix: /{limit}/{limit}}}}}], route: [{{destination: {{host: {target}}}}}]}}
"""
CONFIG = """\
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh}}
spec: {{connectTimeout: {limit}s, defaultHttpRetryPolicy: {{attempts: {limit}}}}}
"""
LIMIT = """\
apiVersion: meshd.io/v1alpha1
kind: RateLimitPolicy
metadata: {{name: {name}, namespace: default}}
spec:
  targetRef: {{kind: VirtualService, name: {target}}}
  limits: [{{requests: {limit}, per: 1s}}]
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{selector: {{app: {app}}}, ports: [{{port: 80, name: http}}]}}
"""
OTHER = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"
BROKEN = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: {limit}}}
"""
UNREADABLE = "a: [{limit}\n"
TEXTS = (ENTRY,) * 6 + (RULE,) * 5 + (ROUTES,) * 8 + (WORKLOAD,) * 2 + (
    DELEGATE, DELEGATE, CONFIG, LIMIT, SERVICE, SERVICE, OTHER, BROKEN, UNREADABLE)
HOSTS = ("a.test", "b.test", "c.test", "short")
ACTIONS = ("redirect: {{uri: /x}}", "delegate: {{name: n{other}}}", "route: [{{destination: {{host: {target}}}}}]")
EXTRAS = ("", "timeout: {limit}s", "retries: {{attempts: 2, retryOn: cancelled}}",
          "corsPolicy: {{allowOrigins: [{{exact: http://x}}]}}", "mirror: {{host: {target}}}")


def start(folder, port, role="ingress"):
    """Write a native file, the gateway and the sidecar; return the native file's path."""
    os.makedirs(os.path.join(folder, "mesh.d"))
    with open(os.path.join(folder, "mesh.d", "gateway.yaml"), "w") as file:
        file.write(GATEWAY + "---\n" + SIDECAR)
    path = os.path.join(folder, "mesh.yaml")
    with open(path, "w") as file:
        file.write(f"node: {{id: edge, role: {role}, ports: {{80: {port}}}}}\ndocuments: [mesh.d]\n")
    return path


def edit(folder, chance):
    """Write, change or remove one document."""
    name = chance.randrange(12)
    path = os.path.join(folder, "mesh.d", f"n{name}.yaml")
    if chance.random() < 0.2 and os.path.exists(path):
        os.remove(path)
        return
    words = {
        "name": f"n{name}", "other": chance.randrange(12), "host": chance.choice(HOSTS), "app": chance.choice("xy"),
        "target": chance.choice(HOSTS), "limit": chance.randrange(1, 4), "last": chance.randrange(1, 9),
        "port": chance.choice((80, 80, 81)), "comment": "# moved\n" * chance.randrange(3),
        "export": chance.choice("**."), "subset": chance.choice(("", "v1", "v1", "none")),
        "balancer": chance.choice(("simple: ROUND_ROBIN", "simple: RANDOM", "consistentHash: {useSourceIp: true}")),
        "tls": chance.choice(("",) * 9 + ("tls: {mode: SIMPLE}",)),
        "endpoints": chance.choice(("workloadSelector: {labels: {app: x}}",
                                    "endpoints: [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2}]")),
    }
    for key, choices in (("action", ACTIONS), ("extra", EXTRAS)):
        words[key] = chance.choice(choices).format(**words)
    with open(path, "w") as file:
        file.write(chance.choice(TEXTS).format(**words))
