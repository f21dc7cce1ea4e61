"""Making ourselves and our resources known to a top node, and again where it forgot us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.errors import ContractBroken
from connectors.vpp.openadr3.client import Version, Vtn


@dataclass(frozen=True, slots=True)
class Resource:
    """What a site is known as there, and what it may draw and give [kW]."""

    name: str
    most_import_kw: float
    most_export_kw: float = 0.0


async def register(vtn: Vtn, ven_name: str, resources: Iterable[Resource]) -> str:
    """Make ourselves and ``resources`` known, as far as they are not; return our number there."""
    asked: dict[str, Any] = {"venName": ven_name}
    if vtn.version is Version.V3_1_0:
        asked["objectType"] = "VEN_VEN_REQUEST"
    ven = await vtn.create("vens", asked)
    if ven is None:
        known = await vtn.listed("vens", {"venName": ven_name})
        ven = next((each for each in known if _named(each, "venName") == ven_name), None)
    if ven is None or not isinstance(ven.get("id"), str):
        raise ContractBroken(f"VTN: VEN {ven_name!r} is known there, and is not listed")
    number: str = ven["id"]
    await _register_resources(vtn, number, resources)
    return number


async def _register_resources(vtn: Vtn, number: str, resources: Iterable[Resource]) -> None:
    is_nested = vtn.version is Version.V3_0_1
    path = f"vens/{number}/resources" if is_nested else "resources"
    listed = await vtn.listed(path, None if is_nested else {"venID": number})
    known = {_named(each, "resourceName") for each in listed}
    for resource in resources:
        if resource.name not in known:
            about = {"objectType": "VEN_RESOURCE_REQUEST"} if not is_nested else {}
            await vtn.create(path, {**about, **_described(number, resource)})


def _described(number: str, resource: Resource) -> Mapping[str, Any]:
    return {
        "resourceName": resource.name,
        "venID": number,
        "attributes": [
            {"type": "MAX_POWER_CONSUMPTION", "values": [resource.most_import_kw]},
            {"type": "MAX_POWER_EXPORT", "values": [resource.most_export_kw]},
        ],
    }


def _named(each: object, field: str) -> object:
    return each.get(field) if isinstance(each, dict) else None
