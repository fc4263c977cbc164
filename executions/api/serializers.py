"""Entities, executions and steps as JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, NotFound

from executions.api.execution_rows import shown
from executions.engine.store import reading
from executions.models import Entity, Execution, Finding, InventoryModel, Pin, Step, Vote
from workflows.api.base.strict_fields import (
    AccountField,
    AnyField,
    CuidField,
    InstructionSerializer,
    MomentField,
    ShownField,
    ShownModelSerializer,
    StrictCharField,
    StrictModelSerializer,
)
from workflows.guards import patched
from workflows.models import FindingType, RecordType, Workflow


class FieldsByName:
    """Lets a PATCH merge the fields of an entity by name."""

    described: ClassVar = {
        "fields": {"help_text": _("A PATCH merges them by name (RFC 7396): null removes one.")}
    }
    instance: Any
    partial: bool

    def validate_fields(self, value: dict[str, Any]) -> Any:
        """Return the fields to store: of a PATCH, those that are stored with the patch applied."""
        return patched(self.instance.fields, value) if self.partial and self.instance else value


class FindingSerializer(FieldsByName, StrictModelSerializer[Finding]):
    """A finding."""

    entity_name_type = CuidField(queryset=FindingType.objects.all())
    inventory_model = CuidField(
        queryset=InventoryModel.objects.all(), allow_null=True, required=False
    )

    class Meta:
        model = Finding
        fields = ["cuid", "title", "entity_name_type", "inventory_model", "fields"]
        read_only_fields = ["cuid"]
        extra_kwargs = FieldsByName.described


class InventoryModelSerializer(FieldsByName, StrictModelSerializer[InventoryModel]):
    """An inventory model."""

    record_type = CuidField(source="primary_record_type", queryset=RecordType.objects.all())

    class Meta:
        model = InventoryModel
        fields = ["cuid", "title", "record_type", "fields"]
        read_only_fields = ["cuid"]
        extra_kwargs = FieldsByName.described


class NamedEntitySerializer(ShownModelSerializer[Entity]):
    """The entity that an execution works on, by name."""

    class Meta:
        model = Entity
        fields = ["cuid", "title", "entity_name"]
        read_only_fields = fields


class WorkedOnEntitySerializer(NamedEntitySerializer):
    """The entity that an execution works on, with its fields."""

    class Meta(NamedEntitySerializer.Meta):
        fields = [*NamedEntitySerializer.Meta.fields, "fields"]
        read_only_fields = fields


class ListedExecutionSerializer(ShownModelSerializer[Execution]):
    """An execution without its steps and pins."""

    workflow = ShownField("cuid")
    version = ShownField("number")
    entity = NamedEntitySerializer()
    parent = ShownField("cuid", allow_null=True)  # type: ignore[assignment]
    root = ShownField("cuid", allow_null=True)  # type: ignore[assignment]
    started_by = AccountField()

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


class PinSerializer(ShownModelSerializer[Pin]):
    """The version of a callee that an execution was started with."""

    workflow = ShownField("cuid", source="callee")
    version = ShownField("number")

    class Meta:
        model = Pin
        fields = ["workflow", "version"]


class FormSerializer(serializers.Serializer[Any]):
    """What an open user action asks for."""

    title = serializers.CharField()
    button_label = serializers.CharField()
    fields = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]


class IncidentSerializer(serializers.Serializer[Any]):
    """Why a step could not go on, when, and at which attempt."""

    code = serializers.CharField()
    detail = serializers.CharField()
    at = MomentField()
    attempt = serializers.IntegerField(default=1)


class NoticeSerializer(serializers.Serializer[Any]):
    """Whom the passing of a deadline was told, or why it could not be."""

    state = serializers.ChoiceField(choices=["pending", "sent", "failed"])
    at = MomentField()
    to = serializers.ListField(child=serializers.CharField(), default=None, allow_null=True)
    subject = serializers.CharField(default=None, allow_null=True)
    code = serializers.CharField(default=None, allow_null=True)
    detail = serializers.CharField(default=None, allow_null=True)


class VoteSerializer(ShownModelSerializer[Vote]):
    """What somebody has said to an approval."""

    user = serializers.CharField(source="username")

    class Meta:
        model = Vote
        fields = ["user", "approves", "notes", "at"]


class AssigneesSerializer(serializers.Serializer[Any]):
    """The groups and users that a step asks, by the names that they have now."""

    groups = serializers.ListField(child=serializers.CharField())
    users = serializers.ListField(child=serializers.CharField())


class OpenStepSerializer(ShownModelSerializer[Step]):
    """A step at which the execution stands."""

    step = serializers.CharField(source="cuid")
    node = serializers.CharField(source="node_id")
    since = MomentField(source="opened_at")
    due = MomentField(source="due_at", allow_null=True)
    assignees = AssigneesSerializer()
    unassigned = serializers.BooleanField(
        help_text="Whether it asks people of whom nobody can do it, or too few can approve it."
    )
    notice = NoticeSerializer(allow_null=True)
    form = FormSerializer(allow_null=True)
    draft = AnyField(help_text="What whoever asks has saved here; nobody else reads it.")
    incident = IncidentSerializer(allow_null=True)
    votes = VoteSerializer(many=True)

    class Meta:
        model = Step
        fields = [
            "step",
            "node",
            "type",
            "label",
            "since",
            "due",
            "overdue",
            "assignees",
            "unassigned",
            "notice",
            "form",
            "draft",
            "votes",
            "incident",
        ]


class ExecutionSerializer(ListedExecutionSerializer):
    """An execution: where it stands, and on what it runs."""

    # The shape alone; ``shown`` reads all of it at once.
    entity = WorkedOnEntitySerializer()
    children = serializers.ListField(child=serializers.CharField(), read_only=True)
    pins = PinSerializer(many=True, read_only=True)
    open_steps = OpenStepSerializer(many=True, read_only=True)

    class Meta(ListedExecutionSerializer.Meta):
        fields = [*ListedExecutionSerializer.Meta.fields, "children", "pins", "open_steps"]
        read_only_fields = fields

    def to_representation(self, instance: Execution) -> Any:
        """The execution as it is now. Raises ``NotFound`` when it is gone."""
        found = shown(instance, self.context["request"].user)
        if found is None:
            raise NotFound(f"The execution {instance.cuid} has been deleted.")
        return found


class StepSerializer(ShownModelSerializer[Step]):
    """A visit to a node."""

    step = serializers.CharField(source="cuid")
    node = serializers.CharField(source="node_id")
    state = serializers.CharField()
    closed_by = AccountField()
    child = ShownField("cuid", allow_null=True)
    notice = NoticeSerializer(allow_null=True)
    votes = VoteSerializer(many=True)
    incident = IncidentSerializer(allow_null=True)

    class Meta:
        model = Step
        fields = [
            "step",
            "node",
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


class StartSerializer(InstructionSerializer):
    """What to start, and on what."""

    workflow = CuidField(queryset=Workflow.objects.all(), only=("id", "cuid", "title"))
    entity = CuidField(queryset=Entity.objects.all(), only=("cuid", "title", *reading.ENTITY))
    scheduled_for = MomentField(required=False, allow_null=True, default=None)


class DeliverySerializer(serializers.Serializer[Any]):
    """What a signed POST asks to start: its own id, which starts once, and the entity's cuid."""

    delivery = serializers.CharField(max_length=128)
    entity = serializers.CharField()


