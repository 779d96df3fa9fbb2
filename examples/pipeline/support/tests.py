"""The team's own tests."""

import unittest

from serve import Model


class Answers(unittest.TestCase):
    def test_knows_where_parcels_are(self):
        self.assertIn("Orders", Model("model").answer("Where is my parcel?"))

    def test_sends_others_to_people(self):
        self.assertIn("person", Model("model").answer("What is the meaning of life?"))


if __name__ == "__main__":
    unittest.main()
