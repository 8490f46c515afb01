"""A command that asks a Prefect server, through the warm process if there is one."""

import sys


def run():
    """Print the server's address, and a setting."""
    from prefect.settings import PREFECT_API_URL, get_current_settings

    from stpipe_prefect.orchestration.server import prefect_api

    with prefect_api():
        print(PREFECT_API_URL.value(), get_current_settings().client.max_retries)
    return 0


if __name__ == "__main__":
    from stpipe_prefect.warm.client import answer

    sys.exit(answer("asking:run"))
