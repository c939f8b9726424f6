"""Formats of names."""

import random

from merec.presentation.numbers_and_captions import order_naturally


def test_numbers_within_names_sort_by_their_value():
    names = ["006", "sub1", "sub2", "sub10", "sub10_EP2", "sub10_EP11"]
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted(shuffled, key=order_naturally) == names
    assert sorted(["10", "9", "1"], key=order_naturally) == ["1", "9", "10"]
