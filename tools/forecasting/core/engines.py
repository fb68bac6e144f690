"""Who computes the partitions: this process, some processes, or a Dask cluster.

The work is the same function of the same arguments everywhere, and results come back in order, so
an engine changes when a number is there and never which.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from typing import Any, Literal, TypeVar

from tools.errors import InvalidInput

EngineName = Literal["local", "processes", "dask"]
ENGINES: tuple[EngineName, ...] = ("local", "processes", "dask")
COST_MS: Mapping[str, float] = {  # a series; others about 1
    "theta": 16.0, "ets": 130.0, "ces": 14.0, "mstl": 55.0, "auto_theta": 100.0, "arima": 700.0,
}  # fmt: skip
WORTH_S = 30.0  # of work in one process: below it, starting others takes longer than they save
_CHEAP_MS = 1.0
_AHEAD = 1  # partitions that wait beside those that are computed: bounds the memory

Work = TypeVar("Work")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Engine:
    """Where the batch runs.

    Attributes:
        name: "local", "processes" or "dask".
        workers: Processes of this machine; of a cluster, partitions that are under way at once.
        address: Of a Dask scheduler, such as tcp://host:8786; empty: Dask on this machine.
        patience_s: How long to wait for that scheduler, seconds.
    """

    name: EngineName = "local"
    workers: int = 2
    address: str = ""
    patience_s: float = 10.0

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise InvalidInput(
                f"there is no forecast engine {self.name!r}", next_step=f"Take one of {ENGINES}."
            )
        if self.workers < 1:
            raise InvalidInput(f"an engine needs at least 1 worker, got {self.workers!r}")


def expected_seconds(combinations: Iterable[Sequence[str]]) -> float:
    """Tell how long one process needs for the models of some series.

    Example:
        >>> round(expected_seconds([("ses", "theta")] * 1000))
        17
    """
    return sum(COST_MS.get(name, _CHEAP_MS) for models in combinations for name in models) / 1000


def worthwhile(engine: Engine, seconds: float) -> Engine:
    """Stay in this process where processes would cost more than they save.

    Dask is not second-guessed: a cluster is there already.

    Args:
        engine: As it was set.
        seconds: Work for one process.

    Example:
        >>> worthwhile(Engine("processes"), 3.0).name
        'local'
    """
    if engine.name == "processes" and (engine.workers == 1 or seconds < WORTH_S):
        return Engine("local", 1)
    return engine


def run(
    engine: Engine, function: Callable[[Work], Answer], tasks: Iterable[Work]
) -> Iterator[Answer]:
    """Compute a function of each task; answers come in the order of the tasks.

    Tasks are taken when somebody is free, so that only a few of them are in memory.

    Args:
        engine: Where.
        function: A function of a module, of one argument that can be pickled.
        tasks: Arguments.
    """
    if engine.name == "local":
        return map(function, tasks)
    return _in_order(engine, function, tasks)


def _in_order(
    engine: Engine, function: Callable[[Work], Answer], tasks: Iterable[Work]
) -> Iterator[Answer]:
    with ExitStack() as stack:
        pool = _dask(engine, stack) if engine.name == "dask" else _processes(engine, stack)
        waiting: deque[Future[Answer]] = deque()
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) >= engine.workers + _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _processes(engine: Engine, stack: ExitStack) -> Executor:
    # Spawned, not forked: a server has threads, and a fork of a thread's lock never opens.
    pool = ProcessPoolExecutor(engine.workers, mp_context=get_context("spawn"))
    return stack.enter_context(pool)


def _dask(engine: Engine, stack: ExitStack) -> Executor:
    """Connect to the cluster, or make a small one on this machine."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise InvalidInput(
            "the forecast engine 'dask' needs Dask, which is not installed",
            next_step="pip install 'quartermaster[dask]', or QM_FORECAST_ENGINE=local.",
        ) from error
    where: Any = engine.address
    if not where:
        local = distributed.LocalCluster(
            n_workers=engine.workers, threads_per_worker=1, processes=engine.workers > 1,
            host="127.0.0.1", protocol="tcp", dashboard_address=None,
        )  # fmt: skip
        where = stack.enter_context(local)
    try:
        client = stack.enter_context(distributed.Client(where, timeout=engine.patience_s))
    except OSError as error:
        raise InvalidInput(
            f"no Dask scheduler answers at {engine.address!r}",
            next_step="Start it, or set QM_FORECAST_DASK_ADDRESS.",
        ) from error
    executor: Executor = stack.enter_context(client.get_executor(pure=False))
    return executor
