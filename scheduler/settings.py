"""What a deployment decides, read from environment variables that begin with ``GRIDTIDE_``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from scheduler.source_settings import SourceSettings
from scheduler.stream_settings import StreamSettings


class Settings(SourceSettings, StreamSettings):
    """Settings of every process; those of sources and streams are in the classes it is made of.

    Attributes
    ----------
    state_dir
        Where local clusters, simulated batteries and the SQLite database live; absolute, as it is
        from the folder the process began in.
    database_url
        ``sqlite:///...`` or ``postgresql+psycopg://...``; without one, SQLite in ``state_dir``.
    host, port
        Where the API listens.
    secure_cookie
        Whether browsers may send the login over https only; set it behind a proxy that ends https.
    dispatch_every_s
        Pause between two comparisons of plan and clusters [s].
    power_history_days
        How long readings of what clusters draw are kept, one a minute [d].
    signal_detail_days
        How long every value of a signal is kept after a later one took its place [d].
    signal_grid_hours
        Of older ones, those stay that were current at a multiple of so many hours UTC [h].
    simulated_vpp
        TOML file with the events of a simulated virtual power plant; without one there is none.
    openadr
        TOML file with the connection to a virtual power plant that speaks OpenADR 3.
    openadr_client_secret
        Of our account there.
    openadr_webhook_token
        What shows that it is the other side that tells of changes, to the API.
    grid_side_every_s
        Pause between two polls of the virtual power plant [s].
    search_workers
        Processes a worker searches with, where there are many jobs.
    dask_scheduler
        Address of a Dask scheduler whose workers do the search instead, e.g. ``tcp://host:8786``.
    lease_s
        How long a worker that is not heard of keeps its run [s].
    """

    model_config = SettingsConfigDict(env_prefix="GRIDTIDE_", frozen=True)

    state_dir: Annotated[Path, AfterValidator(Path.absolute), Field(validate_default=True)] = Path(
        "gridtide-state"
    )
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    secure_cookie: bool = False
    power_history_days: Annotated[float, Field(ge=1, le=3660)] = 92.0
    signal_detail_days: Annotated[float, Field(ge=1, le=36600)] = 92.0
    signal_grid_hours: Annotated[float, Field(ge=0.25, le=24)] = 6.0
    dispatch_every_s: Annotated[float, Field(gt=0)] = 10.0
    simulated_vpp: Path | None = None
    openadr: Path | None = None
    openadr_client_secret: SecretStr = SecretStr("")
    openadr_webhook_token: Annotated[SecretStr, Field(min_length=32, max_length=512)] | None = None
    grid_side_every_s: Annotated[float, Field(gt=0)] = 30.0
    search_workers: Annotated[int, Field(ge=1, le=256)] = 1
    dask_scheduler: str | None = None
    lease_s: Annotated[float, Field(ge=5)] = 30.0

    @property
    def resolved_database_url(self) -> str:
        """The database to use."""
        if self.database_url is not None:
            return self.database_url
        return f"sqlite:///{self.state_dir / 'gridtide.db'}"
