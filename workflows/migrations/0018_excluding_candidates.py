"""An index of the candidates of approvals that exclude accounts."""

from django.db import migrations, models

from workflows.db.migration_operations import AddIndexBesideTraffic


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True
    atomic = False

    dependencies = [
        ('workflows', '0017_excluded_voters'),
    ]

    operations = [
        AddIndexBesideTraffic(
            model_name='candidate',
            index=models.Index(condition=models.Q(('excludes_starter', True), ('excludes_submitters', True), _connector='OR'), fields=['key'], name='workflows_candidate_excludes'),
        ),
    ]