class TakenSerializer(serializers.Serializer[Any]):
    """Whether a delivery was taken now; it may have come before."""

    taken = serializers.BooleanField()


class TakenDeliverySerializer(TakenSerializer):
    """Whether a delivery has started something now, and what it has started."""

    execution = serializers.CharField()


class NamedStepSerializer(InstructionSerializer):
    """An open step, named by its node or by its cuid."""

    node = StrictCharField(required=False)
    step = StrictCharField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two names is needed."""
        if "node" not in attrs and "step" not in attrs:
            detail = "Name the step: by its node, or by its cuid as step."
            raise serializers.ValidationError({"node": [ErrorDetail(detail, "required")]})
        return attrs


class SubmitSerializer(NamedStepSerializer):
    """The answers to an open step's form."""

    data = AnyField()  # type: ignore[assignment]


class VotingSerializer(NamedStepSerializer):
    """A vote, and what is to be said of it."""

    notes = StrictCharField(default="", allow_blank=True)


class DecisionSerializer(NamedStepSerializer):
    """What an operator decides of a step, and why."""

    why = StrictCharField(default="", allow_blank=True)


class ReasonedDecisionSerializer(NamedStepSerializer):
    """What an operator decides of a step, and why: that is needed."""

    # Blank is refused by the service, as on every other interface.
    why = StrictCharField(allow_blank=True)


class ReassignSerializer(NamedStepSerializer):
    """The groups and users that an open step asks from now on, and the reason."""

    groups = serializers.ListField(child=StrictCharField(), default=list)
    users = serializers.ListField(child=StrictCharField(), default=list)
    why = StrictCharField()


class SkipSerializer(ReasonedDecisionSerializer):
    """Which exit a step is left by; needed where the node has more than one."""

    handle = StrictCharField(required=False, allow_null=True, default=None)


class PostponeSerializer(ReasonedDecisionSerializer):
    """The time that a step is to wait until, or its new deadline."""

    until = serializers.DateTimeField(
        help_text="A time in the future; without a zone it is in TIME_ZONE."
    )


class CancelSerializer(InstructionSerializer):
    """Why an execution is cancelled."""

    why = StrictCharField(default="", allow_blank=True)
