"""A real Airflow in a directory of its own: its commands, its four processes, what it recorded."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
PROCESSES = ("api-server", "scheduler", "dag-processor", "triggerer")


@dataclass
class Home:
    """AIRFLOW_HOME with SQLite, offline; `environ` is what its commands and processes see."""

    path: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def dags(self) -> Path:
        """Where DAG files are looked for."""
        return self.path / "dags"

    def settings(self) -> dict[str, str]:
        """Return the environment of a quick, quiet Airflow."""
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "3",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "NO_PROXY": "127.0.0.1",
            "COLUMNS": "200",
            **self.environ,
        }

    def cli(self, *args: str, within: float = 240) -> subprocess.CompletedProcess[str]:
        """Run one of Airflow's commands to its end."""
        return subprocess.run(
            [BIN / "airflow", *args],
            env=self.settings(),
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def rows(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Ask Airflow's own database."""
        url = f"file:{self.path / 'airflow.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(url, uri=True, timeout=30)) as database:
            return database.execute(query, args).fetchall()

    def states(self, dag_id: str) -> dict[str, str]:
        """Return the state of each task of the DAG's newest run; mapped ones are `name[0]`."""
        found = self.rows(
            "SELECT task_id, map_index, state FROM task_instance WHERE dag_id = ? AND run_id ="
            " (SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1)",
            dag_id,
            dag_id,
        )
        return {name if at < 0 else f"{name}[{at}]": state for name, at, state in found}

    def xcom(self, dag_id: str, task_id: str) -> Any:
        """Return what the task returned in the DAG's newest run."""
        found = self.rows(
            "SELECT value FROM xcom WHERE dag_id = ? AND task_id = ? AND key = 'return_value'"
            " ORDER BY dag_run_id DESC",
            dag_id,
            task_id,
        )
        return unwrapped(found[0][0])

    def logs(self, dag_id: str, task_id: str) -> str:
        """Return what all tries of a task logged, its triggers' part too."""
        found = sorted(self.path.glob(f"logs/dag_id={dag_id}/*/task_id={task_id}/**/attempt=*"))
        return "\n".join(path.read_text() for path in found)

    def copied(self, path: Path, **environ: str) -> Home:
        """Return a new home that starts as this one: its database is made already."""
        shutil.copytree(self.path, path, ignore=shutil.ignore_patterns("airflow.cfg", "logs"))
        return Home(path, environ)


def unwrapped(value: Any) -> Any:
    """Return what a task returned from what the database has: JSON, at times in a JSON string."""
    while isinstance(value, str) and value[:1] in {*'[{"'}:
        value = json.loads(value)
    return value


def made(path: Path) -> Home:
    """Make a home and its database."""
    home = Home(path)
    home.dags.mkdir(parents=True)
    done = home.cli("db", "migrate")
    assert done.returncode == 0, done.stderr
    return home


@contextlib.contextmanager
def running(home: Home) -> Iterator[Home]:
    """Run API server, scheduler, DAG processor and triggerer until the tests are done."""
    port = str(free_port())
    home.environ |= {
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }
    with contextlib.ExitStack() as stack:
        for name in PROCESSES:
            stack.enter_context(_process(home, name))
        eventually(lambda: len(home.rows(_ALIVE)) == 3, within=120)
        yield home


_ALIVE = "SELECT DISTINCT job_type FROM job WHERE state = 'running'"


@contextlib.contextmanager
def _process(home: Home, name: str) -> Iterator[None]:
    with (home.path / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [BIN / "airflow", name],
            env=home.settings(),
            cwd=home.path,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
