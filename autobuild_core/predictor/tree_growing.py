"""Growing the ensemble's trees: extremely randomised ones on layers and structure, for each member without its fold.

Source: Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 2006, as in scikit-learn. Their part in
the ensemble is chosen by held-out errors: stacking, Breiman, "Stacked regressions", Machine Learning 1996.
"""

import numpy as np
from numpy.typing import NDArray

from autobuild_core.predictor.trees import LEAF, TREES, Floats

Array = NDArray[np.float64]
NUM_TREES, SHARE_OF_FEATURES = 40, 0.5  # of a member; of the features that a split looks at
MOST_NETWORKS = 500  # that trees are grown on: more determine the other parts, and trees of so many leaves would fill the file
SHARE_GRID = np.array([0.0, *np.linspace(0.1, 1, 19)])  # so little that it cannot be told from none is none


def grow_trees(
    columns: NDArray[np.float32], scores: Array, fold: NDArray[np.int64], members: int, weights: Array
) -> dict[str, Floats]:
    """The trees of every member, as `Trees` reads them; member m never sees a score of fold m.

    Args:
        columns: (n, columns) coordinates of the architectures: layers and structure.
        scores: (n,) targets.
        fold: (n,) the member that does not learn from each.
        members: how many.
        weights: (n,) how much each score counts.
    """
    from sklearn.ensemble import ExtraTreesRegressor  # here: it takes seconds to import

    forests = []
    for member in range(members):
        seen = fold != member
        forest = ExtraTreesRegressor(NUM_TREES, max_features=SHARE_OF_FEATURES, random_state=0, n_jobs=1)
        forest.fit(columns[seen], scores[seen], sample_weight=weights[seen])
        forests.append([tree.tree_ for tree in forest.estimators_])
    most = max(tree.node_count for forest in forests for tree in forest)
    out = {name: np.zeros((members, NUM_TREES, most), np.float32) for name in ("feature", "limit", "left", "right", "value")}
    out["feature"][:] = LEAF
    for member, forest in enumerate(forests):
        for number, tree in enumerate(forest):
            inside = member, number, slice(tree.node_count)
            out["feature"][inside] = np.where(tree.children_left < 0, LEAF, tree.feature)
            out["limit"][inside], out["value"][inside] = tree.threshold, tree.value[:, 0, 0]
            out["left"][inside], out["right"][inside] = tree.children_left, tree.children_right
    return {TREES + name: part for name, part in out.items()}


def tree_share(trees: Array, others: Array, scores: Array) -> float:
    """The share of the trees with the least squared error.

    Args:
        trees, others: (n,) held-out predictions, of the other halves together.
        scores: (n,) targets.
    """
    errors = [np.mean((share * trees + (1 - share) * others - scores) ** 2) for share in SHARE_GRID]
    return float(SHARE_GRID[int(np.argmin(errors))])
