"""What the source of a type must not do, as no run on one machine shows it."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

from ecs_core.plugin_api import ParticleType
from ecs_core.testing.report import Problem
from ecs_core.testing.subject import Subject

_NUMPY = ("np", "numpy")
_OF_NUMPY = {
    *("dot", "matmul", "vdot", "inner", "tensordot", "convolve", "correlate", "cov", "corrcoef", "polyfit", "linalg"),
}
_OF_ANYTHING = {"dot", "linalg"}


def processors(subject: Subject) -> Iterator[Problem]:
    """No matrix products, which sum in another order on each make of processor."""
    found = [place for module in _modules(subject.particle_type) for place in _products(module)]
    if found:
        yield Problem(
            "processors",
            f"there are matrix products, whose last bits differ from processor to processor: {', '.join(found)}.",
            "Write sums, such as (a * b).sum(axis=-1), instead of @, np.dot, np.linalg and np.convolve, so that frames "
            "are the same on all machines of a kind.",
        )


def _modules(kind: ParticleType) -> list[ModuleType]:
    """The modules of the type's code, and those of the same package that they use."""
    code = [each for each in (kind.populate, kind.settings, *kind.systems) if each is not None]
    names = dict.fromkeys(each.__module__ for each in code if not each.__module__.startswith("ecs_core."))
    waiting = list(names)
    while waiting:
        module = sys.modules.get(waiting.pop())
        if module is None:
            continue
        root = module.__name__.partition(".")[0]
        for value in list(vars(module).values()):
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(name, str) and name.partition(".")[0] == root and name not in names:
                names[name] = None
                waiting.append(name)
    return [sys.modules[name] for name in names if name in sys.modules]


def _products(module: ModuleType) -> Iterator[str]:
    try:
        nodes = [*ast.walk(ast.parse(inspect.getsource(module)))]
    except (OSError, SyntaxError, TypeError):
        return  # there is no source to read
    harmless = {id(node.func.value) for node in nodes if _is_norm_along_an_axis(node)}  # type: ignore[attr-defined]
    for node in nodes:
        what = _product(node)
        if what is not None and id(node) not in harmless:
            yield f"{what} at {module.__name__}:{node.lineno}"  # type: ignore[attr-defined]


def _product(node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult()):
            return "@"
        case ast.Attribute(ast.Name(name), attr) if name in _NUMPY and attr in _OF_NUMPY:
            return f"{name}.{attr}"
        case ast.Attribute(_, attr) if attr in _OF_ANYTHING:
            return attr
        case ast.ImportFrom(str(name), names) if name.partition(".")[0] in _NUMPY:
            found = [each.name for each in names if each.name in _OF_NUMPY]
            return found[0] if found else None
    return None


def _is_norm_along_an_axis(node: ast.AST) -> bool:
    """np.linalg.norm(…, axis=…) is a plain sum."""
    match node:
        case ast.Call(ast.Attribute(ast.Attribute(attr="linalg"), "norm"), keywords=keywords):
            return any(each.arg == "axis" for each in keywords)
    return False
