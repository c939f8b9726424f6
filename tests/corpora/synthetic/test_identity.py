"""Test that identities are reproducible, distinct, balanced over sex and ancestry, and within bounds."""

import numpy as np

from merec.synthetic.identity import ANCESTRIES, draw_identity


def test_an_identity_is_the_same_each_time_and_does_not_depend_on_the_others(head, people):
    for number, person in reversed(list(enumerate(people))):
        assert draw_identity(person.name, number, 0, head) == person


def test_identities_differ_between_names_and_seeds(head, people):
    other = [draw_identity(person.name, n, 1, head) for n, person in enumerate(people)]
    shapes = [person.compute_shape(head) for person in [*people, *other]]
    for number, one in enumerate(shapes):
        for another in shapes[:number]:
            distance = np.linalg.norm(one - another, axis=1)[head.list_vertices("skin")]
            assert distance.mean() > 1  # mm
    assert len({person.skin.colour for person in people}) == 6
    first, second = (draw_identity(name, 0, 0, head) for name in ("spNO.1", "spNO.7"))
    assert first.age != second.age


def test_six_subjects_are_of_both_sexes_and_all_ancestries(people):
    kinds = {(person.female, int(np.argmax(person.ancestry))) for person in people}
    assert kinds == {(female, n) for female in (False, True) for n in range(len(ANCESTRIES))}


def test_all_that_is_drawn_is_within_its_bounds(head):
    ages = []
    for number in range(60):
        person = draw_identity(f"spNO.{number}", number, 3, head)
        ages.append(person.age)
        assert abs(sum(person.ancestry) - 1) < 1e-9
        assert 0 <= person.skin.melanin <= 1
        assert 0 <= person.hair.grey <= 1
        for colour in (person.skin.colour, person.hair.colour, person.iris, person.cloth):
            assert len(colour) == 3
            assert 0 <= min(colour) <= max(colour) <= 255
        assert person.targets.keys() <= head.targets.keys()
        if not person.female:
            assert (person.hair.length, person.skin.makeup) == (0, 0)
        else:
            assert person.hair.beard == 0
    assert min(ages) >= 18
    assert max(ages) <= 70
    assert np.ptp(ages) > 35


def test_darker_skin_has_more_melanin(head):
    drawn = [draw_identity(f"spNO.{number}", number, 0, head) for number in range(30)]
    drawn.sort(key=lambda person: person.skin.melanin)
    brightness = [sum(person.skin.colour) for person in drawn]
    assert brightness == sorted(brightness, reverse=True)


def test_the_face_at_rest_is_a_face_with_the_eyes_at_the_origin(head, people):
    eyes = head.list_vertices("left eye", "right eye")
    skin = head.list_vertices("skin")
    for person in people:
        rest = person.compute_shape(head)
        np.testing.assert_allclose(rest[eyes].mean(axis=0), 0, atol=1e-3)
        assert 150 < np.ptp(rest[skin][head.vertices[skin, 1] > 640, 1]) < 290  # mm, chin to crown
        left, right = (
            rest[head.list_vertices(f"{side} eye"), 0].mean() for side in ("left", "right")
        )
        assert 50 < left - right < 80
