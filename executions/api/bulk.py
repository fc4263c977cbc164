"""Many executions in one request: each item by itself, with a result of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.api.serializers import (
    CancelSerializer,
    DecisionSerializer,
    ExecutionSerializer,
    PostponeSerializer,
    SkipSerializer,
    StartSerializer,
)
from executions.models import OPERATE, Execution
from workflows.api.base import edit_options
from workflows.api.base.refusals import ProblemField
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    AnyField,
    StrictBooleanField,
    StrictCharField,
    StrictSerializer,
)
from workflows.api.base.strict_requests import takes_parameters
from workflows.db.json_values import quoted
from workflows.editing import idempotency

logger = logging.getLogger(__name__)

MOST = 100


class BulkSerializer(StrictSerializer):
    """What is to be done; each item is judged by itself."""

    items = serializers.ListField(child=AnyField(), allow_empty=False, max_length=MOST)
    dry_run = StrictBooleanField(
        default=False, help_text="Answer what would be answered, and change nothing."
    )


class NamedExecutionSerializer(serializers.Serializer[Any]):
    """Which execution an item speaks of."""

    execution = StrictCharField()


class BulkCancelItemSerializer(NamedExecutionSerializer, CancelSerializer):
    """What ``cancel`` takes, and the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkRetryItemSerializer(NamedExecutionSerializer, DecisionSerializer):
    """What ``retry`` takes, and the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkSkipItemSerializer(NamedExecutionSerializer, SkipSerializer):
    """What ``skip`` takes, and the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkPostponeItemSerializer(NamedExecutionSerializer, PostponeSerializer):
    """What ``postpone`` takes, and the execution."""

    dry_run = None  # type: ignore[assignment]


class BulkStartItemSerializer(StartSerializer):
    """What a start takes."""

    dry_run = None  # type: ignore[assignment]


def _request_of(item: type[serializers.Serializer[Any]]) -> Any:
    """The shape of the body, with the items told."""
    fields = {"items": item(many=True), "dry_run": serializers.BooleanField(default=False)}
    name = item.__name__.replace("ItemSerializer", "Serializer")
    return type(name, (serializers.Serializer,), fields)


class ResultSerializer(serializers.Serializer[Any]):
    """What came of an item: an execution, or the problem that its own route would answer."""

    index = serializers.IntegerField()
    status = serializers.IntegerField()
    execution = ExecutionSerializer(allow_null=True)
    problem = ProblemField(allow_null=True)
    replayed = serializers.BooleanField()


class BulkResultSerializer(serializers.Serializer[Any]):
    """What came of all of them, in the order of the items."""

    dry_run = serializers.BooleanField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    results = ResultSerializer(many=True)


class ServerFault(APIException):
    """An item failed by a fault of the server; the others are not concerned."""

    status_code = status.HTTP_500_INTERNAL_SERVER_ERROR
    default_code = "server_error"
    default_detail = "Something went wrong on the server."


Do = Callable[[dict[str, Any]], Response]
ANSWERS = {200: BulkResultSerializer, 207: BulkResultSerializer}


def _act(item: type[StrictSerializer], sent: Any, do: Do) -> Response:
    asked = item(data=sent)
    asked.is_valid(raise_exception=True)
    return do(dict(asked.validated_data))


def _in_bulk(name: str, item: type[StrictSerializer], **options: Any) -> Callable[[Any], Any]:
    """Return the decorator of the route that does ``name`` to each of many items."""

    def decorate(handler: Any) -> Any:
        handler = takes_parameters(edit_options.DRY_RUN.name)(handler)
        route = action(
            detail=False,
            methods=["post"],
            url_path=f"bulk/{name}",
            pagination_class=None,
            **options,
        )
        described = extend_schema(
            request=_request_of(item),
            parameters=edit_options.MADE_ONCE,
            responses=ANSWERS,
            filters=False,
        )
        return described(route(handler))

    return decorate


