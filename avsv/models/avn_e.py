"""AVN-E: fusion of a voice and a face embedding (Qian, Chen, Wang, TASLP 2021; soft attention: Shon, ICASSP 2019).

    v, f       embeddings minus the training mean, scaled to unit length
    v', f'     r_v v + (1 - r_v) s_v, likewise for f: r is the trust in a modality, 0 if it is missing; s is the
               learned vector of a missing modality (see reliability.py; without it, r is 1 for every embedding)
    q          quality measures of the clip, standardised and limited; `attention_on: quality` (ours) replaces
               [f'; v'] by q in the attention and the gate
    V, F       W_v v', W_f f'                                  depth 1: one Linear each to `size`; depth 0: identity

| form | output | own weights (without biases) |
|---|---|---|
| concat | MLP([F; V]), blocks of Linear-BN-ReLU-dropout, the last Linear | (n_F + n_V) size + (depth - 1) size^2 |
| sum | (F + V) / 2 | none |
| soft_attention | a_f F + a_v V, a = softmax(Linear([f'; v'])) | 2 (n_f + n_v) |
| soft_attention_concat | [a_f F; a_v V] | the same |
| gated | z t(F) + (1 - z) t(V), z = sigmoid(Linear(ReLU(BN(Linear([f'; v'] -> 64))))) | 64 (n_f + n_v) + 64 size |
| compact_bilinear | IFFT(FFT(sketch(F)) FFT(sketch(V))) | none; two random sketches |

Width and dropout of the MLP are our choice: no source available to us states them.
"""

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.models.checkpoint import NetworkFile
from avsv.models.ranges import check_ranges, choice, within
from avsv.models.reliability import Reliability

LIMIT = 2.0  # standard deviations that a quality measure approaches, as in avsv/scoring/quality_fusion.py


class Fused(NamedTuple):
    """The output for a batch.

    out : (batch, out_size) fused embeddings
    weights : (batch, 2) weights of voice and face: attention times trust, normalised to sum 1
    damage : (batch, 2) log-odds that the voice or the face is damaged; None without `reliability`
    """

    out: Tensor
    weights: Tensor
    damage: Tensor | None


def masked_softmax(scores: Tensor, present: Tensor) -> Tensor:
    return scores.masked_fill(~present, float("-inf")).softmax(1)


