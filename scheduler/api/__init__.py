"""REST API, docs UI and pages."""
