"""The voice-to-face networks: layer table, sizes of feature maps, invariances."""

import itertools

import pytest
import torch

from avsv.systems.voice_to_face import networks as voice_to_face
from avsv.systems.voice_to_face.networks import FaceCritic, Generator, VoiceEmbedder, normalise_embeddings
from tests.models.tables import layer_table, n_parameters

TABLE = layer_table(voice_to_face.__doc__)


@pytest.fixture(scope="module")
def nets():
    with torch.device("meta"):  # shapes without memory
        return {"e": VoiceEmbedder().eval(), "g": Generator().eval(), "f": FaceCritic(7).eval()}


def layers(nets):
    parts = {"e": nets["e"].layers, "g": nets["g"].layers, "f": nets["f"].trunk.layers}
    return {f"{name} {number}": layer for name, part in parts.items() for number, layer in enumerate(part, 1)}


def test_parameters_of_each_layer_match_the_table(nets):
    assert {name: n_parameters(layer) for name, layer in layers(nets).items()} == {
        name: numbers[-1] for name, numbers in TABLE.items() if name[-1].isdigit()
    }


# from the paper's table: kernel x channels in x channels out, biases, and two per channel of batch norm
def test_total_parameters_match_the_table_and_the_paper(nets):
    widths = (64, 256, 384, 576, 864)
    embedder = sum(3 * a * b + 2 * b for a, b in itertools.pairwise(widths)) + 3 * 864 * 64 + 64
    widths = (64, 1024, 512, 256, 128, 64)
    generator = sum(16 * a * b + b for a, b in itertools.pairwise(widths)) + 64 * 3 + 3
    widths = (32, 64, 128, 256, 512, 64)
    trunk = 3 * 32 + 32 + sum(16 * a * b + b for a, b in itertools.pairwise(widths))
    assert n_parameters(nets["e"]) == embedder == TABLE["e all"][-1]
    assert n_parameters(nets["g"]) == generator == TABLE["g all"][-1]
    assert n_parameters(nets["f"].trunk) == trunk == TABLE["f all"][-1]
    assert n_parameters(nets["f"].discriminator) == 64 and n_parameters(nets["f"].classifier) == 64 * 7


def test_outputs_of_each_layer_match_the_table(nets):
    with torch.device("meta"):
        mels, voice, face = torch.zeros(1, 64, 320), torch.zeros(1, 64, 1, 1), torch.zeros(1, 3, 64, 64)
        sizes = {}
        for name, x, part in (("e", mels, nets["e"].layers), ("g", voice, nets["g"].layers),
                              ("f", face, nets["f"].trunk.layers)):  # fmt: skip
            for number, layer in enumerate(part, 1):
                x = layer(x)
                sizes[f"{name} {number}"] = tuple(x.shape[1:])
    channels = {"e": (256, 384, 576, 864, 64), "g": (1024, 512, 256, 128, 64, 3), "f": (32, 64, 128, 256, 512, 64)}
    sides = {"g": (4, 8, 16, 32, 64, 64), "f": (64, 32, 16, 8, 4, 1)}
    expected = {f"e {i + 1}": (c, 320 >> (i + 1)) for i, c in enumerate(channels["e"])}
    for name in "gf":
        expected |= {f"{name} {i + 1}": (c, s, s) for i, (c, s) in enumerate(zip(channels[name], sides[name]))}
    assert sizes == expected


def test_any_number_of_frames_gives_one_embedding():
    embedder = VoiceEmbedder((4, 4, 4, 4), 3).eval()
    for n_frames in (1, 31, 32, 33, 500):
        assert embedder(torch.randn(2, 64, n_frames)).shape == (2, 3)


def test_an_embedding_is_the_mean_over_time():
    embedder = VoiceEmbedder((4, 4, 4, 4), 3).eval()
    mels = torch.randn(1, 64, 320)
    assert torch.allclose(embedder(mels), embedder.layers(mels).mean(2))


def test_a_face_does_not_depend_on_the_length_of_the_embedding():
    generator = Generator((4, 4, 4, 4, 4), 3).eval()
    voice = torch.randn(2, 3)
    faces = [generator(normalise_embeddings(factor * voice)) for factor in (1.0, 20.0)]
    assert torch.allclose(*faces, atol=1e-6)


def test_noise_is_added_to_the_unit_vector_and_the_sum_is_normalised():
    voice, noise = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.75]])
    assert normalise_embeddings(voice, noise).tolist()[0] == pytest.approx([0.8, 0.6])


def test_the_trunk_ends_with_a_convolution():
    critic = FaceCritic(5, (4, 4, 4, 4, 4), 64)
    faces = torch.randn(3, 3, 64, 64)
    last = critic.trunk.layers[-1][0]
    torch.testing.assert_close(critic.trunk(faces), last(critic.trunk.layers[:-1](faces)).flatten(1))


def test_the_critic_judges_each_face_independently():
    critic = FaceCritic(5, (4, 4, 4, 4, 4), 3)
    faces = torch.randn(3, 3, 64, 64)
    alone = [critic(face[None]) for face in faces]
    for number, together in enumerate(critic(faces)):
        assert torch.allclose(together, torch.cat([of_one[number] for of_one in alone]), atol=1e-5)
