"""A real MQTT broker: mosquitto of the system, on loopback, in memory alone."""

import contextlib
import shutil

from tests.integration.harness.app import running
from tests.integration.process import free_port

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


@contextlib.contextmanager
def mosquitto(folder):
    """Yield the address of a broker that takes everybody."""
    port = free_port()
    path = folder / f"mosquitto-{port}.conf"
    path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    with running([PROGRAM, "-c", str(path)], port) as address:
        yield address
