"""The form of a node's data, generated from the schema of its type."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import executions.engine.nodes  # noqa: F401  (makes the node types known)
from workflows.admin.graph_editor.data_form import DataForm, SubmittedData
from workflows.admin.graph_editor.data_inputs import Part
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
                sent[f"{part.name}#rows"] = str(len(part.parts))
                if part.shape == "rule":
                    sent[f"{part.name}#how"] = part.value
            case "object" | "comparison":
                pass
            case _:
                sent[part.name] = "\r\n".join(part.value.splitlines())
                if part.value.endswith("\n"):
                    sent[part.name] += "\r\n"
        sent |= posted(part.parts)
        if part.key is not None:
            sent |= posted([part.key])
    return sent


def form_of(kind: str, **choices: Any) -> DataForm:
    return DataForm(node_types()[kind].data_schema.text, choices)


def every(parts: list[Part]) -> list[Part]:
    return [inner for part in parts for inner in part]


def saved(kind: str, data: dict[str, Any], **changed: str) -> SubmittedData:
    """Return the data after these inputs were changed in the form."""
    form = form_of(kind)
    names = {name.replace("__", "/").replace("_at_", "#"): text for name, text in changed.items()}
    return form.read({**posted(form.build_parts(data)), **names}, data)


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

    def test_rows_are_added_changed_removed_and_moved(self) -> None:
        more = saved("user_action", self.FORM, data__fields__2__name="owner")
        assert more.value["fields"][2] == {"name": "owner"}
        less = saved("user_action", self.FORM, data__fields__0_at_remove="on")
        assert less.value == {"fields": [{"name": "note"}]}
        moved = saved("user_action", self.FORM, up="data/fields/1")
        assert [row["name"] for row in moved.value["fields"]] == ["note", "severity"]
        required = saved("user_action", self.FORM, data__fields__1__required="on")
        assert required.value["fields"][1] == {"name": "note", "required": True}

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
            data__deadline_at_1__notify__to__0_at_0="a@example.com",
        )
        assert whole.value == {"deadline": {"after": 3600, "notify": {"to": ["a@example.com"]}}}

    def test_duration_in_words_becomes_iso_8601(self) -> None:
        for typed, read in (("2 weeks", "P2W"), ("P3D", "P3D"), ("3600", 3600), ("soon", "soon")):
            assert saved("wait", {}, data__interval=typed).value == {"interval": read}
            assert saved("user_action", {}, data__deadline_at_0=typed).value == {"deadline": read}

    def test_rule_is_read_from_comparisons(self) -> None:
        branch = {"branches": [{"handle": "high", "rule": self.RULE}]}
        at = "data__branches__0__rule"
        changed = saved("condition", branch, **{f"{at}__0__value": "5"})
        assert changed.value["branches"][0]["rule"] == {**self.RULE, "value": 5}
        more = saved(
            "condition",
            branch,
            **{f"{at}__1__field": "owner", f"{at}__1__op": "exists", f"{at}_at_how": "any"},
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
        assert found.malformed[0].startswith("data/branches/0/rule is not valid JSON")
        html = form_of("condition").build_parts(found.value)
        assert "{not}" in [part.value for part in every(html) if part.shape == "json"]

    def test_renamed_exit_is_reported(self) -> None:
        branch = {"branches": [{"handle": "high", "rule": self.RULE}]}
        found = saved("condition", branch, data__branches__0__handle="severe")
        assert found.renamed == {"high": "severe"}

    def test_map_values_are_parsed_as_json(self) -> None:
        found = saved(
            "set_field",
            {"values": {"reviewed": True}},
            data__values__0__value="3",
            data__values__1__key="stage",
            data__values__1__value="in review",
            data__clear="a\r\n\r\n b ",
        )
        assert found.value == {"values": {"reviewed": 3, "stage": "in review"}, "clear": ["a", "b"]}

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
