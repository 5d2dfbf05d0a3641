"""A safe reader of pickles of arrays, lists, tuples, dicts, numbers and strings.

``pickle.Unpickler`` isn't safe, even if its ``find_class`` admits numpy alone: BUILD sets attributes of
whatever is on the stack, numpy's ``__setstate__`` trusts the flags of a dtype, a memo index of four bytes
reserves gigabytes, and a nested tuple as a key ends the process. This small reader of the same format imports
and calls nothing that a pickle names, and makes the arrays itself.

It reads protocols 0 to 5 as Python 2 and 3 write them, with the names of numpy 1 and 2. Strings of
Python 2 are taken as Latin-1. ``pickletools`` documents the operations, ``numpy.ndarray.__reduce_ex__`` the
calls that make arrays.
"""

from __future__ import annotations

import codecs
import io
import math
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from reprlib import repr  # a small file can hold a value whose whole text has no end
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import CorpusError

MAX_OPERATIONS = 2**25
"""Longest pickle that is read, in operations: the largest of the four benchmarks has about a third."""
MAX_DEPTH = 16
MAX_ARRAY_DEPTH = 4  # numpy frees arrays inside arrays by recursion, and too many would end the process
MAX_DIMENSIONS, MAX_DIMENSION, MAX_DIGITS = 8, 2**40, 600

_DATA = "arrays, lists, tuples, dicts, numbers and strings"
_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "O4", "O8"}
_KEYS = frozenset({str, bytes, int})
_SCALARS = frozenset(np.dtype(code).type for code in _DTYPES if not code.startswith("O"))
_PLAIN = frozenset({type(None), bool, int, float, str, bytes}) | _SCALARS


