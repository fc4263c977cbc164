"""The JSON of executions and steps, and the bodies of the requests that change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, NotFound

from executions.api.execution_rows import read_execution
from executions.api.included import IncludingListSerializer
from executions.engine.form_actions import STYLES
from executions.engine.store import ENTITY_COLUMNS
from executions.models import ClosureMember, Entity, Execution, Step, StepState, Vote
from workflows.api.base.strict_fields import (
    AccountNameField,
    AnyJSONField,
    CuidField,
    DryRunSerializer,
    JSONObjectField,
    MomentField,
    OutputModelSerializer,
    RelatedValueField,
    StrictCharField,
)
from workflows.api.workflow_serializers import WorkflowSerializer
from workflows.models import Workflow

NOTICE_STATES = ("pending", "sent", "failed")
"""The states of the mail about a passed deadline."""


class NamedEntitySerializer(OutputModelSerializer[Entity]):
    """The entity of an execution, by name."""

    class Meta:
        model = Entity
        fields = ["cuid", "title", "entity_name"]
        read_only_fields = fields


class WorkedOnEntitySerializer(NamedEntitySerializer):
    """The entity of an execution, with its fields."""

    class Meta(NamedEntitySerializer.Meta):
        fields = [*NamedEntitySerializer.Meta.fields, "fields"]
        read_only_fields = fields


class SummarySerializer(OutputModelSerializer[Execution]):
    """The members of an execution, in a list or alone."""

    workflow = RelatedValueField("cuid")
    version = RelatedValueField("number")
    entity = NamedEntitySerializer()
    parent = RelatedValueField("cuid", allow_null=True)  # type: ignore[assignment]
    root = RelatedValueField("cuid", allow_null=True)  # type: ignore[assignment]
    started_by = AccountNameField()

    class Meta:
        model = Execution
        fields = [
            "cuid",
            "status",
            "workflow",
            "version",
            "entity",
            "parent",
            "root",
            "item",
            "stage",
            "progress",
            "message",
            "scheduled_for",
            "started_at",
            "updated_at",
            "ended_at",
            "started_by",
        ]
        read_only_fields = fields


class PinSerializer(OutputModelSerializer[ClosureMember]):
    """A pinned version."""

    workflow = RelatedValueField("cuid", source="callee")
    version = RelatedValueField("number")

    class Meta:
        model = ClosureMember
        fields = ["workflow", "version"]


class FormActionSerializer(serializers.Serializer[Any]):
    """A button of a form, with an exit of its own."""

    handle = serializers.CharField(help_text="The value of action in a submit.")
    label = serializers.CharField()  # type: ignore[assignment]
    style = serializers.ChoiceField(choices=STYLES)  # type: ignore[assignment]
    validates = serializers.BooleanField(
        help_text="False if the action accepts an incomplete form."
    )


class FormSerializer(serializers.Serializer[Any]):
    """The form of an open user action."""

    title = serializers.CharField()
    button_label = serializers.CharField()
    actions = FormActionSerializer(many=True)
    fields = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]


class IncidentSerializer(serializers.Serializer[Any]):
    """The incident of a step."""

    code = serializers.CharField()
    detail = serializers.CharField()
    at = MomentField()
    attempt = serializers.IntegerField(default=1)


class NoticeSerializer(serializers.Serializer[Any]):
    """The last mail about a deadline, or the reason that it could not be sent."""

    state = serializers.ChoiceField(choices=NOTICE_STATES)
    reminder = serializers.BooleanField(
        default=False, help_text="True for a reminder before the deadline."
    )
    at = MomentField()
    to = serializers.ListField(child=serializers.CharField(), default=None, allow_null=True)
    subject = serializers.CharField(default=None, allow_null=True)
    code = serializers.CharField(default=None, allow_null=True)
    detail = serializers.CharField(default=None, allow_null=True)


class VoteSerializer(OutputModelSerializer[Vote]):
    """A vote on an approval."""

    user = serializers.CharField(source="username")

    class Meta:
        model = Vote
        fields = ["user", "approves", "notes", "at"]


class AssigneesSerializer(serializers.Serializer[Any]):
    """The candidate groups and users of a step, by their present names."""

    groups = serializers.ListField(child=serializers.CharField())
    users = serializers.ListField(child=serializers.CharField())


class ItemCountSerializer(serializers.Serializer[Any]):
    """The items of a call with for_each: all, those that have started, and completed ones."""

    items = serializers.IntegerField(help_text="The number of items.")
    started = serializers.IntegerField(help_text="The items whose child has started.")
    completed = serializers.IntegerField(help_text="The items whose child has completed.")


class OpenStepSerializer(OutputModelSerializer[Step]):
    """An open step."""

    step = serializers.CharField(source="cuid")
    node = serializers.CharField(source="node_id")
    since = MomentField(source="opened_at")
    due = MomentField(source="due_at", allow_null=True)
    assignees = AssigneesSerializer()
    unassigned = serializers.BooleanField(
        help_text="True when no assignee can do the step, or too few can approve it."
    )
    claimed_by = serializers.CharField(allow_null=True)
    claimed_at = MomentField(allow_null=True)
    notice = NoticeSerializer(allow_null=True)
    form = FormSerializer(allow_null=True)
    draft = AnyJSONField(help_text="The draft of the requesting user. Nobody else can read it.")
    incident = IncidentSerializer(allow_null=True)
    votes = VoteSerializer(many=True)
    item = serializers.IntegerField(
        allow_null=True, help_text="For a call with for_each: the index of the item, from 0."
    )
    item_counts = ItemCountSerializer(allow_null=True)

    class Meta:
        model = Step
        fields = [
            "step",
            "node",
            "type",
            "label",
            "item",
            "item_counts",
            "since",
            "due",
            "overdue",
            "assignees",
            "unassigned",
            "claimed_by",
            "claimed_at",
            "notice",
            "form",
            "draft",
            "votes",
            "incident",
        ]


class IncludedSerializer(serializers.Serializer[Any]):
    """The records that ``include`` asks for; null if not asked for, or if the user may not view."""

    entity = WorkedOnEntitySerializer(allow_null=True)
    workflow = WorkflowSerializer(allow_null=True)
    open_steps = OpenStepSerializer(many=True, allow_null=True)


class ListedExecutionSerializer(SummarySerializer):
    """An execution without its steps and pinned versions, but with included records."""

    # Not ``included``: a serializer has its declared fields as attributes.
    found: Mapping[int, Any] | None = None
    included = serializers.SerializerMethodField()

    class Meta(SummarySerializer.Meta):
        fields = [*SummarySerializer.Meta.fields, "included"]
        read_only_fields = fields
        list_serializer_class = IncludingListSerializer

    @extend_schema_field(IncludedSerializer(allow_null=True))
    def get_included(self, row: Execution) -> Any:
        """Return the included records, read by ``IncludingListSerializer``."""
        return None if self.found is None else self.found[row.pk]


class ExecutionSerializer(SummarySerializer):
    """An execution with its open steps and pinned versions."""

    # These fields only describe the JSON: ``read_execution`` reads all of it in one statement.
    entity = WorkedOnEntitySerializer()
    variables = JSONObjectField(read_only=True, allow_null=True)
    children = serializers.ListField(child=serializers.CharField(), read_only=True)
    pins = PinSerializer(many=True, read_only=True)
    open_steps = OpenStepSerializer(many=True, read_only=True)

    class Meta(SummarySerializer.Meta):
        fields = [
            *SummarySerializer.Meta.fields,
            *("variables", "children", "pins", "open_steps"),
        ]
        read_only_fields = fields

    def to_representation(self, instance: Execution) -> Any:
        """Return the execution as it is stored now. Raise ``NotFound`` when it was deleted."""
        found = read_execution(instance, self.context["request"].user)
        if found is None:
            detail = _("The execution %(cuid)s has been deleted.")
            raise NotFound(detail % {"cuid": instance.cuid})
        return found


class StepSerializer(OutputModelSerializer[Step]):
    """A step: one visit of a node."""

    step = serializers.CharField(source="cuid")
    node = serializers.CharField(source="node_id")
    version = serializers.IntegerField(
        source="version_number",
        help_text="The version that the execution ran at this visit. A move changes it.",
    )
    state = serializers.ChoiceField(StepState.choices)
    closed_by = AccountNameField()
    child = serializers.CharField(source="child_cuid", allow_null=True)
    notice = NoticeSerializer(allow_null=True)
    votes = VoteSerializer(many=True, source="cast_votes")
    incident = IncidentSerializer(allow_null=True)

    class Meta:
        model = Step
        fields = [
            "step",
            "node",
            "version",
            "type",
            "label",
            "state",
            "opened_at",
            "closed_at",
            "closed_by",
            "input",
            "output",
            "handle",
            "overdue",
            "notice",
            "votes",
            "incident",
            "child",
        ]
        read_only_fields = fields


class StartSerializer(DryRunSerializer):
    """The workflow to start, and the entity."""

    workflow = CuidField(queryset=Workflow.objects.all(), only=("id", "cuid", "title"))
    entity = CuidField(queryset=Entity.objects.all(), only=("cuid", "title", *ENTITY_COLUMNS))
    scheduled_for = MomentField(required=False, allow_null=True, default=None)
    variables = JSONObjectField(required=False, default=dict)


class NamedStepSerializer(DryRunSerializer):
    """An open step, named by its node or by its cuid."""

    node = StrictCharField(required=False)
    step = StrictCharField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require one of the two names."""
        if "node" not in attrs and "step" not in attrs:
            detail = _("Name the open step by its node, or by its cuid as step.")
            raise serializers.ValidationError({"node": [ErrorDetail(detail, "required")]})
        return attrs