def halving_layers(n_in: int, n_out: int, depth: int) -> nn.Sequential:
    """Linear layers with ReLU in between, each half as wide as the previous one: 1024 -> 512 -> ... -> n_out.

    Examples
    --------
    >>> [layer.out_features for layer in halving_layers(1024, 2, 3) if isinstance(layer, nn.Linear)]
    [512, 256, 2]
    """
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(n_in, max(n_out, n_in // 2)), nn.ReLU()]
        n_in = max(n_out, n_in // 2)
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


class Concat(nn.Module):
    """[F; V] through an MLP."""

    def __init__(self, n_voice: int, n_face: int, n_cues: int, options: "FusionOptions"):
        super().__init__()
        self.out_size = size = options.size
        widths = [n_voice + n_face] + [size] * options.mlp_depth
        layers: list[nn.Module] = []
        for n_in in widths[:-2]:
            layers += [nn.Linear(n_in, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(options.dropout)]
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-2], size))

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        return self.mlp(torch.cat([face, voice], 1)), torch.full_like(present, 0.5, dtype=voice.dtype)


class Sum(nn.Module):
    """(F + V) / 2."""

    def __init__(self, n_voice: int, n_face: int, n_cues: int, options: "FusionOptions"):
        super().__init__()
        self.out_size = same_size(n_voice, n_face, options)

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        return (face + voice) / 2, torch.full_like(present, 0.5, dtype=voice.dtype)


class SoftAttentionConcat(nn.Module):
    """[a_f F; a_v V]."""

    def __init__(self, n_voice: int, n_face: int, n_cues: int, options: "FusionOptions"):
        super().__init__()
        self.out_size = n_voice + n_face
        self.attention = halving_layers(n_cues, 2, options.attention_depth)
        # our choice: training starts from equal weights, that is, from the sum
        nn.init.zeros_(self.attention[-1].weight)
        nn.init.zeros_(self.attention[-1].bias)

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        weights = masked_softmax(self.attention(cues).flip(1), present)
        return self.join(weights[:, :1] * voice, weights[:, 1:] * face), weights

    def join(self, voice: Tensor, face: Tensor) -> Tensor:
        return torch.cat([face, voice], 1)


class SoftAttention(SoftAttentionConcat):
    """a_f F + a_v V."""

    def __init__(self, n_voice: int, n_face: int, n_cues: int, options: "FusionOptions"):
        super().__init__(n_voice, n_face, n_cues, options)
        self.out_size = same_size(n_voice, n_face, options)

    def join(self, voice: Tensor, face: Tensor) -> Tensor:
        return face + voice


class Gated(nn.Module):
    """z t(F) + (1 - z) t(V): a gated multimodal unit (Arevalo et al., 2017); z is the weight of the face."""

    def __init__(self, n_voice: int, n_face: int, n_cues: int, options: "FusionOptions"):
        super().__init__()
        self.out_size = same_size(n_voice, n_face, options)
        self.squash = torch.tanh if options.gate_tanh else nn.Identity()
        self.gate = nn.Sequential(
            nn.Linear(n_cues, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, self.out_size), nn.Sigmoid()
        )

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        z = self.gate(cues).masked_fill(~present[:, :1], 1.0).masked_fill(~present[:, 1:], 0.0)
        share = z.mean(1, keepdim=True)
        return z * self.squash(face) + (1 - z) * self.squash(voice), torch.cat([1 - share, share], 1)


class CompactBilinear(nn.Module):
    """Count sketches of F and V, convolved by FFT (Gao et al., CVPR 2016).

    In expectation over the sketches, the inner product of two outputs equals that of the outer products F V':
    <F1, F2> <V1, V2>. A masked modality is replaced by the unit of convolution, which leaves the other's sketch.
    """

    def __init__(self, n_voice: int, n_face: int, n_cues: int, options: "FusionOptions"):
        super().__init__()
        self.out_size = options.size
        for name, n_in in (("voice", n_voice), ("face", n_face)):
            self.register_buffer(f"{name}_place", torch.randint(self.out_size, (n_in,)))
            self.register_buffer(f"{name}_sign", torch.randint(2, (n_in,)) * 2.0 - 1)

    def spectrum(self, vectors: Tensor, place: Tensor, sign: Tensor, present: Tensor) -> Tensor:
        sketch = vectors.new_zeros(len(vectors), self.out_size).index_add(1, place, vectors * sign)
        return torch.fft.rfft(sketch.float()).masked_fill(~present, 1.0)

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        voices = self.spectrum(voice, self.voice_place, self.voice_sign, present[:, :1])
        faces = self.spectrum(face, self.face_place, self.face_sign, present[:, 1:])
        return torch.fft.irfft(voices * faces, self.out_size), torch.full_like(present, 0.5, dtype=voice.dtype)


FORMS = {
    "concat": Concat,
    "sum": Sum,
    "soft_attention": SoftAttention,
    "soft_attention_concat": SoftAttentionConcat,
    "gated": Gated,
    "compact_bilinear": CompactBilinear,
}


@dataclass
class FusionOptions:
    """The options that define a fusion network, together with the sizes of the embeddings."""

    fusion: str = choice("soft_attention", *FORMS)
    size: int = within(512, 1, 16384)  # of transformed embeddings and, except for soft_attention_concat, outputs
    transform_depth: int = within(1, 0, 20)  # layers of W_v and W_f; 0: no transform
    attention_depth: int = within(1, 1, 20)  # layers of the attention; each halves the width
    # embeddings, as in the paper | reliability | quality: the input of the attention
    attention_on: str = choice("embeddings", "embeddings", "reliability", "quality")
    # mask: the other modality gets all the weight; learned: a learned vector replaces the embedding
    missing: str = choice("mask", "mask", "learned")
    reliability: bool = False  # a damaged modality counts as partly missing
    voice_quality: list[str] = field(default_factory=list)  # tables next to the embeddings, e.g. "log:utt2magnitude"
    face_quality: list[str] = field(default_factory=list)
    mlp_depth: int = within(2, 1, 20)  # of concat
    dropout: float = within(0.1, 0, below=1)  # of concat
    gate_tanh: bool = True  # of gated: t = tanh; false: identity


def same_size(n_voice: int, n_face: int, options: FusionOptions) -> int:
    if n_voice != n_face:
        raise InputError(f"fusion: {options.fusion} adds voice and face, whose sizes differ: {n_voice} and {n_face}; "
                         "set transform_depth: 1, or fusion: soft_attention_concat")  # fmt: skip
    return n_voice


def make_transforms(n_voice: int, n_face: int, options: FusionOptions) -> tuple[nn.Module, nn.Module]:
    """W_v and W_f.

    Single layers start as isometries (our choice), onto orthogonal subspaces if `size` has room for both. Training
    thus starts from the sum of the two cosines.
    """
    size, depth = options.size, options.transform_depth
    if depth == 0:
        return nn.Identity(), nn.Identity()
    pair = []
    for n_in in (n_voice, n_face):
        layers: list[nn.Module] = [nn.Linear(n_in, size, bias=False)]
        for _ in range(depth - 1):
            layers += [nn.ReLU(), nn.Linear(size, size, bias=False)]
        pair.append(nn.Sequential(*layers))
    first = [layers[0].weight for layers in pair]
    if size >= n_voice + n_face:
        both = nn.init.orthogonal_(torch.empty(size, n_voice + n_face))
        with torch.no_grad():
            first[0].copy_(both[:, :n_voice])
            first[1].copy_(both[:, n_voice:])
    else:
        for weight in first:
            nn.init.orthogonal_(weight)
    return pair[0], pair[1]


class Fusion(nn.Module):
    """AVN-E with any of the six forms.

    Parameters
    ----------
    n_voice, n_face : sizes of the embeddings
    options : form and sizes

    Raises
    ------
    InputError : an unknown form, or options that contradict each other

    Examples
    --------
    >>> fusion = Fusion(192, 512, FusionOptions(fusion="soft_attention", size=256))
    >>> both = torch.tensor([[True, True], [True, False]])
    >>> fused = fusion(torch.randn(2, 192), torch.randn(2, 512), both)
    >>> fused.out.shape, fused.weights[1].tolist()
    (torch.Size([2, 256]), [1.0, 0.0])
    """

    def __init__(self, n_voice: int, n_face: int, options: FusionOptions):
        super().__init__()
        check_options(options)
        self.options, self.n_voice, self.n_face = options, n_voice, n_face
        self.encoders: dict[str, str | None] = {}  # modality -> encoder of its embeddings, where known
        self.digest = ""  # of the file that it was loaded from
        n_tables = (len(options.voice_quality), len(options.face_quality))
        self.register_buffer("voice_mean", torch.zeros(n_voice))
        self.register_buffer("face_mean", torch.zeros(n_face))
        self.register_buffer("quality_mean", torch.zeros(sum(n_tables)))
        self.register_buffer("quality_std", torch.ones(sum(n_tables)))
        self.reliability = Reliability(n_voice, n_face, *n_tables) if options.reliability else None
        if options.missing == "learned":
            # not 0: in a product with the other modality, a state of 0 would get no gradient
            self.voice_state = nn.Parameter(torch.empty(n_voice).normal_(std=0.01))
            self.face_state = nn.Parameter(torch.empty(n_face).normal_(std=0.01))
        self.voice, self.face = make_transforms(n_voice, n_face, options)
        n_cues = {"embeddings": n_voice + n_face, "quality": sum(n_tables)}.get(options.attention_on)
        if options.attention_on == "reliability":
            n_cues = self.reliability.n_evidence
        sizes = (options.size, options.size) if options.transform_depth else (n_voice, n_face)
        self.head = FORMS[options.fusion](*sizes, n_cues, options)
        self.out_size = self.head.out_size

    @property
    def description(self) -> dict:
        """The description from which `FUSION` rebuilds the network."""
        return {"n_voice": self.n_voice, "n_face": self.n_face, "options": asdict(self.options)}

    def normalize(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Subtract the means, scale to unit length, and set missing embeddings to 0."""
        voice = F.normalize(voice - self.voice_mean) * present[:, :1]
        face = F.normalize(face - self.face_mean) * present[:, 1:]
        return voice, face

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, quality: Tensor | None = None) -> Fused:
        """Fuse raw embeddings.

        Parameters
        ----------
        voice : (batch, n_voice) ; face : (batch, n_face)
        present : (batch, 2) bool, whether the voice and the face are present; at least one is
        quality : (batch, n) values of the quality tables, the voice's first; NaN if absent; None without tables
        """
        return self.fuse(*self.normalize(voice, face, present), present, quality)

    def fuse(self, voice: Tensor, face: Tensor, present: Tensor, quality: Tensor | None = None) -> Fused:
        """Fuse normalised embeddings; training may alter them between `normalize` and this call."""
        damage = evidence = None
        trust = present.to(voice.dtype)
        quality = self.standardize(quality, len(voice))
        if self.reliability is not None:
            damage, evidence, trust = self.reliability(voice, face, trust, quality)
        mask = present
        voice, face = voice * trust[:, :1], face * trust[:, 1:]
        if self.options.missing == "learned":
            voice = voice + (1 - trust[:, :1]) * self.voice_state
            face = face + (1 - trust[:, 1:]) * self.face_state
            mask = torch.ones_like(present)
        if self.options.attention_on == "embeddings":
            cues = torch.cat([face, voice], 1)
        else:
            cues = evidence if self.options.attention_on == "reliability" else self.limit(quality, present)
        out, attention = self.head(self.voice(voice), self.face(face), mask, cues)
        weights = attention * trust
        return Fused(out, weights / weights.sum(1, keepdim=True), damage)

    def limit(self, quality: Tensor, present: Tensor) -> Tensor:
        """Standardised quality, smoothly limited to LIMIT; 0 for the tables of a missing modality."""
        n_tables = torch.tensor([len(self.options.voice_quality), len(self.options.face_quality)])
        shown = present.repeat_interleave(n_tables.to(present.device), 1)
        return LIMIT * (quality / LIMIT).tanh() * shown

    def standardize(self, quality: Tensor | None, n: int) -> Tensor:
        """Quality in standard deviations of the training set, clipped to 5; a missing value is set to the mean."""
        if quality is None:
            quality = self.quality_mean.expand(n, -1)
        return ((quality - self.quality_mean) / self.quality_std).clamp(-5, 5).nan_to_num(0.0)


def check_options(options: FusionOptions) -> None:
    """Raise InputError for values outside their ranges, and for options that contradict each other."""
    try:
        check_ranges(options)
    except ValueError as error:
        raise InputError(str(error)) from None
    tables = [*options.voice_quality, *options.face_quality]
    if options.attention_on == "quality" and not tables:
        raise InputError("attention_on: quality: needs voice_quality, face_quality or both")
    if not options.reliability and (
        options.attention_on == "reliability" or (tables and options.attention_on != "quality")
    ):
        raise InputError("attention_on: reliability, and quality tables without attention_on: quality, refer to the "
                        "reliability; set reliability: true")  # fmt: skip


def build_fusion(description: dict) -> Fusion:
    return Fusion(description["n_voice"], description["n_face"], FusionOptions(**description["options"]))


FUSION = NetworkFile("fusion.safetensors", "avn_e or avn_j", build_fusion)
