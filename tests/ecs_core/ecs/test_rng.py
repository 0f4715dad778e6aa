"""Randomness: keyed by what is asked for, and by nothing else."""

from __future__ import annotations

import subprocess
import sys

import numba
import numpy as np
import pytest

from ecs_core import kernels
from ecs_core.ecs.rng import Generators, generator, stream_of, uniform_by_birth


def draws(seed: int, stream: int, frame: int, n: int = 8) -> list[float]:
    return generator(seed, stream, frame).uniform(size=n).tolist()


def test_same_key_same_draws() -> None:
    assert draws(3, 4, 5) == draws(3, 4, 5)


@pytest.mark.parametrize("other", [(4, 4, 5), (3, 5, 5), (3, 4, 6)], ids=["seed", "stream", "frame"])
def test_another_key_gives_other_draws(other: tuple[int, int, int]) -> None:
    assert not set(draws(3, 4, 5)) & set(draws(*other))


def test_last_bit_of_large_keys_matters() -> None:
    """numpy readily converts a list of large integers to float64, which would make these keys equal."""
    large = 2**64 - 2
    keys = [(large, 4), (large + 1, 4), (4, large), (4, large + 1), (large, large), (large + 1, large + 1)]
    assert len({draws(seed, stream, 0)[0] for seed, stream in keys}) == 6


def test_near_seeds_with_large_streams_give_other_draws() -> None:
    assert len({draws(seed, stream_of("Emit", 1, 0), 0)[0] for seed in range(2000)}) == 2000


def test_long_draws_do_not_run_into_the_next_frame() -> None:
    assert not set(draws(3, 4, 5, 20_000)) & set(draws(3, 4, 6, 20_000))


def test_draws_of_neighbouring_frames_are_uncorrelated() -> None:
    first, second = np.array(draws(3, 4, 5, 10_000)), np.array(draws(3, 4, 6, 10_000))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_stream_depends_on_every_name_and_its_boundaries() -> None:
    streams = {stream_of(*names) for names in [("a", 1, 2), ("a", 1, 3), ("a", 2, 2), ("b", 1, 2), ("a", 12)]}
    assert len(streams) == 5


def test_stream_is_the_same_in_every_process() -> None:
    code = "from ecs_core.ecs.rng import stream_of; print(stream_of('Emit', 1, 0))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) == stream_of("Emit", 1, 0)


@pytest.mark.parametrize("stream", [5, 2**63 + 5, 2**64 - 1])
def test_last_bit_of_64_bit_streams_and_seeds_matters(stream: int) -> None:
    assert draws(3, stream, 0) != draws(3, stream ^ 1, 0)
    assert draws(2**53, stream, 0) != draws(2**53 + 1, stream, 0)
    assert draws(2**63 - 1, stream, 0) != draws(2**63 - 2, stream, 0)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # kat_vectors of Random123
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, answer) -> None:
    inner = kernels.rng.philox

    @numba.njit  # only kernels can call it
    def philox(counter, key):
        return inner(counter[0], counter[1], counter[2], counter[3], key[0], key[1])

    assert philox(counter, key) == answer


def test_draw_by_birth_id_does_not_depend_on_the_row() -> None:
    births = np.array([0, 3, 7, 2**40], np.int64)
    drawn = uniform_by_birth(5, 6, births)
    assert np.array_equal(uniform_by_birth(5, 6, births[2:]), drawn[2:])
    assert len(set(drawn.tolist())) == 4


def test_draws_by_birth_id_are_even() -> None:
    drawn = uniform_by_birth(1, 2, np.arange(20_000))
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts, _ = np.histogram(drawn, 20, (0, 1))
    assert abs(counts - 1000).max() < 150


def test_another_seed_or_stream_draws_other_numbers_by_birth_id() -> None:
    births = np.arange(10)
    one = uniform_by_birth(1, 1, births)
    assert not np.array_equal(one, uniform_by_birth(2, 1, births))
    assert not np.array_equal(one, uniform_by_birth(1 + (1 << 32), 1, births))
    assert not np.array_equal(one, uniform_by_birth(1, 2, births))


def test_reused_generators_draw_what_new_ones_do() -> None:
    generators = Generators()
    keys = [(3, 4, 5), (-1, 2**64 - 1, 0), (2**40, 7, 100_000), (3, 4, 5)]
    for _ in range(2):
        generators.begin()
        found = [generators.generator(*key) for key in keys]
        assert len(set(map(id, found))) == len(keys)  # each belongs to who asked for it
        for reused, key in zip(reversed(found), reversed(keys), strict=True):
            new = generator(*key)
            for draw in ("uniform", "normal", "random"):
                assert getattr(reused, draw)(size=5).tolist() == getattr(new, draw)(size=5).tolist()
            assert reused.integers(0, 10, 3).tolist() == new.integers(0, 10, 3).tolist()
            reused.integers(0, 2**31, dtype=np.int32)  # leaves half a word behind


def test_streams_of_equal_numbers_of_different_types_differ() -> None:
    assert len({stream_of(1, "a"), stream_of(True, "a"), stream_of(1.0, "a")}) == 3
