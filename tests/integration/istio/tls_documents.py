"""Documents of Istio's tasks of TLS and TCP, with places for ports and files; nginx's server block."""

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: mygateway}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 80, name: http, protocol: HTTP}}
    hosts: [httpbin.example.com]
    tls: {{httpsRedirect: true}}
  - port: {{number: 443, name: https-httpbin, protocol: HTTPS}}
    tls: {{mode: SIMPLE, credentialName: httpbin-credential, minProtocolVersion: TLSV1_3}}
    hosts: [httpbin.example.com]
  - port: {{number: 443, name: https-helloworld, protocol: HTTPS}}
    tls: {{mode: SIMPLE, credentialName: helloworld-credential}}
    hosts: [helloworld.example.com]
  - port: {{number: 443, name: https-mutual, protocol: HTTPS}}
    tls: {{mode: MUTUAL, credentialName: mutual-credential, verifyCertificateSpki: ["{spki}"]}}
    hosts: [mutual.example.com]
  - port: {{number: 443, name: https-optional, protocol: HTTPS}}
    tls: {{mode: OPTIONAL_MUTUAL, credentialName: optional-credential, subjectAltNames: [client.example.com]}}
    hosts: [optional.example.com]
  - port: {{number: 443, name: tls-nginx, protocol: TLS}}
    tls: {{mode: PASSTHROUGH}}
    hosts: [nginx.example.com]
  - port: {{number: 31400, name: tcp, protocol: TCP}}
    hosts: ["*"]
  - port: {{number: 31401, name: tcp-tunnel, protocol: TCP}}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: httpbin}}
spec:
  hosts: [httpbin.example.com, helloworld.example.com, mutual.example.com, optional.example.com]
  gateways: [mygateway]
  http:
  - match: [{{uri: {{prefix: /status}}}}]
    route: [{{destination: {{host: details, port: {{number: 9080}}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: nginx}}
spec:
  hosts: [nginx.example.com]
  gateways: [mygateway]
  tls:
  - match: [{{port: 443, sniHosts: [nginx.example.com]}}]
    route: [{{destination: {{host: my-nginx.test, port: {{number: 443}}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: nginx}}
spec:
  hosts: [my-nginx.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 443, name: https, protocol: HTTPS}}]
  endpoints: [{{address: 127.0.0.1, ports: {{https: {nginx}}}}}]
"""
ECHO = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: tcp-echo}}
spec:
  hosts: [tcp-echo.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9000, name: tcp, protocol: TCP}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{tcp: {v1}}}, labels: {{version: v1}}}}
  - {{address: 127.0.0.1, ports: {{tcp: {v2}}}, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: tcp-echo}}
spec:
  host: tcp-echo.test
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""
TUNNEL = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: tunnel}}
spec:
  hosts: ["*"]
  gateways: [mygateway]
  tcp:
  - match: [{{port: 31401}}]
    route: [{{destination: {{host: proxy.test, port: {{number: 3128}}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: proxy}}
spec:
  hosts: [proxy.test]
  resolution: STATIC
  ports: [{{number: 3128, name: tcp, protocol: TCP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tcp: {proxy}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: proxy}}
spec:
  host: proxy.test
  trafficPolicy: {{tunnel: {{protocol: CONNECT, targetHost: external.example.com, targetPort: 8080}}}}
"""
SHIFT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: tcp-echo}}
spec:
  hosts: {hosts}
  {gateways}
  tcp:
  - match: [{{port: {port}}}]
    route:
    - destination: {{host: tcp-echo.test, port: {{number: 9000}}, subset: v1}}
      weight: {v1}
    - destination: {{host: tcp-echo.test, port: {{number: 9000}}, subset: v2}}
      weight: {v2}
"""
EGRESS = """
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
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: partners}}
spec:
  hosts: [edition.example.com, my-nginx.example.com, stranger.example.com]
  ports: [{{number: 80, name: http-port, protocol: HTTP}}, {{number: 443, name: https-port, protocol: HTTPS}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http-port: {nginx}, https-port: {nginx}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: edition}}
