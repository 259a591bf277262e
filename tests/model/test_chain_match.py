"""Which filter chain takes a connection: Envoy's rules, as a table of chains and connections."""

from unittest import TestCase

from meshd.model.chain_match import ChainMatch, ChainTable, Facts

CLIENT = {"destination": "10.0.0.1", "destination_port": 443, "source": "203.0.113.9", "direct_source": "203.0.113.9",
          "source_port": 40000}


def table(**chains):
    """Return a table of chains by name."""
    made = ChainTable()
    for name, match in chains.items():
        assert made.add(ChainMatch(**match), name) is None
    return made


class Matching(TestCase):
    def check(self, chains, *rows):
        """Compare (expected chain, facts of the connection) with what is found."""
        made = table(**chains)
        for expected, facts in rows:
            with self.subTest(expected=expected, **facts):
                self.assertEqual(made.find(Facts(**{**CLIENT, **facts})), expected)

    def test_a_chain_without_criteria_takes_everything(self):
        self.check({"all": {}}, ("all", {}), ("all", {"destination": "", "source": "", "direct_source": ""}))

    def test_the_destination_port(self):
        self.check({"https": {"destination_port": 443}, "rest": {}},
                   ("https", {}), ("rest", {"destination_port": 80}))

    def test_a_port_that_is_named_has_no_way_back_to_the_chains_of_any_port(self):
        self.check({"a": {"destination_port": 443, "server_names": ("a.example",)}, "rest": {}},
                   (None, {"server_name": "b.example"}), ("a", {"server_name": "a.example"}))

    def test_the_longest_prefix_of_the_destination(self):
        chains = {"wide": {"prefix_ranges": ("10.0.0.0/8",)}, "narrow": {"prefix_ranges": ("10.0.0.0/24",)},
                  "six": {"prefix_ranges": ("2001:db8::/32",)}}
        self.check(chains, ("narrow", {}), ("wide", {"destination": "10.9.0.1"}), (None, {"destination": "11.0.0.1"}),
                   ("six", {"destination": "2001:db8::1"}), (None, {"destination": ""}))

    def test_the_longest_prefix_has_no_way_back_to_a_shorter_one(self):
        chains = {"wide": {"prefix_ranges": ("10.0.0.0/8",)},
                  "narrow": {"prefix_ranges": ("10.0.0.0/24",), "transport_protocol": "tls"}}
        self.check(chains, (None, {}), ("narrow", {"transport_protocol": "tls"}), ("wide", {"destination": "10.9.0.1"}))

    def test_whether_what_the_client_says_decides(self):
        chains = {"names": {"destination_port": 443, "server_names": ("a.example",)},
                  "some": {"destination_port": 443, "prefix_ranges": ("10.1.0.0/16",)},
                  "http": {"destination_port": 80, "transport_protocol": "raw_buffer",
                           "application_protocols": ("http/1.1",)},
                  "alpn": {"destination_port": 81, "application_protocols": ("h2",)},
                  "near": {"destination_port": 82, "source_type": "same_ip_or_loopback"}}
        rows = (({}, True), ({"destination": "10.1.0.1"}, False), ({"destination_port": 80}, True),
                ({"destination_port": 81}, True), ({"destination_port": 82}, False), ({"destination_port": 83}, False))
        made = table(**chains)
        for facts, expected in rows:
            self.assertIs(made.depends_on_client(Facts(**{**CLIENT, **facts})), expected, facts)

    def test_a_prefix_with_host_bits_is_the_network(self):
        self.check({"net": {"prefix_ranges": ("10.0.0.77/24",)}}, ("net", {}))

    def test_server_names_the_name_itself_then_the_longest_suffix_then_any(self):
        chains = {"www": {"server_names": ("www.example.com",)}, "sub": {"server_names": ("*.example.com",)},
                  "com": {"server_names": ("*.com",)}, "any": {}}
        self.check(
            chains, ("www", {"server_name": "www.example.com"}), ("sub", {"server_name": "a.b.example.com"}),
            ("sub", {"server_name": "x.example.com"}), ("com", {"server_name": "example.com"}),
            ("com", {"server_name": "other.com"}), ("any", {"server_name": "com"}), ("any", {}),
            ("www", {"server_name": "WWW.Example.COM"}), ("any", {"server_name": "a.org"}))

    def test_the_server_name_has_no_way_back(self):
        chains = {"www": {"server_names": ("www.example.com",), "application_protocols": ("h2",)},
                  "sub": {"server_names": ("*.example.com",)}}
        self.check(chains, (None, {"server_name": "www.example.com"}),
                   ("www", {"server_name": "www.example.com", "application_protocols": ("h2",)}))

    def test_the_transport_protocol(self):
        chains = {"tls": {"transport_protocol": "tls"}, "raw": {"transport_protocol": "raw_buffer"}}
        self.check(chains, ("raw", {}), ("tls", {"transport_protocol": "tls"}))
        self.check({"tls": {"transport_protocol": "tls"}, "any": {}}, ("any", {}))

    def test_application_protocols_in_the_order_of_the_client(self):
        chains = {"h2": {"application_protocols": ("h2",)}, "one": {"application_protocols": ("http/1.1", "http/1.0")},
                  "any": {}}
        self.check(
            chains, ("one", {"application_protocols": ("http/1.1", "h2")}),
            ("h2", {"application_protocols": ("spdy", "h2", "http/1.1")}), ("any", {"application_protocols": ("x",)}),
            ("any", {}))

    def test_the_peer_of_the_socket_and_the_client(self):
        chains = {"proxied": {"direct_source_prefix_ranges": ("192.0.2.0/24",)},
                  "office": {"source_prefix_ranges": ("203.0.113.0/24",)}}
        self.check(chains, ("proxied", {"direct_source": "192.0.2.1"}), ("office", {}),
                   (None, {"source": "198.51.100.1"}))

    def test_the_kind_of_source(self):
        chains = {"here": {"source_type": "same_ip_or_loopback"}, "there": {"source_type": "external"}}
        self.check(chains, ("there", {}), ("here", {"source": "127.0.0.1"}), ("here", {"source": "10.0.0.1"}),
                   ("here", {"source": "::1"}), ("here", {"source": ""}))
        self.check({"here": {"source_type": "same_ip_or_loopback"}, "any": {}}, ("any", {}),
                   ("here", {"source": "127.0.0.1"}))

    def test_the_source_port(self):
        chains = {"one": {"source_ports": (1000, 1001)}, "any": {}}
        self.check(chains, ("one", {"source_port": 1001}), ("any", {}))
        self.check({"one": {"source_ports": (1000,)}}, (None, {}))

    def test_criteria_count_in_envoys_order(self):
        chains = {"by_name": {"server_names": ("a.example",)}, "by_net": {"prefix_ranges": ("10.0.0.0/8",)}}
        self.check(chains, ("by_net", {"server_name": "a.example"}), ("by_name", {
            "destination": "11.0.0.1", "server_name": "a.example"}))


    def test_many_networks(self):
        chains = {f"host{number}": {"prefix_ranges": (f"10.1.{number // 256}.{number % 256}/32",)}
                  for number in range(3000)}
        made = table(**chains, net={"prefix_ranges": ("10.1.0.0/16",)}, all={"prefix_ranges": ("0.0.0.0/0",)})
        for number in range(0, 3000, 3):
            destination = f"10.1.{number // 256}.{number % 256}"
            self.assertEqual(made.find(Facts(**{**CLIENT, "destination": destination})), f"host{number}")
        self.assertEqual(made.find(Facts(**{**CLIENT, "destination": "10.1.200.1"})), "net")
        self.assertEqual(made.find(Facts(**{**CLIENT, "destination": "10.2.0.1"})), "all")
        self.assertIsNone(made.find(Facts(**{**CLIENT, "destination": "::1"})))


