"""The form of a node's data, generated from the schema of its type."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import executions.engine.nodes  # noqa: F401  (makes the node types known)
from workflows.admin.graph_editor.data_form import DataForm
from workflows.admin.graph_editor.data_inputs import Part
from workflows.admin.graph_editor.data_reader import SubmittedData
from workflows.admin.graph_editor.data_rows import change_rows
from workflows.admin.graph_editor.offers import Offers
from workflows.graph import node_types

EXAMPLES = {
    name: [{"label": "Step"}, *kind.data_schema.text.get("examples", ())]
    for name, kind in node_types().items()
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "a", " a", "3", '"3"', "a\nb", "a\r\nb", "null", "[1]", "P3D", "all"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "field", "op", "all", "value", "x", "after", "to", "handle"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def posted(parts: list[Part]) -> dict[str, str]:
    """Return the values that a browser submits for an unchanged form."""
    sent: dict[str, str] = {}
    for part in parts:
        match part.shape:
            case "flag":
                sent[f"{part.name}#flag"] = "1"
                sent |= {part.name: "on"} if part.value else {}
            case "json":
                sent[f"{part.name}#json"] = part.value
            case "either":
                sent[f"{part.name}#as"] = part.value
            case "map" | "rows" | "rule":
                sent[f"{part.name}#rows"] = str(part.count)
                sent |= {f"{name}#remove": "1" for name in part.removed}
                for position, row in enumerate(part.parts if part.is_ordered else ()):
                    sent[f"{row.name}#position"] = str(position)
                if part.shape == "rule":
                    sent[f"{part.name}#how"] = part.value
            case "object" | "comparison" | "pair":
                pass
            case _:
                sent[part.name] = "\r\n".join(part.value.splitlines())
                if part.value.endswith("\n"):
                    sent[part.name] += "\r\n"
                if part.shape == "duration":
                    sent[f"{part.name}#unit"] = part.unit
        sent |= posted(part.parts)
    return sent


def form_of(kind: str, **choices: Any) -> DataForm:
    return DataForm(node_types()[kind].data_schema.text, Offers(choices))


def every(parts: list[Part]) -> list[Part]:
    return [inner for part in parts for inner in part]


def saved(kind: str, data: dict[str, Any], **changed: str) -> SubmittedData:
    """Return the data after these inputs were changed in the form."""
    form = form_of(kind)
    names = {name.replace("__", "/").replace("_at_", "#"): text for name, text in changed.items()}
    return form.read({**posted(form.build_parts(data)), **names}, data)


def pressed(kind: str, data: dict[str, Any], *steps: str, **changed: str) -> dict[str, str]:
    """Return what a browser submits after these buttons of lists, with the page reloaded each."""
    form = form_of(kind)
    sent = {**posted(form.build_parts(data)), **changed}
    for step in steps:
        sent = posted(form.rebuild_parts(change_rows(sent, step)))
    return sent


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_unchanged_form_keeps_example_data(kind: str) -> None:
    for data in EXAMPLES[kind]:
        assert saved(kind, copy.deepcopy(data)).value == data


@given(st.data())
def test_unchanged_form_keeps_any_data(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(EXAMPLES)))
    locked = copy.deepcopy(data.draw(st.sampled_from(EXAMPLES[kind])))
    for key in data.draw(st.lists(st.sampled_from(sorted({*_keys(kind), "other"})), max_size=3)):
        locked[key] = data.draw(JSON)
    found = saved(kind, locked)
    assert found.value == locked
    assert not found.malformed and not found.renamed
    sent = posted(form_of(kind).build_parts(locked))
    assert posted(form_of(kind).rebuild_parts(sent)) == sent


def _keys(kind: str) -> list[str]:
    return list(node_types()[kind].data_schema.text["properties"])


class TestSubmittedValues:
    FORM = {"fields": [{"name": "severity", "type": "number"}, {"name": "note"}]}
    RULE = {"field": "severity", "op": "gte", "value": 3}

    def test_empty_text_is_left_out(self) -> None:
        found = saved("user_action", self.FORM, data__label="Ask", data__title="")
        assert found.value == {**self.FORM, "label": "Ask"}
        missing = saved("user_action", {**self.FORM, "label": "Ask"}, data__label="")
        assert missing.value == self.FORM

    def read(self, sent: dict[str, str]) -> Any:
        return form_of("user_action").read(sent, self.FORM).value["fields"]

    def test_rows_are_added_removed_and_moved_by_buttons(self) -> None:
        assert pressed("user_action", self.FORM) == posted(
            form_of("user_action").rebuild_parts(pressed("user_action", self.FORM))
        )
        more = pressed("user_action", self.FORM, "add data/fields", "add data/fields")
        assert self.read(more) == self.FORM["fields"], "blank rows are left out"
        more["data/fields/2/name"] = "owner"
        assert self.read(more)[2] == {"name": "owner"}
        less = pressed("user_action", self.FORM, "remove data/fields/0")
        assert self.read(less) == [{"name": "note"}]
        moved = pressed("user_action", self.FORM, "up data/fields/1")
        assert [row["name"] for row in self.read(moved)] == ["note", "severity"]
        back = pressed("user_action", self.FORM, "up data/fields/1", "down data/fields/1")
        assert self.read(back) == self.FORM["fields"]
        for nothing in ("up data/fields/0", "down data/fields/1", "up x", "add", "", "magic"):
            assert self.read(pressed("user_action", self.FORM, nothing)) == self.FORM["fields"]

    def test_changed_row_is_saved(self) -> None:
        required = saved("user_action", self.FORM, data__fields__1__required="on")
        assert required.value["fields"][1] == {"name": "note", "required": True}

    def test_everything_typed_comes_back_with_a_new_row(self) -> None:
        rule = "data/branches/0/rule"
        data = {"branches": [{"handle": "high", "rule": self.RULE}], "magic": 1}
        typed = {
            "data/label": "Typed",
            f"{rule}#how": "any",
            f"{rule}/0/op": "magic",
            f"{rule}/0/value": '"3"',
            "data#rest#json": "{not",
        }
        sent = pressed("condition", data, f"add {rule}", "add data/branches", **typed)
        assert sent.items() >= typed.items()
        assert sent[f"{rule}/1/value"] == ""
        assert sent["data/branches/1/rule#rows"] == "1"
        typed = {
            "data/deadline#as": "1",
            "data/deadline#1/after": "2",
            "data/deadline#1/after#unit": "W",
            "data/fields/0/required": "on",
        }
        sent = pressed("user_action", self.FORM, "add data/deadline#1/notify/to", **typed)
        assert sent.items() >= typed.items()

    def test_exit_is_not_renamed_when_a_row_before_it_is_removed(self) -> None:
        branches = [{"handle": name, "rule": self.RULE} for name in ("low", "high")]
        sent = pressed("condition", {"branches": branches}, "remove data/branches/0")
        found = form_of("condition").read(sent, {"branches": branches})
        assert (found.value["branches"], found.renamed) == (branches[1:], {})

    def test_lists_of_texts_have_a_row_for_each(self) -> None:
        found = saved("user_action", {}, data__assignees__users__0="ada")
        assert found.value == {"assignees": {"users": ["ada"]}}
        data = {"groups": ["risk", "audit"]}
        sent = pressed("approval", data, "remove data/groups/0", "add data/groups")
        sent["data/groups/2"] = "board"
        assert form_of("approval").read(sent, data).value == {"groups": ["audit", "board"]}

    def test_flag_that_is_on_by_default_can_be_turned_off(self) -> None:
        actions = [{"handle": "a", "label": "A"}, {"handle": "b", "label": "B", "validates": True}]
        data = {"actions": actions}
        form = form_of("user_action")
        sent = posted(form.build_parts(data))
        assert sent["data/actions/0/validates"] == "on", "it is shown as it works"
        assert form.read(sent, data).value == data
        for place in (0, 1):
            del sent[f"data/actions/{place}/validates"]
        found = form.read(sent, data).value["actions"]
        assert [action["validates"] for action in found] == [False, False]
        again = posted(form.build_parts({"actions": found}))
        assert "data/actions/0/validates" not in again

    def test_join_is_set_by_its_inputs(self) -> None:
        found = saved("join", {}, data__needed="2", data__others="cancel")
        assert found.value == {"needed": 2, "others": "cancel"}

    def test_alternative_is_read_by_its_choice(self) -> None:
        plain = saved("user_action", {}, data__deadline_at_0="P3D")
        assert plain.value == {"deadline": "P3D"}
        whole = saved(
            "user_action",
            {"deadline": "P3D"},
            data__deadline_at_as="1",
            data__deadline_at_1__after="3600",
            data__deadline_at_1__after_at_unit="",
            data__deadline_at_1__notify__to__0_at_0="a@example.com",
        )
        assert whole.value == {"deadline": {"after": 3600, "notify": {"to": ["a@example.com"]}}}

    @pytest.mark.parametrize(
        ("number", "unit", "read"),
        [
            ("3", "D", "P3D"),
            ("36", "TH", "PT36H"),
            ("5", "TM", "PT5M"),
            ("1.5", "W", "P1.5W"),
            ("-2", "M", "-P2M"),
            ("1", "Y", "P1Y"),
            ("90", "TS", "PT90S"),
            ("3600", "", 3600),
            ("2 weeks", "D", "P2W"),
            ("1 day, 2 hours", "", "P1DT2H"),
            ("P3D", "TH", "P3D"),
            ("soon", "D", "soon"),
            ("3", "magic", "3"),
        ],
    )
    def test_duration_is_read_from_number_and_unit(
        self, number: str, unit: str, read: object
    ) -> None:
        interval = {"data__interval": number, "data__interval_at_unit": unit}
        assert saved("wait", {}, **interval).value == {"interval": read}
        after = {"data__deadline_at_0": number, "data__deadline_at_0_at_unit": unit}
        assert saved("user_action", {}, **after).value == {"deadline": read}

    @pytest.mark.parametrize(
        ("stored", "number", "unit"),
        [
            ("P14D", "14", "D"),
            ("PT0.5H", "0.5", "TH"),
            ("-P2D", "-2", "D"),
            ("P1M", "1", "M"),
            ("PT1M", "1", "TM"),
            (3600, "3600", "TS"),
            ("P1DT2H", "P1DT2H", ""),
            ("+P3D", "+P3D", ""),
            ("P3H", "P3H", ""),
            ("3600", "3600", ""),
        ],
    )
    def test_stored_duration_is_displayed_and_not_changed(
        self, stored: object, number: str, unit: str
    ) -> None:
        (part,) = [
            one
            for one in every(form_of("wait").build_parts({"interval": stored}))
            if one.name == "data/interval"
        ]
        assert (part.shape, part.value, part.unit) == ("duration", number, unit)
        assert saved("wait", {"interval": stored}).value == {"interval": stored}

    def test_rule_is_read_from_comparisons(self) -> None:
        branch = {"branches": [{"handle": "high", "rule": self.RULE}]}
        at = "data__branches__0__rule"
        changed = saved("condition", branch, **{f"{at}__0__value": "5"})
        assert changed.value["branches"][0]["rule"] == {**self.RULE, "value": 5}
        more = saved(
            "condition",
            branch,
            **{
                f"{at}_at_rows": "2",
                f"{at}__1__field": "owner",
                f"{at}__1__op": "exists",
                f"{at}_at_how": "any",
            },
        )
        both = [self.RULE, {"field": "owner", "op": "exists"}]
        assert more.value["branches"][0]["rule"] == {"any": both}
        quoted = saved("condition", branch, **{f"{at}__0__value": '"3"', f"{at}__0__op": "eq"})
        assert quoted.value["branches"][0]["rule"]["value"] == "3"
        listed = saved("condition", branch, **{f"{at}__0__value": '["a", 1]'})
        assert listed.value["branches"][0]["rule"]["value"] == ["a", 1]

    def test_nested_rule_appears_as_json(self) -> None:
        branch = {"branches": [{"handle": "high", "rule": {"not": self.RULE}}]}
        html = form_of("condition").build_parts(branch)
        assert "json" in {part.shape for part in every(html)}
        typed = {"data__branches__0__rule_at_json": '{"not": {"field": "a", "op": "exists"}}'}
        rule = saved("condition", branch, **typed).value["branches"][0]["rule"]
        assert rule == {"not": {"field": "a", "op": "exists"}}

    def test_malformed_json_is_reported_and_displayed_again(self) -> None:
        branch = {"branches": [{"handle": "high", "rule": {"not": self.RULE}}]}
        found = saved("condition", branch, data__branches__0__rule_at_json="{not}")
        assert "is not valid JSON" in found.malformed["data/branches/0/rule"]
        sent = pressed("condition", branch, **{"data/branches/0/rule#json": "{not}"})
        parts = form_of("condition").rebuild_parts(sent)
        assert "{not}" in [part.value for part in every(parts) if part.shape == "json"]

    def test_renamed_exit_is_reported(self) -> None:
        branch = {"branches": [{"handle": "high", "rule": self.RULE}]}
        found = saved("condition", branch, data__branches__0__handle="severe")
        assert found.renamed == {"high": "severe"}

    def test_map_values_are_parsed_as_json(self) -> None:
        found = saved(
            "set_field",
            {"values": {"reviewed": True}},
            data__values__0__value="3",
            data__values_at_rows="2",
            data__values__1__key="stage",
            data__values__1__value="in review",
            data__clear__0="a",
        )
        assert found.value == {"values": {"reviewed": 3, "stage": "in review"}, "clear": ["a"]}

    def test_invalid_number_is_displayed_again_as_text(self) -> None:
        assert saved("set_state", {"state": "A"}, data__progress="50").value["progress"] == 50
        assert saved("set_state", {"state": "A"}, data__progress="half").value["progress"] == "half"
        assert saved("approval", {}, data__needed="2").value == {"needed": 2}
        assert saved("approval", {"needed": 2}, data__needed="all").value == {"needed": "all"}

    def test_unknown_keys_can_be_removed(self) -> None:
        assert saved("end", {"magic": 1}, data_at_rest_at_json="").value == {}


def test_problems_appear_at_their_inputs() -> None:
    data = {"fields": [{"name": "1"}, {}]}
    problems = [("/fields/0/name", "Bad."), ("/fields/1/name", "Needed."), ("/x", "Unknown.")]
    html = form_of("user_action").build_parts(data, problems)
    texts = {part.name: part.problems for part in every(html) if part.problems}
    assert texts == {
        "data/fields/0/name": ["Bad."],
        "data/fields/1/name": ["Needed."],
        html[0].name: ["Unknown."],
    }


def test_call_offers_matching_callees() -> None:
    form = form_of("run_workflow", **{"workflow-cuid": [("c1", "One")]})
    part = form.build_parts({"workflow": "c1"})[1]
    assert (part.shape, part.options, part.value) == ("choice", [("c1", "One")], "c1")
    part = form.build_parts({"workflow": "c2"})[1]
    assert part.options[-1] == ("c2", "c2 (not available)")
    assert form.read({"data/workflow": "c1"}, {"workflow": "c2"}).value == {"workflow": "c1"}
