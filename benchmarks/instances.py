"""Reference instances and crowds as problems for the optimiser; the numbers are in ``draws``."""

from __future__ import annotations

from benchmarks.draws import (
    CAPS,
    GPUS,
    KW_PER_GPU,
    ONE_WAY_EFFICIENCY,
    SIZES,
    WEAR_EUR_PER_KWH,
    Draw,
    Size,
)
from benchmarks.draws import crowd as crowd_size
from optimizer import (
    GridConnection,
    Horizon,
    Job,
    OperatingPoint,
    Pausing,
    Pool,
    Problem,
    Renewable,
    Site,
    StorageUnit,
)

IMPORT_LIMIT_KW = 1e5
"""Above anything a site can draw."""
POOL = "gpu"


def reference(name: str) -> Problem:
    """Return the reference instance S, M, L or XL."""
    return drawn(SIZES[name])


def crowd(n_jobs: int) -> Problem:
    """Return ``n_jobs`` jobs at ten sites for a week, with GPUs for as many; 10,000 are L."""
    return drawn(crowd_size(n_jobs))


def drawn(size: Size, seed: int = 0) -> Problem:
    """Draw numbers of ``size`` and return their problem."""
    draw = Draw.of(size, seed)
    sites = tuple(_site(draw, number) for number in range(size.n_sites))
    return Problem(horizon=Horizon(size.n_slots, 1.0), sites=sites, jobs=_jobs(draw, sites))


def _jobs(draw: Draw, sites: tuple[Site, ...]) -> tuple[Job, ...]:
    """Jobs on as many GPUs share their operating points: a hundred thousand fit into memory."""
    n_caps = draw.size.n_caps
    points = {n_gpus: _points(sites, n_gpus, n_caps) for n_gpus, _ in GPUS}
    pausing = Pausing()
    columns = (
        draw.duration,
        draw.gpus,
        draw.is_interruptible,
        draw.release,
        draw.deadline,
        draw.unserved_eur,
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(
        Job(
            name=f"job-{number:06d}",
            work=float(hours),
            points=points[n_gpus],
            release_slot=release,
            deadline_slot=deadline,
            unserved_eur=unserved_eur,
            pausing=pausing if is_interruptible else None,
            is_elastic=n_caps > 1,
        )
        for number, (hours, n_gpus, is_interruptible, release, deadline, unserved_eur) in enumerate(
            rows
        )
    )


def _points(sites: tuple[Site, ...], n_gpus: int, n_caps: int) -> tuple[OperatingPoint, ...]:
    """Ways to run at each site, in their order, without a cap first."""
    return tuple(
        OperatingPoint(
            name=site.name if number == 0 else f"{site.name}/cap-{number}",
            site=site.name,
            pool=POOL,
            gpus=n_gpus,
            power_kw=KW_PER_GPU * n_gpus * power,
            work_per_hour=speed,
        )
        for site in sites
        for number, (power, speed) in enumerate(CAPS[:n_caps])
    )


def _site(draw: Draw, number: int) -> Site:
    n_slots = draw.size.n_slots
    nothing = (0.0,) * n_slots
    return Site(
        name=f"site-{number:02d}",
        pools=(Pool(POOL, (float(draw.gpus_per_site),) * n_slots),),
        grid=GridConnection(
            import_limit_kw=(IMPORT_LIMIT_KW,) * n_slots,
            export_limit_kw=nothing,
            import_price_eur_per_mwh=tuple(draw.import_eur_per_mwh[number].tolist()),
            export_price_eur_per_mwh=nothing,
            network_fee_eur_per_mwh=nothing,
            carbon_g_per_kwh=nothing,
        ),
        pue=(1.0,) * n_slots,
        base_load_kw=nothing,
        renewables=(Renewable("pv", tuple(draw.pv_kw.tolist())),),
        storage=(
            StorageUnit(
                name="battery",
                charge_max_kw=draw.battery_kw,
                discharge_max_kw=draw.battery_kw,
                capacity_kwh=draw.battery_kwh,
                soc_initial_kwh=0.0,
                charge_efficiency=ONE_WAY_EFFICIENCY,
                discharge_efficiency=ONE_WAY_EFFICIENCY,
                wear_eur_per_kwh=WEAR_EUR_PER_KWH,
            ),
        ),
    )
