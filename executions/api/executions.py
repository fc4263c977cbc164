"""Executions in the API: starting and reading them, and the actions on their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.api.advanced_executions import represent_started, represent_submitted
from executions.api.bulk import BulkActions
from executions.api.execution_filters import ExecutionFilter
from executions.api.execution_rows import UNCHANGED_OF_ROOT
from executions.api.execution_serializers import (
    CancelSerializer,
    DecisionSerializer,
    DraftSerializer,
    ExecutionSerializer,
    ListedExecutionSerializer,
    NamedStepSerializer,
    PostponeSerializer,
    ReassignSerializer,
    SkipSerializer,
    StartSerializer,
    StepSerializer,
    SubmitSerializer,
    VotingSerializer,
)
from executions.api.included import INCLUDE, NAME, parse_include
from executions.api.moves import MoveActions, MoveSerializer
from executions.api.plain_bodies import read_start, read_submit, read_validated
from executions.models import (
    OPERATE,
    START,
    SUBMIT,
    VIEW_STEPS,
    Execution,
    Finding,
    InventoryModel,
    Visits,
)
from executions.task_queries import executions_for
from workflows.api.base.edit_options import EDIT_PARAMETERS, OneStatement, edit
from workflows.api.base.read_ahead import ReadAhead
from workflows.api.base.refusal_json import build_url
from workflows.api.base.resources import Resource, not_found
from workflows.db import raw_rows
from workflows.db.json_values import storage_problem
from workflows.editing.idempotency import NeedsTransaction
from workflows.visibility import viewing_permissions

LISTS = ("list", "mine")


def _action(
    name: str,
    serializer: Any,
    service: Callable[..., Execution],
    *,
    needs: str,
    read: Callable[[Any], dict[str, Any]] | None = None,
    in_statement: bool = False,
    **values: Any,
) -> Any:
    """Return the route ``POST executions/<cuid>/<name>/``, which calls a service.

    Args:
        serializer: the body of the request: keyword arguments of the service.
        needs: the permission.
        read: returns the validated body; by default the serializer does.
        in_statement: see ``edit``.
        values: further keyword arguments of the service.
    """

    def act(
        view: ExecutionViewSet, request: Request, cuid: str, once: OneStatement | None = None
    ) -> Response:
        execution = view.get_object()
        body = (read or partial(read_validated, serializer))(request.data)

        def represent(done: Execution) -> dict[str, Any] | None:
            result, unchanged = services.recall_result(done), view.read_ahead_row
            return represent_submitted(done, result, unchanged, request.user)

        do = partial(service, execution, by=request.user, **values, **body)
        return view.answer_with(do, represent, once)

    # The router takes the path from the name.
    act.__name__ = name
    route: Any = action(detail=True, methods=["post"], needs=needs)(
        edit(act, in_statement=in_statement)
    )
    return extend_schema(
        request=serializer, parameters=EDIT_PARAMETERS, responses=ExecutionSerializer
    )(route)


@extend_schema_view(list=extend_schema(parameters=[INCLUDE]))
class ExecutionViewSet(
    BulkActions, MoveActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource
):
    """The resource ``executions/``."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
    search_fields = ["=cuid", "workflow__title", "entity__title"]
    ordering_fields = ["status", "started_at", "updated_at", "ended_at"]
    list_parameters = (NAME,)
    included_names: Sequence[str] = ()
    shows = (*viewing_permissions(Finding), *viewing_permissions(InventoryModel))

    submit = _action(
        *("submit", SubmitSerializer, services.submit),
        needs=SUBMIT,
        read=read_submit,
        in_statement=True,
    )
    draft = _action("draft", DraftSerializer, services.save_draft, needs=SUBMIT)
    approve = _action("approve", VotingSerializer, services.vote, needs=SUBMIT, approves=True)
    reject = _action("reject", VotingSerializer, services.vote, needs=SUBMIT, approves=False)
    wake = _action("wake", DecisionSerializer, services.wake, needs=OPERATE)
    retry = _action("retry", DecisionSerializer, services.retry, needs=OPERATE)
    skip = _action("skip", SkipSerializer, services.skip, needs=OPERATE)
    postpone = _action("postpone", PostponeSerializer, services.postpone, needs=OPERATE)
    claim = _action("claim", NamedStepSerializer, services.claim, needs=SUBMIT)
    unclaim = _action("unclaim", DecisionSerializer, services.unclaim, needs=SUBMIT)
    reassign = _action("reassign", ReassignSerializer, services.reassign, needs=OPERATE)
    cancel = _action("cancel", CancelSerializer, services.cancel, needs=OPERATE)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read which records a list includes."""
        super().initial(request, *args, **kwargs)
        if self.action in LISTS and NAME in request.query_params:
            self.included_names = parse_include(request)

    @extend_schema(
        request=StartSerializer, parameters=EDIT_PARAMETERS, responses={201: ExecutionSerializer}
    )
    @partial(edit, in_statement=True)
    def create(
        self, request: Request, *args: Any, once: OneStatement | None = None, **kwargs: Any
    ) -> Response:
        """Start a workflow on an entity."""
        values = read_start(request.data)

        def represent(new: Execution) -> dict[str, Any] | None:
            result = services.recall_result(new)
            return represent_started(new, result, values["entity"], request.user)

        do = partial(services.start, by=request.user, **values)
        return self.answer_with(do, represent, once, status.HTTP_201_CREATED)

    @extend_schema(
        request=CancelSerializer, parameters=EDIT_PARAMETERS, responses={201: ExecutionSerializer}
    )
    @action(detail=True, methods=["post"], needs=(OPERATE, START), throttle_scope="start")
    @edit
    def restart(self, request: Request, cuid: str) -> Response:
        """Cancel the execution if it is live, and answer with a new one."""
        body = CancelSerializer(data=request.data)
        execution = self.get_object()
        body.is_valid(raise_exception=True)
        new = services.restart(execution, by=request.user, **body.validated_data)
        return self.answer(new, status.HTTP_201_CREATED)

    @extend_schema(parameters=[INCLUDE], responses=ListedExecutionSerializer(many=True))
    @action(detail=False, lists=True)
    def mine(self, request: Request) -> Response:
        """List the executions with an open step that the user may do."""
        executions = self.filter_queryset(
            self.get_queryset().filter(pk__in=executions_for(request.user))
        )
        page = self.paginate_queryset(executions)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses=StepSerializer(many=True))
    @action(detail=True, lists=True, needs=VIEW_STEPS, filter_backends=[], filterset_class=None)
    def steps(self, request: Request, cuid: str) -> Response:
        """List the steps of an execution, open and closed, in the order of their visits."""
        # The pagination takes any sequence.
        visits: Any = Visits(self.get_object())
        page = self.paginate_queryset(visits)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the executions with the related rows of a list."""
        related = ("workflow", "version", "entity", "parent", "root", "started_by")
        executions = super().get_queryset().select_related(*related)
        return executions.defer("version__source", "entity__fields", "passed", "variables")

    def get_object(self) -> Any:
        """Return the execution that the URL names, with only the columns that actions need."""
        cuid = self.kwargs["cuid"]
        names = ("id", "cuid", "status", "workflow_id", "root_id", "parent_id")
        row = None
        if not storage_problem(cuid):
            if self.action == "submit":
                row = services.read_for_submit(cuid)
            else:
                row = raw_rows.find_by_cuid(Execution, cuid, names)
        if row is None:
            raise not_found(Execution, cuid)
        self.check_object_permissions(self.request, row)
        return row

    def read_ahead(self) -> tuple[ReadAhead, str] | None:
        """Return what a submit reads with its user."""
        return (UNCHANGED_OF_ROOT, self.kwargs["cuid"]) if self.action == "submit" else None

    def check_permissions(self, request: Request) -> None:
        """Check the permissions of the action; operators unclaim a step for others."""
        if self.action == "unclaim" and request.user.has_perm(OPERATE):
            self.needs = OPERATE
        super().check_permissions(request)

    def get_serializer_class(self) -> Any:
        """Return the serializer of the action: lists omit steps and pinned versions."""
        if self.action in ("steps", "moves"):
            return StepSerializer if self.action == "steps" else MoveSerializer
        return ListedExecutionSerializer if self.action in LISTS else ExecutionSerializer

    def get_throttles(self) -> list[Any]:
        """Return the throttles; a start has a limit of its own."""
        if self.action == "create":
            self.throttle_scope = "start"
        return list(super().get_throttles())

    def answer_with(
        self,
        service: Callable[..., Execution],
        represent: Callable[[Execution], dict[str, Any] | None],
        once: OneStatement | None,
        status_code: int = status.HTTP_200_OK,
    ) -> Response:
        """Call a service, and return the response with the execution that it returns.

        Args:
            represent: returns the execution from the result of the service; None to read it.
            once: stores the response in the statement of the service.
        """
        if once is None:
            execution = service()
            return self.answer(execution, status_code, represent(execution))

        def store(execution: Execution) -> Sequence[Any]:
            known = represent(execution)
            if known is None:
                raise NeedsTransaction
            return once.store(self.answer(execution, status_code, known))

        service(stores=store)
        return Response()

    def answer(
        self, execution: Execution, status_code: int = status.HTTP_200_OK, known: Any = None
    ) -> Response:
        """Return a response with the execution: as it is known, or else as it is stored now."""
        headers = {}
        if status_code == status.HTTP_201_CREATED:
            headers["Location"] = build_url("execution", execution.cuid, self.request)
        data = known or self.get_serializer(execution).data
        return Response(data, status_code, headers=headers)
