from __future__ import annotations

import copyreg
import pickle
import pickletools
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.corpus import unpickle
from musicrnn.corpus.unpickle import load
from musicrnn.errors import CorpusError

PROTOCOLS = range(6)


def objects(*items: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array if shape is None else array.reshape(shape)


def same(found: Any, expected: Any) -> bool:
    """Compare values and types all the way down."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return list(found) == list(expected) and same(list(found.values()), list(expected.values()))
    if isinstance(expected, np.ndarray):
        if found.dtype != expected.dtype or found.shape != expected.shape:
            return False
        if expected.dtype == object:
            return same(list(found.flat), list(expected.flat))
        return found.tobytes() == expected.tobytes()
    if isinstance(expected, np.generic):
        return found.tobytes() == expected.tobytes()
    return repr(found) == repr(expected)


RNG = np.random.default_rng(0)
VALUES = {
    "plain": [
        None,
        True,
        False,
        0,
        -1,
        255,
        256,
        65536,
        -(2**31),
        2**70,
        -(2**70),
        0.5,
        float("nan"),
        "",
        "é\n'",
    ],
    "bytes": b"\x00\xff\n",
    "strings": ["\u4e00", "a" * 300, "\\u0041", "\udc80"],
    "pieces": {"train": [[(60, 64), (), (67,)], [[]]], "valid": [[(1, 2, 3, 4)]], "test": [], 7: {}},
    "shared": [[1, 2]] * 3,
    "uint8": RNG.integers(0, 2, (5, 88), np.uint8),
    "int64": RNG.integers(-9, 9, (2, 3, 4)),
    "float32": RNG.random((3, 2), np.float32),
    "float16": RNG.random(3).astype(np.float16),
    "bool": RNG.integers(0, 2, (4, 3)).astype(bool),
    "big-endian": np.arange(3, dtype=">i4"),
    "fortran": np.asfortranarray(RNG.integers(0, 9, (3, 4))),
    "axes": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "strided": np.arange(24).reshape(4, 6)[::2, ::3],
    "no dimensions": np.array(3.5),
    "empty": [np.zeros((0, 88), np.uint8), np.array([])],
    "objects": objects(np.eye(2), [1], (2, "x"), None, {"a": np.int8(1)}, np.zeros((0, 3))),
    "cells": objects(np.eye(2, dtype=np.uint8), np.ones((3, 2), np.uint8), shape=(1, 2)),
    "objects inside": objects(objects((60,), [61]), objects(objects(62))),
    "fortran objects": np.asfortranarray(objects(*range(6), shape=(2, 3))),
    "scalars": [
        np.int64(74),
        np.float32(0.5),
        np.bool_(True),
        np.uint8(255),
        np.int64(74),
        np.float64("nan"),
    ],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", VALUES)
def test_plain_data_comes_back_as_it_was(name: str, protocol: int) -> None:
    content = pickle.dumps(VALUES[name], protocol)
    assert same(load(content, "x.pickle"), VALUES[name])
    assert same(load(pickletools.optimize(content), "x.pickle"), VALUES[name])


def renamed_module(before: bytes, name: bytes) -> bytes:
    """Write the name of a module, which follows its length or, in older protocols, the operation."""
    return (before if before == b"c" else bytes([len(name)])) + name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_names_of_both_numpys_are_known(protocol: int) -> None:
    value = [np.eye(2), np.int64(7), objects(1)]
    content = pickletools.optimize(pickle.dumps(value, protocol))
    for core in (b"numpy.core", b"numpy._core"):
        renamed = re.sub(
            rb"(.)numpy\._?core(\.\w+)",
            lambda found, core=core: renamed_module(found[1], core + found[2]),
            content,
            flags=re.DOTALL,
        )
        assert core in renamed
        assert same(load(renamed, "x.pickle"), value)


# What Python 2.7 with numpy 1.16 writes.
PYTHON2 = {
    0: b"""(lp1
(dp2
V\\u4e00
F0.5
sS'train'
p3
(lp4
(lp5
(I60
L64L
tp6
a(taasS"a\\n'"
p7
I01
sacnumpy.core.multiarray
_reconstruct
p8
(cnumpy
ndarray
p9
(I0
tS'b'
tRp10
(I1
(I2
I2
tcnumpy
dtype
p11
(S'u1'
I0
I1
tRp12
(I3
S'|'
NNNI-1
I-1
I0
tbI01
S'\\x01\\x00\\x01\\x01'
tbacnumpy.core.multiarray
scalar
p13
(g11
(S'i8'
I0
I1
tRp14
(I3
S'<'
NNNI-1
I-1
I0
tbS'\\xc8\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
tRp15
ag8
(g9
(I0
tS'b'
tRp18
(I1
(I0
tg11
(S'f4'
I0
I1
tRp19
(I3
S'<'
NNNI-1
I-1
I0
tbI00
S''
tba.""",
    2: b"\x80\x02]q\x01(}q\x02(X\x03\x00\x00\x00\xe4\xb8\x80G?\xe0\x00\x00\x00\x00\x00\x00U\x05trainq\x03"
    b"]q\x04]q\x05(K<\x8a\x01@\x86q\x06)eaU\x03a\n'q\x07\x88ucnumpy.core.multiarray\n_reconstruct\nq\x08cnumpy\n"
    b"ndarray\nq\tK\x00\x85U\x01b\x87Rq\n(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x0bU\x02u1K\x00K\x01\x87Rq\x0c("
    b"K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x88U\x04\x01\x00\x01\x01tbcnumpy.core.multiarray\n"
    b"scalar\nq\rh\x0bU\x02i8K\x00K\x01\x87Rq\x0e(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"U\x08\xc8\x00\x00\x00\x00\x00\x00\x00\x86Rq\x0fh\x08h\tK\x00\x85U\x01b\x87Rq\x12(K\x01K\x00\x85h\x0b"
    b"U\x02f4K\x00K\x01\x87Rq\x13(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x00tbe.",
}


@pytest.mark.parametrize("protocol", PYTHON2)
def test_pickles_of_python_2_are_read(protocol: int) -> None:
    expected = [
        {"\u4e00": 0.5, "train": [[(60, 64), ()]], "a\n'": True},
        np.array([[1, 1], [0, 1]], np.uint8),
        np.int64(200),
        np.array([], np.float32),
    ]
    assert same(load(PYTHON2[protocol], "x.pickle"), expected)


NAMES = [
    *(("os", "system"), ("posix", "system"), ("subprocess", "getoutput"), ("sys", "exit")),
    *(("builtins", name) for name in ("eval", "exec", "getattr", "set", "bytearray", "complex", "list")),
    *(("__builtin__", "eval"), ("functools", "partial"), ("collections", "OrderedDict")),
    *(("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"), ("codecs", "encode")),
    *(("numpy", name) for name in ("load", "fromfile", "memmap", "int64", "ndarray.tofile", "dtype.mro")),
    *(
        ("numpy.lib.stride_tricks", "as_strided"),
        ("numpy.lib.npyio", "load"),
        ("numpy.ma.core", "_mareconstruct"),
    ),
    *(("numpy.core.multiarray", "fromfile"), ("numpy._core.numeric", "fromfile"), ("_codecs", "decode")),
    *(("musicrnn.corpus.unpickle", "_Machine"), ("numpy.ndarray", ""), ("", "")),
]


def name_of(module: str, name: str, protocol: int) -> bytes:
    """Write the operation that asks for a name."""
    if protocol < 4:
        return f"c{module}\n{name}\n".encode()
    return b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)) + b"\x93"


def call_of(module: str, name: str, argument: str, protocol: int) -> bytes:
    """Write a pickle that calls what a name stands for with one string, once it has read a list."""
    start = b"\x80" + bytes([protocol]) if protocol > 1 else b""
    return start + b"]" + name_of(module, name, protocol) + b"(V" + argument.encode() + b"\ntRa."


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_what_is_no_array_is_refused_by_name(module: str, name: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "ran"
    argument = f"open({str(sentinel)!r}, 'w')" if name in ("eval", "exec") else f"echo > {sentinel}"
    for protocol in PROTOCOLS:
        with pytest.raises(CorpusError) as refusal:
            load(call_of(module, name, argument, protocol), "x.pickle")
        assert str(refusal.value) == (
            "x.pickle: expected a pickle of arrays, lists, tuples, dicts, numbers and strings only, "
            f"found one that names {module}.{name}"
        )
        assert not sentinel.exists()


def test_these_pickles_would_run_elsewhere(tmp_path: Path) -> None:
    for protocol in PROTOCOLS:
        sentinel = tmp_path / str(protocol)
        pickle.loads(call_of("os", "system", f"echo > {sentinel}", protocol))
        assert sentinel.exists()


INSTANCES = [
    OrderedDict(a=1),
    {1, 2},
    frozenset("a"),
    1j,
    bytearray(b"a"),
    slice(1),
    range(3),
    Path("a"),
    len,
]
ARRAYS = [
    np.array(["a"]),
    np.array([b"a"]),
    np.array([1j]),
    np.array(["2020-01-01"], "M8[D]"),
    np.zeros(1, [("a", "i4")]),
    np.zeros(1, np.longdouble),
    np.ma.array([1]),
    np.zeros(1).view(np.recarray),
    np.dtype("f4"),
    np.ndarray,
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", INSTANCES + ARRAYS, ids=lambda value: type(value).__name__)
def test_values_of_other_kinds_are_refused(value: Any, protocol: int) -> None:
    if isinstance(value, bytearray) and protocol == 5:
        assert load(pickle.dumps(value, protocol), "x.pickle") == b"a"
        return
    with pytest.raises(
        CorpusError, match=r"^x.pickle: expected a pickle of .* numbers and strings only, found"
    ):
        load(pickle.dumps([value], protocol), "x.pickle")


def test_the_extension_registry_is_never_asked() -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        for content in (b"\x82\xf0.", b"\x83\xf0\x00.", b"\x84\xf0\x00\x00\x00."):
            with pytest.raises(CorpusError, match="only, found the operation EXT"):
                load(content, "x.pickle")
    finally:
        copyreg.remove_extension("os", "system", 240)


DTYPE = b"cnumpy\ndtype\n(Vf8\ntR"
ANNOUNCED = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR"
EMPTY = b"(N" + DTYPE + b"NN"
REFUSED = {
    "persistent id": (b"Pos.system\n.", "the operation PERSID"),
    "binary persistent id": (b"NQ.", "the operation BINPERSID"),
    "instance": (b"(Vecho\nios\nsystem\n.", "one that names os.system"),
    "set": (b"\x8f(K\x01\x90.", "the operation EMPTY_SET"),
    "object of a class": (b"cnumpy\nndarray\n)\x81.", "the operation NEWOBJ"),
    "buffer out of band": (b"\x97.", "the operation NEXT_BUFFER"),
    "attributes of a name": (b"cnumpy\ndtype\nN}Vcall\nNs\x86b.", "a state of something that is no array"),
    "attributes of a list": (b"]}Va\nNsb.", "a state of something that is no array"),
    "second content of an array": (
        ANNOUNCED + b"(I1\n(I0\nt" + DTYPE + b"I00\nV\ntb(I1\n(I0\nt" + DTYPE + b"I00\nV\ntb.",
        "a state of something that is no array",
    ),
    "record": (b"cnumpy\ndtype\n(VV8\ntR.", "an array of dtype 'V8'"),
    "fields": (DTYPE + b"(I3\nV<\nN(Va\nt}tb.", "an array of records"),
    "dtype alone": (DTYPE + b".", "the parts of an array without the array"),
    "name alone": (b"cnumpy\nndarray\n.", "the parts of an array without the array"),
    "array without content": (b"(" + ANNOUNCED + b"t.", "the parts of an array without the array"),
    "odd name": (b"cos\x1b[2J\nsys\ttem\n.", r"one that names os\x1b[2J.sys\ttem"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_powers_of_pickle_are_refused(name: str) -> None:
    content, found = REFUSED[name]
    with pytest.raises(CorpusError) as refusal:
        load(content, "x.pickle")
    assert str(refusal.value).endswith(f"numbers and strings only, found {found}")


def array_of(shape: bytes, data: bytes, code: bytes = b"f8") -> bytes:
    """Write a pickled array of protocol 0 without its end."""
    return ANNOUNCED + b"(I1\n" + shape + b"cnumpy\ndtype\n(V" + code + b"\ntRI00\n" + data + b"tb"


LARGE = 200_000
DAMAGED = {
    "nothing": b"",
    "no end": b"N",
    "text": b"hello",
    "no operation": b"\xff",
    "two values": b"NN.",
    "no value": b".",
    "a mark too few": b"Nt.",
    "unknown memo": b"h\x00.",
    "key without value": b"}(Va\nu.",
    "list as key": b"}]Ns.",
    "items of a tuple": b")Na.",
    "keys of a list": b"]Va\nNs.",
    "string that ends early": b"X\x05\x00\x00\x00ab.",
    "long string": b"\x80\x04T\xff\xff\xff\xff.",
    "huge bytes": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
    "line without end": b"I12",
    "many digits": b"I" + b"9" * 601 + b"\n.",
    "many digits of a long": b"L" + b"9" * 601 + b"L\n.",
    "many digits of a memo index": b"Np" + b"0" * 601 + b"1\n.",
    "bad escape": b"S'\\q'\n.",
    "no quotes": b"Sa\n.",
    "bad text": b"X\x01\x00\x00\x00\xff.",
    "nested tuples as a key": b"}" + b")" + b"\x85" * LARGE + b"Ns.",
    "deep lists": b"]" * LARGE + b"a" * (LARGE - 1) + b".",
    "deep dicts": b"}" + b"Va\n}" * 1000 + b"s" * 1000 + b".",
    "list in itself": b"]q\x00h\x00a.",
    "dict in itself": b"}q\x00Va\nh\x00s.",
    "list in a tuple in itself": b"]q\x00h\x00\x85a.",
    "array in itself": ANNOUNCED + b"q\x00(I1\n(I1\nt" + DTYPE + b"I00\n(h\x00ltb.",
    "list in an array in itself": b"(lq\x00" + array_of(b"(I1\nt", b"(h\x00l", b"O8") + b"a.",
    "shape of no size": array_of(b"Vab\n", b"V\n") + b".",
    "negative shape": array_of(b"(I-1\nI-1\nt", b"V" + b"\0" * 8 + b"\n") + b".",
    "shape beyond its bytes": array_of(b"(I1099511627776\nt", b"V\n") + b".",
    "shape beyond memory": array_of(b"(I0\nI" + b"9" * 100 + b"\nt", b"V\n") + b".",
    "many dimensions": array_of(b"(" + b"I1\n" * 99 + b"t", b"V" + b"\0" * 8 + b"\n") + b".",
    "objects of bytes": array_of(b"(I1\nt", b"V" + b"\0" * 8 + b"\n", b"O8") + b".",
    "numbers of a list": array_of(b"(I1\nt", b"(I1\nl") + b".",
    "characters beyond bytes": array_of(b"(I1\nt", b"V" + b"\\u4e00" * 8 + b"\n") + b".",
    "copies without end": b"("
    + b"V"
    + b"a" * LARGE
    + b"\nq\x00c_codecs\nencode\nq\x01"
    + b"h\x01(h\x00Vlatin1\ntR" * 99
    + b"l.",
    "another encoding": b"c_codecs\nencode\n(Va\nVrot13\ntR.",
    "a call of a list": b"](I1\ntR.",
    "bytes of a number": b"cbuiltins\nbytes\n(I999999999999\ntR.",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_an_error(name: str) -> None:
    with pytest.raises(
        CorpusError, match=r"\Ax.pickle: expected a pickle of .* strings, found damage: .{3,100}\Z"
    ):
        load(DAMAGED[name], "x.pickle")


def test_arrays_nested_without_end_are_an_error() -> None:
    content = b"".join(
        [(ANNOUNCED + b"(I1\n(I1\ntcnumpy\ndtype\n(VO8\ntRI00\n(") * 20_000, b"N", b"ltb" * 20_000]
    )
    with pytest.raises(CorpusError, match="arrays inside arrays more than 4 deep"):
        load(content + b".", "x.pickle")


def test_a_memo_index_reserves_nothing() -> None:
    assert load(b"Nr\xff\xff\xff\xff0"[:6] + b".", "x.pickle") is None
    assert load(b"]p99999999999\n.", "x.pickle") == []


def test_values_used_repeatedly_stay_small() -> None:
    doubled = b")q\x00" + b"".join(b"h%c" % i * 2 + b"\x86q%c" % (i + 1) for i in range(14))
    assert load(b"(" + doubled + b"t.", "x.pickle")


def test_endless_programs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpickle, "MAX_OPERATIONS", 100)
    with pytest.raises(CorpusError, match="only, found more than 100 operations"):
        load(pickle.dumps(list(range(1000))), "x.pickle")


BASIS = [pickle.dumps(list(VALUES.values()), protocol) for protocol in PROTOCOLS]
PIECES = [
    *PYTHON2.values(),
    *(content for content, _ in REFUSED.values()),
    *(content for content in DAMAGED.values() if len(content) < 300),
]


def is_read_or_refused(content: bytes) -> None:
    try:
        load(content, "x")
    except CorpusError as error:
        assert str(error).startswith("x: expected a pickle of ") and "\n" not in str(error)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(BASIS), st.data())
def test_changed_bytes_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    changed = bytearray(content)
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=5)):
        changed[position] = data.draw(st.integers(0, 255))
    is_read_or_refused(bytes(changed[: data.draw(st.integers(0, len(content)))]))
    is_read_or_refused(bytes(changed))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from([piece[i:j] for piece in PIECES for i in (0, 3, 9) for j in (20, 60, -1)])))
def test_invalid_programs_are_read_or_refused(pieces: list[bytes]) -> None:
    is_read_or_refused(b"".join(pieces) + b".")


@settings(deadline=None)
@given(st.binary())
def test_random_bytes_are_read_or_refused(content: bytes) -> None:
    is_read_or_refused(content)
