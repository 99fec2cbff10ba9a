"""JSON with a known shape: a matching file is read, any other is refused with the invalid place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.jobs.schema import Misshapen, check_shape, read_json

SHAPE = {"systems": [str], "prior": float, "maps": [{"present": [bool], "offset": float}], "models?": [(str, None)]}
RIGHT = {"systems": ["a"], "prior": 1, "maps": [{"present": [True], "offset": -1.5}], "models": ["x", None]}


def test_a_matching_file_is_read(tmp_path):
    (tmp_path / "m").write_text(json.dumps(RIGHT))
    assert read_json(tmp_path / "m", SHAPE) == RIGHT
    del RIGHT["models"]
    check_shape(RIGHT, SHAPE)


@pytest.mark.parametrize(
    "place, value",
    [("maps[0].present[0]", {"present": [1], "offset": 0}), ("maps[0].offset", {"present": [True], "offset": True}),
     ("maps[0].offset", {"present": [True], "offset": "1"}), ("maps[0].offset", {"present": [], "offset": 10**400}),
     ('the key "offset" is missing', {"present": []}), ('unknown key "w"', {"present": [], "offset": 0, "w": 0}),
     ("maps[0]: expected an object", [])],
)  # fmt: skip
def test_the_invalid_place_is_named(place, value):
    with pytest.raises(Misshapen) as caught:
        check_shape({**RIGHT, "maps": [value]}, SHAPE)
    assert place in str(caught.value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '{"a": 1, "a": 2}', "", "{", "[" * 100_000,
                                  "9" * 10_000, "\ufffd"])  # fmt: skip
def test_only_strict_json_is_read(tmp_path, text):
    (tmp_path / "m").write_text(f'{{"a": {text}}}' if text[:1] not in "{" else text)
    for shape in ({"a": float}, float):
        with pytest.raises(InputError):
            read_json(tmp_path / "m", shape)


@given(st.binary(max_size=40) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=4),
       lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RIGHT, "x"]), inner)))  # fmt: skip
def test_any_bytes_give_a_value_or_a_user_error(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "m"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    try:
        read_json(path, SHAPE)
    except InputError as error:
        assert str(path) in str(error)