def load(content: bytes, name: object) -> Any:
    """Read a pickle of plain data; errors call it ``name``.

    Returns:
        A value of finite depth made of dicts (their keys are strings or whole numbers), lists, tuples,
        arrays of booleans, integers, floats or such values, numpy's scalars, numbers, strings, bytes and
        None. Arrays of numbers can't be written to.

    Raises:
        CorpusError: The pickle names or does anything else, is too large, or is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _Machine(content).run()
    except _RefusedError as error:
        raise CorpusError(f"{name}: expected a pickle of {_DATA} only, found {error}") from None
    except Exception as error:  # damage has many forms: a missing memo, bad text, too much memory
        raise CorpusError(f"{name}: expected a pickle of {_DATA}, found damage: {error!r:.100}") from error


class _RefusedError(Exception):
    """A pickle that asks for more than plain data."""


class _Name:
    """A name in a pickle, with our own implementation of what it names."""

    __slots__ = ("call",)

    def __init__(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name that is no string")
        if (name := f"{module}.{name}") not in _CALLS:
            raise _RefusedError(f"one that names {ascii(name)[1:-1]:.80}")
        self.call = _CALLS[name]


class _Type:
    """The dtype of an array, described in two steps: kind and size of its items, then their byte order.

    ``scalars`` holds numbers of this type, by their bytes.
    """

    __slots__ = ("dtype", "scalars")

    def __init__(self, code: Any) -> None:
        if type(code) is not str or code not in _DTYPES:
            raise _RefusedError(f"an array of dtype {repr(code)}")
        self.dtype = np.dtype(object if code.startswith("O") else code)
        self.scalars: dict[Any, Any] = {}

    def describe(self, state: Any) -> None:
        """Take the byte order from the state of a dtype: version, order, subdtype, names, fields, …."""
        if state[2:5] != (None, None, None):
            raise _RefusedError("an array of records")
        self.dtype = self.dtype.newbyteorder(state[1])
        self.scalars.clear()


@dataclass(slots=True, eq=False)
class _EmptyArray:
    """An array that was created and has no content yet."""

    array: NDArray[Any] | None = None


class _Machine:
    """The state of a running pickle."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}  # values that may be used again
        self.allowance = 8 * len(content)  # bytes that may be made: a pointer may take one byte there
        self.depths: dict[int, int] = {}  # how many arrays of objects are nested, by id of the outermost

    def run(self) -> Any:
        """Run the pickle and return its value."""
        push = self.stack.append
        for _ in range(MAX_OPERATIONS):
            name, read = _OPERATIONS[self.file.read(1)]
            if name == "STOP":
                (value,) = self.stack
                _verify(value, 0, set())
                return value
            if name not in _ARGUMENTS and name not in _VALUES and name not in _ACTIONS:
                raise _RefusedError(f"the operation {name}")
            argument = read(self.file) if read else None
            if name in _ARGUMENTS:
                push(argument)
            elif name in _VALUES:
                push(_VALUES[name](self, argument))
            else:
                _ACTIONS[name](self, argument)
        raise _RefusedError(f"more than {MAX_OPERATIONS} operations")

    def last(self, count: int) -> list[Any]:
        start = len(self.stack) - count
        if start < 0:
            raise IndexError("too few values")
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def since_mark(self) -> list[Any]:
        return self.last(len(self.stack) - self.marks.pop())

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> Any:
        value = self.memo[index]
        if type(value) is not _EmptyArray:
            return value
        if value.array is None:
            raise ValueError("an array inside itself")
        return value.array

    def extend(self, items: list[Any]) -> None:
        list.extend(self.stack[-1], items)  # called this way, it is a TypeError for all but lists

    def update(self, items: list[Any]) -> None:
        dict.update(self.stack[-1], _dict(items))

    def build(self, state: Any) -> None:
        """Complete the dtype or the array on the stack."""
        target = self.stack[-1]
        if type(target) is _Type:
            target.describe(state)
        elif type(target) is _EmptyArray and target.array is None:
            _, shape, kind, fortran, data = state
            target.array = self.stack[-1] = self.array(data, kind, shape, "F" if fortran else "C")
        else:
            raise _RefusedError("a state of something that is no array")

    def call(self) -> Any:
        """Make what a call of numpy's would make."""
        arguments, called = self.stack.pop(), self.stack.pop()
        if type(called) is not _Name or type(arguments) is not tuple:
            raise TypeError("a call of something that is no name")
        return called.call(self, *arguments)

    def encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Return bytes that were written as a string, as Python 2 has all of them."""
        if type(text) is not str or encoding != "latin1":
            raise TypeError(f"{repr(encoding)} bytes of a {type(text).__name__}")
        self.spend(len(text))
        return text.encode("latin1")

    def scalar(self, kind: Any, data: Any) -> Any:
        """Make a number of numpy's; the same bytes are the same object."""
        if type(data) not in (str, bytes):
            raise TypeError(f"a number of a {type(data).__name__}")
        if data not in kind.scalars:
            kind.scalars[data] = self.array(data, kind, (), "C")[()]
        return kind.scalars[data]

    def buffer(self, data: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> NDArray[Any]:
        """Make an array of protocol 5. Order K is that of memory, where ``axes`` says which axis is which."""
        if type(data) is not bytes:
            raise TypeError(f"a buffer of a {type(data).__name__}")
        array = self.array(data, kind, shape, "C" if order == "K" else order)
        return array.transpose(axes) if order == "K" else array

    def array(self, data: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
        """Make an array of the bytes of its elements, or of the list of them where they are objects."""
        if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"shape {repr(shape)}")
        if any(type(size) is not int or not 0 <= size <= MAX_DIMENSION for size in shape):
            raise ValueError(f"shape {repr(shape)}")
        if kind.dtype == object:
            return self.objects(data, shape)  # listed row by row whatever the order
        content = self.encode(data) if type(data) is str else data
        if type(content) is not bytes or len(content) != math.prod(shape) * kind.dtype.itemsize:
            raise ValueError(f"shape {shape} of other content")
        if kind.dtype == bool:
            self.spend(len(content))
            elements: NDArray[Any] = np.frombuffer(content, np.uint8) != 0
        else:
            elements = np.frombuffer(content, kind.dtype)
        return elements.reshape(shape, order=order)

    def objects(self, items: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Make an array of objects."""
        if type(items) is not list or len(items) != math.prod(shape):
            raise ValueError(f"shape {shape} of other content")
        self.spend(np.dtype(object).itemsize * len(items))
        depths = [self.depths.get(id(item), 0) for item in items if type(item) is np.ndarray]
        if (depth := 1 + max(depths, default=0)) > MAX_ARRAY_DEPTH:
            raise ValueError(f"arrays inside arrays more than {MAX_ARRAY_DEPTH} deep")
        array: NDArray[Any] = np.fromiter(items, object, len(items)).reshape(shape)
        self.depths[id(array)] = depth
        return array

    def spend(self, size: int) -> None:
        self.allowance -= size
        if self.allowance < 0:
            raise MemoryError(f"{size} bytes more than the file explains")


_CORES = ("numpy.core", "numpy._core")  # numpy 1 and numpy 2
_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": lambda machine, *arguments: _EmptyArray(),
    "numpy.dtype": lambda machine, code, *flags: _Type(code),
    **{f"{core}.multiarray._reconstruct": lambda machine, *arguments: _EmptyArray() for core in _CORES},
    **{f"{core}.multiarray.scalar": _Machine.scalar for core in _CORES},
    **{f"{core}.numeric._frombuffer": _Machine.buffer for core in _CORES},
    "_codecs.encode": _Machine.encode,
    **{f"{module}.bytes": lambda machine: b"" for module in ("__builtin__", "builtins")},  # of empty arrays
}


def _dict(items: list[Any]) -> dict[Any, Any]:
    if not _KEYS.issuperset(map(type, items[::2])):
        raise TypeError("a key that is neither a string nor a whole number")
    return dict(zip(items[::2], items[1::2], strict=True))


def _verify(value: Any, depth: int, seen: set[int]) -> None:
    """Check that a value is finite, and that it has no incomplete array."""
    if type(value) in _PLAIN or id(value) in seen:
        return
    if depth == MAX_DEPTH:
        raise ValueError(f"values inside values more than {MAX_DEPTH} deep")
    parts = value.values() if type(value) is dict else value
    if type(value) is np.ndarray:
        parts = value.flat if value.dtype == object else ()
    elif type(value) not in (list, tuple, dict):
        raise _RefusedError("the parts of an array without the array")
    for part in parts:
        if type(part) not in _PLAIN:
            _verify(part, depth + 1, seen)
    seen.add(id(value))


def _read_string(file: IO[bytes]) -> str:
    """Read a quoted string of Python 2, which ``pickletools`` takes for ASCII."""
    line = file.readline()
    if len(line) < 3 or line[:1] not in b"\"'" or line[-2:] != line[:1] + b"\n":
        raise ValueError("a string without quotes")
    return str(codecs.escape_decode(line[1:-2])[0], "latin-1")


def _read_decimal(read: Callable[[IO[bytes]], Any], file: IO[bytes]) -> Any:
    """Read a number in decimal digits, whose conversion takes time with the square of their count."""
    start = file.tell()
    if len(file.readline(MAX_DIGITS + 2)) > MAX_DIGITS + 1:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    file.seek(start)
    return read(file)


_OPERATIONS: dict[bytes, tuple[str, Any]] = {
    each.code.encode("latin-1"): (each.name, each.arg and each.arg.reader) for each in pickletools.opcodes
} | {b"S": ("STRING", _read_string)}
_OPERATIONS |= {
    code: (_OPERATIONS[code][0], partial(_read_decimal, _OPERATIONS[code][1]))
    for code in (b"I", b"L", b"p", b"g")
}
_ARGUMENTS = (
    {"INT", "LONG", "FLOAT", "STRING", "UNICODE"}
    | {"BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"}
    | {"BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"}
)
"""Operations whose value is their argument."""
_VALUES: dict[str, Callable[[_Machine, Any], Any]] = {
    "NONE": lambda machine, _: None,
    "NEWTRUE": lambda machine, _: True,
    "NEWFALSE": lambda machine, _: False,
    "BYTEARRAY8": lambda machine, content: bytes(content),
    "EMPTY_TUPLE": lambda machine, _: (),
    "TUPLE": lambda machine, _: tuple(machine.since_mark()),
    "TUPLE1": lambda machine, _: tuple(machine.last(1)),
    "TUPLE2": lambda machine, _: tuple(machine.last(2)),
    "TUPLE3": lambda machine, _: tuple(machine.last(3)),
    "EMPTY_LIST": lambda machine, _: [],
    "LIST": lambda machine, _: machine.since_mark(),
    "EMPTY_DICT": lambda machine, _: {},
    "DICT": lambda machine, _: _dict(machine.since_mark()),
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": lambda machine, names: _Name(*names.split(" ")),
    "INST": lambda machine, names: _Name(*names.split(" ")),
    "STACK_GLOBAL": lambda machine, _: _Name(*machine.last(2)),
    "REDUCE": lambda machine, _: machine.call(),
}
"""Operations that push a value."""
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "BUILD": lambda machine, _: machine.build(*machine.last(1)),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
}
