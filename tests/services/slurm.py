"""SLURM of the distribution: two nodes on this machine, with keys and ports of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from databases import free_port, missing

SECONDS = 60.0

PACKAGES = {"munged": "munge", "sbatch": "slurm-client"}
"""By program, where the names differ."""

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
SlurmdTimeout=10
InactiveLimit=0
KillWait=5
{nodes}
PartitionName=tests Nodes=n[1-2] Default=YES MaxTime=2-0 State=UP
"""


class Slurm:
    """A controller and two nodes.

    Attributes
    ----------
    environment : dict of str to str
        Has commands such as ``sbatch`` ask this one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, program: str, *arguments: str) -> None:
        """Start a daemon; ``slurmd`` is given ``-N`` and its node."""
        name = arguments[-1] if program == "slurmd" else program
        with (self._folder / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [_path_of(program), *arguments],
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a daemon as a failing machine does: ``slurmctld``, ``n1`` or ``n2``."""
        self._processes[name].kill()
        self._processes[name].wait()

    def restart_controller(self, seconds: float) -> None:
        """End the controller in good order, and start it again after some time."""
        self._processes["slurmctld"].terminate()
        self._processes["slurmctld"].wait()
        time.sleep(seconds)
        self.start("slurmctld", "-D")

    def fail(self, node: str) -> None:
        """Let a node fail: its daemon and all that its jobs have started are gone."""
        processes = self._of_jobs(node)
        self.kill(node)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def ask(self, *command: str) -> str:
        """Run a command of SLURM; gives what it prints."""
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def jobs(self) -> list[list[str]]:
        """List what is in the queue: the state and the name of each."""
        lines = self.ask("squeue", "--noheader", "--format=%T|%j").splitlines()
        return [line.split("|", 1) for line in lines]

    def up(self) -> None:
        """Start all, and wait until both nodes take jobs."""
        folder = self._folder
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        (folder / "state").mkdir()
        host, user = socket.gethostname().partition(".")[0], _user()
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=2 "
            "RealMemory=20000"
            for name in ("n1", "n2")
        )
        configuration = CONFIGURATION.format(
            folder=folder, host=host, port=free_port(), user=user, nodes=nodes
        )
        (folder / "slurm.conf").write_text(configuration)
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self.start("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge)
        self._until(lambda: (folder / "munge.socket").exists())
        self.start("slurmctld", "-D")
        for node in ("n1", "n2"):
            self.start("slurmd", "-D", "-N", node)
        self._until(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"])

    def down(self) -> None:
        """End all, and what jobs have left."""
        left = [*self._of_jobs("n1"), *self._of_jobs("n2")]
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _of_jobs(self, node: str) -> list[psutil.Process]:
        """List what jobs run on a node: first the keepers of the jobs, then those they keep."""
        keepers, kept = set(), []
        for process in psutil.process_iter():
            try:
                environ = process.environ()
                is_ours = environ.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if is_ours and environ.get("SLURMD_NODENAME") == node:
                    kept.append(process)
                    keepers |= {each for each in process.parents() if "slurmstepd" in each.name()}
            except psutil.Error:
                continue
        return [*keepers, *kept]

    def _until(self, is_so: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not is_so():
            logs = "".join(path.read_text() for path in self._folder.glob("*.out"))
            assert time.monotonic() < deadline, logs
            time.sleep(0.1)


@contextmanager
def slurm() -> Iterator[Slurm]:
    """Have a controller and two nodes that take jobs of the partition ``tests``."""
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        if _path_of(program) is None:
            missing(PACKAGES.get(program, program))
    # A short name, as that of a socket has to be.
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        made = Slurm(Path(name))
        try:
            made.up()
            yield made
        finally:
            made.down()


def _path_of(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def _user() -> str:
    return psutil.Process().username()