class DraftSerializer(NamedStepSerializer):
    """The values of an open step's form so far."""

    data = AnyJSONField()  # type: ignore[assignment]


class SubmitSerializer(DraftSerializer):
    """The values of an open step's form, and the action if the form has actions."""

    action = StrictCharField(
        required=False, help_text="The handle of an action. Required if the form has actions."
    )


class VotingSerializer(NamedStepSerializer):
    """A vote with its notes."""

    notes = StrictCharField(default="", allow_blank=True)


class DecisionSerializer(NamedStepSerializer):
    """A decision about an open step, with a reason if there is one."""

    why = StrictCharField(default="", allow_blank=True)


class ReasonedDecisionSerializer(NamedStepSerializer):
    """A decision about an open step, with the required reason."""

    # The service refuses a blank reason, as on every other interface.
    why = StrictCharField(allow_blank=True)


class ReassignSerializer(NamedStepSerializer):
    """The new candidate groups and users of an open step, and the reason."""

    groups = serializers.ListField(child=StrictCharField(), default=list)
    users = serializers.ListField(child=StrictCharField(), default=list)
    why = StrictCharField()


class SkipSerializer(ReasonedDecisionSerializer):
    """The exit by which a step is left; required where the node has more than one."""

    handle = StrictCharField(required=False, allow_null=True, default=None)


class PostponeSerializer(ReasonedDecisionSerializer):
    """The new date or the new deadline of a step."""

    until = serializers.DateTimeField(
        help_text="A time in the future. Without a time zone it is in TIME_ZONE."
    )


class CancelSerializer(DryRunSerializer):
    """The reason for cancelling an execution."""

    why = StrictCharField(default="", allow_blank=True)
