"""The batch of a round as candidates in the list of the loop: predictions are written there before anything is measured."""

from autobuild_core.loop.batches import Handed
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.rounds_folder import Batch
from autobuild_core.store.candidates import Candidate, CandidateLog, CandidateState, Origin, Prediction


def hand_out_batch(folder: LoopFolder, batch: Batch, plan: RoundsPlan) -> Handed:
    """Hands a batch out, and writes it to batches/; handed out once more it is the same."""
    log = folder.log
    known = {one.network for one in candidates_in(log, batch)}
    log.propose([one for one in candidates_of(batch, plan) if one.network not in known])
    if waiting := [one.id for one in candidates_in(log, batch) if one.state is CandidateState.WAITING]:
        log.ask(waiting)
    candidates = candidates_in(log, batch)
    handed = Handed(max(one.batch for one in candidates), tuple(candidates))
    folder.write_batch(handed)
    return handed


def candidates_in(log: CandidateLog, batch: Batch) -> list[Candidate]:
    """The candidates of a batch that are in the list, in its order; one that somebody else proposed meanwhile among them."""
    own = [one for one in log.all() if one.prediction.run == batch.name or one.state.is_open]
    found = {one.network: one for one in own}
    return [found[network] for network in batch.networks if network in found]


def candidates_of(batch: Batch, plan: RoundsPlan) -> list[Candidate]:
    """The networks of a batch as candidates, with what was predicted of them."""
    none: list[tuple[float | None, float | None, float | None]] = [(None, None, None)] * len(batch.archs)
    said = list(zip(batch.predicted, batch.low, batch.high, strict=True)) if batch.predicted else none
    return [
        Candidate("", arch, network, Origin.IMPROVEMENT, Prediction(plan.target, plan.minimize, batch.name, *three), 0.0)
        for arch, network, three in zip(batch.archs, batch.networks, said, strict=True)
    ]
