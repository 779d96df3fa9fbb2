"""Tells what CPython would do with pickles: reads them from stdin, answers a line each.

A pickle comes as its length in 4 bytes and its bytes. Nothing is imported: whatever a pickle names becomes
an object that only notes that it is called. The answer is 1 if `os.system` or `posix.system` is called, by
the unpickler in C or the one in Python, from bytes or from a file that gives one byte at a time.
"""

import io
import pickle
import resource
import sys

# A memo is as long as its highest index.
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
called = False


class Meta(type):
    def __call__(cls, *arguments, **keywords):
        global called
        if cls.evil:
            called = True
        return object.__new__(cls)


def stand_in(module, name):
    def note(cls, *arguments, **keywords):
        global called
        if cls.evil:
            called = True
        return object.__new__(cls)

    evil = module in ("os", "posix") and name == "system"
    return Meta("StandIn", (), {"evil": evil, "__new__": note})


class Slow(io.BytesIO):
    def readline(self, *size):
        return super().readline(*size)

    def read(self, size=-1):
        return super().read(size)

    # Without `readinto` and `peek` the unpickler reads what it needs, and no more.
    peek = None


def load(unpickler, file):
    class Tracing(unpickler):
        def find_class(self, module, name):
            return stand_in(module, name)

        def persistent_load(self, _):
            return None

    try:
        Tracing(file).load()
    except BaseException:
        pass


source = sys.stdin.buffer
while head := source.read(4):
    content = source.read(int.from_bytes(head, "little"))
    called = False
    load(pickle.Unpickler, io.BytesIO(content))
    load(pickle._Unpickler, io.BytesIO(content))
    load(pickle.Unpickler, Slow(content))
    print(int(called), flush=True)
