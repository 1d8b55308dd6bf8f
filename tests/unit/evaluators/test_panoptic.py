"""Panoptic quality on hand-made cases, and beside torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.detection import PanopticQuality as Oracle

from autobuild_core.evaluators._panoptic import PanopticQuality
from autobuild_core.evaluators._scenes import BACKGROUND, compose, judge, segments_of

THING, OTHER = 1, 2


def maps(*rows: str) -> tuple[np.ndarray, np.ndarray]:
    """(classes, instances) of text: "." background, "a" and "b" two things of class 1, "x" one of class 2."""
    kinds = {".": (0, 0), "a": (THING, 1), "b": (THING, 2), "x": (OTHER, 3)}
    cells = np.array([[kinds[letter] for letter in row] for row in rows])
    return cells[..., 0].astype(np.int64), cells[..., 1].astype(np.int64)


def quality(predicted: tuple[np.ndarray, np.ndarray], true: tuple[np.ndarray, np.ndarray]) -> PanopticQuality:
    made = PanopticQuality(3)
    made.add(predicted, true)
    return made


class TestByHand:
    def test_all_right(self) -> None:
        scene = maps("aa..", "..xx")
        assert quality(scene, scene).by_class.tolist() == [1.0, 1.0, 1.0]

    def test_a_part_found_is_worth_its_overlap(self) -> None:
        found = quality(maps("aaa.", "...."), maps("aaaa", "...."))
        assert found.by_class[THING] == pytest.approx(3 / 4)  # one match, nothing else
        assert found.by_class[BACKGROUND] == pytest.approx(4 / 5)

    def test_half_an_overlap_is_no_match(self) -> None:
        found = quality(maps("aa..", "xxxx"), maps("aaaa", "xxxx"))
        assert (found.matched[THING], found.false[THING], found.missed[THING]) == (0, 1, 1)
        assert found.by_class[THING] == 0.0

    def test_two_things_taken_for_one_cost_the_smaller_one(self) -> None:
        found = quality(maps("aaaaaa"), maps("aaaabb"))
        assert found.by_class[THING] == pytest.approx(4 / 6 / 1.5)  # one match of 4/6, one missed

    def test_the_wrong_class_is_false_there_and_missed_here(self) -> None:
        found = quality(maps("xxxx"), maps("aaaa"))
        assert found.by_class[THING] == found.by_class[OTHER] == 0.0
        assert np.isnan(found.by_class[BACKGROUND]) and found.mean == 0.0

    def test_nothing_at_all_is_no_number(self) -> None:
        assert np.isnan(PanopticQuality(3).mean)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ours, oracle = PanopticQuality(5), Oracle(things={1, 2, 3, 4}, stuffs={0}, return_per_class=True)
    for _ in range(8):
        true = np.repeat(np.repeat(rng.integers(0, 5, (4, 4)), 6, 0), 6, 1)
        instances = np.where(true > 0, np.repeat(np.repeat(rng.integers(1, 4, (4, 4)), 6, 0), 6, 1), 0)
        noise = rng.random(true.shape) < 0.15 * seed
        classes = np.where(noise, rng.integers(0, 5, true.shape), true)
        own = np.where(classes > 0, instances + 3 * (rng.random(true.shape) < 0.1), 0)
        ours.add((classes, own), (true, instances))
        pairs = [np.stack(pair, -1)[None] for pair in ((classes, own), (true, instances))]
        oracle.update(*map(torch.from_numpy, pairs))
    assert np.nan_to_num(ours.by_class) == pytest.approx(
        np.roll(oracle.compute().numpy().ravel(), 1), abs=1e-6
    )  # stuff stands last there


class TestScenes:
    def test_items_have_their_class_and_their_own_number(self) -> None:
        scenes = compose("digits", "test", 20)
        assert {int(part.max()) for part in scenes.instances} == {2, 3, 4}
        assert ((scenes.instances > 0) == (scenes.classes > 0)).all()
        for classes, instances in zip(scenes.classes, scenes.instances, strict=True):
            kinds = [classes[instances == number].unique() for number in instances.unique()]
            assert all(len(kind) == 1 for kind in kinds)

    def test_they_are_always_the_same_and_those_of_the_test_are_others(self) -> None:
        first, again, other = compose("digits", "test", 5), compose("digits", "test", 5), compose("digits", "train", 5)
        assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)

    def test_connected_pixels_are_one_segment_and_small_ones_none(self) -> None:
        classes = np.zeros((20, 20), np.int64)
        classes[:5, :5], classes[10:15, :5], classes[:2, 10:12], classes[10:15, 10:15] = 1, 1, 1, 3
        kept, instances = segments_of(classes)
        assert len(np.unique(instances)) == 4 and instances[0, 0] != instances[10, 0]
        assert kept[0, 10] == BACKGROUND == instances[0, 10]

    def test_a_network_that_knows_everything_is_perfect_but_for_items_that_touch(self) -> None:
        scenes = compose("digits", "test", 30)
        logits = torch.nn.functional.one_hot(scenes.classes, 11).permute(0, 3, 1, 2).float() * 20
        told = judge(logits, scenes.classes, scenes.instances, torch.ones(11))
        assert told["miou_pct"] == 100.0 and 60 < told["pq_pct"] < 100 and told["test_loss"] < 1e-6
