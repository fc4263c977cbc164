"""The page of reports, and its tables as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executions import report_queries
from executions.admin.bar_charts import Part, heat_level, render_bar
from executions.admin.path_diagram import seconds_text
from executions.models import Execution, Status
from executions.report_queries import AGES, Counts, Measured, Overdue, StepTimes
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_diagram import Mark, build_diagram, render_diagram
from workflows.db import clock
from workflows.models import Version, Workflow
from workflows.values import csv_cells
from workflows.visibility import may_view

LISTED = 20
"""The number of rows that a table shows; its CSV has all."""
OFFERED = 200
"""The number of workflows that the filter offers."""
PERIODS = {
    "7": _("Last 7 days"),
    "30": _("Last 30 days"),
    "90": _("Last 90 days"),
    "365": _("Last 365 days"),
}
DEFAULT_PERIOD = "30"


class ReportFilters(forms.Form):
    """The period and the workflow of the reports. Invalid values are ignored."""

    period = forms.ChoiceField(label=_("Period"), required=False, choices=[*PERIODS.items()])
    workflow = forms.ChoiceField(label=_("Workflow"), required=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells as text, a chart, and a link of its first cell."""

    cells: Sequence[Any]
    chart: SafeString | str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report; ``rows`` has those that the page shows."""

    name: str
    title: str
    columns: Sequence[Any]
    rows: Sequence[Row]
    total: int
    empty_text: str
    notes: Sequence[str] = ()
    legend: Sequence[tuple[str, Any]] = ()

    @property
    def has_more(self) -> bool:
        """Return True if the page shows only the first rows."""
        return self.total > len(self.rows)


class Reports:
    """The reports of a period, for all workflows or for one of them."""

    def __init__(self, request: HttpRequest) -> None:
        chosen = Workflow.objects.order_by("title", "pk").values_list("pk", "title")[:OFFERED]
        self.form = ReportFilters(
            {"period": DEFAULT_PERIOD, **request.GET.dict()}, auto_id="filter_%s"
        )
        fields: Any = self.form.fields
        offered = [(str(pk), title) for pk, title in chosen]
        fields["workflow"].choices = [("", _("All workflows")), *offered]
        self.form.is_valid()
        values = self.form.cleaned_data
        self.period = values.get("period") or DEFAULT_PERIOD
        self.workflow = int(values["workflow"]) if values.get("workflow") else None
        self.now = clock.now()
        self.since: datetime = self.now - timedelta(days=int(self.period))
        self.query = {"period": self.period, **self._workflow_query}

    @property
    def _workflow_query(self) -> dict[str, Any]:
        return {} if self.workflow is None else {"workflow": self.workflow}

    @cached_property
    def titles(self) -> dict[int, str]:
        """The titles of the workflows that the tables name, by id."""
        keys = {one.workflow for one in [*self.started.rows, *self.live.rows]}
        keys |= {one.workflow for one in self.measured.steps}
        return dict(Workflow.objects.filter(pk__in=keys).values_list("pk", "title"))

    @cached_property
    def started(self) -> Counts:
        """The executions that have started in the period."""
        return report_queries.count_executions(self.since, self.now, self.workflow)

    @cached_property
    def live(self) -> Counts:
        """The live executions."""
        return report_queries.count_live_executions(self.now, self.workflow)

    @cached_property
    def measured(self) -> Measured:
        """The times and deadlines of steps that were done in the period."""
        return report_queries.measure_steps(self.since, self.workflow)

    @cached_property
    def overdue(self) -> Overdue:
        """The overdue steps by assignee."""
        return report_queries.count_overdue(self.workflow)

    # Tables

    def executions_table(self, limit: int | None) -> Table:
        """Return the executions that have started, by workflow and status."""
        statuses = [
            status for status in Status if any(row.statuses[status] for row in self.started.rows)
        ]
        most = max((row.total for row in self.started.rows), default=0)
        rows = [
            Row(
                [self.titles[row.workflow], row.total, *(row.statuses[one] for one in statuses)],
                render_bar(
                    [Part(row.statuses[one], f"part-{one}", one.label) for one in statuses], most
                ),
                self._executions_url(row.workflow, started_at__gte=self.since.isoformat()),
            )
            for row in self.started.rows[:limit]
        ]
        return Table(
            "executions",
            gettext("Executions by status"),
            [_("Workflow"), _("Started"), *(one.label for one in statuses)],
            rows,
            len(self.started.rows),
            gettext("No execution has started in this period."),
            self._capped(self.started.has_more),
            [(f"part-{one}", one.label) for one in statuses],
        )

    def ages_table(self, limit: int | None) -> Table:
        """Return the live executions by workflow and age."""
        labels = _age_labels()
        most = max((row.total for row in self.live.rows), default=0)
        rows = [
            Row(
                [
                    self.titles[row.workflow],
                    row.total,
                    *(row.ages[one] for one in range(len(labels))),
                ],
                render_bar(
                    [
                        Part(row.ages[one], f"part-age-{one}", text)
                        for one, text in enumerate(labels)
                    ],
                    most,
                ),
                self._executions_url(row.workflow, live="yes"),
            )
            for row in self.live.rows[:limit]
        ]
        return Table(
            "ages",
            gettext("Live executions by age"),
            [_("Workflow"), _("Live"), *labels],
            rows,
            len(self.live.rows),
            gettext("No live executions."),
            self._capped(self.live.has_more),
            [(f"part-age-{one}", text) for one, text in enumerate(labels)],
        )

    def steps_table(self, limit: int | None) -> Table:
        """Return the time in each step, the longest first."""
        found = self.measured.steps
        most = max((row.ninetieth for row in found), default=0)
        as_text = limit is not None
        rows = [
            Row(
                [
                    self.titles[row.workflow],
                    row.label,
                    row.number,
                    *(
                        seconds_text(value) if as_text else value
                        for value in (row.median, row.ninetieth)
                    ),
                ],
                render_bar(
                    [
                        Part(row.median, "part-median", gettext("Median")),
                        Part(
                            row.ninetieth - row.median, "part-ninetieth", gettext("90th percentile")
                        ),
                    ],
                    most,
                ),
                self._url_of(row.workflow),
            )
            for row in found[:limit]
        ]
        units = ("", "") if as_text else (" (s)", " (s)")
        return Table(
            "steps",
            gettext("Time in steps"),
            [
                *(_("Workflow"), _("Step"), _("Steps done")),
                gettext("Median") + units[0],
                gettext("90th percentile") + units[1],
            ],
            rows,
            len(found),
            gettext("No step was done in this period."),
            [self._measured_text, *self._capped(self.measured.has_more)],
            [("part-median", _("Median")), ("part-ninetieth", _("90th percentile"))],
        )

    def overdue_table(self, limit: int | None) -> Table:
        """Return the overdue steps by group or user."""
        found = self.overdue.rows
        most = max((number for _name, number in found), default=0)
        rows = [
            Row(
                [name or gettext("Everybody"), number],
                render_bar([Part(number, "part-failed", gettext("Overdue"))], most),
            )
            for name, number in found[:limit]
        ]
        return Table(
            "overdue",
            gettext("Overdue steps by assignee"),
            [_("Group or user"), _("Overdue")],
            rows,
            len(found),
            gettext("No steps are overdue."),
            self._capped(self.overdue.has_more),
        )

    def deadlines_table(self, limit: int | None) -> Table:
        """Return the deadlines that were met and missed, the worst first."""
        found = self.measured.deadlines
        rows = [
            Row(
                [self.titles[row.workflow], row.total, row.met, row.missed, f"{row.percent} %"],
                render_bar(
                    [
                        Part(row.met, "part-completed", gettext("Met")),
                        Part(row.missed, "part-failed", gettext("Missed")),
                    ],
                    row.total,
                ),
                self._url_of(row.workflow),
            )
            for row in found[:limit]
        ]
        return Table(
            "deadlines",
            gettext("Deadlines met"),
            [_("Workflow"), _("With a deadline"), _("Met"), _("Missed"), _("Share met")],
            rows,
            len(found),
            gettext("No step with a deadline was done in this period."),
            [self._measured_text],
            [("part-completed", _("Met")), ("part-failed", _("Missed"))],
        )

    @property
    def _measured_text(self) -> str:
        text = ngettext(
            "Measured in the newest execution.",
            "Measured in the newest %(number)s executions.",
            report_queries.MEASURED,
        )
        return text % {"number": f"{report_queries.MEASURED:,}"}

    def _capped(self, has_more: bool) -> list[str]:
        if not has_more:
            return []
        text = gettext("Counted up to %(number)s. Choose a shorter period or one workflow.")
        return [text % {"number": f"{report_queries.COUNTED:,}"}]

    def _executions_url(self, workflow: int, **query: Any) -> str:
        return admin_url(Execution, "changelist", workflow=workflow, **query)

    def _url_of(self, workflow: int) -> str:
        return admin_url(Execution, "reports", period=self.period, workflow=workflow)

    def heat_map(self) -> SafeString | None:
        """Return the graph of the chosen workflow, whose boxes show the time in each step."""
        latest = Version.objects.filter(workflow=self.workflow).order_by("-number").first()
        source = None if latest is None else latest.source_with_positions
        times = {row.node_id: row for row in self.measured.steps}
        most = max((row.median for row in times.values()), default=0)
        diagram = build_diagram(
            source,
            marks={key: [_time_mark(row)] for key, row in times.items()},
            states={
                key: (f"heat-{heat_level(row.median, most)}", _time_text(row))
                for key, row in times.items()
            },
        )
        return render_diagram(diagram, gettext("Time in steps"), "graph")


TABLES: dict[str, Callable[[Reports, int | None], Table]] = {
    "executions": Reports.executions_table,
    "ages": Reports.ages_table,
    "steps": Reports.steps_table,
    "overdue": Reports.overdue_table,
    "deadlines": Reports.deadlines_table,
}
"""The tables in their order, by the name in the address of their CSV."""


def reports_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """Show the reports of a period."""
    reports = Reports(request)
    may_view_graph = reports.workflow is not None and may_view(request.user, Version)
    return model_admin.render_page(
        request,
        "executions/admin/reports.html",
        {
            "title": gettext("Reports"),
            "filters": reports.form,
            "tables": [
                {
                    "table": build(reports, LISTED),
                    "csv_url": admin_url(Execution, "reports_csv", name, **reports.query),
                    "graph": reports.heat_map() if name == "steps" and may_view_graph else None,
                }
                for name, build in TABLES.items()
            ],
            "since": reports.since,
            "now": reports.now,
            "choose_workflow": reports.workflow is None,
        },
    )


def reports_csv(request: HttpRequest, name: str) -> HttpResponseBase:
    """Return a table of the reports with all of its rows as CSV.

    Raises:
        Http404: there is no table of this name.
    """
    if name not in TABLES:
        raise Http404
    table = TABLES[name](Reports(request), None)
    rows = [[str(column) for column in table.columns], *(row.cells for row in table.rows)]
    return csv_cells.build_response(f"reports-{name}", rows, for_spreadsheets=True)


def _age_labels() -> list[str]:
    upto = ngettext("up to %(number)s day", "up to %(number)s days", 2)
    labels = [gettext("up to 1 day"), *(upto % {"number": days} for days in AGES[1:])]
    return [*labels, gettext("more than %(number)s days") % {"number": AGES[-1]}]


def _time_mark(row: StepTimes) -> Mark:
    return Mark(seconds_text(row.median), _time_text(row), "visits")


def _time_text(row: StepTimes) -> str:
    values = {
        "median": seconds_text(row.median),
        "ninetieth": seconds_text(row.ninetieth),
        "number": row.number,
    }
    text = gettext("Median %(median)s, 90th percentile %(ninetieth)s, %(number)s steps done")
    return text % values
