"""Documents to resources."""

from unittest import TestCase

from meshd.document.fault import Faults
from meshd_plugins.istio.read import read
from tests.istio.view import context_for, document, roots_of, rules


def taken(*texts):
    """Return (titles of the resources, codes of the faults)."""
    faults = Faults()
    found = read(roots_of(texts, faults), context_for(faults))
    return [one.title for one in found], [one.code for one in faults.sorted()]


GOOD = rules("a", "- {route: [{destination: {host: a.test}}]}")


class Read(TestCase):
    def test_a_document_without_a_namespace_is_of_the_namespace_default(self):
        self.assertEqual(taken(GOOD), (["VirtualService default/a"], []))

    def test_lists_are_taken_apart(self):
        text = '{"apiVersion": "v1", "kind": "List", "items": [%s, %s]}' % (GOOD, GOOD.replace('"a"', '"b"'))
        self.assertEqual(taken(text)[0], ["VirtualService default/a", "VirtualService default/b"])

    def test_several_documents_stand_in_one_file(self):
        text = GOOD + "\n---\n" + document("Service", "web", {"ports": [{"port": 80}]})
        self.assertEqual(taken(text)[0], ["VirtualService default/a", "Service default/web"])

    def test_every_version_of_the_api_is_read(self):
        for version in ("v1", "v1beta1", "v1alpha3"):
            self.assertEqual(taken(GOOD.replace("istio.io/v1", f"istio.io/{version}"))[1], [])
        self.assertEqual(taken(GOOD.replace("istio.io/v1", "istio.io/v2")), ([], ["MSH0303"]))

    def test_a_second_document_of_the_same_name_is_a_fault(self):
        self.assertEqual(taken(GOOD, GOOD), (["VirtualService default/a"], ["MSH0301"]))

    def test_a_misspelt_kind_or_group_is_a_fault(self):
        self.assertEqual(taken(GOOD.replace("VirtualService", "VirtualServices"))[1], ["MSH0302"])
        self.assertEqual(taken(GOOD.replace("networking.istio.io", "network.istio.io"))[1], ["MSH0302"])

    def test_kinds_that_say_nothing_to_a_proxy_are_left_alone(self):
        text = '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {}}'
        self.assertEqual(taken(text), ([], ["MSH0304"]))

    def test_a_name_must_be_one_of_kubernetes(self):
        self.assertEqual(taken(GOOD.replace('"name": "a"', '"name": "A_b"'))[1], ["MSH0106"])

    def test_a_document_without_metadata_is_a_fault(self):
        self.assertEqual(taken('{"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "spec": {}}')[0], [])

    def test_a_field_beside_spec_that_is_unknown_is_a_fault(self):
        self.assertEqual(taken(GOOD[:-1] + ', "specs": {}}')[1], ["MSH0104"])

    def test_a_bad_document_does_not_keep_the_others(self):
        self.assertEqual(taken(GOOD.replace('"route"', '"routes"').replace('"a"', '"b"'), GOOD)[0],
                         ["VirtualService default/a"])