class BulkActions(Resource):
    """Routes of the executions that take many items, each a transaction of its own.

    200 where all were done, 207 where some were not.
    """

    @_in_bulk("start", BulkStartItemSerializer, throttle_scope="start")
    def bulk_start(self, request: Request) -> Response:
        """Start each of these."""

        def start(values: dict[str, Any]) -> Response:
            execution = services.start(
                values["workflow"],
                values["entity"],
                by=request.user,
                scheduled_for=values["scheduled_for"],
            )
            return self._answer(execution, status.HTTP_201_CREATED)

        return self._each(request, BulkStartItemSerializer, start)

    @_in_bulk("cancel", BulkCancelItemSerializer, needs=OPERATE)
    def bulk_cancel(self, request: Request) -> Response:
        """Cancel each of these."""
        return self._each(request, BulkCancelItemSerializer, self._done_by(services.cancel))

    @_in_bulk("retry", BulkRetryItemSerializer, needs=OPERATE)
    def bulk_retry(self, request: Request) -> Response:
        """Let a step of each of these try again."""
        return self._each(request, BulkRetryItemSerializer, self._done_by(services.retry))

    @_in_bulk("skip", BulkSkipItemSerializer, needs=OPERATE)
    def bulk_skip(self, request: Request) -> Response:
        """Skip a step of each of these."""
        return self._each(request, BulkSkipItemSerializer, self._done_by(services.skip))

    @_in_bulk("postpone", BulkPostponeItemSerializer, needs=OPERATE)
    def bulk_postpone(self, request: Request) -> Response:
        """Postpone a step of each of these."""
        return self._each(request, BulkPostponeItemSerializer, self._done_by(services.postpone))

    def _done_by(self, service: Callable[..., Execution]) -> Do:
        def act(values: dict[str, Any]) -> Response:
            self.kwargs["cuid"] = values.pop("execution")
            execution = self.get_object()
            service(execution, by=self.request.user, **values)
            return self._answer(execution)

        return act

    def _answer(self, execution: Execution, code: int = status.HTTP_200_OK) -> Response:
        shown = ExecutionSerializer(execution, context=self.get_serializer_context())
        return Response(shown.data, code)

    def _each(self, request: Request, item: type[StrictSerializer], do: Do) -> Response:
        asked = BulkSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        is_tried = edit_options.is_dry_run(request)
        once = None if is_tried else edit_options.asked_once(request)
        if once is not None:
            with edit_options.told_of_keys():
                idempotency.refuse_reuse(once)
        results = [
            self._result(index, partial(_act, item, sent, do), is_tried, once)
            for index, sent in enumerate(asked.validated_data["items"])
        ]
        failed = sum(row["problem"] is not None for row in results)
        headers = {}
        if is_tried:
            headers[edit_options.TRIED] = "true"
        if all(row["replayed"] for row in results):
            headers[edit_options.REPEATED] = "true"
        body = {
            "dry_run": is_tried,
            "succeeded": len(results) - failed,
            "failed": failed,
            "results": results,
        }
        # A problem among the results has set the request to the media type of problems.
        code = status.HTTP_207_MULTI_STATUS if failed else status.HTTP_200_OK
        return Response(body, code, headers=headers, content_type="application/json")

    def _result(
        self, index: int, act: edit_options.Act, is_tried: bool, once: idempotency.Asked | None
    ) -> dict[str, Any]:
        replayed = False
        try:
            if once is not None:
                with edit_options.told_of_keys():
                    answer = edit_options.answered_once(self, replace(once, item=index), act)
                code, data, replayed = answer.status, json.loads(answer.body), answer.is_repeated
            else:
                response: Any = edit_options.tried(act) if is_tried else act()
                code, data = response.status_code, response.data
        except Exception as error:
            code, data = self._problem_of(index, error)
        is_done = code < 400
        return {
            "index": index,
            "status": code,
            "execution": data if is_done else None,
            "problem": None if is_done else data,
            "replayed": replayed,
        }

    def _problem_of(self, index: int, error: Exception) -> tuple[int, Any]:
        try:
            response = self.handle_exception(error)
        except Exception:
            # What other items have done is done, and is told.
            logger.exception("Item %s of %s failed.", index, quoted(self.request.path))
            response = self.handle_exception(ServerFault())
        return response.status_code, response.data
