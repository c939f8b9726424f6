"""Upload of a dashboard to a W&B account, on request only; a dashboard is updated, not duplicated."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from merec.errors import quote_error
from merec.tracking.sweep import Sweep
from merec.types import InputError

if TYPE_CHECKING:  # W&B takes a second to import
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.workspaces import Workspace

log = logging.getLogger(__name__)


def find_account(sweep: Sweep, online: bool | None) -> str | None:
    """Return the W&B account for the dashboard; `None` if it is not uploaded.

    Raises:
        InputError: If the upload is requested and there is no account.
    """
    if online is False or (online is None and not sweep.online):
        return None
    import wandb

    reason = "there is no account on this machine"
    try:
        account = wandb.login(prompt=False) and (sweep.entity or wandb.Api().default_entity)
    except Exception as error:  # wandb has many ways to say that the key or the network is wrong
        account, reason = None, quote_error(error)
    if account:
        return str(account)
    message = f"the dashboard cannot be saved in W&B ({reason}); run `wandb login`"
    if online:
        raise InputError(f"{message}, or leave out online=true: it is then written here, as JSON")
    log.warning("%s; it is written here, as JSON", message)
    return None


def recall(out: Path, workspace: "Workspace", report: "Report") -> None:
    """Take over the ids of an earlier upload from the same folder, so that it is updated.

    A dashboard of other groups is a separate one.
    """
    try:
        saved = json.loads((out / "workspace.json").read_text(encoding="utf-8"))
        page = json.loads((out / "report.json").read_text(encoding="utf-8"))
        entity, same = saved["entity"], (saved["project"], saved["displayName"])
        ids = saved["id"], saved["name"], page["id"]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or of no use
        return
    if same != (workspace.project, workspace.name) or not all(ids):
        return
    if workspace.entity not in ("", entity):
        return
    workspace.entity = report.entity = entity
    workspace._internal_id, workspace._internal_name, report.id = ids


def save(workspace: "Workspace", report: "Report", out: Path) -> None:
    """Save both in the account.

    Raises:
        InputError: If W&B refuses; the JSON files are already written.
    """
    try:
        workspace.save()
        report.save()
    except Exception as error:
        reason = quote_error(error)
        raise InputError(
            f"W&B did not take the dashboard ({reason}), whose JSON is in {out}; upload the runs first, by "
            "`wandb sync`"
        ) from error