class Clashes(TestCase):
    def clash(self, one, two):
        """Return what the second of two chains clashes with."""
        made = ChainTable()
        self.assertIsNone(made.add(ChainMatch(**one), "one"))
        return made.add(ChainMatch(**two), "two")

    def test_two_chains_with_the_same_match_clash(self):
        for match in ({}, {"server_names": ("a.example",)}, {"source_ports": (1,), "destination_port": 2}):
            self.assertEqual(self.clash(match, match), "one")

    def test_a_part_in_common_is_a_clash(self):
        self.assertEqual(self.clash({"server_names": ("a.b", "c.d")}, {"server_names": ("e.f", "C.D")}), "one")
        self.assertEqual(self.clash({"prefix_ranges": ("10.0.0.1/8",)}, {"prefix_ranges": ("10.0.0.0/8",)}), "one")

    def test_different_criteria_do_not_clash(self):
        self.assertIsNone(self.clash({"server_names": ("a.b",)}, {"server_names": ("*.a.b",)}))
        self.assertIsNone(self.clash({"transport_protocol": "tls"}, {}))

    def test_too_many_combinations_are_refused(self):
        ports, names = tuple(range(1, 1001)), tuple(f"{number}.example" for number in range(101))
        with self.assertRaisesRegex(ValueError, "more than 100000 combinations"):
            ChainTable().add(ChainMatch(source_ports=ports, server_names=names), "big")


class Values(TestCase):
    def test_bad_values_are_named(self):
        match = ChainMatch(prefix_ranges=("10.0.0.0/8", "ten"), server_names=("*", "a.*.b", "*.ok", "dot."))
        self.assertEqual([place for place, _ in match.check()],
                         [("prefix_ranges", 1), ("server_names", 0), ("server_names", 1), ("server_names", 3)])
