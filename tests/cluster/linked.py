"""A gang whose members talk over TCP, all in this process."""

import socket
from concurrent.futures import ThreadPoolExecutor

from minimr.cluster import member_memory
from minimr.cluster.member_link import MemberLink

TOKEN = bytes(range(32))


class Gang:
    """All members of a gang in this process, each with its own link."""

    def __init__(self, size, **options):
        self.links = [MemberLink(rank, size, TOKEN, **options) for rank in range(size)]
        self.pool = ThreadPoolExecutor(size)
        self.run(lambda link: link.connect(self.addresses(), 1))

    def addresses(self):
        return [link.address for link in self.links]

    def run(self, program):
        return [task.result(30) for task in [self.pool.submit(program, e) for e in self.links]]

    def close(self):
        self.run(lambda link: link.close())
        self.pool.shutdown()


def shared_memory(silence_s=20.0):
    """Both ends of memory that two members share."""
    talk, other = socket.socketpair()
    with talk, other, member_memory.offer() as offer, ThreadPoolExecutor(1) as pool:
        taking = pool.submit(member_memory.take, member_memory.reach(offer.name), TOKEN, silence_s)
        return offer.give(TOKEN, silence_s, talk), taking.result(30)
