

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0004_mail_calls_and_secrets'),
    ]

    operations = [
        migrations.AddField(
            model_name='execution',
            name='updated_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='When it, or of a root anything that it has started, went on last.'),
        ),
    ]
