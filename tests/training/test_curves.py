"""Curves as files; the event file is parsed byte by byte, following TensorBoard's documentation of the format."""

import struct

import pytest
import torch

from avsv.training.curves import EVENTS, EventFile, Figures, draw_curves, write_curves


def crc32c(content):
    """CRC-32C computed bit by bit from its polynomial."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def unmask(four):
    masked = (struct.unpack("<I", four)[0] - 0xA282EAD8) & 0xFFFFFFFF
    return (masked << 15 | masked >> 17) & 0xFFFFFFFF


def read_number(content, at):
    value = shift = 0
    while True:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 128:
            return value, at


def read_message(content):
    """Field number -> values of a protobuf message."""
    fields, at = {}, 0
    while at < len(content):
        key, at = read_number(content, at)
        kind = key & 7
        if kind == 0:
            value, at = read_number(content, at)
        elif kind == 2:
            length, at = read_number(content, at)
            value, at = content[at : at + length], at + length
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = struct.unpack("<d" if size == 8 else "<f", content[at : at + size])[0], at + size
        fields.setdefault(key >> 3, []).append(value)
    return fields


def read_messages(path):
    """The fields of each event after the first, checksums compared."""
    content, found = path.read_bytes(), []
    while content:
        length = struct.unpack("<Q", content[:8])[0]
        assert unmask(content[8:12]) == crc32c(content[:8])
        event, content = content[12 : 12 + length], content[12 + length :]
        assert unmask(content[:4]) == crc32c(event)
        content = content[4:]
        fields = read_message(event)
        if 3 in fields:
            assert fields[3] == [b"brain.Event:2"]
        else:
            found.append(fields)
    return found


def read_values(fields):
    """The messages Summary.Value of an event."""
    return [read_message(v) for v in read_message(fields[5][0])[1]]


def read_events(path):
    """(step, {name: value}) of each event."""
    return [(fields[2][0], {v[1][0].decode(): v[2][0] for v in read_values(fields)}) for fields in read_messages(path)]


def test_events_are_in_tensorboards_form(tmp_path):
    events = EventFile(tmp_path, 0)
    events.add(1, {"loss": 0.5, "accuracy": 0.25})
    events.add(70_000, {"loss": -2.0})
    events.save()
    assert read_events(tmp_path / EVENTS) == [(1, {"loss": 0.5, "accuracy": 0.25}), (70_000, {"loss": -2.0})]


def test_a_resumed_training_repeats_no_point(tmp_path):
    events = EventFile(tmp_path, 0)
    events.add(1, {"loss": 1.0})
    size = events.save()
    events.add(2, {"loss": 2.0})  # after the checkpoint, lost with the kill
    events.save()
    events = EventFile(tmp_path, size)
    events.add(2, {"loss": 3.0})
    events.save()
    assert read_events(tmp_path / EVENTS) == [(1, {"loss": 1.0}), (2, {"loss": 3.0})]


def test_figures_are_means_over_the_steps_that_have_them():
    figures = Figures()
    for step in range(4):
        figures.add({"loss": torch.tensor(float(step)), **({"rare": 8.0} if step == 2 else {})})
    assert str(figures) == "loss 1.5, rare 8"
    assert figures.take(torch.device("cpu")) == {"loss": 1.5, "rare": 8.0}
    figures.add({"loss": 4.0})
    assert figures.take(torch.device("cpu")) == {"loss": 4.0}
    assert figures.means() == {"loss": 2.0, "rare": 8.0}


def test_curves_are_a_table_and_a_plot(tmp_path):
    history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5, "eer_percent": 12.0}]
    write_curves(tmp_path, history)
    assert (tmp_path / "curves.tsv").read_text() == "epoch\tloss\teer_percent\n1\t2\t\n2\t1.5\t12\n"
    draw_curves(tmp_path, history)
    first = (tmp_path / "curves.svg").read_bytes()
    draw_curves(tmp_path, history)
    assert first == (tmp_path / "curves.svg").read_bytes() and b"eer percent" in first


@pytest.mark.parametrize("number", [0, 127, 128, 300, 2**31])
def test_numbers_round_trip(number):
    from avsv.training.curves import varint

    assert read_number(varint(number), 0) == (number, len(varint(number)))
