"""Many executions in one request: each item is a transaction with a result of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.api.bulk_items import (
    MAX_ITEMS,
    BulkSerializer,
    Item,
    ItemByItem,
    ItemResultsSerializer,
)
from executions.api.execution_serializers import (
    CancelSerializer,
    DecisionSerializer,
    ExecutionSerializer,
    PostponeSerializer,
    SkipSerializer,
    StartSerializer,
)
from executions.api.moves import MoveOptionsSerializer
from executions.models import OPERATE, Execution
from workflows.api.base import edit_options
from workflows.api.base.refusal_json import ProblemField
from workflows.api.base.strict_fields import StrictCharField
from workflows.api.base.strict_requests import takes_parameters


class NamedExecutionSerializer(serializers.Serializer[Any]):
    """The execution of an item."""

    execution = StrictCharField()


class BulkCancelItemSerializer(NamedExecutionSerializer, CancelSerializer):
    """The body of ``cancel`` with the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkRetryItemSerializer(NamedExecutionSerializer, DecisionSerializer):
    """The body of ``retry`` with the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkSkipItemSerializer(NamedExecutionSerializer, SkipSerializer):
    """The body of ``skip`` with the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkPostponeItemSerializer(NamedExecutionSerializer, PostponeSerializer):
    """The body of ``postpone`` with the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkMoveItemSerializer(NamedExecutionSerializer, MoveOptionsSerializer):
    """The body of ``move`` with the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkStartItemSerializer(StartSerializer):
    """The body of a start."""

    dry_run = None  # type: ignore[assignment]


class ResultSerializer(serializers.Serializer[Any]):
    """The result of an item: an execution, or the problem that its own route would return."""

    index = serializers.IntegerField()
    status = serializers.IntegerField()
    execution = ExecutionSerializer(allow_null=True)
    problem = ProblemField(allow_null=True)
    replayed = serializers.BooleanField()


class BulkResultSerializer(ItemResultsSerializer):
    """The results, in the order of the items."""

    results = ResultSerializer(many=True)


RESPONSES = {200: BulkResultSerializer, 207: BulkResultSerializer}


def _request_schema(item: Item) -> Any:
    """Return a serializer that describes the body with this type of items."""
    name = item.__name__.replace("ItemSerializer", "Serializer")
    many: Any = item
    items = many(many=True, allow_empty=False, max_length=MAX_ITEMS)
    return type(name, (BulkSerializer,), {"items": items})


def _bulk_route(name: str, item: Item, **options: Any) -> Callable[[Any], Any]:
    """Return the decorator of the route ``POST executions/bulk/<name>/``."""

    def decorate(handler: Any) -> Any:
        route = action(
            detail=False,
            methods=["post"],
            url_path=f"bulk/{name}",
            pagination_class=None,
            **options,
        )(takes_parameters(edit_options.DRY_RUN.name)(handler))
        return extend_schema(
            request=_request_schema(item),
            parameters=edit_options.EDIT_PARAMETERS,
            responses=RESPONSES,
            filters=False,
        )(route)

    return decorate


def _bulk_action(name: str, item: Item, service: Callable[..., object]) -> Any:
    """Return the route that calls a service for the execution of each item."""

    def act_on_each(view: BulkActions, request: Request) -> Response:
        def act(values: dict[str, Any]) -> Response:
            view.kwargs["cuid"] = values.pop("execution")
            execution = view.get_object()
            service(execution, by=request.user, **values)
            return view.answer_item(execution)

        return view.answer_items(request, item, act)

    act_on_each.__name__ = f"bulk_{name}"
    return _bulk_route(name, item, needs=OPERATE)(act_on_each)


class BulkActions(ItemByItem):
    """The routes below ``executions/bulk/``."""

    bulk_cancel = _bulk_action("cancel", BulkCancelItemSerializer, services.cancel)
    bulk_retry = _bulk_action("retry", BulkRetryItemSerializer, services.retry)
    bulk_skip = _bulk_action("skip", BulkSkipItemSerializer, services.skip)
    bulk_postpone = _bulk_action("postpone", BulkPostponeItemSerializer, services.postpone)
    bulk_move = _bulk_action("move", BulkMoveItemSerializer, services.move)

    @_bulk_route("start", BulkStartItemSerializer, throttle_scope="start")
    def bulk_start(self, request: Request) -> Response:
        """Start an execution for each item."""

        def start(values: dict[str, Any]) -> Response:
            execution = services.start(
                values["workflow"],
                values["entity"],
                by=request.user,
                scheduled_for=values["scheduled_for"],
            )
            return self.answer_item(execution, status.HTTP_201_CREATED)

        return self.answer_items(request, BulkStartItemSerializer, start)

    def answer_item(self, execution: Execution, code: int = status.HTTP_200_OK) -> Response:
        """Return the response of one item with its execution."""
        serializer = ExecutionSerializer(execution, context=self.get_serializer_context())
        return Response(serializer.data, code)
