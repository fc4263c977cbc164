"""Every edit that would harm a live execution, tried on every path to the data.

Each case (``case.BypassCase``) names the edits, the paths and the expected refusal:

- ``contexts``: a workflow's finding type, record type and entity name
- ``workflows``: deletion, retirement while called, deletion of a type
- ``entities``: type and deletion
- ``registrations``: a second workflow of a type that starts on creation, by trigger, state or type
- ``versions``: source, number, context, workflow, deletion; references changed, deleted, added
- ``executions``: version, workflow, entity, status, deletion; pins changed and deleted

``live_data`` creates the rows: a workflow that runs, its callee, its transitive callee, a callee of
an older version in use, and their versions, calls and pins.

``edit_paths`` has the paths to any row: save, update, bulk statements, asynchronous methods, plain
managers, raw saves, fixtures and SQL. ``interfaces`` has the API and the admin.

``Defense`` names what refuses an edit: the guard if Python code is on the path, a message that
names the service for bulk statements, and a key or trigger of the database for raw access.
"""

from tests.bypass import contexts, entities, executions, registrations, versions, workflows
from tests.bypass.case import BypassCase
from workflows.models import EntityName

_MODULES = (contexts, workflows, entities, registrations, versions, executions)
CASES: list[BypassCase] = [one for module in _MODULES for one in module.CASES]
GROUPS: dict[str, list[BypassCase]] = {
    f"{module.__name__.rpartition('.')[2]} of {name}": found
    for module in _MODULES
    for name in EntityName.values
    if (found := [one for one in module.CASES if one.entity_name == name])
}
"""The cases of one module on one entity name, which are tried on one set of rows."""
