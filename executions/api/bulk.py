"""Many executions in one request: each item is a transaction with a result of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.api.execution_serializers import (
    CancelSerializer,
    DecisionSerializer,
    ExecutionSerializer,
    PostponeSerializer,
    SkipSerializer,
    StartSerializer,
)
from executions.models import OPERATE, Execution
from workflows.api.base import edit_options
from workflows.api.base.refusal_json import ProblemField
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    AnyJSONField,
    StrictBooleanField,
    StrictCharField,
    StrictSerializer,
)
from workflows.api.base.strict_requests import takes_parameters
from workflows.db.json_values import quoted
from workflows.editing import idempotency

logger = logging.getLogger(__name__)

MAX_ITEMS = 100


class BulkSerializer(StrictSerializer):
    """The body of a bulk request; the items are validated one by one."""

    items = serializers.ListField(child=AnyJSONField(), allow_empty=False, max_length=MAX_ITEMS)
    dry_run = StrictBooleanField(
        default=False, help_text="Return the response without changing anything."
    )


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


class BulkResultSerializer(serializers.Serializer[Any]):
    """The results, in the order of the items."""

    dry_run = serializers.BooleanField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    results = ResultSerializer(many=True)


class ServerFault(APIException):
    """An error of the server in one item. The other items are unaffected."""

    status_code = status.HTTP_500_INTERNAL_SERVER_ERROR
    default_code = "server_error"
    default_detail = _("Something went wrong on the server.")


Item = type[StrictSerializer]
ItemAction = Callable[[dict[str, Any]], Response]
RESPONSES = {200: BulkResultSerializer, 207: BulkResultSerializer}


def _request_schema(item: Item) -> Any:
    """Return a serializer that describes the body with this type of items."""
    name = item.__name__.replace("ItemSerializer", "Serializer")
    items = item(many=True, allow_empty=False, max_length=MAX_ITEMS)
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


def _bulk_action(name: str, item: Item, service: Callable[..., Execution]) -> Any:
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


class BulkActions(Resource):
    """The routes below ``executions/bulk/``.

    The status is 200 when all items succeeded, and 207 when some failed.
    """

    bulk_cancel = _bulk_action("cancel", BulkCancelItemSerializer, services.cancel)
    bulk_retry = _bulk_action("retry", BulkRetryItemSerializer, services.retry)
    bulk_skip = _bulk_action("skip", BulkSkipItemSerializer, services.skip)
    bulk_postpone = _bulk_action("postpone", BulkPostponeItemSerializer, services.postpone)

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

    def answer_items(self, request: Request, item: Item, act: ItemAction) -> Response:
        """Act on each item of the request, and return a response with all results.

        Args:
            item: the serializer that validates an item.
            act: called with the validated values of an item.
        """
        body = BulkSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        is_dry_run = edit_options.is_dry_run(request)
        once = None if is_dry_run else edit_options.read_idempotency_key(request)
        if once is not None:
            with edit_options.translate_key_errors():
                idempotency.refuse_reused_key(once)

        def act_on(values: Any) -> Response:
            sent = item(data=values)
            sent.is_valid(raise_exception=True)
            return act(dict(sent.validated_data))

        results = [
            self._result(index, partial(act_on, values), is_dry_run, once)
            for index, values in enumerate(body.validated_data["items"])
        ]
        failed = sum(row["problem"] is not None for row in results)
        headers = {}
        if is_dry_run:
            headers[edit_options.DRY_RUN_HEADER] = "true"
        if all(row["replayed"] for row in results):
            headers[edit_options.REPLAYED_HEADER] = "true"
        data = {
            "dry_run": is_dry_run,
            "succeeded": len(results) - failed,
            "failed": failed,
            "results": results,
        }
        code = status.HTTP_207_MULTI_STATUS if failed else status.HTTP_200_OK
        # A problem among the results has set the media type of the request to that of problems.
        return Response(data, code, headers=headers, content_type="application/json")

    def _result(
        self,
        index: int,
        act: edit_options.Act,
        is_dry_run: bool,
        once: idempotency.IdempotentRequest | None,
    ) -> dict[str, Any]:
        replayed = False
        try:
            if once is not None:
                with edit_options.translate_key_errors():
                    answer = edit_options.answer_once(self, replace(once, item=index), act)
                code, data, replayed = answer.status, json.loads(answer.body), answer.is_repeated
            else:
                response: Any = edit_options.make_dry_run(act) if is_dry_run else act()
                code, data = response.status_code, response.data
        except Exception as error:
            code, data = self._problem(index, error)
        is_success = code < 400
        return {
            "index": index,
            "status": code,
            "execution": data if is_success else None,
            "problem": None if is_success else data,
            "replayed": replayed,
        }

    def _problem(self, index: int, error: Exception) -> tuple[int, Any]:
        try:
            response = self.handle_exception(error)
        except Exception:
            # The results of the other items are committed: the client has to learn them.
            logger.exception("Item %s of %s failed.", index, quoted(self.request.path))
            response = self.handle_exception(ServerFault())
        return response.status_code, response.data