spec:
  host: edition.example.com
  trafficPolicy:
    portLevelSettings: [{{port: {{number: 80}}, tls: {{mode: SIMPLE, caCertificates: {ca}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: mutual}}
spec:
  host: my-nginx.example.com
  trafficPolicy:
    portLevelSettings:
    - {{port: {{number: 80}}, tls: {{mode: MUTUAL, credentialName: client-credential, sni: my-nginx.example.com}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: stranger}}
spec:
  host: stranger.example.com
  trafficPolicy: {{tls: {{mode: SIMPLE, caCertificates: {ca}}}}}
"""
API = """
apiVersion: v1
kind: Secret
metadata: {{name: httpbin-credential}}
type: kubernetes.io/tls
data: {{tls.crt: {crt}, tls.key: {key}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gateway}}
spec:
  gatewayClassName: meshd
  tls:
    frontend:
      default: {{}}
      perPort:
      - port: 8443
        tls: {{validation: {{caCertificateRefs: [{{group: "", kind: ConfigMap, name: mesh-ca}}]}}}}
  listeners:
  - {{name: partners, port: 8443, protocol: HTTPS, tls: {{certificateRefs: [{{name: httpbin-credential}}]}}}}
  - name: https
    port: 443
    protocol: HTTPS
    hostname: httpbin.example.com
    tls: {{certificateRefs: [{{name: httpbin-credential}}]}}
  - {{name: tls, port: 443, protocol: TLS, hostname: nginx.example.com, tls: {{mode: Passthrough}}}}
  - {{name: tcp, port: 9000, protocol: TCP}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: httpbin}}
spec:
  parentRefs: [{{name: gateway, sectionName: https}}, {{name: gateway, sectionName: partners}}]
  rules:
  - backendRefs: [{{group: networking.istio.io, kind: Hostname, name: details, port: 9080}}]
  - matches: [{{path: {{value: /secure}}}}]
    backendRefs: [{{name: secure, port: 443}}]
  - matches: [{{path: {{value: /stranger}}}}]
    backendRefs: [{{name: secure, port: 444}}]
---
apiVersion: v1
kind: Service
metadata: {{name: secure}}
spec: {{ports: [{{name: own, port: 443}}, {{name: wrong, port: 444}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: secure-1, labels: {{kubernetes.io/service-name: secure}}}}
addressType: IPv4
ports: [{{name: own, port: {nginx}}}, {{name: wrong, port: {nginx}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: secure}}
spec:
  targetRefs: [{{group: "", kind: Service, name: secure, sectionName: own}}]
  validation: {{hostname: nginx.example.com, caCertificateRefs: [{{group: "", kind: ConfigMap, name: mesh-ca}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: stranger}}
spec:
  targetRefs: [{{group: "", kind: Service, name: secure, sectionName: wrong}}]
  validation: {{hostname: stranger.example.com, caCertificateRefs: [{{group: "", kind: ConfigMap, name: mesh-ca}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: mesh-ca}}
data: {{ca.crt: {ca}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {{name: nginx}}
spec:
  parentRefs: [{{name: gateway}}]
  hostnames: [nginx.example.com]
  rules: [{{backendRefs: [{{group: networking.istio.io, kind: Hostname, name: my-nginx.test, port: 443}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: tcp-echo}}
spec:
  parentRefs: [{{name: gateway, sectionName: tcp}}]
  rules:
  - backendRefs:
    - {{group: networking.istio.io, kind: Hostname, name: one.test, port: 9000}}
    - {{group: networking.istio.io, kind: Hostname, name: two.test, port: 9000}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: one}}
spec:
  hosts: [one.test]
  resolution: STATIC
  ports: [{{number: 9000, name: tcp, protocol: TCP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tcp: {v1}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: two}}
spec:
  hosts: [two.test]
  resolution: STATIC
  ports: [{{number: 9000, name: tcp, protocol: TCP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tcp: {v2}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: nginx}}
spec:
  hosts: [my-nginx.test]
  resolution: STATIC
  ports: [{{number: 443, name: https, protocol: HTTPS}}]
  endpoints: [{{address: 127.0.0.1, ports: {{https: {nginx}}}}}]
"""
NGINX = """server { listen 127.0.0.1:%%(port)s ssl; server_name nginx.example.com;
  ssl_certificate %(crt)s; ssl_certificate_key %(key)s; ssl_client_certificate %(ca)s; ssl_verify_client optional;
  location / { return 200 "$ssl_server_name $ssl_client_verify $host\\n"; } }"""
