"""Documents of a mesh whose proxies have certificates in files (``test_mesh_tls.py``), as templates."""

SERVER = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh}}
spec: {{trustDomain: mesh.test}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: inner}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 443, name: https, protocol: HTTPS}}
    hosts: ["*"]
    tls: {{mode: ISTIO_MUTUAL}}
  - port: {{number: 9443, name: tls, protocol: TLS}}
    hosts: ["*"]
    tls: {{mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: details}}
spec:
  hosts: ["*"]
  gateways: [inner]
  http:
  - route: [{{destination: {{host: details, port: {{number: 9080}}}}}}]
  tcp:
  - route: [{{destination: {{host: lines.test, port: {{number: 9000}}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: lines}}
spec:
  hosts: [lines.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9000, name: tcp, protocol: TCP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tcp: {lines}}}}}]
"""
CLIENT = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh}}
spec: {{trustDomain: mesh.test}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: default}}
spec:
  egress:
  - port: {{number: 80, name: http, protocol: HTTP}}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["*/*"]
  - port: {{number: 9000, name: tcp, protocol: TCP}}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["*/*"]
---
{services}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: mesh}}
spec:
  host: "*.test"
  trafficPolicy:
    connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}
    tls: {{mode: ISTIO_MUTUAL}}
"""
SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: ["{name}.test"]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: {word}, protocol: {protocol}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{{word}: {at}}}{more}}}]
"""
EAST_WEST = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: east-west}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 15443, name: tls, protocol: TLS}}
    hosts: ["*.test"]
    tls: {{mode: AUTO_PASSTHROUGH}}
---
{services}
"""


def service(name, at, port=80, word="http", account=""):
    """Return a ServiceEntry of one endpoint of this machine, which listens at ``at``."""
    more = f", serviceAccount: {account}" if account else ""
    return SERVICE.format(name=name, port=port, word=word, protocol=word.upper(), at=at, more=more)
