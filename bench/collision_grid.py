"""Collisions between discs: our grid compared with scipy's k-d tree, on the same points with the same reach.

python bench/collision_grid.py
"""

from __future__ import annotations

import argparse
import statistics
import time

import numba
import numpy as np
from scipy.spatial import cKDTree

from ecs_core import kernels
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.rng import generator
from ecs_core.systems.collision import cell_size

GOAL = 0.3
count_pairs = numba.njit(kernels.collision.count_pairs)


class Discs:
    """``n`` discs of one radius at random on a 1080p canvas, with the arrays that CollideSystem allocates."""

    def __init__(self, n: int, radius: float) -> None:
        rng, canvas = generator(1, 1, 0), Canvas(1920.0)
        self.x, self.y = (rng.uniform(0, side, n).astype(np.float32) for side in (canvas.width, canvas.height))
        self.vx, self.vy = rng.normal(0, 50, (2, n)).astype(np.float32)
        self.radius = np.full(n, radius, np.float32)
        self.cell = cell_size(radius, canvas)
        self.columns, self.rows = int(canvas.width / self.cell) + 1, int(canvas.height / self.cell) + 1
        self.state = [self.x.copy(), self.y.copy(), self.vx.copy(), self.vy.copy()]

    def reset(self) -> None:
        """Restore the initial positions and velocities."""
        for column, start in zip((self.x, self.y, self.vx, self.vy), self.state, strict=True):
            column[:] = start

    def sort(self) -> tuple[np.ndarray, np.ndarray]:
        """List the discs of each cell."""
        starts, order = np.empty(self.columns * self.rows + 1, np.int32), np.empty(self.x.size, np.int32)
        kernels.collision.sort_into_cells(
            self.x, self.y, np.float32(self.cell), self.columns, self.rows, starts, order, np.empty_like(order)
        )
        return starts, order

    def collide(self) -> int:
        """Find every pair that touches, push it apart, exchange momentum: what CollideSystem does each frame."""
        contacts: int = kernels.collision.collide(
            self.x, self.y, self.vx, self.vy, self.radius, self.columns, self.rows, *self.sort(), np.float32(1.0),
            np.empty((self.x.size, kernels.collision.DISC), np.float32),
        )  # fmt: skip
        return contacts

    def count(self) -> int:
        """Find the pairs and do nothing with them."""
        reach = np.float32(2 * self.radius[0])
        pairs: int = count_pairs(self.x, self.y, reach, self.columns, self.rows, *self.sort())
        return pairs

    def query(self) -> int:
        """Find the pairs with scipy."""
        tree = cKDTree(np.stack([self.x, self.y], axis=1))
        return len(tree.query_pairs(float(2 * self.radius[0]), output_type="ndarray"))


def compare(n: int, radius: float, trials: int) -> None:
    discs = Discs(n, radius)
    jobs = {"collide": discs.collide, "count": discs.count, "query": discs.query}
    found = {}
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(trials + 1):  # alternating; the first trial warms up
        for name, job in jobs.items():
            discs.reset()
            began = time.perf_counter()
            found[name] = job()
            spent[name].append(1e3 * (time.perf_counter() - began))
    took = {name: statistics.median(times[1:]) for name, times in spent.items()}
    ratio = took["collide"] / took["query"]
    share = f"{100 * n * np.pi * radius**2 / (1920 * 1080):.0f} % of the area"
    print(f"{n:,} discs of radius {radius} on 1920 × 1080 units ({share}), {discs.columns} × {discs.rows} cells")
    print(f"  k-d tree, build and query_pairs: {took['query']:.2f} ms, {found['query']:,} pairs")
    same = found["count"] == found["query"]
    equal = "the same" if same else "different: float32 and float64 distances"
    print(f"  grid, sort and find pairs only: {took['count']:.2f} ms, {found['count']:,} pairs ({equal});", end=" ")
    print(f"ratio {took['count'] / took['query']:.3f}")
    print(f"  grid, sort, find, push apart, bounce: {took['collide']:.2f} ms, {found['collide']:,} contacts;", end=" ")
    print(f"ratio {ratio:.3f} (goal: at most {GOAL}{'' if ratio <= GOAL else ', MISSED'})\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--trials", type=int, default=15)
    arguments = parser.parse_args()
    for radius in (1.0, 2.0, 4.0):  # sparse, dense, and far more than fit
        compare(arguments.count, radius, arguments.trials)


if __name__ == "__main__":
    main()
