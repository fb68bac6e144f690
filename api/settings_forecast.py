"""Settings of the forecasts: who computes them, and whether the server does it by itself."""

from typing import Literal

from pydantic import Field

from api.settings_delivery import DeliverySettings
from tools.forecasting.core.engines import Engine


class ForecastSettings(DeliverySettings):
    """The part of ``Settings`` that a run of forecasts is built from."""

    forecast_engine: Literal["local", "processes", "dask"] = Field(
        default="local",
        description="Who computes forecasts: `local` (this process), `processes` (workers of this "
        "machine, where the work pays for starting them) or `dask` (extra `dask`). The numbers are "
        "the same.",
    )
    forecast_workers: int = Field(
        default=2, ge=1, le=256,
        description="Workers of the engine; on a Dask cluster, partitions under way at once.",
    )  # fmt: skip
    forecast_dask_address: str = Field(
        default="",
        pattern=r"^((tcp|tls)://\S+)?$",
        description="Address of a Dask scheduler, such as `tcp://host:8786`. Empty: workers of "
        "this machine.",
    )
    forecast_hour: int = Field(
        default=-1, ge=-1, le=23,
        description="Hour of the company's day from which `serve` forecasts and plans by itself, "
        "once a day and again after new sales. -1: never; a timer of your own runs "
        "`quartermaster plan`.",
    )  # fmt: skip

    @property
    def engine(self) -> Engine:
        """The engine that these settings describe."""
        return Engine(self.forecast_engine, self.forecast_workers, self.forecast_dask_address)
