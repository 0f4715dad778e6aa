"""Arrays by name that are made when they are looked at: those of a long song are large together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ecs_core.arrays import F32


class Lazily(Mapping[str, F32]):
    """Arrays by ``names``, each made anew whenever it is looked at."""

    def __init__(self, names: Iterable[str], make: Callable[[str], F32]) -> None:
        self._names, self._make = dict.fromkeys(names), make

    def __getitem__(self, name: str) -> F32:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __contains__(self, name: object) -> bool:  # without making it
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def joined(arrays: Mapping[str, F32], more: Mapping[str, F32]) -> Mapping[str, F32]:
    """Both, those of ``more`` in place of others of their names; lazily if ``arrays`` are."""
    if not isinstance(arrays, Lazily):
        return {**arrays, **more}
    return Lazily((*arrays, *more), lambda name: more[name] if name in more else arrays[name])
