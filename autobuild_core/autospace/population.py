"""The population of a layer: cells that compete, where they came from, and how fit they are. Imports nothing heavy.

Source: AutoSpace, section 3: tournament selection, local mutation, a reference architecture in the population. Ours: every
size and rule (docs/autospace.md, "Answers").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from autobuild_core.autospace.plan import EvolutionPlan
from autobuild_core.spaces._cells import EDGE_NAMES, EXPANSIONS, OPERATIONS, REFERENCE, Cell, Support, canonical, reaches

FROM_REFERENCE, AT_RANDOM, GIVEN = "reference", "random", "given"


@dataclass(frozen=True)
class Member:
    """A cell of a population.

    Args:
        number: of this member in its layer, in the order of their births.
        cell: as it was mutated; another one of the same network was never a member.
        mutation: what was changed, in words; FROM_REFERENCE, AT_RANDOM or GIVEN of those that were there from the start.
        parent: number of the member that it was mutated from; None of those.
        born: generation in which it ran first; 0 = it was there from the start.
        fitness: in units of alpha, against the layer; the larger the fitter.
        seen: generations in which it ran.
    """

    number: int
    cell: Cell
    mutation: str
    parent: int | None = None
    born: int = 0
    fitness: float = 0.0
    seen: int = 0

    @property
    def is_reference(self) -> bool:
        """Whether it is a cell of the reference architecture."""
        return self.mutation == FROM_REFERENCE

    def to_json(self) -> dict[str, Any]:
        """The member ready for JSON."""
        return {**vars(self), "cell": self.cell.written}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """The member that `to_json` wrote."""
        return cls(**{**raw, "cell": Cell.read(raw["cell"])})


@dataclass(frozen=True)
class Population:
    """The members of a layer that live.

    Args:
        stride: of the layer; which cells are one network depends on it.
        members: in the order of their numbers.
        num_born: members that there ever were.
        met: representatives of all networks that ever were members: none comes back.
    """

    stride: int
    members: tuple[Member, ...]
    num_born: int
    met: frozenset[Cell]

    @classmethod
    def first(cls, plan: EvolutionPlan, layer: int, rng: np.random.Generator) -> Self:
        """The population of a layer (from 0) before the first generation, no network twice.

        The cells of the plan's start, else the reference cells, if wanted, and random ones.
        """
        stride = plan.skeleton_used.strides[layer]
        if plan.start_used:
            given: dict[Cell, Cell] = {}
            for cell in plan.start_used[layer]:
                given.setdefault(canonical(cell, stride), cell)
            members = tuple(Member(number, cell, GIVEN) for number, cell in enumerate(given.values()))
            return cls(stride, members, len(members), frozenset(given))
        references = REFERENCE if plan.references else ()
        drawn = [Member(number, cell, FROM_REFERENCE) for number, cell in enumerate(references)]
        met = {canonical(cell, stride) for cell in references}
        others = {canonical(cell, stride): cell for cell in plan.support_used.cells()}
        every = [others[network] for network in sorted(others.keys() - met)]
        num = min(max(plan.population - len(drawn), 0), len(every))
        for index in rng.choice(len(every), num, replace=False):
            drawn.append(Member(len(drawn), every[index], AT_RANDOM))
            met.add(canonical(every[index], stride))
        return cls(stride, tuple(drawn), len(drawn), frozenset(met))

    def born(self, plan: EvolutionPlan, generation: int, rng: np.random.Generator) -> "Population":
        """The population with the children of a generation; each takes its parent's fitness over, as it does its weights."""
        grown = self
        for _ in range(plan.children if plan.has_births(generation) else 0):
            parent = fittest_of_some(self.members, plan.tournament, rng)
            mutant = mutate(parent.cell, plan.support_used, self.stride, grown.met, rng)
            if mutant is not None:
                child = Member(grown.num_born, mutant[0], mutant[1], parent.number, generation, parent.fitness)
                members, met = (*grown.members, child), grown.met | {canonical(child.cell, self.stride)}
                grown = replace(grown, members=members, num_born=grown.num_born + 1, met=met)
        return grown

    def drawn(self, plan: EvolutionPlan, generation: int, rng: np.random.Generator) -> tuple[Member, ...]:
        """The members that run in a generation: its children, and others.

        While cells are born the others win tournaments; before and afterwards they are those that were seen least.
        """
        running = [member for member in self.members if member.born == generation]
        others = [member for member in self.members if member.born != generation]
        contested = plan.has_births(generation)
        if not contested:
            order = rng.permutation(len(others))
            others = sorted((others[index] for index in order), key=lambda member: member.seen)
        while len(running) < plan.parallel and others:
            winner = fittest_of_some(others, plan.tournament, rng) if contested else others[0]
            others.remove(winner)
            running.append(winner)
        return tuple(sorted(running, key=lambda member: member.number))

    def told(self, plan: EvolutionPlan, ran: Sequence[Member], alphas: Sequence[float]) -> "Population":
        """The population with new fitnesses of those that ran.

        What is observed is alpha less the mean of those that ran, above the mean fitness that they had: who beats the fit is
        fitter than who beats the unfit. A fitness is the mean of the observations at first, then their moving average.
        """
        level = float(np.mean([member.fitness for member in ran])) - float(np.mean(alphas))
        new = {}
        for member, alpha in zip(ran, alphas, strict=True):
            share = max(plan.momentum, 1 / (member.seen + (1 if member.parent is None else 2)))
            fitness = member.fitness + share * (alpha + level - member.fitness)
            new[member.number] = replace(member, fitness=fitness, seen=member.seen + 1)
        return replace(self, members=tuple(new.get(member.number, member) for member in self.members))

    def reduced(self, plan: EvolutionPlan, generation: int) -> tuple["Population", tuple[Member, ...]]:
        """The population without the least fit above its size, and those that left; reference cells are guarded for a time."""
        guarded = generation <= plan.guarded * plan.generations
        may_leave = [member for member in self.members if not (member.is_reference and guarded)]
        num = max(len(self.members) - plan.population, 0)
        left = sorted(may_leave, key=lambda member: (member.fitness, -member.number))[:num]
        return replace(self, members=tuple(member for member in self.members if member not in left)), tuple(left)

    def best(self, num: int) -> tuple[Member, ...]:
        """The fittest that are no reference cells, best first; those that never ran come last."""
        own = [member for member in self.members if not member.is_reference]
        return tuple(sorted(own, key=lambda member: (not member.seen, -member.fitness, member.number))[:num])

    def to_json(self) -> dict[str, Any]:
        """The population ready for JSON."""
        members, met = [member.to_json() for member in self.members], [cell.written for cell in sorted(self.met)]
        return {"stride": self.stride, "members": members, "num_born": self.num_born, "met": met}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """The population that `to_json` wrote."""
        members, met = tuple(map(Member.from_json, raw["members"])), frozenset(map(Cell.read, raw["met"]))
        return cls(raw["stride"], members, raw["num_born"], met)


