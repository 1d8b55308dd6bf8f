"""Places of an architecture's nodes in a drawing, in pixels; y grows downwards."""

from dataclasses import dataclass

INPUT = "input"  # label of a graph's input, which is drawn at (0, 0), is no node and has no score
NODE_WIDTH, NODE_HEIGHT, GAP_X, GAP_Y, RADIUS = 104.0, 44.0, 38.0, 18.0, 30.0


@dataclass(frozen=True)
class Place:
    """The place of one node in a drawing.

    Args:
        node: its position in the space, or num_positions + number of a state.
        x: centre, pixels.
        y: centre, pixels.
        kind: "layer" (a box in its unit's column), "operation" (a box placed freely, with straight arrows), "sum" (a circle,
            which frees all arrows of its drawing too).
        after: labels of the nodes whose arrows lead to it; INPUT may be among them.
    """

    node: int
    x: float
    y: float
    kind: str
    after: tuple[str, ...]
