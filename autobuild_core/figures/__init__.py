"""Pairs `*_table(records) -> DataFrame` and `*_figure(table) -> Figure`, and the one visual language they share.

colours.py: what a score looks like and how it reads · drawing.py: an architecture as a graph · graph.py: the same for the
component of the pages · replacements.py: what would stand better · trust.py: how far to trust scores, and scores side by side ·
hops.py: how rankings change · space.py: the map · review.py: claims · charts.py: everything else.
The pages, the notebook and the review bundle draw with these and with nothing else.
"""

from autobuild_core.figures import charts as charts
from autobuild_core.figures import colours as colours
from autobuild_core.figures import drawing as drawing
from autobuild_core.figures import graph as graph
from autobuild_core.figures import hops as hops
from autobuild_core.figures import replacements as replacements
from autobuild_core.figures import review as review
from autobuild_core.figures import space as space
from autobuild_core.figures import trust as trust
