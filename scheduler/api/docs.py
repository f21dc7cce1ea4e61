"""API docs that work without the internet: their scripts come from an installed package."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_ASSETS = "/docs-assets"
_OPENAPI = "/openapi.json"
_TITLE = "Gridtide API"

router = APIRouter(include_in_schema=False)


def add_docs(app: FastAPI) -> None:
    """Serve ``/docs`` (Swagger UI, to try things out) and ``/redoc`` (to read)."""
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-assets")
    app.include_router(router)


@router.get("/docs")
def swagger_ui() -> HTMLResponse:
    """Show every route, with a form to try it."""
    return get_swagger_ui_html(
        openapi_url=_OPENAPI,
        title=_TITLE,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "docExpansion": "list"},
    )


@router.get("/redoc")
def redoc() -> HTMLResponse:
    """Show the same as one page to read."""
    return get_redoc_html(
        openapi_url=_OPENAPI,
        title=_TITLE,
        redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{_ASSETS}/favicon.png",
        with_google_fonts=False,
    )
