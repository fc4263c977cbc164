"""Candidates, mended: a version asks the accounts of the groups and users that it names."""

from __future__ import annotations

from executions.integrity.candidates import Flaw, StoredCandidates
from executions.repairs.repair_report import Report
from workflows.models import Candidate, Version
from workflows.models.candidate import node_key, resolve


def mend_candidates(workflow_ids: list[int], report: Report) -> None:
    """Give the versions in force of these workflows the candidates that their graphs name.

    A name that lost its candidate is looked up again: the account that has it now is asked.
    """
    stored = StoredCandidates(workflow__in=workflow_ids)
    versions = Version.objects.filter(workflow__in=workflow_ids, in_force=True)
    for version in versions.select_related("workflow").order_by("pk"):
        flaws = stored.flaws(version)
        for flaw in flaws:
            _mend(version, flaw)
        if not flaws:
            continue
        details = "; ".join(flaw.detail for flaw in flaws)
        report.mend(
            version.workflow, f"Version {version.number} asks whom its graph names again: {details}"
        )


def _mend(version: Version, flaw: Flaw) -> None:
    if flaw.candidate is not None:
        if flaw.is_named and not flaw.candidate.is_unknown:
            # The account is sound, whatever its name is now.
            Candidate.objects.filter(pk=flaw.candidate.pk).update(needed=flaw.named.needed)
            return
        Candidate.objects.filter(pk=flaw.candidate.pk).delete()
    if not flaw.is_named:
        return
    row = resolve([flaw.named])[0]
    row.version, row.key = version, node_key(version.pk, flaw.named.node_id)
    row.save()
