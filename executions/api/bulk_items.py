"""Requests of several items: each item is a transaction with a result of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base import edit_options
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import AnyJSONField, StrictBooleanField, StrictSerializer
from workflows.db.json_values import quoted
from workflows.editing import idempotency

logger = logging.getLogger(__name__)

MAX_ITEMS = 100

Item = type[StrictSerializer]
ItemAction = Callable[[Any], Response]


class BulkSerializer(StrictSerializer):
    """The option of every bulk request."""

    dry_run = StrictBooleanField(
        default=False, help_text="Return the response without changing anything."
    )


class UncheckedItemsSerializer(BulkSerializer):
    """The body of a bulk request, whose items are validated one by one."""

    items = serializers.ListField(child=AnyJSONField(), allow_empty=False, max_length=MAX_ITEMS)


class ItemResultsSerializer(serializers.Serializer[Any]):
    """The response to a bulk request, without the results themselves."""

    dry_run = serializers.BooleanField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()


class ServerFault(APIException):
    """An error of the server in one item. The other items are unaffected."""

    status_code = status.HTTP_500_INTERNAL_SERVER_ERROR
    default_code = "server_error"
    default_detail = _("An error occurred on the server.")


class ItemByItem(Resource):
    """A resource with routes that act on several items.

    The status is 200 when all items succeeded, and 207 when some failed.
    """

    result_name = "execution"
    """The name of the record in a result."""
    bulk_body: type[BulkSerializer] = UncheckedItemsSerializer
    """The serializer of the body, which does not check the items."""

    def answer_items(self, request: Request, item: Item | None, act: ItemAction) -> Response:
        """Act on each item of the request, and return a response with all results.

        Args:
            item: the serializer that validates an item; None if ``act`` does.
            act: called with the values of an item.
        """
        body = self.bulk_body(data=request.data)
        body.is_valid(raise_exception=True)
        is_dry_run = edit_options.is_dry_run(request)
        once = None if is_dry_run else edit_options.read_idempotency_key(request)
        if once is not None:
            with edit_options.translate_key_errors():
                idempotency.refuse_reused_key(once)

        def act_on(values: Any) -> Response:
            if item is None:
                return act(values)
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
            self.result_name: data if is_success else None,
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
