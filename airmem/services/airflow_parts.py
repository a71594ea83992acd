"""Which part of Airflow a file or a distribution is, and what its components have no need to hold."""

from __future__ import annotations

CORE = "apache-airflow-core"
TASK_SDK = "apache-airflow-task-sdk"
PROVIDERS = "apache-airflow-providers"

NOT_NEEDED = {
    "scheduler": frozenset(
        {"pandas", "numpy", "scipy", "scikit-learn", "torch", "tensorflow", "matplotlib", "pyarrow", "polars",
         "pyspark", "snowflake-connector-python", "google-cloud-bigquery", "boto3", "botocore"}
    ),
}  # fmt: skip
"""Component -> distributions that it works without: they come with DAG code, plugins or providers that it imports.

The scheduler reads serialized DAGs from the database (Airflow 2.0 and later), so that no DAG file is imported in it.
"""

ALIKE = {"dag_processor": "dag-processor", "api": "api-server", "api_server": "api-server"}


def airflow_distribution(inside: str) -> str | None:
    """Return the distribution of a path below site-packages by Airflow 3's layout; None outside of airflow."""
    if not inside.startswith("airflow/"):
        return None
    parts = inside.split("/")
    if parts[1] == "sdk":
        return TASK_SDK
    if parts[1] == "providers" and len(parts) > 3:
        return f"{PROVIDERS}-{parts[2]}"
    return CORE


def airflow_kind(distribution: str) -> str | None:
    """Return core, task-sdk or provider for a distribution of Airflow, else None."""
    if distribution in (CORE, "apache-airflow"):
        return "core"
    if distribution == TASK_SDK:
        return "task-sdk"
    return "provider" if distribution.startswith(PROVIDERS) else None


def component_of(command_line: str) -> str:
    """Return the component that a command line starts (`airflow scheduler`), empty if it is none of Airflow's."""
    words = command_line.replace("\0", " ").split()
    for place, word in enumerate(words[:-1]):
        if word.rpartition("/")[2] == "airflow" and not words[place + 1].startswith("-"):
            return ALIKE.get(words[place + 1], words[place + 1])
    return ""
