"""Every way in, as one table: what a live execution needs, and how each way is answered.

==================  ============================================================================
subject             ``contexts`` a workflow's type, record type, entity name · ``workflows``
                    deleted, retired while called, a type deleted · ``entities`` the type, the
                    deletion · ``registrations`` a second workflow of a type that starts on
                    creation, by trigger, state or type · ``versions`` source, number, context,
                    workflow, deleted; references retargeted, deleted, added · ``executions``
                    version, workflow, entity, revived, deleted; pins changed, deleted
target              the workflow that runs, its callee, its transitive callee, a callee of an
                    older running version; their versions, calls and pins (``house``)
way                 ``ways``: save, update, bulk statements, async twins, plain managers, raw
                    saves, fixtures, SQL, written once for every row · ``faces``: API, admin,
                    lists that edit, actions, deletion pages
answer              ``Behind``: the guard where Python is in the path, a sentence that names the
                    service for bulk statements, a key or a seal for everything raw
==================  ============================================================================
"""

from tests.doors import contexts, entities, executions, registrations, versions, workflows
from tests.doors.subject import Subject

SUBJECTS: list[Subject] = [
    *contexts.SUBJECTS,
    *workflows.SUBJECTS,
    *entities.SUBJECTS,
    *registrations.SUBJECTS,
    *versions.SUBJECTS,
    *executions.SUBJECTS,
]
