"""Pairs `*_table(records) -> DataFrame` and `*_figure(table) -> Figure`, and the one visual language they share.

template.py: what all charts share · colours.py: what a score looks like · data.py: a data set · quality.py: how well a training
learned · rankings.py: modules, layers and features by a lens · candidates.py: built architectures · drawing.py: an architecture
as a graph · graph.py: the same for the component of the pages · hops.py: how rankings change · space.py: the map · trust.py:
how far to trust scores · replacements.py: what would stand better · review.py: claims.
The pages, the notebook and the review bundle draw with these and with nothing else.
"""

from autobuild_core.figures import candidates as candidates
from autobuild_core.figures import colours as colours
from autobuild_core.figures import data as data
from autobuild_core.figures import drawing as drawing
from autobuild_core.figures import graph as graph
from autobuild_core.figures import hops as hops
from autobuild_core.figures import quality as quality
from autobuild_core.figures import rankings as rankings
from autobuild_core.figures import replacements as replacements
from autobuild_core.figures import review as review
from autobuild_core.figures import space as space
from autobuild_core.figures import trust as trust
