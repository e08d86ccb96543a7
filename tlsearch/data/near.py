"""Near duplicates: pairs of pictures that show one photograph, resized, recompressed, cropped a little or mirrored.

Candidates look alike, to a perceptual hash or to a network; a candidate counts once its aligned pixels agree.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tlsearch.data.alignment import (
    Places,
    Squares,
    Values,
    aligned,
    correlation,
    laid,
    shrunk,
    unmoved,
)
from tlsearch.data.mapped import mapped_rows
from tlsearch.data.perceptual import pairs_by_hash, perceptual_hashes, sorted_pairs
from tlsearch.data.pixels import PixelStore
from tlsearch.data.squares import grey_square, grey_squares
from tlsearch.devices import cpu_threads

RULE_VERSION = 5  # a change that finds other pairs counts up
FINE_PX, FINE = 64, 0.97
# Aligned at 64 px alone, a fifth of the 2 624 ELPV photographs of solar cells would be copies of one another: cells of
# one kind, and wafers cut from one block, reach 0.995. At 16 px what compression does averages out, and another cell's
# marks do not: copies stay above 0.996 (JPEG quality 40), and all but 12 of those photographs below 0.995.
COARSE_PX, COARSE = 16, 0.995
# Before any alignment, at a side on which a crop is hardly seen: half of what is proposed, above all pictures that are
# proposed for one way round and are looked at both, is less alike. Copies cropped by 2 % of a side have at least 0.84.
GLANCE_PX, GLANCE = 8, 0.4
SAMPLED_PX = 128  # pictures are moved at twice the side on which they are compared, for moving blurs
# First alignments: at which side, and after how many more steps which coarse likeness is worth the next. Copies gain by
# every step, and other pictures do not: those that are cropped by up to 8 % of a side have then at least 0.65, 0.88,
# 0.98 and 0.99, by 2 % at least 0.96, 0.91, 0.99 and 0.99.
PROMISING = {32: ((1, 0.5), (2, 0.8)), 64: ((1, 0.95), (2, 0.98))}
STEPS = 3  # of the last alignment
BATCH = 128  # pairs: threads that take turns at smaller ones wait for each other
SQUARES = 4096  # made at a time
GLANCES = 65_536  # pairs at a time: 17 MB of each side


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPair:
    """Two pictures that show one photograph.

    Args:
        one: The index of the first.
        other: Of the second, greater.
        likeness: Correlation of their aligned pixels at 64 px.
        mirrored: Whether one is the other's mirror image.
    """

    one: int
    other: int
    likeness: float
    mirrored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Roughly:
    """Pairs that agree after a first alignment; the first of each is moved, mirrored where that is set."""

    pairs: NDArray[np.int64]  # (n, 2)
    mirrored: NDArray[np.bool_]
    places: Places


@dataclass(frozen=True, slots=True, kw_only=True)
class _Glanced:
    """What a look at every picture by itself gives.

    Args:
        squares: Grey, `(n, 64, 64)`.
        mean: Of them, `(1, 64, 64)`.
        small: At the side of a glance, `(n, 8, 8)`.
        plain: Pairs of similar hashes.
        turned: Those in which one is mirrored.
    """

    squares: NDArray[np.uint8]
    mean: Squares
    small: Squares
    plain: NDArray[np.int64]
    turned: NDArray[np.int64]

    @classmethod
    def over(cls, store: PixelStore, indices: Sequence[int]) -> "_Glanced":
        """Look at some pictures of a store."""
        squares = _kept_squares(store, indices)
        plain, turned = perceptual_hashes(squares)
        return cls(
            squares=squares,
            mean=squares.mean(0, keepdims=True, dtype=np.float32),
            small=_small(squares),
            plain=pairs_by_hash(plain, plain),
            turned=pairs_by_hash(plain, turned),
        )


def near_pairs(
    store: PixelStore,
    indices: Sequence[int],
    candidates: Callable[[], NDArray[np.int64]],
    progress: Callable[[int, int], None] | None = None,
) -> list[NearPair]:
    """All pairs of pictures that show one photograph.

    Args:
        store: Of decoded pictures.
        indices: Which of them; each must be readable.
        candidates: Makes pairs to look at beside those of similar hashes, as they are and mirrored: positions in
            `indices`, `(pairs, 2)`. It is called while another thread looks at the pictures one by one.
        progress: Told how many pairs were looked at, of how many; one that is looked at both ways round counts twice.

    Returns:
        Ascending; indices into the store.
    """
    with ThreadPoolExecutor(1) as aside:
        glancing = aside.submit(_Glanced.over, store, indices)
        proposed = candidates()
        seen = glancing.result()
    # what a hash proposes is looked at the way round in which it is near, and no other: half of the work
    ways = [
        (_plausible(seen.small, sorted_pairs(np.concatenate([by_hash, proposed])), mirrored), mirrored)
        for by_hash, mirrored in ((seen.plain, False), (seen.turned, True))
    ]
    batches = [
        (pairs[start : start + BATCH], mirrored) for pairs, mirrored in ways for start in range(0, len(pairs), BATCH)
    ]
    total = sum(len(pairs) for pairs, _ in ways)

    def near(batch: tuple[NDArray[np.int64], bool]) -> list[NearPair]:
        pairs, mirrored = batch
        return list(_confirmed(store, indices, _promising(seen, pairs, mirrored=mirrored), seen.mean))

    likeliest: dict[tuple[int, int], NearPair] = {}
    done = 0
    # one thread a batch: a product that BLAS shares out waits for the threads of all the others
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cpu_threads()) as pool:
        for batch, found in zip(batches, pool.map(near, batches), strict=True):
            for pair in found:
                known = likeliest.get((pair.one, pair.other))
                if known is None or known.likeness < pair.likeness:
                    likeliest[pair.one, pair.other] = pair
            done += len(batch[0])
            if progress is not None:
                progress(done, total)
    return [likeliest[pair] for pair in sorted(likeliest)]


def _kept_squares(store: PixelStore, indices: Sequence[int]) -> NDArray[np.uint8]:
    """Grey squares `(n, 64, 64)` in a mapped file: of 100 000 pictures they take 400 MB."""
    starts = range(0, len(indices), SQUARES)
    blocks = (grey_squares(store, indices[start : start + SQUARES], FINE_PX) for start in starts)
    return mapped_rows(blocks, store.folder.parent)


def _small(squares: NDArray[np.uint8]) -> Squares:
    """What a glance sees of grey squares, `(n, 8, 8)`."""
    blocks = (squares[start : start + SQUARES].astype(np.float32) for start in range(0, len(squares), SQUARES))
    return np.concatenate([shrunk(block, GLANCE_PX) for block in blocks])


def _plausible(small: Squares, pairs: NDArray[np.int64], mirrored: bool) -> NDArray[np.int64]:
    """Those of some pairs that a glance does not rule out, as they are or mirrored."""
    mean = small.mean(0, keepdims=True)

    def likeness(some: NDArray[np.int64]) -> Values:
        one, other = small[some.T]
        return correlation(_mirrored(one, np.full(len(one), mirrored)), other, mean)

    blocks = [pairs[start : start + GLANCES] for start in range(0, len(pairs), GLANCES)]
    return np.concatenate([np.zeros((0, 2), np.int64), *(block[likeness(block) >= GLANCE] for block in blocks)])


def _promising(seen: _Glanced, pairs: NDArray[np.int64], *, mirrored: bool) -> _Roughly:
    """Those of some pairs, as they are or mirrored, that may be confirmed."""
    coarse_mean = shrunk(seen.mean, COARSE_PX)
    either = np.concatenate([pairs, pairs[:, ::-1]])  # what was cropped cannot be laid over what was not
    rough = _Roughly(pairs=either, mirrored=np.full(len(either), mirrored), places=unmoved(len(either)))
    for px, stages in PROMISING.items():
        # a picture is shrunk once for all pairs of a batch that it is in: the ELPV photographs are in three each
        different, places_in = np.unique(rough.pairs, return_inverse=True)
        small = shrunk(seen.squares[different].astype(np.float32), px)
        at_one, at_other = places_in.reshape(rough.pairs.shape).T
        one, other = (small[:, :, ::-1] if mirrored else small)[at_one], small[at_other]
        lying = laid(one, rough.places)
        for steps, promising in stages:
            places, lying = aligned(one, lying, other, rough.places, steps=steps)
            alike = correlation(shrunk(lying, COARSE_PX), shrunk(other, COARSE_PX), coarse_mean)
            kept = alike >= promising
            one, lying, other = one[kept], lying[kept], other[kept]
            rough = _Roughly(pairs=rough.pairs[kept], mirrored=rough.mirrored[kept], places=places[kept])
            if not len(rough.pairs):
                return rough
    return rough


def _confirmed(store: PixelStore, indices: Sequence[int], rough: _Roughly, mean: Squares) -> Iterator[NearPair]:
    """Those of some pairs whose pixels agree once they are aligned."""
    if not len(rough.pairs):
        return
    different, places_in = np.unique(rough.pairs, return_inverse=True)
    sampled = np.stack([grey_square(store[indices[position]], SAMPLED_PX) for position in different])
    moved, still = sampled.astype(np.float32)[places_in.reshape(rough.pairs.shape).T]
    fine, coarse = _likeness(_mirrored(moved, rough.mirrored), still, rough.places, mean)
    for pair in np.nonzero((fine >= FINE) & (coarse >= COARSE))[0]:
        one, other = sorted(indices[position] for position in rough.pairs[pair])
        yield NearPair(one=one, other=other, likeness=float(fine[pair]), mirrored=bool(rough.mirrored[pair]))


def _likeness(moved: Squares, still: Squares, places: Places, mean: Squares) -> tuple[Values, Values]:
    """The correlation of each pair at 64 and at 16 px, after a last alignment."""
    one, other = shrunk(moved, FINE_PX), shrunk(still, FINE_PX)
    places, _ = aligned(one, laid(one, places), other, places, steps=STEPS)
    one = shrunk(laid(moved, places), FINE_PX)
    coarse = (shrunk(squares, COARSE_PX) for squares in (one, other, mean))
    return correlation(one, other, mean), correlation(*coarse)


def _mirrored(squares: Squares, which: NDArray[np.bool_]) -> Squares:
    return np.where(which[:, None, None], squares[:, :, ::-1], squares)
