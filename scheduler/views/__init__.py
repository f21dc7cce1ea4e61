"""A plan made readable: pure functions from a ``PlanDocument`` to text, tables, charts and HTML."""

from scheduler.views.answer_page import answer_page
from scheduler.views.chart import chart
from scheduler.views.compare import Comparison, compare
from scheduler.views.explanation import explain_job, explanation_text
from scheduler.views.ledger_page import LedgerMonth, ledger_page
from scheduler.views.page import IndexRow, PageActions, index_page, login_page, plan_page
from scheduler.views.settlement_page import EventRow, events_page, settlement_page
from scheduler.views.signal_page import FlagActions, signals_page
from scheduler.views.summary import summary_text
from scheduler.views.tables import energy_table, job_table, price_table

__all__ = [
    "Comparison",
    "EventRow",
    "FlagActions",
    "IndexRow",
    "LedgerMonth",
    "PageActions",
    "answer_page",
    "chart",
    "compare",
    "energy_table",
    "events_page",
    "explain_job",
    "explanation_text",
    "index_page",
    "job_table",
    "ledger_page",
    "login_page",
    "plan_page",
    "price_table",
    "settlement_page",
    "signals_page",
    "summary_text",
]
