"""Revocation of all tokens of a user when the password changes.

A database trigger does it, so that requests need no extra check, and bulk statements and programs
outside Django are covered. Sessions end because Django stores a hash of the password in them.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from knox.models import get_token_model

from workflows.db import write_once
from workflows_project.models import TokenDetails

NAME = "holdfast_ended_tokens"


def register_token_trigger() -> None:
    """Register the trigger, which is installed after each migration."""
    users, tokens = get_user_model()._meta, get_token_model()._meta
    details = TokenDetails._meta
    of_user = f"WHERE {tokens.get_field('user').column} = NEW.{users.pk.column}"
    revocation = (
        f"DELETE FROM {details.db_table} WHERE {details.pk.column} IN"
        f" (SELECT digest FROM {tokens.db_table} {of_user});"
        f" DELETE FROM {tokens.db_table} {of_user}"
    )
    creation = f"CREATE TRIGGER {NAME} AFTER UPDATE OF password ON {users.db_table} FOR EACH ROW"
    write_once.register(
        write_once.CustomTrigger(
            NAME,
            users.db_table,
            (tokens.db_table, details.db_table),
            sqlite=(f"{creation} WHEN OLD.password IS NOT NEW.password BEGIN {revocation}; END",),
            postgresql=(
                f"""
                CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    {revocation};
                    RETURN NULL;
                END $$
                """,
                creation.replace("CREATE", "CREATE OR REPLACE", 1)
                + " WHEN (OLD.password IS DISTINCT FROM NEW.password)"
                f" EXECUTE FUNCTION {NAME}()",
            ),
        )
    )
