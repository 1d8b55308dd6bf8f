"""Rankings side by side, by hand."""

import pandas as pd

from autobuild_core.scoring.comparing import best_by_scorer, two_targets


def modules(scores: list[float], unit: int = 0) -> pd.DataFrame:
    frame = pd.DataFrame({"layers": [f'["{x}"]' for x in "abc"], "score": scores, "positions": '["L1"]', "unit_index": unit})
    frame["good"], frame["whole_unit"], frame["unit"] = 0.1, True, "U"
    frame["effect"], frame["effect_low"], frame["effect_high"] = frame["score"] - 2, frame["score"] - 3, frame["score"] - 1
    return frame


def test_two_targets_and_their_directions() -> None:
    table = two_targets(modules([3.0, 2, 1]), modules([30.0, 10, 20]), False, True)
    assert table["layers"].tolist() == ['["a"]', '["b"]', '["c"]']
    assert table["first_rank"].tolist() == [1, 2, 3]
    assert table["second_rank"].tolist() == [3, 1, 2]  # smaller is better in the second
    assert table["change"].tolist() == [-2, 1, 1]
    assert table["second_score"].tolist() == [30, 10, 20]


def test_modules_of_only_one_run_are_left_out() -> None:
    assert len(two_targets(modules([3.0, 2, 1]), modules([3.0, 2, 1]).head(2), False, False)) == 2


def test_best_by_scorer_and_where_ours_stands() -> None:
    front = {"title": "t", "unit_index": 0, "positions": "p", "layers": list("abc")}
    table = pd.concat(
        [
            pd.DataFrame(front | {"scorer": "autobuild", "rank": [1, 2, 3]}),
            pd.DataFrame(front | {"scorer": "ridge", "rank": [1, 3, 2]}),
            pd.DataFrame(front | {"scorer": "cost", "rank": [3, 2, 1]}),
        ],
        ignore_index=True,
    )
    best = best_by_scorer(table).set_index("scorer")
    assert best["layers"].to_dict() == {"autobuild": "a", "ridge": "a", "cost": "c"}
    assert best["rank_of_ours"].to_dict() == {"autobuild": 1, "ridge": 1, "cost": 3}
    assert best["agrees"].to_dict() == {"autobuild": True, "ridge": True, "cost": False}
    assert (best["num_modules"] == 3).all()
