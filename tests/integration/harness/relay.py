"""Carries packets between two TUN devices, late, and loses some. ``net.Cable`` starts it in the far namespace.

Arguments: descriptor of the near device, name of the far one, seconds a packet takes, share that is lost, seed.
"""

import collections
import fcntl
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
"""linux/if_tun.h."""
PACKET_BYTES = 65536


def tun(name):
    """Return the descriptor of a new TUN device."""
    number = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(number, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return number


def carry(near, far, delay_s, loss, draw):
    """Carry for ever: all take the same time, so what came first leaves first."""
    other = {near: far, far: near}
    late = collections.deque()
    while True:
        wait_s = max(0.0, late[0][0] - time.monotonic()) if late else None
        for number in select.select([near, far], [], [], wait_s)[0]:
            packet = os.read(number, PACKET_BYTES)
            if draw.random() >= loss:
                late.append((time.monotonic() + delay_s, other[number], packet))
        while late and late[0][0] <= time.monotonic():
            _, number, packet = late.popleft()
            send(number, packet)


def send(number, packet):
    """A device that is down, or full, loses it."""
    try:
        os.write(number, packet)
    except OSError:
        return


def main(number, name, delay_s, loss, seed):
    """Make the far device, say so, carry."""
    far = tun(name)
    print("ready", flush=True)
    carry(int(number), far, float(delay_s), float(loss), random.Random(int(seed)))


if __name__ == "__main__":
    main(*sys.argv[1:])
