"""A changed password ends all tokens of its user, whoever changes it and by whichever statement.

The database does it by a trigger: a token costs no more at each request, and no interface, bulk
statement or program past Django can forget it. Sessions end by the hash that Django keeps in them.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from knox.models import get_token_model

from workflows.db import write_once

NAME = "holdfast_ended_tokens"


def end_with_passwords() -> None:
    """Have the trigger installed after each migration, along with the seals."""
    users, tokens = get_user_model()._meta, get_token_model()._meta
    ended = (
        f"DELETE FROM {tokens.db_table}"
        f" WHERE {tokens.get_field('user').column} = NEW.{users.pk.column}"
    )
    of_a_change = f"CREATE TRIGGER {NAME} AFTER UPDATE OF password ON {users.db_table} FOR EACH ROW"
    write_once.register(
        write_once.CustomTrigger(
            NAME,
            users.db_table,
            (tokens.db_table,),
            sqlite=(f"{of_a_change} WHEN OLD.password IS NOT NEW.password BEGIN {ended}; END",),
            postgresql=(
                f"""
                CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    {ended};
                    RETURN NULL;
                END $$
                """,
                of_a_change.replace("CREATE", "CREATE OR REPLACE", 1)
                + " WHEN (OLD.password IS DISTINCT FROM NEW.password)"
                f" EXECUTE FUNCTION {NAME}()",
            ),
        )
    )
