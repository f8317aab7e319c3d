"""Pushes an export: first a plan, which only asks the hub, then one commit, which is there as a whole or not at all."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.data.sources.hub import hub_answers, quiet
from mtlkit.errors import MtlkitError, NetworkError, UsageError, listed
from mtlkit.recipes.publishing.files import ExportedFile, exported_files
from mtlkit.recipes.publishing.hub_errors import hub_errors, interrupted, no_token
from mtlkit.recipes.publishing.repository import Repository, read_repository

Change = Literal["new", "replaced", "same", "deleted"]
WITHOUT_CONTENT = {".gitattributes"}  # files that the hub makes itself


@dataclass(frozen=True)
class PushPlan:
    """What a push does. `unknown`: why the repository could not be asked for. `changes` by file: those of the export, and those
    of an earlier push that it no longer has. `stays`: other files of the repository. `done`: the push took place, as `commit`."""

    repository: Repository
    url: str
    files: dict[str, ExportedFile]
    changes: dict[str, Change]
    private: bool
    stays: tuple[str, ...] = ()
    unknown: str = ""
    done: bool = False
    commit: str = field(default="")

    @property
    def size(self) -> int:
        """The bytes of all files of the export."""
        return sum(file.size for file in self.files.values())

    @property
    def changes_nothing(self) -> bool:
        """Whether the repository already holds the export."""
        return all(change == "same" for change in self.changes.values())

    @property
    def conflicts(self) -> list[str]:
        """Files of the repository that the push would replace or delete; where no export was pushed before, all that it has."""
        changed = [name for name, change in self.changes.items() if change in ("replaced", "deleted")]
        return changed or ([] if self.repository.pushed else list(self.stays))

    def to_json(self) -> dict[str, Any]:
        files = {
            name: {"size": self.files[name].size if name in self.files else 0, "change": change}
            for name, change in self.changes.items()
        }
        return {
            "repository": self.repository.name,
            "url": self.url,
            "exists": None if self.unknown else self.repository.commit is not None,
            "private": self.private,
            "files": files,
            "stays": list(self.stays),
            "pushed": self.done,
            "commit": self.commit or None,
        }


def check_token(options: ExportOptions) -> None:
    """Raises UsageError if huggingface_hub finds no token."""
    from huggingface_hub import get_token

    if get_token() is None:
        raise no_token(str(options.push))


def plan_push(options: ExportOptions, out: Path) -> PushPlan:
    """What `--push` would do with an export; sends nothing. Raises UsageError, IntegrityError."""
    from huggingface_hub import HfApi

    assert options.push is not None
    quiet()
    api, files, unknown = HfApi(), exported_files(out), ""
    repository = Repository(options.push)
    if hub_answers():
        try:
            repository = _read(api, options.push)
        except NetworkError as error:
            unknown = str(error).partition(": ")[2]
    else:
        unknown = interrupted("no answer")
    return _planned(options, api.endpoint, repository, files, unknown)


def _read(api: Any, name: str) -> Repository:
    with tempfile.TemporaryDirectory(prefix="mtlkit-push-") as cache:
        return read_repository(api, name, Path(cache))


def _planned(
    options: ExportOptions, endpoint: str, repository: Repository, files: dict[str, ExportedFile], unknown: str = ""
) -> PushPlan:
    there = repository.files
    changes: dict[str, Change] = {
        name: "new" if name not in there else "same" if there[name].holds(file) else "replaced" for name, file in files.items()
    }
    changes |= dict.fromkeys(sorted(repository.pushed - set(files)), "deleted")
    stays = tuple(name for name in there if name not in changes and name not in WITHOUT_CONTENT)
    private = options.private if repository.private is None else repository.private
    return PushPlan(repository, f"{endpoint}/{repository.name}", files, changes, private, stays, unknown)


def check_push(options: ExportOptions, plan: PushPlan) -> None:
    """Raises UsageError if the push would replace what is in the repository without --replace, or be public against --private."""
    name = plan.repository.name
    if options.private and plan.repository.private is False:
        raise UsageError(f"--private: {name} exists and is public; make it private in its settings, or leave --private out")
    if plan.conflicts and not options.replace:
        many = listed(plan.conflicts, 4)
        raise UsageError(
            f"--push {name}: the repository has other files ({many}); choose another name, or look at them without --yes and add "
            "--replace"
        )


def push(options: ExportOptions, plan: PushPlan) -> PushPlan:
    """Carries out a plan. After an interruption, another push completes it. Raises UsageError, NetworkError."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    name, api = plan.repository.name, HfApi()
    check_token(options)
    if plan.unknown:
        raise NetworkError(f"--push {name}: {plan.unknown}")
    check_push(options, plan)
    with hub_errors(name):
        if plan.repository.commit is None:
            api.create_repo(name, private=options.private, exist_ok=True)
            plan = _planned(options, api.endpoint, _read(api, name), plan.files)
            check_push(options, plan)  # somebody may have made it in the meantime, or it is hidden from this token
        added = [name for name, change in plan.changes.items() if change in ("new", "replaced")]
        deleted = [name for name, change in plan.changes.items() if change == "deleted"]
        commit = plan.repository.commit or ""
        if not plan.changes_nothing:
            done = api.create_commit(
                name,
                [
                    *(CommitOperationAdd(file, plan.files[file].path) for file in added),
                    *(CommitOperationDelete(file) for file in deleted),
                ],
                commit_message="Upload a model exported by mtlkit",
                parent_commit=plan.repository.commit,
            )
            commit = str(done.oid)
    _check_pushed(api, plan)
    return replace(plan, done=True, commit=commit)


def _check_pushed(api: Any, plan: PushPlan) -> None:
    """Raises MtlkitError unless the repository has exactly the files of the export."""
    there = _read(api, plan.repository.name).files
    if wrong := [name for name, file in plan.files.items() if name not in there or not there[name].holds(file)]:
        name = plan.repository.name
        raise MtlkitError(f"--push {name}: {listed(wrong)} differ on the hub from what was sent; run the same command again")
