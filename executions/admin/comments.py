"""Comments on the page of an execution: the form, the timeline, and the withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.admin.reason_field import ReasonField
from executions.admin.titles import execution_title
from executions.models import COMMENT, MAX_TEXT_LENGTH, OPERATE, Comment, Execution, Step
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin, ReadOnlyAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal

NEWEST = 200
"""The number of comments that the page shows."""


class CommentForm(forms.Form):
    """The text of a comment."""

    text = forms.CharField(
        label=_("Comment"),
        max_length=MAX_TEXT_LENGTH,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
    )


class WithdrawalForm(forms.Form):
    """The reason for withdrawing a comment."""

    why = ReasonField(required=False, help_text=_("Recorded in the audit log."))


def comment_context(
    execution: Execution, history: list[dict[str, Any]], user: Any, *, is_complete: bool, form: Any
) -> dict[str, Any]:
    """Return the timeline of an execution (its history with the comments), and the form.

    Args:
        history: the rows of the newest steps, oldest first.
        is_complete: False if there are earlier steps.
        form: the form with errors, or None for an empty one.
    """
    newest = list(Comment.of(execution).order_by("-pk")[:NEWEST])[::-1]
    may_comment = user.has_perm(COMMENT)
    titles = _step_titles(newest)
    rows = [
        {
            "comment": row,
            "step_title": titles.get(row.step, ""),
            "withdraw_url": admin_url(Execution, "withdraw_comment", execution.pk, row.cuid)
            if may_comment
            and row.withdrawn_at is None
            and (row.author_id == user.pk or user.has_perm(OPERATE))
            else "",
        }
        for row in newest
    ]
    return {
        "timeline": _merge(history, rows, is_complete=is_complete),
        "comments_total": len(rows),
        "comment_url": admin_url(Execution, "comment", execution.pk) if may_comment else "",
        "comment_form": form or CommentForm(auto_id="comment_%s"),
    }


def _step_titles(comments: Sequence[Comment]) -> dict[str, str]:
    cuids = {row.step for row in comments if row.step}
    if not cuids:
        return {}
    found = Step.objects.filter(cuid__in=cuids).values_list("cuid", "label", "node_id")
    return {cuid: label or node for cuid, label, node in found}


def _merge(
    history: list[dict[str, Any]], comments: list[dict[str, Any]], *, is_complete: bool
) -> list[dict[str, Any]]:
    """Return steps and comments in the order of their times; steps keep their order."""
    found: list[dict[str, Any]] = []
    left = list(comments)
    for place, visit in enumerate(history):
        while left and left[0]["comment"].at < visit["step"].opened_at:
            row = left.pop(0)
            # Earlier steps are not shown, and so are the comments on them.
            if is_complete or place:
                found.append(row)
        found.append(visit)
    return found + left


def comment_page(
    model_admin: ReadOnlyAdmin, request: HttpRequest, execution: Execution, back: str
) -> HttpResponse:
    """Add the posted comment, and return to the page that sent it."""
    own = HttpResponseRedirect(back)
    if request.method != "POST":
        return own
    form = CommentForm(request.POST, auto_id="comment_%s")
    if form.is_valid():
        text, step = form.cleaned_data["text"], request.POST.get("step") or None
        try:
            services.comment(execution, text=text, step=step, by=request.user)
        except REFUSING as error:
            form.add_error("text", str(log_refusal(error).message))
        else:
            model_admin.log_change(request, execution, gettext("Commented."))
            model_admin.message_user(request, gettext("Comment added."), messages.SUCCESS)
            return own
    return model_admin.render_row(request, execution, comment_form=form)


def withdraw_page(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution, cuid: str
) -> HttpResponse:
    """Ask for a reason on GET; on POST, hide the text of a comment."""
    row = Comment.of(execution).filter(cuid=cuid).select_related("execution").first()
    if row is None:
        raise Http404
    back = HttpResponseRedirect(f"{admin_url(Execution, 'change', execution.pk)}#history")
    form = WithdrawalForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            services.withdraw_comment(row, by=request.user, why=form.cleaned_data["why"])
        except REFUSING as error:
            form.add_error("why", str(log_refusal(error).message))
        else:
            model_admin.log_change(request, execution, gettext("Comment withdrawn."))
            model_admin.message_user(request, gettext("Comment withdrawn."), messages.SUCCESS)
            return back
    return model_admin.render_page(
        request,
        "executions/admin/withdraw_comment.html",
        {
            "title": gettext("Withdraw the comment"),
            "subtitle": execution_title(execution),
            "comment": row,
            "form": form,
            "back_url": back.url,
        },
        row=execution,
    )
