"""The models of StatsForecast by our names: one builder each, from the lengths of the season."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

_TSB_ALPHA = 0.1
_SMOOTHING_ALPHA = 0.1
_LONGEST_STATE = 24  # longer seasons make state space models slow and unstable; they go without


class Lengths(Protocol):
    """Lengths that the models need, in periods; see ``methods.Season``."""

    @property
    def length(self) -> int:
        """Periods in a season; 1 for none."""

    @property
    def window(self) -> int:
        """Periods of the moving average."""

    @property
    def long_window(self) -> int:
        """Periods of the slow moving average."""

    @property
    def seasons(self) -> int:
        """Seasons that the seasonal average looks back."""


Builder = Callable[[Lengths, str], Any]


def _model(kind: str, alias: str, *arguments: Any, **settings: Any) -> Any:
    from statsforecast import models

    return getattr(models, kind)(*arguments, alias=alias, **settings)


def _without_season(kind: str) -> Builder:
    return lambda _season, alias: _model(kind, alias)


def _seasonal(kind: str) -> Builder:
    return lambda season, alias: _model(kind, alias, season.length)


def _state_space(kind: str) -> Builder:
    """Without a season where it is too long for a state."""

    def build(season: Lengths, alias: str) -> Any:
        return _model(kind, alias, season.length if season.length <= _LONGEST_STATE else 1)

    return build


def _window(season: Lengths, alias: str) -> Any:
    return _model("WindowAverage", alias, season.window)


def _long_window(season: Lengths, alias: str) -> Any:
    return _model("WindowAverage", alias, season.long_window)


def _seasonal_window(season: Lengths, alias: str) -> Any:
    return _model("SeasonalWindowAverage", alias, season.length, season.seasons)


def _mstl(season: Lengths, alias: str) -> Any:
    # The decomposition needs a season; without one it is a trend alone.
    return _model("MSTL", alias, max(2, season.length))


MODELS: Mapping[str, Builder] = {
    "naive": _without_season("Naive"),
    "average": _without_season("HistoricAverage"),
    "window": _window,
    "long_window": _long_window,
    "seasonal_naive": _seasonal("SeasonalNaive"),
    "seasonal_window": _seasonal_window,
    "ses": _without_season("SimpleExponentialSmoothingOptimized"),
    "slow_ses": lambda _season, alias: _model(
        "SimpleExponentialSmoothing", alias, _SMOOTHING_ALPHA
    ),
    "croston": _without_season("CrostonSBA"),
    "tsb": lambda _season, alias: _model("TSB", alias, _TSB_ALPHA, _TSB_ALPHA),
    "adida": _without_season("ADIDA"),
    "imapa": _without_season("IMAPA"),
    "theta": _seasonal("DynamicOptimizedTheta"),
    "auto_theta": _seasonal("AutoTheta"),
    "ces": _state_space("AutoCES"),
    "ets": _state_space("AutoETS"),
    "arima": _state_space("AutoARIMA"),
    "mstl": _mstl,
}