def fittest_of_some(members: Sequence[Member], num: int, rng: np.random.Generator) -> Member:
    """The winner of a tournament of `num` members that are drawn at random."""
    drawn: list[int] = rng.choice(len(members), min(num, len(members)), replace=False).tolist()
    return max((members[index] for index in drawn), key=lambda member: (member.fitness, -member.number))


def changes(cell: Cell, support: Support) -> list[tuple[Cell, str]]:
    """Every local mutation of a cell, one edge's operation or the expansion, with its words."""
    found = []
    for edge, (name, allowed) in enumerate(zip(EDGE_NAMES, support.edges, strict=True)):
        for number in allowed:
            operations = (*cell.operations[:edge], number, *cell.operations[edge + 1 :])
            if number != cell.operations[edge]:
                words = f"{name}: {OPERATIONS[cell.operations[edge]].name} to {OPERATIONS[number].name}"
                found.append((operations, cell.expansion, words))
    for expansion in support.expansions:
        if expansion != cell.expansion:
            found.append((cell.operations, expansion, f"expansion {EXPANSIONS[cell.expansion]} to {EXPANSIONS[expansion]}"))
    return [(Cell(operations, expansion), words) for operations, expansion, words in found if reaches(operations)]


def mutate(cell: Cell, support: Support, stride: int, met: Iterable[Cell], rng: np.random.Generator) -> tuple[Cell, str] | None:
    """A neighbour of a cell that is a new network, with what was changed; None where there is none.

    Args:
        cell: the parent.
        support: the cells that there may be.
        stride: of the layer.
        met: representatives of the networks that are not new.
        rng: draws among the neighbours, all alike.
    """
    known = set(met)
    new = [(other, words) for other, words in changes(cell, support) if canonical(other, stride) not in known]
    return new[rng.integers(len(new))] if new else None
